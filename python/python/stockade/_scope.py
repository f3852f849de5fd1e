"""Blocks that hold stock: `with engine.hold(…)` and `async with engine.hold(…)`.

Leaving a block asks the engine to release its holds. The engine leaves alone
what became an order, and what is over already, so its word decides and not
what this process remembers. A hold that this process saw ordered is not asked
for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from stockade.exceptions import HoldAlreadyUsedError, MisuseError, StockadeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from stockade._engine import AsyncEngine, Engine
    from stockade._model import Cart, Hold

set_attribute = object.__setattr__
"""Sets an attribute of a frozen dataclass."""


class Scoped:
    """Gives what holds stock its `with` block."""

    __slots__ = ("_engine", "_ordered")

    _engine: Engine
    _ordered: bool

    def __enter__(self) -> Self:
        """Begin a block that releases on leaving what was not ordered."""
        if getattr(self, "_engine", None) is None:
            raise MisuseError(
                "only what an Engine answered can be entered by `with`; "
                "for an AsyncEngine it is `async with engine.hold(…)`"
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
                self._engine.release(hold)
            except HoldAlreadyUsedError:
                continue
            except StockadeError as failure:
                failed = failure
        settle(error, failed)


def unordered(held: Any) -> Iterator[Hold]:  # noqa: ANN401 a hold or a cart
    """Yield the holds that were not seen to be ordered."""
    holds: tuple[Hold, ...] = getattr(held, "holds", (held,))
    return (hold for hold in holds if not getattr(hold, "_ordered", False))


def settle(error: BaseException | None, failed: StockadeError | None) -> None:
    """Tell that a hold could not be released, without hiding the block's error."""
    if failed is None:
        return
    if error is None:
        raise failed
    error.add_note(f"a hold could not be released and expires by itself: {failed}")


async def leave(engine: AsyncEngine, held: Hold | Cart | None, error: BaseException | None) -> None:
    """Leave an `async with` block: release what was not ordered."""
    if held is None:
        return
    failed: StockadeError | None = None
    for hold in unordered(held):
        try:
            await engine.release(hold)
        except HoldAlreadyUsedError:
            continue
        except StockadeError as failure:
            failed = failure
    settle(error, failed)
