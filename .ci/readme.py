"""Runs the README's shell session against a fresh server and compares."""

import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")
TOKEN = re.compile(r"[0-9a-f]{32}")


def session() -> list[tuple[str, str]]:
    """The lines of the README's `console` block: commands and what they print."""
    text = (ROOT / "README.md").read_text()
    block = re.search(r"```console\n(.*?)```", text, re.S)
    if block is None:
        sys.exit("README.md has no console block")
    steps: list[tuple[str, str]] = []
    for line in block.group(1).splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], ""))
        elif steps and line.strip():
            steps[-1] = (steps[-1][0], steps[-1][1] + line.strip())
    return [step for step in steps if step[0].startswith("curl")]


def shape(body: str) -> object:
    """A body with its times and tokens blanked; the rest must be exact."""
    return json.loads(TOKEN.sub("TOKEN", TIME.sub("TIME", body)))


def wait_for(port: int) -> None:
    """Waits until the server listens, for at most 30 seconds."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit("the server did not listen in time")


def main() -> None:
    """Starts the server on a free port and runs every step."""
    steps = session()
    if len(steps) < 4:
        sys.exit(f"README.md shows {len(steps)} curl lines; expected at least 4")
    binary = ROOT / "target" / "debug" / "stockade"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [binary, "serve", "--listen", f"127.0.0.1:{port}"], cwd=folder, stderr=subprocess.DEVNULL
        )
        try:
            wait_for(port)
            for command, expected in steps:
                local = command.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
                printed = subprocess.run(
                    ["bash", "-c", local], capture_output=True, text=True, check=True
                ).stdout
                if shape(printed) != shape(expected):
                    sys.exit(f"{command}\nprinted  {printed}\nREADME says {expected}")
                print(f"ok: {command}")
        finally:
            server.terminate()
            server.wait(timeout=20)
    print(f"README: {len(steps)} passed, 0 failed")


main()
