"""A shop's paths."""

from __future__ import annotations

from django.urls import path

from stockade.django.views import webhook

urlpatterns = [path("payments/webhook", webhook)]
