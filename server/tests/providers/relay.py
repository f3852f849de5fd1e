"""Verifies the relay's webhooks by the official libraries of Standard Webhooks.

`relay.py PROGRAM` starts a server whose relay sends to an endpoint of this script.
"""

import http.server
import json
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading

import standardwebhooks
import svix.webhooks

# Two secrets, as while one replaces the other.
SECRETS = [
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=",
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazYdCPo34Yw=",
]
SOON = 30


def main() -> None:
    """Verifies each event of a product and a hold by each library and each secret."""
    (program,) = sys.argv[1:]
    received: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()

    class Endpoint(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.put(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    endpoint = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        plan = pathlib.Path(folder, "relay.toml")
        plan.write_text(
            f'[[webhook]]\nname = "erp"\nurl = "http://127.0.0.1:{endpoint.server_port}/"\n'
            f'secrets = {json.dumps(SECRETS)}\nallow = ["127.0.0.1"]\n'
        )
        store = f"--store=sqlite:{folder}/shop.db"
        subprocess.run([program, "seed", store], check=True, stdout=subprocess.DEVNULL)
        relay = subprocess.Popen(
            [program, "relay", store, f"--relay={plan}", "--log-level=error"],
            stdout=subprocess.DEVNULL,
        )
        try:
            printed = subprocess.run(
                [program, "events", store], check=True, capture_output=True, text=True
            )
            events = [json.loads(line) for line in printed.stdout.splitlines()]
            found = {}
            for _ in events:
                headers, body = received.get(timeout=SOON)
                for secret in SECRETS:
                    told = standardwebhooks.Webhook(secret).verify(body, headers)
                    svix.webhooks.Webhook(secret).verify(body, headers)
                    try:
                        standardwebhooks.Webhook(secret).verify(body + b" ", headers)
                    except standardwebhooks.WebhookVerificationError:
                        pass
                    else:
                        sys.exit("a changed body is accepted")
                found[told["data"]["cursor"]] = told["data"]
            assert list(dict(sorted(found.items())).values()) == events
        finally:
            relay.terminate()
            relay.wait(timeout=SOON)
    print(f"{len(events)} events of the relay verified by standardwebhooks and svix")


main()
