"""The conditions of lists, as keyword arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from datetime import datetime


class HoldQuery(TypedDict, total=False):
    """The conditions of `Engine.holds`."""

    customer: str | None
    product_id: int | str | None
    status: str | None
    created_after: datetime | str | None
    created_before: datetime | str | None
    after: int | str | None


class OrderQuery(TypedDict, total=False):
    """The conditions of `Engine.orders`."""

    customer: str | None
    product_id: int | str | None
    status: str | None
    disposition: str | None
    reference: str | None
    payment_reference: str | None
    created_after: datetime | str | None
    created_before: datetime | str | None
    after: int | str | None
