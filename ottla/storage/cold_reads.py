"""Reads of what was not written lately. What of it lies on the disk only, a thread brings into memory first.

So the loop does not wait for the disk: neither to find an offset nor in ``sendfile``. What is in memory already, and
that is most of what is read, comes at once.
"""

from collections.abc import Callable, Generator
from functools import partial

from ottla.storage.background import Background
from ottla.storage.completion import Completion
from ottla.storage.files import FileSlice, RecordSlice
from ottla.storage.segment import Segment
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

Steps = Generator[Callable[[], object], None, RecordSlice]
"""Yields what is to be done in a thread before the next step."""


def read_when_in_memory(
    segment: Segment, offset: int, read: Callable[[], RecordSlice], background: Background
) -> RecordSlice | Completion[RecordSlice]:
    """What ``read`` gives, once neither finding ``offset`` in ``segment`` nor sending the bytes waits for the disk."""
    done: Completion[RecordSlice] = Completion()
    _go_on(_steps(segment, offset, read), done, background)
    return done.result() if done.done else done


def _steps(segment: Segment, offset: int, read: Callable[[], RecordSlice]) -> Steps:
    if not segment.index.is_loaded:
        yield segment.index.read_ahead
    beginning = segment.beginning_of_search(offset)
    if isinstance(beginning, FileSlice):
        try:
            if not beginning.is_in_memory():
                yield beginning.read_ahead
        finally:
            beginning.release()
    found = read()  # Things may have changed meanwhile; this looks again at everything.
    if isinstance(found, FileSlice) and not found.is_in_memory():
        yield found.read_ahead
    return found


def _go_on(
    steps: Steps, done: Completion[RecordSlice], background: Background, failure: BaseException | None = None
) -> None:
    try:
        if failure is not None:
            steps.close()
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"the disk cannot be read: {failure}")
        work = next(steps)
    except StopIteration as end:
        done.complete(end.value)
    except Exception as error:
        done.fail(error)
    else:
        background.run(partial(_ignore_result, work), partial(_go_on, steps, done, background))


def _ignore_result(work: Callable[[], object]) -> None:
    work()
