"""Making the tables of a SQL store, bringing them up to date, and refusing those of another version."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from loyaltykit.errors import StoreUnusable
from loyaltykit.stores._sql_links import Link
from loyaltykit.stores._sql_statements import Statements
from loyaltykit.stores._sql_tables import Tables

Step = Callable[[Connection, Tables], None]

STEPS: tuple[Step, ...] = (lambda connection, tables: tables.metadata.create_all(connection),)
"""The n-th brings the tables from version n - 1 to n. A released step is never changed; a new one follows."""

FORMAT = 1
"""Of the JSON in the rows' texts. Rows of a higher one are not understood, and not written."""

VERSIONS = {"id": 1, "version": len(STEPS), "format": FORMAT}
"""The one row of the table ``loyalty_schema``: for migrations of a shop's own, which make the tables themselves."""


def create(connection: Connection, tables: Tables) -> None:
    """Make the tables where there are none; those that are there are left as they are."""
    if not sa.inspect(connection).has_table(tables.schema.name, schema=tables.schema.schema):
        _take_steps(connection, tables, 0)


def upgrade(connection: Connection, tables: Tables) -> None:
    """Take the steps that are missing."""
    version = connection.execute(sa.select(tables.schema.c.version)).scalar()
    if version is not None and version < len(STEPS):
        _take_steps(connection, tables, version)


def _take_steps(connection: Connection, tables: Tables, version: int) -> None:
    for step in STEPS[version:]:
        step(connection, tables)
    connection.execute(sa.delete(tables.schema))
    connection.execute(sa.insert(tables.schema), VERSIONS)


def check(link: Link, statements: Statements) -> None:
    """Raise `StoreUnusable` unless the tables are those that this loyaltykit reads and writes."""
    rows = link.rows(statements.versions.sql, ())
    if not rows:
        raise StoreUnusable(
            "the tables do not say of which version they are; a migration that makes them puts the row "
            "loyaltykit.stores.sql.VERSIONS into the table of that name that ends in 'schema'"
        )
    version, form = rows[0]
    for what, found, here in (("version", version, len(STEPS)), ("format", form, FORMAT)):
        if found > here:
            raise StoreUnusable(
                f"the tables are of {what} {found}, written by a later loyaltykit; this one reads up to {here}: "
                "upgrade loyaltykit"
            )
    if version < len(STEPS):
        raise StoreUnusable(
            f"the tables are of version {version}, made by an earlier loyaltykit; this one needs {len(STEPS)}: call "
            "SqlStore.upgrade() once, while no older loyaltykit writes"
        )
    if statements.is_mysql:
        mode = str(link.rows("SELECT @@SESSION.sql_mode", ())[0][0])
        if "STRICT_TRANS_TABLES" not in mode and "STRICT_ALL_TABLES" not in mode:
            raise StoreUnusable(
                f"the server would cut what is too long or too large and say nothing (its sql_mode is {mode!r}); "
                "set STRICT_TRANS_TABLES, which is the default"
            )
