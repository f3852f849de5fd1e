"""What schemathesis needs to be let in where secrets are set: `LOCKED` says so."""

import hashlib
import hmac
import os
import time

import schemathesis
from requests import PreparedRequest
from requests.auth import AuthBase

LOCKED = os.environ.get("LOCKED") == "yes"


class Bearer(AuthBase):
    """The operators' key."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {os.environ['STOCKADE_API_KEY']}"
        return request


class Signature(AuthBase):
    """The payment provider's signature of the body as it is sent."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        now = int(time.time())
        secret = os.environ["STOCKADE_WEBHOOK_SECRET"].encode()
        mac = hmac.new(secret, f"{now}.".encode() + body, hashlib.sha256)
        request.headers["Stockade-Signature"] = f"t={now},v1={mac.hexdigest()}"
        return request


if LOCKED:
    schemathesis.auth.set_from_requests(Bearer()).apply_to(path_regex="^/(api/admin|engine)/")
    schemathesis.auth.set_from_requests(Signature()).apply_to(path="/api/payments/webhook")


# JSON Lines are a text to schemathesis: the server answers each line of any.
schemathesis.serializer.alias("application/jsonl", "text/plain")


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict) -> None:
    """Adapts the document: secrets, links, and the products' cursor without a format.

    Secrets may be left out only where none are set. The links count, all of them.
    The cursor's `int64` is for generated clients: a greater number is an empty page.
    """
    for parameter in raw_schema["paths"]["/api/products"]["get"]["parameters"]:
        if parameter.get("name") == "after":
            del parameter["schema"]["format"]
    for path in raw_schema["paths"].values():
        for operation in path.values():
            if not isinstance(operation, dict):
                continue
            if LOCKED and "security" in operation:
                operation["security"] = [way for way in operation["security"] if way]
            for response in operation["responses"].values():
                response.setdefault("links", {}).update(response.pop("x-links", {}))


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict) -> None:
    """Sends every second well-formed read of an order to one that exists.

    The stateful walks seldom come to an order by themselves.
    """
    if case.operation.definition.raw.get("operationId") != "getOrder":
        return
    order = (case.path_parameters or {}).get("id")
    if isinstance(order, int) and order % 2 == 0:
        case.path_parameters["id"] = int(os.environ["ORDER"])
