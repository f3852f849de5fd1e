"""Awaited calls: many at once, cancelled, in several loops."""

from __future__ import annotations

import asyncio
import collections.abc
import gc
import inspect
import weakref
from typing import TYPE_CHECKING

import pytest
import uvloop

import stockade
from conftest import WITHIN
from locking import locked, queued
from stockade import (
    AsyncEngine,
    Engine,
    HoldRequest,
    InsufficientStockError,
    InvalidArgumentError,
    MisuseError,
)

if TYPE_CHECKING:
    from conftest import Store

CALLS = 600


async def until_queued(engine: AsyncEngine, requests: int) -> None:
    """Wait until so many requests are queued."""
    async with asyncio.timeout(WITHIN):
        while queued(engine) != requests:
            await asyncio.sleep(0.005)


async def test_hundreds_of_calls_sell_a_product_out_exactly(store: Store) -> None:
    async with store.async_engine() as engine:
        lamp = await engine.create_product("Lamp", 10, CALLS // 2)
        calls = [engine.create_hold(lamp.id, 1) for _ in range(CALLS)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        held = [answer for answer in answers if isinstance(answer, stockade.Hold)]
        assert len({hold.id for hold in held}) == CALLS // 2
        refused = [answer for answer in answers if isinstance(answer, InsufficientStockError)]
        assert len(refused) == CALLS // 2
        orders = await asyncio.gather(*(engine.create_order(hold) for hold in held))
        assert {order.hold_id for order in orders} == {hold.id for hold in held}
        units = (await engine.audit()).units
        assert (units.stock, units.held, units.pending) == (0, 0, CALLS // 2)


async def test_a_batch_is_one_call_with_a_result_for_each_request(store: Store) -> None:
    async with store.async_engine() as engine:
        lamp = await engine.create_product("Lamp", 10, CALLS // 2)
        requests = [HoldRequest(lamp.id, 1, ttl="1m")] * CALLS
        results = await engine.create_hold_batch([*requests, HoldRequest(lamp.id, -1)])
        assert isinstance(results.pop(), InvalidArgumentError)
        held = [result for result in results if isinstance(result, stockade.Hold)]
        assert held == results[: CALLS // 2]
        assert len({hold.id for hold in held}) == CALLS // 2
        assert all(isinstance(result, InsufficientStockError) for result in results[len(held) :])
        assert (await engine.create_order(held[0])).hold_id == held[0].id


async def test_calls_wake_the_loop_together(file_store: Store) -> None:
    async with file_store.async_engine(lock_wait="30s", store_timeout="40s") as engine:
        lamp = await engine.create_product("Lamp", 10, CALLS)
        with locked(file_store):
            calls = [asyncio.create_task(engine.create_hold(lamp.id, 1)) for _ in range(CALLS)]
            await asyncio.sleep(0)
            assert not any(call.done() for call in calls)
        holds = await asyncio.gather(*calls)
        assert len({hold.id for hold in holds}) == CALLS


async def test_a_cancelled_call_is_dropped_in_the_engine(file_store: Store) -> None:
    async with file_store.async_engine(lock_wait="30s", store_timeout="40s") as engine:
        lamp = await engine.create_product("Lamp", 10, 5)
        with locked(file_store):
            patient = asyncio.create_task(engine.create_hold(lamp.id, 1))
            # It is queued now, and about to be cancelled.
            await asyncio.sleep(0)
            await until_queued(engine, 0)
            cancelled = asyncio.create_task(engine.create_hold(lamp.id, 2))
            await until_queued(engine, 1)
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(engine.create_hold(lamp.id, 2), 0.01)
            await until_queued(engine, 2)
        await patient
        await until_queued(engine, 0)
        # Only the awaited hold was created.
        report = await engine.audit()
        assert (report.consistent, report.units.held) == (True, 1)


async def test_cancelling_at_any_moment_leaves_every_unit_accounted_for(store: Store) -> None:
    async with store.async_engine() as engine:
        lamp = await engine.create_product("Lamp", 10, 1000)
        for pause in range(30):
            call = asyncio.create_task(engine.create_hold(lamp.id, 1))
            order = asyncio.create_task(engine.create_holds({lamp.id: 2}))
            for _ in range(pause):
                await asyncio.sleep(0)
            call.cancel()
            order.cancel()
            await asyncio.gather(call, order, return_exceptions=True)
        report = await engine.audit()
        assert report.consistent
        assert report.units.received == 1000


async def test_a_block_left_by_cancellation_releases(store: Store) -> None:
    async with store.async_engine() as engine:
        lamp = await engine.create_product("Lamp", 10, 5)
        inside = asyncio.Event()

        async def shop() -> None:
            async with engine.create_hold(lamp.id, 2):
                inside.set()
                await asyncio.Event().wait()

        shopping = asyncio.create_task(shop())
        await inside.wait()
        shopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await shopping
        assert (await engine.audit()).units.held == 0


async def test_a_call_is_a_coroutine(store: Store) -> None:
    async with store.async_engine() as engine:
        call = engine.ping()
        assert isinstance(call, collections.abc.Coroutine)
        assert inspect.isawaitable(call)
        await call
        with pytest.raises(RuntimeError, match="already awaited"):
            await call
        closed = engine.ping()
        closed.close()
        with pytest.raises(RuntimeError, match="already awaited"):
            await closed
        thrown = engine.ping()
        with pytest.raises(KeyError):
            thrown.throw(KeyError("x"))
        for old_form in ((KeyError, "x", None), (KeyError, KeyError("x")), (KeyError,)):
            with pytest.raises(KeyError):
                engine.ping().throw(*old_form)
        assert stockade.Call[int] == stockade.Call[int]


async def test_an_engine_is_opened_before_it_is_called() -> None:
    engine = AsyncEngine("sqlite::memory:")
    with pytest.raises(MisuseError, match="not open"):
        engine.ping()
    await engine.close()
    assert engine.closed
    with pytest.raises(stockade.InvalidArgumentError):
        AsyncEngine("sqlite::memory:", hold_ttl="soon")
    with pytest.raises(stockade.UnavailableError):
        await AsyncEngine.open("mysql://root@127.0.0.1:1/shop")
    engine = await AsyncEngine.open("sqlite::memory:")
    await engine.ping()
    await engine.close()
    await engine.close()
    with pytest.raises(MisuseError, match="closed"):
        await engine.ping()


async def test_pages_in_asyncio(store: Store) -> None:
    async with store.async_engine() as engine:
        ids = [(await engine.create_product(f"Lamp {n}", 1, 1)).id for n in range(5)]
        assert [product.id async for product in engine.iter_products(page=2)] == ids
        assert len([event async for event in engine.events(page=2)]) == 10


def test_one_engine_serves_several_loops(shared_store: Store) -> None:
    engine = shared_store.async_engine()

    async def use() -> int:
        await engine._open()
        lamp = await engine.create_product("Lamp", 10, 5)
        return len(await asyncio.gather(*(engine.create_hold(lamp.id, 1) for _ in range(5))))

    assert [asyncio.run(use()) for _ in range(3)] == [5, 5, 5]
    asyncio.run(close(engine))


def test_uvloop_serves_it_too(shared_store: Store) -> None:
    async def use() -> None:
        async with shared_store.async_engine() as engine:
            lamp = await engine.create_product("Lamp", 10, CALLS)
            holds = await asyncio.gather(*(engine.create_hold(lamp.id, 1) for _ in range(CALLS)))
            assert len({hold.id for hold in holds}) == CALLS

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(use())


async def close(engine: AsyncEngine) -> None:
    await engine.close()


def test_a_loop_closed_with_pending_calls_is_collected(file_store: Store) -> None:
    engine = file_store.async_engine(lock_wait="30s", store_timeout="40s")
    loop = asyncio.new_event_loop()
    loop.run_until_complete(engine._open())
    lamp = loop.run_until_complete(engine.create_product("Lamp", 10, 5))
    with locked(file_store):
        pending = loop.create_task(engine.create_hold(lamp.id, 1))
        loop.run_until_complete(asyncio.sleep(0))
        assert not pending.done()
        loop.close()
    gone = weakref.ref(loop)
    del loop, pending
    # The next loop's mailbox replaces the old one's.
    asyncio.run(close(engine))
    gc.collect()
    assert gone() is None


def test_both_engines_have_the_same_calls() -> None:
    def signatures(face: type) -> dict[str, str]:
        return {
            name: str(getattr(member, "__text_signature__", None))
            for name, member in vars(face).items()
            if not name.startswith("_")
        }

    assert signatures(stockade._native.Engine) == signatures(stockade._native.AsyncEngine)
    assert {"iter_products", "events"} <= set(vars(Engine)) & set(vars(AsyncEngine))
