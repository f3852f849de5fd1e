"""The engines: `Engine` for threads, `AsyncEngine` for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Self, overload

from stockade import _native
from stockade._clock import AsyncClock, Clock
from stockade.exceptions import MisuseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import TracebackType
    from typing import Unpack

    from stockade._model import Event, Hold, Order, Product
    from stockade._queries import HoldQuery, OrderQuery
    from stockade._settings import Settings


class Engine(_native.Engine):
    """An engine for threads: every call blocks until its response.

    Opening it migrates the store's tables. While a call blocks, other
    threads run, and any number of them may share one engine. An engine opened
    before a fork raises `MisuseError` in the child.

    >>> with Engine("sqlite::memory:", hold_ttl="60s") as engine:
    ...     lamp = engine.create_product("Lamp", "19.99", stock=5)
    ...     with engine.create_hold(lamp.id, 2, key="cart-77") as hold:
    ...         order = engine.create_order(hold)
    ...     engine.record_payment("success", order_id=order.id, key="evt-1").status.value
    ...     engine.product(lamp.id).sold
    'applied'
    2
    """

    @property
    def clock(self) -> Clock:
        """The clock of an engine for tests, on `sqlite::memory:` with `clock="manual"`."""
        return Clock(self._advance_clock)

    def __enter__(self) -> Self:
        """Enter a block that closes the engine on leaving."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the engine; does nothing in a forked child, nor for a handle of `acting_as`."""
        if self._is_opener:
            with contextlib.suppress(MisuseError):
                self.close()

    def iter_products(self, after: int | None = None, *, page: int = 100) -> Iterator[Product]:
        """Yield all products with ids above `after`, read page by page."""
        while True:
            found = self.products(after, page)
            yield from found.items
            if found.next is None:
                return
            after = found.next

    def iter_holds(self, *, page: int = 100, **query: Unpack[HoldQuery]) -> Iterator[Hold]:
        """Yield all holds that meet the conditions of `holds`, read page by page."""
        while True:
            found = self.holds(limit=page, **query)
            yield from found.items
            if found.next is None:
                return
            query["after"] = found.next

    def iter_orders(self, *, page: int = 100, **query: Unpack[OrderQuery]) -> Iterator[Order]:
        """Yield all orders that meet the conditions of `orders`, read page by page."""
        while True:
            found = self.orders(limit=page, **query)
            yield from found.items
            if found.next is None:
                return
            query["after"] = found.next

    def events(
        self, cursor: int = 0, *, follow: bool = False, every: float = 0.2, page: int = 1000
    ) -> Iterator[Event]:
        """Yield all events after `cursor`, read page by page.

        With `follow` it goes on at the end, and looks for further events `every` so many
        seconds. To resume later, keep the cursor of the last event that was dealt with.
        """
        while True:
            if events := self.events_after(cursor, page):
                yield from events
                cursor = events[-1].cursor
            elif follow:
                time.sleep(every)
            else:
                return


class AsyncEngine(_native.AsyncEngine):
    """An engine for asyncio: the same calls as `Engine`, awaitable.

    It is opened by `async with`, or by `await AsyncEngine.open(…)`. Cancelling
    a call drops it in the engine: the request then takes effect in whole or not at
    all, and a hold created for a cancelled caller is returned when it expires.
    """

    @overload
    @classmethod
    async def open(cls, store: str, **settings: Unpack[Settings]) -> Self: ...

    @overload
    @classmethod
    async def open(cls, store: str, **settings: str) -> Self: ...

    @classmethod
    async def open(cls, store: str, **settings: Any) -> Self:
        """Open an engine; its owner closes it by `await engine.close()`."""
        engine = cls(store, **settings)
        await engine._open()
        return engine

    @property
    def clock(self) -> AsyncClock:
        """The clock of an engine for tests, on `sqlite::memory:` with `clock="manual"`."""
        return AsyncClock(self._advance_clock)

    async def __aenter__(self) -> Self:
        """Open the engine, and close it on leaving the block."""
        await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the engine; does nothing in a forked child, nor for a handle of `acting_as`."""
        if self._is_opener:
            with contextlib.suppress(MisuseError):
                await self.close()

    async def iter_products(
        self, after: int | None = None, *, page: int = 100
    ) -> AsyncIterator[Product]:
        """Yield all products with ids above `after`, read page by page."""
        while True:
            found = await self.products(after, page)
            for product in found.items:
                yield product
            if found.next is None:
                return
            after = found.next

    async def iter_holds(
        self, *, page: int = 100, **query: Unpack[HoldQuery]
    ) -> AsyncIterator[Hold]:
        """Yield all holds that meet the conditions of `holds`, read page by page."""
        while True:
            found = await self.holds(limit=page, **query)
            for hold in found.items:
                yield hold
            if found.next is None:
                return
            query["after"] = found.next

    async def iter_orders(
        self, *, page: int = 100, **query: Unpack[OrderQuery]
    ) -> AsyncIterator[Order]:
        """Yield all orders that meet the conditions of `orders`, read page by page."""
        while True:
            found = await self.orders(limit=page, **query)
            for order in found.items:
                yield order
            if found.next is None:
                return
            query["after"] = found.next

    async def events(
        self, cursor: int = 0, *, follow: bool = False, every: float = 0.2, page: int = 1000
    ) -> AsyncIterator[Event]:
        """Yield all events after `cursor`, as `Engine.events` does."""
        while True:
            if events := await self.events_after(cursor, page):
                for event in events:
                    yield event
                cursor = events[-1].cursor
            elif follow:
                await asyncio.sleep(every)
            else:
                return
