"""Answers are values: frozen, equal by content, picklable."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import stockade
from stockade import Engine, EventKind, MisuseError, StockadeError
from stockade.exceptions import BY_CODE

if TYPE_CHECKING:
    from collections.abc import Iterator


def answers(engine: Engine) -> Iterator[Any]:
    lamp = engine.create_product("Lamp", "19.99", 5)
    hold = engine.create_hold(lamp.id, 1)
    metadata = {"shelf": 4, "tags": ["a", "b"]}
    yield from (
        lamp,
        hold,
        engine.create_holds({lamp.id: 1}, metadata=metadata),
        engine.products(),
        engine.create_order(hold, metadata=metadata),
    )
    yield from (engine.record_payment("paid", order_id=1), engine.sweep(), engine.audit())
    yield from engine.events_after()
    yield stockade.HoldRequest(lamp.id, 1, metadata=metadata)
    yield engine.put_product(
        "sku:MUG", "Mug", 3, metadata=metadata, on_sale_from="2020-01-01T00:00:00Z"
    )
    yield from (engine.holds(), engine.orders(), engine.erase_customer("ann"))
    engine.record_payment("paid", order_id=9, amount=5)
    engine.record_payment("paid", order_reference="2026-9")
    yield engine.waiting_payments()


def test_every_answer_is_a_value(memory: Engine) -> None:
    for answer in answers(memory):
        kind = type(answer)
        for other in (pickle.loads(pickle.dumps(answer)), copy.deepcopy(answer)):
            assert other == answer
            assert hash(other) == hash(answer)
            assert repr(other) == repr(answer)
        assert repr(answer).startswith(f"{kind.__name__}(")
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(answer, dataclasses.fields(answer)[0].name, 0)
        assert dataclasses.asdict(answer)
        assert dataclasses.replace(answer) == answer


def test_secrets_are_not_in_representations(memory: Engine) -> None:
    lamp = memory.create_product("Lamp", 10, 1)
    hold = memory.create_hold(lamp.id, 1)
    order = memory.create_order(hold)
    assert len(hold.token) == 32
    assert order.payment_token.startswith(f"pt_{order.id}_")
    assert hold.token not in repr(hold)
    assert order.payment_token not in repr(order)


def test_a_replayed_answer_equals_the_first(memory: Engine) -> None:
    lamp = memory.create_product("Lamp", 10, 5)
    first, again = memory.create_hold(lamp.id, 1, key="k"), memory.create_hold(lamp.id, 1, key="k")
    assert first == again
    assert (first.replayed, again.replayed) == (False, True)


def test_a_value_that_travelled_is_of_no_engine(memory: Engine) -> None:
    lamp = memory.create_product("Lamp", 10, 5)
    hold = pickle.loads(pickle.dumps(memory.create_hold(lamp.id, 1)))
    with pytest.raises(MisuseError), hold:
        pass
    assert memory.create_order(hold).hold_id == hold.id


def test_words_are_text() -> None:
    assert EventKind("hold.created") is EventKind.HOLD_CREATED
    assert f"{stockade.OrderStatus.PENDING_PAYMENT}" == "pending_payment"


def test_the_words_are_those_of_the_engine() -> None:
    for name, words in stockade._native.ENUMS:
        assert sorted(getattr(stockade, name)) == sorted(words)


def test_one_class_for_each_code_of_the_engine() -> None:
    codes = [code for _, code in stockade._native.ERROR_CODES]
    assert list(BY_CODE) == codes
    classes = {BY_CODE[code].__name__ for code in codes}
    assert classes <= set(stockade.__all__)
    assert all(issubclass(error, StockadeError) for error in BY_CODE.values())


@pytest.mark.parametrize("kind", BY_CODE.values())
def test_every_error_can_be_pickled(kind: type[StockadeError]) -> None:
    line = stockade.ShortLine(1, 5, 2, "LAMP")
    error = kind(
        "why",
        available=2,
        short=(line,),
        order_id=7,
        product_id=8,
        off_sale="since",
        moment=datetime.now(UTC),
        replayed=True,
        retry_after=1.0,
    )
    error.add_note("seen by the worker")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        other = pickle.loads(pickle.dumps(error, protocol))
        assert type(other) is kind
        assert str(other) == "why"
        assert other.__dict__ == error.__dict__
        assert other.code == kind.code


def test_refusals_carry_their_facts(memory: Engine) -> None:
    lamp = memory.create_product("Lamp", 10, 2)
    with pytest.raises(stockade.InsufficientStockError) as short:
        memory.create_hold(lamp.id, 5, key="k")
    assert (short.value.available, short.value.replayed) == (2, False)
    assert short.value.short == (stockade.ShortLine(lamp.id, 5, 2),)
    assert short.value.short[0].sku is None
    assert short.value.retry_after is None
    with pytest.raises(stockade.InsufficientStockError) as again:
        memory.create_hold(lamp.id, 5, key="k")
    assert again.value.replayed
    hold = memory.create_hold(lamp.id, 1)
    order = memory.create_order(hold)
    with pytest.raises(stockade.HoldAlreadyUsedError) as used:
        memory.create_order(hold)
    assert used.value.order_id == order.id


def test_contention_says_when_to_try_again() -> None:
    with Engine("sqlite::memory:", queue_wait=0) as engine:
        with pytest.raises(stockade.ContentionError) as refused:
            engine.create_product("Lamp", 10, 1)
        assert refused.value.retry_after == 1.0
