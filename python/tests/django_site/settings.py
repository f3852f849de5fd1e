"""A shop's settings, for `test_django.py`."""

from __future__ import annotations

import os

SECRET_KEY = "for-the-tests-only"
INSTALLED_APPS = ["stockade.django"]
ROOT_URLCONF = "django_site.urls"
ALLOWED_HOSTS = ["testserver"]
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
STOCKADE = {"store": os.environ["STOCKADE_STORE"]}
STOCKADE_WEBHOOK_SECRETS = ["hush", "older"]
