"""Answers that a person can check by hand: segments, stages, thresholds and tiers of a small base, in Polars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

pytest.importorskip("narwhals", reason="frames need the extra: pip install loyaltykit[frames]")
pl = pytest.importorskip("polars", reason="install polars to test it")

from loyaltykit import frames  # noqa: E402
from loyaltykit.calendar import days, months  # noqa: E402
from loyaltykit.conditions import all_of, any_of  # noqa: E402
from loyaltykit.matching import category, channel  # noqa: E402
from loyaltykit.measures import (  # noqa: E402
    activities,
    balance_of,
    days_since_first,
    days_since_last,
    earned,
    orders,
    products,
    spend,
)  # fmt: skip
from loyaltykit.segments import Segment, loyal  # noqa: E402
from loyaltykit.thresholds import Threshold  # noqa: E402
from loyaltykit.tiers import Invitation, Ladder, Tier  # noqa: E402
from loyaltykit.windows import calendar_year  # noqa: E402

AT = datetime(2026, 6, 30, tzinfo=UTC)


def utc(month: int, day: int, *clock: int) -> datetime:
    """Return an instant of 2026 as frames have it."""
    return datetime(2026, month, day, *clock)


ROWS = [
    ("ann", "1", utc(1, 5), None, 20_000), ("ann", "2", utc(6, 1), None, 10_000),
    ("bo", "3", utc(5, 1), None, 30_000), ("bo", "3", utc(5, 1), utc(6, 15), -30_000),
    ("cy", "4", utc(1, 2), None, 4_000), (None, "5", utc(6, 2), None, 99_900), ("di", "6", utc(7, 1), None, 50_000),
]  # fmt: skip


def bought(**others: Any) -> frames.Base:
    """Return the base of the rows."""
    frame = pl.DataFrame(ROWS, schema=["shopper", "order", "at", "known", "cents"], orient="row")
    named: dict[str, Any] = {"customer": "shopper", "order": "order", "known": "known", "amount": "cents"}
    return frames.Base(frame, **{**named, **others})


def listed(frame: Any) -> list[tuple[Any, ...]]:
    """Return the rows of an answer, sorted."""
    return sorted(frame.rows())


# ---------------------------------------------------------------- measures and conditions


def test_measures_count_what_is_left_and_known_of_orders_placed_in_the_window() -> None:
    """A refund takes from its order once it is known; guests count nowhere; what is later is nothing yet."""
    asked = {"spent": spend(), "orders": orders(), "last": days_since_last()}
    assert [("ann", 30_000, 2, 29), ("bo", 0, 0, None), ("cy", 4_000, 1, 179), ("di", 0, 0, None)] == listed(
        frames.measure(bought(), asked, AT)
    )
    before = datetime(2026, 6, 14, tzinfo=UTC)
    assert ("bo", 30_000, 1, 44) in listed(frames.measure(bought(), asked, before))


def test_everybody_with_a_row_gets_an_answer_and_never_is_not_long_ago() -> None:
    """Who has nothing left is in the answer; nothing is true of the days since what never was, neither is less."""
    rules = {"quiet": orders(days(90)).equals(0), "away": days_since_last() >= 90, "here": days_since_last() < 90}
    assert [
        ("ann", False, False, True),
        ("bo", True, False, False),
        ("cy", True, True, False),
        ("di", True, False, False),
    ] == listed(frames.evaluate(bought(), rules, AT))


def test_days_since_compare_by_local_days() -> None:
    """An order late yesterday, in the base's zone, is a day ago, whatever the day in UTC."""
    frame = pl.DataFrame({"customer": ["ann"], "at": [datetime(2026, 3, 9, 3, 59)]})  # still the 8th in New York
    at = datetime(2026, 3, 9, 12, tzinfo=UTC)
    for zone, since in (("UTC", 0), ("America/New_York", 1)):
        base = frames.Base(frame, zone=zone)
        rules = {op: rule for op, rule in [
            (">=", days_since_last() >= 1), (">", days_since_last() > 0), ("<=", days_since_last() <= 0),
            ("<", days_since_last() < 1), ("==", days_since_last().equals(1)),
        ]}  # fmt: skip
        assert [("ann", since)] == frames.measure(base, {"days": days_since_last()}, at).rows()
        expected = [("ann", *(each == bool(since) for each in (True, True, False, False, True)))]
        assert expected == frames.evaluate(base, rules, at).rows()


def test_numbers_of_days_beyond_the_calendar_are_no_error() -> None:
    """Nobody ordered a million days ago, and everybody did less than that ago."""
    base = frames.Base(pl.DataFrame({"customer": ["ann"], "at": [utc(6, 1)]}))
    rules = {"more": days_since_first() >= 1_000_000, "less": days_since_first() <= 1_000_000}
    assert [("ann", False, True)] == frames.evaluate(base, rules, AT).rows()


def test_trees_of_nothing_hold_for_everybody_or_nobody() -> None:
    """All of no conditions is everybody, any of none is nobody; a rule may be a segment."""
    rules = {"all": all_of(), "none": any_of(), "both": ~any_of() & all_of(), "loyal": loyal()}
    answers = listed(frames.evaluate(bought(), rules, AT))
    assert ("ann", True, False, True, True) in answers
    assert [("ann", True), ("bo", True), ("cy", True), ("di", True)] == listed(
        frames.evaluate(bought(), {"all": all_of()}, AT)
    )


def test_further_frames_bring_lines_activities_points_and_customers() -> None:
    """Whoever is in the customers is in the answer, and nobody else."""
    lines = pl.DataFrame({
        "customer": ["ann", "ann", "bo"], "order": ["1", "1", "3"], "at": [utc(1, 5)] * 3, "cents": [5, 6, 7],
        "sku": ["mug", "tea", "mug"], "kind": ["ware", "drink", "ware"],
    })  # fmt: skip
    reviews = pl.DataFrame({"customer": ["ann"] * 2, "at": [utc(3, 1), utc(7, 1)], "name": ["review"] * 2})
    points = pl.DataFrame({
        "customer": ["ann"] * 3, "at": [utc(2, 1)] * 3, "unit": ["points"] * 3, "kind": ["earn", "earn", "redeem"],
        "points": [100, -10, -50],
    })  # fmt: skip
    base = bought(
        lines=frames.Lines(lines, amount="cents", category="kind"), activities=frames.Activities(reviews),
        points=frames.Points(points), customers=frames.Customers(pl.DataFrame({"customer": ["ann", "ed"]})),
    )  # fmt: skip
    asked = {
        "orders": orders(), "skus": products(), "drinks": spend(where=category("drink")),
        "reviews": activities("review"), "earned": earned(), "left": balance_of(),
    }  # fmt: skip
    assert [("ann", 2, 2, 6, 1, 90, 40), ("ed", 0, 0, 0, 0, 0, 0)] == listed(frames.measure(base, asked, AT))
    assert ["ann", "ed"] == sorted(base.histories())


# ---------------------------------------------------------------- segments and stages


def test_members_and_who_joined_or_left_between_two_instants() -> None:
    """Those of whom the condition holds; and who changed, by what was known at each of the instants."""
    rich = Segment("rich", spend(months(6)) >= "250.00")
    then = datetime(2026, 6, 10, tzinfo=UTC)
    assert [("ann",)] == listed(frames.members(bought(), rich, AT))
    assert [("bo", "left")] == listed(frames.changes(bought(), rich, then, AT))
    assert [("ann", "joined"), ("bo", "joined")] == listed(
        frames.changes(bought(), rich, datetime(2026, 1, 1, tzinfo=UTC), then)
    )


def test_stages_and_their_changes() -> None:
    """Without an order left a prospect, without one lately lapsed, else by how many there are."""
    assert [("ann", "repeat"), ("bo", "prospect"), ("cy", "lapsed"), ("di", "prospect")] == listed(
        frames.stages(bought(), AT)
    )
    assert [("ann", "one_time", "repeat"), ("cy", "one_time", "lapsed")] == listed(
        frames.stage_changes(bought(), datetime(2026, 2, 1, tzinfo=UTC), AT)
    )


# ---------------------------------------------------------------- thresholds and tiers


def test_progress_is_measured_by_the_engine_and_what_was_reached_worked_out_in_python() -> None:
    """The values of everybody; when, with which order and until when it was reached, of those who did."""
    threshold = Threshold("year", spend(calendar_year()), "250.00", refunds="revoke")
    answers = {row["shopper"]: row for row in frames.progress(bought(), threshold, AT).to_dicts()}
    assert {"shopper": "ann", "value": 30_000, "target": 25_000, "to_go": 0, "reached_at": utc(6, 1), "order": "2",
            "until": datetime(2027, 1, 1), "revoked_at": None, "granted": True} == answers["ann"]  # fmt: skip
    assert (0, 25_000, utc(5, 1), utc(6, 15), False) == tuple(
        answers["bo"][name] for name in ("value", "to_go", "reached_at", "revoked_at", "granted")
    )
    assert (21_000, None, False) == tuple(answers["cy"][name] for name in ("to_go", "reached_at", "granted"))


def test_no_order_is_named_where_the_base_knows_none() -> None:
    """Where every row is an order without an id, it is said when a target was reached, and of no order."""
    base = frames.Base(pl.DataFrame({"customer": ["ann"], "at": [utc(6, 1)], "cents": [500]}), amount="cents")
    (found,) = frames.progress(base, Threshold("t", spend(), 5), AT).to_dicts()
    assert (utc(6, 1), None, True) == (found["reached_at"], found["order"], found["granted"])


def test_tiers_by_what_is_measured_now_and_by_what_was_reached_before() -> None:
    """A tier that lasts while it is qualified for goes with a refund; one until the end of a period may stay."""
    goals = {"Bronze": 0, "Silver": 100, "Gold": 300}
    ladders = [
        Ladder("now", spend(months(3)), goals),
        Ladder("year", spend(months(3)), goals, validity="end_of_period", refunds="at_review"),
        Ladder("none", spend(), {"Gold": 300}),
    ]
    assert [
        ("ann", "Silver", "Silver", "Gold"), ("bo", "Bronze", "Gold", None), ("cy", "Bronze", "Bronze", None),
        ("di", "Bronze", "Bronze", None),
    ] == listed(frames.tiers(bought(), ladders, AT))  # fmt: skip
    assert ["shopper", "mine"] == frames.tiers(bought(), {"mine": ladders[0]}, AT).columns


def test_invitations_and_standings() -> None:
    """A tier by invitation is held by those who have one; a standing says what is missing."""
    ladder = Ladder("club", spend(), [Tier("Bronze", 0), Tier("Gold", 500), Tier("Black", invitation=True)])
    invited = {"cy": [Invitation("Black", datetime(2026, 6, 1, tzinfo=UTC))]}
    assert [("ann", "Bronze"), ("bo", "Bronze"), ("cy", "Black"), ("di", "Bronze")] == listed(
        frames.tiers(bought(), ladder, AT, invited)
    )
    (found,) = frames.standings(bought(), ladder, AT, ["cy"], invited).to_dicts()
    assert {"shopper": "cy", "tier": "Black", "since": utc(6, 1), "until": None, "then": None, "value": 4_000,
            "next": None, "to_next": None, "to_keep": None, "reason": "invitation"} == found  # fmt: skip
    (ann,) = frames.standings(bought(), ladder, AT, ["ann"]).to_dicts()
    assert ("Bronze", "Gold", 20_000) == (ann["tier"], ann["next"], ann["to_next"])


def test_nobody_near_a_target_is_no_reason_to_fetch_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine leaves out all whose rows together cannot have reached a target."""
    seen: list[list[str]] = []
    whole = frames.Base.histories

    def watched(base: frames.Base, chosen: Any) -> Any:
        seen.append(sorted(chosen))
        return whole(base, chosen)

    monkeypatch.setattr(frames.Base, "histories", watched)
    frames.progress(bought(), Threshold("t", spend(), "300.00"), AT)
    frames.progress(bought(), Threshold("t", spend(), "300.01"), AT)
    assert [["ann", "bo", "di"], ["di"]] == seen


def test_amounts_of_any_exact_kind_add_up_to_the_same() -> None:
    """Integers are minor units and decimals money; Python's own Decimals in pandas, too."""
    pd = pytest.importorskip("pandas", reason="install pandas to test it")
    money = [Decimal("12.50"), Decimal("-0.25"), Decimal("7")]
    plain = {"customer": ["ann"] * 3, "at": [utc(1, 1)] * 3, "order": ["1"] * 3}
    mapped: dict[str, Any] = {"order": "order", "known": "at", "amount": "money"}
    for frame in (
        pl.DataFrame({**plain, "money": money}, schema_overrides={"money": pl.Decimal(12, 4)}),
        pl.DataFrame({**plain, "money": [1250, -25, 700]}),
        pd.DataFrame({**plain, "money": money}),
    ):
        answer = frames.measure(frames.Base(frame, **mapped), {"spent": spend()}, AT)
        assert 1925 == answer["spent"][0]


def test_floats_that_are_let_in_are_rounded_once_to_minor_units() -> None:
    """0.1 and 0.2 are 10 and 20 cents: whoever opts in has whole cents from then on."""
    frame = pl.DataFrame({"customer": ["ann"] * 3, "at": [utc(1, 1)] * 3, "money": [0.1, 0.2, 249.7]})
    base = frames.Base(frame, amount="money", floats="round")
    assert [("ann", True)] == frames.evaluate(base, {"exact": spend().equals("250.00")}, AT).rows()


def test_the_same_instant_in_other_forms() -> None:
    """Naive timestamps are UTC; aware ones in UTC are the same; nanoseconds are cut to microseconds."""
    pd = pytest.importorskip("pandas", reason="install pandas to test it")
    moment = AT - timedelta(microseconds=1)
    for values in (pl.Series([moment.replace(tzinfo=None)]), pl.Series([AT]), pl.Series([AT]).dt.cast_time_unit("ms")):
        base = frames.Base(pl.DataFrame({"customer": ["ann"], "at": values}))
        assert [("ann", 1)] == frames.measure(base, {"orders": orders()}, AT).rows()
    late = pd.DataFrame(
        {"customer": ["ann"], "at": pd.Series([pd.Timestamp(AT)]).dt.as_unit("ns") + pd.Timedelta(999, "ns")}
    )
    assert [1] == frames.measure(frames.Base(late), {"orders": orders()}, AT)["orders"].to_list()


def test_categoricals_are_texts() -> None:
    """A column of categories is compared as the texts that it stands for."""
    frame = pl.DataFrame(
        {"customer": ["ann"], "at": [utc(1, 1)], "via": ["web"]}, schema_overrides={"via": pl.Categorical}
    )
    base = frames.Base(frame, channel="via")
    assert [("ann", 1)] == frames.measure(base, {"web": orders(where=channel("web"))}, AT).rows()
