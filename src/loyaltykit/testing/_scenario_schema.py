"""The JSON Schema of scenario documents, made from the classes that they are read into."""

from __future__ import annotations

from typing import Any

import attrs

from loyaltykit import wire
from loyaltykit.basis import BASES
from loyaltykit.facts import Member
from loyaltykit.program import Program
from loyaltykit.testing._scenario_form import (
    MOMENT,
    VERSION,
    BenefitSeen,
    DueSeen,
    Head,
    Step,
    ThresholdSeen,
    TierSeen,
)
from loyaltykit.testing._scenario_read import FIXED, PRESETS
from loyaltykit.testing._scenario_verbs import VERBS, Accept, Verb
from loyaltykit.testing._scenario_words import MEASURE, ONE, PERIOD, POLICIES, SEVERAL, WINDOW

Schema = dict[str, Any]

_DAY = MOMENT[: MOMENT.index("([T ]")]
_MOMENTS = frozenset({"at", "recorded_at", "known_at", "earned_at", "active_at", "expires_at"})  # texts in the form
_SEEN: dict[type, tuple[str, ...]] = {  # those of what is seen of a status; all but the beginnings may be "never"
    TierSeen: ("since", "until"),
    ThresholdSeen: ("reached_at", "revoked_at", "until"),
    BenefitSeen: ("until",),
    DueSeen: ("due", "ends"),
}
_JSON: dict[type, Schema] = {str: {"type": "string"}, int: {"type": "integer"}}


def schema() -> Schema:
    """Return the JSON Schema (2020-12) of scenario documents.

    It is made from the definitions that read them. What depends on more than one field is not in it: that a member is
    one of the document, or that a lot expires after it was earned.

    >>> sorted(schema()["required"])
    ['scenario', 'steps']
    """
    defs: Schema = {
        "Moment": {
            "type": "string",
            "pattern": f"^{MOMENT}$",
            "description": "A day (its first instant), a day and a local time, or these with an offset from UTC.",
        },
        "Day": {"type": "string", "pattern": f"^{_DAY}$"},
        "PeriodInWords": {"type": "string", "pattern": f"^{PERIOD}$"},
        "WindowInWords": {"type": "string", "pattern": f"^{WINDOW}$"},
        "MeasureInWords": {"type": "string", "pattern": f"^{MEASURE}$"},
    }
    defs["Program"] = _program(defs)
    defs["Step"] = _step(defs)
    head = _object(Head, defs)["properties"]
    head["scenario"] = {"const": VERSION, "description": "The version of the form."}
    member = _without(_object(Member, defs), "id")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "loyaltykit scenario",
        "type": "object",
        "properties": {
            **head,
            "program": {"anyOf": [{"enum": list(PRESETS)}, _ref("Program")], "default": "standard"},
            "variants": {
                "type": "object",
                "additionalProperties": _ref("Program"),
                "minProperties": 1,
                "description": "What the program has otherwise, by name; the steps are done under each.",
            },
            "members": {
                "anyOf": [
                    {"type": "array", "items": {"type": "string"}, "minItems": 1},
                    {"type": "object", "additionalProperties": {**member, "required": []}, "minProperties": 1},
                ],
                "default": ["ann"],
            },
            "steps": {"type": "array", "items": _ref("Step"), "minItems": 1},
        },
        "required": ["scenario", "steps"],
        "additionalProperties": False,
        "$defs": defs,
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _without(body: Schema, *names: str) -> Schema:
    return {
        **body,
        "properties": {name: each for name, each in body["properties"].items() if name not in names},
        "required": [name for name in body["required"] if name not in names],
    }


def _object(kind: type, defs: Schema) -> Schema:
    """Return the schema of one class as documents have it; the definitions that it refers to go to `defs`."""
    made = wire.schema(kind)["$defs"]
    for name, body in made.items():
        if name != kind.__name__ and name not in defs:
            defs[name] = _as_written(body)
    return _without(_as_written(made[kind.__name__]), "type")


def _as_written(body: Schema) -> Schema:
    """Return a definition with what may be written shortly: moments, and last days instead of ends."""
    body = _with_moments(body)
    properties = body.get("properties", {})
    for name in _MOMENTS & set(properties):
        properties[name] = _as_moment(properties[name], name in ("active_at", "expires_at"))
    if "through" in properties:
        properties["through"] = _ref("Day")
    for end in ("ends", "until", "expires_at"):
        if end in properties:
            properties["through"] = {**_ref("Day"), "description": f"The last day, instead of {end}."}
    return body


def _with_moments(body: Any) -> Any:
    if isinstance(body, list):
        return [_with_moments(each) for each in body]
    if isinstance(body, dict):
        if body.get("format") == "date-time":
            return _ref("Moment")
        return {name: _with_moments(each) for name, each in body.items()}
    return body


def _as_moment(body: Schema, may_be_never: bool) -> Schema:
    if "anyOf" in body:
        return {"anyOf": [_as_moment(each, may_be_never) for each in body["anyOf"]]}
    if body.get("type") != "string":
        return body
    return {"anyOf": [_ref("Moment"), {"const": "never"}]} if may_be_never else _ref("Moment")


# ---------------------------------------------------------------- programs


def _program(defs: Schema) -> Schema:
    """Return the schema of what a document says of its program: what is otherwise than in the preset."""
    body = _object(Program, defs)
    words = _ref("PeriodInWords")
    for each in (body, *defs.values()):
        properties = each.get("properties", {})
        periods = {"validity", "activation", "inactivity", "catch_up", "grace"}
        for name in (periods if each is defs["Ladder"] else {*periods, "period"}) & set(properties):
            properties[name] = {"anyOf": [words, _untagged(properties[name])]}
        for name in {"shortfall", "validity_from"} & set(properties):
            properties[name] = _with_aliases(properties[name])
        if "restore" in properties:
            grace = {
                "type": "object",
                "properties": {"grace": {"anyOf": [words, _ref("Period")]}},
                "required": ["grace"],
            }
            properties["restore"] = {"anyOf": [properties["restore"], {**grace, "additionalProperties": False}]}
    for name in ("basis", "spend_basis"):
        body["properties"][name] = {"anyOf": [{"enum": list(BASES)}, body["properties"][name]]}
    _with_status_words(defs)
    body["properties"]["preset"] = {"enum": list(PRESETS)}
    return {**body, "required": []}


def _with_status_words(defs: Schema) -> None:
    """Let the rules about status say measures, windows, tiers and benefits in words."""
    for name in ("Ladder", "Threshold", "Comparison"):
        _also(defs[name], "measure", _ref("MeasureInWords"))
    _also(defs["Measure"], "window", _ref("WindowInWords"))
    _also(defs["Ladder"], "period", _ref("WindowInWords"))
    _also(defs["Threshold"], "until", _ref("PeriodInWords"))
    del defs["Threshold"]["properties"]["through"]
    text = {"type": "string", "description": "The benefit's name, which says what it is."}
    for name in ("Tier", "Threshold", "Badge", "StampCard", "Birthday", "AnniversaryOf", "OneTwoThree", "Season"):
        properties = defs[name]["properties"]
        for field in (SEVERAL | ONE) & set(properties):
            if field in SEVERAL:
                properties[field] = {**properties[field], "items": {"anyOf": [text, properties[field]["items"]]}}
            _also(defs[name], field, text)
    tier = _without(defs["Tier"], "type", "name")
    threshold = tier["properties"]["threshold"]
    named = {"type": "object", "additionalProperties": {"anyOf": [threshold, tier]}, "minProperties": 1}
    _also(defs["Ladder"], "tiers", named)
    for body in defs.values():
        _comparisons_untagged(body)


def _also(body: Schema, name: str, choice: Schema) -> None:
    """Let a field have one more form."""
    body["properties"][name] = {"anyOf": [choice, body["properties"][name]]}


def _comparisons_untagged(body: Any) -> None:
    """Let comparisons go without their type, which their fields tell."""
    for each in body.values() if isinstance(body, dict) else body:
        if isinstance(each, dict | list):
            _comparisons_untagged(each)
    if isinstance(body, dict) and body.get("$ref") == "#/$defs/Comparison":
        body.pop("required", None)


def _untagged(body: Any) -> Any:
    """Return a choice between a period and an event without the need to say which of them it is."""
    if isinstance(body, list):
        return [_untagged(each) for each in body]
    if isinstance(body, dict):
        return {
            "anyOf" if name == "oneOf" else name: _untagged(each) for name, each in body.items() if name != "required"
        }
    return body


def _with_aliases(body: Any) -> Any:
    if isinstance(body, list):
        return [_with_aliases(each) for each in body]
    if isinstance(body, dict) and "enum" in body:
        return {**body, "enum": [*body["enum"], *(name for name in POLICIES if POLICIES[name] in body["enum"])]}
    return {name: _with_aliases(each) for name, each in body.items()} if isinstance(body, dict) else body


# ---------------------------------------------------------------- steps


def _step(defs: Schema) -> Schema:
    body = _object(Step, defs)
    for kind, names in _SEEN.items():
        properties = defs[kind.__name__]["properties"]
        for field in names:
            properties[field] = _as_moment(properties[field], field not in ("since", "due"))
    for name, verb in VERBS.items():
        body["properties"][name] = _verb(verb, defs)
    change = _without(defs["Program"], *FIXED)
    body["properties"]["program"] = {**change, "description": "From this instant on, the program has this otherwise."}
    alone = [{"required": [name]} for name in (*VERBS, "program")]
    return {**body, "oneOf": [*alone, {"not": {"anyOf": alone}}]}


def _verb(verb: Verb, defs: Schema) -> Schema:
    body = _object(verb.kind, defs)
    optional = {verb.key, *verb.latest, *verb.defaults}
    body["required"] = [name for name in body["required"] if name not in optional]
    said_by_the_step = {"member", "at"} & {field.name for field in attrs.fields(verb.kind)}
    body = _without(body, *said_by_the_step, *(["id"] if verb.kind is Member else []))
    if "benefit" in body["properties"]:
        _also(body, "benefit", _JSON[str])
    choices = [body["properties"][field] if kind is list else _JSON[kind] for kind, field in verb.short.items()]
    choices.append(body)
    if verb is VERBS["redeem"]:
        choices.append({**_object(Accept, defs), "required": ["quote"]})
    return choices[0] if len(choices) == 1 else {"anyOf": choices}
