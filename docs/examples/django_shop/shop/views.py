"""Checkout, and where a member stands."""

import json
from datetime import UTC, datetime
from decimal import Decimal

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from loyaltykit import Club, wire
from loyaltykit.errors import InputError, Refused
from shop.loyalty import in_one_transaction
from shop.models import Order


@csrf_exempt
@require_POST
def checkout(request: HttpRequest, number: str) -> JsonResponse:
    """Place an order, pay a part of it with points if wanted, and earn points on it. Sent twice it is placed once."""
    asked = json.loads(request.body)

    def place(club: Club) -> dict[str, int]:
        order, _ = Order.objects.get_or_create(
            number=number,
            defaults={
                "member": asked["member"],
                "total": Decimal(asked["total"]),
                "placed_at": datetime.now(UTC),
            },
        )
        earned = club.record(order.fact())
        if asked.get("points"):
            club.redeem(order.member, asked["points"], key=f"pay:{number}", at=order.placed_at, order=number)
        return {"earned": earned.points}

    try:
        return JsonResponse(in_one_transaction(place))
    except InputError as error:
        return JsonResponse({"error": str(error)}, status=422)
    except Refused as error:
        return JsonResponse({"error": error.reason}, status=409)


@require_GET
def standing(request: HttpRequest, member: str) -> JsonResponse:
    """Say where a member stands now."""
    found = in_one_transaction(lambda club: club.standing(member, at=datetime.now(UTC)))
    return JsonResponse(wire.to_data(found))
