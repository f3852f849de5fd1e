"""Runs `stockade serve --unix`, the real program, for as long as a test takes."""

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
    """Start a server on a socket file and nothing else; answer its URL."""
    # The kernel ends it with us. No setting comes from the environment.
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
    """Kill the servers of a test. What they have in memory is in their store, too."""
    while _running:
        server = _running.pop()
        server.kill()
        server.communicate(timeout=WITHIN)


def flag(name: str, value: object) -> str:
    """Write a keyword of an engine as a server's flag."""
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, float | timedelta):
        seconds = value.total_seconds() if isinstance(value, timedelta) else value
        value = f"{round(seconds * 1e6)}us"
    return f"--{name.replace('_', '-')}={value}"
