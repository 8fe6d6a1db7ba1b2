"""Hand-made rows for the store contract, strategies for arbitrary ones, and a plain model of what a store keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, get_args, get_type_hints

from hypothesis import strategies as st

from loyaltykit.journal import NEVER, Balance, Commit, Context, Entry, Head, Item, Lot, Need, Record, stem

_Row = TypeVar("_Row", Head, Record, Entry, Lot, Balance, Item)

# ---------------------------------------------------------------- by hand


def row(cls: type[_Row], **values: Any) -> _Row:
    """Return a row of `cls`; fields that are not given are 0, empty or their default."""
    made: dict[str, Any] = {}
    for name, kind in get_type_hints(cls).items():
        made[name] = cls._field_defaults.get(name, 0 if kind is int else "" if kind is str else None)
    return cls(**{**made, **values})


def head(version: int, **values: Any) -> Head:
    """Return the head after `version` records, with nothing due."""
    return row(Head, **{"version": version, "at": version, "recorded_at": version, "next_at": NEVER, **values})


def record(version: int, key: str | None = None, **values: Any) -> Record:
    """Return a record of kind ``order`` under `key`."""
    key = f"order:{version}" if key is None else key
    return row(
        Record,
        **{
            "version": version,
            "key": key,
            "kind": "order",
            "status": "applied",
            "at": version,
            "payload": "{}",
            **values,
        },
    )


def entry(version: int, line: int = 1, **values: Any) -> Entry:
    """Return an entry of 10 points."""
    return row(Entry, **{"version": version, "line": line, "unit": "points", "kind": "earn", "amount": 10, **values})


def lot(name: str, active: int = 10, expires_at: int = NEVER, **values: Any) -> Lot:
    """Return a lot of points that is due when it expires. Its name says what brought it."""
    made = {"lot": name, "unit": "points", "active": active, "issued": active}
    return row(Lot, **{**made, "expires_at": expires_at, **values})


def balance(active: int, unit: str = "points", **values: Any) -> Balance:
    """Return a balance."""
    return row(Balance, **{"unit": unit, "active": active, **values})


def item(kind: str, name: str, value: str | None = "{}", due_at: int = NEVER) -> Item:
    """Return an item."""
    return row(Item, kind=kind, name=name, value=value, due_at=due_at)


def commit(account: str, expected: int = 0, *keys: str, next_at: int = NEVER, **rows: Any) -> Commit:
    """Return a commit of one record for each of `keys`, or of one if there are none, with `rows`."""
    names = keys or (f"order:{expected + 1}",)
    records = tuple(record(expected + 1 + place, key) for place, key in enumerate(names))
    return Commit(account, expected, head(expected + len(records), next_at=next_at), records, **rows)


# ---------------------------------------------------------------- arbitrary

LARGEST = 2**63 - 1

INTEGERS = st.one_of(
    st.sampled_from([0, 1, -1, 2**31, 2**53 + 1, -(2**53) - 1, 1_760_000_000_123_457, LARGEST, LARGEST - 1, -LARGEST]),
    st.integers(-LARGEST, LARGEST),
)

# Not in the contract: U+0000, which PostgreSQL's texts cannot hold, and lone surrogates, which no database can.
TEXTS = st.one_of(
    st.sampled_from(
        ["", " ", "a ", "é", "e\u0301", "ſ", "I", "ı", "%", "_", "'", '"', "\\", "\n", "\u2028", "😀", "NULL"]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40),
)

LOT_NAMES = st.builds(lambda key, rest: stem(key) + rest, TEXTS, st.sampled_from(["", "#2", "#stamps", "+key:back"]))


def rows(cls: type[_Row], **fixed: Any) -> st.SearchStrategy[_Row]:
    """Return a strategy for rows of `cls` with anything in the fields that are not in `fixed`."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for name, kind in get_type_hints(cls).items():
        if name in fixed:
            fields[name] = st.just(fixed[name])
        elif kind is int:
            fields[name] = INTEGERS
        else:
            fields[name] = st.none() | TEXTS if type(None) in get_args(kind) else TEXTS
    return st.builds(cls, **fields)


@st.composite
def commits(draw: st.DrawFn, account: str = "p/a") -> Commit:
    """Draw a first commit of any rows, each kind up to three times."""
    keys = draw(st.lists(TEXTS, min_size=1, max_size=3, unique=True))
    version = len(keys)
    records = [draw(rows(Record, version=place + 1, key=key)) for place, key in enumerate(keys)]
    places = draw(st.lists(st.tuples(st.integers(1, version), INTEGERS), max_size=3, unique=True))
    names = st.lists(TEXTS, max_size=3, unique=True)
    pairs = st.lists(st.tuples(TEXTS, TEXTS), max_size=3, unique=True)
    return Commit(
        account,
        0,
        draw(rows(Head, version=version)),
        records,
        [draw(rows(Entry, version=place, line=line)) for place, line in places],
        [draw(rows(Lot, lot=name)) for name in draw(st.lists(LOT_NAMES, max_size=3, unique=True))],
        [draw(rows(Balance, unit=name)) for name in draw(names)],
        [draw(rows(Item, kind=kind, name=name, value=draw(TEXTS))) for kind, name in draw(pairs)],
    )


# Few names and few instants, so that rows meet, tie and replace each other.
_SMALL = st.integers(0, 6)
_INSTANTS = st.sampled_from([0, 1, 2, 3, 4, 5, 6, NEVER])
_UNITS = st.sampled_from(["points", "cash"])
_NAMES = ["a", "b", "c", "s1", "s1#2", "s1+x", "s10", "s2", "s2!"]
_LOTS = st.builds(
    lambda **values: row(Lot, **values),
    lot=st.sampled_from(_NAMES),
    unit=_UNITS,
    earned_at=_SMALL,
    active_at=_SMALL,
    expires_at=_INSTANTS,
    pending=st.integers(0, 1),
    active=st.sampled_from([0, 0, 1, 2, 5]),
    held=st.integers(0, 1),
)
_ITEMS = st.builds(
    item,
    kind=st.sampled_from(["hold", "count"]),
    name=st.sampled_from("abc"),
    value=st.sampled_from(["1", "2", None]),
    due_at=_INSTANTS,
)


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the rows of a commit whose version is not known yet."""
    return {
        "ref": draw(st.sampled_from([None, "order:1", "order:2"])),
        "next_at": draw(_INSTANTS),
        "lots": draw(st.lists(_LOTS, max_size=4, unique_by=lambda made: made.lot)),
        "balances": draw(
            st.lists(st.builds(balance, _SMALL, unit=_UNITS), max_size=2, unique_by=lambda made: made.unit)
        ),
        "items": draw(st.lists(_ITEMS, max_size=2, unique_by=lambda made: (made.kind, made.name))),
    }


def needs(account: str) -> st.SearchStrategy[Need]:
    """Return a strategy for needs that ask for some of what `changes` brings."""
    return st.builds(
        Need,
        account=st.just(account),
        keys=st.lists(st.sampled_from([f"order:{n}" for n in range(1, 9)]), max_size=2).map(tuple),
        refs=st.lists(st.sampled_from(["order:1", "order:2"]), max_size=1).map(tuple),
        spend=st.lists(st.tuples(_UNITS, st.integers(0, 12)), max_size=2).map(tuple),
        spend_at=_SMALL,
        due=st.none() | _SMALL,
        lots=st.lists(st.sampled_from(_NAMES), max_size=2).map(tuple),
        stems=st.lists(st.sampled_from(["s1", "s2", "s3", "s"]), max_size=1).map(tuple),
        items=st.lists(st.tuples(st.sampled_from(["hold", "count"]), st.sampled_from("abc")), max_size=2).map(tuple),
        kinds=st.lists(st.sampled_from(["hold", "count"]), max_size=1).map(tuple),
        open_lots=st.booleans(),
        everything=st.booleans(),
    )


# ---------------------------------------------------------------- the plain model


class Plain:
    """One account, kept in the plainest way: all rows in dictionaries, every question a walk over all of them."""

    def __init__(self) -> None:
        self.head: Head | None = None
        self.balances: dict[str, Balance] = {}
        self.records: dict[str, Record] = {}
        self.entries: list[Entry] = []
        self.lots: dict[str, Lot] = {}
        self.items: dict[tuple[str, str], Item] = {}

    def apply(self, made: Commit) -> None:
        """Take a commit's rows."""
        self.head = made.head
        self.balances.update({each.unit: each for each in made.balances})
        self.records.update({each.key: each for each in made.records})
        self.entries.extend(made.entries)
        self.lots.update({each.lot: each for each in made.lots})
        for each in made.items:
            self.items.pop((each.kind, each.name), None)
            if each.value is not None:
                self.items[each.kind, each.name] = each

    def needed(self, need: Need) -> tuple[set[str], set[str], set[tuple[str, str]]]:
        """Return the keys of the records, lots and items that an answer to `need` must have at least."""
        if need.everything:
            return set(self.records), set(self.lots), set(self.items)
        due = -1 if need.due is None or self._quiet(need) else need.due
        lots = {name for unit, wanted in need.spend for name in self._prefix(unit, wanted, need.spend_at)}
        for each in self.lots.values():
            is_open = each.pending > 0 or each.active > 0 or each.held > 0
            if each.lot in need.lots or each.stem in need.stems or each.due_at <= due or (need.open_lots and is_open):
                lots.add(each.lot)
        return (
            {each.key for each in self.records.values() if each.key in need.keys or each.ref in need.refs},
            lots,
            {
                name
                for name, each in self.items.items()
                if name in need.items or name[0] in need.kinds or each.due_at <= due
            },
        )

    def _quiet(self, need: Need) -> bool:
        """Say whether nothing is due by `need.due`, if the head is right: then a store need not look."""
        return need.due is not None and self.head is not None and self.head.next_at > need.due

    def next_at(self, need: Need) -> set[int]:
        """Return the least instant after `need.due` at which a lot or an item is due, or what the head says of it."""
        if need.due is None:
            return {NEVER}
        instants = [each.due_at for each in self.lots.values()] + [each.due_at for each in self.items.values()]
        following = {min([at for at in instants if at > need.due], default=NEVER)}
        return following | ({self.head.next_at} if self.head is not None and self._quiet(need) else set())

    def _prefix(self, unit: str, wanted: int, at: int) -> list[str]:
        spendable = [
            each
            for each in self.lots.values()
            if each.unit == unit and each.active > 0 and each.active_at <= at < each.expires_at
        ]
        names = []
        for each in sorted(spendable, key=lambda each: (each.expires_at, each.earned_at, each.lot)):
            if wanted <= 0:
                break
            wanted -= each.active
            names.append(each.lot)
        return names

    def check(self, need: Need, context: Context) -> None:
        """Assert that `context` answers `need`: all that was asked for, and nothing that is not so."""
        records, lots, items = self.needed(need)
        assert self.head == context.head
        assert self.balances == dict(context.balances)
        assert_within(records, self.records, context.records)
        assert_within(lots, self.lots, context.lots)
        assert_within(items, self.items, context.items)
        assert context.next_at in self.next_at(need)
        if need.everything:
            assert sorted(self.entries, key=lambda each: each[:2]) == list(context.entries)


def assert_within(needed: set[Any], known: Any, answered: Any) -> None:
    """Assert that `answered` has at least the keys `needed`, and only rows that are `known`."""
    missing = needed - set(answered)
    assert not missing, f"asked for and not returned: {sorted(missing)}"
    assert {key: known.get(key) for key in answered} == dict(answered)


def as_lists(context: Context) -> Sequence[Any]:
    """Return a context in a form in which two can be compared, whatever collections they use."""
    return [
        context.head,
        dict(context.balances),
        dict(context.records),
        dict(context.lots),
        dict(context.items),
        list(context.entries),
    ]
