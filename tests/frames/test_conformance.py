"""Every engine answers as pure Python does; and the suite that says so sees it where one does not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import product
from operator import gt
from typing import Any

import attrs
import pytest
from engines import ENGINES, need

need("narwhals", "pyarrow")

from loyaltykit import frames  # noqa: E402
from loyaltykit.testing._frames_data import ZONES, sample  # noqa: E402
from loyaltykit.testing._frames_rules import rules  # noqa: E402
from loyaltykit.testing.frames import conform  # noqa: E402
from loyaltykit.windows import Rolling, bounds  # noqa: E402

# The slower an engine is with small data, the fewer seeds: with a list of customers and without (2), with rows that
# tell all, or less (4, 5). The kinds of pandas differ in their columns alone, and share the seeds.
SLOWER = ("duckdb", "pandas-numpy")
SEEDS = {
    **dict.fromkeys(SLOWER, (1, 2, 4, 5)), "pandas-nullable": (1, 5), "pandas-arrow": (2, 4),
    "ibis": (1, 2, 5), "pyspark": (1, 2, 5),
}  # fmt: skip
SIZES = {"ibis": {"rules": 24}, "pyspark": {"rules": 24}}


@pytest.mark.filterwarnings(
    "ignore:PySpark does not yet fully support:FutureWarning",
    "ignore::ResourceWarning",  # sockets between Python and Java
    "ignore:fetch_arrow_table:DeprecationWarning",  # Ibis asks DuckDB in an older way
)
@pytest.mark.parametrize("engine", [*ENGINES, "pyspark"], indirect=True)
def test_an_engine_answers_as_pure_python_does(engine: Any, request: pytest.FixtureRequest) -> None:
    """Whatever is asked of whomever: not one answer of an engine differs from that of pure Python."""
    name = request.node.callspec.params["engine"]

    found = conform(*engine, SEEDS.get(name, range(6)), customers=60, **SIZES.get(name, {}))

    assert {"measure", "evaluate", "progress", "tiers", "standings", "lists", "tables"} == {
        check for check, count in found.answers if count > 1
    }


# ---------------------------------------------------------------- what is drawn


def test_orders_lie_at_the_bounds_of_windows_and_a_microsecond_beside_them() -> None:
    """Samples have orders just before, at and just after the first instant of rolling windows, and now."""
    seen = set()
    for seed in range(12):
        drawn = sample(seed, 60)
        placed = {sale.at for history in drawn.histories.values() for sale in history.purchases}
        edges = {bounds(each, drawn.at, drawn.zone).us[0] for each in drawn.windows if isinstance(each, Rolling)}
        edges.add(bounds(drawn.windows[0], drawn.at, drawn.zone).us[1])
        seen |= {step for edge, step in product(edges, range(-2, 3)) if edge is not None and edge + step in placed}

    assert {-2, -1, 0, 1} <= seen


def test_samples_have_everything_that_can_happen() -> None:
    """Samples have several zones, guests, refunds that are known late, customers without anything, odd names."""
    drawn = [sample(seed, 60) for seed in range(len(ZONES))]
    sales = [sale for each in drawn for history in each.histories.values() for sale in history.purchases]

    assert set(ZONES) == {each.zone for each in drawn}
    assert any(each.guests.purchases for each in drawn)
    assert any(sale.back and sale.known > sale.at for sale in sales)
    assert any(sale.amount > 0 and sale.known > sale.at for sale in sales)
    assert any(not history.facts for each in drawn for history in each.histories.values())
    assert {"o'brien", "NaN", "null", "日本"} <= drawn[0].histories.keys()
    assert {True, False} == {each.listed for each in drawn}


def test_the_same_seed_draws_the_same() -> None:
    """A sample and its rules depend on the seed alone, and differ from those of another one."""
    first, again, other = sample(3, 20), sample(3, 20), sample(4, 20)

    assert first.at == again.at
    assert [each.facts for each in first.histories.values()] == [each.facts for each in again.histories.values()]
    assert rules(first, 12) == rules(again, 12)
    assert rules(first, 12) != rules(other, 12)


def test_some_customers_just_reach_what_is_compared() -> None:
    """Conditions are true of some customers and false of others, and many compare with a value that somebody has."""
    drawn = sample(1, 60)
    asked = rules(drawn, 40)

    split = 0
    for condition in asked.conditions.values():
        split += len({condition.matches(history, drawn.at) for history in drawn.histories.values()}) == 2
    assert split > 20


# ---------------------------------------------------------------- slips that must be seen


def _greater(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(frames._rules._OPS, ">=", gt)


def _bound(patch: pytest.MonkeyPatch) -> None:
    def other_side(*asked: Any) -> Any:
        span = bounds(*asked)
        return attrs.evolve(span, after_start=not span.after_start)

    patch.setattr(frames._plan, "bounds", other_side)


def _early(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(frames._plan.Plan, "_known", lambda plan, table: table.frame)


def _at(patch: pytest.MonkeyPatch) -> None:
    real = frames._base.lit
    patch.setattr(frames._plan, "lit", lambda us: real(us - 1))


def _guests(patch: pytest.MonkeyPatch) -> None:
    import narwhals.stable.v2 as nw

    real = frames._base.table

    def filled(name: str, frame: Any, columns: Any, *others: Any) -> Any:
        return real(name, frame.with_columns(nw.col(columns["customer"]).fill_null("null")), columns, *others)

    patch.setattr(frames._base, "table", filled)


def _days(patch: pytest.MonkeyPatch) -> None:
    real = frames._plan.wall
    patch.setattr(frames._plan, "wall", lambda at, zone, span: real(at, "UTC", span))


SLIPS: list[Callable[[pytest.MonkeyPatch], None]] = [_greater, _bound, _early, _at, _guests, _days]


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_seen(slip: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """More than for at least, the wrong side of a bound, a refund before it is known, a guest, UTC days: all seen."""
    need("polars")
    slip(monkeypatch)

    with pytest.raises(AssertionError, match="answers differ from those of pure Python"):
        conform(*ENGINES["polars"](), (1, 2), customers=50)


def test_what_differs_is_shown_small() -> None:
    """A wrong answer is shown with its rule, one customer, and no more of what they did than is needed."""
    need("polars")
    make, collect = ENGINES["polars"]()

    def wrong(frame: Any) -> Any:
        rows = collect(frame)
        for row in rows:
            if row["customer id"] == "ann" and "m1" in row:
                row["m1"] += 1
        return rows

    with pytest.raises(AssertionError) as caught:
        conform(make, wrong, [0], customers=20)

    told = str(caught.value)
    assert "1 answers differ" in told
    assert "measure[m1] of 'ann': 1 on the engine, 0 in pure Python" in told
    assert "'ann'" in told.splitlines()[-1]
    assert timedelta(0) == sample(0, 20).at.utcoffset()
