"""Writing JSON often: the standard library's encoder, made once rather than at every call."""

from __future__ import annotations

import json
from collections.abc import Callable
from json import encoder
from typing import Any


def json_writer(*, sort_keys: bool = False, allow_nan: bool = True) -> Callable[[Any], str]:
    """Return a function that writes plain data as JSON, without spaces and with all letters as they are.

    ``JSONEncoder.encode`` builds the encoder in C anew for every text, which takes longer than writing a short one.
    Where there is none (on PyPy), the ordinary one is used; what they write is the same.

    >>> json_writer(sort_keys=True)({"b": [1, None], "a": "é"})
    '{"a":"é","b":[1,null]}'
    """
    usual = json.JSONEncoder(ensure_ascii=False, sort_keys=sort_keys, allow_nan=allow_nan, separators=(",", ":"))
    make, escape = getattr(encoder, "c_make_encoder", None), getattr(encoder, "c_encode_basestring", None)
    if make is None or escape is None:
        return usual.encode
    write = make(None, usual.default, escape, None, ":", ",", sort_keys, False, allow_nan)
    joined = "".join
    return lambda value: joined(write(value, 0))
