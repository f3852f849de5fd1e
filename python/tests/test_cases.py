"""The shared table of cases, see `engine/tests/cases.md`."""

from __future__ import annotations

import json
import re
import time
from dataclasses import fields, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import make_store
from stockade import Cart, CartLine, Engine, HoldRequest, Order, StockadeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TABLE = Path(__file__).parents[2] / "engine" / "tests" / "cases.json"
CASES = [
    case
    for case in json.loads(TABLE.read_text())["cases"]
    if "python" in case.get("faces", ["python"])
]
WITHIN = 10.0
"""The timeout of steps with `until`, in seconds."""

PART = re.compile(r"\$([a-z]\w*(?:\.\w+)*)(?:\+(\d+))?")

Answers = dict[str, Any]


def calls(engine: Engine) -> dict[str, Callable[..., Any]]:
    """Map the table's call names to methods."""

    def record_payment(*, status: str, **args: Any) -> object:
        return engine.record_payment(status, **args)

    def create_holds(*, items: list[dict[str, Any]], **args: Any) -> object:
        lines = [CartLine(**with_product(item)) for item in items]
        return cart_of(engine.create_holds(lines, **args))

    def cart_of(cart: Cart) -> dict[str, Any]:
        return {**fields_of(cart), "cart_id": cart.id}

    def create_hold_batch(*, requests: list[dict[str, Any]]) -> object:
        results = engine.create_hold_batch(
            HoldRequest(**with_product(request)) for request in requests
        )
        return {"results": [{"code": "", **fields_of(result)} for result in results]}

    def create_order(*, hold_id: Any = None, holds: Any = None, **args: Any) -> object:
        if holds is None:
            return engine.create_order(hold_id, **args)
        return engine.create_order([(hold["id"], hold.get("token")) for hold in holds], **args)

    def of_lines(
        call: Callable[..., object],
    ) -> Callable[..., object]:
        def with_lines(*, id: Any, lines: Any = None, **args: Any) -> object:  # noqa: A002
            units = lines and [(line["line"], line["quantity"]) for line in lines]
            return call(id, lines=units, **args)

        return with_lines

    def events(*, product_id: int) -> object:
        kinds = [event.kind for event in engine.events() if event.product_id == product_id]
        return {"types": kinds}

    return {
        "product": lambda *, id: engine.product(id),  # noqa: A006
        **catalogue(engine),
        "create_hold": engine.create_hold,
        "create_hold_batch": create_hold_batch,
        "create_holds": create_holds,
        "hold": lambda *, id: engine.hold(id),  # noqa: A006
        "release_hold": lambda *, id, **args: engine.release_hold(id, **args),  # noqa: A006
        "extend_hold": lambda *, id, **args: engine.extend_hold(id, **args),  # noqa: A006
        "change_quantity": lambda *, id, **args: engine.change_quantity(id, **args),  # noqa: A006
        "cart": lambda *, id: cart_of(engine.cart(id)),  # noqa: A006
        "release_cart": lambda *, id, **args: cart_of(  # noqa: A006
            engine.release_cart(id, **args)
        ),
        "extend_cart": lambda *, id, **args: cart_of(engine.extend_cart(id, **args)),  # noqa: A006
        "create_order": create_order,
        "order": lambda *, id: engine.order(id),  # noqa: A006
        "order_by_reference": engine.order_by_reference,
        "order_by_payment": engine.order_by_payment,
        "extend_order": lambda *, id, **args: engine.extend_order(id, **args),  # noqa: A006
        "cancel_order": lambda *, id, **args: engine.cancel_order(id, **args),  # noqa: A006
        "refund_order": of_lines(engine.refund_order),
        "restock_order": of_lines(engine.restock_order),
        "set_payment_reference": lambda *, id, **args: engine.set_payment_reference(  # noqa: A006
            id, **args
        ),
        "record_payment": record_payment,
        "sweep": engine.sweep,
        "events": events,
        "close": engine.close,
    }


def catalogue(engine: Engine) -> dict[str, Callable[..., Any]]:
    """Map the names of the calls about products and lists to methods."""

    def put_product(**args: Any) -> object:
        outcome = engine.put_product(**args)
        return {**fields_of(outcome.product), "created": outcome.created}

    def holds(*, limit: int = 100, **args: Any) -> object:
        return {"items": fields_of(list(engine.iter_holds(page=limit, **with_product(args))))}

    def orders(*, limit: int = 100, **args: Any) -> object:
        return {"items": fields_of(list(engine.iter_orders(page=limit, **with_product(args))))}

    def waiting_payments(*, order_id: int) -> object:
        page = engine.waiting_payments(limit=1)
        found = list(page.items)
        while page.next is not None:
            page = engine.waiting_payments(page.next, limit=1)
            found += page.items
        return {"items": fields_of([one for one in found if one.order_id == order_id])}

    return {
        "create_product": engine.create_product,
        "put_product": put_product,
        "change_product": engine.change_product,
        "adjust_stock": engine.adjust_stock,
        "holds": holds,
        "orders": orders,
        "waiting_payments": waiting_payments,
        "remove_waiting_payment": engine.remove_waiting_payment,
        "erase_customer": engine.erase_customer,
    }


def with_product(args: dict[str, Any]) -> dict[str, Any]:
    """Return arguments in which a product that is named by `sku` has that as its id."""
    if "sku" not in args:
        return args
    return {
        "product_id": f"sku:{args['sku']}",
        **{name: value for name, value in args.items() if name != "sku"},
    }


def fields_of(answer: Any) -> Any:
    """Map a result or an error to the table's field names."""
    if isinstance(answer, StockadeError):
        return {"code": answer.code, **{k: fields_of(v) for k, v in vars(answer).items()}}
    if is_dataclass(answer):
        names = [f.name for f in fields(answer)]
        if isinstance(answer, Order):
            names += ["hold_id", "product_id", "quantity"]
        named = ((name, getattr(answer, name)) for name in names)
        return {"qty" if k == "quantity" else k: fields_of(v) for k, v in named}
    if isinstance(answer, tuple | list):
        return [fields_of(part) for part in answer]
    if isinstance(answer, Decimal):
        # As the table writes it: without the zeros that a price is padded with.
        return f"{answer.normalize():f}"
    return answer


def part_of(answers: Answers, found: re.Match[str]) -> Any:
    path, more = found[1].split("."), found[2]
    value: Any = answers[path[0]]
    for name in path[1:]:
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value if more is None else value + int(more)


def resolve(answers: Answers, value: Any) -> Any:
    """Substitute `$` references to earlier results."""
    if isinstance(value, dict):
        return {name: resolve(answers, part) for name, part in value.items()}
    if isinstance(value, list):
        return [resolve(answers, part) for part in value]
    if not isinstance(value, str):
        return value
    whole = PART.fullmatch(value)
    if whole is not None:
        return part_of(answers, whole)
    return PART.sub(lambda found: str(part_of(answers, found)), value)


def differences(expected: Any, found: Any, where: str) -> Iterator[str]:
    """Return the differences between actual and expected values."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, part in expected.items():
            yield from differences(part, found.get(name), f"{where}.{name}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for number, part in enumerate(expected):
            yield from differences(part, found[number], f"{where}.{number}")
    elif str(expected) != str(found):
        yield f"{where}: expected {expected!r}, found {found!r}"


def take(engine: Engine, step: dict[str, Any], answers: Answers) -> tuple[Any, list[str]]:
    """Execute a step; return its fields and the differences."""
    args = resolve(answers, step.get("args", {}))
    try:
        answer = fields_of(calls(engine)[step["call"]](**args))
    except StockadeError as error:
        answer = fields_of(error)
    code = answer.get("code") if isinstance(answer, dict) else None
    wrong = list(differences(step.get("code"), code, "code"))
    if "is" in step:
        wrong += differences(resolve(answers, step["is"]), answer, "answer")
    for name, moment in resolve(answers, step.get("later", {})).items():
        if not answer[name] > moment:
            wrong.append(f"{name}: {answer[name]} is not after {moment}")
    return answer, wrong


@pytest.mark.parametrize("backend", ["sqlite_memory", "mariadb_redis", "socket"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: dict[str, Any], backend: str, tmp_path: Path) -> None:
    answers: Answers = {}
    closed = False
    with make_store(backend, tmp_path).engine(**case.get("settings", {})) as engine:
        for name, stock in case.get("products", {}).items():
            answers[name] = fields_of(engine.create_product(name, "19.99", stock))
        for number, step in enumerate(case["steps"]):
            end = time.monotonic() + WITHIN
            answer, wrong = take(engine, step, answers)
            while wrong and step.get("until") and time.monotonic() < end:
                time.sleep(0.01)
                answer, wrong = take(engine, step, answers)
            assert not wrong, f"step {number}, {step['call']}: {wrong}"
            closed |= step["call"] == "close"
            if "as" in step:
                answers[step["as"]] = answer
        if not closed:
            report = engine.audit()
            assert report.consistent, report.findings
