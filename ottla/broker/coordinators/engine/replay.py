"""Rebuilds durable state from the log, step by step: a large log must not hold up the loop."""

import logging
from collections.abc import Iterable
from struct import Struct
from typing import Any

from ottla.broker.coordinators.engine.shard import Record, Shard
from ottla.scheduling.promise import Promise
from ottla.scheduling.steps import Steps
from ottla.wire.batch import read_header
from ottla.wire.errors import ProtocolError
from ottla.wire.records import read_records

log = logging.getLogger(__name__)

RECORDS_PER_STEP = 200
NO_PRODUCER = -1
COMMIT_MARKER = 1

_MARKER = Struct(">hh")
"""The key of a control record: its version, and 0 for abort or 1 for commit."""


def replay(batches: Iterable[bytes | bytearray | memoryview | Promise[Any]], shard: Shard[Record]) -> Steps[None]:
    """Apply all records of these batches to ``shard``, in steps.

    Raises ProtocolError or KafkaError for a batch that cannot be read. Records of unknown
    types are skipped.
    """
    unknown: set[int] = set()
    count = 0
    for batch in batches:
        if isinstance(batch, Promise):
            yield batch
            continue
        header = read_header(batch)
        if header.is_control:
            for record in read_records(batch):
                if record.key is None or len(record.key) < _MARKER.size:
                    raise ProtocolError(f"the control record at offset {record.offset} has no type")
                kind = _MARKER.unpack_from(record.key)[1]
                shard.end_transaction(header.producer_id, committed=kind == COMMIT_MARKER)
            continue
        producer_id = header.producer_id if header.is_transactional else NO_PRODUCER
        for record in read_records(batch):
            decoded = shard.decode(record.key, record.value)
            if isinstance(decoded, int):
                unknown.add(decoded)
            else:
                shard.replay(decoded, record_offset=record.offset, producer_id=producer_id)
            count += 1
            if count % RECORDS_PER_STEP == 0:
                yield None
        yield None
    if unknown:
        log.warning("Skipped records of unknown types: %s", sorted(unknown))
