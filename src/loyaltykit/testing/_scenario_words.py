"""What a scenario's program may say in words: periods, windows, measures, benefits, tiers by their thresholds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, get_args

from loyaltykit.basis import BASES
from loyaltykit.calendar import CalendarUnit
from loyaltykit.errors import InputError
from loyaltykit.testing._scenario_form import day, end_of_day, moment
from loyaltykit.wire import to_data

# ---------------------------------------------------------------- periods and windows


_UNITS = {
    "microsecond": {"microseconds": 1},
    "second": {"microseconds": 1_000_000},
    "minute": {"microseconds": 60_000_000},
    "hour": {"microseconds": 3_600_000_000},
    "day": {"days": 1},
    "week": {"days": 7},
    "month": {"months": 1},
    "quarter": {"months": 3},
    "year": {"months": 12},
}
_CALENDAR = "|".join(get_args(CalendarUnit))
PERIOD = (
    rf"(([0-9]{{1,9}}) ({'|'.join(_UNITS)})s?(,? to the end of the ({_CALENDAR}))?|to the end of the ({_CALENDAR}))"
)
"""A period in words."""

WINDOW = rf"((in the )?(past (([0-9]{{1,9}}) )?({'|'.join(_UNITS)})s?|calendar ({_CALENDAR})|membership year)|ever)"
"""A window of time in words, those that rules say of themselves."""

_NAMED = {"earned": "points", "balance": "points"}
_KINDS = "spend|orders|products|categories|codes|earned|balance|days_since_first|days_since_last"
MEASURE = rf"({_KINDS})( {WINDOW})?"
"""A measure in words: what is counted, in which window. Points are those of the unit ``points``."""


def period(value: Any) -> Any:
    """Return a period in words as the data of a `Period`; everything else as it is.

    >>> period("12 months to the end of the month"), period("30 days"), period("to the end of the year")
    ({'months': 12, 'end_of': 'month'}, {'days': 30}, {'end_of': 'year'})
    """
    found = re.fullmatch(PERIOD, value) if isinstance(value, str) else None
    if found is None:
        return value
    _, count, unit, _, end, only = found.groups()
    data: dict[str, Any] = {} if only else {name: int(count) * size for name, size in _UNITS[unit].items()}
    return {**data, "end_of": end or only} if end or only else data


def window(value: Any) -> Any:
    """Return a window in words as data; everything else as it is.

    >>> window("past 6 months"), window("calendar year")
    ({'type': 'rolling', 'period': {'months': 6}}, {'type': 'calendar_window', 'unit': 'year'})
    """
    found = re.fullmatch(WINDOW, value) if isinstance(value, str) else None
    if found is None:
        return value
    _, _, _, _, count, unit, calendar = found.groups()
    if unit:
        return {"type": "rolling", "period": period(f"{count or 1} {unit}")}
    if calendar:
        return {"type": "calendar_window", "unit": calendar}
    return {"type": "lifetime" if value == "ever" else "anniversary"}


def measure(value: Any) -> Any:
    """Return a measure in words as data; everything else as it is.

    >>> measure("orders in the past 5 weeks")
    {'kind': 'orders', 'window': {'type': 'rolling', 'period': {'days': 35}}}
    """
    found = re.fullmatch(MEASURE, value) if isinstance(value, str) else None
    if found is None:
        return value
    data = {"kind": found[1]} | ({"name": _NAMED[found[1]]} if found[1] in _NAMED else {})
    return {**data, "window": window(found[3])} if found[3] else data


# ---------------------------------------------------------------- benefits and tiers


def benefit(value: Any) -> Any:
    """Return a benefit by its name as data: what is no free shipping, no points, and nothing off, is a perk.

    >>> benefit("10% off the next purchase")
    {'name': '10% off the next purchase', 'kind': 'percent_off', 'percent': '10'}
    >>> benefit("500 points"), benefit("early access")
    ({'name': '500 points', 'kind': 'points', 'points': 500}, {'name': 'early access'})
    """
    if not isinstance(value, str):
        return value
    if value == "free shipping":
        return {"name": value, "kind": "free_shipping"}
    if re.fullmatch(r"[0-9][0-9,]{0,24} points", value):
        return {"name": value, "kind": "points", "points": int(value.removesuffix(" points").replace(",", ""))}
    if found := re.fullmatch(r"([0-9.]{1,20})% off .+", value):
        return {"name": value, "kind": "percent_off", "percent": found[1]}
    if found := re.fullmatch(r"([0-9.]{1,20}) off .+", value):
        return {"name": value, "kind": "amount_off", "worth": found[1]}
    return {"name": value}


def _benefits(value: Any) -> Any:
    if isinstance(value, list):
        return [benefit(each) for each in value]
    return value if value is None else [benefit(value)]


def _tiers(value: Mapping[str, Any]) -> list[Any]:
    """Return tiers by name, each with its threshold or with more, as an array."""
    return [
        {"name": name, **each} if isinstance(each, dict) else {"name": name, "threshold": each}
        for name, each in value.items()
    ]


# ---------------------------------------------------------------- programs

POLICIES = {"clamp_forgive": "clamp", "from_activation": "activation", "from_earning": "earning"}
"""Names of policies that say more than the field does by itself, and what the program calls them."""

_RULE_INSTANTS = frozenset({"starts", "ends", "effective_from"})
_PERIODS = frozenset({"validity", "activation", "inactivity", "period", "grace", "catch_up", "until"})
STATUS = frozenset({"tiers", "thresholds", "segments", "badges", "cards", "occasions"})
"""The fields of a program in which measures, conditions and benefits stand."""
SEVERAL = frozenset({"benefits", "entry", "grants"})
"""The fields in them that hold any number of benefits."""
ONE = frozenset({"benefit", "coupon"})
"""The fields in them that hold one benefit."""


def program_spelled_out(data: Any, zone: str, place: str, within: str = "") -> Any:
    """Return the data of a program with words as data, instants in full, and last days as the ends that they mean.

    `within` is the field of the program in which `data` stands.
    """
    if isinstance(data, list):
        return [program_spelled_out(each, zone, f"{place}[{number}]", within) for number, each in enumerate(data)]
    if not isinstance(data, dict):
        return data
    full: dict[str, Any] = {}
    for name, value in data.items():
        inner, top = f"{place}.{name}", within or name
        if name in _RULE_INSTANTS and top != "rewards" and isinstance(value, str):
            full[name] = moment(value, zone, inner).isoformat()
        elif name == "through":
            end = "until" if data.get("type") == "dates" else "ends"
            not_both(data, end, inner)
            if end == "ends" and top != "rewards":
                full[end] = end_of_day(value, zone, inner).isoformat()
            else:
                full[end] = _day_after(day(value, inner), inner)
        elif name == "restore":
            full[name] = _restored(value)
        elif name in ("basis", "spend_basis") and isinstance(value, str) and value in BASES:
            full[name] = to_data(BASES[value])
        else:
            if top in STATUS:
                value = _status(name, value, within)
            if name in _PERIODS:
                value = _dated(name, value)
            value = POLICIES.get(value, value) if isinstance(value, str) else value
            full[name] = program_spelled_out(value, zone, inner, top)
    if within in STATUS and {"measure", "op"} <= set(full):
        full.setdefault("type", "comparison")
    return full


def _status(name: str, value: Any, within: str) -> Any:
    """Return what a status rule says under a name, as data where it is said in words."""
    if name == "tiers" and within and isinstance(value, dict):
        return _tiers(value)
    if name == "measure":
        return measure(value)
    if name in ("window", "period"):
        return window(value)
    if name in SEVERAL:
        return _benefits(value)
    return benefit(value) if name in ONE else value


def _dated(name: str, value: Any) -> Any:
    value = period(value)
    if name == "activation" and isinstance(value, dict) and "type" not in value:
        return {"type": "on_event" if "event" in value else "period", **value}
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"grace"}:
        return {"period": period(value["grace"])}
    return value


def not_both(data: Mapping[str, Any], name: str, place: str) -> None:
    """Refuse an end that is given twice, as an instant and as a last day."""
    if name in data:
        raise InputError(place, data["through"], f"give {name} or through, not both")


def _day_after(last: date, place: str) -> str:
    try:
        return (last + timedelta(1)).isoformat()
    except OverflowError:
        raise InputError(place, last.isoformat(), "the years run from 1 to 9999") from None
