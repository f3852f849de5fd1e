"""Context managers of holds: `with engine.create_hold(…)` and `async with engine.create_hold(…)`.

Leaving a block asks the engine to release its holds. The engine ignores holds
that became an order or have expired, so its state decides and not
what this process remembers. A hold that this process ordered itself is not
released.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

from stockade.exceptions import HoldAlreadyUsedError, MisuseError, StockadeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator
    from types import TracebackType

set_attribute = object.__setattr__
"""Sets an attribute of a frozen dataclass."""


class Releasing(Protocol):
    """The part of `Engine` that a block uses."""

    def release_hold(self, hold: Any, /) -> object:  # noqa: ANN401 a hold
        """Release a hold."""


class AsyncReleasing(Protocol):
    """The part of `AsyncEngine` that a block uses."""

    def release_hold(self, hold: Any, /) -> Awaitable[object]:  # noqa: ANN401 a hold
        """Release a hold."""


class Scoped:
    """Makes a hold or a cart a context manager."""

    __slots__ = ("_engine", "_ordered")

    _engine: Releasing
    _ordered: bool

    def __enter__(self) -> Self:
        """Enter a block that releases unordered holds on leaving."""
        if getattr(self, "_engine", None) is None:
            raise MisuseError(
                "only what an Engine answered can be entered by `with`; "
                "for an AsyncEngine it is `async with engine.create_hold(…)`"
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release what was not ordered."""
        failed: StockadeError | None = None
        for hold in unordered(self):
            try:
                self._engine.release_hold(hold)
            except HoldAlreadyUsedError:
                continue
            except StockadeError as failure:
                failed = failure
        settle(error, failed)


def unordered(held: Scoped) -> Iterator[Scoped]:
    """Yield the holds, of a hold or a cart, that this process has not ordered."""
    holds: tuple[Scoped, ...] = getattr(held, "holds", (held,))
    return (hold for hold in holds if not getattr(hold, "_ordered", False))


def settle(error: BaseException | None, failed: StockadeError | None) -> None:
    """Report a failed release without hiding the block's error."""
    if failed is None:
        return
    if error is None:
        raise failed
    error.add_note(f"a hold could not be released and expires by itself: {failed}")


async def leave(engine: AsyncReleasing, held: Scoped | None, error: BaseException | None) -> None:
    """Leave an `async with` block: release what was not ordered."""
    if held is None:
        return
    failed: StockadeError | None = None
    for hold in unordered(held):
        try:
            await engine.release_hold(hold)
        except HoldAlreadyUsedError:
            continue
        except StockadeError as failure:
            failed = failure
    settle(error, failed)
