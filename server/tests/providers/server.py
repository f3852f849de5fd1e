"""A running server, and requests to it."""

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from typing import Self

# The timeout of anything that should be immediate.
SOON = 20


class Server:
    """A server on a store in memory that serves every provider."""

    def __init__(self, binary: str, settings: dict[str, str]) -> None:
        environment = {f"STOCKADE_{name.upper()}": value for name, value in settings.items()}
        arguments = ["--store=sqlite::memory:", "--demo", "--listen=127.0.0.1:0"]
        arguments += ["--log-level=error"]
        # Without the settings of the environment.
        self.process = subprocess.Popen(
            [binary, "serve", *arguments],
            env={"PATH": os.environ["PATH"], **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.url = self.process.stdout.readline().removeprefix("listening on ").strip()

    def __enter__(self) -> Self:
        """Makes the product that all orders are of."""
        made = self.post("/api/admin/products", b'{"name":"Lamp","price":19.99,"stock":1000}')
        self.product = json.loads(made[1])["id"]
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the program."""
        self.process.terminate()
        self.process.wait(timeout=SOON)

    def send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, str]:
        """Sends a request; returns the status and the body of its response."""
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=SOON) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def post(
        self, path: str, body: bytes, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Posts a body."""
        return self.send(
            "POST", path, body, {"content-type": "application/json", **(headers or {})}
        )

    def get(self, path: str) -> dict:
        """Returns a JSON answer."""
        return json.loads(self.send("GET", path, None, {})[1])

    def order(self) -> dict:
        """Makes an order of one unit."""
        hold = json.loads(self.post(f"/api/holds/{self.product}/1", b"")[1])["hold"]
        return json.loads(self.post(f"/api/orders/{hold['id']}/{self.product}", b"")[1])["order"]

    def status(self, order: dict) -> str:
        """Returns the status of an order."""
        return self.get(f"/api/orders/{order['id']}")["order"]["status"]

    def disposition(self, order: dict) -> str:
        """Returns what is to be done about the payment of an order."""
        return self.get(f"/api/orders/{order['id']}")["order"]["payment_disposition"]

    def counted(self, provider: str, meaning: str) -> int:
        """Returns how many events of a provider had a meaning."""
        metrics = self.send("GET", "/metrics", None, {})[1]
        name = rf'stockade_provider_events_total{{provider="{provider}",meaning="{meaning}"}} (\d+)'
        found = re.search(name, metrics)
        return int(found[1]) if found else 0
