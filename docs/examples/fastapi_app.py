"""A shop's loyalty under FastAPI: what a cart would earn, the order recorded, where a member stands.

    pip install 'loyaltykit[async]' asyncpg fastapi uvicorn
    SHOP_BOOKS=postgresql+asyncpg://shop@localhost/shop uvicorn fastapi_app:app

SHOP_BOOKS says where the books are kept: at a URL, or in a SQLite file, for which `pip install loyaltykit` will do.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from loyaltykit import Ladder, Order, Program, SQLiteStore, months, per_amount, spend, wire
from loyaltykit.async_club import AsyncClub
from loyaltykit.errors import InputError, KeyReused, LoyaltyError, StoreError, UnknownMember

LADDER = Ladder("status", spend(months(12)), {"Bronze": 0, "Silver": 300})
PROGRAM = Program("Corner Shop Club", "USD", earning=per_amount(1), validity=months(12), tiers=LADDER)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    books = os.environ.get("SHOP_BOOKS", "shop.db")
    if "://" in books:
        from loyaltykit.stores.async_sql import AsyncSqlStore

        store = AsyncSqlStore(books)
        await store.create()
    else:
        store = SQLiteStore(books)
    async with AsyncClub(PROGRAM, store) as app.state.club:
        yield


def the_club(request: Request) -> AsyncClub:
    return request.app.state.club


app = FastAPI(title=PROGRAM.name, lifespan=lifespan)
TheClub = Annotated[AsyncClub, Depends(the_club)]
Json = Annotated[dict[str, Any], Body()]


@app.post("/preview")
async def preview(cart: Json, club: TheClub) -> dict[str, Any]:
    award = await club.preview(wire.from_data(Order, cart))
    return {"points": award.points, "because": award.explain()}


@app.put("/orders/{order_id}")
async def record(order_id: str, order: Json, club: TheClub) -> dict[str, Any]:
    receipt = await club.record(wire.from_data(Order, {**order, "id": order_id}))
    return {"points": receipt.points, "replayed": receipt.replayed}


@app.get("/members/{member}")
async def standing(member: str, club: TheClub) -> Any:
    return wire.to_data(await club.standing(member, at=datetime.now(UTC)))


@app.exception_handler(LoyaltyError)
async def answer(request: Request, error: LoyaltyError) -> JSONResponse:
    match error:
        case UnknownMember():
            status = 404
        case InputError() if not isinstance(error, KeyReused):
            status = 422
        case StoreError(retry=retry):
            status = 503 if retry else 500
        case _:  # refused by the rules, or an id that was used for another order
            status = 409
    return JSONResponse({"error": str(error)}, status)
