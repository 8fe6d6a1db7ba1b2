"""What cannot be answered rightly is refused: the error names the column, or the rule, and the way out."""

from __future__ import annotations

import subprocess
import sys
import warnings
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

pytest.importorskip("narwhals", reason="frames need the extra: pip install loyaltykit[frames]")
pl = pytest.importorskip("polars", reason="install polars to test it")

from loyaltykit import frames  # noqa: E402
from loyaltykit.calendar import days, months  # noqa: E402
from loyaltykit.errors import InputError, WrongCurrency  # noqa: E402
from loyaltykit.facts import Order  # noqa: E402
from loyaltykit.frames import _engines  # noqa: E402
from loyaltykit.history import History  # noqa: E402
from loyaltykit.matching import category, channel, code, sku  # noqa: E402
from loyaltykit.measures import (  # noqa: E402
    activities,
    balance_of,
    categories,
    codes,
    earned,
    orders,
    products,
    spend,
)  # fmt: skip
from loyaltykit.thresholds import Threshold  # noqa: E402
from loyaltykit.tiers import Ladder  # noqa: E402

AT = datetime(2026, 6, 30, tzinfo=UTC)
MARCH = datetime(2026, 3, 1)


LATE_IN_EUROS = Ladder("a", spend(currency="EUR"), {"A": 500}, grace=days(30))


def frame(**columns: Any) -> Any:
    """Return one order, with other columns."""
    return pl.DataFrame({"customer": ["ann"], "at": [MARCH], "order": ["1"], **columns})


@pytest.mark.parametrize(
    ("field", "columns", "named"),
    [
        ("base.amount", {"money": [12.5]}, {"amount": "money"}),
        ("base.amount", {"money": ["12.50"]}, {"amount": "money"}),
        ("base.amount", {"money": [None]}, {"amount": "money"}),
        ("base.amount", {"money": pl.Series([None], dtype=pl.Int64)}, {"amount": "money"}),
        ("base.amount", {"money": [float("nan")]}, {"amount": "money", "floats": "round"}),
        ("base.amount", {"money": [float("inf")]}, {"amount": "money", "floats": "round"}),
        ("base.amount", {"money": [Decimal("1.005")]}, {"amount": "money"}),
        ("base.amount", {"money": [Decimal("1.5")]}, {"amount": "money", "currency": "JPY"}),
        ("base.amount", {"money": [-100]}, {"amount": "money"}),
        ("base.amount", {"money": [-100]}, {"amount": "money", "order": "order"}),
        ("base.amount", {}, {"amount": "money"}),
        ("base.at", {"at": [date(2026, 3, 1)]}, {}),
        ("base.at", {"at": ["2026-03-01"]}, {}),
        ("base.at", {"at": pl.Series([MARCH]).dt.replace_time_zone("Europe/Paris")}, {}),
        ("base.at", {"at": pl.Series([None], dtype=pl.Datetime("us"))}, {}),
        ("base.customer", {"customer": [1.0]}, {}),
        ("base.order", {"order": [None]}, {"order": "order"}),
        ("base.sku", {"item": pl.Series([None], dtype=pl.String)}, {"sku": "item"}),
        ("base.present", {"here": [2]}, {"order": "order", "present": "here"}),
        ("base.present", {"here": ["yes"]}, {"order": "order", "present": "here"}),
        ("base.known", {}, {"known": "at"}),
        ("base.known", {}, {"known": "at", "order": "order"}),
        ("base.channel", {}, {"channel": "via"}),
        ("base.engine", {}, {"engine": "polars"}),
        ("base.engine", {}, {"engine": "pandas"}),
        ("base.floats", {}, {"floats": "yes"}),
        ("base.zone", {}, {"zone": "Mars/Base"}),
        ("base.currency", {}, {"currency": "dollar"}),
    ],
)  # fmt: skip
def test_a_column_that_cannot_be_counted_rightly_is_refused(field: str, columns: Any, named: Any) -> None:
    """The error names the column, and says what to do about it."""
    with pytest.raises(InputError) as error:
        frames.Base(frame(**columns), **named)
    assert field == error.value.field
    assert error.value.hint


def test_an_unchecked_base_asks_nothing_of_the_engine() -> None:
    """Without the check, a plan is not run: whoever turns it off vouches for the columns."""

    def run(_: Any) -> Any:
        raise AssertionError("the plan was run")

    lazy = frame(money=[500]).lazy().map_batches(run, schema={
        "customer": pl.String, "at": pl.Datetime("us"), "order": pl.String, "money": pl.Int64,
    })  # fmt: skip
    base = frames.Base(lazy, amount="money", check=False)
    rules = {"rich": (spend(months(6)) >= "250.00") & (orders() >= 2)}
    assert isinstance(frames.evaluate(base, rules, AT), pl.LazyFrame)
    with pytest.raises(AssertionError, match="the plan was run"):
        frames.Base(lazy, amount="money")


@pytest.mark.parametrize(
    "measure",
    [
        spend(), products(), categories(), codes(), activities("review"), earned(), balance_of(),
        orders(where=channel("web")), orders(where=code("MAI")), orders(where=category("tea")),
        orders(where=sku("mug")),
    ],
    ids=str,
)  # fmt: skip
def test_a_measure_of_what_the_base_has_no_column_for_is_refused(measure: Any) -> None:
    """Nothing known is not nothing bought: the error names the measure, and the column to name."""
    with pytest.raises(InputError) as error:
        frames.measure(frames.Base(frame()), {"m": measure}, AT)
    assert ("measure", str(measure)) == (error.value.field, error.value.value)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (lambda base: frames.measure(base, {"customer": orders()}, AT), "measures"),
        (lambda base: frames.measure(base, {"Customer": orders()}, AT), "measures"),
        (lambda base: frames.measure(base, [orders()], AT), "measures"),
        (lambda base: frames.measure(base, {"m": orders() >= 2}, AT), "measure"),
        (lambda base: frames.evaluate(base, {"m": orders()}, AT), "rules"),
        (lambda base: frames.members(base, "loyal", AT), "rules"),
        (lambda base: frames.measure(base, {"m": orders()}, MARCH), "at"),
        (lambda base: frames.stages(base, AT, 90), "lapsed"),
        (lambda base: frames.progress(base, orders() >= 2, AT), "threshold"),
        (lambda base: frames.progress(base, Threshold("t", spend(), "0.005"), AT), "threshold.target"),
        (lambda base: frames.tiers(base, [orders()], AT), "ladders"),
        (lambda base: frames.tiers(base, Ladder("customer", orders(), {"A": 0}), AT), "ladders"),
        (lambda base: frames.tiers(base, [Ladder("a", orders(), {"A": 0})] * 2, AT), "ladders"),
        (lambda base: frames.tiers(base, LATE_IN_EUROS, AT), "measure.currency"),
        (lambda base: frames.standings(base, "club", AT), "ladder"),
        (lambda base: frames.evaluate(base, {"m": spend() >= "0.005"}, AT), "spend.value"),
        (lambda base: frames.measure(base, {"m": spend(currency="EUR")}, AT), "measure.currency"),
    ],
)  # fmt: skip
def test_a_question_that_makes_no_sense_names_what_is_wrong(asked: Any, field: str) -> None:
    """The error names the argument."""
    base = frames.Base(frame(money=[500]), amount="money")
    with pytest.raises(InputError) as error:
        asked(base)
    assert field == error.value.field


def test_frames_of_several_kinds_and_what_is_no_frame_are_refused() -> None:
    """All frames of a base are of one kind; a list is none."""
    pa = pytest.importorskip("pyarrow", reason="install pyarrow to test it")
    with pytest.raises(InputError, match=r"customers\.frame"):
        frames.Base(frame(), customers=frames.Customers(pa.table({"customer": ["ann"]})))
    with pytest.raises(InputError, match=r"base\.frame='list'"):
        frames.Base([("ann", MARCH)])


def test_lines_come_from_one_place_and_customers_once() -> None:
    """A sku in the frame and lines of their own contradict each other; nobody is listed twice."""
    with pytest.raises(InputError, match=r"base\.lines"):
        frames.Base(frame(item=["mug"]), sku="item", lines=frames.Lines(frame(item=["mug"], amount=[1]), sku="item"))
    with pytest.raises(InputError, match=r"customers\.customer"):
        frames.Base(frame(), customers=frames.Customers(pl.DataFrame({"customer": ["ann", "ann"]})))


def test_histories_of_several_currencies_or_zones_are_not_one_base() -> None:
    """Their amounts do not add up, their days are not the same."""
    order = Order("1", "ann", AT, amount=5)
    with pytest.raises(WrongCurrency):
        frames.export({"ann": History([order]), "bo": History(currency="EUR")})
    with pytest.raises(InputError, match="histories='Europe/Paris, UTC'"):
        frames.export({"ann": History([order]), "bo": History(zone="Europe/Paris")})


# ---------------------------------------------------------------- engines


def test_an_engine_that_the_suite_has_not_passed_gives_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The warning names the engine; those that have passed give none."""
    monkeypatch.setattr(_engines, "CONFORMING", frozenset({"pandas"}))
    with pytest.warns(frames.EngineWarning, match="polars has not passed"):
        frames.Base(frame())
    monkeypatch.undo()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frames.Base(frame())


def test_an_engine_that_is_known_to_be_wrong_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No warning helps against answers that are silently wrong."""
    monkeypatch.setattr(_engines, "_WRONG", {"polars": "take another"})
    with pytest.raises(InputError, match="take another"):
        frames.Base(frame())


@pytest.mark.parametrize("engine", [None, "polars", "duckdb"])
def test_a_pandas_frame_is_moved_through_a_faster_engine_and_back(engine: Any) -> None:
    """The index is no column, other columns stay behind, and what comes back is a pandas frame."""
    pd = pytest.importorskip("pandas", reason="install pandas to test it")
    pytest.importorskip("pyarrow", reason="install pyarrow to test it")
    pytest.importorskip("duckdb", reason="install duckdb to test it")
    given = pd.DataFrame(
        {"who": ["bo", "ann", "ann"], "t": [pd.Timestamp(MARCH)] * 3, "c": [5, 6, 7], "other": [object()] * 3},
        index=[7, 7, 3],
    )
    base = frames.Base(given, customer="who", at="t", amount="c", engine=engine)
    found = frames.measure(base, {"spent": spend(), "orders": orders()}, AT)
    assert isinstance(found, pd.DataFrame)
    assert [("ann", 13, 2), ("bo", 5, 1)] == sorted(found.itertuples(index=False, name=None))
    assert ["who", "spent", "orders"] == list(found.columns)
    assert {"ann", "bo"} == set(base.histories())


def test_no_frame_library_is_loaded_by_the_core() -> None:
    """Whoever has no frames loads no library for them."""
    code = (
        "import sys, loyaltykit, loyaltykit.retention; "
        "print([name for name in ('narwhals', 'pandas', 'polars', 'pyarrow', 'duckdb', 'ibis') if name in sys.modules])"
    )
    assert "[]\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_who_lacks_the_extra_is_told_its_name() -> None:
    """Without Narwhals, the error says what to install."""
    code = "import sys; sys.modules['narwhals'] = None; import loyaltykit.frames"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'loyaltykit[frames]'" in done.stderr.splitlines()[-1]


def test_a_base_shows_its_engine_and_columns() -> None:
    """What a notebook shows is short, and runs nothing."""
    assert "<Base on polars: customer, at, order>" == repr(frames.Base(frame()))
