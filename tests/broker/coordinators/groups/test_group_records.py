"""The records of `__consumer_offsets`, as Apache writes them."""

from pathlib import Path

import pytest

from ottla.broker.coordinators.engine.replay import replay
from ottla.broker.coordinators.groups.group_records import (
    GroupRecord,
    OffsetRecord,
    decode,
    encode,
    group_record,
    offset_record,
)
from ottla.broker.coordinators.groups.group_settings import GroupSettings
from ottla.broker.coordinators.groups.shard import GroupShard
from ottla.wire.errors import ProtocolError
from ottla.wire.messages.group_records import GroupMetadataValue, OffsetCommitValue
from ottla.wire.records import Record, build_batch, read_records

GOLDEN = Path(__file__).parent / "apache-consumer-offsets.hex"
BATCHES = [bytes.fromhex(line) for line in GOLDEN.read_text().splitlines() if not line.startswith("#")]
RECORDS = [record for batch in BATCHES for record in read_records(batch)]
TIMESTAMP = 1795227248172


def test_apaches_records_are_read_and_written_back_byte_by_byte():
    for record in RECORDS:
        decoded = decode(record.key, record.value)
        assert not isinstance(decoded, int)
        assert encode(decoded) == (record.key, record.value)


def test_apaches_records_say_what_happened():
    decoded = [decode(record.key, record.value) for record in RECORDS]
    created, stable, committed, empty, _, deleted, expiring = decoded
    assert isinstance(created, GroupRecord)
    assert created.key.group == "g1"
    assert (created.value.protocol_type, created.value.generation, created.value.members) == ("", 0, [])
    member = stable.value.members[0]
    assert (stable.value.generation, stable.value.leader, stable.value.protocol) == (1, member.member_id, "range")
    assert (member.client_id, member.client_host, member.assignment) == ("probe", "/127.0.0.1", b"abc")
    assert (member.rebalance_timeout, member.session_timeout) == (20000, 10000)
    assert isinstance(committed, OffsetRecord)
    assert (committed.key.topic, committed.key.partition) == ("t", 0)
    assert (committed.value.offset, committed.value.leader_epoch, committed.value.metadata) == (5, 3, "m")
    assert committed.value.commit_timestamp == TIMESTAMP
    assert (empty.value.generation, empty.value.members, empty.value.leader) == (2, [], None)
    assert deleted.value is None
    assert expiring.value.expire_timestamp - expiring.value.commit_timestamp == 60_000


def test_a_log_of_apaches_is_replayed_to_what_it_ended_with():
    shard = GroupShard(GroupSettings())
    state = shard.state

    for _ in replay(BATCHES, shard):
        pass
    assert state.groups["g1"].generation == 4
    assert state.offsets.of_group("g1") == {}
    assert state.offsets.of_group("gret")["t"][0].offset == 5


@pytest.mark.parametrize("version", range(5))
def test_values_of_every_version_are_read(version):
    value = GroupMetadataValue(
        protocol_type="consumer",
        generation=3,
        protocol="range",
        leader="a",
        members=[
            GroupMetadataValue.Member(
                member_id="a",
                client_id="c",
                client_host="/h",
                session_timeout=10_000,
                subscription=b"s",
                assignment=b"a",
            )
        ],
    )
    key, _ = encode(group_record("group", None))
    decoded = decode(key, version.to_bytes(2) + value.encode(version))
    assert decoded == group_record("group", value)
    commit = OffsetCommitValue(offset=4, metadata="m", commit_timestamp=1)
    key, _ = encode(offset_record("group", "topic", 2, None))
    assert decode(key, version.to_bytes(2) + commit.encode(version)) == offset_record("group", "topic", 2, commit)


def test_the_oldest_keys_of_offsets_are_read():
    key, _ = encode(offset_record("group", "topic", 2, None))
    assert decode(b"\0\0" + key[2:], None) == offset_record("group", "topic", 2, None)


def test_records_of_other_types_are_left_alone(caplog):
    shard = GroupShard(GroupSettings())
    state = shard.state

    batch = build_batch([Record(0, 0, b"\0\x05\0\x01g", b"\0\0")])
    assert sum(1 for _ in replay([batch], shard)) == 1
    assert state.groups == {}
    assert "[5]" in caplog.text


@pytest.mark.parametrize(
    ("key", "value"),
    [(None, b""), (b"", b""), (b"\0", None), (b"\0\2", None), (b"\0\2\0\1g", b""), (b"\0\2\0\1g", b"\0\x09")],
)
def test_bytes_that_are_no_record_are_refused(key, value):
    with pytest.raises(ProtocolError):
        decode(key, value)


def test_offsets_of_transactions_count_from_their_marker_on():
    key, value = encode(
        offset_record("group", "topic", 0, OffsetCommitValue(offset=4, metadata="", commit_timestamp=1))
    )
    commit = build_batch([Record(0, 0, key, value)], producer_id=5, producer_epoch=0, is_transactional=True)
    shard = GroupShard(GroupSettings())
    state = shard.state

    list(replay([commit], shard))
    assert state.offsets.of_group("group") == {}
    for kind, expected in ((0, {}), (1, {"topic"})):
        shard = GroupShard(GroupSettings())
        state = shard.state

        marker = build_batch(
            [Record(0, 0, b"\0\0" + kind.to_bytes(2), b"\0\0\0\0\0\0")],
            producer_id=5,
            producer_epoch=0,
            is_transactional=True,
            is_control=True,
        )
        list(replay([commit, marker], shard))
        assert state.offsets.of_group("group").keys() == set(expected)
