"""Whole customer bases, on the engine that holds them: the answers of pure Python for everybody at once.

They need the extra ``frames``: ``pip install 'loyaltykit[frames]'``, which is Narwhals. A `Base` says which columns of
the caller's frames (pandas, Polars, PyArrow, DuckDB, PySpark, Ibis) mean what. Functions take a base, what is asked and
an instant, and return a frame of the same kind, with a row a customer.

An engine is only asked to compare, add up and group whole numbers, for in all else engines differ. The bounds of
windows come from Python. What cannot be said in such steps (when a target was reached, how long a tier lasts) Python
works out from histories made of the rows; nothing is approximated.
"""

try:
    import narwhals.stable.v2 as _narwhals  # noqa: F401  # so that who lacks it is told what to install
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("frames need narwhals: pip install 'loyaltykit[frames]'", name=error.name) from None

from loyaltykit.frames import retention
from loyaltykit.frames._base import Base
from loyaltykit.frames._engines import CONFORMING, EngineWarning
from loyaltykit.frames._histories import Rows, export
from loyaltykit.frames._rules import changes, evaluate, measure, members, stage_changes, stages
from loyaltykit.frames._tables import Activities, Customers, Lines, Points
from loyaltykit.frames._worked import progress, standings, tiers

__all__ = [
    "CONFORMING",
    "Activities",
    "Base",
    "Customers",
    "EngineWarning",
    "Lines",
    "Points",
    "Rows",
    "changes",
    "evaluate",
    "export",
    "measure",
    "members",
    "progress",
    "retention",
    "stage_changes",
    "stages",
    "standings",
    "tiers",
]
