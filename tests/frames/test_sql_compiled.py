"""The SQL that warehouses are sent, by an Ibis table without a connection: compiled and checked, not run there."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from engines import need

need("narwhals", "ibis", "sqlglot", "duckdb", "pyarrow")

import ibis  # noqa: E402
import sqlglot  # noqa: E402
from sqlglot import expressions as sql  # noqa: E402

from loyaltykit import frames  # noqa: E402
from loyaltykit.calendar import months, weeks  # noqa: E402
from loyaltykit.frames import retention  # noqa: E402
from loyaltykit.matching import category, channel  # noqa: E402
from loyaltykit.measures import days_since_first, days_since_last, orders, periods, products, spend  # noqa: E402
from loyaltykit.windows import between, calendar_year  # noqa: E402

WAREHOUSES = ("bigquery", "snowflake", "trino")
AT = datetime(2026, 7, 1, 12, tzinfo=UTC)
NOON = datetime(2026, 7, 1, 12)
COLUMNS = {
    "customer": "string", "order": "string", "at": "timestamp(6)", "known": "timestamp(6)", "cents": "int64",
    "there": "int64", "channel": "string", "sku": "string", "category": "string",
}  # fmt: skip
RULES = {
    "loyal": (spend(months(6)) >= "250.00") | (orders(weeks(5)) >= 5),
    "lapsed": (orders() >= 1) & ~(days_since_last() <= 90),
    "fresh": days_since_first() <= 30,
    "tea": orders(calendar_year(), where=category('té "x"', "o'b") & ~channel("web")) >= 1,
    "wide": products(between(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))) >= 2,
    "often": periods("month", months(6)) >= 3,
}


def base_of(table: Any) -> frames.Base:
    """Return the base of a table of order lines."""
    return frames.Base(
        table, order="order", known="known", amount="cents", present="there", channel="channel", sku="sku",
        category="category", check=False,
    )  # fmt: skip


ASKED: dict[str, Any] = {
    "evaluate": lambda base: frames.evaluate(base, RULES, AT),
    "measure": lambda base: frames.measure(base, {"spent": spend(months(6)), "days": days_since_last()}, AT),
    "members": lambda base: frames.members(base, RULES["loyal"], AT),
    "stages": lambda base: frames.stages(base, AT),
    "rfm_summary": lambda base: retention.rfm_summary(base, AT),
    "rfm": lambda base: retention.rfm(base, AT, months(6)),
}


def compiled(asked: str, dialect: str) -> str:
    """Return the SQL of a question to a table that no connection holds."""
    unbound = ibis.table(COLUMNS, name="order_lines")
    return str(ibis.to_sql(ASKED[asked](base_of(unbound)), dialect=dialect))


@pytest.mark.parametrize("dialect", WAREHOUSES)
@pytest.mark.parametrize("asked", ASKED)
def test_a_warehouse_is_asked_one_statement_in_its_own_dialect(asked: str, dialect: str) -> None:
    """Whatever is asked compiles without a connection, to one SELECT that the dialect's grammar takes."""
    statements = sqlglot.parse(compiled(asked, dialect), dialect=dialect)

    assert 1 == len(statements)
    assert isinstance(statements[0], sql.Select)
    assert {"order_lines"} == {table.name for table in statements[0].find_all(sql.Table) if table.name[0] != "t"}


@pytest.mark.parametrize("dialect", WAREHOUSES)
def test_sums_are_of_whole_numbers_behind_a_case(dialect: str) -> None:
    """What does not count is masked to 0 before anything is grouped; no aggregate has a condition."""
    tree = sqlglot.parse_one(compiled("evaluate", dialect), dialect=dialect)

    assert list(tree.find_all(sql.Case, sql.If))
    assert not list(tree.find_all(sql.Filter))
    for total in tree.find_all(sql.Sum):
        assert isinstance(total.this, sql.Column)
    literals = [each for each in tree.find_all(sql.Literal) if not each.is_string]
    assert {"25000", "5"} <= {each.name for each in literals}
    assert all(each.is_int for each in literals)


@pytest.mark.parametrize("dialect", WAREHOUSES)
def test_bounds_are_constants_and_no_clock_or_zone_of_the_warehouse_is_asked(dialect: str) -> None:
    """Windows are compared with instants that Python worked out; the warehouse's own time has no say."""
    text = compiled("evaluate", dialect)

    days = {f"{day:%Y-%m-%d}" for day in (NOON, datetime(2026, 1, 1), datetime(2026, 5, 27), datetime(2026, 6, 1))}
    found = set(re.findall(r"\d{4}-\d{2}-\d{2}", text)) | {
        f"{int(year):04}-{int(month):02}-{int(day):02}"
        for year, month, day in re.findall(r"_FROM_PARTS\((\d+), (\d+), (\d+)", text)
    }
    assert days <= found
    assert not re.search(r"CURRENT_|NOW\(|GETDATE|AT TIME ZONE|CONVERT_TIMEZONE|MICROSECOND", text, re.IGNORECASE)


@pytest.mark.parametrize("dialect", WAREHOUSES)
def test_names_are_quoted(dialect: str) -> None:
    """A column may be called like a word of the language, and a category may have quotes in it."""
    tree = sqlglot.parse_one(compiled("evaluate", dialect), dialect=dialect)

    named = [column.this for column in tree.find_all(sql.Column) if isinstance(column.this, sql.Identifier)]
    assert named
    assert all(name.quoted for name in named)
    assert {'té "x"', "o'b"} <= {each.name for each in tree.find_all(sql.Literal) if each.is_string}


def some_lines() -> Any:
    """Return order lines about the bounds of the rules' windows, as an Arrow table."""
    import pyarrow as pa

    tick, rows = timedelta(microseconds=1), []
    edges = [datetime(2026, 1, 1, 12), datetime(2026, 5, 27, 12), datetime(2026, 1, 1), datetime(2026, 4, 1), NOON]
    for number in range(400):
        at = edges[number % 5] + (number // 5 % 3 - 1) * tick - (number % 7 == 0) * timedelta(days=number)
        customer = None if number % 11 == 0 else f"c{number % 23}"
        kind = ("web", 'té "x"') if number % 2 else (None, "o'b")
        rows.append((customer, f"o{number}", at, None, 12_499 + number % 3, 1, kind[0], f"s{number % 4}", kind[1]))
        if number % 9 == 0:
            known = NOON + (number % 2) * tick
            rows.append((customer, f"o{number}", at, known, -12_000, 0, kind[0], f"s{number % 4}", kind[1]))
    kinds = {"string": pa.string(), "int64": pa.int64(), "timestamp(6)": pa.timestamp("us")}
    schema = pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    return pa.Table.from_pylist([dict(zip(COLUMNS, row, strict=True)) for row in rows], schema=schema)


@pytest.mark.parametrize("dialect", ["snowflake", "trino"])
@pytest.mark.parametrize("asked", ["evaluate", "members", "stages"])
def test_the_sql_for_a_warehouse_says_the_same_when_it_is_read_by_duckdb(asked: str, dialect: str) -> None:
    """Translated from its dialect and run on DuckDB, the statement answers as pure Python does of the same rows."""
    import duckdb

    connection, lines = duckdb.connect(), some_lines()
    connection.register("order_lines", lines)
    translated = sqlglot.transpile(compiled(asked, dialect), read=dialect, write="duckdb")[0]
    got = connection.execute(translated).fetchall()

    histories = base_of(lines).histories()
    if asked == "evaluate":
        wanted = {(name, *(rule.matches(each, AT) for rule in RULES.values())) for name, each in histories.items()}
    elif asked == "members":
        wanted = {(name,) for name, each in histories.items() if RULES["loyal"].matches(each, AT)}
    else:
        from loyaltykit.segments import stages

        wanted = set(stages(histories, AT).items())
    assert wanted == set(got)
    assert len(wanted) == len(got)
