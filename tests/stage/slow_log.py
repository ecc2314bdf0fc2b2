"""A log that answers nothing at once: what the broker must be able to live with, and a second kind of ``Log``."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ottla.scheduling.promise import Promise
from ottla.storage.appends import UNVERIFIED, Appended, AppendOrigin
from ottla.storage.log import FoundOffset, Log
from ottla.storage.open_transactions import AbortedTransaction
from ottla.storage.slices import RecordSlice
from ottla.wire.batch import BatchHeader

T = TypeVar("T")


class Slowness:
    """The calls that slow logs have not carried out yet, in order."""

    def __init__(self) -> None:
        self._calls: deque[Callable[[], None]] = deque()

    def __len__(self) -> int:
        return len(self._calls)

    def later(self, call: "Callable[[], T | Promise[T]]") -> Promise[T]:
        """Put a call off until ``step``."""
        completion: Promise[T] = Promise()

        def settle(outcome: "T | Promise[T]") -> None:
            if not isinstance(outcome, Promise):
                completion.resolve(outcome)
                return
            try:
                completion.resolve(outcome.result())
            except Exception as error:
                completion.fail(error)

        def run() -> None:
            try:
                outcome = call()
            except Exception as error:
                completion.fail(error)
                return
            if isinstance(outcome, Promise):
                outcome.add_done_callback(settle)
            else:
                settle(outcome)

        self._calls.append(run)
        return completion

    def step(self, number: int = 0) -> bool:
        """Do one of the calls, counted from the first; False if there is none."""
        if number < len(self._calls):
            call = self._calls[number]
            del self._calls[number]
            call()
            return True
        return False

    def settle(self) -> None:
        """Do all calls, and those that come of them."""
        while self.step():
            pass


class SlowLog:
    """Does what another log does, but later: each call takes effect, and is answered, when ``slowness`` lets it.

    What ``Log`` answers at once in any case is passed on.
    """

    def __init__(self, log: Log, slowness: Slowness) -> None:
        self._log = log
        self._slowness = slowness

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def append(
        self,
        batch: memoryview,
        header: BatchHeader,
        leader_epoch: int,
        now_ms: int,
        origin: AppendOrigin = AppendOrigin.CLIENT,
        *,
        transaction_version: int = UNVERIFIED,
    ) -> Promise[Appended]:
        """Append later, from a copy."""
        kept = memoryview(bytearray(batch))
        return self._slowness.later(
            lambda: self._log.append(
                kept, header, leader_epoch, now_ms, origin, transaction_version=transaction_version
            )
        )

    def read(self, offset: int, max_bytes: int, *, end_offset: int, minimum_one_batch: bool) -> Promise[RecordSlice]:
        """Read later."""
        return self._slowness.later(
            lambda: self._log.read(offset, max_bytes, end_offset=end_offset, minimum_one_batch=minimum_one_batch)
        )

    def aborted_transactions(self, offset: int, size: int) -> Promise[Sequence[AbortedTransaction]]:
        """Look them up later."""
        return self._slowness.later(lambda: self._log.aborted_transactions(offset, size))

    def offset_for_timestamp(self, timestamp_ms: int) -> Promise[FoundOffset | None]:
        """Look it up later."""
        return self._slowness.later(lambda: self._log.offset_for_timestamp(timestamp_ms))

    def max_timestamp(self) -> Promise[FoundOffset | None]:
        """Look it up later."""
        return self._slowness.later(self._log.max_timestamp)

    def delete_records(self, before_offset: int) -> Promise[int]:
        """Move the start later."""
        return self._slowness.later(lambda: self._log.delete_records(before_offset))

    def flush(self) -> Promise[None]:
        """Sync later."""
        return self._slowness.later(self._log.flush)
