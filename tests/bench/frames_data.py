"""Synthetic orders for the benchmark of frames: two and a half years of a shop, some customers with very many orders.

The same number of orders gives the same file, on one version of DuckDB. Ten million are of about 870,000 customers.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)
"""The instant that is asked about."""

_ORDERS = """
    COPY (
        SELECT
            'c' || lpad(floor({customers} * u * v)::BIGINT::VARCHAR, 7, '0') AS customer,
            'o' || lpad(i::VARCHAR, 9, '0') AS "order",
            TIMESTAMP '2024-01-01' + to_microseconds((hash('at' || i) % {microseconds})::BIGINT) AS "at",
            (200 + hash('cents' || i) % 9800)::BIGINT AS cents,
            CASE hash('channel' || i) % 10 WHEN 0 THEN 'app' WHEN 1 THEN 'shop' ELSE 'web' END AS channel
        FROM (
            SELECT
                range AS i,
                hash('u' || range) / 18446744073709551616.0 AS u,
                hash('v' || range) / 18446744073709551616.0 AS v
            FROM range({orders})
        )
    ) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
"""


def orders_file(folder: Path, orders: int) -> Path:
    """Return a Parquet file of so many orders; it is made where it is not there yet."""
    path = folder / f"orders-{orders}.parquet"
    if not path.exists():
        import duckdb

        begin = datetime(2024, 1, 1, tzinfo=UTC)
        span = int((datetime(2026, 7, 1, tzinfo=UTC) - begin).total_seconds()) * 1_000_000
        part = path.with_suffix(".part")
        duckdb.sql(_ORDERS.format(orders=orders, customers=orders * 2 // 21, microseconds=span, path=part))
        part.rename(path)
    return path
