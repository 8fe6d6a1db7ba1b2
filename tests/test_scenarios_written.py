"""A member's stream as a scenario document: it comes true on a fresh store, and fails where the library is broken."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from test_seeded_bugs import SEEDS

from loyaltykit import (
    Activity,
    Budget,
    Club,
    Consent,
    InputError,
    Ladder,
    Line,
    Member,
    MemoryStore,
    Order,
    Program,
    Refund,
    Refused,
    Reversal,
    Segment,
    Threshold,
    UnknownMember,
    activity,
    bonus,
    bonus_points,
    category,
    coins,
    days,
    earned,
    free_shipping,
    grace,
    hours,
    months,
    orders,
    per_amount,
    per_day,
    perk,
    spend,
    tier,
)
from loyaltykit.errors import LoyaltyError
from loyaltykit.occasions import Birthday
from loyaltykit.testing import scenarios, strategies as draw
from loyaltykit.testing.machine import ClubMachine

MEMBERS = ["ann", "bob", "cy"]


def passes(document: dict[str, Any], store: Any = "memory") -> scenarios.Report:
    """Run a document as it would be read from a file; assert that all comes as it says."""
    report = scenarios.run(scenarios.loads(json.dumps(document), "written"), store)
    assert report.ok, f"{report}\n{scenarios.dumps(document)}"
    return report


class Reporting(ClubMachine):
    """Whatever a machine has done by its end, the document about each member says it all again."""

    makers = (MemoryStore,)

    def teardown(self) -> None:
        """Write the documents, and run them."""
        for member in ("ann", "bob"):
            if self.clubs and self.context(member).head is not None:
                passes(self.clubs[0].scenario(member))
                passes(self.clubs[0].scenario(member, at=self.now, texts=False))
        super().teardown()


TestMachine = Reporting.TestCase
TestMachine.settings = settings(max_examples=25, stateful_step_count=20, suppress_health_check=list(HealthCheck))


# ---------------------------------------------------------------- whatever a club can do


STATUS: dict[str, Any] = {
    "tiers": [
        Ladder("status", spend(hours(30)), {"Bronze": 0, "Silver": 20, "Gold": 60}, grace=hours(2)),
        Ladder("circle", earned(), {"Insider": 10}, earn_tier="include_current"),
    ],
    "thresholds": [Threshold("shipping", spend(), 40, grants=free_shipping())],
    "segments": [Segment("loyal", orders(hours(9)) >= 2)],
    "occasions": [Birthday(bonus_points(100))],
}


@st.composite
def programs(draw_: st.DrawFn) -> list[Program]:
    """Draw a program, with or without rules that look back, and perhaps a later version of it."""
    program = draw_(draw.programs())
    if draw_(st.booleans()):
        rules = [*program.earning, bonus(2, where=tier("Silver", "Gold"))]
        program = attrs.evolve(program, zone="America/New_York", earning=rules, **STATUS)
    if not draw_(st.booleans()):
        return [program]
    other = draw_(draw.programs())
    later = {name: getattr(other, name) for name in ("activation", "inactivity", "shortfall", "restore")}
    if program.validity is not None:
        later["validity"] = other.validity
    return [program, attrs.evolve(program, version=2, effective_from=draw.hour(12), **later)]


def do(club: Club, data: st.DataObject, number: int, at: datetime) -> None:
    """Do something, if it can be done."""
    member, other = data.draw(st.permutations(MEMBERS))[:2]
    known = [f"{each}" for each in range(number)]
    of = data.draw(st.sampled_from(known or ["0"]))
    key, some = str(number), data.draw(draw.SMALL)
    when = st.just(at)
    what = data.draw(st.sampled_from([*"oooooorraempcgthkxzuvwysi"]))
    match what:
        case "o":
            given = data.draw(st.sampled_from([None, None, None, "Gold", "Special", ("Silver", "Insider")]))
            club.record(data.draw(draw.orders(member, key, when)), tier=given)
        case "r":
            club.record(data.draw(draw.refunds(member, of, key, when)))
        case "a":
            club.record(data.draw(draw.activities(member, key, when, data.draw(st.sampled_from([None, of])))))
        case "e":
            club.do(data.draw(draw.grants(member, key, at)))
        case "m":
            club.record(Member(member, at, birthday=(1, 2), email=f"{member}@example.org", zone="Asia/Tokyo"))
        case "p":
            club.do(data.draw(draw.spendings(member, key, at, have=club.balance(member, at=at).available)))
        case "c":
            club.record(Consent(member, "letters", data.draw(st.booleans()), at, source="till"))
        case "g":
            club.grant(member, perk("early access"), key=key, at=at, ends=at + timedelta(hours=9), actor="clerk")
        case "t":
            club.transfer(member, other, some, key=key, at=at, reason="for your birthday")
        case "h":
            club.do(data.draw(draw.resolutions(member, key, at, of)))
        case "k":
            club.restore(member, of, at=at)
        case "x":
            club.merge(member, other, at=at)
        case "z" | "u":
            club.unmerge(member, at=at)
        case "v":
            club.invite(member, "Gold", key=key, at=at)
        case "w" | "y":
            for decision in club.due(member, at=at):
                club.acknowledge(decision, at=at, give=what == "w")
        case "s":
            club.sweep(at=at)
        case "i":
            club.record(Reversal(key, member, data.draw(st.sampled_from(known or ["0"])), of, at))


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(programs(), st.data())
def test_a_written_document_says_it_all_again(versions: list[Program], data: st.DataObject) -> None:
    """For any history the document comes true on a fresh store, for any member, with all texts and without."""
    now = draw.EPOCH
    club = Club(versions, MemoryStore(), clock=lambda: now)
    at = draw.EPOCH
    for number in range(data.draw(st.integers(1, 14))):
        at += timedelta(minutes=data.draw(st.sampled_from([0, 7, 60, 300])))
        now = at + timedelta(minutes=data.draw(st.sampled_from([0, 0, 1, -90])))
        late = data.draw(st.sampled_from([0, 0, 0, 3]))
        try:
            do(club, data, number, at - timedelta(hours=late))
        except LoyaltyError:
            continue
    for member in club.members():
        passes(club.scenario(member))
        passes(club.scenario(member, at=at + timedelta(hours=5), texts=False))


# ---------------------------------------------------------------- one history, by hand


def eventful() -> Club:
    """Return a club to whose members about everything has happened that can."""
    program = Program(
        "corner",
        "USD",
        zone="Europe/Paris",
        earning=[per_amount(1), activity("review", 25), bonus(2, where=tier("Gold"))],
        rewards=coins(100, worth="1.00"),
        caps=per_day(points=900),
        validity=days(60),
        restore=grace(days(10)),
        tiers=Ladder("status", spend(months(6)), {"Silver": 0, "Gold": 500}),
        thresholds=Threshold("shipping", spend(), "700.00", grants=free_shipping()),
        segments=Segment("loyal", orders(days(40)) >= 2),
        occasions=Birthday(bonus_points(100)),
    )
    clock = [on(1, 1)]
    club = Club([program, attrs.evolve(program, version=2, effective_from=on(4, 1), validity=days(30))], MemoryStore(),
                clock=lambda: clock[0])  # fmt: skip

    def then(month: int, day: int, hour: int = 12) -> datetime:
        clock[0] = on(month, day, hour) + timedelta(minutes=1)
        return on(month, day, hour)

    ann = Member("ann", then(1, 1), birthday=(5, 5), email="ann@example.org", attributes={"street": "Rue Haute 1"})
    club.record(ann)
    sweater = Line("red sweater", 2, unit_price="100.00", categories=["wool"])
    club.record(Order("1", "ann", then(1, 2), [sweater, Line("mug", 1, unit_price="30.00")], codes=["MUM"]))
    club.record(Order("2", "bob", then(1, 3), amount="80.00"))
    club.earn("ann", 40, key="gift", at=then(1, 4), expires_at=on(1, 20), reason="she was ill")
    club.redeem("ann", 50, key="r-1", at=then(1, 5))
    club.restore("ann", "r-1", 45, at=then(1, 25))
    club.transfer("bob", "ann", 30, key="t-1", at=then(1, 26))
    club.hold("ann", 100, key="h-1", until=on(1, 28), at=then(1, 27))
    club.capture("ann", "h-1", 60, at=then(1, 27, 14))
    with pytest.raises(Refused):
        club.redeem("ann", 9_000, key="r-2", at=then(1, 28))
    club.record(Order("3", "ann", then(2, 1), amount="400.00"))
    club.record(Order("4", "ann", then(2, 2), amount="600.00"))
    club.redeem("ann", 1_000, key="r-3", at=then(2, 3))
    club.record(Refund("b-1", "ann", "1", then(2, 4), {"red sweater": 1}))
    club.record(Refund("b-2", "ann", "4", then(2, 5)))
    club.record(Reversal("b-3", "ann", "4", "b-2", then(2, 6)))
    club.record(Activity("v-1", "ann", "review", then(2, 7), product="red sweater"))
    club.record(Consent("ann", "letters", True, then(2, 8), source="leaflet"))
    club.merge("bob", "ann", at=then(2, 9))
    club.record(Order("5", "bob", then(2, 10), amount="70.00"), tier="Silver")
    club.transfer("ann", "cy", 10, key="t-2", at=then(2, 11)) if club.record(Member("cy", on(2, 1))) else None
    club.adjust("ann", -20, key="a-1", at=then(2, 12), reason="found out", actor="Mrs Smith")
    club.invite("ann", "Gold", key="i-1", at=then(3, 1), ends=on(4, 1))
    club.sweep(at=then(4, 2))
    club.record(Order("6", "ann", then(4, 20), amount="55.00"))
    for decision in club.due("ann", at=then(5, 6)):
        club.acknowledge(decision, at=on(5, 6), give=decision.kind != "tier_entry")
    return club


def on(month: int, day: int, hour: int = 0) -> datetime:
    """Return an instant of 2026."""
    return datetime(2026, month, day, hour, tzinfo=UTC)


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_an_eventful_history_says_itself_again(store: str) -> None:
    """Everything that can happen is in the document, and comes true on every store."""
    document = eventful().scenario("ann", at=on(6, 1))
    assert passes(document, store).checked > 60
    done = {name for step in document["steps"] for name in step}
    assert {"order", "refund", "reversal", "activity", "consent", "transfer", "merge", "hold", "capture"} < done
    assert {"redeem", "restore", "earn", "adjust", "invite", "acknowledge", "sweep", "program", "refused"} < done
    assert [] == list(jsonschema.Draft202012Validator(scenarios.schema()).iter_errors(json.loads(json.dumps(document))))


BUGS = [
    "a lot lives through the instant at which it expires",
    "the earliest earned goes first, not the soonest expiring",
    "a clawback spares the order's own lot",
    "grace is forgotten",
    "a partial capture takes all",
    "a reversal does nothing",
]


@pytest.mark.parametrize("name", BUGS)
def test_a_broken_library_fails_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that a library which is right has written does not pass in one that is wrong."""
    document = eventful().scenario("ann", at=on(6, 1))
    SEEDS[name].plant(monkeypatch)
    assert not scenarios.run(scenarios.parse(document)).ok


# ---------------------------------------------------------------- what is in it


def test_texts_that_no_rule_looks_at_can_be_left_out() -> None:
    """Without texts the document says the same, and nothing of goods, people and reasons that no rule asks for."""
    told = scenarios.dumps(eventful().scenario("ann", at=on(6, 1)))
    silent = eventful().scenario("ann", at=on(6, 1), texts=False)
    assert passes(silent).checked == passes(json.loads(told)).checked
    for text in ("red sweater", "wool", "mum", "ann@example.org", "Rue Haute", "she was ill", "Mrs Smith", "leaflet"):
        assert text in told.replace("MUM", "mum"), f"{text} was told before"
        assert text not in scenarios.dumps(silent)
    assert [5, 5] == silent["members"]["ann"]["birthday"]  # for which there is a gift
    assert "review" in scenarios.dumps(silent)  # which earns


def test_goods_that_rules_name_keep_their_names() -> None:
    """What a rule names stays, other goods are numbered, so that different ones stay different."""
    program = Program("tea", "USD", earning=[per_amount(1), bonus(3, where=category("tea"))])
    club = Club(program, MemoryStore(), clock=lambda: on(1, 1))
    lines = [Line("sencha", 1, unit_price=5, categories="tea"), Line("mug", 2, unit_price=5), Line("mug", 1)]
    club.record(Order("1", "ann", on(1, 1), lines))
    club.record(Refund("2", "ann", "1", on(1, 2), {"mug": 1, "mug#2": 1}))
    document = club.scenario("ann", texts=False)
    passes(document)
    order, refund = (step.get("order", step.get("refund")) for step in document["steps"][:2])
    assert ["tea"] == order["lines"][0]["categories"]
    names = [line["sku"] for line in order["lines"]]
    assert ["product 1", "product 2", "product 2"] == names
    assert {"product 2": "1", order["lines"][2]["id"]: "1"} == refund["lines"]


def test_members_from_whom_something_came_are_in_it() -> None:
    """The members behind a balance are in its document with all that is on record of them; the others by name."""
    club = Club(Program("corner", "USD"), MemoryStore(), clock=lambda: on(1, 1))
    for member in ("ann", "bob", "cy", "dee", "eve"):
        club.earn(member, 50, key="begin", at=on(1, 1))
    club.transfer("bob", "ann", 10, key="t-1", at=on(1, 2))  # bob gave to ann
    club.transfer("dee", "bob", 10, key="t-2", at=on(1, 2))  # and dee to bob
    club.transfer("ann", "cy", 10, key="t-3", at=on(1, 2))  # cy got something
    document = club.scenario("ann")
    passes(document)
    assert ["ann", "bob", "dee", "cy"] == list(document["members"])
    assert {"ann", "bob", "dee"} == {step.get("member", "ann") for step in document["steps"]}
    assert {"ann", "bob", "dee"} == {each["member"] for each in document["steps"][-1]["expect"]}


def test_what_crossed_comes_in_the_order_in_which_it_can_be_done() -> None:
    """What left one member is sent in the document when the other took it in: nothing is spent before it came."""
    club = Club(Program("corner", "USD"), MemoryStore(), clock=lambda: on(1, 1))
    for member in ("ann", "bob", "cy"):
        club.earn(member, 10, key="begin", at=on(1, 1))
    club.transfer("cy", "bob", 10, key="1", at=on(1, 2))
    club.transfer("bob", "ann", 20, key="2", at=on(1, 2))
    club.redeem("ann", 30, key="3", at=on(1, 2))
    club.merge("ann", "cy", at=on(1, 3))
    club.unmerge("ann", at=on(1, 4))
    for member in ("ann", "bob", "cy"):
        passes(club.scenario(member))


def test_what_is_sent_comes_no_sooner_than_it_was_taken_in() -> None:
    """Whoever was refused before the points of another came is refused in the document too."""
    club = Club(Program("corner", "USD"), MemoryStore(), clock=lambda: on(1, 1))
    for member in ("ann", "bob"):
        club.earn(member, 10, key="begin", at=on(1, 1))
    with pytest.raises(Refused):
        club.redeem("bob", 20, key="1", at=on(1, 1))
    club.transfer("ann", "bob", 10, key="2", at=on(1, 1))
    passes(club.scenario("bob"))


def test_an_order_that_moved() -> None:
    """A revision that says when the order was placed, and not when it was changed, is told as it is."""
    club = Club(Program("corner", "USD", earning=per_amount(1)), MemoryStore(), clock=lambda: on(1, 9))
    club.record(Order("1", "ann", on(1, 1), amount=10))
    club.record(Order("1", "ann", on(1, 5), amount=20, revision=2))
    document = club.scenario("ann", at=on(1, 9))
    passes(document)
    told = scenarios.parse(document).variants[0].deeds[1].value
    assert (on(1, 5), None) == (told.at, told.revised_at)


def test_recorded_instants_are_kept() -> None:
    """When something was recorded is in the document, so what was known then can be asked of it."""
    now = on(1, 5)
    club = Club(Program("corner", "USD", earning=per_amount(1)), MemoryStore(), clock=lambda: now)
    club.record(Order("1", "ann", on(1, 1), amount=10))
    document = club.scenario("ann")
    assert "2026-01-05" == document["steps"][0]["recorded_at"]
    document["steps"].append({"at": "2026-01-02", "expect": {"known_at": "2026-01-04", "available": 0}})
    document["steps"].append({"at": "2026-01-02", "expect": {"known_at": "2026-01-05", "available": 10}})
    passes(document)


def test_an_unknown_member_has_none() -> None:
    """Nothing can be written of somebody of whom nothing is known."""
    with pytest.raises(UnknownMember, match="nobody"):
        Club(Program("corner", "USD"), MemoryStore()).scenario("nobody")


def test_of_an_erased_person_there_is_none() -> None:
    """What is left of an erased person's books says no more what happened, to them or to whom they gave something."""
    club = Club(Program("corner", "USD"), MemoryStore(), clock=lambda: on(1, 1))
    for member in ("ann", "bob"):
        club.earn(member, 10, key="1", at=on(1, 1))
    club.transfer("ann", "bob", 5, key="2", at=on(1, 2))
    club.erase("ann", at=on(1, 3), pseudonym="nobody")
    for member in ("nobody", "bob"):
        with pytest.raises(InputError, match="nobody"):
            club.scenario(member)


def test_a_document_has_one_zone() -> None:
    """A later version in another zone cannot be said in a document, and the error says so."""
    program = Program("corner", "USD")
    later = attrs.evolve(program, version=2, effective_from=on(1, 2), zone="Asia/Tokyo")
    club = Club([program, later], MemoryStore())
    club.earn("ann", 10, key="1", at=on(1, 1))
    with pytest.raises(InputError, match=r"program\.zone"):
        club.scenario("ann")


def test_what_is_known_elsewhere_is_told() -> None:
    """Where the shop's own tables or shared budgets have a part in it, the document says what it does not hold."""

    class Tables:
        def facts(self, member: str) -> list[Order]:
            return [Order("1", member, on(1, 1), amount=10)]

        def members(self, after: str = "", limit: int = 100) -> list[str]:
            return []

    program = Program(
        "corner", "USD", earning=bonus(2, budget=Budget("spring", 5)), segments=Segment("any", orders() >= 1)
    )
    club = Club(program, MemoryStore(), source=Tables())
    club.earn("ann", 10, key="1", at=on(1, 1))
    document = club.scenario("ann")
    passes(document)
    assert ["budgets" in document["notes"][0], "tables" in document["notes"][1]] == [True, True]
