"""The package as a whole: its public names, what importing it costs, what it depends on, and the pages around it."""

from __future__ import annotations

import ast
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
import types
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import loyaltykit

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "loyaltykit"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
HOME: dict[str, str] = loyaltykit._HOME

# Everything that may be loaded where no extra is installed: the two dependencies and what they bring in their turn.
CORE = {"loyaltykit", "attr", "attrs", "dateutil", "six", "tzdata"}

# The imperative part and what is built on it. Every other module is the pure core.
SHELL = {"stores", "wire", "session", "rulebook", "handover", "explaining", "recorded", "writer", "questions", "club"}
SHELL |= {"frames", "replay", "importers", "testing", "pictures", "async", "twins"}
SHELL |= {"housekeeping", "audit", "transport", "erasure", "elsewhere"}

REFUSE_EXTRAS = f"""
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        # the standard library reads its build settings from private modules that are not in its list of names
        if not top.startswith("_") and top not in sys.stdlib_module_names | {CORE!r}:
            raise ModuleNotFoundError(f"{{name}} is not part of the core", name=name)

sys.meta_path.insert(0, Refuse())
"""


def fresh(code: str) -> object:
    """Run `code` in a new interpreter and return what it prints, read as JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def modules() -> list[str]:
    """Return the dotted names of all public modules below the package."""
    found = pkgutil.walk_packages(loyaltykit.__path__, "loyaltykit.")
    return [info.name for info in found if not any(part.startswith("_") for part in info.name.split("."))]


def imported(tree: ast.AST) -> set[str]:
    """Return the full names of all that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def of_shell(name: str) -> bool:
    """Say whether a module belongs to the shell: one of its parts, or a private helper such as `_wire_types`."""
    return re.split(r"[/._]", name.lstrip("_"))[0] in SHELL


def sources(*, pure: bool = False) -> Iterator[tuple[str, ast.AST]]:
    """Yield the name and the syntax tree of the package's modules, or only of the pure ones."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).with_suffix("").as_posix()
        if not pure or (name != "__init__" and not of_shell(name)):
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def pages() -> list[Path]:
    """Return the documents whose Python blocks are tests."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


class TestNames:
    def test_all_is_sorted_and_is_the_table(self):
        """The public names are the table's, in order and without repetition."""
        assert list(HOME) == sorted(HOME)
        assert list(HOME) == loyaltykit.__all__

    def test_type_checkers_see_the_same_names(self):
        """The block for type checkers and the table that loads the names say the same."""
        tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
        seen = {}
        for block in tree.body:
            if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING":
                for statement in block.body:
                    assert isinstance(statement, ast.ImportFrom)
                    for alias in statement.names:
                        assert alias.name == alias.asname, f"{alias.name}: without `as` it is not exported"
                        seen[alias.name] = statement.module.removeprefix("loyaltykit.")
        assert dict(HOME) == seen

    @pytest.mark.parametrize("name", HOME)
    def test_a_name_comes_from_where_it_is_defined(self, name):
        """A public name leads to the module that defines it, not to one that imported it."""
        value = getattr(loyaltykit, name)
        assert value is getattr(import_module(f"loyaltykit.{HOME[name]}"), name)
        if isinstance(value, type | types.FunctionType):
            assert f"loyaltykit.{HOME[name]}" == value.__module__

    @pytest.mark.parametrize("name", HOME)
    def test_a_name_does_not_hide_a_module(self, name):
        """No public name is a module's as well: importing the module would put it in the name's place."""
        assert f"loyaltykit.{name}" not in modules()

    def test_dir_lists_every_name_before_it_is_used(self):
        """Completion shows the public names although their modules are not loaded yet."""
        shown = fresh("import loyaltykit, json; print(json.dumps(dir(loyaltykit)))")
        assert set(loyaltykit.__all__) <= set(shown)

    def test_star_import_brings_the_names_and_no_more(self):
        """A star import works and brings what `__all__` says."""
        names: dict[str, object] = {}
        exec("from loyaltykit import *", names)
        assert set(loyaltykit.__all__) == names.keys() - {"__builtins__"}

    def test_an_unknown_name_is_refused(self):
        """A misspelt name fails as it does with any module."""
        with pytest.raises(AttributeError, match=r"module 'loyaltykit' has no attribute 'Oder'") as caught:
            loyaltykit.Oder  # noqa: B018  (the look-up itself is what is tested)
        assert caught.value.name == "Oder"
        assert caught.value.obj is loyaltykit
        with pytest.raises(ImportError, match="Oder"):
            exec("from loyaltykit import Oder")

    def test_a_submodule_is_imported_as_usual(self):
        """Loading names lazily does not stand in the way of the modules themselves."""
        names: dict[str, object] = {}
        exec("from loyaltykit import facts", names)
        assert names["facts"] is sys.modules["loyaltykit.facts"]


class TestCost:
    def test_importing_the_package_loads_nothing_else(self):
        """`import loyaltykit` loads one module: no part of the library, no dependency, not even `typing`."""
        code = "import sys; old = {*sys.modules}; import loyaltykit; new = [*{*sys.modules} - old]\n"
        assert fresh(code + "import json; print(json.dumps(new))") == ["loyaltykit"]

    def test_every_name_resolves_with_the_core_alone(self):
        """No public name needs an extra."""
        code = REFUSE_EXTRAS + (
            "import json, loyaltykit\n"
            "print(json.dumps([name for name in loyaltykit.__all__ if getattr(loyaltykit, name, None) is not None]))"
        )
        assert fresh(code) == loyaltykit.__all__

    def test_the_refusal_of_extras_refuses(self):
        """The test above would notice: an extra cannot be imported behind the refusal."""
        code = REFUSE_EXTRAS + "import json\ntry:\n import pytest\nexcept ImportError as e:\n print(json.dumps(e.name))"
        assert fresh(code) == "pytest"

    @pytest.mark.parametrize(
        ("module", "extra"),
        [("frames", "frames"), ("stores.sql", "sql"), ("stores.async_sql", "async"), ("testing.frames", "frames")],
    )
    def test_a_module_that_needs_an_extra_names_it(self, module, extra):
        """Where an extra is missing, the error says how to install it."""
        code = REFUSE_EXTRAS + (
            f"import json\ntry:\n import loyaltykit.{module}\nexcept ImportError as e:\n print(json.dumps(str(e)))"
        )
        assert f"pip install 'loyaltykit[{extra}]'" in fresh(code)


class TestShape:
    def test_the_core_brings_two_dependencies(self):
        """Installing the library brings attrs and python-dateutil; the rest are extras."""
        names = [re.match(r"[\w-]+", requirement).group() for requirement in PROJECT["dependencies"]]
        assert names == ["attrs", "python-dateutil"]

    def test_the_package_says_that_it_is_typed(self):
        """Type checkers read the annotations of an installed package only where `py.typed` is."""
        assert (PACKAGE / "py.typed").is_file()

    def test_the_version_is_a_release_number(self):
        """The version can be compared by the tools that install it."""
        assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", loyaltykit.__version__)

    def test_one_module_imports_dateutil(self):
        """Calendar arithmetic stands in one place."""
        users = [name for name, tree in sources() if any(used.startswith("dateutil") for used in imported(tree))]
        assert set(users) <= {"calendar"}

    def test_the_core_does_not_import_the_shell(self):
        """Every domain module can be used alone, without a store, a frame library or the club."""
        for name, tree in sources(pure=True):
            used = {full.split(".")[1] for full in imported(tree) if full.startswith("loyaltykit.")}
            assert not [part for part in used if of_shell(part)], name

    def test_the_core_is_pure(self):
        """A pure module reads no clock, no chance and no outside world: instants and sources are arguments."""
        outside = {"io", "logging", "os", "pathlib", "random", "secrets", "socket", "sqlite3", "subprocess"}
        outside |= {"tempfile", "threading", "time", "uuid"}
        clock = {"now", "utcnow", "today"}
        for name, tree in sources(pure=True):
            assert not {full.partition(".")[0] for full in imported(tree)} & outside, name
            asked = {
                f"{node.func.value.id}.{node.func.attr}"
                for node in ast.walk(tree)
                if isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in {"datetime", "date"}
                and node.func.attr in clock
            }
            assert not asked, name


class TestPages:
    @pytest.mark.parametrize("heading", ["Run it", "Test it"])
    def test_the_readme_says_how_in_one_line(self, heading):
        """Directly under its heading stands one block with one command that makes its own environment."""
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        [command] = re.findall(rf"^## {heading}\n\n```sh\n(.*)\n```$", text, flags=re.MULTILINE)
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")

    def test_every_module_has_its_reference_page(self):
        """The reference lists every public module; a new one needs one line in docs/reference/index.md."""
        text = (ROOT / "docs" / "reference" / "index.md").read_text(encoding="utf-8")
        listed = re.findall(r"^ +(loyaltykit[\w.]*)$", text, flags=re.MULTILINE)
        unlisted = sorted({"loyaltykit", *modules()} - set(listed))
        assert unlisted == []
        assert sorted(["loyaltykit", *modules()]) == sorted(listed)

    @pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
    def test_no_example_escapes_the_suite(self, page):
        """Python in a document stands in a ``python`` block, the only kind that the suite runs."""
        blocks = re.findall(r"^ *(`{3,}|~{3,})([^\n]*)\n(.*?)^ *\1 *$", page.read_text(encoding="utf-8"), re.M | re.S)
        for _, info, body in blocks:
            if info != "python" and not info.startswith("{doctest}"):
                assert not re.match(r"py|ipython|\{code", info.strip().lower()), f"not run: {info} block"
                assert not re.search(r"^ *>>> ", body, re.M), f"not run: {info or 'bare'} block with prompts"
