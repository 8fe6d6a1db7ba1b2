"""The shop's own table."""

from django.db import models

import loyaltykit


class Order(models.Model):
    """An order as the shop keeps it."""

    number = models.CharField(primary_key=True, max_length=40)
    member = models.CharField(max_length=80)
    total = models.DecimalField(max_digits=12, decimal_places=2)
    placed_at = models.DateTimeField()

    def fact(self) -> loyaltykit.Order:
        """Return the order as loyaltykit is told of it."""
        return loyaltykit.Order(self.number, self.member, self.placed_at, amount=self.total)
