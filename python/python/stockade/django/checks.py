"""System checks of the settings. They open no store."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from stockade._native import SETTINGS
from stockade.django._engine import configuration, webhook_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_settings(
    app_configs: Sequence[object] | None = None,  # noqa: ARG001 Django's signature
    **_: object,
) -> list[CheckMessage]:
    """Check that `STOCKADE` names a store, and settings that exist."""
    try:
        configured = configuration()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="stockade.E001")]
    known = [name for name, _default, _help in SETTINGS]
    return [
        Error(
            f"STOCKADE: there is no setting {name!r}",
            hint=_nearest(name, known),
            id="stockade.E002",
        )
        for name in configured
        if name not in known
    ]


def check_deployment(
    app_configs: Sequence[object] | None = None,  # noqa: ARG001 Django's signature
    **_: object,
) -> list[CheckMessage]:
    """Check what a deployment must not do."""
    found: list[CheckMessage] = []
    try:
        webhook_secrets()
    except ImproperlyConfigured as error:
        found.append(CheckWarning(str(error), id="stockade.W001"))
    try:
        store = configuration()["store"]
    except ImproperlyConfigured:
        return found
    if store.startswith("sqlite::memory:"):
        message = "STOCKADE: each process has a store in memory of its own, and loses it at its end"
        found.append(CheckWarning(message, id="stockade.W002"))
    return found


def _nearest(name: str, known: list[str]) -> str | None:
    nearest = difflib.get_close_matches(str(name), known, 1)
    return f"Did you mean {nearest[0]!r}?" if nearest else None
