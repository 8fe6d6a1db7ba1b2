"""The tables of a SQL store, as SQLAlchemy sees them.

One row for each row of `loyaltykit.journal`, under the same names, with the account first in every primary key and
unique index. There are no foreign keys, sequences, triggers or generated columns, and no clock of the server: what
the engines that spread accounts over machines lack, or have in other ways, is not used.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple, get_args, get_type_hints

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from loyaltykit.errors import InputError
from loyaltykit.journal import NEVER, Balance, Entry, Head, Item, Lot, Record

PREFIX = "loyalty_"
"""What the names of the tables begin with, unless a store is given another prefix."""

NAME_LENGTH = 255
"""Characters in an account, key, lot, source or item on MySQL and MariaDB, where an indexed text has a bound."""

WORD_LENGTH = 64
"""Characters in a kind, unit or status there."""

OPEN = "pending > 0 OR active > 0 OR held > 0"
"""Which lots are open, in the words of the partial index: a query must repeat them to be answered from it."""

DUE = f"due_at < {NEVER}"
"""Which lots and items will change by themselves, likewise."""

Row = type[Head] | type[Record] | type[Entry] | type[Lot] | type[Balance] | type[Item]

_WORDS = {"kind", "unit", "status"}
_LONG = {"note", "payload", "plan", "outcome", "uses", "reason", "actor", "corrects", "value"}


class Name(TypeDecorator[str]):
    """A text that is compared code point by code point, spaces at its end included, and may be indexed."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, length: int = NAME_LENGTH) -> None:
        super().__init__()
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type that compares so on this engine."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TEXT(collation="C"))
        if is_mysql(dialect):
            return dialect.type_descriptor(mysql.VARCHAR(self.length, charset="utf8mb4", collation=_collation(dialect)))
        return dialect.type_descriptor(sa.Text())


class Long(TypeDecorator[str]):
    """A text of any length that is never compared: a payload, a note."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the longest text of this engine."""
        if is_mysql(dialect):
            return dialect.type_descriptor(mysql.LONGTEXT(charset="utf8mb4", collation=_collation(dialect)))
        return dialect.type_descriptor(sa.Text())


def is_mysql(dialect: Dialect) -> bool:
    """Return whether this is MySQL or MariaDB, by whichever name."""
    return dialect.name in ("mysql", "mariadb")


def _collation(dialect: Dialect) -> str:
    """Return the collation that compares code points and does not pad: MariaDB and MySQL name it differently."""
    return "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"


class Tables(NamedTuple):
    """The tables of one store, and the `metadata` that holds them, which a shop's migrations may own."""

    metadata: sa.MetaData
    head: sa.Table
    record: sa.Table
    entry: sa.Table
    lot: sa.Table
    balance: sa.Table
    item: sa.Table
    program: sa.Table
    schema: sa.Table


def tables(schema: str | None = None, prefix: str = PREFIX) -> Tables:
    """Return the tables of a store in the database schema `schema` (None: the default), named with `prefix`.

    The same arguments give the same object. Its ``metadata`` is what Alembic wants as ``target_metadata``.

    Raises:
        InputError: a `prefix` that cannot begin a plain SQL name.

    >>> sorted(tables(prefix="points_").metadata.tables)[:3]
    ['points_balance', 'points_entry', 'points_head']
    """
    if prefix and not (prefix.isidentifier() and prefix.isascii() and prefix == prefix.lower()):
        raise InputError("prefix", prefix, "give small letters, digits and underscores, such as 'loyalty_'")
    return _tables(schema, prefix)


@cache
def _tables(schema: str | None, prefix: str) -> Tables:
    metadata = sa.MetaData(schema=schema)

    def table(name: str, *parts: sa.Column[Any] | sa.Index, often: bool = False) -> sa.Table:
        # Rows that are written again and again: the new one then finds room beside the old one, and no index changes.
        options: dict[str, Any] = {"postgresql_with": {"fillfactor": 70}} if often else {}
        return sa.Table(prefix + name, metadata, *parts, **options)

    def index(name: str, *columns: str, where: str | None = None, unique: bool = False) -> sa.Index:
        only = None if where is None else sa.text(where)
        return sa.Index(prefix + name, *columns, unique=unique, postgresql_where=only, sqlite_where=only)

    number = sa.BigInteger
    return Tables(
        metadata,
        head=table(
            "head",
            _account(),
            sa.Column("program", Name(), nullable=False),
            *_columns(Head),
            index("head_due", "program", "next_at", "account", where=f"next_at < {NEVER}"),
            often=True,
        ),
        record=table(
            "record",
            _account(),
            *_columns(Record, "version"),
            index("record_key", "account", "key", unique=True),
            index("record_ref", "account", "ref", where="ref IS NOT NULL"),
        ),
        entry=table("entry", _account(), *_columns(Entry, "version", "line")),
        lot=table(
            "lot",
            _account(),
            *_columns(Lot, "lot"),
            index("lot_open", "account", "unit", "expires_at", "earned_at", "lot", where=OPEN),
            sa.Column("due_at", number, nullable=False),  # what `Lot.due_at` says, for the index
            index("lot_due", "account", "due_at", where=DUE),
            often=True,
        ),
        balance=table("balance", _account(), *_columns(Balance, "unit"), often=True),
        item=table(
            "item", _account(), *_columns(Item, "kind", "name"), index("item_due", "account", "due_at", where=DUE)
        ),
        program=table(
            "program",
            sa.Column("program", Name(), primary_key=True),
            sa.Column("version", number, primary_key=True, autoincrement=False),
            sa.Column("effective_from", number, nullable=False),
            sa.Column("payload", Long(), nullable=False),
        ),
        schema=table(
            "schema",
            sa.Column("id", number, primary_key=True, autoincrement=False),  # always 1
            sa.Column("version", number, nullable=False),  # of these tables
            sa.Column("format", number, nullable=False),  # of the JSON in their texts
        ),
    )


def _account() -> sa.Column[Any]:
    return sa.Column("account", Name(), primary_key=True)


def _columns(row: Row, *key: str) -> list[sa.Column[Any]]:
    """Return the columns of a journal's row; those of `key` belong to the primary key."""
    made: list[sa.Column[Any]] = []
    for name, kind in get_type_hints(row).items():
        of: TypeEngine[Any] = Long() if name in _LONG else Name(WORD_LENGTH if name in _WORDS else NAME_LENGTH)
        made.append(
            sa.Column(
                name,
                sa.BigInteger() if kind is int else of,
                primary_key=name in key,
                autoincrement=False,
                nullable=type(None) in get_args(kind) and name != "value",  # an item without a value is removed
            )
        )
    return made
