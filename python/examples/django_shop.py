"""A shop's views on Django, in one file: `python django_shop.py runserver`.

A server that forks its workers, such as gunicorn, must not fork an open
engine: each worker opens its own at its first request. The requests of all
workers are decided together where they share a running engine:

    stockade serve --listen= --unix=/run/stockade.sock --hold-ttl=5m
    export STOCKADE_STORE=unix:///run/stockade.sock STOCKADE_WEBHOOK_SECRET=…
    gunicorn -w 4 django_shop:application

The payment token goes to the payment provider and never to the buyer, who could
say with it that he has paid. A webhook counts only when it is signed.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from stockade import (
    SIGNATURE_HEADER,
    Engine,
    InvalidArgumentError,
    NotFoundError,
    Order,
    StockadeError,
    UnauthorizedError,
    UnavailableError,
    verify_webhook,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpResponse

    View = Callable[..., HttpResponse]

if not settings.configured:
    store = os.environ.get("STOCKADE_STORE", "sqlite:shop.db")
    # A running engine has its own settings: pass none.
    is_running = store.startswith(("unix:", "http:", "https:"))
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1", "testserver"],
        MIDDLEWARE=["django_shop.stockade_errors"],
        ROOT_URLCONF=__name__,
        SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY", "for-this-example-only"),
        STOCKADE={"store": store, "hold_ttl": None if is_running else "5m"},
        # Without a secret a buyer could forge the provider's webhooks: refuse to
        # start.
        STOCKADE_WEBHOOK_SECRETS=os.environ["STOCKADE_WEBHOOK_SECRET"].split(","),
    )
sys.modules.setdefault("django_shop", sys.modules[__name__])


@functools.cache
def engine() -> Engine:
    """Open this process's engine on first use."""
    return Engine(**settings.STOCKADE)


class StockadeErrors:
    """Converts errors of the engine to JSON responses."""

    def __init__(self, view: View) -> None:
        self.view = view

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Run the view."""
        return self.view(request)

    def process_exception(self, _request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Convert an exception of the view to a response."""
        if not isinstance(error, StockadeError):
            return None
        status = {
            UnauthorizedError: 401,
            NotFoundError: 404,
            InvalidArgumentError: 422,
            UnavailableError: 503,
        }
        return JsonResponse(
            {"code": error.code, "message": str(error), "available": error.available},
            status=status.get(type(error), 409),
        )


stockade_errors = StockadeErrors


def body_of(request: HttpRequest, *fields: str) -> dict[str, Any]:
    """Parse a JSON object with these fields."""
    try:
        found = json.loads(request.body)
    except ValueError:
        found = None
    if not isinstance(found, dict) or any(field not in found for field in fields):
        raise InvalidArgumentError(f"the body must be a JSON object with {', '.join(fields)}")
    return found


def payment_page(order: Order) -> str:
    """Create the payment provider's page for an order and return its URL.

    Here the shop calls its provider, who is told the payment token as the
    order's reference and sends it back in the webhook. The buyer sees the page
    alone.
    """
    return f"https://pay.example/shop/{order.id}"


@require_GET
def product(_request: HttpRequest, product_id: int) -> HttpResponse:
    """Show the available stock of a product."""
    found = engine().product(product_id)
    return JsonResponse({"id": found.id, "price": found.price, "stock": found.stock})


# Without cookies there is no CSRF; a shop with sessions must keep the
# check enabled.
@csrf_exempt
@require_POST
def buy(request: HttpRequest, product_id: int) -> HttpResponse:
    """Hold and order in one request; an error in between releases the units."""
    wanted = body_of(request, "quantity")
    with engine().create_hold(product_id, wanted["quantity"]) as hold:
        order = engine().create_order(hold)
    return JsonResponse({"order": order.id, "pay_at": payment_page(order)}, status=201)


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Verify and apply a payment provider's event."""
    signature = request.headers.get(SIGNATURE_HEADER)
    verify_webhook(request.body, signature, settings.STOCKADE_WEBHOOK_SECRETS)
    said = body_of(request, "status", "payment_token", "key")
    engine().record_payment(said["status"], payment_token=said["payment_token"], key=said["key"])
    return JsonResponse({"message": "ok"})


urlpatterns = [
    path("products/<int:product_id>", product),
    path("products/<int:product_id>/buy", buy),
    path("payments/webhook", webhook),
]

application = get_wsgi_application()

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
