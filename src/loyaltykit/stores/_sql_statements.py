"""Every statement that a SQL store sends, built of the tables once and turned once into the SQL of a dialect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple, get_type_hints

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect

from loyaltykit.journal import NEVER, Balance, Entry, Head, Item, Lot, Record
from loyaltykit.stores._sql_tables import DUE, OPEN, Row, Tables, is_mysql

# ---------------------------------------------------------------- rows of any kind in one answer

# What a load returns comes in one answer, so that it is of one version: a number that says which row it is, then its
# texts and its whole numbers. Where a database has arrays, these are two. Elsewhere they are as many columns as any row
# needs, NULL where this one has fewer; a server takes time for each column of each part of such a statement.
KINDS: tuple[Row, ...] = (Head, Balance, Record, Entry, Lot, Item)
SPENDING = len(KINDS)
"""Lots that were asked for to be spent: from this number on, one for each unit."""


def _fields(row: Row) -> tuple[list[str], list[str]]:
    """Return the names of a row's texts, and of its whole numbers."""
    hints = get_type_hints(row)
    return [name for name in hints if hints[name] is not int], [name for name in hints if hints[name] is int]


FIELDS = [_fields(row) for row in KINDS]
_TEXTS = max(len(texts) for texts, _ in FIELDS)
_NUMBERS = max(len(numbers) for _, numbers in FIELDS)


class Answer(NamedTuple):
    """How to read the rows of an answer: made flat first, then by what they are."""

    flat: Callable[[Sequence[Any]], Sequence[Any]]
    readers: Sequence[Callable[[Sequence[Any]], tuple[Any, ...]]]
    following: slice  # where the head's row has the next instants at which a lot and an item are due


def _answer(arrays: bool) -> Answer:
    readers = []
    for row, (texts, numbers) in zip(KINDS, FIELDS, strict=True):
        first = len(texts) if arrays else _TEXTS
        places = {name: place for place, name in enumerate(texts)}
        places |= {name: first + place for place, name in enumerate(numbers)}
        readers.append(itemgetter(*(places[name] for name in row._fields)))
    texts, numbers = FIELDS[KINDS.index(Head)]
    end = (len(texts) if arrays else _TEXTS) + len(numbers)
    return Answer(_joined if arrays else itemgetter(slice(1, None)), readers, slice(end, end + 2))


def _joined(row: Sequence[Any]) -> Sequence[Any]:
    texts, numbers = row[1], row[2]
    return texts + numbers  # type: ignore[no-any-return]


def number(name: str) -> sa.BindParameter[int]:
    """Return a place for a whole number."""
    return sa.bindparam(name, type_=sa.BigInteger)


def text(name: str) -> sa.BindParameter[str]:
    """Return a place for a text."""
    return sa.bindparam(name, type_=sa.String)


# ---------------------------------------------------------------- finished statements


class Sent(NamedTuple):
    """A statement in the SQL of a dialect, and what puts named values in the order in which it wants them."""

    sql: str
    values: Callable[[dict[str, Any]], tuple[Any, ...]]


class Appending(NamedTuple):
    """Likewise, but of values in a row: first `HEAD_VALUES`, then for each table those of its row, or its rows."""

    sql: str
    values: Callable[[Sequence[Any]], tuple[Any, ...]]


class Shape(NamedTuple):
    """How much of each kind a load names. Loads of the same shape are the same statement."""

    keys: int
    refs: int
    spend: int
    due: bool
    lots: int
    stems: int
    kinds: int
    item_kinds: int
    item_names: int
    open_lots: bool
    everything: bool


COLUMNS: dict[str, tuple[str, ...]] = {
    "record": Record._fields,
    "entry": Entry._fields,
    "lot": (*Lot._fields, "due_at"),
    "balance": Balance._fields,
    "item": Item._fields,
    "dropped": ("kind", "name"),  # of items that go
}
"""What is written besides the head, in this order."""

HEAD_VALUES = ("account", "new_account", "new_program", "expected", *(f"new_{name}" for name in Head._fields))
"""What the statement is given that moves a head."""

Sizes = tuple[tuple[str, bool], ...]
"""Into which tables a commit writes, and whether many rows or one."""

SIZES = (0, 1, 4, 16, 64, 256)
"""How many names a statement has room for; where there are fewer, the last comes again."""


class Statements:
    """The statements of one store, for one dialect; with `one_statement` in what only PostgreSQL can do."""

    def __init__(self, tables: Tables, dialect: Dialect, one_statement: bool) -> None:
        self._tables = tables
        self._dialect = dialect
        self.one_statement = one_statement
        self.answer = _answer(one_statement)
        self.is_mysql = is_mysql(dialect)
        self.load = lru_cache(maxsize=1024)(self._load)
        self.append = lru_cache(maxsize=256)(self._append)
        self.versions_of = lru_cache(self._versions_of)
        self._write_rows()
        self._read_across()

    def _sent(self, statement: Any) -> Sent:
        compiled = statement.compile(dialect=self._dialect)
        names = compiled.positiontup
        own = {name: value for name, value in compiled.params.items() if value is not None}  # such as SQLite's OFFSET 0
        if own or len(names) < 2:
            return Sent(
                str(compiled), lambda values: tuple(values[name] if name in values else own[name] for name in names)
            )
        return Sent(str(compiled), itemgetter(*names))

    # ------------------------------------------------------------ reading one account

    def _load(self, shape: Shape) -> Sent:
        """Return the one statement that answers a load of this shape; see `decode` for what comes back."""
        _, head, record, entry, lot, balance, item, *_ = self._tables
        following = [_next(lot), _next(item)] if shape.due else []
        parts = [self._part(Head, head, _of(head), following), self._part(Balance, balance, _of(balance))]
        if shape.everything:
            of_all: dict[Row, sa.Table] = {Record: record, Entry: entry, Lot: lot, Item: item}
            return self._sent(
                sa.union_all(*parts, *(self._part(row, table, _of(table)) for row, table in of_all.items()))
            )
        if shape.keys:
            parts.append(self._part(Record, record, _of(record, key=shape.keys)))
        if shape.refs:
            parts.append(self._part(Record, record, _of(record, ref=shape.refs)))
        for place in range(shape.spend):
            parts.append(self._spend(lot, place))
        if shape.due:
            due = number("due")
            parts.append(self._part(Lot, lot, [*_of(lot), lot.c.due_at <= due, sa.text(DUE)]))
            parts.append(self._part(Item, item, [*_of(item), item.c.due_at <= due, sa.text(DUE)]))
        if shape.lots:
            parts.append(self._part(Lot, lot, _of(lot, lot=shape.lots)))
        if shape.stems:
            parts.append(self._part(Lot, lot, [*_of(lot), _beginning(lot.c.lot, shape.stems)]))
        if shape.open_lots:
            parts.append(self._part(Lot, lot, [*_of(lot), sa.text(f"({OPEN})")]))
        if shape.item_names:
            parts.append(self._part(Item, item, _of(item, item_kind=shape.item_kinds, name=shape.item_names)))
        if shape.kinds:
            parts.append(self._part(Item, item, _of(item, kind=shape.kinds)))
        return self._sent(sa.union_all(*parts))

    def _part(
        self, row: Row, of: sa.FromClause, where: Sequence[Any] = (), more: Sequence[Any] = (), tag: int | None = None
    ) -> sa.Select[Any]:
        """Return one kind of rows in the form that all kinds have."""
        texts: list[Any]
        numbers: list[Any]
        texts, numbers = ([of.c[name] for name in names] for names in FIELDS[KINDS.index(row)])
        numbers += more
        parts: list[Any] = [sa.literal_column(str(KINDS.index(row) if tag is None else tag))]
        if self.one_statement:
            parts += [postgresql.array(texts), postgresql.array(numbers)]
        else:
            # PostgreSQL takes a NULL in a UNION for a text, unless it is told otherwise.
            no_text: Any = sa.cast(sa.null(), sa.Text)
            no_number: Any = sa.cast(sa.null(), sa.BigInteger)
            if self._dialect.name != "postgresql":
                no_text = no_number = sa.null()
            parts += [*texts, *[no_text] * (_TEXTS - len(texts)), *numbers, *[no_number] * (_NUMBERS - len(numbers))]
        return sa.select(*(part.label(f"c{place}") for place, part in enumerate(parts))).where(*where)

    def _spend(self, lot: sa.Table, place: int) -> Any:
        """Return the first lots of a unit that can be spent, in the order in which they are."""
        at = number("spend_at")
        where = [
            *_of(lot),
            lot.c.unit == text(f"unit_{place}"),
            lot.c.active > sa.literal_column("0"),
            lot.c.expires_at > at,
            lot.c.active_at <= at,
        ]
        order = (lot.c.expires_at, lot.c.earned_at, lot.c.lot)
        if self.one_statement:
            return self._part(Lot, lot, where, tag=SPENDING + place).order_by(*order).limit(number("limit"))
        # Elsewhere a part of a UNION may have no order of its own.
        found = sa.select(lot).where(*where).order_by(*order).limit(number("limit")).subquery(f"spend_{place}")
        return self._part(Lot, found, tag=SPENDING + place)

    # ------------------------------------------------------------ writing one account

    def _append(self, first: bool, sizes: Sizes) -> Appending:
        """Return the one statement that appends a commit, if the version still is the one expected.

        One row of a table comes as values, which costs the server the least; many come as one JSON text, so that their
        number does not matter. What changes is the record's rows: none, as all else, where no head moved.
        """
        move = self._new_head() if first else self._next_head()
        moved = move.returning(self._tables.head.c.account).cte("moved")
        writes = {name: self._write(name, many, moved) for name, many in sizes}
        record = writes.pop("record")
        record = record.add_cte(moved, *(write.cte(f"put_{name}") for name, write in writes.items()))
        compiled = record.compile(dialect=self._dialect)
        given = list(HEAD_VALUES)
        for name, many in sizes:
            given += [f"{name}_rows"] if many else [f"{name}_{column}" for column in COLUMNS[name]]
        return Appending(str(compiled), itemgetter(*map(given.index, compiled.positiontup)))

    def _write(self, name: str, many: bool, moved: sa.CTE) -> Any:
        table: sa.Table = self._tables.item if name == "dropped" else getattr(self._tables, name)
        columns = [table.c[column] for column in COLUMNS[name]]
        given: list[Any] = [sa.bindparam(f"{name}_{column.name}", type_=_plain(column)) for column in columns]
        source: Any = moved
        if many:
            of: Any = sa.func.json_to_recordset(sa.cast(text(f"{name}_rows"), postgresql.JSON))
            of = of.table_valued(*(sa.column(column.name, _plain(column)) for column in columns))
            of = of.render_derived(name=f"new_{name}", with_types=True)
            given = [of.c[column.name] for column in columns]
            source = moved.join(of, sa.true())
        if name == "dropped":
            same = [column == value for column, value in zip(columns, given, strict=True)]
            return sa.delete(table).where(table.c.account == moved.c.account, *same)
        rows = sa.select(moved.c.account, *given).select_from(source)
        insert = postgresql.insert(table).from_select(["account", *(column.name for column in columns)], rows)
        return insert if name in ("record", "entry") else self._or_update(insert, table)

    def _new_head(self) -> Any:
        head = self._tables.head
        insert = self._insert(head)
        # MySQL would keep silent about more than this; there the row is refused.
        return insert if self.is_mysql else insert.on_conflict_do_nothing()

    def _next_head(self) -> Any:
        head = self._tables.head
        news = {name: _given(head.c[name]) for name in Head._fields}
        return sa.update(head).where(*_of(head), head.c.version == number("expected")).values(news)

    def _insert(self, table: sa.Table) -> Any:
        insert: Any = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}.get(self._dialect.name, mysql.insert)
        return insert(table).values({column: _given(column) for column in table.columns})

    def _or_update(self, insert: Any, table: sa.Table) -> Any:
        key = [column.name for column in table.primary_key]
        rest = [column.name for column in table.columns if column.name not in key]
        if self.is_mysql:
            return insert.on_duplicate_key_update({name: insert.inserted[name] for name in rest})
        return insert.on_conflict_do_update(index_elements=key, set_={name: insert.excluded[name] for name in rest})

    def _write_rows(self) -> None:
        """Make the plain statements: heads by named values, rows in the order of their columns, account first."""
        head, record, entry, lot, balance, item, program = self._tables[1:8]
        self.new_head = self._sent(self._new_head())
        self.next_head = self._sent(self._next_head())
        self.version = self._sent(sa.select(head.c.version).where(*_of(head)))
        # A hint that others wait. SQLite locks no rows, but whoever has written first is alone.
        lock: Any = sa.select(head.c.version).where(*_of(head)).with_for_update()
        if self._dialect.name == "sqlite":
            lock = sa.update(head).where(*_of(head)).values(version=head.c.version)
        self.lock = self._sent(lock)
        self.puts = {
            "record": self._sent(self._insert(record)).sql,
            "entry": self._sent(self._insert(entry)).sql,
            "lot": self._sent(self._or_update(self._insert(lot), lot)).sql,
            "balance": self._sent(self._or_update(self._insert(balance), balance)).sql,
            "dropped": self._sent(sa.delete(item).where(*_of(item), *_same(item, "kind", "name"))).sql,
            "item": self._sent(self._or_update(self._insert(item), item)).sql,
        }
        # Of an account that is replaced: first its head, if it still is of the version expected, then all its rows.
        self.drops = [self._sent(sa.delete(head).where(*_of(head), head.c.version == number("expected")))]
        self.drops += [self._sent(sa.delete(table).where(*_of(table))) for table in (record, entry, lot, balance, item)]
        put_program = self._insert(program)
        self.put_program = self._sent(put_program if self.is_mysql else put_program.on_conflict_do_nothing())

    # ------------------------------------------------------------ reading across accounts

    def _read_across(self) -> None:
        head, balance, program, schema = self._tables.head, self._tables.balance, *self._tables[-2:]
        columns = [head.c.account, *(head.c[name] for name in Head._fields)]
        page = sa.select(*columns).where(
            head.c.account >= text("first"),
            head.c.account < text("end"),
            head.c.account != text("after"),
            head.c.program == text("program"),
        )
        page = page.order_by(head.c.account).limit(number("limit"))
        self.accounts = self._sent(page)
        same = sa.and_(balance.c.account == head.c.account, balance.c.unit == text("unit"))
        self.balances = self._sent(
            page.add_columns(*(balance.c[name] for name in Balance._fields)).join_from(head, balance, same)
        )
        self.due = self._sent(
            sa.select(head.c.account)
            .where(
                head.c.program == text("program"),
                head.c.next_at <= number("before"),
                head.c.next_at < sa.literal_column(str(NEVER)),
            )
            .order_by(head.c.next_at, head.c.account)
            .limit(number("limit"))
        )
        self.programs = self._sent(
            sa.select(program.c.version, program.c.effective_from, program.c.payload)
            .where(program.c.program == text("program"))
            .order_by(program.c.version)
        )

        self.program_names = self._sent(sa.select(program.c.program).distinct().order_by(program.c.program))
        self.versions = self._sent(sa.select(schema.c.version, schema.c.format))

    def _versions_of(self, size: int) -> Sent:
        head = self._tables.head
        return self._sent(sa.select(head.c.account, head.c.version).where(_among(head.c.account, "account", size)))


@lru_cache
def statements(tables: Tables, dialect: type[Dialect], style: str, one_statement: bool) -> Statements:
    """Return the statements of a store for a dialect, with the places of values marked in a style; made once."""
    return Statements(tables, dialect(paramstyle=style), one_statement)  # type: ignore[call-arg]


def _of(table: sa.Table, **names: int) -> list[Any]:
    """Return what narrows a table to one account, and to as many names in a column."""
    where: list[Any] = [table.c.account == text("account")]
    for name, size in names.items():
        where.append(_among(table.c["kind" if name == "item_kind" else name], name, size))
    return where


def _among(column: sa.Column[Any], name: str, size: int) -> Any:
    return column.in_([text(f"{name}_{place}") for place in range(size)])


def _beginning(column: sa.Column[Any], size: int) -> Any:
    return sa.or_(*(sa.and_(column >= text(f"begin_{n}"), column < text(f"end_{n}")) for n in range(size)))


def _same(table: sa.Table, *names: str) -> list[Any]:
    return [table.c[name] == text(f"new_{name}") for name in names]


def _given(column: sa.Column[Any]) -> Any:
    return sa.bindparam(f"new_{column.name}", type_=_plain(column))


def _plain(column: sa.Column[Any]) -> Any:
    return sa.BigInteger() if isinstance(column.type, sa.BigInteger) else sa.Text()


def _next(table: sa.Table) -> Any:
    """Return the next instant after ``due`` at which something in the table is due."""
    after = sa.select(table.c.due_at).where(*_of(table), table.c.due_at > number("due"), sa.text(DUE))
    return after.order_by(table.c.due_at).limit(sa.literal_column("1")).scalar_subquery()
