"""Settings as keyword arguments."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from stockade import SETTINGS, AsyncEngine, Engine, InvalidArgumentError, LatePayment, OrderStatus
from stockade._settings import Settings


def test_every_setting_of_the_engine_is_a_keyword() -> None:
    keywords = set(Settings.__annotations__)
    assert keywords | {"store"} == {name for name, _, _ in SETTINGS}


def test_every_default_can_be_given() -> None:
    defaults: dict[str, Any] = {name: default for name, default, _ in SETTINGS if name != "store"}
    Engine("sqlite::memory:", **defaults).close()


@pytest.mark.parametrize("ttl", [90, 90.0, "90", "90s", "1m 30s", timedelta(seconds=90)])
def test_a_duration_is_a_timedelta_seconds_or_text(ttl: Any) -> None:
    with Engine("sqlite::memory:", hold_ttl=ttl) as engine:
        lamp = engine.create_product("Lamp", 10, 1)
        hold = engine.create_hold(lamp.id, 1)
        assert hold.expires_at - hold.created_at == timedelta(seconds=90)


def test_settings_may_all_be_texts() -> None:
    """As read from a file or the environment; mypy accepts them, too."""
    settings: dict[str, str] = {"hold_ttl": "90s", "max_per_hold": "3", "strict": "false"}
    with Engine("sqlite::memory:", **settings) as engine:
        lamp = engine.create_product("Lamp", 10, 1)
        hold = engine.create_hold(lamp.id, 1)
        assert hold.expires_at - hold.created_at == timedelta(seconds=90)


async def test_settings_of_an_async_engine_may_all_be_texts() -> None:
    settings: dict[str, str] = {"max_per_hold": "3"}
    async with AsyncEngine("sqlite::memory:", **settings) as engine:
        await engine.ping()
    engine = await AsyncEngine.open("sqlite::memory:", **settings)
    await engine.close()


@pytest.mark.parametrize(
    "bad",
    [float("nan"), 10**5000, timedelta(seconds=-1), "\ud800"],
    ids=["nan", "huge", "negative", "surrogate"],
)
def test_a_refused_setting_is_named(bad: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="hold_ttl"):
        Engine("sqlite::memory:", hold_ttl=bad)


def test_settings_of_other_types() -> None:
    settings: dict[str, Any] = {
        "late_payment": LatePayment.REFUND,
        "max_per_hold": 3,
        "strict": True,
        "sweeper": False,
        "redis": None,
    }
    with Engine("sqlite::memory:", **settings) as engine:
        lamp = engine.create_product("Lamp", 10, 5)
        with pytest.raises(Exception, match="3 units"):
            engine.create_hold(lamp.id, 4)
        order = engine.create_order(engine.create_hold(lamp.id, 1))
        engine.record_payment("failed", order_id=order.id)
        engine.record_payment("paid", order_id=order.id)
        assert engine.order(order.id).status is OrderStatus.CANCELLED


@pytest.mark.parametrize(
    "settings",
    [
        {"hold_tll": 5},
        {"hold_ttl": "soon"},
        {"hold_ttl": timedelta(seconds=-1)},
        {"hold_ttl": float("nan")},
        {"hold_ttl": 0},
        {"batch_max": 1.5},
        {"max_per_hold": -1},
        {"late_payment": "never"},
        {"strict": "perhaps"},
        {"redis": "http://127.0.0.1"},
    ],
)
def test_invalid_settings_are_rejected(settings: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        Engine("sqlite::memory:", **settings)


def test_invalid_stores_are_rejected() -> None:
    with pytest.raises(InvalidArgumentError):
        Engine("postgres://shop")


def test_a_password_is_not_shown() -> None:
    with Engine("sqlite::memory:", redis="redis://user:se-cret@127.0.0.1:1/") as engine:
        assert "se-cret" not in repr(engine)
        assert "sqlite::memory:" in repr(engine)
