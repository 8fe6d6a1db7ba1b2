"""A shop's own tables as the source of what members did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given, strategies as st

from loyaltykit import (
    Activity,
    Club,
    InputError,
    Ladder,
    Member,
    MemoryStore,
    Order,
    Program,
    Refund,
    Segment,
    Tier,
    UnknownMember,
    months,
    orders,
    per_amount,
    spend,
    tier,
)
from loyaltykit.facts import Fact
from loyaltykit.measures import activities
from loyaltykit.sources import FactSource, together, told_by

START = datetime(2026, 1, 10, 9, tzinfo=UTC)


def on(day: int) -> datetime:
    """Return the instant so many days after the first."""
    return START + timedelta(days=day)


class Tables:
    """A shop's tables, in memory."""

    def __init__(self, *facts: Fact) -> None:
        self.rows = list(facts)

    def facts(self, member: str) -> list[Fact]:
        """Return a member's rows."""
        return [fact for fact in self.rows if (fact.id if isinstance(fact, Member) else fact.member) == member]

    def members(self, after: str = "", limit: int = 100) -> Sequence[str]:
        """Return a page of names."""
        names = {fact.id if isinstance(fact, Member) else fact.member for fact in self.rows}
        return sorted(name for name in names if name > after)[:limit]


PROGRAM = Program(
    name="shop",
    currency="USD",
    earning=[per_amount(1, each="1.00"), per_amount(1, each="1.00", where=tier("gold"), name="gold")],
    tiers=[Ladder("status", spend(months(12)), tiers=[Tier("gold", "100.00")])],
    segments=[
        Segment("regular", orders(months(6)) >= 2),
        Segment("reviewer", activities("review") >= 1),
    ],
)


def test_status_is_worked_out_from_the_source_without_any_record() -> None:
    """What the shop's tables tell is enough for status and segments; nothing is copied into the store."""
    store = MemoryStore()
    source = Tables(Order("1", "ann", on(0), amount="60.00"), Order("2", "ann", on(5), amount="50.00"))
    club = Club(PROGRAM, store, source=source)
    assert "gold" in [each.tier for each in club.status("ann", at=on(6)).tiers]
    assert ("ann",) == club.segment("regular", at=on(6))
    assert [] == list(store.accounts("shop"))
    assert 0 == club.standing("ann", at=on(6)).balances[0].available


def test_a_refund_in_the_tables_counts() -> None:
    """A refund that the source tells takes the order back, at the order's own instant."""
    source = Tables(Order("1", "ann", on(0), amount="150.00"))
    club = Club(PROGRAM, MemoryStore(), source=source)
    assert ["gold"] == [each.tier for each in club.status("ann", at=on(3)).tiers]
    source.rows.append(Refund("r", "ann", "1", on(2), amount="100.00"))
    assert [None] == [each.tier for each in club.status("ann", at=on(3)).tiers]
    assert ["gold"] == [each.tier for each in club.status("ann", at=on(3), known_at=on(1)).tiers]


def test_the_source_and_the_records_are_one_history() -> None:
    """What only the club knows of counts too; of an order that both know, what the source tells."""
    source = Tables(Order("1", "ann", on(0), amount="60.00"))
    club = Club(PROGRAM, MemoryStore(), source=source)
    club.record(Activity("a", "ann", "review", on(1)))
    club.record(Order("1", "ann", on(0), amount="60.00"))
    source.rows[0] = Order("1", "ann", on(0), amount="99.00")
    history = club.history("ann", at=on(2))
    assert 99 == spend().value(history, at=on(2))
    assert 1 == activities("review").value(history, at=on(2))
    assert ("ann",) == club.segment("reviewer", at=on(2))


def test_an_order_earns_by_the_tier_of_the_source() -> None:
    """The tier by which an order earns is the one that the shop's tables lead to, alone and in a batch."""
    source = Tables(Order("old", "ann", on(0), amount="150.00"), Order("old2", "bo", on(0), amount="150.00"))
    club = Club(PROGRAM, MemoryStore(), source=source)
    new = Order("new", "ann", on(1), amount="10.00")
    assert 20 == club.preview(new).points
    assert 20 == club.record(new).points
    batch = [Order("n2", "bo", on(1), amount="10.00"), Order("n3", "cy", on(1), amount="10.00")]
    assert [20, 10] == [receipt.points for receipt in club.record_many(batch)]


def test_members_of_the_source_and_of_the_store_are_listed_together() -> None:
    """Pages list whoever either of them knows, once, by name."""
    names = [f"m{number:02}" for number in range(25)]
    source = Tables(*[Order(f"o{name}", name, on(0), amount=5) for name in names[::2]])
    club = Club(PROGRAM, MemoryStore(), source=source)
    for name in names[::3]:
        club.record(Order(f"c{name}", name, on(1), amount=5))
    expected = sorted({*names[::2], *names[::3]})
    assert expected == list(club.members())
    found, after = [], ""
    while True:
        page = club.members_page(after=after, limit=4)
        found += page.items
        if page.next is None:
            break
        after = page.next
    assert expected == found


def test_a_command_opens_the_account_of_somebody_the_tables_know() -> None:
    """Whoever the source knows can be given something; whoever nobody knows is refused."""
    source = Tables(Order("1", "ann", on(0), amount="150.00"), Member("ann", on(0), zone="Asia/Tokyo"))
    club = Club(PROGRAM, MemoryStore(), source=source)
    change = next(decision for decision in club.due("ann", at=on(1)) if decision.kind == "tier_entry")
    club.acknowledge(change, at=on(1))
    assert change.key not in [decision.key for decision in club.due("ann", at=on(1))]
    assert "Asia/Tokyo" == club.member("ann").zone  # type: ignore[union-attr]  # None would fail as well
    with pytest.raises(UnknownMember):
        club.status("nobody", at=on(1))
    with pytest.raises(UnknownMember):
        club.redeem("nobody", 5, key="k", at=on(1))
    with pytest.raises(UnknownMember):
        club.transfer("ann", "nobody", 5, key="t", at=on(2))
    assert "Asia/Tokyo" == club.member("ann").zone  # type: ignore[union-attr]  # None would fail as well


def test_merged_members_bring_what_the_tables_tell_of_them() -> None:
    """After a merge, what the source tells of the merged member counts for the other one."""
    source = Tables(Order("1", "ann", on(0), amount="60.00"), Order("2", "bo", on(0), amount="60.00"))
    club = Club(PROGRAM, MemoryStore(), source=source)
    for name in ("ann", "bo"):
        club.record(Member(name, on(0)))
    club.merge("bo", "ann", at=on(1))
    assert ["gold"] == [each.tier for each in club.status("ann", at=on(2)).tiers]


@given(st.lists(st.sampled_from(["source", "club", "both"]), max_size=6))
def test_where_orders_are_kept_does_not_matter(places: list[str]) -> None:
    """However orders are shared between the tables and the records, the history is the same."""
    facts = [Order(str(number), "ann", on(number), amount=number + 1) for number in range(len(places))]
    club = Club(
        attrs.evolve(PROGRAM, tiers=(), earning=()), MemoryStore(),
        source=Tables(*[fact for fact, place in zip(facts, places, strict=True) if place != "club"]),
    )  # fmt: skip
    club.record(Member("ann", on(0)))
    for fact, place in zip(facts, places, strict=True):
        if place != "source":
            club.record(fact)
    history = club.history("ann", at=on(9))
    assert sum(fact.lines[0].net for fact in facts) == spend().value(history, at=on(9))
    assert len(facts) == orders().value(history, at=on(9))


def test_a_source_that_tells_of_others_is_refused() -> None:
    """A source that mixes members up, or tells no facts, is told so."""

    class Wrong(Tables):
        def facts(self, member: str) -> list[Fact]:
            return self.rows

    with pytest.raises(InputError, match="this member alone"):
        told_by(Wrong(Order("1", "bo", on(0), amount=5)), "ann")
    with pytest.raises(InputError, match="tell orders"):
        told_by(Wrong(("1", "ann")), "ann")  # type: ignore[arg-type]  # what is to be refused
    assert isinstance(Tables(), FactSource)
    assert [] == together([], [], "ann")
