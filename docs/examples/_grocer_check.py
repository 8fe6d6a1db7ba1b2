"""The grocer's year worked out a second time, in SQL alone, and compared with the ledger.

The till's lines are copied as they are, floats and naive stamps, into a table of a temporary SQLite file, to which the
club's file is attached (read only). No function of loyaltykit, no decimal, no fraction and no time zone database is
used here: cents, days, awards, caps, returns, vouchers and expiry are worked out by the statements below. Where a
comparison finds a difference, `Difference` is raised with the first rows of it.

What makes the second way short: points expire in the order in which they are earned, and the soonest expiring are
spent first. So a household's points are a queue. Up to any instant, ``gone`` of them have left at its front, by being
spent or by expiring; what can be spent is what was earned less what is gone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from _grocer_data import Row


class Difference(Exception):
    """The ledger and the second calculation do not agree."""


# New York in 2017, without a time zone database: summer time from 12 March to 5 November, at 2 o'clock in the morning.
_LOCAL = """datetime({0}, CASE WHEN {0} >= '2017-03-12 07:00:00' AND {0} < '2017-11-05 06:00:00'
                         THEN '-4 hours' ELSE '-5 hours' END)"""

_EXPECTED = f"""
-- Every line in cents. net: what was paid for it as far as the line knows. above: what is left of its coupon.
CREATE TABLE line AS
    SELECT place, household, basket, product, at, produce, sales + retail + matched AS shelf,
           retail + matched + min(coupon, sales) AS discount, sales - min(coupon, sales) AS net,
           coupon - min(coupon, sales) AS above
    FROM (SELECT rowid AS place, household, basket, product, at, produce,
                 CAST(round(100 * sales) AS INTEGER) AS sales, CAST(round(100 * retail) AS INTEGER) AS retail,
                 CAST(round(100 * coupon) AS INTEGER) AS coupon, CAST(round(100 * matched) AS INTEGER) AS matched
          FROM till);
CREATE TABLE basket AS
    SELECT basket, household, min(place) AS place, at, {_LOCAL.format("at")} AS local, count(*) AS lines,
           sum(shelf) AS shelf, sum(discount) AS discount, sum(net) AS net, min(sum(above), sum(net)) AS above
    FROM line GROUP BY basket;
CREATE UNIQUE INDEX basket_id ON basket (basket);

-- What is above the lines is shared out by largest remainder, the first line first among equals.
CREATE TABLE share AS
    SELECT place, whole + (rank <= missing) AS cents
    FROM (SELECT place, whole, row_number() OVER (PARTITION BY basket ORDER BY rest DESC, place) AS rank,
                 above - sum(whole) OVER (PARTITION BY basket) AS missing
          FROM (SELECT l.place, l.basket, b.above, b.above * l.net / b.net AS whole, b.above * l.net % b.net AS rest
                FROM line AS l JOIN basket AS b USING (basket) WHERE b.above > 0));
CREATE UNIQUE INDEX share_place ON share (place);
CREATE TABLE paid AS
    SELECT l.basket, l.place, l.product, l.net, (l.net - coalesce(s.cents, 0)) * (1 + l.produce) AS worth
    FROM line AS l LEFT JOIN share AS s USING (place);

-- A point a dollar, two on produce, rounded down once a basket; at most 200 a local day, the rest of a cap is given.
CREATE TABLE award AS
    SELECT basket, household, at, local, worth, min(:cap, upto) - min(:cap, upto - points) AS given
    FROM (SELECT *, sum(points) OVER (PARTITION BY household, date(local) ORDER BY at, place) AS upto
          FROM (SELECT b.*, p.worth, p.worth / 100 AS points FROM basket AS b
                JOIN (SELECT basket, sum(worth) AS worth FROM paid GROUP BY basket) AS p USING (basket)));

-- Of every 97th basket the dearest line comes back; its award falls to what the rest of the basket would have given.
CREATE TABLE back AS
    SELECT * FROM (
        SELECT a.basket, a.household, {_LOCAL.format("datetime(a.at, '+5 days')")} AS local, p.product,
               a.given - min(a.given, (a.worth - p.worth) / 100) AS taken,
               row_number() OVER (PARTITION BY a.basket ORDER BY p.net DESC, p.place) AS rank
        FROM award AS a JOIN paid AS p USING (basket) JOIN basket AS b USING (basket)
        WHERE a.basket % 97 = 0 AND b.net > b.above)
    WHERE rank = 1 AND local < :year_end;

-- The year of each household: at the beginning of each month the points that are too old go, then full hundreds are
-- spent, if there are two of them. The last instant only lets points go.
CREATE TABLE instant (number INTEGER PRIMARY KEY, local TEXT NOT NULL);
WITH RECURSIVE months (number, local) AS (
    SELECT 1, datetime(:year_end, '-11 months')
    UNION ALL SELECT number + 1, datetime(local, '+1 month') FROM months WHERE number < 12
) INSERT INTO instant SELECT * FROM months;
CREATE TABLE movement AS  -- by how much an order or a return changes what was earned, and when that would expire
    SELECT household, local, datetime(local, '+90 days') AS expires, given AS points FROM award
    UNION ALL
    SELECT b.household, b.local, datetime(a.local, '+90 days'), -taken FROM back AS b JOIN award AS a USING (basket);
CREATE TABLE known AS
    SELECT household, number, sum(iif(m.local < i.local, points, 0)) AS earned,
           sum(iif(m.expires <= i.local, points, 0)) AS old
    FROM movement AS m CROSS JOIN instant AS i GROUP BY household, number;
CREATE UNIQUE INDEX known_key ON known (household, number);
CREATE TABLE walk AS
    WITH RECURSIVE step (household, number, earned, expired, redeemed, gone) AS (
        SELECT DISTINCT household, 0, 0, 0, 0, 0 FROM line
        UNION ALL
        SELECT household, k.number, k.earned, max(0, old - gone),
               iif(k.number < 12 AND k.earned - max(old, gone) >= 200, (k.earned - max(old, gone)) / 100 * 100, 0),
               iif(k.number < 12 AND k.earned - max(old, gone) >= 200,
                   k.earned - (k.earned - max(old, gone)) % 100, max(old, gone))
        FROM step AS s JOIN known AS k USING (household) WHERE k.number = s.number + 1)
    SELECT * FROM step WHERE number > 0;
"""

_BOOKED = """
-- The same things as they stand in the club's file. An account is named program/member.
CREATE TEMP VIEW account AS
    SELECT account, CAST(substr(account, instr(account, '/') + 1) AS INTEGER) AS household
    FROM club.head WHERE household IN (SELECT household FROM line);
CREATE TEMP VIEW entry AS
    SELECT household, e.* FROM club.entry AS e JOIN account USING (account);
CREATE TEMP VIEW balance AS
    SELECT household, b.* FROM club.balance AS b JOIN account USING (account) WHERE unit = 'points';
CREATE TEMP VIEW record AS
    SELECT household, r.* FROM club.record AS r JOIN account USING (account);
"""

# What is compared, as (what it is, the second way, the ledger's way): the same rows, or the check fails.
_COMPARED = [
    (
        "baskets, to the line and the cent",
        "SELECT household, basket, lines, shelf, discount, above FROM basket",
        """SELECT household, CAST(json_extract(payload, '$.id') AS INTEGER), json_array_length(payload, '$.lines'),
                  (SELECT sum(CAST(round(100 * json_extract(value, '$.total')) AS INTEGER))
                   FROM json_each(payload, '$.lines')),
                  (SELECT sum(CAST(round(100 * coalesce(json_extract(value, '$.discount'), 0)) AS INTEGER))
                   FROM json_each(payload, '$.lines')),
                  CAST(round(100 * coalesce(json_extract(payload, '$.discount'), 0)) AS INTEGER)
           FROM record WHERE kind = 'order'""",
    ),
    (
        "awards, to the point",
        "SELECT household, basket, given FROM award WHERE given > 0",
        """SELECT household, CAST(substr(source, 7) AS INTEGER), sum(amount) FROM entry
           WHERE kind = 'earn' GROUP BY account, source""",
    ),
    (
        "returns, to the point",
        "SELECT household, basket, product, taken FROM back",
        """SELECT household, CAST(json_extract(payload, '$.order') AS INTEGER),
                  CAST(json_extract(payload, '$.lines[0][0]') AS INTEGER),
                  coalesce((SELECT -sum(amount) FROM club.entry AS e
                            WHERE e.account = r.account AND e.source = r.key AND e.kind = 'claw_back'), 0)
           FROM record AS r WHERE kind = 'refund'""",
    ),
    (
        "vouchers, to the point",
        "SELECT household, number + 1, redeemed FROM walk WHERE redeemed > 0",
        """SELECT household, CAST(substr(source, -2) AS INTEGER), -sum(amount) FROM entry
           WHERE kind = 'redeem' GROUP BY account, source""",
    ),
    (
        "balances, to the point",
        """SELECT household, sum(given), coalesce(taken, 0), redeemed, expired, earned - gone
           FROM award LEFT JOIN (SELECT household, sum(taken) AS taken FROM back GROUP BY 1) USING (household)
                JOIN (SELECT household, sum(redeemed) AS redeemed, sum(expired) AS expired FROM walk GROUP BY 1)
                     USING (household)
                JOIN (SELECT household, earned, gone FROM walk WHERE number = 12) USING (household)
           GROUP BY household HAVING sum(given) > 0""",
        "SELECT household, earned, clawed_back, redeemed, expired, active - debt FROM balance",
    ),
    (
        "balances in which what came in is what there is and what went out",
        "SELECT household FROM balance",
        """SELECT household FROM balance AS b
           WHERE earned + restored + reinstated + transferred_in + adjusted_up
                 = active + pending + held - debt + redeemed + expired + clawed_back + transferred_out + adjusted_down
             AND active + pending + held - debt = (SELECT sum(amount) FROM club.entry AS e WHERE e.account = b.account)
             AND active + pending + held
                 = (SELECT sum(active + pending + held) FROM club.lot AS l WHERE l.account = b.account)
             AND active >= 0 AND pending >= 0 AND held >= 0 AND debt >= 0""",
    ),
    (
        "totals of the report, to the point and the cent",
        """SELECT 'households', count(DISTINCT household) FROM basket
           UNION ALL SELECT 'baskets', count(*) FROM basket
           UNION ALL SELECT 'lines', count(*) FROM till
           UNION ALL SELECT 'paid', sum(net - above) FROM basket
           UNION ALL SELECT 'discounts', sum(discount + above) FROM basket
           UNION ALL SELECT 'returns', count(*) FROM back
           UNION ALL SELECT 'earned', sum(given) FROM award
           UNION ALL SELECT 'taken_back', coalesce(sum(taken), 0) FROM back
           UNION ALL SELECT 'vouchers', count(*) FROM walk WHERE redeemed > 0
           UNION ALL SELECT 'redeemed', sum(redeemed) FROM walk
           UNION ALL SELECT 'expired', sum(expired) FROM walk
           UNION ALL SELECT 'outstanding', sum(max(0, earned - gone)) FROM walk WHERE number = 12
           UNION ALL SELECT 'owed', sum(max(0, gone - earned)) FROM walk WHERE number = 12
           UNION ALL SELECT 'liability', sum(max(0, earned - gone)) FROM walk WHERE number = 12  -- a cent a point""",
        "SELECT * FROM reported",
    ),
]


def check(
    rows: Iterable[Row], departments: Mapping[int, str], path: str | Path, reported: Mapping[str, int], *, cap: int,
    year_end: str,
) -> list[str]:  # fmt: skip
    """Compare the till's lines with the club's file at `path` and with what was reported; return what is equal.

    `reported` are totals by name, money in cents. `cap` is the most points a day, `year_end` the local time up to
    which the books were kept, as in "2018-01-01 00:00:00". Raises `Difference`.
    """
    with closing(sqlite3.connect("", isolation_level=None, uri=True)) as db:  # a file that is deleted by itself
        db.execute("PRAGMA temp_store = FILE")
        db.execute("BEGIN")
        db.execute(
            "CREATE TABLE till (household INTEGER, basket INTEGER, product INTEGER, sales REAL, retail REAL, "
            "coupon REAL, matched REAL, at TEXT, produce INTEGER)"
        )
        till = (
            (
                row.household_id, row.basket_id, row.product_id, row.sales_value, row.retail_disc, row.coupon_disc,
                row.coupon_match_disc, str(row.transaction_timestamp), departments.get(row.product_id) == "produce",
            )
            for row in rows
        )  # fmt: skip
        db.executemany("INSERT INTO till VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", till)
        db.execute("CREATE TABLE reported (name TEXT, value INTEGER)")
        db.executemany("INSERT INTO reported VALUES (?, ?)", reported.items())
        db.execute("COMMIT")
        db.execute("ATTACH ? AS club", (_read_only(path),))
        for statement in _statements(_EXPECTED + _BOOKED):
            db.execute(statement, {"cap": cap, "year_end": year_end})
        return [_compared(db, *each) for each in _COMPARED]


def _compared(db: sqlite3.Connection, what: str, expected: str, booked: str) -> str:
    db.execute(f"CREATE TABLE expected AS {expected}")
    db.execute(f"CREATE TABLE booked AS {booked}")
    for some, others in (("expected", "booked"), ("booked", "expected")):
        rows = db.execute(f"SELECT * FROM {some} EXCEPT SELECT * FROM {others} LIMIT 3").fetchall()
        if rows:
            raise Difference(f"{what}: {some} and not {others}: {', '.join(map(str, rows))}")
    counts = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("expected", "booked")]
    if counts[0] != counts[1]:
        raise Difference(f"{what}: {counts[0]} expected, {counts[1]} booked")
    db.execute("DROP TABLE expected")
    db.execute("DROP TABLE booked")
    return f"{counts[0]:,} {what}"


def _statements(script: str) -> Iterator[str]:
    """Return the statements of a script one by one: only a single one takes values."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _read_only(path: str | Path) -> str:
    return f"{Path(path).resolve().as_uri()}?mode=ro"


class State(NamedTuple):
    """What a club's file holds: how much, and a digest of every account's head (its version, its instants)."""

    accounts: int
    records: int
    entries: int
    heads: str


def state(path: str | Path) -> State:
    """Return the state of the club's file at `path`."""
    with closing(sqlite3.connect(_read_only(path), uri=True)) as db:
        digest = sha256()
        for row in db.execute("SELECT * FROM head ORDER BY account"):
            digest.update(repr(row).encode())
        counts = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("head", "record", "entry")]
        return State(*counts, digest.hexdigest())
