"""The clocks that tests move."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from stockade._settings import Duration


class Clock:
    """The clock of an `Engine`, which stands still until a test moves it.

    Only an engine on `sqlite::memory:` that was opened by `clock="manual"` has one; of
    any other engine its methods raise `MisuseError`.

    >>> from stockade import Engine
    >>> with Engine("sqlite::memory:", clock="manual", hold_ttl="2m") as engine:
    ...     lamp = engine.create_product("Lamp", "19.99", stock=5)
    ...     hold = engine.create_hold(lamp.id, 2)
    ...     _ = engine.clock.advance(120)
    ...     engine.product(lamp.id).stock, engine.hold(hold.id).status.value
    (5, 'expired')
    """

    __slots__ = ("_advance",)

    def __init__(self, advance: Callable[[Duration], datetime]) -> None:
        self._advance = advance

    def advance(self, by: Duration) -> datetime:
        """Move the clock forward and return its new time.

        What is due then is in stock again when the call returns, with its events, as
        after a `sweep`.

        Args:
            by: Seconds, a `timedelta`, or a text such as `90s`; at most ten years.

        Raises:
            InvalidArgumentError: Another move; the clock stays as it is.
            MisuseError: The engine has another clock, or is closed.
            ContentionError, UnavailableError: The clock was moved, and something due
                was not returned yet.

        """
        return self._advance(by)

    def now(self) -> datetime:
        """Return the time at which the clock stands.

        Raises:
            MisuseError: The engine has another clock, or is closed.

        """
        return self.advance(0)


class AsyncClock:
    """The clock of an `AsyncEngine`: the methods of `Clock`, awaitable."""

    __slots__ = ("_advance",)

    def __init__(self, advance: Callable[[Duration], Awaitable[datetime]]) -> None:
        self._advance = advance

    async def advance(self, by: Duration) -> datetime:
        """Move the clock forward and return its new time, as `Clock.advance` does."""
        return await self._advance(by)

    async def now(self) -> datetime:
        """Return the time at which the clock stands."""
        return await self.advance(0)
