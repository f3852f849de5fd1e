"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register

from stockade.django.checks import check_deployment, check_settings


class StockadeConfig(AppConfig):
    """The app `stockade.django`."""

    name = "stockade.django"
    label = "stockade"
    verbose_name = "Stockade"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks."""
        register(check_settings)
        register(check_deployment, Tags.security, deploy=True)
