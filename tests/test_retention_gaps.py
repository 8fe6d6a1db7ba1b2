"""Time between orders by Kaplan and Meier, and who is overdue against the own rhythm."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, strategies as st

from loyaltykit.errors import InputError
from loyaltykit.facts import Order, Refund
from loyaltykit.history import History
from loyaltykit.retention.gaps import gap_counts, survival, time_between_orders
from loyaltykit.retention.rhythm import overdue, risk, won_back

DAYS = st.lists(st.dates(date(2024, 1, 1), date(2024, 12, 31)), max_size=8)
COUNTS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5), st.integers(0, 5)), max_size=15)
BASES = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 200)), max_size=30)
START = datetime(2024, 1, 1, 12, tzinfo=UTC)
AT = START + timedelta(days=200)


def on(month: int, day: int, hour: int = 12) -> datetime:
    """Return an instant of 2024."""
    return datetime(2024, month, day, hour, tzinfo=UTC)


def rows(*pairs: tuple[str, int]) -> list[tuple[str, datetime]]:
    """Return purchases, so many days after the start."""
    return [(customer, START + timedelta(days=days)) for customer, days in pairs]


JANUARY_AND_ON = [date(2024, 1, 1), date(2024, 1, 31), date(2024, 3, 1)]


class TestGapCounts:
    @given(BASES)
    def test_every_gap_once(self, pairs: Any) -> None:
        """Each customer has one open gap; the gaps that ended are one fewer than the days with a purchase."""
        counts = gap_counts(rows(*pairs), AT, zone="UTC")
        assert len({customer for customer, _ in pairs}) == sum(each.open for each in counts)
        assert len(set(pairs)) == sum(each.ended + each.open for each in counts)
        first = {customer: min(day for each, day in pairs if each == customer) for customer, _ in pairs}
        assert sum(200 - day for day in first.values()) == sum(each.days * (each.ended + each.open) for each in counts)

    def test_local_days(self) -> None:
        """Two orders of one local day are one, in the zone that is named, and make no gap of nothing."""
        late = [("ann", on(3, 1, 23)), ("ann", on(3, 2, 1)), ("ann", on(3, 2, 23))]
        assert [(0, 0, 1), (1, 1, 0)] == list(gap_counts(late, on(3, 2, 23), zone="UTC"))
        assert [(0, 0, 1), (1, 1, 0)] == list(gap_counts(late[:2], on(3, 2, 1), zone="UTC"))
        assert [(0, 0, 1)] == list(gap_counts(late[:2], on(3, 2, 1), zone="America/New_York"))

    def test_histories(self) -> None:
        """An order that went back wholly ended no gap, and guests count nowhere."""
        facts = [Order("1", "ann", on(1, 1), amount=10), Order("2", "ann", on(1, 8), amount=10)]
        back = Refund("r", "ann", "2", on(1, 9), amount=10)
        assert [(2, 0, 1), (7, 1, 0)] == list(gap_counts({"ann": History(facts)}, on(1, 10)))
        assert [(9, 0, 1)] == list(gap_counts({"ann": History([*facts, back])}, on(1, 10)))
        assert () == gap_counts([(None, on(1, 1))], AT, zone="UTC")


class TestSurvival:
    @given(COUNTS)
    def test_falls(self, counts: Any) -> None:
        """The share that lasts longer starts at 1 and never rises; each step's counts are what later steps lack."""
        found = survival(counts)
        assert sum(ended + still for _, ended, still in counts) == (found.steps[0].at_risk if len(found) else 0)
        before = Fraction(1)
        for step in found:
            assert 0 <= step.share <= before
            assert (step.ended > 0) == (step.share < before)
            before = step.share
            if step.low is not None and step.high is not None:
                assert 0 <= step.low <= float(step.share) <= step.high <= 1

    @given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), min_size=1), st.integers(0, 40))
    def test_nothing_open(self, counts: Any, days: int) -> None:
        """Without open gaps it is the plain share of those that lasted longer, exactly, with the binomial error."""
        found = survival([(each, ended, 0) for each, ended in counts])
        everything = sum(ended for _, ended in counts)
        assert Fraction(sum(ended for each, ended in counts if each > days), everything) == found.longer(days)
        for step in found:
            if step.error is not None:
                share = float(step.share)
                assert step.error == pytest.approx((share * (1 - share) / everything) ** 0.5)

    @given(COUNTS, st.fractions("0.01", "0.99"))
    def test_quantile(self, counts: Any, share: Fraction) -> None:
        """The quantile is the first day by which that share has ended, to the last digit."""
        found = survival(counts)
        day = found.quantile(share)
        if day is None:
            assert not found.steps or found.steps[-1].share > 1 - share
        else:
            assert found.longer(day) <= 1 - share
            assert day == 0 or found.longer(day - 1) > 1 - share

    def test_published(self) -> None:
        """Remission under 6-MP, 21 patients: shares, errors and the median of 23 as in every textbook."""
        ended = {6: 3, 7: 1, 10: 1, 13: 1, 16: 1, 22: 1, 23: 1}
        still = {6: 1, 9: 1, 10: 1, 11: 1, 17: 1, 19: 1, 20: 1, 25: 1, 32: 2, 34: 1, 35: 1}
        found = survival([(day, ended.get(day, 0), still.get(day, 0)) for day in ended | still])
        shown = [
            (step.days, step.at_risk, f"{float(step.share):.3f}", f"{step.error:.4f}") for step in found if step.ended
        ]
        assert [
            (6, 21, "0.857", "0.0764"), (7, 17, "0.807", "0.0869"), (10, 15, "0.753", "0.0963"),
            (13, 12, "0.690", "0.1068"), (16, 11, "0.627", "0.1141"), (22, 7, "0.538", "0.1282"),
            (23, 6, "0.448", "0.1346"),
        ] == shown  # fmt: skip
        assert 23 == found.median

    def test_published_limits(self) -> None:
        """The limits on the log(-log) scale, of the same data: 0.620 to 0.952 at 6 weeks, 0.188 to 0.680 at 23."""
        ended = {6: 3, 7: 1, 10: 1, 13: 1, 16: 1, 22: 1, 23: 1}
        still = {6: 1, 9: 1, 10: 1, 11: 1, 17: 1, 19: 1, 20: 1, 25: 1, 32: 2, 34: 1, 35: 1}
        steps = {step.days: step for step in survival([(d, ended.get(d, 0), still.get(d, 0)) for d in ended | still])}
        assert ["0.620", "0.952", "0.188", "0.680"] == [
            f"{limit:.3f}" for day in (6, 23) for limit in (steps[day].low, steps[day].high)
        ]

    def test_open_gaps_count(self) -> None:
        """Gaps still open are not left out: half of those that ended did so by day 7, but not half of all."""
        assert 7 == survival([(7, 5, 0), (30, 5, 0)]).median
        assert survival([(7, 5, 0), (30, 5, 11)]).median is None

    def test_half_is_half(self) -> None:
        """3/4 x 2/3 is a half to the last digit, so the median is found where a float would pass it by."""
        assert 2 == survival([(1, 1, 0), (2, 1, 0), (3, 0, 2)]).median

    def test_nothing_known(self) -> None:
        """Of no gaps nothing is known: none is known to end."""
        found = survival([])
        assert (None, 1, 0) == (found.median, found.longer(10), len(found))

    def test_base(self) -> None:
        """Of a base: the gaps that ended, and the open one of each customer."""
        found = time_between_orders(
            rows(("a", 0), ("a", 10), ("a", 30), ("b", 5)), START + timedelta(days=40), zone="UTC"
        )
        assert [(10, 4, 1, 1), (20, 2, 1, 0), (35, 1, 0, 1)] == [
            (step.days, step.at_risk, step.ended, step.open) for step in found
        ]
        assert 20 == found.median

    def test_table(self) -> None:
        """A table is plain data, and reads well in a terminal and in a notebook."""
        found = survival([(7, 1, 1)])
        assert (7, 2, 1, 1, 0.5) == found.rows[0][:5]
        assert len(found.columns) == len(found.rows[0])
        assert "95 % limits" in str(found)
        assert "<td" in found._repr_html_()


class TestRisk:
    def test_at_risk(self) -> None:
        """A purchase a month, and then none for two: twice the usual, at risk."""
        found = risk(JANUARY_AND_ON, date(2024, 4, 30))
        assert found is not None
        assert (2, "at_risk", 60, 30) == (found.ratio, found.label, found.since, found.usual)
        assert "at risk: 60 days since the last purchase, 2 times the usual 30" == str(found)

    def test_lost(self) -> None:
        """None for three months: three times the usual, lost."""
        found = risk(JANUARY_AND_ON, date(2024, 5, 30))
        assert found is not None
        assert (3, "lost") == (found.ratio, found.label)

    @pytest.mark.parametrize(("day", "label"), [(14, "on_time"), (15, "at_risk"), (29, "at_risk"), (30, "lost")])
    def test_limits_are_inclusive(self, day: int, label: str) -> None:
        """At 1.5 times the usual gap a customer is at risk, at 3 times lost, and not a day before."""
        found = risk([date(2024, 1, 1), date(2024, 1, 11)], date(2024, 1, 11) + timedelta(days=day))
        assert found is not None
        assert label == found.label

    @pytest.mark.parametrize("days", [[], [date(2024, 1, 1)], [date(2024, 1, 1), date(2024, 1, 1)]])
    def test_no_rhythm(self, days: list[date]) -> None:
        """Of fewer than two days with a purchase, or all on one day, there is no rhythm and no division by nothing."""
        assert risk(days, date(2024, 5, 30)) is None

    @given(DAYS, st.dates(date(2024, 1, 1), date(2026, 1, 1)))
    def test_days(self, days: list[date], today: date) -> None:
        """The label turns on the days it names, if nothing is bought, and what is bought later changes nothing."""
        found = risk(days, today)
        assert risk([*sorted(set(days)), today + timedelta(1)], today) == found
        if found is None:
            return
        assert found.at_risk_on is not None
        assert found.lost_on is not None
        assert found.at_risk_on <= found.lost_on
        assert found.label == (
            "lost" if today >= found.lost_on else "at_risk" if today >= found.at_risk_on else "on_time"
        )

    def test_own_limits(self) -> None:
        """A shop may set its own limits."""
        found = risk(JANUARY_AND_ON, date(2024, 4, 30), at_risk="2.5", lost=4)
        assert found is not None
        assert "on_time" == found.label

    def test_beyond_the_calendar(self) -> None:
        """Where the day is beyond the calendar, there is none."""
        found = risk([date(1, 1, 1), date(6000, 1, 1)], date(6000, 1, 1))
        assert found is not None
        assert (None, None) == (found.at_risk_on, found.lost_on)


class TestOverdue:
    BASE = (
        ("ann", on(1, 1)), ("ann", on(1, 31)), ("ann", on(3, 1)),
        ("bo", on(4, 1)), ("cy", on(4, 20)), ("cy", on(4, 27)), ("di", on(1, 2)), ("di", on(1, 2, 13)),
    )  # fmt: skip

    def test_everybody(self) -> None:
        """The most overdue come first; who has no rhythm comes last, the longest away first; each says why."""
        table = overdue(self.BASE, on(4, 30), zone="UTC")
        assert [("ann", "at_risk"), ("cy", "on_time"), ("di", None), ("bo", None)] == [
            (each.customer, each.label) for each in table
        ]
        assert ("ann",) == table.labelled("at_risk")
        assert ("di", "bo") == table.labelled(None)
        assert "no rhythm yet: bought on one day, 119 days ago" == table.customers[2].reason

    def test_beside_the_base(self) -> None:
        """Whoever is away longer than most gaps of the base last is beyond it, also without an own rhythm."""
        base = [row for row in self.BASE if row[0] != "bo"]
        table = overdue(base, on(4, 30), zone="UTC", quantile="0.5")
        assert 30 == table.usual
        assert [("ann", True), ("cy", False), ("di", True)] == [(each.customer, each.beyond) for each in table]
        assert table.customers[0].reason.endswith("; longer than 50 % of gaps (30 days)")
        assert overdue(base, on(4, 30), zone="UTC").customers[0].beyond is None

    def test_as_long_as_usual(self) -> None:
        """Whoever is away exactly as long as the base's quantile is not beyond it; a day later they are."""
        base = rows(("a", 0), ("a", 10), ("b", 0), ("b", 10))
        found = [
            overdue(base, START + timedelta(days=day), zone="UTC", quantile="0.5").customers[0].beyond
            for day in (20, 21)
        ]
        assert [False, True] == found

    def test_subscribers(self) -> None:
        """Whoever does not choose when to buy is left out, of the gaps of the base as well."""
        table = overdue(self.BASE, on(4, 30), zone="UTC", without={"ann"}, quantile="0.5")
        assert {"bo", "cy", "di"} == {each.customer for each in table}
        assert table.usual is None

    @given(BASES)
    def test_agrees_with_one(self, pairs: Any) -> None:
        """Everybody's label is the one of each customer alone, beside the share of the base's gaps."""
        base = rows(*pairs)
        table = overdue(base, AT, zone="UTC")
        gaps = time_between_orders(base, AT, zone="UTC")
        assert {customer for customer, _ in pairs} == {each.customer for each in table}
        for each in table:
            days = [at.date() for customer, at in base if customer == each.customer]
            assert each.risk == risk(days, AT.date())
            assert gaps.longer(each.since) == each.longer

    def test_table(self) -> None:
        """A table is plain data, and reads well in a terminal and in a notebook."""
        table = overdue(self.BASE, on(4, 30), zone="UTC")
        assert ("ann", "at_risk", 2.0, 30.0, 60, date(2024, 3, 1), date(2024, 4, 15), date(2024, 5, 30)) == table.rows[
            0
        ][:8]
        assert ("bo", None, None, None, 29) == table.rows[-1][:5]
        assert {len(table.columns)} == {len(row) for row in table.rows}
        assert "at risk: 60 days" in str(table)
        assert "<td" in table._repr_html_()
        assert 4 == len(table)


class TestWonBack:
    def test_comes_back(self) -> None:
        """After three times the usual gap a purchase is a return, a day less it is not; the first gap has no usual."""
        base = rows(("a", 0), ("a", 10), ("a", 40), ("b", 0), ("b", 10), ("b", 39), ("c", 0), ("c", 100))
        assert [("a", date(2024, 2, 10), 30, 10, 3)] == [
            (each.customer, each.on, each.gap, each.usual, each.ratio) for each in won_back(base, AT, zone="UTC")
        ]

    def test_judged_by_what_was_before(self) -> None:
        """A long gap is judged by the rhythm before it, and then becomes part of it."""
        base = rows(("a", 0), ("a", 10), ("a", 40), ("a", 100))
        assert [40, 100] == [(each.on - START.date()).days for each in won_back(base, AT, zone="UTC")]
        assert [40] == [(each.on - START.date()).days for each in won_back(base[:3], AT, zone="UTC", lost=2)]

    @given(BASES)
    def test_were_lost_the_day_before(self, pairs: Any) -> None:
        """Whoever came back was lost on that day, had they not bought."""
        base = rows(*pairs)
        for each in won_back(base, AT, zone="UTC"):
            before = [at.date() for customer, at in base if customer == each.customer and at.date() < each.on]
            found = risk(before, each.on)
            assert found is not None
            assert ("lost", each.ratio) == (found.label, found.ratio)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (lambda: gap_counts([("a", START)], AT), "zone"),
        (lambda: survival([(1, 2)]), "counts[0]"),
        (lambda: survival([(1, 2, -1)]), "counts[0]"),
        (lambda: survival([], level=1), "level"),
        (lambda: survival([]).quantile(0), "share"),
        (lambda: survival([]).longer(-1), "days"),
        (lambda: risk(["2024-01-01"], date(2024, 1, 1)), "days[0]"),  # type: ignore[list-item]
        (lambda: risk([], START), "today"),
        (lambda: risk([], date(2024, 1, 1), at_risk=0), "at_risk"),
        (lambda: risk([], date(2024, 1, 1), at_risk=3, lost=2), "lost"),
        (lambda: overdue([], AT, zone="UTC", without="ann"), "without"),
        (lambda: overdue([], AT, zone="UTC", quantile=90), "quantile"),
        (lambda: won_back([], AT, zone="UTC", lost=-1), "lost"),
    ],
)
def test_refuses(wrong: Any, field: str) -> None:
    """What cannot be is refused, and the error names the field."""
    with pytest.raises(InputError) as caught:
        wrong()
    assert field == caught.value.field
