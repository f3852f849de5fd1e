"""Refusals as an HTTP answer, for the integrations with web frameworks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stockade.exceptions import StockadeError

CONTENT_TYPE = "application/problem+json"

_STATUS = {
    "unauthorized": 401,
    "not_found": 404,
    "product_mismatch": 404,
    "insufficient_stock": 409,
    "hold_already_used": 409,
    "not_on_sale": 409,
    "already_exists": 409,
    "already_paid": 409,
    "order_cancelled": 409,
    "not_paid": 409,
    "refund_too_large": 409,
    "nothing_returned": 409,
    "version_mismatch": 412,
    "contention": 503,
    "unavailable": 503,
    "misuse": 500,
    "internal": 500,
}
"""The HTTP status of a code, as the server has it; any other is 422."""


def status_of(error: StockadeError) -> int:
    """Return the HTTP status of an error."""
    return _STATUS.get(error.code, 422)


def problem_of(error: StockadeError) -> dict[str, Any]:
    """Return the body of an error: a problem document with its stable code."""
    problem: dict[str, Any] = {
        "type": f"urn:stockade:error:{error.code}",
        "status": status_of(error),
        "success": False,
        "code": error.code,
        "message": str(error),
    }
    for name in ("available", "order_id", "product_id"):
        value = getattr(error, name)
        if value is not None:
            problem[name] = value
    return problem


def headers_of(error: StockadeError) -> dict[str, str]:
    """Return the headers of an error."""
    if error.retry_after is None:
        return {}
    return {"Retry-After": str(max(1, round(error.retry_after)))}
