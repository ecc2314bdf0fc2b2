"""DescribeClientQuotas and AlterClientQuotas as Apache 4.3.1 answered them, and what quotas do to clients."""

import math

import pytest

from ottla.wire.codes import ErrorCode
from ottla.wire.messages.core import MetadataRequest
from ottla.wire.messages.fetch import FetchRequest
from ottla.wire.messages.produce import ProduceRequest
from ottla.wire.messages.quotas import AlterClientQuotasRequest, DescribeClientQuotasRequest
from ottla.wire.records import Record, build_batch
from tests.stage.single_broker import Broker
from tests.stage.sockets import serving, until

NONE, INVALID = ErrorCode.NONE, ErrorCode.INVALID_REQUEST
PRODUCER, CONSUMER, REQUEST = "producer_byte_rate", "consumer_byte_rate", "request_percentage"
MUTATION, CONNECTION = "controller_mutation_rate", "connection_creation_rate"
EXACT, DEFAULT, ANY = range(3)
USER, CLIENT = ("user", "u"), ("client-id", "c")


def alter(broker, *entries, version=1, validate_only=False):
    """Return the error code of each entity."""
    Entry = AlterClientQuotasRequest.Entry  # noqa: N806
    request = AlterClientQuotasRequest(
        entries=[
            Entry(
                entity=[Entry.Entity(entity_type=kind, entity_name=name) for kind, name in entity],
                ops=[Entry.Op(key=key, value=value or 0.0, remove=value is None) for key, value in changes],
            )
            for entity, changes in entries
        ],
        validate_only=validate_only,
    )
    return {
        tuple((part.entity_type, part.entity_name) for part in each.entity): ErrorCode(each.error_code)
        for each in broker.ask(request, version).entries
    }


def describe(broker, *components, strict=False, version=1):
    """The quotas of each entity that matches, or the error."""
    Component = DescribeClientQuotasRequest.Component  # noqa: N806
    request = DescribeClientQuotasRequest(
        components=[Component(entity_type=kind, match_type=how, match=name) for kind, how, name in components],
        strict=strict,
    )
    response = broker.ask(request, version)
    if response.entries is None:
        return ErrorCode(response.error_code)
    return {
        tuple((part.entity_type, part.entity_name) for part in each.entity): {one.key: one.value for one in each.values}
        for each in response.entries
    }


def set_quota(broker, *entity, **quotas):
    assert list(alter(broker, (entity, list(quotas.items()))).values()) == [NONE]


@pytest.mark.parametrize("version", [0, 1])
def test_quotas_are_set_shown_and_removed(broker, version):
    assert describe(broker, version=version) == {}
    answers = alter(
        broker,
        ([USER, CLIENT], [(PRODUCER, 1.0), (REQUEST, 1.5)]),
        ([("user", None)], [(MUTATION, 0.5)]),
        ([("ip", "10.0.0.7")], [(CONNECTION, 12.0)]),
        version=version,
    )
    # The parts of an entity are answered in the order of their types.
    assert answers == {(CLIENT, USER): NONE, (("user", None),): NONE, (("ip", "10.0.0.7"),): NONE}
    assert describe(broker, version=version) == {
        (CLIENT, USER): {PRODUCER: 1.0, REQUEST: 1.5},
        (("user", None),): {MUTATION: 0.5},
        (("ip", "10.0.0.7"),): {CONNECTION: 12.0},
    }
    alter(broker, ([USER, CLIENT], [(PRODUCER, None), (REQUEST, None)]), ([("user", None)], [(MUTATION, None)]))
    assert describe(broker) == {(("ip", "10.0.0.7"),): {CONNECTION: 12.0}}


def test_quotas_survive_a_restart(tmp_path):
    broker = Broker(tmp_path)
    set_quota(broker, USER, ("client-id", None), producer_byte_rate=1.0)
    broker.close()
    broker = Broker(tmp_path)
    assert describe(broker) == {(("client-id", None), USER): {PRODUCER: 1.0}}
    broker.close()


def test_a_change_can_be_tried_out(broker):
    assert alter(broker, ([USER], [(PRODUCER, 1.0)]), validate_only=True) == {(USER,): NONE}
    assert describe(broker) == {}


@pytest.mark.parametrize(
    ("entity", "change"),
    [
        ([USER], ("nope", 1.0)),
        ([USER], ("", 1.0)),
        ([USER], (PRODUCER, -1.0)),
        ([USER], (PRODUCER, 0.0)),
        ([USER], (PRODUCER, 1.5)),
        ([USER], (PRODUCER, 1e300)),
        ([USER], (PRODUCER, math.inf)),
        ([USER], (REQUEST, 0.0)),
        ([USER], (CONNECTION, 1.0)),
        ([("ip", "1.2.3.4")], (PRODUCER, 1.0)),
        ([("ip", "1.2.3.4")], (CONNECTION, 1.5)),
        ([("ip", None)], (CONNECTION, 3e9)),
        ([("ip", "nope host")], (CONNECTION, 1.0)),
        ([("ip", "")], (CONNECTION, 1.0)),
        ([("ip", "1.2.3.4"), USER], (CONNECTION, 1.0)),
        ([("nope", "x")], (PRODUCER, 1.0)),
        ([USER, ("nope", "x")], (PRODUCER, 1.0)),
        ([("user", "")], (PRODUCER, None)),
        ([("client-id", "")], (PRODUCER, 1.0)),
        ([], (PRODUCER, 1.0)),
    ],
)
def test_a_wrong_quota_changes_nothing(broker, entity, change):
    good = [("user", "other")]
    answers = alter(broker, (entity, [(REQUEST, 5.0), change]), (good, [(PRODUCER, 1.0)]))
    assert answers == {tuple(sorted(entity)): INVALID, tuple(good): NONE}
    assert describe(broker) == {tuple(good): {PRODUCER: 1.0}}


def test_what_is_not_set_can_be_removed(broker):
    assert alter(broker, ([USER], [("nope", None), (PRODUCER, None)])) == {(USER,): NONE}


def test_who_or_what_is_named_twice_is_left_alone(broker):
    assert alter(broker, ([USER], [(PRODUCER, 1.0)]), ([USER], [(PRODUCER, 2.0)])) == {(USER,): INVALID}
    assert alter(broker, ([USER], [(PRODUCER, 1.0), (PRODUCER, None)])) == {(USER,): INVALID}
    assert describe(broker) == {}


def test_of_two_parts_of_a_type_the_last_counts(broker):
    assert alter(broker, ([("user", "u"), ("user", "v")], [(PRODUCER, 1.0)])) == {(("user", "v"),): NONE}


@pytest.mark.parametrize(
    ("components", "strict", "found"),
    [
        ([], False, {"uc", "u-", "u", "-", "c", "ip"}),
        ([], True, set()),
        ([("user", EXACT, "u")], False, {"uc", "u-", "u"}),
        ([("user", EXACT, "u")], True, {"u"}),
        ([("user", DEFAULT, None)], True, {"-"}),
        ([("user", ANY, None)], True, {"u", "-"}),
        ([("client-id", EXACT, "c")], False, {"uc", "c"}),
        ([("client-id", DEFAULT, None)], False, {"u-"}),
        ([("user", EXACT, "u"), ("client-id", ANY, None)], False, {"uc", "u-"}),
        ([("ip", ANY, None)], True, {"ip"}),
        ([("user", EXACT, "nobody")], False, set()),
        ([("user", EXACT, "")], False, set()),
    ],
)
def test_a_filter_finds_entities_by_their_parts(broker, components, strict, found):
    entities = {
        "uc": [USER, CLIENT],
        "u-": [USER, ("client-id", None)],
        "u": [USER],
        "-": [("user", None)],
        "c": [CLIENT],
        "ip": [("ip", "1.2.3.4")],
    }
    for name, entity in entities.items():
        set_quota(broker, *entity, **{CONNECTION if name == "ip" else PRODUCER: 5.0})
    assert set(describe(broker, *components, strict=strict)) == {
        tuple(sorted(entities[name], key=str)) for name in found
    }


@pytest.mark.parametrize(
    ("components", "code"),
    [
        ([("user", EXACT, None)], INVALID),
        ([("user", DEFAULT, "x")], INVALID),
        ([("user", ANY, "x")], INVALID),
        ([("user", 3, None)], INVALID),
        ([("", EXACT, "x")], INVALID),
        ([("nope", EXACT, "x")], ErrorCode.UNSUPPORTED_VERSION),
        ([("user", EXACT, "u"), ("user", EXACT, "u")], INVALID),
        ([("ip", ANY, None), ("user", ANY, None)], INVALID),
    ],
)
def test_a_filter_that_makes_no_sense_is_an_error(broker, components, code):
    assert describe(broker, *components) == code


# --- What they do


@pytest.fixture
def topic(broker):
    return broker.cluster.topics.create("t", assignments=[[1]], configs={})


def produce(broker, size, *, acks=-1):
    """Produce about so many bytes; answer the throttle time."""
    Topic = ProduceRequest.Topic  # noqa: N806
    batch = build_batch([Record(0, broker.clock.wall_ms(), b"", bytes(size - 74))])
    request = ProduceRequest(
        acks=acks,
        timeout_ms=1000,
        topic_data=[Topic(name="t", partition_data=[Topic.Partition(index=0, records=bytes(batch))])],
    )
    return broker.begin(request, 9)


def throttle_ms(answer):
    """The throttle time that a client is told; where it is more than 0, the connection is muted."""
    told = answer.response().throttle_time_ms
    assert (told == 0) == answer.done
    return told


def fetch(broker, *, session_epoch=-1, session_id=0, max_wait_ms=0):
    Topic = FetchRequest.Topic  # noqa: N806
    partition = Topic.Partition(
        partition=0, current_leader_epoch=-1, fetch_offset=0, log_start_offset=-1, partition_max_bytes=1 << 20
    )
    request = FetchRequest(
        replica_id=-1,
        max_wait_ms=max_wait_ms,
        min_bytes=1,
        max_bytes=1 << 20,
        session_id=session_id,
        session_epoch=session_epoch,
        topics=[Topic(topic="t", partitions=[partition])] if session_epoch <= 0 else [],
        forgotten_topics_data=[],
        rack_id="",
    )
    return broker.begin(request, 11)


def test_without_a_quota_nothing_is_measured(broker, topic):
    assert broker.context.meter is None
    set_quota(broker, ("ip", "1.2.3.4"), connection_creation_rate=1.0)
    assert broker.context.meter is None
    set_quota(broker, CLIENT, producer_byte_rate=1.0)
    assert broker.context.meter is not None
    newcomer = broker.connect()
    assert newcomer.meter is not None
    set_quota(broker, CLIENT, producer_byte_rate=None)
    assert broker.context.meter is newcomer.meter is None


def test_who_produces_too_much_is_told_for_how_long_to_wait(broker, topic):
    set_quota(broker, ("client-id", "test"), producer_byte_rate=1000.0)
    assert throttle_ms(produce(broker, 10_000)) == 0
    muted = produce(broker, 5000)
    assert throttle_ms(muted) == pytest.approx(5000, abs=20)
    broker.cluster.timers.run_due(broker.clock.now + 4.9)
    assert not muted.done
    broker.cluster.timers.run_due(broker.clock.now + 5.02)
    assert muted.done
    assert muted.reply.reply() is None
    broker.clock.now += 21
    assert throttle_ms(produce(broker, 5000)) == 0


def test_other_clients_are_not_held_to_it(broker, topic):
    set_quota(broker, ("client-id", "somebody"), producer_byte_rate=1.0)
    assert throttle_ms(produce(broker, 5000)) == 0


def test_without_acks_too_the_connection_waits_though_nobody_is_told(broker, topic):
    set_quota(broker, ("user", "ANONYMOUS"), producer_byte_rate=100.0)
    answer = produce(broker, 5000, acks=0)
    assert not answer.done
    broker.cluster.timers.run_due(broker.clock.now + 60.0)
    assert answer.done
    assert answer.reply.reply() is None


def test_who_fetches_too_much_gets_nothing_for_a_while(broker, topic):
    for _ in range(30):
        broker.append("t", 1)
    set_quota(broker, ("user", None), consumer_byte_rate=100.0)
    # At first there is as much as the quota allows for all its windows.
    first = fetch(broker)
    size = len(first.response().responses[0].partitions[0].records)
    assert 900 < size <= 1000
    others = broker.cluster.timers.next_deadline()
    over = fetch(broker)
    assert throttle_ms(over) == round((2 * size / 10 - 100) / 100 * 10 * 1000)
    assert over.response().responses == []
    over.abandon()  # the client goes away, and nothing is left of it
    assert broker.cluster.timers.next_deadline() == others
    broker.clock.now += 12
    assert fetch(broker).response().responses != []


def test_a_session_goes_on_where_it_was_when_its_client_was_throttled(broker, topic):
    broker.append("t", 1)
    set_quota(broker, ("client-id", "test"), consumer_byte_rate=20.0)
    first = fetch(broker, session_epoch=0)
    assert throttle_ms(first) == 0
    session_id = first.response().session_id
    broker.append("t", 1)
    over = fetch(broker, session_id=session_id, session_epoch=1)
    assert throttle_ms(over) > 0
    assert (over.response().session_id, over.response().responses) == (session_id, [])
    broker.clock.now += 30
    again = fetch(broker, session_id=session_id, session_epoch=2)
    assert throttle_ms(again) == 0
    assert len(again.response().responses[0].partitions[0].records) > 0


def test_who_takes_too_much_of_the_brokers_time_waits_up_to_a_second(broker, topic):
    ticks = iter(range(100))
    broker.cluster.throttling.stopwatch = lambda: float(next(ticks))
    set_quota(broker, ("client-id", None), request_percentage=1.0)
    # Each request takes a second: 10 % of the ten seconds that are measured.
    answer = broker.begin(MetadataRequest(topics=None), 12)
    assert throttle_ms(answer) == 1000


@pytest.mark.parametrize(
    ("entity", "shared"),
    [
        ([("client-id", "test"), ("user", "ANONYMOUS")], False),
        ([("client-id", None), ("user", "ANONYMOUS")], False),
        ([("user", "ANONYMOUS")], True),
        ([("client-id", "test"), ("user", None)], False),
        ([("client-id", None), ("user", None)], False),
        ([("user", None)], True),
        ([("client-id", "test")], False),
        ([("client-id", None)], False),
    ],
)
def test_the_most_particular_quota_binds(broker, entity, shared):
    particular = [
        [("client-id", "test"), ("user", "ANONYMOUS")],
        [("client-id", None), ("user", "ANONYMOUS")],
        [("user", "ANONYMOUS")],
        [("client-id", "test"), ("user", None)],
        [("client-id", None), ("user", None)],
        [("user", None)],
        [("client-id", "test")],
        [("client-id", None)],
    ]
    for number, each in enumerate(particular):
        if number >= particular.index(entity):
            set_quota(broker, *each, producer_byte_rate=float(number + 1))
    limit = broker.cluster.quotas.limit(PRODUCER, "ANONYMOUS", "test")
    assert limit.value == particular.index(entity) + 1
    assert (limit.shared_by[2] == "") == shared


def test_a_muted_connection_is_answered_and_then_not_read_from(broker, topic):
    set_quota(broker, ("client-id", "test"), request_percentage=0.001)
    ticks = iter(range(100))
    broker.cluster.throttling.stopwatch = lambda: float(next(ticks))

    async def talk(served):
        client = served.connect()
        answer = await client.ask(MetadataRequest(topics=None), 12)
        assert answer.throttle_time_ms == 1000
        (connection,) = served.loop.connections.values()
        assert connection.busy
        assert connection.waiting
        await served.move(1.0)
        await until(lambda: not connection.busy)
        answer = await client.ask(MetadataRequest(topics=None), 12)
        assert answer.throttle_time_ms == 1000

    serving(broker, talk)
