"""Exact numbers: what is taken as one, rounding, currencies, and parts that sum to the whole."""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest
from hypothesis import given, strategies as st

from loyaltykit.amounts import (
    MAX_WHOLE,
    ROUNDINGS,
    allocate,
    exact,
    exponent,
    format_money,
    from_minor,
    money,
    product,
    quantity,
    round_to_int,
    rounded,
    to_minor,
    total,
    whole,
)
from loyaltykit.errors import InputError

AMOUNTS = st.decimals(-(10**15) + 1, 10**15 - 1, places=4, allow_nan=False, allow_infinity=False)
FRACTIONS = st.fractions(-(10**6), 10**6, max_denominator=1000)
CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "KWD", "CLF", "XYZ"])


@pytest.fixture
def coarse() -> Iterator[None]:
    """Set a decimal context in which ordinary arithmetic loses digits, as an application might."""
    with decimal.localcontext() as context:
        context.prec = 3
        context.traps[decimal.InvalidOperation] = False
        yield


# ---------------------------------------------------------------- conversion


class TestMoney:
    @given(AMOUNTS)
    def test_a_decimal_is_taken_exactly(self, value: Decimal) -> None:
        """Money comes out with the very digits with which it went in."""
        assert str(value if value else abs(value)) == str(money(value)) == str(money(str(value)))

    @given(st.integers(-(10**15) + 1, 10**15 - 1))
    def test_an_integer_is_taken_exactly(self, value: int) -> None:
        """Whole amounts may be integers."""
        assert value == money(value)
        assert type(money(value)) is Decimal

    @pytest.mark.parametrize("value", ["12.50", "+12.50", " 12.50 ", "1250E-2"])
    def test_strings_are_decimal_numbers(self, value: str) -> None:
        """A string is read as a decimal number in the usual ways of writing one."""
        assert Decimal("12.50") == money(value)

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "twelve",
            "12,50",
            "1_000",
            "١٢",
            "0x10",
            "12.50 EUR",
            "NaN",
            "-inf",
            "1e99999999999999999999",
            "1" * 5000,
        ],
    )
    def test_other_strings_are_refused(self, value: str) -> None:
        """What is no decimal number, or only to Python, is refused."""
        with pytest.raises(InputError) as caught:
            money(value, "line.total")
        assert caught.value.field == "line.total"

    @pytest.mark.parametrize("value", [0.1, float("nan"), float("inf"), 2.0])
    def test_floats_are_refused_with_the_way_out(self, value: float) -> None:
        """A float is not exact, and the message says what to give instead."""
        with pytest.raises(InputError, match=r"string or a Decimal"):
            money(value)

    @pytest.mark.parametrize("value", [True, None, b"1", [1], Fraction(1, 3), 1 + 0j])
    def test_what_is_no_amount_is_refused(self, value: Any) -> None:
        """A truth value, nothing at all, a third: no money."""
        with pytest.raises(InputError):
            money(value)

    @pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
    def test_amounts_are_finite(self, value: str) -> None:
        """Neither NaN nor infinity is an amount."""
        with pytest.raises(InputError, match="finite"):
            money(Decimal(value))

    @pytest.mark.parametrize(
        "value", [10**15, "-1e15", Decimal("1e400"), "1." + "1" * 28, "1E-28", Decimal("1e-999999")]
    )
    def test_amounts_have_bounds(self, value: Any) -> None:
        """What is too large, or would need more digits than any currency has, is refused at once."""
        with pytest.raises(InputError, match="28 digits"):
            money(value)

    def test_the_bounds_themselves(self) -> None:
        """The largest amount and the finest are taken."""
        assert money(10**15 - 1) == 10**15 - 1
        assert Decimal("1e-27") == money("1e-27")
        assert str(money("999999999999999.9999999999999")) == "999999999999999.9999999999999"

    def test_there_is_no_negative_zero(self) -> None:
        """Minus nothing is nothing, in print too."""
        assert str(money("-0.00")) == "0.00"

    def test_a_minimum_is_inclusive(self) -> None:
        """An amount may be the least one allowed, and not less."""
        assert money("0.00", minimum=0) == 0
        assert Decimal("0.01") == money("0.01", minimum=Decimal("0.01"))
        with pytest.raises(InputError, match="at least 0"):
            money("-0.01", minimum=0)

    def test_subclasses_become_plain(self) -> None:
        """A subclass of Decimal or int is taken for its value."""

        class Price(Decimal):
            pass

        class Level(IntEnum):
            TWO = 2

        assert type(money(Price("1.50"))) is Decimal
        assert Decimal(2) == money(Level.TWO)

    @pytest.mark.usefixtures("coarse")
    def test_the_callers_decimal_context_does_not_matter(self) -> None:
        """An application that computes with three digits, or traps nothing, gets the same money."""
        assert "12345.67" == str(money("12345.67")) == str(money(Decimal("12345.67")))
        assert to_minor("12345.67", "USD") == 1_234_567
        assert str(from_minor(1_234_567, "USD")) == "12345.67"
        assert format_money("-12345.675", "USD") == "-$12,345.675"
        assert str(product(Decimal("12345.67"), Decimal(3))) == "37037.01"
        assert str(total([Decimal("12345.67"), Decimal(1)])) == "12346.67"
        assert round_to_int(Decimal("12345.67"), "half_up") == 12_346
        assert "12345.68" == str(rounded(Decimal("12345.675")))
        with pytest.raises(InputError):
            money("twelve")


class TestQuantityAndWhole:
    @given(st.decimals(0, 10**9, places=3))
    def test_quantities_may_have_fractions(self, value: Decimal) -> None:
        """Cheese is sold by weight."""
        assert value == quantity(str(value))

    @pytest.mark.parametrize("value", ["-1", 1.5, True, "NaN", None])
    def test_a_quantity_is_not_negative(self, value: Any) -> None:
        """Less than nothing, or about so much, was never sold."""
        with pytest.raises(InputError) as caught:
            quantity(value, "line.quantity")
        assert caught.value.field == "line.quantity"

    @given(st.integers(0, MAX_WHOLE))
    def test_points_are_integers(self, value: int) -> None:
        """Points are whole numbers up to 2**63 - 1."""
        assert value == whole(value)

    @pytest.mark.parametrize("value", [True, "1", 1.0, Decimal(1), None, -1, 2**63, 10**40, Fraction(1)])
    def test_points_are_nothing_else(self, value: Any) -> None:
        """What merely looks like a whole number is refused, and so is what 64 bits cannot hold."""
        with pytest.raises(InputError):
            whole(value)

    def test_bounds_may_be_given(self) -> None:
        """A minimum and a maximum are inclusive."""
        assert [whole(1, minimum=1, maximum=5), whole(5, minimum=1, maximum=5)] == [1, 5]
        for value in (0, 6):
            with pytest.raises(InputError, match="from 1 to 5"):
                whole(value, minimum=1, maximum=5)

    def test_integers_of_other_libraries_count(self) -> None:
        """Whatever serves Python as an index (NumPy's integers) is an integer, and becomes a plain one."""

        class Int64:
            def __index__(self) -> int:
                return 7

        assert type(whole(Int64())) is int
        assert 7 == whole(Int64()) == money(Int64())


class TestExact:
    @given(AMOUNTS)
    def test_nothing_is_lost(self, value: Decimal) -> None:
        """A decimal is a fraction, exactly."""
        assert Fraction(value) == exact(value) == exact(str(value))

    def test_fractions_and_integers_stay(self) -> None:
        """What is exact already is left alone."""
        third = Fraction(1, 3)
        assert exact(third) is third
        assert Fraction(7) == exact(7)

    @pytest.mark.parametrize(
        "value", [0.1, True, Decimal("NaN"), Decimal("Infinity"), Decimal("1E-9999"), Decimal("1E9999")]
    )
    def test_what_is_not_exact_is_refused(self, value: Any) -> None:
        """Floats and the like have no exact value, and monstrous decimals are not expanded."""
        with pytest.raises(InputError):
            exact(value)

    @given(AMOUNTS, st.decimals(0, 10**9, places=3))
    def test_products_and_sums_are_exact(self, price: Decimal, count: Decimal) -> None:
        """Arithmetic on money loses nothing, however many digits it needs."""
        assert Fraction(price) * Fraction(count) == Fraction(product(price, count)) == exact(product(price, count))
        assert Fraction(price) + Fraction(count) == Fraction(total([price, count]))
        assert Decimal(0) == total([])


# ---------------------------------------------------------------- currencies


class TestCurrencies:
    @pytest.mark.parametrize(
        ("code", "places"),
        [("USD", 2), ("EUR", 2), ("JPY", 0), ("KRW", 0), ("ISK", 0), ("KWD", 3), ("TND", 3), ("CLF", 4), ("ZZZ", 2)],
    )
    def test_currencies_have_their_decimals(self, code: str, places: int) -> None:
        """Minor units are those of ISO 4217; what it does not list has two decimals."""
        assert places == exponent(code)

    @pytest.mark.parametrize("code", ["usd", "US", "DOLLAR", "", "U$D", "ÄÖÜ", None, 840, ["USD"]])
    def test_a_currency_is_three_capital_letters(self, code: Any) -> None:
        """A misspelt currency is an error, not a currency with two decimals."""
        with pytest.raises(InputError, match="ISO 4217"):
            exponent(code)

    @given(st.integers(-(10**17), 10**17), CURRENCIES)
    def test_minor_units_come_back(self, units: int, currency: str) -> None:
        """Minor units to money and back is no change, and the money shows the currency's decimals."""
        value = from_minor(units, currency)
        assert units == to_minor(value, currency)
        assert -exponent(currency) == value.as_tuple().exponent

    @pytest.mark.parametrize(
        ("value", "currency", "units"),
        [("12.50", "USD", 1250), (150, "JPY", 150), ("1.5", "KWD", 1500), ("-0.01", "EUR", -1), ("1E3", "JPY", 1000)],
    )
    def test_minor_units(self, value: Any, currency: str, units: int) -> None:
        """An amount is so many cents, yen or fils."""
        assert units == to_minor(value, currency)

    @pytest.mark.parametrize(
        ("value", "currency"),
        [("12.505", "USD"), ("0.5", "JPY"), ("0.0001", "KWD"), (Fraction(1, 3), "EUR"), (0.5, "USD")],
    )
    def test_what_is_no_whole_number_of_minor_units_is_refused(self, value: Any, currency: str) -> None:
        """Half a cent is not rounded away unless the caller says how."""
        with pytest.raises(InputError) as caught:
            to_minor(value, currency, "order.total")
        assert caught.value.field == "order.total"

    @given(AMOUNTS, CURRENCIES, st.sampled_from(ROUNDINGS))
    def test_a_named_rounding_rounds(self, value: Decimal, currency: str, mode: Any) -> None:
        """With a rounding named, any amount becomes minor units by that rounding."""
        expected = round_to_int(Fraction(value) * 10 ** exponent(currency), mode)
        assert (
            expected == to_minor(value, currency, rounding=mode) == to_minor(Fraction(value), currency, rounding=mode)
        )

    @pytest.mark.parametrize("units", [1.0, True, "1", None, 10**300])
    def test_minor_units_are_integers(self, units: Any) -> None:
        """Money is made of whole minor units."""
        with pytest.raises(InputError):
            from_minor(units, "USD")

    @pytest.mark.parametrize(
        ("value", "currency", "text"),
        [
            ("250", "USD", "$250.00"),
            (150, "JPY", "¥150"),
            ("250", "SEK", "250.00 SEK"),
            ("-1250.5", "EUR", "-€1,250.50"),
            ("1234567.891", "KWD", "1,234,567.891 KWD"),
            ("1.999", "USD", "$1.999"),
            ("1.5", "JPY", "¥1.5"),
            ("1E3", "USD", "$1,000.00"),
            (0, "GBP", "£0.00"),
            ("-0.00", "GBP", "£0.00"),
        ],
    )
    def test_how_money_is_written(self, value: Any, currency: str, text: str) -> None:
        """Money has its symbol or code, all decimals of the currency, and more where there are more."""
        assert text == format_money(value, currency)

    @given(AMOUNTS, CURRENCIES)
    def test_writing_money_loses_nothing(self, value: Decimal, currency: str) -> None:
        """What is written is the amount, not a rounded one."""
        digits = "".join(sign for sign in format_money(value, currency) if sign in "-.0123456789")
        assert value == Decimal(digits)


# ---------------------------------------------------------------- rounding and splitting


class TestRounding:
    @given(FRACTIONS, st.sampled_from(ROUNDINGS))
    def test_the_result_is_a_neighbour(self, value: Fraction, mode: Any) -> None:
        """Rounding goes to one of the two integers around a number, to the nearer where it rounds halves."""
        result = round_to_int(value, mode)
        assert floor(value) <= result <= ceil(value)
        if mode.startswith("half"):
            assert abs(result - value) <= Fraction(1, 2)

    @given(FRACTIONS)
    def test_directions(self, value: Fraction) -> None:
        """Down and up are towards and away from zero, floor and ceiling are below and above."""
        assert floor(value) == round_to_int(value, "floor") == round_to_int(value)
        assert ceil(value) == round_to_int(value, "ceiling")
        assert int(value) == round_to_int(value, "down")
        assert abs(round_to_int(value, "up")) == ceil(abs(value))
        assert round(value) == round_to_int(value, "half_even")

    @given(FRACTIONS, st.integers(0, 6))
    def test_decimals(self, value: Fraction, places: int) -> None:
        """Rounded to so many decimals, a number has just them, and is the nearest that has, halves away from zero."""
        result = rounded(value, places)
        assert -places == result.as_tuple().exponent
        assert round_to_int(value * 10**places, "half_up") == Fraction(result) * 10**places

    @given(AMOUNTS)
    def test_the_decimal_module_agrees(self, value: Decimal) -> None:
        """The names mean what they mean in the decimal module."""
        for mode in ROUNDINGS:
            with decimal.localcontext(prec=60):
                assert int(value.to_integral_value(f"ROUND_{mode.upper()}")) == round_to_int(value, mode)

    @given(FRACTIONS, st.sampled_from(["down", "up", "half_up", "half_down", "half_even"]))
    def test_these_are_symmetric(self, value: Fraction, mode: Any) -> None:
        """What goes back rounds as what came: only floor and ceiling know a direction."""
        assert -round_to_int(value, mode) == round_to_int(-value, mode)

    @pytest.mark.parametrize(
        ("mode", "expected"),
        [
            ("floor", [-3, -2, 1, 2]),
            ("ceiling", [-2, -1, 2, 3]),
            ("down", [-2, -1, 1, 2]),
            ("up", [-3, -2, 2, 3]),
            ("half_up", [-3, -2, 2, 3]),
            ("half_down", [-2, -1, 1, 2]),
            ("half_even", [-2, -2, 2, 2]),
        ],
    )
    def test_halves(self, mode: Any, expected: list[int]) -> None:
        """How each mode takes -2.5, -1.5, 1.5 and 2.5."""
        assert expected == [round_to_int(Decimal(half), mode) for half in ("-2.5", "-1.5", "1.5", "2.5")]

    def test_an_unknown_mode_is_refused(self) -> None:
        """A misspelt rounding is an error even where nothing needs rounding."""
        with pytest.raises(InputError, match="half_even"):
            round_to_int(1, "bankers")  # type: ignore[arg-type]


WEIGHTS = st.lists(st.one_of(st.integers(0, 10**6), st.fractions(0, 1000, max_denominator=99)), min_size=1, max_size=12)


class TestAllocate:
    @given(st.integers(-(10**12), 10**12), WEIGHTS)
    def test_parts_sum_to_the_whole(self, whole: int, weights: list[Any]) -> None:
        """Nothing is lost and nothing is added."""
        assert whole == sum(allocate(whole, weights))

    @given(st.integers(0, 10**12), WEIGHTS)
    def test_every_part_is_its_quota_rounded(self, whole: int, weights: list[Any]) -> None:
        """A part is its exact share, rounded down or up, and a weight of nothing gets nothing."""
        quotas = [Fraction(whole) * weight / sum(weights) for weight in weights] if any(weights) else None
        for place, part in enumerate(allocate(whole, weights)):
            quota = quotas[place] if quotas else Fraction(whole, len(weights))
            assert floor(quota) <= part <= ceil(quota)

    @given(st.integers(0, 10**12), WEIGHTS.filter(any))
    def test_the_largest_remainders_come_first_then_the_first(self, whole: int, weights: list[Any]) -> None:
        """Who was rounded up has a larger remainder than who was not, or the same and an earlier place."""
        quotas = [Fraction(whole) * weight / sum(weights) for weight in weights]
        parts = allocate(whole, weights)
        rounded_up = {place for place, part in enumerate(parts) if part > quotas[place]}
        ranks = [(-(quota % 1), place) for place, quota in enumerate(quotas)]
        left = whole - sum(floor(quota) for quota in quotas)
        expected = sorted(range(len(parts)), key=ranks.__getitem__)[:left]
        assert set(expected) == rounded_up

    @given(st.integers(0, 10**12), WEIGHTS)
    def test_a_negative_total_is_the_mirror_image(self, whole: int, weights: list[Any]) -> None:
        """What goes back splits exactly as what came."""
        assert [-part for part in allocate(whole, weights)] == allocate(-whole, weights)

    @given(st.integers(0, 10**12), WEIGHTS, st.integers(1, 1000))
    def test_only_the_proportions_matter(self, whole: int, weights: list[Any], factor: int) -> None:
        """Weights in cents and in dollars split alike."""
        assert allocate(whole, weights) == allocate(whole, [weight * factor for weight in weights])

    @pytest.mark.parametrize(
        ("whole", "weights", "parts"),
        [
            (100, [1, 1, 1], [34, 33, 33]),
            (-100, [1, 1, 1], [-34, -33, -33]),
            (5, [0, 0], [3, 2]),
            (1, [1, 2], [0, 1]),
            (10, [Decimal("0.5"), Decimal("1.5")], [3, 7]),
            (10, [Fraction(1, 3), Fraction(2, 3)], [3, 7]),
            (0, [3, 4], [0, 0]),
            (7, [5], [7]),
            (0, [], []),
        ],
    )
    def test_by_hand(self, whole: int, weights: list[Any], parts: list[int]) -> None:
        """The splits that a person works out by hand."""
        assert parts == allocate(whole, weights)

    @pytest.mark.parametrize(
        ("whole", "weights"),
        [(1, []), (1, [-1, 2]), (1, [0.5, 0.5]), (1, [True, 1]), (1.0, [1]), (True, [1]), ("1", [1])],
    )
    def test_what_cannot_be_split_is_refused(self, whole: Any, weights: Any) -> None:
        """Nothing to split over, negative or inexact weights, an inexact total."""
        with pytest.raises(InputError):
            allocate(whole, weights)
