"""The webhook for payment events: `path("payments/webhook", views.webhook)`."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from stockade._model import PaymentStatus
from stockade._problem import CONTENT_TYPE, headers_of, problem_of, status_of
from stockade._webhook import SIGNATURE_HEADER, verify_webhook
from stockade.django._engine import engine, webhook_secrets
from stockade.exceptions import InvalidArgumentError, StockadeError

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

_FIELDS = ("order_id", "payment_token", "amount", "currency", "payment_reference")


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Verify and record a payment event; bodies and answers are those of the server.

    Its signature by one of `STOCKADE_WEBHOOK_SECRETS` stands in `Stockade-Signature`.
    """
    secrets = webhook_secrets()
    try:
        verify_webhook(request.body, request.headers.get(SIGNATURE_HEADER), secrets)
        event = _event_of(request.body)
        key = event.get("idempotency_key") or request.headers.get("Idempotency-Key")
        given = {name: event[name] for name in _FIELDS if event.get(name) is not None}
        receipt = engine().record_payment(event["status"], key=key, **given)
    except StockadeError as error:
        return problem_response(error)
    result = "repeated" if receipt.replayed else receipt.status.value
    status = 202 if receipt.status is PaymentStatus.WAITING else 200
    return JsonResponse({"message": "ok", "result": result}, status=status)


def problem_response(error: StockadeError) -> HttpResponse:
    """Return a refusal as the server does: a problem document with its stable code."""
    return JsonResponse(
        problem_of(error),
        status=status_of(error),
        headers=headers_of(error),
        content_type=CONTENT_TYPE,
    )


def _event_of(body: bytes) -> dict[str, Any]:
    try:
        event = json.loads(body, parse_float=Decimal)
    except ValueError as error:
        raise InvalidArgumentError(f"the body is no JSON: {error}") from error
    if not isinstance(event, dict) or not isinstance(event.get("status"), str):
        raise InvalidArgumentError('the body must be a JSON object with the text "status"')
    return event
