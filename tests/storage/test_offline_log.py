"""A log that is offline refuses every call alike, and keeps what a repair may want."""

from collections.abc import Callable

import pytest

from ottla.storage.log_config import LogConfig
from ottla.storage.offline_log import OfflineLog
from ottla.wire.batch import read_header
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from tests.stage.logs import NOW_MS, batch_of
from tests.stage.stepping import take_all

CALLS: dict[str, Callable[[OfflineLog], object]] = {
    "log_start_offset": lambda log: log.log_start_offset,
    "log_end_offset": lambda log: log.log_end_offset,
    "acknowledged_offset": lambda log: log.acknowledged_offset,
    "append": lambda log: log.append(memoryview(batch_of()), read_header(batch_of()), 0, NOW_MS),
    "read": lambda log: log.read(0, 100, end_offset=1, minimum_one_batch=True),
    "last_stable_offset": lambda log: log.last_stable_offset(1),
    "has_open_transaction": lambda log: log.has_open_transaction(1, 0),
    "aborted_transactions": lambda log: log.aborted_transactions(0, 100),
    "offset_for_timestamp": lambda log: log.offset_for_timestamp(NOW_MS),
    "max_timestamp": lambda log: log.max_timestamp(),
    "leader_epoch_at": lambda log: log.leader_epoch_at(0),
    "offset_for_leader_epoch": lambda log: log.offset_for_leader_epoch(0),
    "delete_records": lambda log: log.delete_records(0),
    "active_producers": lambda log: log.active_producers(),
    "flush": lambda log: log.flush(),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_call_is_refused_with_the_reason(name: str) -> None:
    log = OfflineLog("The disk is gone", LogConfig())
    with pytest.raises(KafkaError, match="The disk is gone") as refused:
        CALLS[name](log)
    assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR


def test_settings_are_kept_and_everything_else_is_passed_over() -> None:
    log = OfflineLog("The disk is gone", LogConfig())
    log.configure(LogConfig(retention_ms=5))
    log.begin_leader_epoch(3)
    log.expire_producers(NOW_MS, 0)
    assert (log.config.retention_ms, log.size_bytes) == (5, 0)
    assert take_all(log.apply_retention(NOW_MS, 0)) is False
