"""How records come in: Produce, and the producer ids that make it idempotent (KIP-98)."""

from ottla.wire.schema import ZERO_UUID, Records, Request, Response, Struct, field, i16, i32, i64, since, tagged, uuid


class ProduceRequest(Request, key=0, versions=(0, 13), flexible=9):
    """Append record batches, before version 3 messages (KIP-98). From version 13, topics are named by id (KIP-516)."""

    class Topic(Struct):
        class Partition(Struct):
            index: i32
            records: Records | None

        name: str = field(until=12, default="")
        topic_id: uuid = since(13, default=ZERO_UUID)
        partition_data: list[Partition]

    transactional_id: str | None = since(3, default=None)
    acks: i16
    timeout_ms: i32
    topic_data: list[Topic]

    @staticmethod
    def names_topics_by_id(version: int) -> bool:
        """Tell whether topics are named by id (KIP-516)."""
        return version >= 13

    @staticmethod
    def is_told_of_new_leaders(version: int) -> bool:
        """Tell whether an answer from the wrong node names the right one (KIP-951)."""
        return version >= 10

    @staticmethod
    def takes_messages(version: int) -> bool:
        """Tell whether records may come in the formats from before batches (KIP-98)."""
        return version < 3

    @staticmethod
    def takes_zstd(version: int) -> bool:
        """Tell whether batches may be compressed with zstd (KIP-110)."""
        return version >= 7


class ProduceResponse(Response, key=0, versions=(0, 13), flexible=9):
    """Where each batch went, or why not: record by record from version 8 (KIP-467), leaders from 10 (KIP-951)."""

    class Topic(Struct):
        class Partition(Struct):
            class RecordError(Struct):
                batch_index: i32
                batch_index_error_message: str | None = None

            class LeaderIdAndEpoch(Struct):
                leader_id: i32 = -1
                leader_epoch: i32 = -1

            index: i32
            error_code: i16 = 0
            base_offset: i64
            log_append_time_ms: i64 = since(2, default=-1)
            log_start_offset: i64 = since(5, default=-1)
            record_errors: list[RecordError] = since(8, default=[])
            error_message: str | None = since(8, default=None)
            current_leader: LeaderIdAndEpoch = tagged(0, 10, default=LeaderIdAndEpoch)

        name: str = field(until=12, default="")
        topic_id: uuid = since(13, default=ZERO_UUID)
        partition_responses: list[Partition]

    class NodeEndpoint(Struct):
        node_id: i32
        host: str
        port: i32
        rack: str | None = None

    responses: list[Topic]
    throttle_time_ms: i32 = since(1, default=0)
    node_endpoints: list[NodeEndpoint] = tagged(0, 10, default=[])


class InitProducerIdRequest(Request, key=22, versions=(0, 5), flexible=2):
    """Ask for a producer id; from version 3, a known one may bump its epoch (KIP-360)."""

    transactional_id: str | None
    transaction_timeout_ms: i32
    producer_id: i64 = since(3, default=-1)
    producer_epoch: i16 = since(3, default=-1)


class InitProducerIdResponse(Response, key=22, versions=(0, 5), flexible=2):
    """The producer id and epoch for an idempotent or transactional producer (KIP-98)."""

    throttle_time_ms: i32 = 0
    error_code: i16 = 0
    producer_id: i64 = -1
    producer_epoch: i16
