"""Whatever columns a base has, engines and the histories made of its rows say the same; and so do plain purchases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

pytest.importorskip("narwhals", reason="frames need the extra: pip install loyaltykit[frames]")

from engines import ENGINES

from loyaltykit import frames
from loyaltykit.calendar import days, from_us, hours, months, to_us, years
from loyaltykit.conditions import Condition
from loyaltykit.frames._tables import rows as rows_of
from loyaltykit.matching import category, channel, code, sku
from loyaltykit.measures import (
    Measure,
    categories,
    codes,
    days_since_first,
    days_since_last,
    orders,
    periods,
    products,
    spend,
    value_of,
)  # fmt: skip
from loyaltykit.retention import purchases
from loyaltykit.thresholds import Threshold, progress
from loyaltykit.tiers import Ladder, tier_of
from loyaltykit.windows import Anniversary, calendar_month, lifetime

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")

AT = datetime(2025, 3, 9, 7, tzinfo=UTC)  # the day on which clocks are put forward in New York
KINDS = {"who": "text", "no": "text", "placed": "instant", "told": "instant", "cents": "integer", "here": "integer",
         "item": "text", "shelf": "text", "aisle": "text", "via": "text", "coupon": "text"}  # fmt: skip
SHARED = {"customer": "who", "at": "placed", "amount": "cents", "channel": "via", "code": "coupon"}
GOODS = {"sku": "item", "category": ("shelf", "aisle")}
SHAPES: dict[str, dict[str, Any]] = {
    "a row an order": SHARED,
    "rows of orders": {**SHARED, "order": "no"},
    "refunds by amounts": {**SHARED, "order": "no", "known": "told"},
    "rows with instants of their own": {**SHARED, "order": "no", "known": "placed"},
    "refunds said": {**SHARED, "order": "no", "known": "told", "present": "here"},
    "lines": {**SHARED, **GOODS, "order": "no"},
    "lines, refunds by amounts": {**SHARED, **GOODS, "order": "no", "known": "told"},
    "lines, refunds said": {**SHARED, **GOODS, "order": "no", "known": "told", "present": "here"},
}


def drawn(seed: int, shape: dict[str, Any], size: int = 60) -> dict[str, list[Any]]:
    """Return random rows that a base of this shape can be made of."""
    rng = Random(seed)
    edges = [
        AT,
        months(1).before(AT, "America/New_York"),
        days(30).before(AT, "America/New_York"),
        AT - timedelta(hours=24),
    ]
    found: list[dict[str, Any]] = []
    for number in range(size):
        moment = rng.choice(edges) + timedelta(microseconds=rng.choice([-1, 0, 0, 1]))
        if rng.random() < 0.5:
            moment = AT - timedelta(minutes=30 * rng.randrange(-200, 48 * 400))
        row = {
            "who": rng.choice(["ann", "o'brien", "Žofie", "NaN", None]), "no": f"{number}", "placed": moment,
            "told": None, "cents": rng.choice([0, 1, 999, 1000, 2500]), "here": 1,
            "item": rng.choice(["mug", "brew's"]), "shelf": rng.choice(["tea", "coffee", None]),
            "aisle": rng.choice(["tea", None]), "via": rng.choice(["web", "shop's", None]),
            "coupon": rng.choice(["MAI", "mai ", "Straße", "STRASSE", None]),
        }  # fmt: skip
        found.append(row)
        if "order" not in shape:
            continue
        if "sku" in shape and rng.random() < 0.4:
            found.append({**row, "item": "leaf", "cents": rng.choice([0, 700])})
        for _ in range(rng.choice([0, 0, 1, 2]) if "known" in shape else 0):
            told = moment + rng.choice([timedelta(0), timedelta(hours=rng.randrange(1, 2000)), AT - moment])
            back = -rng.choice([row["cents"], row["cents"], 1, 0])
            gone = -1 if rng.random() < 0.5 else 0
            taken = {**row, "told": max(told, moment), "cents": back, "here": gone}
            found.append({**taken, "placed": taken["told"]} if shape["known"] == "placed" else taken)
    rng.shuffle(found)
    return {name: [row[name] for row in found] for name in KINDS}


def based(engine: str, columns: dict[str, list[Any]], shape: dict[str, Any], **options: Any) -> tuple[frames.Base, Any]:
    """Return a base on an engine, and what turns its frames into rows."""
    pytest.importorskip(engine.partition("-")[0], reason=f"install {engine} to test it")
    make, collect = ENGINES[engine]()
    given = {name for value in shape.values() for name in ([value] if isinstance(value, str) else value)}
    columns = {name: values for name, values in columns.items() if name in given}
    frame = make(columns, {name: KINDS[name] for name in columns})
    return frames.Base(frame, zone="America/New_York", **shape, **options), collect


def measures(shape: dict[str, Any]) -> dict[str, Measure]:
    """Return what can be asked of a base of this shape."""
    windows: list[Any] = [lifetime(), months(1), days(30), hours(24), calendar_month(), Anniversary(years(1))]
    wheres: list[Any] = [None, channel("web"), code("straSSe"), ~channel("web", "shop's") | code("mai")]
    wheres += [category("tea"), sku("mug") & ~category("coffee")] if "sku" in shape else []
    makes: list[Any] = [
        spend,
        orders,
        codes,
        days_since_first,
        days_since_last,
        lambda w, where: periods("day", w, where=where),
    ]
    makes += [products, categories] if "sku" in shape else []
    every = [make(window, where=where) for make in makes for window in windows for where in wheres]
    return {f"m{place}": each for place, each in enumerate(every[:: 1 + len(every) // 40])}


@pytest.mark.parametrize(
    ("engine", "seed"), [("polars", 1), ("polars", 2), ("pandas-numpy", 1), ("pyarrow", 2), ("duckdb", 1)]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_an_engine_measures_what_pure_python_measures_on_histories_of_the_rows(
    engine: str, shape: str, seed: int
) -> None:
    """Every measure, of every base that columns can make, is that of the histories which are made of its rows."""
    base, collect = based(engine, drawn(seed, SHAPES[shape]), SHAPES[shape])
    asked = measures(SHAPES[shape])
    expected = {
        (name, rule): value_of(each, history, to_us(AT))
        for name, history in base.histories().items()
        for rule, each in asked.items()
    }
    actual = {(row["who"], rule): row[rule] for row in collect(frames.measure(base, asked, AT)) for rule in asked}
    assert expected == actual


@pytest.mark.parametrize("engine", ["pandas-nullable", "polars-lazy", "duckdb"])
@pytest.mark.parametrize("shape", ["a row an order", "lines, refunds by amounts", "refunds said"])
def test_thresholds_and_tiers_follow_from_the_rows(engine: str, shape: str) -> None:
    """What was reached, and which tier that gives, is what the histories of the rows say."""
    base, collect = based(engine, drawn(3, SHAPES[shape]), SHAPES[shape])
    threshold = Threshold("t", spend(calendar_month()), "25.00", until=days(30), refunds="revoke")
    ladders = {
        "now": Ladder("now", orders(months(1)), {"A": 0, "B": 2, "C": 5}),
        "long": Ladder("long", spend(months(1)), {"B": 10, "C": 60}, validity="end_of_period", grace=days(3)),
    }
    histories = base.histories()
    reached = {name: progress(threshold, history, AT) for name, history in histories.items()}
    named = "order" in SHAPES[shape]
    assert {(name, each.granted, each.order if named else None) for name, each in reached.items()} == {
        (row["who"], bool(row["granted"]), row["order"] if isinstance(row["order"], str) else None)
        for row in collect(frames.progress(base, threshold, AT))
    }
    assert {
        (name, *(tier_of(ladder, history, AT) for ladder in ladders.values())) for name, history in histories.items()
    } == {
        (row["who"], *(row[ladder] if isinstance(row[ladder], str) else None for ladder in ladders))
        for row in collect(frames.tiers(base, ladders, AT))
    }


@pytest.mark.parametrize("engine", ["pandas-numpy", "polars-lazy", "pyarrow", "duckdb"])
@pytest.mark.parametrize("seed", range(3))
def test_what_was_bought_is_what_plain_rows_say(engine: str, seed: int) -> None:
    """Rows with instants of their own mean what they mean as plain purchases: what is left, at the first instant."""
    shape = SHAPES["rows with instants of their own"]
    columns = drawn(seed, shape)
    base, _ = based(engine, columns, shape)
    plain = zip(columns["who"], columns["placed"], columns["cents"], columns["no"], strict=True)
    expected = {
        (bought.customer, to_us(bought.at), bought.amount, bought.order) for bought in purchases(plain, AT)
    }  # plain rows are in money; here, one minor unit is one of it
    actual = {
        (who, to_us(at.replace(tzinfo=UTC)), amount, order) for who, order, at, amount in rows_of(base.bought(AT))
    }
    assert expected == actual


@pytest.mark.parametrize("engine", ["pandas-numpy", "polars", "duckdb"])
def test_histories_go_into_any_frame_and_come_back(engine: str) -> None:
    """Exported to plain columns and read from an engine, histories answer as they did."""
    shape = SHAPES["lines, refunds said"]
    first = {name: each for name, each in based(engine, drawn(5, shape), shape)[0].histories().items()}
    make, _ = ENGINES[engine]()
    again = frames.export(first).base(make).histories()
    asked = measures(shape).values()
    assert [
        (name, value_of(each, history, to_us(AT))) for name, history in first.items() for each in asked
    ] == [(name, value_of(each, again[name], to_us(AT))) for name in first for each in asked]  # fmt: skip


def test_a_history_of_rows_forgets_what_was_not_known_yet() -> None:
    """When an answer changes by itself is asked of what was known at the instant, also of a history made of rows."""
    columns: dict[str, list[Any]] = {name: [] for name in KINDS}
    shape = SHAPES["refunds by amounts"]
    for cents, told in ((1000, None), (-1000, AT + timedelta(days=1))):
        row = {"who": "ann", "no": "1", "placed": AT - timedelta(days=3), "told": told, "cents": cents}
        for name in KINDS:
            columns[name].append(row.get(name))
    history = based("polars", columns, shape)[0].histories()["ann"]
    late: Condition = days_since_last() >= 5
    assert from_us(to_us(datetime(2025, 3, 11, 4, tzinfo=UTC))) == late.changes_at(history, AT)
