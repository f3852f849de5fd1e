"""Runs the tests of `django_site`: a process has one Django project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import make_store


@pytest.mark.parametrize("backend", ["sqlite_file", "socket"])
def test_the_django_app(backend: str, tmp_path: Path) -> None:
    store = make_store(backend, tmp_path)
    url = store.url
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "django", "test", "django_site"],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "django_site.settings",
            "STOCKADE_STORE": url,
        },
        timeout=50,
    )
    ran = re.search(r"^Ran (\d+) tests", done.stderr, re.MULTILINE)
    assert done.returncode == 0, done.stderr
    assert ran is not None, done.stderr
    assert int(ran[1]) >= 10


def test_migrations_match_the_model(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "django", "makemigrations", "--check", "--dry-run"]
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "django_site.settings",
        "STOCKADE_STORE": f"sqlite:{tmp_path / 'shop.db'}",
    }
    subprocess.run(command, check=True, cwd=Path(__file__).parent, env=environment, timeout=50)
