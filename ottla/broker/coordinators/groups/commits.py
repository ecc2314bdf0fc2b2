"""Decides about committed offsets: which may be committed, read or deleted, and when they expire."""

from collections.abc import Iterator
from itertools import islice

from ottla.broker.coordinators.engine.decision import Asked, Now
from ottla.broker.coordinators.engine.java_strings import string_length
from ottla.broker.coordinators.groups.group import Group, Identity
from ottla.broker.coordinators.groups.group_records import GroupDecision, offset_record
from ottla.broker.coordinators.groups.group_settings import GroupSettings
from ottla.broker.coordinators.groups.offsets import CommittedOffset, Offsets
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError
from ottla.wire.messages.group_records import OffsetCommitValue
from ottla.wire.messages.groups import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetFetchRequest,
    OffsetFetchResponse,
)

NO_OFFSET = -1
NO_EPOCH = -1
NOT_SAID = -1
MAX_TIMESTAMP = 2**63 - 1
RECORDS_PER_BATCH = 1000
"""The number of offsets that are forgotten at a time where no client waits for it."""

CommitTopic = OffsetCommitResponse.Topic
FetchGroup = OffsetFetchResponse.Group
FetchTopic = FetchGroup.Topic
FetchPartition = FetchTopic.Partition
DeleteTopic = OffsetDeleteResponse.Topic


def refuse_commit(request: OffsetCommitRequest, code: ErrorCode) -> OffsetCommitResponse:
    """Return the answer that refuses the commit of every partition."""
    return OffsetCommitResponse(
        topics=[
            CommitTopic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    CommitTopic.Partition(partition_index=each.partition_index, error_code=code)
                    for each in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


class Commit:
    """A request to commit offsets: its topics exist and have both name and id."""

    __slots__ = ("asked", "is_told_of_missing_groups", "request")

    def __init__(self, request: OffsetCommitRequest, *, is_told_of_missing_groups: bool) -> None:
        self.asked: Asked[OffsetCommitResponse] = Asked(lambda code: refuse_commit(request, code))
        self.request = request
        self.is_told_of_missing_groups = is_told_of_missing_groups
        """Whether the client knows GROUP_ID_NOT_FOUND; older ones are told ILLEGAL_GENERATION."""

    def decide(self, group: Group | None, settings: GroupSettings, now: Now) -> GroupDecision:
        """Check the member that commits, then each offset."""
        decision = GroupDecision()
        request = self.request
        try:
            self._check(group, now)
        except KafkaError as error:
            decision.refuse(self.asked, error.code)
            return decision
        expire_timestamp = -1
        if request.retention_time_ms != -1:
            expire_timestamp = min(now.wall_ms + request.retention_time_ms, MAX_TIMESTAMP)
        response = refuse_commit(request, ErrorCode.NONE)
        for topic, answers in zip(request.topics, response.topics, strict=True):
            for each, answer in zip(topic.partitions, answers.partitions, strict=True):
                metadata = each.committed_metadata or ""
                if string_length(metadata) > settings.offset_metadata_max_length:
                    answer.error_code = ErrorCode.OFFSET_METADATA_TOO_LARGE
                    continue
                value = OffsetCommitValue(
                    offset=each.committed_offset,
                    leader_epoch=each.committed_leader_epoch,
                    metadata=metadata,
                    commit_timestamp=now.wall_ms if each.commit_timestamp == NOT_SAID else each.commit_timestamp,
                    expire_timestamp=expire_timestamp,
                    topic_id=topic.topic_id,
                )
                decision.records.append(offset_record(request.group_id, topic.name, each.partition_index, value))
        decision.reply(self.asked, response)
        return decision

    def _check(self, group: Group | None, now: Now) -> None:
        generation = self.request.generation_id_or_member_epoch
        if group is not None:
            group.check_commit(Identity(self.request.member_id, self.request.group_instance_id), generation, now)
        elif generation >= 0:
            raise KafkaError(
                ErrorCode.GROUP_ID_NOT_FOUND if self.is_told_of_missing_groups else ErrorCode.ILLEGAL_GENERATION
            )


def fetch(offsets: Offsets, request: OffsetFetchRequest.Group, *, require_stable: bool) -> FetchGroup:
    """Return a group's offsets; all of them if the request names no topics. Topics of the request have names."""
    stable = offsets.of_group(request.group_id)

    def read(topic: str, topic_id: bytes, partition: int) -> FetchPartition:
        offset = stable.get(topic, {}).get(partition)
        answer = FetchPartition(
            partition_index=partition, committed_offset=NO_OFFSET, committed_leader_epoch=NO_EPOCH, metadata=""
        )
        if require_stable and offsets.is_pending(request.group_id, topic, partition):
            answer.error_code = ErrorCode.UNSTABLE_OFFSET_COMMIT
        elif offset is not None and offset.is_of(topic_id):
            answer.committed_offset = offset.offset
            answer.committed_leader_epoch = offset.leader_epoch
            answer.metadata = offset.metadata
        return answer

    topics = request.topics
    if topics is None:
        topics = [OffsetFetchRequest.Group.Topic(name=name, partition_indexes=[*stable[name]]) for name in stable]
    return FetchGroup(
        group_id=request.group_id,
        topics=[
            FetchTopic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[read(topic.name, topic.topic_id, index) for index in topic.partition_indexes],
            )
            for topic in topics
        ],
    )


def delete(
    asked: Asked[OffsetDeleteResponse],
    request: OffsetDeleteRequest,
    *,
    group: Group | None,
    offsets: Offsets,
) -> GroupDecision:
    """Forget the offsets that a client names, except those of topics that members may read."""
    decision = GroupDecision()
    code = ErrorCode.GROUP_ID_NOT_FOUND if group is None else group.check_offset_delete()
    if group is None or code is not ErrorCode.NONE:
        decision.refuse(asked, code)
        return decision
    committed = set(offsets.partitions_of(request.group_id))
    topics = []
    for topic in request.topics:
        is_subscribed = group.is_subscribed(topic.name)
        answers = []
        for each in topic.partitions:
            answer = DeleteTopic.Partition(partition_index=each.partition_index)
            if is_subscribed:
                answer.error_code = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
            elif (topic.name, each.partition_index) in committed:
                decision.records.append(offset_record(request.group_id, topic.name, each.partition_index, None))
            answers.append(answer)
        topics.append(DeleteTopic(name=topic.name, partitions=answers))
    decision.reply(asked, OffsetDeleteResponse(topics=topics))
    return decision


def forget(group_id: str, partitions: Iterator[tuple[str, int]]) -> GroupDecision:
    """Forget offsets of these partitions, some at a time."""
    decision = GroupDecision()
    for topic, partition in islice(partitions, RECORDS_PER_BATCH):
        decision.records.append(offset_record(group_id, topic, partition, None))
    if len(decision.records) == RECORDS_PER_BATCH:
        decision.on_applied = lambda _: forget(group_id, partitions)
    return decision


def expired(group: Group, offsets: Offsets, now: Now) -> list[tuple[str, int]]:
    """Return the partitions whose offsets have expired: by their own expiry, or by retention (KIP-211)."""
    age_of = group.retention_begins()
    if age_of is None:
        return []

    def is_expired(offset: CommittedOffset) -> bool:
        if offset.expire_timestamp_ms != -1:
            return now.wall_ms >= offset.expire_timestamp_ms
        return now.wall_ms - age_of(offset) >= group.settings.offsets_retention_ms

    return [
        (topic, partition)
        for topic, partitions in offsets.of_group(group.group_id).items()
        if not group.is_subscribed(topic)
        for partition, offset in partitions.items()
        if is_expired(offset) and not offsets.is_pending(group.group_id, topic, partition)
    ]


def of_deleted_topic(offsets: Offsets, group_id: str, topic: str, topic_id: bytes) -> list[tuple[str, int]]:
    """Return the partitions whose offsets belong to a deleted topic, not to a new one of the same name."""
    stable = offsets.of_group(group_id).get(topic, {}).items()
    found = {
        partition for partition, offset in (*stable, *offsets.pending_of(group_id, topic)) if offset.is_of(topic_id)
    }
    return [(topic, partition) for partition in sorted(found)]
