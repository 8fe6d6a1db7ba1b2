"""JSON written and read often: the standard library's, looked up once rather than at every call."""

from __future__ import annotations

import json
from collections.abc import Callable
from json import encoder
from typing import Any

quoted: Callable[[str], str] = encoder.encode_basestring
"""Write one text as JSON, with all letters as they are."""

_raw_decode = json.JSONDecoder().raw_decode


def parsed(text: str) -> Any:
    """Read JSON that was written here, without space around it.

    >>> parsed('{"a":[1]}')
    {'a': [1]}
    """
    return _raw_decode(text)[0]


def json_writer() -> Callable[[Any], str]:
    """Return a function that writes plain data as JSON, without spaces and with all letters as they are.

    ``JSONEncoder.encode`` builds the encoder in C anew for every text, which takes longer than writing a short one.
    Where there is none (on PyPy), the ordinary one is used; what they write is the same.

    >>> json_writer()({"b": [1, None], "a": "é"})
    '{"b":[1,null],"a":"é"}'
    """
    usual = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
    make, escape = getattr(encoder, "c_make_encoder", None), getattr(encoder, "c_encode_basestring", None)
    if make is None or escape is None:
        return usual.encode
    write = make(None, usual.default, escape, None, ":", ",", False, False, True)
    joined = "".join
    return lambda value: joined(write(value, 0))
