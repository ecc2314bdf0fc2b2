"""Opens a broker's data directory: knows who owns it, which logs lie in it, and whether it was closed well.

At the root, in Apache's formats: ``.lock``, ``meta.properties``, ``recovery-point-offset-checkpoint``,
``log-start-offset-checkpoint``, ``cleaner-offset-checkpoint`` and, only while no broker runs and all logs are
consistent, ``.kafka_cleanshutdown``.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from ottla.scheduling.background import Background, Inline
from ottla.storage.files.checkpoints import OffsetCheckpoint
from ottla.storage.files.directory_lock import FILE_NAME as LOCK_FILE
from ottla.storage.files.directory_lock import DirectoryLock
from ottla.storage.files.identity import (
    Identity,
    IdentityError,
    read_identity,
    read_partition_metadata,
    uuid_to_text,
    write_identity,
)
from ottla.storage.files.interface import SegmentFiles
from ottla.storage.files.real import RealFiles
from ottla.storage.log_config import LogConfig
from ottla.storage.segments.chores import chores
from ottla.storage.segments.flushing import Flusher
from ottla.storage.segments.index import IndexMemory
from ottla.storage.segments.recovery.opening import DamagedLogError, LastShutdown, open_log
from ottla.storage.segments.segment_list import SegmentList
from ottla.storage.segments.segment_log import SegmentLog
from ottla.storage.segments.unlinking import Removals
from ottla.storage.store import Chore, Keeper

CLEAN_SHUTDOWN = ".kafka_cleanshutdown"
RECOVERY_POINTS = "recovery-point-offset-checkpoint"
LOG_START_OFFSETS = "log-start-offset-checkpoint"
CLEANED_OFFSETS = "cleaner-offset-checkpoint"
DELETED_SUFFIX = "-delete"
STRAY_SUFFIX = "-stray"

_CLEAN_CONTENT = b'{"version":0,"brokerEpoch":-1}'
_LONGEST_NAME = 255
_SYNCS_AT_ONCE = 16
_FILES_AT_ONCE = 4
_APACHE_METADATA = "__cluster_metadata"
"""The folder of an Apache controller: no topic, and not ours to touch."""

_log = logging.getLogger(__name__)


class StoredPartition(NamedTuple):
    """A log's folder. ``topic_id`` is None if the folder does not say."""

    topic: str
    partition: int
    topic_id: bytes | None


class DataDirectory:
    """An open data directory, this process's alone until ``close``. The first kind of ``LogStore``."""

    def __init__(
        self,
        root: Path,
        *,
        node_id: int | None = None,
        cluster_id: str | None = None,
        files: SegmentFiles | None = None,
        background: Background | None = None,
        random: Random | None = None,
    ) -> None:
        """Open ``root``, making it and its identity if it is new.

        ``background`` runs what blocks on the disk; without one it is done at once. Raises DirectoryInUseError, and
        IdentityError if the directory is of another node or cluster than given.
        """
        self.root = root
        self._files = files if files is not None else RealFiles()
        self.background = background if background is not None else Inline()
        self._random = random if random is not None else Random()  # noqa: S311 - ids, not secrets
        self._memory = IndexMemory()
        self.removals = Removals(self._files, self.background)
        self.flusher = Flusher(self.background)
        self._files.make_folder(root)
        self._lock = DirectoryLock(root)
        self.folds_case = (root / LOCK_FILE.upper()).exists()
        """Whether the file system takes ``Orders-0`` and ``orders-0`` for one folder (macOS, Windows)."""
        try:
            self._recovery_point_file = OffsetCheckpoint(self._files, root / RECOVERY_POINTS)
            self._log_start_offset_file = OffsetCheckpoint(self._files, root / LOG_START_OFFSETS)
            self.identity = self._identify(node_id, cluster_id)
            self._cleaned_offset_file = OffsetCheckpoint(self._files, root / CLEANED_OFFSETS)
            self._recovery_points = self._recovery_point_file.read() or {}
            self._log_start_offsets = self._log_start_offset_file.read() or {}
            self.cleaned_offsets = self._cleaned_offset_file.read() or {}
            self.was_clean = self._files.read(root / CLEAN_SHUTDOWN) is not None
            if self.was_clean:
                self._files.remove(root / CLEAN_SHUTDOWN)
                self._files.sync_folder(root)  # A power cut must not bring it back.
            self._unopened = set(self._folders())
        except BaseException:
            self._lock.release()
            raise
        self._unusable: set[tuple[str, int]] = set()
        """Logs that could not be opened."""
        self._forgotten: set[tuple[str, int]] = set()
        """Logs that are gone and may yet stand in the checkpoints."""
        self.logs: dict[tuple[str, int], SegmentLog] = {}
        self.logs_to_trim: dict[SegmentList, None] = {}
        """Logs with more segments below their start than are removed at once."""
        self._starts_have_moved = False
        self._remove_deleted()

    def _identify(self, node_id: int | None, cluster_id: str | None) -> Identity:
        stored = read_identity(self._files, self.root)
        if stored is None:
            stored = Identity(cluster_id or self.new_uuid_text(), node_id or 0, self.new_uuid_text())
            write_identity(self._files, self.root, stored)
            self._files.sync_folder(self.root.parent)
        if node_id is not None and stored.node_id != node_id:
            raise IdentityError(f"The data directory {self.root} is of node {stored.node_id}, not of node {node_id}.")
        if cluster_id is not None and stored.cluster_id != cluster_id:
            raise IdentityError(
                f"The data directory {self.root} is of cluster {stored.cluster_id}, not of cluster {cluster_id}."
            )
        return stored

    def new_uuid_text(self) -> str:
        """Return a new random id as text. It never starts with ``-``, which command lines take for an option."""
        while True:
            text = uuid_to_text(self._random.randbytes(16))
            if not text.startswith("-"):
                return text

    @property
    def cluster_id(self) -> str:
        """The id of the cluster that the directory belongs to."""
        return self.identity.cluster_id

    def stored_partitions(self) -> list[StoredPartition]:
        """Return the logs that have a folder, opened or not."""
        return [
            StoredPartition(topic, partition, read_partition_metadata(self._files, self._folder(topic, partition)))
            for topic, partition in self._folders()
        ]

    def _folders(self) -> list[tuple[str, int]]:
        split = [name.rpartition("-") for name in self._files.names(self.root)]
        return [
            (topic, int(partition))
            for topic, _, partition in split
            if topic and topic != _APACHE_METADATA and partition.isascii() and partition.isdigit()
        ]

    def _folder(self, topic: str, partition: int) -> Path:
        return self.root / f"{topic}-{partition}"

    def open_log(self, topic: str, partition: int, *, topic_id: bytes, config: LogConfig) -> SegmentLog:
        """Return the log of a partition as it is on disk; empty and without files if there is none.

        A folder that belongs to a topic of the same name but another id is put aside, with a warning. Raises OSError if
        the log cannot be read or has lost something (DamagedLogError): its files stay as they are.
        """
        key = (topic, partition)
        folder = self._folder(topic, partition)
        if key in self._unopened:
            stored_id = read_partition_metadata(self._files, folder)
            if stored_id is not None and stored_id != topic_id:
                self.put_aside(topic, partition)
        log = SegmentLog(
            self._files,
            folder,
            config,
            topic_id=topic_id,
            memory=self._memory,
            removals=self.removals,
            flusher=self.flusher,
            background=self.background,
            random=self._random,
            start_moved=self._start_moved,
            trim_later=self._trim_later,
        )
        if key in self._unopened:
            shutdown = LastShutdown(
                clean=self.was_clean,
                recovery_point=self._recovery_points.get(key, 0),
                log_start_offset=self._log_start_offsets.get(key, 0),
            )
            self._unopened.discard(key)
            try:
                open_log(log, shutdown)
            except OSError:
                self._unusable.add(key)
                log.abandon()
                raise
            log.flushing.reopened()
        elif self._recovery_points.get(key, 0) > self._log_start_offsets.get(key, 0):
            self._unusable.add(key)
            raise DamagedLogError(log, "its folder is not there")
        elif key in self._forgotten:
            self._write_off()
        self.logs[key] = log
        return log

    def all_opened(self) -> None:
        """Note that every topic's logs have been opened: any other log here belongs to none and is put aside."""
        for topic, partition in sorted(self._unopened):
            self.put_aside(topic, partition)
        noted = {*self._recovery_points, *self._log_start_offsets, *self.cleaned_offsets}
        for topic, partition in noted - self.logs.keys() - self._unusable:
            self._forget(topic, partition)

    def delete_log(self, topic: str, partition: int) -> None:
        """Remove a partition's log. Its name is free at once; the files go in the background.

        Raises OSError if the folder cannot be renamed. Then it is put aside when the name is used again.
        """
        self._forget(topic, partition)
        if self._files.names(self._folder(topic, partition)):
            self._remove_later(self._rename(topic, partition, DELETED_SUFFIX))

    def put_aside(self, topic: str, partition: int) -> None:
        """Rename the folder of a log that no topic claims, so that nobody takes it for one; nothing is lost."""
        self._forget(topic, partition)
        aside = self._rename(topic, partition, STRAY_SUFFIX)
        _log.warning("The log %s-%d belongs to no topic; it is put aside as %s", topic, partition, aside)

    def _forget(self, topic: str, partition: int) -> None:
        key = (topic, partition)
        log = self.logs.pop(key, None)
        if log is not None:
            log.abandon()
        self._unopened.discard(key)
        self._unusable.discard(key)
        checkpoints = (self._recovery_points, self._log_start_offsets, self.cleaned_offsets)
        if log is not None or any(key in offsets for offsets in checkpoints):
            self._forgotten.add(key)
        for offsets in checkpoints:
            offsets.pop(key, None)

    def _write_off(self) -> None:
        """Write the checkpoints without the logs that are gone, so that a new one is not taken for one of them."""
        self._forgotten.clear()
        self._recovery_point_file.writing(self._recovery_points, sync=True)()
        self._write_log_start_offsets(sync=True)
        self._cleaned_offset_file.writing(self.cleaned_offsets, sync=True)()

    def _rename(self, topic: str, partition: int, suffix: str) -> Path:
        """Give a log's folder a name that is no log's. If that fails, it still has to be put aside. Raises OSError."""
        folder = self._folder(topic, partition)
        ending = f".{self._random.randbytes(16).hex()}{suffix}"
        renamed = folder.with_name(folder.name[: _LONGEST_NAME - len(ending)] + ending)
        try:
            self._files.rename(folder, renamed)
        except OSError:
            self._unopened.add((topic, partition))
            raise
        return renamed

    def _remove_deleted(self) -> None:
        for name in self._files.names(self.root):
            if name.endswith(DELETED_SUFFIX):
                self._remove_later(self.root / name)

    def _remove_later(self, folder: Path) -> None:
        def removed(error: BaseException | None) -> None:
            if error is not None:
                _log.error("%s could not be removed: %s", folder, error)

        self.background.run(lambda: self._files.remove_folder(folder), removed)

    def chores(self, keeper: Keeper) -> list[Chore]:
        """Return the chores of the directory; see ``LogStore.chores``."""
        return chores(self, self.removals, self.logs_to_trim, keeper)

    def wait_with(self, later: Callable[[int, Callable[[], None]], object]) -> None:
        """Use the broker's timers; see ``LogStore.wait_with``."""
        self.flusher.later = later

    def expire_producers(self, now_ms: int, expiration_ms: int) -> None:
        """In every log, forget producers whose last batch is that old."""
        for log in self.logs.values():
            log.expire_producers(now_ms, expiration_ms)

    def write_cleaned_offsets(self) -> None:
        """Write down how far each log has been compacted. Raises OSError."""
        self._cleaned_offset_file.writing(self.cleaned_offsets, sync=False)()

    def checkpoint(self) -> None:
        """Write down, in the background, up to where each log is synced: a crash makes only the rest be checked.

        Call it every minute or so (``log.flush.offset.checkpoint.interval.ms``); ``close`` does it too.
        """

        def written(error: BaseException | None) -> None:
            if error is not None:
                _log.error("the recovery points could not be written: %s", error)

        if self._note_recovery_points():
            self.background.run(self._recovery_point_file.writing(self._recovery_points, sync=True), written)

    def _note_recovery_points(self) -> bool:
        """Take in how far each log is synced; returns whether any of them has moved."""
        points = dict(self._recovery_points)
        points.update((key, log.recovery_point) for key, log in self.logs.items() if log.recovery_point)
        moved = points != self._recovery_points
        self._recovery_points = points
        return moved

    def _trim_later(self, log: SegmentList) -> None:
        self.logs_to_trim[log] = None

    def _start_moved(self) -> None:
        """Write the logs' starts before this pass is answered: once, of however many logs they moved."""
        if not self._starts_have_moved:
            self._starts_have_moved = True
            self.background.soon(self._write_moved_starts)

    def _write_moved_starts(self) -> None:
        self._starts_have_moved = False
        try:
            self._write_log_start_offsets(sync=False)
        except OSError as failure:  # The next log whose start moves has all of them written again.
            _log.error("the start offsets of the logs could not be written: %s", failure)

    def _write_log_start_offsets(self, *, sync: bool) -> None:
        for key, log in self.logs.items():
            if log.segments and log.log_start_offset > log.segments[0].base_offset:
                self._log_start_offsets[key] = log.log_start_offset
            else:
                self._log_start_offsets.pop(key, None)
        self._log_start_offset_file.writing(self._log_start_offsets, sync=sync)()

    def close(self) -> None:
        """Close every log and mark the directory as clean if all went well. Nothing is scanned at the next start."""
        # The next start, too, has to find what is wrong with a log that could not be opened.
        consistent = (self.was_clean or not self._unopened) and not self._unusable
        for log in self.logs.values():
            if log.offline_reason is not None:
                consistent = False
                continue
            try:
                log.seal()
            except OSError as failure:
                _log.error("%r could not be closed: %s", log, failure)
                consistent = False
        if not self._sync_logs():
            consistent = False
        try:
            self._note_recovery_points()
            self._recovery_point_file.writing(self._recovery_points, sync=True)()
            self._write_log_start_offsets(sync=True)
            if consistent:
                self._files.replace(self.root / CLEAN_SHUTDOWN, _CLEAN_CONTENT, sync=True)
        except OSError as failure:
            _log.error("%s could not be closed well; the next start checks all logs: %s", self.root, failure)
        self.abandon()

    def _sync_logs(self) -> bool:
        """Sync all logs, many at once: a file system takes hardly longer for sixteen fsyncs than for one."""
        from concurrent.futures import ThreadPoolExecutor

        logs = [log for log in self.logs.values() if log.beside or log.unsynced()]
        good = True
        with ThreadPoolExecutor(_SYNCS_AT_ONCE) as threads:
            for start in range(0, len(logs), _SYNCS_AT_ONCE):
                under_way = []
                for log in logs[start : start + _SYNCS_AT_ONCE]:
                    sync = log.flushing.begin(whole=True, most=len(log.segments))
                    under_way.append((log, sync, threads.submit(sync.syncing.run, _FILES_AT_ONCE)))
                for log, sync, running in under_way:
                    failure = running.exception()
                    sync.release()
                    if failure is None:
                        sync.done()
                    else:
                        _log.error("%r could not be synced: %s", log, failure)
                        good = False
        return good

    def abandon(self) -> None:
        """Give everything back as a crash would, writing nothing."""
        for log in self.logs.values():
            log.abandon()
        self.logs.clear()
        self._lock.release()
