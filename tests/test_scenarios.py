"""Scenarios as data: every document on every store, the runner itself, and the form of documents."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, strategies as st

from loyaltykit.errors import InputError, StoreBusy
from loyaltykit.journal import Commit, Context, Need
from loyaltykit.stores import MemoryStore, Store
from loyaltykit.testing import scenarios

FOLDER = Path(__file__).parent / "scenarios"
DOCUMENTS = scenarios.documents(FOLDER)

# The numbered ones of the catalogue that a club decides by itself; the others wait for what they are about.
NUMBERED = [
    1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 13, 14, 15, 18, 19, 21, 23, 24, 25, 27, 28, 29, 30, 31, 33, 34, 35, 36, 38, 40, 41,
    43, 44, 45, 47, 48, 49, 51, 53, 55, 56, 57, 60, 61, 63, 65, 67, 68, 69, 72, 73, 74, 75, 77, 79, 81, 82, 83, 85, 112,
    114,
]  # fmt: skip


@pytest.fixture(scope="module", params=sorted(scenarios.STORES))
def make_store(request: pytest.FixtureRequest) -> Iterator[Callable[[], Store]]:
    """Every store that documents can be run on by name."""
    with scenarios.STORES[request.param]() as make:
        yield make


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_document(path: Path, make_store: Callable[[], Store]) -> None:
    """What the document says comes true, on every store, and in other orders where it says so."""
    scenarios.check(path, make_store)


def test_every_numbered_scenario_has_its_document() -> None:
    """None of the catalogue's scenarios that a club can decide is left without a document."""
    names = [path.stem.split("-")[0] for path in DOCUMENTS]
    assert sorted(f"s{number:02}" for number in NUMBERED) == sorted(name for name in names if name[1:].isdigit())


def pages() -> list[str]:
    """Return the documents that the page about them shows."""
    page = Path(__file__).parent.parent / "docs" / "how-to" / "write-a-scenario.md"
    return re.findall(r"^```json\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("text", pages(), ids=lambda text: json.loads(text)["title"])
def test_documented(text: str, make_store: Callable[[], Store]) -> None:
    """Every document that the how-to page shows comes true, and keeps to the schema."""
    assert scenarios.run(scenarios.loads(text), make_store).failures == ()
    assert TestSchema.validator.is_valid(json.loads(text))


def document(*steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a document with these steps."""
    return {"scenario": 1, **fields, "steps": [{"at": "2026-01-01", **step} for step in steps]}


def places(data: dict[str, Any], store: Any = MemoryStore) -> list[str]:
    """Return where the document is not met."""
    return [failure.place for failure in scenarios.run(scenarios.parse(data), store).failures]


TOP = ["scenario", "name", "title", "notes", "permute", "program", "variants", "members", "steps"]


def refused_at(data: Any) -> str | None:
    """Return the place for which a document is refused; None if it can be read."""
    try:
        scenarios.parse(data)
    except InputError as error:
        return error.field if str(error) else ""
    return None


# ---------------------------------------------------------------- what the runner sees


class TestExpectations:
    @pytest.mark.parametrize(
        ("step", "place"),
        [
            ({"expect": 99}, "expect.available"),
            ({"expect": {"available": 100, "pending": 1}}, "expect.pending"),
            ({"expect": {"lots": []}}, "expect.lots"),
            ({"expect": {"lots": [60, 40]}}, "expect.lots"),
            ({"expect": {"lots": [{"points": 100, "expires_at": "2026-02-02"}]}}, "expect.lots"),
            ({"expect": {"lots": [{"through": "2026-02-01"}]}}, "expect.lots"),
            ({"expect": {"lots": [{"expires_at": "never"}]}}, "expect.lots"),
            ({"expect": {"expiring": []}}, "expect.expiring"),
            ({"expect": {"expiring": [{"points": 100, "at": "2026-02-02"}]}}, "expect.expiring"),
            ({"expect": {"entries": {"earn": []}}}, "expect.entries.earn"),
            ({"expect": {"entries": {"redeem": [-1]}}}, "expect.entries.redeem"),
            ({"expect": {"statement": []}}, "expect.statement"),
            ({"expect": {"statement": [{"points": 100}, {"points": 1}]}}, "expect.statement"),
            ({"expect": {"statement": [{"at": "2026-01-01 10:00"}]}}, "expect.statement"),
            ({"expect": [{"available": 100}, {"available": 101}]}, "expect[1].available"),
            ({"total": 101}, "total.available"),
            ({"total": {"unit": "votes", "earned": 1}}, "total.earned"),
            ({"total": {"liability": "2.00"}}, "total.liability.reserve"),
            ({"total": {"liability": {"expected": "0.5", "reserve": "1.00"}}}, "total.liability.reserve"),
            ({"total": {"liability": {"goods": "1.00"}}}, "total.liability.goods"),
            ({"total": {"due": ["birthday:ann:2026"]}}, "total.due"),
            ({"expect": {"liability": "0.99"}}, "expect.liability.reserve"),
            ({"redeem": 10, "gives": 10}, "gives.points"),
            ({"redeem": 10, "gives": {"units": {"points": 10}}}, "gives.units.points"),
            ({"redeem": 10, "refused": "insufficient_points"}, "refused"),
            ({"redeem": 101}, "refused"),
            ({"redeem": 101, "refused": "hold_expired"}, "refused"),
            ({"redeem": 101, "refused": {"reason": "insufficient_points", "short": 2}}, "refused.short"),
            ({"quote": "1.00", "gives": {"worth": "2.00"}}, "gives.worth"),
            ({"quote": "1.00", "gives": {"reasons": ["tier"]}}, "gives.reasons"),
            ({"quote": "1.00", "gives": {"units": {"points": 99}}}, "gives.units.points"),
            ({"quote": "1.00", "gives": {"units": {"votes": 1}}}, "gives.units.votes"),
            ({"preview": "10.00", "gives": {"points": 11}}, "gives.points"),
            ({"preview": "10.00", "gives": {"asked": 11}}, "gives.asked"),
        ],
    )
    def test_a_wrong_expectation_is_reported(self, step: dict[str, Any], place: str) -> None:
        """Whatever a step can expect is compared, and what is not met is named by its place."""
        data = document({"earn": {"points": 100, "expires_at": "2026-02-01"}}, step)
        data["program"] = {"units": [{"name": "votes"}]}
        assert [f"steps[1].{place}"] == places(data)

    @pytest.mark.parametrize(
        "step",
        [
            {"expect": {"available": 100, "balance": 100, "earned": 100, "debt": 0}},
            {"expect": {"lots": [100]}},
            {"expect": {"lots": [{"points": 100, "active": 100, "pending": 0, "held": 0, "issued": 100}]}},
            {"expect": {"lots": [{"earned_at": "2026-01-01", "through": "2026-01-31", "expires_at": "2026-02-01"}]}},
            {"expect": {"lots": [{"expires_at": "2026-02-01T01:00:00+01:00", "id": "key:earn-1"}]}},
            {"expect": {"expiring": [{"points": 100, "through": "2026-01-31"}]}},
            {"expect": {"entries": {"earn": [100], "redeem": []}}},
            {"expect": {"statement": [{"at": "2026-01-01", "kind": "earn", "points": 100, "balance": 100}]}},
            {"expect": {"statement": [{"booked": True, "reason": "earn-1"}]}},
            {"expect": {"known_at": "2025-12-31", "available": 0}, "recorded_at": "2026-01-02"},
            {"total": {"available": 100}},
            {"total": {"liability": "1.00", "due": []}},
            {"total": {"liability": {"expected": "0.5", "reserve": "0.50", "deferred": "0.00", "recognised": "0.00"}}},
            {"expect": {"liability": "1.00", "due": []}},
            {"redeem": 10, "gives": {"points": -10, "units": {"points": -10, "votes": 0}, "status": "applied"}},
            {"redeem": 101, "refused": {"reason": "insufficient_points", "needed": 101, "available": 100, "short": 1}},
            {"quote": "0.50", "gives": {"points": 50, "worth": "0.50", "reasons": [], "available": 100}},
            {"preview": "10.00", "gives": {"points": 10, "asked": 10, "units": {"points": 10}}, "expect": 100},
            {"sweep": {}, "expect": 100},
        ],
    )  # fmt: skip
    def test_a_right_expectation_is_met(self, step: dict[str, Any]) -> None:
        """What is so passes, in every way of saying it."""
        data = document({"earn": {"points": 100, "expires_at": "2026-02-01"}}, step)
        data["program"] = {"units": [{"name": "votes"}]}
        data["steps"][0]["recorded_at"] = "2026-01-01"
        assert places(data) == []

    def test_a_report_says_what_was_expected_what_came_and_why(self) -> None:
        """Each failing expectation is printed with its place, its two values and the explanation of the balance."""
        data = document({"earn": 100}, {"redeem": 30, "expect": {"available": 60}}, title="Wrong")
        report = scenarios.run(scenarios.parse(data, "wrong.json"))
        assert not report.ok
        text = str(report)
        assert "wrong.json (memory): steps[1].expect.available" in text
        assert "expected 60" in text
        assert "came     70" in text
        assert "−30 redeemed: redeem-1 (2026-01-01)" in text
        with pytest.raises(AssertionError, match="Wrong"):
            scenarios.check(data)

    def test_the_rest_is_reported_too(self) -> None:
        """A step that fails does not hide what is wrong after it."""
        data = document({"earn": 100, "gives": 1}, {"redeem": 101}, {"expect": 1})
        assert places(data) == ["steps[0].gives.points", "steps[1].refused", "steps[2].expect.available"]

    def test_an_account_that_cannot_be_seen(self) -> None:
        """A look that fails is a failing expectation, and not the end of the run."""
        data = document({"earn": 1}, {"expect": {"unit": "votes", "available": 0}}, {"expect": 1}, {"expect": 2})
        assert "steps[3].expect.available" in places(data)

    def test_a_store_that_breaks(self) -> None:
        """What breaks under a step is reported as the step's failure."""

        class Busy(MemoryStore):
            def append(self, commit: Commit) -> None:
                if any(record.kind == "redeem" for record in commit.records):
                    raise StoreBusy("locked", False)
                super().append(commit)

        data = document({"earn": 100}, {"redeem": 30, "expect": 70})
        [refused, *_] = scenarios.run(scenarios.parse(data), Busy).failures
        assert (refused.place, refused.expected, refused.came) == ("steps[1].refused", "none", "StoreBusy")

    @pytest.mark.parametrize(("what", "place"), [("due", "expect"), ("everything", "expect.available")])
    def test_a_store_that_cannot_be_read(self, what: str, place: str) -> None:
        """A look that breaks is reported too, and an explanation that cannot be had does not hide the failure."""

        class Unreadable(MemoryStore):
            def load(self, need: Need) -> Context:
                if getattr(need, what):
                    raise StoreBusy("locked", False)
                return super().load(need)

        failures = scenarios.run(scenarios.parse(document({"earn": 100}, {"expect": 99})), Unreadable).failures
        assert [f"steps[1].{place}"] == [failure.place for failure in failures if failure.place[:8] == "steps[1]"]
        assert all("locked" in failure.why for failure in failures)

    def test_a_quote_that_was_refused_cannot_be_redeemed(self) -> None:
        """Where there is no quote, because asking for it failed, redeeming it fails as well."""
        data = document(
            {"earn": 100},
            {"quote": {"reward": "castle"}, "refused": "invalid"},
            {"redeem": {"quote": "quote-1"}, "refused": "invalid", "expect": 100},
        )
        assert scenarios.check(data).ok
        assert str(scenarios.check(data)) == "5 expectations in 1 runs: all met"

    def test_the_books_are_proved(self) -> None:
        """After every run each member's stored rows are compared with what the records say."""

        class Forgetful(MemoryStore):
            def append(self, commit: Commit) -> None:
                super().append(commit._replace(entries=[]))

        assert places(document({"earn": 100, "expect": 100}), Forgetful) == ["the books of ann"]

    def test_every_variant_is_run(self) -> None:
        """Each choice of policies is run on a store of its own, with the steps that are meant for it."""
        data = document(
            {"order": "50.00"},
            {"only": "double", "expect": 100},
            {"only": ["single", "double"], "expect": 50},
            variants={"single": {}, "double": {"earning": [{"type": "per_amount", "points": 2}]}},
        )
        [failure] = scenarios.run(scenarios.parse(data)).failures
        assert (failure.variant, failure.place, failure.came) == ("double", "steps[2].expect.available", "100")


class TestPermutations:
    def test_what_depends_on_the_order_is_found(self) -> None:
        """A document that wrongly says that its facts may come in any order fails in one of the other orders."""
        steps = [
            {"at": "2026-01-01 10:00", "order": "40.00"},
            {"at": "2026-01-01 11:00", "order": "20.00"},
            {"at": "2026-01-01 10:30", "expect": 40},
        ]
        data = {"scenario": 1, "program": {"caps": [{"period": "day", "points": 50}]}, "steps": steps}
        assert places(data) == []
        failures = scenarios.run(scenarios.parse({**data, "permute": True})).failures
        assert {"facts backwards"} == {failure.replay for failure in failures}

    def test_facts_are_repeated(self) -> None:
        """Each fact also comes twice: a store that takes a record once more is found out."""
        steps = [{"order": f"{number}0.00"} for number in range(1, 6)]
        report = scenarios.run(scenarios.parse(document(*steps, {"expect": 150}, permute=True)))
        assert report.ok
        assert report.runs == 1 + scenarios.ORDERS

    def test_commands_stay_where_they_are(self) -> None:
        """Only the facts between two commands change places: a command is decided on what was recorded before it."""
        data = document(
            {"order": "30.00"}, {"order": "70.00"}, {"redeem": 100}, {"order": "5.00"}, {"refund": "order-3"},
            {"expect": {"available": 0, "debt": 0}}, permute=True,
        )  # fmt: skip
        assert places(data) == []

    def test_a_refused_fact_stays_out(self) -> None:
        """A fact that the document expects to be refused was not recorded, and is not in other orders either."""
        data = document(
            {"order": {"id": "A", "amount": "10.00"}},
            {"order": {"id": "A", "amount": "20.00"}, "refused": "key_reused"},
            {"expect": 10},
            permute=True,
        )
        assert places(data) == []


# ---------------------------------------------------------------- what may be left out


class TestForm:
    def test_names_and_references_may_be_left_out(self) -> None:
        """Keys and ids are the verb and its number, references mean the latest of the member."""
        data = document(
            {"order": "30.00"}, {"refund": {}, "expect": 0}, {"reversal": {}, "expect": 30},
            {"hold": {"points": 10, "until": "2026-01-02"}}, {"capture": {}, "expect": 20},
            {"restore": {}, "expect": 30},
            {"redeem": 5}, {"restore": 2, "expect": 27}, {"earn": 8}, {"claw_back": {}, "expect": 27},
            {"redeem": {"points": 1, "key": "mine"}}, {"restore": "mine", "expect": 27},
            {"quote": "0.07"}, {"redeem": {"quote": "quote-1"}, "expect": 20},
        )  # fmt: skip
        assert places(data) == []
        deeds = scenarios.parse(data).variants[0].deeds
        assert [deed.value.id for deed in deeds[:3]] == ["order-1", "refund-1", "reversal-1"]
        assert [deed.value.key for deed in deeds[3:7]] == ["hold-1", "capture-1", "restore-1", "redeem-1"]

    def test_references_are_the_members_own(self) -> None:
        """The latest order of one member is not that of another."""
        data = document(
            {"order": "30.00"}, {"member": "bob", "order": "20.00"}, {"refund": {}, "expect": 0},
            {"member": "bob", "expect": 20}, members=["ann", "bob"],
        )  # fmt: skip
        assert places(data) == []

    def test_names_are_the_same_in_every_variant(self) -> None:
        """A step that a variant leaves out keeps its number."""
        data = document(
            {"only": "one", "earn": 1}, {"earn": 2}, variants={"one": {}, "two": {}},
        )  # fmt: skip
        one, two = scenarios.parse(data).variants
        assert "earn-2" == one.deeds[1].value.key == two.deeds[0].value.key

    @pytest.mark.parametrize(
        ("text", "instant"),
        [
            ("2026-07-06", "2026-07-06T04:00:00+00:00"),
            ("2026-07-06 10:30", "2026-07-06T14:30:00+00:00"),
            ("2026-07-06T10:30:15.5", "2026-07-06T14:30:15.500000+00:00"),
            ("2026-07-06 10:30Z", "2026-07-06T10:30:00+00:00"),
            ("2026-07-06T10:30+02:00", "2026-07-06T08:30:00+00:00"),
            ("2026-03-08 02:30", "2026-03-08T07:30:00+00:00"),
        ],
    )
    def test_moments_are_local_to_the_program(self, text: str, instant: str) -> None:
        """A day is its first instant in the program's zone, a time without an offset is local to it."""
        data = {"scenario": 1, "program": {"zone": "America/New_York"}, "steps": [{"at": text, "earn": 1}]}
        assert instant == scenarios.parse(data).variants[0].deeds[0].value.at.isoformat()

    def test_last_days(self) -> None:
        """`through` names the last day of a lot, a rule, a reward, a condition: its end is the start of the next."""
        data = document({"earn": {"points": 1, "through": "2026-02-28"}})
        data["program"] = {
            "zone": "Europe/Paris",
            "earning": [
                {"type": "per_amount", "points": 1, "through": "2026-02-28"},
                {"type": "per_order", "points": 1, "where": {"type": "dates", "through": "2026-02-28"}},
            ],
            "rewards": [{"type": "reward", "name": "tote", "points": 1, "through": "2026-02-28"}],
        }
        [variant] = scenarios.parse(data).variants
        [program] = variant.programs
        ends = [variant.deeds[0].value.expires_at, program.earning[0].ends]
        assert [end.isoformat() for end in ends] == ["2026-02-28T23:00:00+00:00"] * 2
        assert [str(program.earning[1].where.until), str(program.rewards[0].ends)] == ["2026-03-01"] * 2

    @pytest.mark.parametrize(
        ("words", "period"),
        [
            ("12 months to the end of the month", "12 months, to the end of the month"),
            ("12 months, to the end of the half_year", "12 months, to the end of the half-year"),
            ("1 year", "12 months"),
            ("2 weeks", "2 weeks"),
            ("1 quarter", "3 months"),
            ("90 minutes", "1 hour and 30 minutes"),
            ({"months": 6, "end_of": "year"}, "6 months, to the end of the year"),
        ],
    )
    def test_periods_in_words(self, words: Any, period: str) -> None:
        """A period may be said in words or given as data."""
        data = document({"earn": 1}, program={"validity": words, "activation": words})
        [program] = scenarios.parse(data).variants[0].programs
        assert (period, period) == (str(program.validity), str(program.activation))

    def test_members_as_people(self) -> None:
        """Members are enrolled from the first instant of the document on, or from when they say."""
        members = {"ann": {"zone": "Asia/Tokyo", "birthday": "2000-05-05", "at": "2025-01-01"}, "bob": {}}
        [variant] = scenarios.parse(document({"earn": 1}, members=members)).variants
        found = [(member.id, member.at.year, member.zone) for member in variant.members]
        assert found == [("ann", 2025, "Asia/Tokyo"), ("bob", 2026, None)]

    def test_a_changed_profile(self) -> None:
        """What is known of a person changes at a step, like everything else."""
        [deed] = scenarios.parse(document({"profile": {"zone": "Asia/Tokyo", "birthday": [5, 5]}})).variants[0].deeds
        assert (deed.value.id, deed.value.zone, deed.value.birthday) == ("ann", "Asia/Tokyo", (5, 5))

    def test_the_form_is_versioned(self) -> None:
        """A document says which form it has, and one of a later form is refused."""
        with pytest.raises(InputError, match=r"scenario=2: this version of loyaltykit reads form 1"):
            scenarios.parse({**document({"earn": 1}), "scenario": 2})

    def test_a_document_is_text_a_file_or_data(self, tmp_path: Path) -> None:
        """The same document runs from wherever it comes."""
        data = document({"earn": 100, "expect": 100})
        path = tmp_path / "gift.json"
        path.write_text(json.dumps(data), encoding="utf-8")
        assert scenarios.load(path).name == "gift"
        for given_as in (data, path, str(path), scenarios.loads(json.dumps(data))):
            assert scenarios.check(given_as).ok


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"steps": [{"at": "2026-01-01"}]}, "scenario"),
    ({"scenario": 1}, "steps"),
    ({"scenario": 1, "steps": []}, "steps"),
    ({"scenario": 1, "steps": {}}, "steps"),
    ({"scenario": 1, "step": []}, "step"),
    ({"scenario": 1, "permute": "yes", "steps": []}, "permute"),
    ({"scenario": 1, "steps": ["earn"]}, "steps[0]"),
    ({"scenario": 1, "steps": [{"earn": 1}]}, "steps[0].at"),
    (document({"at": "yesterday"}), "steps[0].at"),
    (document({"at": "2026-02-30"}), "steps[0].at"),
    (document({"at": "2026-01-01 25:00"}), "steps[0].at"),
    (document({"at": 20260101}), "steps[0].at"),
    (document({"earnn": 1}), "steps[0].earnn"),
    (document({"earn": 1, "redeem": 1}), "steps[0].redeem"),
    (document({"earn": "1"}), "steps[0].earn"),
    (document({"earn": 1.5}), "steps[0].earn"),
    (document({"earn": 0}), "steps[0].earn.points"),
    (document({"earn": {"pts": 1}}), "steps[0].earn.pts"),
    (document({"earn": {"points": 1, "member": "bob"}}), "steps[0].earn.member"),
    (document({"earn": {"points": 1, "expires_at": "soon"}}), "steps[0].earn.expires_at"),
    (document({"earn": {"points": 1, "expires_at": "2026-02-01", "through": "2026-02-01"}}), "steps[0].earn.through"),
    (document({"earn": {"points": 1, "through": "2026-02-01 10:00"}}), "steps[0].earn.through"),
    (document({"earn": {"points": 1, "through": "9999-12-31"}}), "steps[0].earn.through"),
    (document({"order": {"amount": 1.5}}), "steps[0].order.amount"),
    (document({"order": {"lines": [{"sku": "mug"}, {"sku": "cup", "totl": "1.00"}]}}), "steps[0].order.lines[1].totl"),
    (document({"order": {"amount": "1.00", "at": "2026-01-01"}}), "steps[0].order.at"),
    (document({"refund": {}}), "steps[0].refund.order"),
    (document({"cancel": "A"}), "steps[0].cancel"),
    (document({"capture": 10}), "steps[0].capture.hold"),
    (document({"hold": {"points": 1, "until": "2025-12-31"}}), "steps[0].hold.until"),
    (document({"hold": 1}), "steps[0].hold.until"),
    (document({"redeem": {"quote": "quote-1"}}, {"quote": "1.00"}), "steps[0].redeem.quote"),
    (document({"open": [{"points": 1, "earned_at": "2025-13-01"}]}), "steps[0].open.lots[0].earned_at"),
    (document({"member": "bob"}), "steps[0].member"),
    (document({"expect": {"member": "bob"}}), "steps[0].expect.member"),
    (document({"expect": [{}, {"member": "bob"}]}), "steps[0].expect[1].member"),
    (document({"transfer": {"to": "bob", "points": 1}}), "steps[0].transfer.to"),
    (document({"merge": "bob"}), "steps[0].merge.into"),
    (document({"expect": {"availble": 1}}), "steps[0].expect.availble"),
    (document({"expect": {"available": 1.0}}), "steps[0].expect.available"),
    (document({"expect": {"lots": [{"expires_at": "soon"}]}}), "steps[0].expect.lots[0].expires_at"),
    (document({"expect": {"lots": ["100"]}}), "steps[0].expect.lots[0]"),
    (document({"gives": 1}), "steps[0]"),
    (document({"refused": "tier"}), "steps[0]"),
    (document({"earn": 1, "refused": {"why": "tier"}}), "steps[0].refused.why"),
    (document({"earn": 1, "only": "strict"}), "steps[0].only"),
    (document({"earn": 1, "only": "b"}, variants={"a": {}, "b": {}}), "steps"),
    (document({"earn": 1}, variants={}), "variants"),
    (document({"earn": 1}, variants={"a": []}), "variants.a"),
    (document({"earn": 1}, variants={"a": {"restore": "never"}}), "variants.a.restore"),
    (document({"earn": 1}, variants={"a": {"validity": "long"}}), "variants.a.validity"),
    (document({"earn": 1}, members=[]), "members"),
    (document({"earn": 1}, members=["ann", 1]), "members[1]"),
    (document({"earn": 1}, members={"ann": {"zon": "UTC"}}), "members.ann.zon"),
    (document({"earn": 1}, members={"ann": {"birthday": "2000-02-30"}}), "members.ann.birthday"),
    (document({"earn": 1}, program="club"), "program"),
    (document({"earn": 1}, program={"preset": "club"}), "program.preset"),
    (document({"earn": 1}, program={"erning": []}), "program.erning"),
    (document({"earn": 1}, program={"zone": "Europe/Atlantis"}), "program.zone"),
    (document({"earn": 1}, program={"earning": [{"type": "per_amount", "points": -1}]}), "program.earning[0].points"),
    (document({"earn": 1}, program={"earning": [{"points": 1}]}), "program.earning[0].type"),
    (document({"earn": 1}, program={"restore": {"grace": "long"}}), "program.restore.period"),
    (document({"earn": 1}, program={"rewards": [{"type": "reward", "name": "x", "through": "9999-12-31"}]}),
     "program.rewards[0].through"),
    (document({"at": "0001-01-01", "earn": 1}, program={"zone": "Asia/Tokyo"}), "steps[0].at"),
    (document({"order": {"id": 7, "amount": "1.00"}}), "steps[0].order.id"),
    (document({"earn": 1}, program={"earning": [{"type": "per_order", "points": 1, "starts": "now"}]}),
     "program.earning[0].starts"),
    (document({"program": {"zone": "UTC"}}), "steps[0].program.zone"),
    (document({"program": {"stacking": "worst"}}), "steps[0].program.stacking"),
    (document({"program": []}), "steps[0].program"),
]  # fmt: skip


class TestMalformed:
    @pytest.mark.parametrize(("data", "place"), MALFORMED, ids=[place for _, place in MALFORMED])
    def test_the_place_is_named(self, data: dict[str, Any], place: str) -> None:
        """Whatever is wrong with a document is an `InputError` that names its place."""
        assert refused_at(data) == place

    @pytest.mark.parametrize(
        ("text", "hint"),
        [
            ("", "line 1 column 1"),
            ('{"scenario": 1,\n "steps" []}', "line 2 column 10"),
            ('{"scenario": 1, "scenario": 1}', "comes twice"),
            ('{"scenario": NaN}', "is not JSON"),
            ("[" * 100_000, "levels"),
            (b'{"scenario": "\xff"}', "utf-8"),
            ("7", "give an object"),
        ],
    )
    def test_what_is_not_json(self, text: str | bytes, hint: str) -> None:
        """Text that is not JSON, or ambiguous, is refused with the line and column where there is one."""
        with pytest.raises(InputError, match=hint):
            scenarios.loads(text)

    def test_too_deep(self) -> None:
        """A document is not nested without end."""
        data: Any = {}
        for _ in range(500):
            data = {"lines": [data]}
        assert refused_at(document({"order": data})) == "scenario"

    def test_too_long(self) -> None:
        """A document is bounded."""
        with pytest.raises(InputError, match="at most"):
            scenarios.loads(" " * (scenarios.MAX_SIZE + 1))

    @given(st.data())
    def test_any_damage_is_a_message(self, data: st.DataObject) -> None:
        """However a document is damaged, it is read or refused with a place: nothing else is ever raised."""
        path = data.draw(st.sampled_from(DOCUMENTS))
        damaged = json.loads(path.read_text(encoding="utf-8"))
        node, key = damaged, data.draw(st.sampled_from(sorted(damaged)))
        while isinstance(node[key], dict | list) and node[key] and data.draw(st.integers(0, 5)):
            node = node[key]
            key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        junk = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
        junk |= st.sampled_from([{}, [], "2026-02-30", "9999-12-31", "0001-01-01", "never", "ann", "-1", "1e9", 10**30])
        node[key] = data.draw(junk)
        place = refused_at(damaged)
        assert place is None or re.split(r"[.\[]", place)[0] in TOP


# ---------------------------------------------------------------- the schema


class TestSchema:
    validator = jsonschema.Draft202012Validator(scenarios.schema())

    def test_it_is_a_schema(self) -> None:
        """The published schema is one, and can be written as JSON."""
        jsonschema.Draft202012Validator.check_schema(scenarios.schema())
        assert json.loads(json.dumps(scenarios.schema())) == scenarios.schema()

    @pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
    def test_documents_keep_to_it(self, path: Path) -> None:
        """Every document that can be read is right by the schema."""
        data = json.loads(path.read_text(encoding="utf-8"))
        assert [error.message for error in self.validator.iter_errors(data)] == []

    @pytest.mark.parametrize(
        "data",
        [
            {"steps": [{"at": "2026-01-01"}]},
            {"scenario": 2, "steps": [{"at": "2026-01-01"}]},
            {"scenario": 1, "steps": []},
            document({"at": "yesterday"}),
            document({"at": "never"}),
            document({"earnn": 1}),
            document({"earn": 1, "redeem": 1}),
            document({"earn": "1"}),
            document({"earn": {"pts": 1}}),
            document({"order": {"amount": 1.5}}),
            document({"order": {"amount": "1.00", "at": "2026-01-01"}}),
            document({"expect": {"availble": 1}}),
            document({"earn": 1}, variants={"a": {"restore": "never"}}),
            document({"earn": 1}, variants={"a": {"validity": "long"}}),
            document({"earn": 1}, program="club"),
            document({"program": {"zone": "UTC"}}),
        ],
    )
    def test_it_refuses_what_the_reader_refuses(self, data: dict[str, Any]) -> None:
        """What is wrong with one field is wrong by the schema too."""
        assert not self.validator.is_valid(data)
        assert refused_at(data) is not None


# ---------------------------------------------------------------- the command line


class TestCommandLine:
    @pytest.fixture
    def write(self, tmp_path: Path) -> Callable[[str, Any], str]:
        """Return how to write a document into the test's own folder."""

        def write(name: str, data: Any) -> str:
            path = tmp_path / name
            path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
            return str(path)

        return write

    right = document({"earn": 100, "expect": 100})
    wrong = document({"earn": 100, "expect": 90})

    def test_all_as_expected(self, write: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Everything met is exit status 0, for a file and for a folder, on every store that is named."""
        path = write("right.json", self.right)
        assert scenarios.main([path]) == 0
        assert scenarios.main([str(tmp_path), "--store", "memory", "--store", "sqlite"]) == 0
        assert "1 document, 2 runs, 6 expectations: all met" in capsys.readouterr().out

    def test_not_met(self, write: Any, capsys: pytest.CaptureFixture[str]) -> None:
        """An expectation that is not met is exit status 1; what was expected, what came and why is printed."""
        assert scenarios.main([write("wrong.json", self.wrong), write("right.json", self.right)]) == 1
        printed = capsys.readouterr().out
        for part in ("wrong.json (memory): steps[0].expect.available", "expected 90", "came     100", "earned: earn-1"):
            assert part in printed
        assert "1 not met" in printed

    def test_malformed(self, write: Any, capsys: pytest.CaptureFixture[str]) -> None:
        """A malformed document is exit status 2 and named with the place; the others are run all the same."""
        paths = [write("bad.json", document({"earn": {"pts": 1}})), write("wrong.json", self.wrong)]
        assert scenarios.main(paths) == 2
        printed = capsys.readouterr().out
        assert "bad.json: steps[0].earn.pts=" in printed
        assert "expected 90" in printed
        assert scenarios.main([write("text.json", '{"scenario": 1')]) == 2
        assert "text.json: json='...': Expecting ',' delimiter: line 1 column 15" in capsys.readouterr().out

    @pytest.mark.parametrize("arguments", [["nowhere.json"], ["."], [__file__, "--store", "paper"]])
    def test_nothing_to_run(
        self, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A path without a document, and a store that is not known, are exit status 2."""
        monkeypatch.chdir(tmp_path)
        assert scenarios.main(arguments) == 2
        assert capsys.readouterr().out

    @pytest.mark.parametrize("store", ["loyaltykit.stores:MemoryStore", "loyaltykit.stores.memory:MemoryStore"])
    def test_a_store_of_ones_own(self, write: Any, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Any store can be named by its module and what makes it."""
        assert scenarios.main([write("wrong.json", self.wrong), "--store", store]) == 1
        assert f"({store})" in capsys.readouterr().out

    @pytest.mark.parametrize("store", ["paper", "nowhere:Store", "loyaltykit.stores:PaperStore", ":Store"])
    def test_no_such_store(self, write: Any, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """A store that cannot be found is named."""
        assert scenarios.main([write("right.json", self.right), "--store", store]) == 2
        assert f"store={store!r}" in capsys.readouterr().out

    def test_the_schema_is_printed(self, capsys: pytest.CaptureFixture[str]) -> None:
        """`--schema` prints what editors and other languages need."""
        assert scenarios.main(["--schema"]) == 0
        assert scenarios.schema() == json.loads(capsys.readouterr().out)

    def test_a_path_is_needed(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Without a path there is nothing to do, and the command says so."""
        with pytest.raises(SystemExit) as caught:
            scenarios.main([])
        assert caught.value.code == 2
        assert "PATH" in capsys.readouterr().err

    def test_it_runs_as_a_program(self, write: Any) -> None:
        """The command works in a process of its own, and its exit status is the process's."""
        command = [sys.executable, "-m", "loyaltykit.testing.scenarios", write("wrong.json", self.wrong)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, "")
        assert "expected 90" in done.stdout


def test_a_plain_install_can_run_it() -> None:
    """Importing and running scenarios loads neither pytest nor hypothesis."""
    code = (
        "import sys; from loyaltykit.testing import scenarios\n"
        f"scenarios.check({document({'earn': 1, 'expect': 1})!r})\n"
        "print([name for name in ('pytest', 'hypothesis', '_pytest') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
