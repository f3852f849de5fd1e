"""Stand-ins for PayPal's and Mollie's interfaces, as their pages describe them."""

import base64
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar


class StandIn(BaseHTTPRequestHandler):
    """Answers on one address; `serve` starts it."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def answer(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        """Answers with JSON."""
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def body(self) -> bytes:
        """Reads the request's body."""
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    @classmethod
    def serve(cls) -> str:
        """Starts it on a free port; returns its address."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), cls)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"


class PayPal(StandIn):
    """Signs by writing down the bytes of what it sent."""

    client = "AfV8-client"
    secret = "EPq-secret"
    webhook_id = "1JE4291016473214C"
    sent: ClassVar[dict[str, bytes]] = {}
    tokens: ClassVar[list[str]] = []
    is_down: ClassVar[bool] = False

    @classmethod
    def deliver(cls, body: bytes) -> dict[str, str]:
        """Signs a delivery; returns its headers."""
        transmission = f"t-{len(cls.sent)}"
        cls.sent[transmission] = body
        return {
            "PayPal-Auth-Algo": "SHA256withRSA",
            "PayPal-Cert-Url": "https://api.paypal.com/v1/notifications/certs/CERT-1",
            "PayPal-Transmission-Id": transmission,
            "PayPal-Transmission-Sig": f"signature-of-{transmission}",
            "PayPal-Transmission-Time": "2022-02-02T00:23:12Z",
        }

    def do_POST(self) -> None:
        """Issues a token, or verifies a signature."""
        body = self.body()
        if self.is_down:
            self.answer(500, {"name": "INTERNAL_SERVER_ERROR"})
        elif self.path == "/v1/oauth2/token":
            basic = base64.b64encode(f"{self.client}:{self.secret}".encode()).decode()
            if self.headers["authorization"] != f"Basic {basic}":
                self.answer(401, {"error": "invalid_client"})
                return
            assert urllib.parse.parse_qs(body.decode()) == {"grant_type": ["client_credentials"]}
            self.tokens.append(f"A21AA-{len(self.tokens)}")
            token = {"access_token": self.tokens[-1], "token_type": "Bearer", "expires_in": 32400}
            self.answer(200, token)
        elif self.headers["authorization"] != f"Bearer {self.tokens[-1]}":
            self.answer(401, {"error": "invalid_token"})
        else:
            assert self.path == "/v1/notifications/verify-webhook-signature"
            asked = json.loads(body)
            sent = self.sent.get(asked["transmission_id"], b"none")
            is_right = (
                asked["transmission_sig"] == f"signature-of-{asked['transmission_id']}"
                and asked["webhook_id"] == self.webhook_id
                # The event stands in the question byte for byte.
                and body.endswith(b'"webhook_event":' + sent + b"}")
            )
            self.answer(200, {"verification_status": "SUCCESS" if is_right else "FAILURE"})


class Mollie(StandIn):
    """Has payments."""

    key = "test_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM"
    # The key of an account without payments.
    other_key = "test_9Gq6JrAcTyB3KmVw8NfXzD2sLhQp5E"
    payments: ClassVar[dict[str, dict]] = {}
    redirect: ClassVar[str] = ""
    is_down: ClassVar[bool] = False

    def do_GET(self) -> None:
        """Shows a payment."""
        path = urllib.parse.urlsplit(self.path)
        payment = self.payments.get(path.path.removeprefix("/v2/payments/"))
        key = self.headers["authorization"].removeprefix("Bearer ")
        if self.is_down:
            self.answer(503, {"status": 503})
        elif self.redirect:
            self.answer(302, {}, {"location": self.redirect})
        elif key not in (self.key, self.other_key):
            self.answer(401, {"status": 401, "title": "Unauthorized Request"})
        elif payment is None or key == self.other_key or path.query != "embed=refunds,chargebacks":
            self.answer(404, {"status": 404, "title": "Not Found"})
        else:
            self.answer(200, payment)
