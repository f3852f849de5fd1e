"""Runs the real program `stockade serve --unix` for a test."""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta
from pathlib import Path

WITHIN = 30.0
ROOT = Path(__file__).parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PROGRAM = TARGET / "debug" / "stockade"

_running: list[subprocess.Popen[bytes]] = []


def serve(socket: Path, *flags: str) -> str:
    """Start a server on a Unix socket only and return its URL."""
    # The kernel kills it when this process dies. Settings from the environment are ignored.
    command = ["setpriv", "--pdeathsig", "KILL", "--", str(PROGRAM), "serve"]
    server = subprocess.Popen(
        [*command, "--listen=", "--no-seed", f"--unix={socket}", *flags],
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
    )
    _running.append(server)
    assert server.stdout is not None
    url = f"unix://{socket}"
    assert server.stdout.readline().decode() == f"listening on {url}\n", f"is {PROGRAM} built?"
    return url


def end_all() -> None:
    """Kill the servers of a test; their state is durable in the store."""
    while _running:
        server = _running.pop()
        server.kill()
        server.communicate(timeout=WITHIN)


def flag(name: str, value: object) -> str:
    """Convert a keyword argument to a server flag."""
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, float | timedelta):
        seconds = value.total_seconds() if isinstance(value, timedelta) else value
        value = f"{round(seconds * 1e6)}us"
    return f"--{name.replace('_', '-')}={value}"
