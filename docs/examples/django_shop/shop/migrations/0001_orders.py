"""The shop's own table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Make the table of orders."""

    initial = True
    operations = (
        migrations.CreateModel(
            name="Order",
            fields=[
                ("number", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("member", models.CharField(max_length=80)),
                ("total", models.DecimalField(decimal_places=2, max_digits=12)),
                ("placed_at", models.DateTimeField()),
            ],
        ),
    )
