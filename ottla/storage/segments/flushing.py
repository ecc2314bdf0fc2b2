"""Decides when logs are synced and which appends wait for it. Many appends share one fsync, many logs one thread.

``flush.messages``: an append that leaves that many records unsynced is answered when they are synced, and until then
nobody reads its records. ``flush.ms``: records are synced that much later at most, and nobody waits for it.
A segment that is closed is synced in any case, so that recovery need not look at it again.

An fsync that fails is never tried again: the kernel may have dropped the pages that it could not write and would call
the next one a success. The log goes offline instead.
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from ottla.scheduling.background import Background
from ottla.scheduling.promise import Promise
from ottla.storage.appends import Appended
from ottla.storage.files.interface import SegmentFile
from ottla.storage.log_config import MAX_INT64, LogConfig
from ottla.storage.segments.segment import LOG_SUFFIX, SNAPSHOT_SUFFIX
from ottla.storage.segments.segment_list import SegmentList
from ottla.storage.segments.unsynced import Syncing
from ottla.wire.errors import KafkaError

JOBS_AT_ONCE = 4
"""Maximum number of threads that sync at a time; a file system writes its journal once for those that come together."""
LOGS_PER_JOB = 64
"""Maximum number of logs that one thread syncs: the files of their last segments are held open meanwhile."""
SEGMENTS_AT_ONCE = 64
"""Maximum number of closed segments of a log that are synced before its recovery point moves and others have a turn."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    """An append that is answered when it is synced."""

    appended: Appended
    promise: Promise[Appended]


class Sync(NamedTuple):
    """One sync of one log: once it is done, everything below ``target_offset`` survives a power cut."""

    flushing: "LogFlushing"
    target_offset: int
    open_files: list[SegmentFile]
    syncing: Syncing
    rest: bool | None = None
    """Whether the rest has to be synced as a whole (True) or up to the last segment; None if there is no rest."""

    def release(self) -> None:
        """Let the files go when it has been done or has failed."""
        self.flushing.is_under_way = False
        for file in self.open_files:
            file.unpin()

    def done(self) -> None:
        """Take note that it has been done, in the log's thread."""
        self.syncing.done()
        self.flushing.synced(self.target_offset)


class LogFlushing:
    """The syncs that one log still needs, and the appends that wait for them."""

    __slots__ = (
        "_flusher",
        "_flushes",
        "_go_offline",
        "_is_timed",
        "_log",
        "_messages",
        "_ms",
        "is_under_way",
        "waiting",
    )

    def __init__(self, log: SegmentList, flusher: "Flusher", go_offline: Callable[[str], None]) -> None:
        """``go_offline`` is called with the reason when the disk refuses a sync."""
        self._log = log
        self._go_offline = go_offline
        self._flusher = flusher
        self._messages = self._ms = MAX_INT64
        self._is_timed = False
        self.is_under_way = False
        self.waiting: deque[_Waiting] = deque()
        self._flushes: deque[tuple[int, Promise[None]]] = deque()

    def configure(self, config: LogConfig) -> bool:
        """Use other settings from now on; returns whether appends have to be told to ``appended``."""
        self._messages = config.flush_messages
        self._ms = config.flush_ms
        return self._messages != MAX_INT64 or self._ms != MAX_INT64

    def appended(self, appended: Appended) -> Appended | Promise[Appended]:
        """Take note of an append; returns its answer, or the promise of it."""
        log = self._log
        if self._ms != MAX_INT64 and not self._is_timed:
            self._is_timed = True
            self._flusher.later(self._ms, self._time_is_up)
        if log.log_end_offset - log.recovery_point < self._messages:
            return appended
        promise: Promise[Appended] = Promise()
        self.waiting.append(_Waiting(appended, promise))
        self._flusher.want(self, whole=True)
        return promise

    def repeated(self, appended: Appended) -> Appended | Promise[Appended]:
        """Answer a duplicate: not before the batch that it repeats, nor while that is less safe than is asked for.

        The batch may have been written before a crash and never synced.
        """
        log = self._log
        original = next((each for each in self.waiting if each.appended.base_offset == appended.base_offset), None)
        if original is not None:
            return _after(original.promise, appended)
        if log.log_end_offset - log.recovery_point < self._messages or appended.last_offset < log.recovery_point:
            return appended
        flushed = self.flush()
        return appended if flushed is None else _after(flushed, appended)

    def reopened(self) -> None:
        """Sync the records that were found on the disk; those that the policy wants synced are not read before that."""
        log = self._log
        first, end = max(log.recovery_point, log.log_start_offset), log.log_end_offset
        if first >= end:
            return
        if self._ms != MAX_INT64:
            self._is_timed = True
            self._flusher.later(self._ms, self._time_is_up)
        if end - first >= self._messages:
            self.waiting.append(_Waiting(Appended(first, end - 1, False, log.log_start_offset, -1), Promise()))
            self._flusher.want(self, whole=True)

    def rolled(self) -> None:
        """Have the segments synced that are closed by now."""
        self._flusher.want(self, whole=False)

    def flush(self) -> Promise[None] | None:
        """Have everything synced that was appended so far."""
        log = self._log
        if log.log_end_offset <= log.recovery_point:
            return None
        flushed: Promise[None] = Promise()
        self._flushes.append((log.log_end_offset, flushed))
        self._flusher.want(self, whole=True)
        return flushed

    def _time_is_up(self) -> None:
        self._is_timed = False
        if self._log.log_end_offset > self._log.recovery_point:
            self._flusher.want(self, whole=True)

    # For the flusher.

    def begin(self, *, whole: bool, most: int = SEGMENTS_AT_ONCE) -> Sync:
        """Say what has to be synced, all of it or the closed segments, and hold the last file open. Raises OSError.

        Only the first ``most`` segments are synced; the recovery point moves that far, and the rest has to follow.
        """
        log = self._log
        target = log.log_end_offset if whole or not log.segments else log.segments[-1].base_offset
        segments = log.unsynced(target)
        open_files: list[SegmentFile] = []
        rest = through = None
        if len(segments) > most:
            rest, target = whole, segments[most].base_offset
            through = log.path(target, SNAPSHOT_SUFFIX)
            del segments[most:]
        elif segments and segments[-1] is log.segments[-1]:
            open_files.append(segments.pop().file)
        closed = [log.path(each.base_offset, LOG_SUFFIX) for each in segments]
        for file in open_files:
            file.pin()
        self.is_under_way = True
        return Sync(self, target, open_files, log.beside.syncing(open_files, closed, through=through), rest)

    def synced(self, target_offset: int) -> None:
        """Answer those who waited for a sync up to ``target_offset``, which is done."""
        log = self._log
        log.recovery_point = max(log.recovery_point, target_offset)
        waiting = self.waiting
        answered = []
        while waiting and waiting[0].appended.last_offset < target_offset:
            answered.append(waiting.popleft())
        flushed = []
        while self._flushes and self._flushes[0][0] <= target_offset:
            flushed.append(self._flushes.popleft()[1])
        if waiting or self._flushes:
            self._flusher.want(self, whole=True)
        for each in answered:
            _settle(each.promise, each.appended)
        for promise in flushed:
            _settle(promise, None)

    def failed(self, failure: BaseException) -> None:
        """Take the log offline: the disk refused a sync, and nobody can say what of the log is on it."""
        if not self._log.is_abandoned:
            self._go_offline(f"{self._log.folder.name} could not be synced to disk: {failure}")

    def give_up(self, error: KafkaError) -> None:
        """Tell those who wait that no answer comes any more."""
        waiting, self.waiting = self.waiting, deque()
        flushes, self._flushes = self._flushes, deque()
        for each in waiting:
            _settle(each.promise, error)
        for _, promise in flushes:
            _settle(promise, error)


class Flusher:
    """The syncs of a data directory: gathers the logs that want one, and does them in a few threads."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._wanted: dict[LogFlushing, bool] = {}
        self._jobs = 0
        self._is_asked = self._is_starting = False
        self.later: Callable[[int, Callable[[], None]], object] = lambda _delay_ms, call: call()
        """Calls a function after some milliseconds. Without a clock, at once: better too early than never."""

    def want(self, flushing: LogFlushing, *, whole: bool) -> None:
        """Sync a log soon: everything that is appended by then, or its closed segments."""
        self._wanted[flushing] = whole or self._wanted.get(flushing, False)
        if not self._is_asked:
            self._is_asked = True
            self._background.soon(self._start)

    def _start(self) -> None:
        """Share the wanted syncs among the threads that are free; the rest follows when one of them is."""
        self._is_asked = False
        if self._is_starting:
            return  # The background works at once, and the loop below goes on with what follows.
        self._is_starting = True
        try:
            while self._jobs < JOBS_AT_ONCE:
                ready = [flushing for flushing in self._wanted if not flushing.is_under_way]
                if not ready:
                    return
                share = min(-(-len(ready) // (JOBS_AT_ONCE - self._jobs)), LOGS_PER_JOB)
                self._run(self._begin(ready[:share]))
        finally:
            self._is_starting = False

    def _begin(self, ready: list[LogFlushing]) -> list[Sync]:
        syncs = []
        for flushing in ready:
            whole = self._wanted.pop(flushing)
            try:
                syncs.append(flushing.begin(whole=whole))
            except OSError as failure:
                flushing.failed(failure)
        return syncs

    def _run(self, syncs: list[Sync]) -> None:
        outcomes: list[OSError | None] = []

        def done(error: Exception | None) -> None:
            self._jobs -= 1
            for sync in syncs:
                sync.release()
            for number, sync in enumerate(syncs):
                failure = outcomes[number] if number < len(outcomes) else error
                if failure is not None:
                    sync.flushing.failed(failure)
                    continue
                sync.done()
                if sync.rest is not None:
                    self.want(sync.flushing, whole=sync.rest)
            self._start()

        self._jobs += 1
        self._background.run(lambda: outcomes.extend(map(_outcome, syncs)), done)


def _outcome(sync: Sync) -> OSError | None:
    """Do a sync in any thread; returns its error."""
    try:
        sync.syncing.run()
    except OSError as failure:
        return failure
    return None


def _after(promise: Promise[Any], appended: Appended) -> Promise[Appended]:
    """Return the promise of an append's answer, which comes when ``promise`` is done, or of the error of that."""
    answer: Promise[Appended] = Promise()

    def done(before: Promise[Any]) -> None:
        try:
            before.result()
        except KafkaError as error:
            answer.fail(error)
        else:
            answer.resolve(appended)

    promise.add_done_callback(done)
    return answer


def _settle(promise: Promise[T], outcome: T | KafkaError) -> None:
    """Answer one; an error of its callback must not keep the others waiting."""
    try:
        if isinstance(outcome, KafkaError):
            promise.fail(outcome)
        else:
            promise.resolve(outcome)
    except Exception:
        _log.exception("a callback of an append failed")
