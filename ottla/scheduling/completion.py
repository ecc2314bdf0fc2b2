"""A value that comes later: what a log or the catalog returns when it cannot answer at once. Knows no event loop."""

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
S = TypeVar("S")

_log = logging.getLogger(__name__)


class Completion(Generic[T]):
    """The result of work that may still be under way. Settled once, on the thread that owns the caller's state."""

    __slots__ = ("_callbacks", "_error", "_value", "done")

    def __init__(self) -> None:
        self.done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Completion[T]], None]] = []

    @classmethod
    def of(cls, value: T) -> "Completion[T]":
        """A completion that is done already."""
        completion: Completion[T] = cls()
        completion.done = True
        completion._value = value
        return completion

    def complete(self, value: T) -> None:
        """Give the value and call those who wait. Only the first ``complete`` or ``fail`` counts."""
        if not self.done:
            self._value = value
            self._settle()

    def fail(self, error: BaseException) -> None:
        """Give an error instead of the value; ``result`` raises it."""
        if not self.done:
            self._error = error
            self._settle()

    def result(self) -> T:
        """The value; raises what the work raised, or RuntimeError while it is not done."""
        if self._error is not None:
            raise self._error
        if not self.done:
            raise RuntimeError("The work is not done yet")
        return self._value  # type: ignore[return-value]

    @property
    def has_failed(self) -> bool:
        """Whether it came to an error."""
        return self._error is not None

    def add_done_callback(self, callback: Callable[["Completion[T]"], None]) -> None:
        """Call ``callback`` with this once it is done: at once if it is, else in the order of adding."""
        if self.done:
            callback(self)
        else:
            self._callbacks.append(callback)

    def then(self, step: "Callable[[T], S | Completion[S]]") -> "Completion[S]":
        """What comes of ``step``, which is called with the value once it is there. An error passes it by."""
        following: Completion[S] = Completion()

        def settle(done: "Completion[S]") -> None:
            try:
                following.complete(done.result())
            except Exception as error:
                following.fail(error)

        def go_on(done: "Completion[T]") -> None:
            try:
                outcome = step(done.result())
            except Exception as error:
                following.fail(error)
                return
            if isinstance(outcome, Completion):
                outcome.add_done_callback(settle)
            else:
                following.complete(outcome)

        self.add_done_callback(go_on)
        return following

    def _settle(self) -> None:
        self.done = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback(self)
            except Exception:  # It must harm neither those behind it nor whoever gave the value.
                _log.exception("Callback of a completion failed")
