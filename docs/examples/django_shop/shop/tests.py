"""The shop through Django's own test client: ``python manage.py test``."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from django.db import connection
from django.test import Client, TransactionTestCase

from shop.loyalty import in_one_transaction
from shop.models import Order


def balance(member):
    """Return what a member has available."""
    return in_one_transaction(lambda club: club.balance(member, at=datetime.now(UTC))).available


def order(number, total, member="ann", **more):
    """Place an order, as a browser of its own."""
    try:
        body = {"member": member, "total": total, **more}
        return Client().post(f"/orders/{number}", body, content_type="application/json")
    finally:
        connection.close()


class CheckoutTest(TransactionTestCase):
    """What a checkout leaves behind, in transactions that are really committed."""

    def tearDown(self):
        """Empty loyaltykit's tables too, which Django does not know."""
        with connection.cursor() as cursor:
            for table in connection.introspection.table_names(cursor):
                if table.startswith("loyalty_") and table != "loyalty_schema":
                    cursor.execute(f"DELETE FROM {table}")

    def test_order_and_points_are_committed_together(self):
        """A checkout leaves the shop's row and the points; sent again it leaves what is there."""
        for _ in range(2):
            assert order("1001", "120.00").json() == {"earned": 120}
        assert Order.objects.count() == 1
        assert balance("ann") == 120
        assert self.client.get("/members/ann").json()["member"] == "ann"

    def test_a_refusal_takes_the_order_back(self):
        """Where the points are not enough, neither the order nor what it would have earned is left."""
        order("1001", "120.00")
        answer = order("1002", "30.00", points=500)
        assert (answer.status_code, answer.json()) == (409, {"error": "insufficient_points"})
        assert [each.number for each in Order.objects.all()] == ["1001"]
        assert balance("ann") == 120

    def test_a_failure_of_the_shop_takes_the_points_back(self):
        """Where the shop fails after the club has recorded, nothing was recorded."""

        def fails(club):
            club.record(Order("1003", "bo", "10.00", datetime.now(UTC)).fact())
            raise ZeroDivisionError

        order("1001", "120.00", "bo")
        with self.assertRaises(ZeroDivisionError):  # noqa: PT027, since pytest is not needed here
            in_one_transaction(fails)
        assert balance("bo") == 120

    def test_checkouts_at_the_same_time(self):
        """Whatever comes at once for one member, every order earns once."""
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(lambda number: order(f"o{number % 10}", "10.00"), range(20)))
        assert {200} == {answer.status_code for answer in answers}
        assert Order.objects.count() == 10
        assert balance("ann") == 100
        assert in_one_transaction(lambda club: club.verify("ann")) == []
