"""Exact money, quantities and whole numbers: converting, rounding, and splitting so that the parts sum to the whole.

Money is `decimal.Decimal` in a currency, or an integer number of the currency's minor units; points are integers;
what is in between is `fractions.Fraction`. A ``float`` is refused everywhere: 0.1 is not a tenth. Nothing here
depends on the caller's decimal context, whose precision or rounding an application may have changed.

Sources: ISO 4217 for minor units (the "List one" kept by SIX for ISO; a code that is not named there counts as two
decimals); Unicode CLDR (English) for currency symbols; the method of largest remainders (Hamilton's method) for
splitting; the General Decimal Arithmetic Specification for the names of the roundings.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, get_args

from loyaltykit.errors import InputError

Rounding = Literal["floor", "ceiling", "down", "up", "half_up", "half_down", "half_even"]

ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)
"""The roundings: ``down`` and ``up`` are towards and away from zero, ``half_up`` takes 0.5 away from zero."""

MAX_WHOLE = 2**63 - 1

# A number goes through `_LIMITS.plus` unchanged, or, where it breaks the limits (28 digits, 27 decimals, 15 digits
# before the point), raises; -0 becomes 0. Without limits, adding 1E-999999 to 1 would take a million digits.
_LIMITS = Context(prec=28, Emin=0, Emax=14, traps=[Inexact, InvalidOperation, Overflow])
# Room for products and sums of such numbers; what does not fit raises, so nothing is ever lost in silence.
_EXACT = Context(prec=200, Emin=0, Emax=199, traps=[Inexact, InvalidOperation, Overflow])
_DIGITS = "give at most 28 digits, and an amount below 10**15"
_CODE = "give a code of ISO 4217, three capital letters, as in 'EUR'"


# ---------------------------------------------------------------- conversion


def money(value: Any, field: str = "amount", minimum: int | Decimal | None = None) -> Decimal:
    """Return `value`, a ``Decimal``, ``int`` or ``str``, as a `Decimal`, exactly; else raise `InputError`.

    Refused: ``float`` and ``bool``, NaN and infinity, 10**15 and above in size, more than 28 digits or 27 decimals,
    and less than `minimum`.

    >>> money("12.50")
    Decimal('12.50')
    """
    if type(value) is not Decimal:
        value = _to_decimal(value, field)
    if not value.is_finite():
        raise InputError(field, value, "give a finite amount")
    try:
        value = _LIMITS.plus(value)
    except DecimalException:
        raise InputError(field, value, _DIGITS) from None
    if minimum is not None and value < minimum:
        raise InputError(field, value, f"at least {minimum}")
    return value  # type: ignore[no-any-return]


def quantity(value: Any, field: str = "quantity") -> Decimal:
    """Return `value` as a non-negative exact `Decimal`; fractions such as ``"0.350"`` (kilograms) are fine.

    >>> quantity(2), quantity("0.350")
    (Decimal('2'), Decimal('0.350'))
    """
    return money(value, field, 0)


def whole(value: Any, field: str = "points", minimum: int = 0, maximum: int = MAX_WHOLE) -> int:
    """Return `value` if it is an integer from `minimum` to `maximum`; else raise `InputError`.

    ``bool``, ``str``, ``float`` and ``Decimal`` are refused, even where they look whole.

    >>> whole(100)
    100
    """
    if type(value) is not int:
        value = _to_int(value, field)
    if not minimum <= value <= maximum:
        raise InputError(field, value, f"give a whole number from {minimum} to {maximum}")
    return value  # type: ignore[no-any-return]


def _to_int(value: Any, field: str) -> int:
    if not isinstance(value, bool):
        try:
            return int(operator.index(value))  # NumPy's integers, and integer enumerations
        except TypeError:
            pass
    raise InputError(field, value, "give a whole number, as an int")


def _to_decimal(value: Any, field: str) -> Decimal:
    if type(value) is int and -(10**15) < value < 10**15:
        return Decimal(value)
    if isinstance(value, str):
        # Decimal() would also take '1_000' and digits of other scripts, which no till means.
        if len(value) <= 100 and value.isascii() and "_" not in value:
            try:
                return Decimal(value)
            except InvalidOperation:
                pass
        raise InputError(field, value, "give a decimal number, as in '12.50'")
    if isinstance(value, Decimal):
        return Decimal(value)
    if isinstance(value, float):
        raise InputError(field, value, "a float is not exact; give a string or a Decimal, as in '12.50'")
    number = _to_int(value, field)
    if abs(number) >= 10**15:
        raise InputError(field, value, _DIGITS)
    return Decimal(number)


def exact(value: int | str | Decimal | Fraction, field: str = "amount") -> Fraction:
    """Return `value` as a `Fraction`, exactly.

    >>> exact("0.05")
    Fraction(1, 20)
    """
    return value if type(value) is Fraction else Fraction(*_ratio(value, field))


def _ratio(value: Any, field: str) -> tuple[int, int]:
    if type(value) is int:
        return value, 1
    if type(value) is not Decimal and isinstance(value, Fraction):
        return value.numerator, value.denominator
    return _decimal(value, field).as_integer_ratio()


def _decimal(value: Any, field: str) -> Decimal:
    """Take a computed `Decimal` as it is (a product has more decimals than money may), and all else as money."""
    if type(value) is not Decimal:
        return money(value, field)
    try:
        if value.is_finite():
            return _EXACT.plus(value)
    except DecimalException:
        pass
    raise InputError(field, value, "give a finite amount of at most 200 digits")


def product(left: Decimal, right: Decimal) -> Decimal:
    """Return the exact product, whatever the decimal context.

    >>> product(Decimal("3.50"), Decimal(2))
    Decimal('7.00')
    """
    return _EXACT.multiply(left, right)


def total(values: Iterable[Decimal]) -> Decimal:
    """Return the exact sum, whatever the decimal context.

    >>> total([Decimal("0.10"), Decimal("0.20")])
    Decimal('0.30')
    """
    result, add = Decimal(0), _EXACT.add
    for value in values:
        result = add(result, value)
    return result


# ---------------------------------------------------------------- currencies

_DECIMALS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_EXPONENTS = {code: places for places, codes in _DECIMALS.items() for code in codes.split()}

_SYMBOLS = {
    "AUD": "A$", "BRL": "R$", "CAD": "CA$", "CNY": "CN¥", "EUR": "€", "GBP": "£", "HKD": "HK$", "ILS": "₪",
    "INR": "₹", "JPY": "¥", "KRW": "₩", "MXN": "MX$", "NZD": "NZ$", "PHP": "₱", "TWD": "NT$", "USD": "$", "VND": "₫",
}  # fmt: skip


def exponent(currency: str) -> int:
    """Return how many decimals a currency has (ISO 4217 minor units): 2, unless the list says 0, 3 or 4.

    >>> exponent("USD"), exponent("JPY"), exponent("KWD")
    (2, 0, 3)
    """
    if not isinstance(currency, str):
        raise InputError("currency", currency, _CODE)
    return _exponent(currency)


@lru_cache(maxsize=1024)
def _exponent(code: str) -> int:
    if len(code) != 3 or not (code.isascii() and code.isalpha() and code.isupper()):
        raise InputError("currency", code, _CODE)
    return _EXPONENTS.get(code, 2)


def to_minor(
    value: int | str | Decimal | Fraction, currency: str, field: str = "amount", rounding: Rounding | None = None
) -> int:
    """Return money as a whole number of the currency's minor units (cents).

    What is not a whole number of them is refused, unless a `rounding` is named.

    >>> to_minor("12.50", "USD"), to_minor(150, "JPY"), to_minor("0.125", "USD", rounding="half_up")
    (1250, 150, 13)
    """
    places = exponent(currency)
    numerator, denominator = _ratio(value, field)
    numerator *= 10**places
    if rounding is not None:
        return _round(numerator, denominator, rounding)
    units, rest = divmod(numerator, denominator)
    if rest:
        raise InputError(field, value, f"an amount in {currency} has at most {places} decimals; round it first")
    return int(units)


def from_minor(units: int, currency: str) -> Decimal:
    """Return a whole number of minor units as money, with the currency's decimals: the inverse of `to_minor`.

    >>> from_minor(1250, "USD"), from_minor(150, "JPY")
    (Decimal('12.50'), Decimal('150'))
    """
    if type(units) is not int:
        units = _to_int(units, "units")
    try:
        return _EXACT.scaleb(Decimal(units), -exponent(currency))
    except DecimalException:
        raise InputError("units", units, "give at most 200 digits") from None


def format_money(value: int | str | Decimal, currency: str) -> str:
    """Return money as English readers write it; decimals beyond the currency's are shown, not rounded away.

    >>> format_money("250", "USD"), format_money(150, "JPY"), format_money("-1250.5", "SEK")
    ('$250.00', '¥150', '-1,250.50 SEK')
    """
    value = _decimal(value, "amount")
    places = max(exponent(currency), -int(value.normalize(_EXACT).as_tuple().exponent))
    digits = f"{value.copy_abs():,.{places}f}"
    sign = "-" if value < 0 else ""
    symbol = _SYMBOLS.get(currency)
    return f"{sign}{symbol}{digits}" if symbol else f"{sign}{digits} {currency}"


# ---------------------------------------------------------------- rounding and splitting


def round_to_int(value: int | str | Decimal | Fraction, mode: Rounding = "floor") -> int:
    """Return `value` rounded to an integer, exactly, by one of `ROUNDINGS`.

    >>> [round_to_int(Fraction(-5, 2), mode) for mode in ("floor", "down", "half_up", "half_even")]
    [-3, -2, -3, -2]
    """
    return _round(*_ratio(value, "amount"), mode)


def rounded(value: int | str | Decimal | Fraction, places: int = 2) -> Decimal:
    """Return `value` with so many decimals, rounded half up, whatever the decimal context.

    >>> rounded(Fraction(1, 8)), rounded(120), rounded(Fraction(-1, 3), 4)
    (Decimal('0.13'), Decimal('120.00'), Decimal('-0.3333'))
    """
    return Decimal(f"{round_to_int(exact(value) * 10**places, 'half_up')}E-{places}")


def _round(numerator: int, denominator: int, mode: str) -> int:
    lower, rest = divmod(numerator, denominator)
    if mode not in ROUNDINGS:
        raise InputError("rounding", mode, f"choose one of {', '.join(ROUNDINGS)}")
    if not rest or mode == "floor":
        return lower
    if mode == "ceiling":
        return lower + 1
    negative = numerator < 0
    if mode == "down" or mode == "up":
        return lower + ((mode == "up") != negative)
    twice = 2 * rest
    if twice != denominator:
        return lower + (twice > denominator)
    if mode == "half_even":
        return lower + lower % 2
    return lower + ((mode == "half_up") != negative)


def allocate(total: int, weights: Sequence[int | Decimal | Fraction]) -> list[int]:
    """Split `total` over `weights` in whole parts that sum to it exactly.

    Each part is ``total * weight / sum(weights)``, rounded down; the units that are left go to the parts with the
    largest remainders, ties to the first (Hamilton's method). Where all weights are 0 the split is equal; a
    negative total is the mirror image of the positive one. Weights are not negative.

    >>> allocate(100, [1, 1, 1]), allocate(-100, [1, 1, 1])
    ([34, 33, 33], [-34, -33, -33])
    """
    if type(total) is not int:
        total = _to_int(total, "total")
    shares = _whole_weights(weights)
    if not shares:
        if total:
            raise InputError("weights", (), f"there is nothing to split {total} over")
        return []
    # Integers throughout: a part is the quotient, and the remainders have one denominator, so they compare as they are.
    whole_of, size = sum(shares), abs(total)
    parts = [size * share // whole_of for share in shares]
    left = size - sum(parts)
    if left:
        rests = [-(size * share % whole_of) for share in shares]
        for place in sorted(range(len(parts)), key=rests.__getitem__)[:left]:
            parts[place] += 1
    return parts if total >= 0 else [-part for part in parts]


def _whole_weights(weights: Sequence[int | Decimal | Fraction]) -> list[int]:
    """Return integers in the proportion of `weights`; ones if all of them are 0."""
    ratios = [_ratio(weight, "weights") for weight in weights]
    common = math.lcm(*(denominator for _, denominator in ratios))
    shares = [numerator * (common // denominator) for numerator, denominator in ratios]
    if any(share < 0 for share in shares):
        raise InputError("weights", tuple(weights), "a weight is not negative")
    return shares if any(shares) else [1] * len(shares)
