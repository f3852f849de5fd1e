"""A shop's views on Django, in one file: `python django_shop.py runserver`.

A server that forks its workers, such as gunicorn, must not fork an open
engine: each worker opens its own at its first request. The requests of all
workers are decided together where they share a running engine:

    stockade serve --listen= --unix=/run/stockade.sock --hold-ttl=5m
    STOCKADE_STORE=unix:///run/stockade.sock gunicorn -w 4 django_shop:application
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

from stockade import Engine, InvalidArgumentError, NotFoundError, StockadeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpResponse

    View = Callable[..., HttpResponse]

if not settings.configured:
    store = os.environ.get("STOCKADE_STORE", "sqlite:shop.db")
    # A running engine has its own settings: none is sent to it.
    is_running = store.startswith(("unix:", "http:"))
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1", "testserver"],
        MIDDLEWARE=["django_shop.stockade_errors"],
        ROOT_URLCONF=__name__,
        SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY", "for-this-example-only"),
        STOCKADE={"store": store, "hold_ttl": None if is_running else "5m"},
    )
sys.modules.setdefault("django_shop", sys.modules[__name__])


@functools.cache
def engine() -> Engine:
    """Open this process's engine at its first use."""
    return Engine(**settings.STOCKADE)


class StockadeErrors:
    """Answers errors of the engine as JSON."""

    def __init__(self, view: View) -> None:
        self.view = view

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Let the view answer."""
        return self.view(request)

    def process_exception(self, _request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer what the view raised."""
        if not isinstance(error, StockadeError):
            return None
        status = {NotFoundError: 404, InvalidArgumentError: 422, UnavailableError: 503}
        return JsonResponse(
            {"code": error.code, "message": str(error), "available": error.available},
            status=status.get(type(error), 409),
        )


stockade_errors = StockadeErrors


@require_GET
def product(_request: HttpRequest, product_id: int) -> HttpResponse:
    """Show what is left of a product."""
    found = engine().product(product_id)
    return JsonResponse({"id": found.id, "price": found.price, "stock": found.stock})


@csrf_exempt
@require_POST
def buy(request: HttpRequest, product_id: int) -> HttpResponse:
    """Hold and order in one request; an error in between gives the units back."""
    wanted: dict[str, Any] = json.loads(request.body)
    with engine().hold(product_id, wanted["quantity"]) as hold:
        order = engine().order(hold)
    return JsonResponse({"order": order.id, "payment_token": order.payment_token}, status=201)


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Take the payment provider's word."""
    said: dict[str, str] = json.loads(request.body)
    engine().payment(
        said["status"], payment_token=said["payment_token"], key=said["key"], body=request.body
    )
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
