"""A coordinator's decision: records to append first, replies to give once they are applied. Holds data only."""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from ottla.scheduling.promise import Promise
from ottla.wire.codes import ErrorCode

R = TypeVar("R")
Record = TypeVar("Record")


class Now(NamedTuple):
    """The cluster's time at one event: state is told the time and never reads a clock."""

    monotonic: float
    """Monotonic seconds, for deadlines."""
    wall_ms: int
    """Milliseconds since the epoch, for records."""


class Asked(Generic[R]):
    """A request under way: the promise of its answer, and the response that refuses it."""

    __slots__ = ("pending", "refusal")

    def __init__(self, refusal: Callable[[ErrorCode], R]) -> None:
        self.pending: Promise[R] = Promise()
        self.refusal = refusal

    @property
    def answer(self) -> R | Promise[R]:
        """Return the response if it is there, else the promise of it."""
        return self.pending.now_or_later()

    def resolve(self, response: R) -> None:
        """Give the answer."""
        self.pending.resolve(response)

    def refuse(self, code: ErrorCode) -> None:
        """Answer with an error."""
        self.pending.resolve(self.refusal(code))


class Decision(Generic[Record]):
    """The outcome of one event for one key.

    The runtime appends ``records`` as one batch, applies them, calls ``on_applied``, and then gives ``replies``. If the
    append fails, nothing was applied: it calls ``on_failed``, and refuses the requests that ``replies`` would answer.
    """

    __slots__ = ("on_applied", "on_failed", "records", "replies")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.replies: list[tuple[Asked[Any], Any]] = []
        self.on_applied: Callable[[Now], Decision[Record] | None] | None = None
        """The call that brings soft state in line with the records; its own decision comes after the replies."""
        self.on_failed: Callable[[ErrorCode, Now], Decision[Record] | None] | None = None

    def reply(self, asked: Asked[R], response: R) -> None:
        """Answer once the records are applied."""
        self.replies.append((asked, response))

    def refuse(self, asked: Asked[Any], code: ErrorCode) -> None:
        """Answer with an error once the records are applied."""
        self.replies.append((asked, asked.refusal(code)))


def error_of_append(code: ErrorCode) -> ErrorCode:
    """Translate the error of an append into one that a coordinator's client can act on.

    Source: Apache's ``CoordinatorOperationExceptionHelper``.
    """
    return _ERRORS_OF_APPEND.get(code, code)


_ERRORS_OF_APPEND = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.REQUEST_TIMED_OUT: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NETWORK_EXCEPTION: ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.NOT_LEADER_OR_FOLLOWER: ErrorCode.NOT_COORDINATOR,
    ErrorCode.KAFKA_STORAGE_ERROR: ErrorCode.NOT_COORDINATOR,
    ErrorCode.MESSAGE_TOO_LARGE: ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.RECORD_LIST_TOO_LARGE: ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.INVALID_FETCH_SIZE: ErrorCode.UNKNOWN_SERVER_ERROR,
}
