"""What the models of lifetime value are worked out with: a minimiser and an integral, in plain Python.

Floats throughout: these are estimates, not money. The same numbers in give the same numbers out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import itemgetter

Point = tuple[float, ...]
_Vertex = tuple[float, Point]
_TURNS = 4000  # a fit of four parameters takes some 300


def minimum(function: Callable[[Point], float], start: Sequence[float], tolerance: float = 1e-7) -> Point | None:
    """Return where a function is least, by the simplex of Nelder and Mead; None where it is not found.

    Each search starts anew at the last one's best point, until a new simplex of full size finds no better: a simplex
    that collapsed too early gives itself away. Source: J. A. Nelder, R. Mead, The Computer Journal 7 (1965).

    >>> [round(value, 4) for value in minimum(lambda at: (at[0] - 1) ** 2 + (at[1] + 2) ** 2, (0.0, 0.0))]
    [1.0, -2.0]
    """
    best = (function(tuple(start)), tuple(start))
    for _ in range(20):
        found = _search(function, best[1], tolerance)
        if found is None:
            return None
        gained, moved = best[0] - found[0], max(abs(a - b) for a, b in zip(best[1], found[1], strict=True))
        best = min(best, found, key=itemgetter(0))
        if gained <= 1e-9 * (1 + abs(best[0])) and moved < 1000 * tolerance:
            return best[1]
    return None


def _search(function: Callable[[Point], float], start: Point, tolerance: float) -> _Vertex | None:
    size = len(start)
    simplex = [(function(start), start)]
    for axis in range(size):
        point = tuple(value + 0.5 * (place == axis) for place, value in enumerate(start))
        simplex.append((function(point), point))
    for _ in range(_TURNS):
        simplex.sort(key=itemgetter(0))
        best, worst = simplex[0], simplex[-1]
        if max(abs(point[axis] - best[1][axis]) for _, point in simplex for axis in range(size)) < tolerance:
            return best
        centre = tuple([sum(point[axis] for _, point in simplex[:-1]) / size for axis in range(size)])

        def towards(step: float, centre: Point = centre, end: Point = worst[1]) -> _Vertex:
            point = tuple([middle + step * (middle - last) for middle, last in zip(centre, end, strict=True)])
            return function(point), point

        tried = towards(1.0)
        if tried[0] < best[0]:
            tried = min(tried, towards(2.0), key=itemgetter(0))
        elif tried[0] >= simplex[-2][0]:
            tried = towards(0.5 if tried[0] < worst[0] else -0.5)
        if tried[0] < worst[0]:
            simplex[-1] = tried
        else:
            points = [
                tuple([(value + top) / 2 for value, top in zip(point, best[1], strict=True)])
                for _, point in simplex[1:]
            ]
            simplex[1:] = [(function(point), point) for point in points]
    return None


def beta_mean(function: Callable[[float], float], left: float, right: float) -> float:
    """Return the mean of a bounded function of p, where p follows a beta distribution with these two parameters.

    By the double-exponential rule on ``p = 1 / (1 + exp(-pi sinh u))``, whose step is halved until the mean stands
    still. Source: H. Takahasi, M. Mori, Publ. RIMS 9 (1974).

    >>> round(beta_mean(lambda p: p, 0.5, 1.5), 12)
    0.25
    """
    scale = math.lgamma(left + right) - math.lgamma(left) - math.lgamma(right)

    def weighed(u: float) -> float:
        turn = math.pi * math.sinh(u)
        low, high = _log_logistic(turn), _log_logistic(-turn)
        weight = scale + left * low + right * high
        if weight < -745:
            return 0.0
        return math.exp(weight) * math.pi * math.cosh(u) * function(math.exp(low))

    # Where the weight has fallen below what a float holds: exp(-(left or right) pi sinh |u|).
    below, above = (-math.asinh((745 + abs(scale)) / side / math.pi) for side in (left, right))
    above, step = -above, 0.25
    before = math.inf
    points = _points(weighed, below, above, step, 0.0)
    for _ in range(12):
        mean = points * step
        if abs(mean - before) <= 1e-13 * abs(mean):
            break
        before = mean
        points += _points(weighed, below, above, step, step / 2)
        step /= 2
    return mean


def _points(function: Callable[[float], float], below: float, above: float, step: float, shift: float) -> float:
    first, last = math.floor(below / step), math.ceil(above / step)
    return math.fsum([function(place * step + shift) for place in range(first, last + 1)])


def _log_logistic(value: float) -> float:
    """Return the logarithm of ``1 / (1 + exp(-value))``."""
    return -math.log1p(math.exp(-value)) if value > 0 else value - math.log1p(math.exp(value))
