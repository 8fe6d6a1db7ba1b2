"""What comes out: receipts, standings and explanations. Values, readable as they are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs

from loyaltykit.awards import Award
from loyaltykit.calendar import zone
from loyaltykit.facts import Member
from loyaltykit.fields import brief
from loyaltykit.ledger import Balance, Lot, StatementRow
from loyaltykit.status import Status
from loyaltykit.tables import html_table, number, text_table


@attrs.frozen(repr=False)
class Receipt:
    """What came of a fact or a command.

    `points` is the change of the member's points by it (pending ones included), `debt` what the member owes by it, and
    `shortfall` what could not be taken back and is not owed. `status` is ``applied``, or ``waiting`` for a fact whose
    order has not been heard of yet. `award` is there for orders and activities; `cash`, `gift_card` and `points_back`
    say what a refund, or the cancellation of an order, gives back to the customer.
    `replayed` says that it had been recorded before; it does not count when receipts are compared.
    """

    key: str
    kind: str
    member: str
    at: datetime
    status: str
    points: int = 0
    changes: tuple[tuple[str, int], ...] = ()
    shortfall: int = 0
    debt: int = 0
    award: Award | None = None
    cash: Decimal | None = None
    gift_card: Decimal | None = None
    points_back: int = 0
    ignored: tuple[str, ...] = ()
    replayed: bool = attrs.field(default=False, eq=False)

    def change(self, unit: str) -> int:
        """Return the change in one unit."""
        return dict(self.changes).get(unit, 0)

    __repr__ = brief

    def __str__(self) -> str:
        changes = ", ".join(f"{number(amount)} {unit}" for unit, amount in self.changes) or "no change"
        notes = [f"shortfall {number(self.shortfall)}"] if self.shortfall else []
        notes += [f"a debt of {number(self.debt)}"] if self.debt else []
        notes += ["waiting for its order"] if self.status == "waiting" else []
        return f"{self.key}: {changes}" + (f" ({', '.join(notes)})" if notes else "")


@attrs.frozen
class Statement:
    """Every entry of one unit up to an instant, oldest first, with its reason and the running balance.

    Print it, or let a notebook show it: times are local to `zone`.
    """

    member: str
    unit: str
    at: datetime
    rows: tuple[StatementRow, ...]
    zone: str = "UTC"

    def __iter__(self) -> Iterator[StatementRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> StatementRow:
        return self.rows[place]

    def _table(self) -> tuple[list[str], list[list[Any]]]:
        here, rows = zone(self.zone), []
        for row in self.rows:
            what = row.kind.replace("_", " ") + ("" if row.booked else " (not booked yet)")
            rows.append([f"{row.at.astimezone(here):%Y-%m-%d %H:%M}", what, row.reason, row.amount, row.balance])
        return ["when", "what", "why", "amount", "balance"], rows

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


@attrs.frozen
class Expiring:
    """Points that expire at one instant unless they are spent before."""

    at: datetime
    points: int


@attrs.frozen
class Standing:
    """Where a member stands at an instant: the balance of every unit, what expires when, and the status.

    `status` is None where the program has no tiers, thresholds and other rules that look back.
    """

    member: str
    at: datetime
    balances: tuple[Balance, ...]
    lots: tuple[Lot, ...]
    expiring: tuple[Expiring, ...]
    profile: Member | None = None
    status: Status | None = None

    def balance(self, unit: str = "points") -> Balance:
        """Return the balance of one unit, empty if the member never had any."""
        for balance in self.balances:
            if balance.unit == unit:
                return balance
        return Balance(unit, self.at)

    @property
    def available(self) -> int:
        """What can be spent of the unit ``points``."""
        return self.balance().available

    @property
    def pending(self) -> int:
        """What will become active of the unit ``points``."""
        return self.balance().pending

    @property
    def held(self) -> int:
        """What is held of the unit ``points``."""
        return self.balance().held

    def __str__(self) -> str:
        lines = [f"{self.member} on {self.at:%Y-%m-%d}"]
        for each in self.balances:
            parts = [f"{number(each.available)} {each.unit} available"]
            parts += [
                f"{number(count)} {name}" for name, count in (("pending", each.pending), ("held", each.held)) if count
            ]
            lines.append("  " + ", ".join(parts))
        lines += [f"  {number(each.points)} expire on {each.at:%Y-%m-%d}" for each in self.expiring]
        lines += str(self.status).splitlines()[1:] if self.status is not None else []
        return "\n".join(lines)


@attrs.frozen
class Explanation:
    """A reason with the reasons behind it. Printed as a tree."""

    text: str
    because: tuple[Explanation, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([self.text, *self._branches(), *self.notes])

    def _branches(self) -> Iterator[str]:
        for child in self.because:
            last = child is self.because[-1]
            yield ("└─ " if last else "├─ ") + child.text
            for line in child._branches():
                yield ("   " if last else "│  ") + line


@attrs.frozen
class Page:
    """A part of a longer list, and where the next part begins; `next` is None at the end."""

    items: tuple[Any, ...]
    next: str | None = None

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)
