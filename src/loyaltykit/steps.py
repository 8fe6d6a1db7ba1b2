"""What can happen to the books: one function a kind of step, and the fold of them all.

`loyaltykit.books` says what a step is. A function here takes the books, the instant, the source (the key of the
record) and the step's own values, and changes the books; `OPS` is the table of them. `replay` folds the plans of any
set of records, in whatever order they were recorded, into the one state that they mean.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from loyaltykit.books import RANK_COMMAND, Books, Move, Running, Step, Use, opened, order_key
from loyaltykit.journal import NEVER, Entry, Lot, Record, stem

# ---------------------------------------------------------------- around the steps


def note(books: Books, at: int, source: str, reason: str | None, actor: str | None) -> None:
    """Say why, and who: for the entries of this source."""
    books.notes[source] = (reason, actor)


def lapse(books: Books, at: int, source: str, unit: str, lapse_at: int) -> None:
    """Put off the lapse of an inactive balance: the member was active."""
    row = books.unit(unit)
    row.lapse_at = lapse_at if row.lapse_at == NEVER else max(row.lapse_at, lapse_at)
    books.changed_units.add(unit)


def term(books: Books, at: int, source: str, unit: str, expires_at: int) -> None:
    """Switch expiry on: open lots that had none get the full term from now."""
    books.require_all(unit)
    never = [lot for lot in books.lots.values() if lot.unit == unit and lot.expires_at == NEVER and opened(lot)]
    never.sort()  # by name: the books may have been loaded in any order
    for lot in never:
        books.put(lot._replace(expires_at=expires_at))
    if never:
        books.settled_at = max(books.settled_at, at)
        books.move(unit, "term", 0, at, source, [(lot.lot, "", "", 0) for lot in never])


def dates(books: Books, at: int, source: str, name: str, active_at: int, expires_at: int) -> None:
    """Date a pending lot whose event has come."""
    lot = books.lots.get(name)
    if lot is not None and lot.active_at > at:
        books.put(lot._replace(active_at=active_at, expires_at=expires_at))
        books.settled_at = max(books.settled_at, at)


# ---------------------------------------------------------------- awards


def award(
    books: Books, at: int, source: str, name: str, unit: str, target: int, earned_at: int, active_at: int,
    expires_at: int, shortfall: str,
) -> None:  # fmt: skip
    """Set what this lot's award amounts to: earn, reinstate or claw back the difference."""
    lot = books.lots.get(name)
    if lot is None:
        if target <= 0:
            return
        pending = target if active_at > at else 0
        lot = Lot(name, unit, earned_at, active_at, expires_at, target, pending, target - pending, 0, 0, 0, 0, 0, 0, 0)
        row = books.unit(unit)
        row.pending += pending
        row.active += target - pending
        books.put(lot)
        _arrives(books, lot, at)
        books.move(unit, "earn", target, at, source, [(name, "new", "pending" if pending else "active", target)])
    else:
        delta = target - awarded(lot)
        if not delta:
            return
        if delta < 0:
            _claw_back(books, lot, -delta, at, source, shortfall)
        else:
            _raise(books, lot, delta, at, source, shortfall)
        books.settled_at = max(books.settled_at, at)
    books.settle(unit, at, source)


def _arrives(books: Books, lot: Lot, at: int) -> None:
    """Settle the books where a lot comes whose points were active before: nothing earlier may spend them."""
    if lot.active_at < at:
        books.settled_at = max(books.settled_at, at)


def taken(books: Books, at: int, source: str, name: str, points: int, shortfall: str) -> None:
    """Claw back so much of what stands of this lot's award."""
    lot = books.find(name)
    points = 0 if lot is None else min(points, awarded(lot))
    if lot is not None and points:
        _claw_back(books, lot, points, at, source, shortfall)
        books.settled_at = max(books.settled_at, at)
        books.settle(lot.unit, at, source)


def awarded(lot: Lot) -> int:
    """Return what stands of the award that made this lot, wherever its points went."""
    return lot.issued - lot.clawed - lot.owed - lot.excused - lot.forgiven


def _claw_back(books: Books, lot: Lot, need: int, at: int, source: str, policy: str) -> None:
    """Take back from the award's pending points, its own lot, other lots; then as the shortfall policy says."""
    row = books.unit(lot.unit)
    pending = min(need, lot.pending)
    active = min(need - pending, lot.active, max(row.active, 0))
    need -= pending + active
    row.pending -= pending
    row.active -= active
    uses: list[Use] = [(lot.lot, "pending", "clawed", pending)] if pending else []
    if active:
        uses.append((lot.lot, "active", "clawed", active))
    excused = min(need, max(0, lot.expired - lot.excused))
    need -= excused
    lot = lot._replace(
        pending=lot.pending - pending, active=lot.active - active, clawed=lot.clawed + pending + active,
        excused=lot.excused + excused,
    )  # fmt: skip
    books.put(lot)
    if need:
        others = books.spend(row, need, at, "clawed")
        uses += others
        taken = sum(use[3] for use in others)
        debt = books.short(row, need - taken, policy, source) if need > taken else 0
        if debt:
            uses.append(("", "debt", "clawed", debt))
        books.put(lot._replace(owed=lot.owed + taken + debt, forgiven=lot.forgiven + need - taken - debt))
    books.changed_units.add(lot.unit)
    if uses:
        books.move(lot.unit, "claw_back", -sum(use[3] for use in uses), at, source, uses)


def _raise(books: Books, lot: Lot, delta: int, at: int, source: str, policy: str) -> None:
    """Let more of an award stand: undo clawbacks first, then what was not taken back, then earn."""
    row = books.unit(lot.unit)
    parts, rest = [], delta
    for column in (lot.owed, lot.clawed, lot.forgiven, lot.excused):
        parts.append(min(rest, column))
        rest -= parts[-1]
    owed, clawed, forgiven, excused = parts
    lot = lot._replace(
        owed=lot.owed - owed, clawed=lot.clawed - clawed, forgiven=lot.forgiven - forgiven,
        excused=lot.excused - excused, issued=lot.issued + rest,
    )  # fmt: skip
    owed += _forgotten(row, forgiven, policy)
    if rest:
        lot, bucket = books.credit(lot, rest, at)
        books.move(lot.unit, "earn", rest, at, source, [(lot.lot, "new", bucket, rest)])
    uses: list[Use] = []
    if clawed:
        lot, bucket = books.credit(lot, clawed, at)
        uses.append((lot.lot, "clawed", bucket, clawed))
    books.put(lot)
    cancelled = min(owed, row.debt)
    row.debt -= cancelled
    if cancelled:
        uses.append(("", "clawed", "debt", cancelled))
    if owed > cancelled:  # other points paid for it: they come back beside the lot, under its dates
        uses.append(books.aside(lot, source, owed - cancelled, at, "clawed"))
    books.changed_units.add(lot.unit)
    if uses:
        books.move(lot.unit, "reinstate", sum(use[3] for use in uses), at, source, uses)


def reinstate(books: Books, at: int, source: str, name: str, quantity: int, expires_at: int) -> None:
    """Undo an expiry, in the same lot, which lives until `expires_at` from now on."""
    lot = books.find(name)
    quantity = 0 if lot is None else min(quantity, lot.expired - lot.excused)
    if lot is None or quantity <= 0:
        return
    lot, bucket = books.credit(lot._replace(expired=lot.expired - quantity, expires_at=expires_at), quantity, at)
    books.put(lot)
    books.settled_at = max(books.settled_at, at)
    books.move(lot.unit, "reinstate", quantity, at, source, [(name, "expired", bucket, quantity)])
    books.settle(lot.unit, at, source)


# ---------------------------------------------------------------- spending


def spent(
    books: Books, at: int, source: str, name: str, unit: str, target: int, shortfall: str, grace_until: int
) -> None:
    """Set how many points are spent under this name: redeem or restore the difference.

    `grace_until` is how long points live on whose lot has expired meanwhile; 0 lets them expire at once.
    """
    unit, outstanding, total, by_hand = books.value("spent", name) or [unit, [], 0, 0]
    delta = max(0, target - by_hand) - sum(quantity for _, quantity in outstanding)
    if not delta:
        return
    row = books.unit(unit)
    books.settled_at = max(books.settled_at, at)
    if delta > 0:
        uses = books.spend(row, delta, at, "spent")
        missing = delta - sum(use[3] for use in uses)
        uses += _make_up(books, row, missing, at, source)
        books.move(unit, "redeem", -delta, at, source, uses)
        outstanding += [[use[0], use[3]] for use in uses]
        _forgive(books, row, uses, at, source, shortfall)
    else:
        _restore(books, row, outstanding, -delta, at, source, shortfall, grace_until)
    books.keep("spent", name, [unit, outstanding, max(total, target), by_hand])
    books.settle(unit, at, source)


def returned(
    books: Books, at: int, source: str, name: str, unit: str, points: int, shortfall: str, grace_until: int
) -> None:
    """Set how many points have been given back of what was redeemed under this name, if anything was."""
    value = books.value("spent", name)
    if value is not None:
        spent(books, at, source, name, value[0], max(0, value[2] - points), shortfall, grace_until)


def restored(books: Books, at: int, source: str, name: str, points: int, shortfall: str, grace_until: int) -> None:
    """Give back so many of the points that are still spent under this name, besides what facts give back."""
    value = books.value("spent", name)
    if value is None:
        return
    unit, outstanding, total, by_hand = value
    points = min(points, sum(quantity for _, quantity in outstanding))
    if points:
        books.settled_at = max(books.settled_at, at)
        _restore(books, books.unit(unit), outstanding, points, at, source, shortfall, grace_until)
        books.keep("spent", name, [unit, outstanding, total, by_hand + points])
        books.settle(unit, at, source)


def _make_up(books: Books, row: Running, missing: int, at: int, source: str) -> list[Use]:
    """Take what is missing of a spend from other lots, then as debt: the goods are gone."""
    if missing <= 0:
        return []
    uses = books.spend(row, missing, at, "spent")
    missing -= sum(use[3] for use in uses)
    if missing:
        books.short(row, missing, "debt", source)
        uses.append(("", "debt", "spent", missing))
    books.settled_at = max(books.settled_at, at)
    return uses


def _forgive(books: Books, row: Running, uses: Sequence[Use], at: int, source: str, policy: str) -> None:
    """Turn the debt of a spend into what the shortfall policy makes of it."""
    debt = sum(use[3] for use in uses if use[1] == "debt")
    if not debt or policy == "debt":
        return
    row.debt -= debt
    books.excuse(row, debt, policy, source)
    books.move(row.unit, "adjust_up", debt, at, source, [("", "forgiven", "debt", debt)])


def _forgotten(row: Running, amount: int, policy: str) -> int:
    """Let a shortfall that was not carried as debt be as if it had never been; return how much was repaid since."""
    column = "receivable" if policy == "clamp_keep_receivable" else "forgiven"
    gone = min(amount, getattr(row, column)) if policy != "debt" else 0
    setattr(row, column, getattr(row, column) - gone)
    return amount - gone if policy == "clamp_keep_receivable" else 0


def _restore(
    books: Books, row: Running, outstanding: list[list[Any]], amount: int, at: int, source: str, policy: str,
    grace_until: int,
) -> None:  # fmt: skip
    """Give points back to the lots they came from, those taken last first."""
    uses: list[Use] = []
    while amount and outstanding:
        name, quantity = outstanding.pop()
        back = min(amount, quantity)
        amount -= back
        if back < quantity:
            outstanding.append([name, quantity - back])
        if not name:
            if policy != "debt":
                back = _forgotten(row, back, policy)
            cancelled = min(back, row.debt)
            row.debt -= cancelled
            if cancelled:
                uses.append(("", "spent", "debt", cancelled))
            if back > cancelled:  # other points repaid that debt meanwhile
                lot = Lot(stem(source), row.unit, at, at, NEVER, *(0,) * 10)
                uses.append(books.aside(lot, source, back - cancelled, at, "spent"))
            continue
        lot = books.lot(name)
        if grace_until > at >= lot.expires_at:
            uses.append(books.aside(lot, source, back, at, "spent", grace_until))
            continue
        lot, bucket = books.credit(lot._replace(spent=lot.spent - back), back, at)
        books.put(lot)
        uses.append((name, "spent", bucket, back))
    books.changed_units.add(row.unit)
    if uses:
        books.move(row.unit, "restore", sum(use[3] for use in uses), at, source, uses)


def redeem(
    books: Books, at: int, source: str, name: str, unit: str, kind: str, chosen: list[list[Any]], shortfall: str
) -> None:
    """Take the lots that were decided upon; what a fact learnt later has left short is made up from others."""
    row = books.unit(unit)
    uses = books.take(row, chosen, "spent")
    uses += _make_up(books, row, sum(q for _, q in chosen) - sum(use[3] for use in uses), at, source)
    books.move(unit, kind, -sum(use[3] for use in uses), at, source, uses)
    if kind == "redeem":
        _keep_spent(books, name, unit, uses)
    _forgive(books, row, uses, at, source, shortfall)


def hold(books: Books, at: int, source: str, name: str, unit: str, until: int, chosen: Any, amount: int) -> None:
    """Hold points until they are captured or released, or the hold ends by itself at `until`.

    `chosen` are the lots of a pinned hold; None keeps back the amount without binding lots.
    """
    row = books.unit(unit)
    if chosen is None:
        amount = min(amount, max(row.active, 0))
        row.active -= amount
        row.held += amount
        row.reserved += amount
        books.keep("hold", name, [unit, amount, None], until)
        books.move(unit, "hold", 0, at, source, [("", "active", "held", amount)])
        return
    uses = books.take(row, chosen, "held")
    missing = amount - sum(use[3] for use in uses)
    if missing > 0:  # a fact learnt later left less
        uses += books.spend(row, missing, at, "held")
        books.settled_at = max(books.settled_at, at)
    held = sum(use[3] for use in uses)
    row.held += held
    books.keep("hold", name, [unit, held, [[use[0], use[3]] for use in uses]], until)
    books.move(unit, "hold", 0, at, source, uses)


def capture(books: Books, at: int, source: str, name: str, amount: int, shortfall: str) -> None:
    """Spend `amount` of a hold, and give the rest back to its lots."""
    if books.value("hold", name) is None:
        return
    unit, pinned = books.end_hold(name, at, source)
    row = books.unit(unit)
    # A pinned hold kept its lots alive: they are taken even where their date has passed.
    chosen = books.choose(unit, amount, at) if pinned is None else _first(pinned, amount)
    uses = books.take(row, chosen, "spent")
    uses += _make_up(books, row, amount - sum(use[3] for use in uses), at, source)
    books.move(unit, "redeem", -amount, at, source, uses)
    _keep_spent(books, name, unit, uses)
    _forgive(books, row, uses, at, source, shortfall)
    books.settle(unit, at, source)


def paid(books: Books, at: int, source: str, name: str, unit: str, points: int, shortfall: str, redeemed: bool) -> None:
    """Let an order be paid with points under this name: those of a hold, else those redeemed, else of the account."""
    if books.value("hold", name) is not None:
        capture(books, at, source, name, points, shortfall)
    elif not redeemed and books.value("spent", name) is None:
        spent(books, at, source, name, unit, points, shortfall, 0)


def _keep_spent(books: Books, name: str, unit: str, uses: Sequence[Use]) -> None:
    """Remember which lots paid for a redemption, the first taken first, and how many points it was of."""
    books.keep("spent", name, [unit, [[use[0], use[3]] for use in uses], sum(use[3] for use in uses), 0])


def _first(chosen: Iterable[Sequence[Any]], amount: int) -> list[tuple[str, int]]:
    """Return the first `amount` of the chosen quantities."""
    taken = []
    for name, quantity in chosen:
        take = min(quantity, amount)
        amount -= take
        if take:
            taken.append((name, take))
    return taken


def release(books: Books, at: int, source: str, name: str) -> None:
    """Let a hold go."""
    if books.value("hold", name) is not None:
        unit, _ = books.end_hold(name, at, source)
        books.settle(unit, at, source)


# ---------------------------------------------------------------- between members, and by hand


def credit(books: Books, at: int, source: str, kind: str, lots: list[list[Any]]) -> None:
    """Bring in lots with dates of their own: [lot, unit, quantity, earned_at, active_at, expires_at] each.

    A lot of a merged account also brings its history (issued, spent, expired, clawed, owed, excused, forgiven), in
    place of what was known of it.
    """
    for name, unit, quantity, earned_at, active_at, expires_at, *carried in lots:
        known = books.lots.get(name)
        lot = Lot(name, unit, earned_at, active_at, expires_at, quantity, *(0,) * 9)
        if carried:
            issued, spent_before, expired, clawed, owed, excused, forgiven = carried[0]
            lot = lot._replace(
                issued=issued, spent=spent_before, expired=expired, clawed=clawed,
                owed=owed, excused=excused, forgiven=forgiven,
            )  # fmt: skip
        if known is not None:
            lot = lot._replace(held=known.held, issued=lot.issued + known.held)
            books.settled_at = max(books.settled_at, at)
            _keep_beside(books, known, source)
        _arrives(books, lot, at)
        if quantity:
            lot, bucket = books.credit(lot, quantity, at)
        books.put(lot)
        if quantity:
            books.move(unit, kind, quantity, at, source, [(name, "new", bucket, quantity)])
            books.settle(unit, at, source)


def _keep_beside(books: Books, lot: Lot, source: str) -> None:
    """Put what a fact learnt later has left in a lot beside it, where what comes takes the place of the lot."""
    left = lot.pending + lot.active
    if left:
        kept = lot._replace(held=0, spent=0, expired=0, clawed=0, owed=0, excused=0, forgiven=0)
        books.put(lot._replace(pending=0, active=0))
        books.put(kept._replace(lot=f"{lot.lot}+{source}", issued=left))


def carry(books: Books, at: int, source: str, name: str, value: Any) -> None:
    """Take over, or (None) give away, a redemption that may yet be given back."""
    books.keep("spent", name, value)


def send(books: Books, at: int, source: str, lots: list[list[Any]]) -> None:
    """Send away what is pending and active of whole lots: [lot, quantity, unit] each.

    So much has arrived; what a fact learnt later has left short is made up from other lots, then as debt.
    """
    for name, quantity, unit in lots:
        lot, row = books.find(name), books.unit(unit)
        uses: list[Use] = []
        if lot is not None:
            active, pending = min(lot.active, quantity), min(lot.pending, max(0, quantity - lot.active))
            row.active -= active
            row.pending -= pending
            gone = lot.spent + active + pending
            books.put(lot._replace(active=lot.active - active, pending=lot.pending - pending, spent=gone))
            uses = [use for use in ((name, "active", "sent", active), (name, "pending", "sent", pending)) if use[3]]
        books.settled_at = max(books.settled_at, at)
        uses += _make_up(books, row, quantity - sum(use[3] for use in uses), at, source)
        books.changed_units.add(unit)
        books.move(unit, "transfer_out", -quantity, at, source, uses)


def owe(books: Books, at: int, source: str, unit: str, amount: int) -> None:
    """Take over (positive) or hand over (negative) a debt."""
    row = books.unit(unit)
    books.settled_at = max(books.settled_at, at)
    if amount > 0:
        row.debt += amount
        books.move(unit, "transfer_out", -amount, at, source, [("", "debt", "sent", amount)])
        books.settle(unit, at, source)
    elif amount < 0:
        handed = min(-amount, row.debt)
        row.debt -= handed
        uses: list[Use] = [("", "sent", "debt", handed)] if handed else []
        if handed < -amount:  # points of which it was learnt later have repaid it meanwhile
            lot = Lot(stem(source), unit, at, at, NEVER, *(0,) * 10)
            uses.append(books.aside(lot, source, -amount - handed, at, "sent"))
        books.move(unit, "transfer_in", -amount, at, source, uses)


OPS: Mapping[str, Callable[..., None]] = {
    "note": note, "lapse": lapse, "term": term, "dates": dates,
    "award": award, "taken": taken, "reinstate": reinstate,
    "spent": spent, "returned": returned, "restored": restored, "redeem": redeem,
    "hold": hold, "capture": capture, "paid": paid, "release": release,
    "credit": credit, "carry": carry, "send": send, "owe": owe,
}  # fmt: skip
"""Every kind of step, by the name under which plans keep it."""


# ---------------------------------------------------------------- the fold


def apply(books: Books, step: Step) -> None:
    """Let time pass up to the step's instant, do the step, and let what follows at that instant happen."""
    at, rank, source, op, *values = step
    books.advance(at)
    OPS[op](books, at, source, *values)
    if rank > RANK_COMMAND:
        books.settled_at = max(books.settled_at, at)
    books.advance(at)


def steps_of(records: Iterable[Record]) -> list[Step]:
    """Return the steps that the records mean, in the order of the fold.

    A fact learnt later may say anew what an earlier one meant (a refund that became known after a later refund of
    the same order): of two steps with the same source, kind and subject the one recorded last holds.
    """
    latest: dict[Any, tuple[Any, Step]] = {}
    for record in records:
        for number, step in enumerate(json.loads(record.plan)):
            of_fact = (step[2], step[3], step[4] if step[4:] else None)
            identity = (record.version, number) if step[1] == RANK_COMMAND else of_fact
            latest[identity] = ((*order_key(step, record.version), number), step)
    ordered = sorted(latest.values(), key=lambda pair: pair[0])
    return [step for _, step in ordered if step[1] == RANK_COMMAND or step[5] is not None]


def replay(records: Iterable[Record], until: int | None = None) -> Books:
    """Fold the plans of `records` into the books as they stand at `until` (by default: after the last step)."""
    books = Books()
    for step in steps_of(records):
        if until is not None and step[0] > until:
            break
        apply(books, step)
    if until is not None:
        books.advance(until)
    return books


def standing_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries that hold: without those that were taken back, and without what took them back."""
    listed = list(entries)
    corrected = {entry.corrects for entry in listed if entry.corrects is not None}
    return [entry for entry in listed if entry.corrects is None and f"{entry.version}/{entry.line}" not in corrected]


def corrections(entries: Iterable[Entry], moves: Iterable[Move]) -> tuple[list[Entry], list[Move]]:
    """Compare booked entries with what should be booked: return the entries to take back, and the moves to add."""
    wanted = Counter(moves)
    wrong = []
    for entry in standing_entries(entries):
        move = Move(
            (entry.unit, entry.kind, entry.amount, entry.at, entry.source, entry.uses, entry.reason, entry.actor)
        )
        if wanted[move]:
            wanted[move] -= 1
        else:
            wrong.append(entry)
    return wrong, list(wanted.elements())
