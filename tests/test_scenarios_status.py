"""Scenarios about status: what of it documents can expect, the steps that change it, and what may be said in words."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from loyaltykit import grants
from loyaltykit.calendar import days, months
from loyaltykit.errors import InputError
from loyaltykit.measures import balance_of, earned, orders, spend
from loyaltykit.testing import scenarios
from loyaltykit.thresholds import end_of_year
from loyaltykit.tiers import Ladder, Tier
from loyaltykit.windows import anniversary_year, calendar_year, lifetime

PROGRAM: dict[str, Any] = {
    "tiers": [
        {
            "name": "status",
            "measure": "spend in the past 12 months",
            "tiers": {"Bronze": 0, "Gold": {"threshold": 500, "benefits": "early access", "entry": "50 points"}},
        },
        {"name": "visits", "measure": "orders", "tiers": {"guest": 1, "friend": 3}},
    ],
    "thresholds": [
        {"name": "the year", "measure": "spend in the calendar year", "target": 400, "grants": "free shipping"}
    ],
    "segments": [
        {"name": "buyers", "condition": {"measure": "orders", "op": ">=", "value": 1}},
        {"name": "fans", "condition": {"measure": "orders", "op": ">=", "value": 2}},
    ],
    "badges": [{"name": "first", "condition": {"measure": "orders", "op": ">=", "value": 1}}],
    "cards": [{"name": "coffee", "size": 2, "benefit": "a free coffee"}],
}
DUE: dict[str, Any] = {
    "badges": PROGRAM["badges"],
    "occasions": [{"type": "season", "name": "spring", "start": "02-15", "end": "03-31", "benefits": "50 points"}],
}


def document(*steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a document with these steps, by default after an order of 600.00 on 2 February."""
    first = {"at": "2026-02-02", "order": {"id": "A", "amount": "600.00"}}
    return {
        "scenario": 1,
        "program": PROGRAM,
        "members": ["ann", "bob"],
        "steps": [first, *({"at": "2026-03-01", **step} for step in steps)],
        **fields,
    }


def failures(*steps: dict[str, Any], **fields: Any) -> list[scenarios.Failure]:
    """Return what of a document is not met."""
    data = document(*steps, **fields)
    assert SCHEMA.is_valid(data)
    return list(scenarios.run(scenarios.parse(data)).failures)


SCHEMA = jsonschema.Draft202012Validator(scenarios.schema())


# ---------------------------------------------------------------- what is seen


RIGHT: list[dict[str, Any]] = [
    {"tier": "Gold"},
    {"tier": {"tier": "Gold", "since": "2026-02-02", "until": "2027-02-02", "then": "Bronze", "reason": "qualified"}},
    {"tier": {"through": "2027-02-01", "value": "600.00", "next": "none", "to_next": "none", "to_keep": "500.00"}},
    {"tier": {"ladder": "visits", "tier": "guest", "until": "never", "value": 1, "next": "friend", "to_next": 2}},
    {"member": "bob", "tier": {"ladder": "visits", "tier": "none", "next": "guest", "to_next": 1}},
    {"thresholds": {"the year": True}},
    {"member": "bob", "thresholds": {"the year": False}},
    {"thresholds": {"the year": {"granted": True, "value": "600.00", "target": 400, "to_go": 0, "order": "A"}}},
    {"thresholds": {"the year": {"reached_at": "2026-02-02", "revoked_at": "never", "until": "2027-01-01"}}},
    {"thresholds": {"the year": {"through": "2026-12-31", "days": 305, "months": 10, "full_months": 10}}},
    {"member": "bob", "thresholds": {"the year": {"reached_at": "never", "until": "never", "order": "none"}}},
    {"member": "bob", "thresholds": {"the year": {"days": 0, "months": 0, "full_months": 0}}},
    {"segments": ["buyers"], "badges": ["first"]},
    {"member": "bob", "segments": [], "badges": [], "benefits": [], "due": []},
    {"cards": {"coffee": {"stamps": 1, "full": 0, "left": 1, "missing": 1}}},
    {"benefits": ["free shipping", "early access"]},
    {"benefits": ["early access", {"benefit": "free shipping", "through": "2026-12-31"}]},
    {"benefits": [{"source": ["status: Gold"]}, {"benefit": "free shipping"}]},
    {"benefits": [{"source": "status: Gold", "until": "2027-02-02"}, {"benefit": "free shipping"}]},
    {"consented": {"ads": False}},
    {"known_at": "2026-02-01", "tier": "Bronze", "thresholds": {"the year": False}, "segments": [], "badges": []},
]  # fmt: skip


@pytest.mark.parametrize("expect", RIGHT, ids=str)
def test_what_is_so_is_met(expect: dict[str, Any]) -> None:
    """Whatever there is to see of a status can be said, in every way of saying it."""
    assert failures({"expect": expect}) == []


@pytest.mark.parametrize(
    "due",
    [
        ["badge:first:ann", "season:spring:2026:ann"],
        [{"kind": "badge_earned", "benefit": "none", "ends": "never"}, "season:spring:2026:ann"],
        [{"key": "badge:first:ann", "due": "2026-02-02", "data": {"badge": "first"}}, {}],
        [{}, {"kind": "season", "due": "2026-02-15", "ends": "2026-04-01", "through": "2026-03-31"}],
        [{}, {"benefit": "50 points", "data": {"year": "2026", "season": "none"}}],
    ],
    ids=str,
)
def test_what_is_due_is_met(due: list[Any]) -> None:
    """All that is due is named, the earliest first, by its key or by what matters of it."""
    assert failures({"expect": {"due": due}}, program=DUE) == []


@pytest.mark.parametrize(
    "due",
    [
        [],
        ["badge:first:ann"],
        ["season:spring:2026:ann", "badge:first:ann"],
        ["badge:first:ann", "season:spring:2026:ann", {}],
        [{"kind": "season"}, {}],
        [{"due": "2026-02-03"}, {}],
        [{"ends": "2026-03-01"}, {}],
        [{"data": {"badge": "second"}}, {}],
        [{}, {"benefit": "none"}],
        [{}, {"through": "2026-04-01"}],
    ],
    ids=str,
)
def test_what_is_not_due_is_reported(due: list[Any]) -> None:
    """What is missing, what is too much, and what is otherwise, with all that is due and the status."""
    [failure] = failures({"expect": {"due": due}}, program=DUE)
    assert "steps[1].expect.due" == failure.place
    assert "badge_earned badge:first:ann, due 2026-02-02 00:00 UTC: placed at least 1 order" in failure.why
    assert "badges: first" in failure.why


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"tier": "Bronze"}, "tier"),
    ({"tier": "none"}, "tier"),
    ({"tier": {"tier": "Bronze"}}, "tier.tier"),
    ({"tier": {"since": "2026-02-03"}}, "tier.since"),
    ({"tier": {"until": "never"}}, "tier.until"),
    ({"tier": {"through": "2027-02-02"}}, "tier.through"),
    ({"tier": {"then": "none"}}, "tier.then"),
    ({"tier": {"value": "599.99"}}, "tier.value"),
    ({"tier": {"next": "Platinum"}}, "tier.next"),
    ({"tier": {"to_next": 1}}, "tier.to_next"),
    ({"tier": {"to_keep": "none"}}, "tier.to_keep"),
    ({"tier": {"reason": "kept"}}, "tier.reason"),
    ({"tier": {"ladder": "visits", "to_next": 1}}, "tier.to_next"),
    ({"tier": {"ladder": "steps", "tier": "none"}}, ""),
    ({"thresholds": {"the year": False}}, "thresholds.the year"),
    ({"thresholds": {"the year": {"granted": False}}}, "thresholds.the year.granted"),
    ({"thresholds": {"the year": {"value": "1.00"}}}, "thresholds.the year.value"),
    ({"thresholds": {"the year": {"to_go": "0.01"}}}, "thresholds.the year.to_go"),
    ({"thresholds": {"the year": {"order": "none"}}}, "thresholds.the year.order"),
    ({"thresholds": {"the year": {"reached_at": "never"}}}, "thresholds.the year.reached_at"),
    ({"thresholds": {"the year": {"revoked_at": "2026-02-02"}}}, "thresholds.the year.revoked_at"),
    ({"thresholds": {"the year": {"through": "2026-12-30"}}}, "thresholds.the year.through"),
    ({"thresholds": {"the year": {"months": 11}}}, "thresholds.the year.months"),
    ({"thresholds": {"the month": True}}, ""),
    ({"segments": []}, "segments"),
    ({"segments": ["fans", "buyers"]}, "segments"),
    ({"badges": []}, "badges"),
    ({"badges": ["first", "second"]}, "badges"),
    ({"cards": {"coffee": {"left": 2}}}, "cards.coffee.left"),
    ({"cards": {"tea": {"left": 0}}}, ""),
    ({"benefits": []}, "benefits"),
    ({"benefits": ["early access", "free shipping", "more"]}, "benefits"),
    ({"benefits": [{"source": "status: Bronze"}, {"benefit": "free shipping"}]}, "benefits"),
    ({"benefits": [{"until": "never"}, {}]}, "benefits"),
    ({"consented": {"ads": True}}, "consented.ads"),
]


@pytest.mark.parametrize(("expect", "place"), WRONG, ids=str)
def test_what_is_not_so_is_reported(expect: dict[str, Any], place: str) -> None:
    """Each expectation that is not met is named by its place, and only those."""
    assert [f"steps[1].expect.{place}".rstrip(".")] == [each.place for each in failures({"expect": expect})]


@pytest.mark.parametrize(
    ("expect", "why"),
    [
        ({"tier": "Bronze"}, "status: Gold until 2027-02-02, then Bronze"),
        ({"thresholds": {"the year": False}}, "the year: reached, granted until 2027-01-01"),
        ({"segments": ["buyers", "fans"]}, "fans: no: placed at least 2 orders (1 so far; 1 missing)"),
        ({"badges": []}, "first: yes: placed at least 1 order (1 so far)"),
        ({"badges": ["first", "second"]}, "second: no such rule"),
        ({"benefits": []}, "early access from status: Gold"),
        ({"tier": {"ladder": "steps"}}, "the program has: status, visits"),
        ({"cards": {"tea": {}}}, "the program has: coffee"),
        ({"consented": {"ads": True}}, "ann's last word on ads was no, or there is none"),
    ],
)
def test_a_report_says_why(expect: dict[str, Any], why: str) -> None:
    """Beside what was expected and what came stands the status, or the condition with what is measured and missing."""
    [failure] = failures({"expect": expect})
    assert why in failure.why


def test_who_is_in_a_segment() -> None:
    """A step can say who all are in a segment; who is in it by mistake, or is not, is explained."""
    assert failures({"segments": {"buyers": ["ann"], "fans": []}}) == []
    [failure] = failures({"segments": {"buyers": ["bob", "ann"]}})
    assert ("steps[1].segments.buyers", "ann, bob", "ann") == (failure.place, failure.expected, failure.came)
    assert "bob: no: placed at least 1 order (0 so far; 1 missing)" == failure.why
    [failure] = failures({"segments": {"others": []}})
    assert "it has: buyers, fans" in failure.why


def test_a_program_without_status() -> None:
    """Where a program has no ladder there is no tier."""
    assert failures({"expect": {"tier": "none", "benefits": []}}, program="standard") == []
    [failure] = failures({"expect": {"tier": {"tier": "none"}}}, program="standard")
    assert "has no ladder" in failure.why


# ---------------------------------------------------------------- what is done


class TestSteps:
    def test_an_invitation(self) -> None:
        """Whoever is invited holds the tier from the step on, through the last day."""
        program = {**PROGRAM, "tiers": [{**PROGRAM["tiers"][0], "tiers": {"Bronze": 0, "Star": {"invitation": True}}}]}
        steps = [
            {"expect": {"tier": "Bronze"}},
            {"invite": {"tier": "Star", "through": "2026-03-31"}, "expect": {"tier": {"through": "2026-03-31"}}},
            {"at": "2026-03-31 23:59", "expect": {"tier": {"tier": "Star", "reason": "invitation"}}},
            {"at": "2026-04-01", "expect": {"tier": "Bronze"}},
            {"at": "2026-04-01", "invite": "Star", "expect": {"tier": {"tier": "Star", "until": "never"}}},
            {"at": "2026-04-01", "invite": "Diamond", "refused": "invalid"},
        ]
        assert failures(*steps, program=program) == []

    def test_a_grant(self) -> None:
        """A benefit that is given by hand is held, from its source, through the last day."""
        limited = {"name": "shipping", "kind": "free_shipping", "limits": {"country": "US"}}
        steps = [
            {"grant": "free returns", "expect": {"benefits": [{"benefit": "free returns", "until": "never"}]}},
            {
                "grant": {"benefit": limited, "through": "2026-03-02", "source": "a mishap"},
                "expect": {"benefits": ["free returns", {"benefit": "shipping (country US)", "source": "a mishap"}]},
            },
            {"at": "2026-03-03", "expect": {"benefits": ["free returns"]}},
        ]
        assert failures(*steps, program="standard") == []

    def test_carrying_out(self) -> None:
        """What is due is carried out by key, by kind, or all of it; done again it changes nothing."""
        steps = [
            {"acknowledge": "badge:first:ann"},
            {"acknowledge": "badge:first:ann"},
            {"acknowledge": {"kind": "entry_reward"}, "expect": {"available": 650}},
            {"acknowledge": {"actor": "till"}, "expect": {"available": 650, "due": []}},
        ]
        assert failures(*steps) == []

    @pytest.mark.parametrize(
        ("given", "hint"),
        [
            ("badge:second:ann", "did you mean badge:first:ann?"),
            ({"kind": "coupon"}, "choose one of"),
        ],
    )
    def test_carrying_out_what_is_not_due(self, given: Any, hint: str) -> None:
        """What is not due cannot be carried out, and the report says what is."""
        assert failures({"acknowledge": given, "refused": "invalid"}) == []
        [failure] = failures({"acknowledge": given})
        assert hint in failure.why
        assert failures({"member": "bob", "acknowledge": {}, "refused": "invalid"}) == []

    def test_what_was_carried_out_elsewhere(self) -> None:
        """What the host gave by itself is only put away, whether it is due or not; done again it changes nothing."""
        steps = [
            {"acknowledge": {"decision": "badge:first:ann", "give": False}},
            {"acknowledge": {"decision": "badge:first:ann", "give": False, "key": "done:badge:first:ann"}},
            {"acknowledge": {"decision": "badge:second:ann", "give": False, "key": "by-hand"}},
            {"expect": {"available": 0, "due": [{"kind": "season"}]}},
        ]
        assert failures(*steps, program={"preset": "empty", **DUE}) == []

    @pytest.mark.parametrize("given", [{"give": False}, {"kind": "gift", "give": False}, {"key": "k"}])
    def test_only_a_decision_is_carried_out_elsewhere(self, given: dict[str, Any]) -> None:
        """What was carried out elsewhere is named, and only then has the command a key of its own."""
        with pytest.raises(InputError, match=r"steps\[\d\]\.acknowledge\.(give|key)"):
            failures({"acknowledge": given})

    def test_a_tier_on_each_of_several_ladders(self) -> None:
        """An order may earn by several tiers at once."""
        ladders = [{"name": name, "measure": "spend", "tiers": {tier: 0}} for name, tier in (("a", "A"), ("b", "B"))]
        rules = [{"type": "bonus", "factor": "2", "where": {"type": "in_tier", "names": [name]}} for name in ("X", "Y")]
        program = {"tiers": ladders, "earning": [{"type": "per_amount", "points": 1}, *rules]}
        steps = [{"order": "10.00", "tier": ["X", "Y"], "gives": 40}, {"order": "10.00", "gives": 10}]
        assert failures(*steps, program=program) == []

    def test_all_that_is_due(self) -> None:
        """What is due for all members is seen at once, member by member."""
        bought = {"member": "bob", "order": "10.00"}
        due = ["badge:first:ann", {"kind": "season"}, {"kind": "season"}, "badge:first:bob"]
        assert failures(bought, {"total": {"due": due}}, program=DUE) == []
        [failure] = failures(bought, {"total": {"due": due[:3]}}, program=DUE)
        assert (failure.place, "badge:first:bob" in failure.came) == ("steps[2].total.due", True)

    def test_consent(self) -> None:
        """A purpose alone is a yes; a no is said."""
        steps = [
            {"consent": "spotlight:social", "expect": {"consented": {"spotlight:social": True, "spotlight": False}}},
            {"at": "2026-03-02", "consent": {"purpose": "spotlight", "channel": "social", "given": False}},
            {"at": "2026-03-02", "expect": {"consented": {"spotlight:social": False}}},
        ]
        assert failures(*steps) == []


# ---------------------------------------------------------------- what may be said in words


def made(**fields: Any) -> Any:
    """Return the program that a document's says."""
    return scenarios.parse(document(program=fields)).variants[0].programs[0]


class TestWords:
    @pytest.mark.parametrize(
        ("words", "measure"),
        [
            ("spend", spend()),
            ("spend ever", spend(lifetime())),
            ("spend in the past 12 months", spend(months(12))),
            ("orders in the past 5 weeks", orders(days(35))),
            ("orders in the past month", orders(months(1))),
            ("orders past 30 days", orders(days(30))),
            ("spend in the calendar year", spend(calendar_year())),
            ("spend in the membership year", spend(anniversary_year())),
            ("earned", earned()),
            ("earned in the calendar year", earned(calendar_year())),
            ("balance", balance_of()),
            ({"kind": "spend", "window": "past 12 months"}, spend(months(12))),
            ({"kind": "spend", "window": {"type": "rolling", "period": "12 months"}}, spend(months(12))),
        ],
    )
    def test_measures(self, words: Any, measure: Any) -> None:
        """A measure says what is counted and in which window, in the words that rules say of themselves."""
        ladder = {"name": "status", "measure": words, "tiers": {"Bronze": 0}}
        segment = {"name": "some", "condition": {"type": "not", "part": {"measure": words, "op": "<", "value": 1}}}
        program = made(tiers=[ladder], segments=[segment])
        assert measure == program.tiers[0].measure == program.segments[0].condition.part.measure

    def test_measures_say_themselves(self) -> None:
        """Words and data are two ways of one thing."""
        program = made(tiers=[{"name": "a", "measure": "spend in the past 6 months", "tiers": {"x": 0, "y": 5}}])
        assert "in the past 6 months" == str(program.tiers[0].measure.window)

    @pytest.mark.parametrize(
        ("words", "benefit"),
        [
            ("early access", grants.perk("early access")),
            ("free shipping", grants.free_shipping()),
            ("500 points", grants.bonus_points(500)),
            ("1,500 points", grants.bonus_points(1500)),
            ("15% off an order", grants.percent_off(15)),
            ("7.5% off the next purchase", grants.percent_off("7.5", on="the next purchase")),
            ("5.00 off an order", grants.amount_off("5.00")),
            ({"name": "video", "uses": 3}, grants.perk("video", uses=3)),
        ],
    )
    def test_benefits(self, words: Any, benefit: Any) -> None:
        """A benefit's name says what it is, everywhere where a program promises one; alone or among others."""
        tiers = {"Bronze": {"benefits": words, "entry": [words, "news"]}}
        condition = {"measure": "orders", "op": ">=", "value": 1}
        program = made(
            tiers=[{"name": "status", "measure": "orders", "tiers": tiers}],
            thresholds=[{"name": "t", "measure": "orders", "target": 1, "grants": [words]}],
            badges=[{"name": "b", "condition": condition, "benefit": words}],
            cards=[{"name": "c", "size": 5, "benefit": words}],
            occasions=[{"type": "birthday", "benefits": words}, {"type": "one_two_three", "coupon": words}],
        )
        [tier] = program.tiers[0].tiers
        assert [(benefit,), (benefit, grants.perk("news"))] == [tier.benefits, tier.entry]
        assert [(benefit,)] * 2 == [program.thresholds[0].grants, program.occasions[0].benefits]
        assert [benefit] * 3 == [program.badges[0].benefit, program.cards[0].benefit, program.occasions[1].coupon]

    def test_ladders(self) -> None:
        """Tiers are named with their thresholds, or with all that they bring; grace and review are said in words."""
        tiers = {"Bronze": 0, "Gold": {"threshold": "1000.00", "benefits": "free shipping"}}
        data = {"name": "status", "measure": "spend", "tiers": tiers, "grace": "30 days", "period": "calendar year"}
        gold = Tier("Gold", 1000, benefits=grants.free_shipping())
        wanted = Ladder("status", spend(), [Tier("Bronze"), gold], grace=days(30), period=calendar_year())
        assert (wanted,) == made(tiers=[data]).tiers

    @pytest.mark.parametrize(
        ("until", "lasting"),
        [("to the end of the year", end_of_year()), ("2 months", months(2)), ("for_ever", "for_ever")],
    )
    def test_how_long_a_threshold_lasts(self, until: str, lasting: Any) -> None:
        """What reaching a threshold grants lasts for a period, to the end of one, or as its names say."""
        threshold = {"name": "t", "measure": "orders in the calendar year", "target": 1, "until": until}
        assert lasting == made(thresholds=[threshold]).thresholds[0].until

    def test_occasions(self) -> None:
        """How long an occasion is caught up, and what it gives is valid, is said in words."""
        [birthday] = made(occasions=[{"type": "birthday", "catch_up": "7 days", "validity": "1 month"}]).occasions
        assert (days(7), months(1)) == (birthday.catch_up, birthday.validity)

    def test_the_basis_of_what_is_spent(self) -> None:
        """What counts as spent is named like what earns."""
        assert made(spend_basis="before_points").spend_basis == made(basis="before_points").basis


MALFORMED: list[tuple[dict[str, Any], str]] = [
    (document({"expect": {"tier": 1}}), "steps[1].expect.tier"),
    (document({"expect": {"tier": {"name": "Gold"}}}), "steps[1].expect.tier.name"),
    (document({"expect": {"tier": {"since": "never"}}}), "steps[1].expect.tier.since"),
    (document({"expect": {"tier": {"until": "soon"}}}), "steps[1].expect.tier.until"),
    (document({"expect": {"tier": {"to_next": "nothing"}}}), "steps[1].expect.tier.to_next"),
    (document({"expect": {"thresholds": {"t": {"reached": "2026-01-01"}}}}), 'steps[1].expect.thresholds["t"].reached'),
    (document({"expect": {"benefits": "free shipping"}}), "steps[1].expect.benefits"),
    (document({"expect": {"benefits": [{"until": "soon"}]}}), "steps[1].expect.benefits[0].until"),
    (document({"expect": {"due": [{"due": "never"}]}}), "steps[1].expect.due[0].due"),
    (document({"expect": {"due": [1]}}), "steps[1].expect.due[0]"),
    (document({"expect": {"consented": {"ads": "yes"}}}), 'steps[1].expect.consented["ads"]'),
    (document({"segments": {"loyal": "ann"}}), 'steps[1].segments["loyal"]'),
    (document({"invite": {"level": "Gold"}}), "steps[1].invite.level"),
    (document({"invite": {"tier": "Gold", "ends": "soon"}}), "steps[1].invite.ends"),
    (document({"grant": {"benefit": {"nam": "x"}}}), "steps[1].grant.benefit.nam"),
    (document({"consent": {"given": True}}), "steps[1].consent.purpose"),
    (document({"acknowledge": {"decision": 1}}), "steps[1].acknowledge.decision"),
    (document(program={"tiers": [{"name": "a", "measure": "spending", "tiers": {"x": 0}}]}),
     "program.tiers[0].measure"),
    (document(program={"tiers": [{"name": "a", "measure": "spend", "tiers": {"x": "much"}}]}),
     "program.tiers[0].tiers[0].threshold"),
    (document(program={"tiers": [{"name": "a", "measure": "spend", "tiers": {"x": 0}, "grace": "a bit"}]}),
     "program.tiers[0].grace"),
    (document(program={"cards": [{"name": "c", "size": 5, "benefit": 7}]}), "program.cards[0].benefit"),
    (document(program={"segments": [{"name": "s", "condition": {"measure": "orders", "value": 1}}]}),
     "program.segments[0].condition.type"),
]  # fmt: skip


class TestMalformed:
    @pytest.mark.parametrize(("data", "place"), MALFORMED, ids=[place for _, place in MALFORMED])
    def test_the_place_is_named(self, data: dict[str, Any], place: str) -> None:
        """Whatever is wrong is refused with its place, and wrong by the schema too."""
        with pytest.raises(InputError) as caught:
            scenarios.parse(data)
        assert place == caught.value.field
        assert not SCHEMA.is_valid(data)

    @pytest.mark.parametrize("expect", [{"due": []}, {"consented": {"ads": False}}, {"expiring": []}])
    def test_what_is_seen_by_all_that_is_known(self, expect: dict[str, Any]) -> None:
        """What cannot be seen as it was known at some time is refused rather than seen otherwise."""
        with pytest.raises(InputError, match="leave known_at out"):
            scenarios.parse(document({"expect": {**expect, "known_at": "2026-01-01"}}))

    def test_one_way_to_say_what_is_carried_out(self) -> None:
        """A decision is carried out by its key or by its kind."""
        with pytest.raises(InputError, match="not both"):
            scenarios.parse(document({"acknowledge": {"decision": "a", "kind": "b"}}))
