"""What the log says about groups: the durable state. Changed only by applying records, live and on load alike."""

from ottla.broker.coordinators.groups.group_records import CoordinatorRecord, OffsetRecord
from ottla.broker.coordinators.groups.offsets import Offsets
from ottla.wire.messages.group_records import GroupMetadataValue


class CoordinatorState:
    """The groups and committed offsets of one partition of `__consumer_offsets`."""

    def __init__(self) -> None:
        self.groups: dict[str, GroupMetadataValue | None] = {}
        """What each group was when it was last written; None for one that only ever committed offsets."""
        self.offsets = Offsets()

    def apply(self, record: CoordinatorRecord, *, record_offset: int, producer_id: int = -1) -> None:
        """Take over one record of the log, at ``record_offset``."""
        if isinstance(record, OffsetRecord):
            if record.value is not None:
                self.groups.setdefault(record.key.group, None)
            self.offsets.apply(record.key, record.value, record_offset=record_offset, producer_id=producer_id)
        elif record.value is None:
            self.groups.pop(record.key.group, None)
        else:
            self.groups[record.key.group] = record.value

    def end_transaction(self, producer_id: int, *, committed: bool) -> None:
        """Take over a transaction's marker."""
        self.offsets.end_transaction(producer_id, committed=committed)
