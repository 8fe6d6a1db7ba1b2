"""The tables of loyaltykit, made by Django's migrations from the definitions that loyaltykit exports."""

import sqlalchemy as sa
from django.db import migrations

from loyaltykit.stores.sql import VERSIONS, metadata, tables


def create(apps, schema_editor):
    """Send Django's connection the statements that SQLAlchemy makes for its kind of database."""
    schema = sa.create_mock_engine(
        f"{schema_editor.connection.vendor}://",
        lambda statement, *_: schema_editor.execute(
            str(statement.compile(dialect=schema.dialect, compile_kwargs={"literal_binds": True}))
        ),
    )
    metadata.create_all(schema, checkfirst=False)
    schema.execute(sa.insert(tables().schema).values(VERSIONS))


class Migration(migrations.Migration):
    """Make loyaltykit's tables."""

    dependencies = (("shop", "0001_orders"),)
    operations = (migrations.RunPython(create),)
