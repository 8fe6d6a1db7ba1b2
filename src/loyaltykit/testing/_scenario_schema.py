"""The JSON Schema of scenario documents, made from the classes that they are read into."""

from __future__ import annotations

from typing import Any

import attrs

from loyaltykit import wire
from loyaltykit.calendar import Period
from loyaltykit.facts import Member
from loyaltykit.program import Program
from loyaltykit.testing._scenario_form import MOMENT, PERIOD, VERSION, Head, Step
from loyaltykit.testing._scenario_read import PRESETS
from loyaltykit.testing._scenario_verbs import VERBS, Accept, Verb

Schema = dict[str, Any]

_MOMENTS = frozenset({"at", "recorded_at", "known_at", "earned_at", "active_at", "expires_at", "through", "until"})
_ENDS = {"Reward": "Day", "Dates": "Day"}
_JSON = {str: {"type": "string"}, int: {"type": "integer"}}


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
        "Day": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
        "PeriodInWords": {"type": "string", "pattern": f"^{PERIOD}$"},
    }
    head, step = _object(Head, defs), _object(Step, defs)
    program = _program(defs)
    defs["Program"] = program
    for name, verb in VERBS.items():
        step["properties"][name] = _verb(verb, defs)
    step["properties"]["program"] = {**_later(program), "description": "The program is another from this instant on."}
    step["oneOf"] = [{"not": {"anyOf": [{"required": [name]} for name in (*VERBS, "program")]}}]
    step["oneOf"] += [{"required": [name]} for name in (*VERBS, "program")]
    defs["Step"] = step
    member = _without(_object(Member, defs), "id")
    member["required"] = []
    head["properties"]["scenario"] = {"const": VERSION, "description": "The version of the form."}
    preset = {"enum": list(PRESETS)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "loyaltykit scenario",
        "type": "object",
        "properties": {
            **head["properties"],
            "program": {"anyOf": [preset, {"$ref": "#/$defs/Program"}], "default": "standard"},
            "variants": {
                "type": "object", "additionalProperties": {"$ref": "#/$defs/Program"}, "minProperties": 1,
                "description": "Changes of the program by name; the steps are done under each.",
            },
            "members": {
                "anyOf": [
                    {"type": "array", "items": {"type": "string"}, "minItems": 1},
                    {"type": "object", "additionalProperties": member, "minProperties": 1},
                ],
                "default": ["ann"],
            },
            "steps": {"type": "array", "items": {"$ref": "#/$defs/Step"}, "minItems": 1},
        },
        "required": ["scenario", "steps"],
        "additionalProperties": False,
        "$defs": defs,
    }  # fmt: skip


def _object(kind: type, defs: Schema) -> Schema:
    """Return the schema of one class as documents have it; the definitions that it refers to go to `defs`."""
    made = wire.schema(kind)
    for name, body in made["$defs"].items():
        if body is not made["$defs"][kind.__name__]:
            defs.setdefault(name, _as_written(name, body))
    own: Schema = _as_written(kind.__name__, made["$defs"][kind.__name__])
    return _without(own, "type")


def _as_written(name: str, body: Schema) -> Schema:
    """Return a definition with what may be written shortly: moments, and last days."""
    body = _with_moments(body)
    properties = body.get("properties", {})
    for field in _MOMENTS & set(properties):
        if properties[field].get("type") == "string" or {"type": "string"} in _plain_choices(properties[field]):
            properties[field] = {"anyOf": [{"$ref": "#/$defs/Moment"}, {"enum": ["never", None]}]}
    for end in ("ends", "until", "expires_at"):
        if end in properties:
            properties["through"] = {"$ref": "#/$defs/Day", "description": f"The last day, instead of {end}."}
    return body


def _plain_choices(body: Schema) -> list[Schema]:
    return [{"type": each.get("type")} for each in body.get("anyOf", [])]


def _with_moments(body: Any) -> Any:
    if isinstance(body, list):
        return [_with_moments(each) for each in body]
    if not isinstance(body, dict):
        return body
    if body.get("format") == "date-time":
        return {"$ref": "#/$defs/Moment"}
    return {name: _with_moments(each) for name, each in body.items()}


def _without(body: Schema, *names: str) -> Schema:
    body["properties"] = {name: each for name, each in body["properties"].items() if name not in names}
    body["required"] = [name for name in body["required"] if name not in names]
    return body


def _program(defs: Schema) -> Schema:
    """Return the schema of a program in a document: what is changed of a preset."""
    body = _object(Program, defs)
    body["required"] = []
    words = {"$ref": "#/$defs/PeriodInWords"}
    for each in [body, *(defs[name] for name in defs if "properties" in defs[name])]:
        for field in {"validity", "activation", "inactivity", "period"} & set(each["properties"]):
            each["properties"][field] = {"anyOf": [words, _untagged(each["properties"][field])]}
    graces = {"type": "object", "properties": {"grace": {"anyOf": [words, {"$ref": "#/$defs/Period"}]}}}
    for each in (body, defs["Unit"]):
        each["properties"]["restore"] = {"anyOf": [each["properties"]["restore"], {**graces, "required": ["grace"]}]}
    body["properties"]["preset"] = {"enum": list(PRESETS)}
    return body


def _untagged(body: Any) -> Any:
    """Return a choice between a period and an event without the need to say which of them it is."""
    if isinstance(body, list):
        return [_untagged(each) for each in body]
    if isinstance(body, dict):
        return {name: _untagged(each) for name, each in body.items() if name != "required"}
    return body


def _later(program: Schema) -> Schema:
    fixed = ("version", "effective_from", "zone", "name", "currency", "preset")
    return _without({**program, "required": []}, *fixed)


def _verb(verb: Verb, defs: Schema) -> Schema:
    body = _object(verb.kind, defs)
    optional = {verb.key, *verb.latest, *verb.defaults}
    body["required"] = [name for name in body["required"] if name not in optional]
    named = [field.name for field in attrs.fields(verb.kind)]
    body = _without(body, *({"member", "at"} & set(named)), *(["id"] if verb.kind is Member else []))
    choices = [_short(kind, body["properties"][field]) for kind, field in verb.short.items()]
    choices.append(body)
    if verb is VERBS["redeem"]:
        choices.append(_without(_object(Accept, defs), "key") | {"required": ["quote"]})
    return choices[0] if len(choices) == 1 else {"anyOf": choices}


def _short(kind: type, field: Schema) -> Schema:
    return field if kind is list else dict(_JSON[kind])


__all__ = ["Period", "schema"]
