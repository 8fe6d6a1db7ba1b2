"""The fixtures of `databases`, where there is what they need."""

from __future__ import annotations

import sys
from importlib.util import find_spec

if find_spec("sqlalchemy") is not None:
    from databases import (
        address,
        database,
        make_engine,
        mariadb,
        new_url,
        postgresql,
        reused,
        store,
    )

    __all__ = ["address", "database", "make_engine", "mariadb", "new_url", "postgresql", "reused", "store"]
else:
    collect_ignore_glob = ["*.py"]
    print("NOT TESTED: the SQL store: pip install loyaltykit[sql]", file=sys.__stderr__)
