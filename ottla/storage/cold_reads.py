"""Reads of what was not written lately. What of it lies on the disk only, a thread brings into memory first.

So the loop does not wait for the disk: neither to find an offset nor in ``sendfile``. What is in memory already, and
that is most of what is read, comes at once.
"""

from collections.abc import Callable, Generator
from functools import partial
from typing import Generic, TypeVar

from ottla.storage.background import Background
from ottla.storage.completion import Completion
from ottla.storage.files import FileSlice, RecordSlice
from ottla.storage.segment import Segment
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

T = TypeVar("T")

ReadSteps = Generator[Callable[[], object], None, T]
"""Yields what is to be done in a thread before the next step."""


def read_when_in_memory(
    segment: Segment, offset: int, read: Callable[[], RecordSlice], background: Background, log_name: str
) -> RecordSlice | Completion[RecordSlice]:
    """What ``read`` gives, once neither finding ``offset`` in ``segment`` nor sending the bytes waits for the disk."""
    return take_read_steps(_read(segment, offset, read), background, log_name)


def take_read_steps(steps: ReadSteps[T], background: Background, log_name: str) -> T | Completion[T]:
    """What ``steps`` return: at once, unless they want something done in a thread.

    What the disk refuses, to a step or to the thread, is a KafkaError KAFKA_STORAGE_ERROR that names the log.
    """
    reading = _Reading(steps, background, log_name)
    reading.go_on()
    return reading.done.result() if reading.done.done else reading.done


def bring_into_memory(records: RecordSlice) -> ReadSteps[None]:
    """Have what is not in memory read by a thread; ``records`` are released."""
    if isinstance(records, FileSlice):
        try:
            if not records.is_in_memory():
                yield records.read_ahead
        finally:
            records.release()


def _read(segment: Segment, offset: int, read: Callable[[], RecordSlice]) -> ReadSteps[RecordSlice]:
    if not segment.index.is_loaded:
        yield segment.index.read_ahead
    yield from bring_into_memory(segment.beginning_of_search(offset))
    found = read()  # Things may have changed meanwhile; this looks again at everything.
    if isinstance(found, FileSlice) and not found.is_in_memory():
        yield found.read_ahead
    return found


class _Reading(Generic[T]):
    """Takes steps in turn, whether a thread does what they want or it is done at once."""

    def __init__(self, steps: ReadSteps[T], background: Background, log_name: str) -> None:
        self.done: Completion[T] = Completion()
        self._log_name = log_name
        self._steps = steps
        self._background = background
        self._outcomes: list[BaseException | None] = []
        self._is_stepping = False

    def go_on(self, failure: BaseException | None = None) -> None:
        """Take the next step: what the last one wanted has been done, or has failed."""
        self._outcomes.append(failure)
        if not self._is_stepping:
            self._is_stepping = True
            while self._outcomes:
                self._step(self._outcomes.pop())
            self._is_stepping = False

    def _step(self, failure: BaseException | None) -> None:
        try:
            if failure is not None:
                self._steps.close()
                raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self._log_name}: {failure}") from failure
            work = next(self._steps)
        except StopIteration as end:
            self.done.complete(end.value)
        except OSError as refusal:
            self.done.fail(KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self._log_name}: {refusal}"))
        except Exception as error:
            self.done.fail(error)
        else:
            self._background.run(partial(_ignore_result, work), self.go_on)


def _ignore_result(work: Callable[[], object]) -> None:
    work()
