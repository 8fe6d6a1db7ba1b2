"""The example docs/examples/fastapi_app.py, through FastAPI's own test client, on a file and on servers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from loyaltykit.async_club import AsyncClub
from loyaltykit.errors import StoreError

DRIVERS = {"file": "sqlite", "aiosqlite": "sqlite", "asyncpg": "postgresql"}
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
MISSING = [name for name in ("fastapi", "httpx2") if find_spec(name) is None]

pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"the FastAPI example did not run: {', '.join(MISSING)} not installed"
)

CART = {
    "id": "cart", "member": "ann", "at": "2026-03-02T12:00:00Z", "lines": [{"sku": "coffee", "total": "59.90"}]
}  # fmt: skip


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The example's module, imported as a server finds it: by its folder."""
    monkeypatch.syspath_prepend(EXAMPLES)
    yield import_module("fastapi_app")
    del sys.modules["fastapi_app"]


@pytest.fixture(params=sorted(DRIVERS))
def books(request: pytest.FixtureRequest, new_url: Callable[[str], Any]) -> str:
    """Return where the application is told to keep its books: in a file, and behind each driver."""
    driver = request.param
    if driver == "file":
        return str(new_url("sqlite").database)
    pytest.importorskip(driver, reason=f"NOT TESTED: {driver} is not installed")
    return str(new_url(DRIVERS[driver]).set(drivername=f"{DRIVERS[driver]}+{driver}"))


@pytest.fixture
def shop(books: str, module: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of the running application."""
    from fastapi.testclient import TestClient

    monkeypatch.setenv("SHOP_BOOKS", books)
    with TestClient(module.app) as client:
        yield client


def test_what_a_cart_would_earn_is_what_its_order_earns(shop: Any) -> None:
    """A preview changes nothing; the order then earns what it said, once, however often it is delivered."""
    assert 59 == shop.post("/preview", json=CART).json()["points"]
    assert 404 == shop.get("/members/ann").status_code
    assert {"points": 59, "replayed": False} == shop.put("/orders/1001", json=CART).json()
    assert {"points": 59, "replayed": True} == shop.put("/orders/1001", json=CART).json()
    standing = shop.get("/members/ann").json()
    assert [59] == [lot["issued"] for lot in standing["lots"]]


def test_requests_at_the_same_time(shop: Any) -> None:
    """Orders that are delivered twice, all at once, are each recorded once."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: shop.put(f"/orders/{number % 10}", json=CART), range(20)))
    assert {200} == {answer.status_code for answer in answers}
    assert 10 == sum(not answer.json()["replayed"] for answer in answers)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("PUT", "/orders/1", {**CART, "member": ""}, 422, "order.member"),
        ("PUT", "/orders/1", {**CART, "lines": [{"sku": "coffee", "total": 59.9}]}, 422, "not exact"),
        ("PUT", "/orders/1001", {**CART, "member": "ann", "lines": [{"sku": "tea", "total": "1.00"}]}, 409, "1001"),
        ("GET", "/members/nobody", None, 404, "nobody"),
    ],
)
def test_a_mistake_is_answered_in_words(shop: Any, method: str, path: str, body: Any, status: int, words: str) -> None:
    """What cannot be accepted is answered with a status that fits, and says what is wrong."""
    shop.put("/orders/1001", json=CART)
    answer = shop.request(method, path, json=body)
    assert status == answer.status_code
    assert words in answer.json()["error"]


@pytest.mark.parametrize(("retry", "status"), [(True, 503), (False, 500)])
def test_a_failing_store(shop: Any, module: Any, monkeypatch: pytest.MonkeyPatch, retry: bool, status: int) -> None:
    """The status says whether the same call may succeed later."""

    async def fails(*_: Any, **options: Any) -> None:
        raise StoreError("the store failed", retry)

    monkeypatch.setattr(AsyncClub, "record", fails)
    assert status == shop.put("/orders/1001", json=CART).status_code
