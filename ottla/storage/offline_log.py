"""Stands for a log that cannot be read or written: its disk failed, or it is damaged. Every call is refused alike.

It takes the place of the real one, so that nobody on the hot path has to ask whether a log is all right.
"""

from collections.abc import Sequence
from typing import NoReturn

from ottla.scheduling.steps import Steps
from ottla.storage.appends import UNVERIFIED, Appended, AppendOrigin
from ottla.storage.log import EpochEnd, FoundOffset
from ottla.storage.log_config import LogConfig
from ottla.storage.open_transactions import AbortedTransaction
from ottla.storage.slices import RecordSlice
from ottla.wire.batch import BatchHeader
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError


class OfflineLog:
    """Answers KAFKA_STORAGE_ERROR with ``reason``, a sentence for a person. A ``Log`` without records."""

    def __init__(self, reason: str, config: LogConfig) -> None:
        self.reason = reason
        self._config = config

    def __repr__(self) -> str:
        return f"<OfflineLog: {self.reason}>"

    def refuse(self) -> NoReturn:
        """Raise the error with which every call to this log is refused."""
        raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, self.reason)

    @property
    def log_start_offset(self) -> int:
        """Refused: the offset is not known."""
        self.refuse()

    @property
    def log_end_offset(self) -> int:
        """Refused: the offset is not known."""
        self.refuse()

    @property
    def acknowledged_offset(self) -> int:
        """Refused: the offset is not known."""
        self.refuse()

    @property
    def size_bytes(self) -> int:
        """0: no byte can be read."""
        return 0

    @property
    def config(self) -> LogConfig:
        """The topic's settings."""
        return self._config

    def configure(self, config: LogConfig) -> None:
        """Keep the topic's settings."""
        self._config = config

    def append(
        self,
        batch: memoryview,
        header: BatchHeader,
        leader_epoch: int,
        now_ms: int,
        origin: AppendOrigin = AppendOrigin.CLIENT,
        *,
        transaction_version: int = UNVERIFIED,
    ) -> Appended:
        """Refuse."""
        self.refuse()

    def read(self, offset: int, max_bytes: int, *, end_offset: int, minimum_one_batch: bool) -> RecordSlice:
        """Refuse."""
        self.refuse()

    def last_stable_offset(self, high_watermark: int) -> int:
        """Refuse."""
        self.refuse()

    def has_open_transaction(self, producer_id: int, producer_epoch: int) -> bool:
        """Refuse."""
        self.refuse()

    def aborted_transactions(self, offset: int, size: int) -> Sequence[AbortedTransaction]:
        """Refuse."""
        self.refuse()

    def offset_for_timestamp(self, timestamp_ms: int) -> FoundOffset | None:
        """Refuse."""
        self.refuse()

    def max_timestamp(self) -> FoundOffset | None:
        """Refuse."""
        self.refuse()

    def begin_leader_epoch(self, leader_epoch: int) -> None:
        """Note nothing: no record follows."""

    def leader_epoch_at(self, offset: int) -> int:
        """Refuse."""
        self.refuse()

    def offset_for_leader_epoch(self, leader_epoch: int) -> EpochEnd:
        """Refuse."""
        self.refuse()

    def delete_records(self, before_offset: int) -> int:
        """Refuse."""
        self.refuse()

    def apply_retention(self, now_ms: int, high_watermark: int) -> Steps[bool]:
        """Remove nothing: a repair of the log may want it."""
        yield from ()
        return False

    def active_producers(self) -> NoReturn:
        """Refuse."""
        self.refuse()

    def expire_producers(self, now_ms: int, expiration_ms: int) -> None:
        """Forget nothing: no producer is known."""

    def flush(self) -> None:
        """Refuse."""
        self.refuse()
