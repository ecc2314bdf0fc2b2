"""A broker's data directory: who owns it, which logs lie in it, whether it was closed well.

At the root, in Apache's formats: ``.lock``, ``meta.properties``, ``recovery-point-offset-checkpoint``,
``log-start-offset-checkpoint``, ``cleaner-offset-checkpoint`` and, only while no broker runs and all logs are
consistent, ``.kafka_cleanshutdown``.
"""

import logging
from pathlib import Path
from random import Random
from typing import NamedTuple

from ottla.storage.background import Background, Inline
from ottla.storage.checkpoints import read_offsets, write_offsets
from ottla.storage.directory_lock import DirectoryLock
from ottla.storage.files import RealFiles, SegmentFile, SegmentFiles
from ottla.storage.flushing import Flusher
from ottla.storage.identity import (
    Identity,
    IdentityError,
    read_identity,
    read_partition_metadata,
    uuid_to_text,
    write_identity,
)
from ottla.storage.index import IndexMemory
from ottla.storage.log_config import LogConfig
from ottla.storage.recovery import LastShutdown, open_log
from ottla.storage.removal import Removals
from ottla.storage.segment_log import SegmentLog

CLEAN_SHUTDOWN = ".kafka_cleanshutdown"
RECOVERY_POINTS = "recovery-point-offset-checkpoint"
LOG_START_OFFSETS = "log-start-offset-checkpoint"
CLEANED_OFFSETS = "cleaner-offset-checkpoint"
DELETED_SUFFIX = "-delete"
STRAY_SUFFIX = "-stray"

_CLEAN_CONTENT = b'{"version":0,"brokerEpoch":-1}'
_LONGEST_NAME = 255
_SYNCS_AT_ONCE = 16
_APACHE_METADATA = "__cluster_metadata"
"""The folder of an Apache controller: no topic, and not ours to touch."""

_log = logging.getLogger(__name__)


class StoredPartition(NamedTuple):
    """A log's folder. ``topic_id`` is None if the folder does not say."""

    topic: str
    partition: int
    topic_id: bytes | None


class DataDirectory:
    """An open data directory, this process's alone until ``close``."""

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
        self.flusher = Flusher(self._files, self.background)
        self._files.make_folder(root)
        self._lock = DirectoryLock(root)
        try:
            self.identity = self._identify(node_id, cluster_id)
            self._recovery_points = read_offsets(self._files, root / RECOVERY_POINTS)
            self._log_start_offsets = read_offsets(self._files, root / LOG_START_OFFSETS)
            self.cleaned_offsets = read_offsets(self._files, root / CLEANED_OFFSETS)
            self.was_clean = self._files.read(root / CLEAN_SHUTDOWN) is not None
            self._files.remove(root / CLEAN_SHUTDOWN)
            self._unopened = set(self._folders())
        except BaseException:
            self._lock.release()
            raise
        self.logs: dict[tuple[str, int], SegmentLog] = {}
        self._remove_deleted()

    def _identify(self, node_id: int | None, cluster_id: str | None) -> Identity:
        stored = read_identity(self._files, self.root)
        if stored is None:
            stored = Identity(cluster_id or self.new_uuid_text(), node_id or 0, self.new_uuid_text())
            write_identity(self._files, self.root, stored)
        if node_id is not None and stored.node_id != node_id:
            raise IdentityError(f"The data directory {self.root} is of node {stored.node_id}, not of node {node_id}.")
        if cluster_id is not None and stored.cluster_id != cluster_id:
            raise IdentityError(
                f"The data directory {self.root} is of cluster {stored.cluster_id}, not of cluster {cluster_id}."
            )
        return stored

    def new_uuid_text(self) -> str:
        """A new random id as text. It never starts with ``-``, which command lines take for an option."""
        while True:
            text = uuid_to_text(self._random.randbytes(16))
            if not text.startswith("-"):
                return text

    def stored_partitions(self) -> list[StoredPartition]:
        """The logs that have a folder, opened or not."""
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
        """The log of a partition, as it is on disk; empty and without files if there is none. Raises OSError.

        A folder that belongs to a topic of the same name but another id is put aside, with a warning.
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
            start_moved=lambda: self._write_log_start_offsets(sync=False),
        )
        if key in self._unopened:
            shutdown = LastShutdown(
                clean=self.was_clean,
                recovery_point=self._recovery_points.get(key, 0),
                log_start_offset=self._log_start_offsets.get(key, 0),
            )
            open_log(log, shutdown)
        self._unopened.discard(key)
        self.logs[key] = log
        return log

    def delete_log(self, topic: str, partition: int) -> None:
        """Remove a partition's log. Its name is free at once; the files go in the background. Raises OSError."""
        self._forget(topic, partition)
        folder = self._folder(topic, partition)
        if self._files.names(folder):
            self._remove_later(self._rename(folder, DELETED_SUFFIX))

    def put_aside(self, topic: str, partition: int) -> None:
        """Rename the folder of a log that no topic claims, so that nobody takes it for one; nothing is lost."""
        self._forget(topic, partition)
        aside = self._rename(self._folder(topic, partition), STRAY_SUFFIX)
        _log.warning("The log %s-%d belongs to no topic; it is put aside as %s", topic, partition, aside)

    def _forget(self, topic: str, partition: int) -> None:
        key = (topic, partition)
        log = self.logs.pop(key, None)
        if log is not None:
            log.abandon()
        self._unopened.discard(key)
        self._recovery_points.pop(key, None)
        if self._log_start_offsets.pop(key, None) is not None:
            self._write_log_start_offsets(sync=False)
        if self.cleaned_offsets.pop(key, None) is not None:
            self.write_cleaned_offsets()

    def _rename(self, folder: Path, suffix: str) -> Path:
        ending = f".{self._random.randbytes(16).hex()}{suffix}"
        renamed = folder.with_name(folder.name[: _LONGEST_NAME - len(ending)] + ending)
        self._files.rename(folder, renamed)
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

    def expire_producers(self, now_ms: int, expiration_ms: int) -> None:
        """In every log, forget producers whose last batch is that old."""
        for log in self.logs.values():
            log.expire_producers(now_ms, expiration_ms)

    def write_cleaned_offsets(self) -> None:
        """Write down how far each log has been compacted. Raises OSError."""
        write_offsets(self._files, self.root / CLEANED_OFFSETS, self.cleaned_offsets, sync=False)

    def checkpoint(self, *, sync: bool = False) -> None:
        """Write down up to where each log is synced, so that a crash makes only the rest be checked.

        Call it every minute or so (``log.flush.offset.checkpoint.interval.ms``); ``close`` does it too. Without
        ``sync`` a power cut may take the file, and then everything is checked. Raises OSError.
        """
        points = dict(self._recovery_points)
        points.update((key, log.recovery_point) for key, log in self.logs.items() if log.recovery_point)
        if sync or points != self._recovery_points:
            write_offsets(self._files, self.root / RECOVERY_POINTS, points, sync=sync)
            self._recovery_points = points

    def _write_log_start_offsets(self, *, sync: bool) -> None:
        for key, log in self.logs.items():
            if log.segments and log.log_start_offset > log.segments[0].base_offset:
                self._log_start_offsets[key] = log.log_start_offset
            else:
                self._log_start_offsets.pop(key, None)
        write_offsets(self._files, self.root / LOG_START_OFFSETS, self._log_start_offsets, sync=sync)

    def close(self) -> None:
        """Close every log and mark the directory as clean if all went well. Nothing is scanned at the next start."""
        consistent = self.was_clean or not self._unopened
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
        self.checkpoint(sync=True)
        self._write_log_start_offsets(sync=True)
        if consistent:
            self._files.replace(self.root / CLEAN_SHUTDOWN, _CLEAN_CONTENT, sync=True)
        self.abandon()

    def _sync_logs(self) -> bool:
        """Sync all logs, many at once: a file system takes hardly longer for sixteen fsyncs than for one."""
        from concurrent.futures import ThreadPoolExecutor

        logs = [log for log in self.logs.values() if log.unsynced()]
        good = True
        with ThreadPoolExecutor(_SYNCS_AT_ONCE) as threads:
            for start in range(0, len(logs), _SYNCS_AT_ONCE):
                under_way = []
                for log in logs[start : start + _SYNCS_AT_ONCE]:
                    files = log.unsynced()
                    for file in files:
                        file.pin()
                    under_way.append((log, files, threads.submit(self._sync_log, files, log.folder)))
                for log, files, syncing in under_way:
                    failure = syncing.exception()
                    for file in files:
                        file.unpin()
                    if failure is None:
                        log.flushing.synced(log.log_end_offset)
                    else:
                        _log.error("%r could not be synced: %s", log, failure)
                        good = False
        return good

    def _sync_log(self, files: list[SegmentFile], folder: Path) -> None:
        for file in files:
            file.sync()
        self._files.sync_folder(folder)

    def abandon(self) -> None:
        """Give everything back as a crash would, writing nothing."""
        for log in self.logs.values():
            log.abandon()
        self.logs.clear()
        self._lock.release()
