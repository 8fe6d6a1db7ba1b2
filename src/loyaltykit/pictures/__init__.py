"""Pictures: one call for each, of the values that the rest of the library returns.

They need the extra ``charts``: ``pip install 'loyaltykit[charts]'``, which is altair. Every function returns a chart of
altair. A notebook shows it; ``chart.save("name.html")`` writes it to a file (``.svg`` and ``.png`` with the package
``vl-convert-python``); and whatever altair can do goes on from there: ``chart.properties(width=900)``,
``one | another``. Charts carry their data, and no frame library is needed.

Colours are told apart by people with any usual kind of colour vision. A period in progress is never drawn as a drop:
it is marked, faint, or left out.

>>> from loyaltykit import pictures, retention
>>> chart = pictures.gap_survival(retention.survival([(7, 3, 0), (14, 4, 1), (30, 1, 1)]))
>>> chart.title.text
'Time until the next order'
"""

from loyaltykit.pictures._cohorts import cohort_heatmap, customers_by_period, retention_curves
from loyaltykit.pictures._customers import gap_survival, rfm_map, value_curve
from loyaltykit.pictures._points import deferred_revenue, liability_over_time, points_over_time
from loyaltykit.pictures._tiers import tier_flow

__all__ = [
    "cohort_heatmap",
    "customers_by_period",
    "deferred_revenue",
    "gap_survival",
    "liability_over_time",
    "points_over_time",
    "retention_curves",
    "rfm_map",
    "tier_flow",
    "value_curve",
]
