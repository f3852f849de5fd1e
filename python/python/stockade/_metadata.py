"""What a shop keeps with a product, a hold or an order: JSON objects as dictionaries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping


def dump(metadata: Mapping[str, Any]) -> str:
    """Return the JSON text of a mapping."""
    return json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def load(text: str) -> dict[str, Any]:
    """Return the object of a JSON text."""
    return cast("dict[str, Any]", json.loads(text))
