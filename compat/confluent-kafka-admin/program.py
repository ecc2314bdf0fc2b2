"""Every method of confluent-kafka's AdminClient, its answers held against those from Apache."""

from __future__ import annotations

import concurrent.futures
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plain
from compat_program import Job, an_hour_ago, check, check_equal, eventually, main
from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    ConsumerGroupType,
    ElectionType,
    IsolationLevel,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from printed import Printed

# Settings in Apache's file here, and Ottla's own defaults (docs/configuration.md): ports, folders, nodes, delays.
OWN_SETTINGS = re.compile(
    "listener|log.dir|controller|quorum|broker.session|broker.heartbeat|node.id|process.roles|auto.create.topics"
    "|num.partitions|dedupe.buffer|initial.rebalance.delay"
)
# Besides those that every library has: the objects of its metadata name the cluster's brokers by number.
VOLATILE = plain.VOLATILE | {"password", "orig_broker_name", "member_id", "consumer_id"}


class Admin:
    """Calls methods by name, waits for their futures, and keeps what they answer or raise."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.printed = Printed(job)
        self.client = AdminClient({"bootstrap.servers": job.bootstrap})

    def call(self, method: str, *values: Any, of: Callable[[Any], Any] = lambda answer: answer, **named: Any) -> Any:
        """The answer, futures waited for; `of` takes from it what is to be the same on both brokers."""
        answer = _settled(lambda: getattr(self.client, method)(*values, **named))
        title = f"{method} {plain.text(_shown(values), VOLATILE)} {plain.text(_shown(named), VOLATILE)}"
        self.printed.add(title, plain.text(_shown(of(answer)), VOLATILE))
        return answer

    def produce(self, count: int, partitions: int = 1, timestamp: int = 0) -> None:
        producer = Producer({"bootstrap.servers": self.job.bootstrap})
        for number in range(count):
            producer.produce(self.job.topic, b"%d" % number, partition=number % partitions, timestamp=timestamp)
            producer.flush(20)  # each in a batch of its own


def _settled(call: Callable[[], Any]) -> Any:
    """Futures replaced by their results, errors by "error CODE"."""
    try:
        answer = call()
        if isinstance(answer, concurrent.futures.Future):
            return answer.result(30)
    except KafkaException as error:
        return f"error {error.args[0].name()}"
    except (TypeError, ValueError) as error:
        return error
    if isinstance(answer, dict):
        return {key: _settled(lambda one=one: one) for key, one in answer.items()}
    return answer


def _shown(value: Any) -> Any:
    """The library's objects in C show nothing of themselves by default."""
    if isinstance(value, TopicPartition):
        return {
            "topic": value.topic,
            "partition": value.partition,
            "offset": value.offset,
            "error": _shown(value.error),
        }
    if isinstance(value, NewTopic | NewPartitions):
        return str(value)
    if type(value).__name__ == "KafkaError":
        return f"error {value.name()}"
    if isinstance(value, ConfigResource):
        return f"{value.restype.name} {value.name} {value.set_config_dict}"
    if isinstance(value, dict):
        return {str(plain.plain(_shown(key), VOLATILE)): _shown(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_shown(one) for one in value]
    if (
        type(value).__module__.startswith("confluent_kafka")
        and hasattr(value, "__dict__")
        and not hasattr(value, "name")
    ):
        return {key: _shown(one) for key, one in vars(value).items()}
    return value


def topics(admin: Admin) -> None:
    name = admin.job.topic
    new = [NewTopic(name, 2, 1, config={"retention.ms": "3600000"})]
    admin.call("create_topics", new, validate_only=True)
    admin.call("create_topics", new)
    admin.call("create_topics", new)
    admin.call("create_topics", [NewTopic(f"{name}-no", 1, 7), NewTopic("..", 1, 1)])
    admin.call("create_topics", [NewTopic(f"{name}-no", 1, 1, config={"retention.ms": "long"})])
    eventually(lambda: admin.client.list_topics(name, timeout=10).topics[name].error is None, "the topic is visible")
    admin.call("list_topics", name, timeout=10, of=lambda found: found.topics[name])
    both = TopicCollection([name, f"{name}-missing"])
    admin.call("describe_topics", both, include_authorized_operations=True)
    admin.call("create_partitions", [NewPartitions(name, 3)], validate_only=True)
    admin.call("create_partitions", [NewPartitions(name, 3)])
    admin.call("create_partitions", [NewPartitions(name, 1)])
    start = an_hour_ago()
    eventually(lambda: len(admin.client.list_topics(name, timeout=10).topics[name].partitions) == 3, "three partitions")
    admin.produce(12, partitions=3, timestamp=start)
    partitions = [TopicPartition(name, number) for number in range(3)]
    at = OffsetSpec.for_timestamp(start)
    for spec in (OffsetSpec.earliest(), OffsetSpec.latest(), OffsetSpec.max_timestamp(), at):
        for isolation in (IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED):
            admin.call("list_offsets", dict.fromkeys(partitions, spec), isolation_level=isolation)
    admin.call("list_offsets", {TopicPartition(f"{name}-missing", 0): OffsetSpec.latest()}, request_timeout=2)
    admin.call("delete_records", [TopicPartition(name, 0, 2), TopicPartition(name, 1, 1000)])
    admin.call("list_offsets", dict.fromkeys(partitions, OffsetSpec.earliest()))
    admin.call("delete_topics", [name, f"{name}-missing"])


def configs(admin: Admin) -> None:
    topic, name = ResourceType.TOPIC, admin.job.topic
    admin.client.create_topics([NewTopic(name, 1, 1)])[name].result(20)

    def shared(answer: Any) -> Any:
        return {
            resource: {key: value for key, value in found.items() if not OWN_SETTINGS.search(key)}
            if isinstance(found, dict)
            else found
            for resource, found in answer.items()
        }

    def wait_for(setting: str, value: str) -> None:
        """Apache's broker shows a change a little later than it answers."""
        resource = ConfigResource(topic, name)
        described = admin.client.describe_configs
        eventually(lambda: described([resource])[resource].result(20)[setting].value == value, f"{setting}={value}")

    admin.call("describe_configs", [ConfigResource(topic, name), ConfigResource(topic, f"{name}-missing")], of=shared)
    admin.call("describe_configs", [ConfigResource(ResourceType.BROKER, "1")], of=shared)
    admin.call("alter_configs", [ConfigResource(topic, name, {"retention.ms": "1000"})], validate_only=True)
    admin.call("alter_configs", [ConfigResource(topic, name, {"retention.ms": "1000"})])
    wait_for("retention.ms", "1000")
    admin.call("describe_configs", [ConfigResource(topic, name)])
    for value, operation, after in (
        ("compact", AlterConfigOpType.SET, "compact"),
        ("delete", AlterConfigOpType.APPEND, "compact,delete"),
        ("compact", AlterConfigOpType.SUBTRACT, "delete"),
        ("burn", AlterConfigOpType.SET, "delete"),
        (None, AlterConfigOpType.DELETE, "delete"),
    ):
        change = ConfigEntry("cleanup.policy", value, incremental_operation=operation)
        resource = ConfigResource(topic, name, incremental_configs=[change])
        admin.call("incremental_alter_configs", [resource])
        wait_for("cleanup.policy", after)
        admin.call("describe_configs", [ConfigResource(topic, name)])


def groups(admin: Admin) -> None:
    job = admin.job
    admin.client.create_topics([NewTopic(job.topic, 2, 1)])[job.topic].result(20)
    admin.produce(10, partitions=2, timestamp=an_hour_ago())
    first, second = TopicPartition(job.topic, 0, 3), TopicPartition(job.topic, 1, 4)
    settings = {"bootstrap.servers": job.bootstrap, "group.id": job.group, "client.id": "reader"}
    member = Consumer(settings | {"auto.offset.reset": "earliest", "enable.auto.commit": False})
    member.subscribe([job.topic])
    eventually(lambda: member.poll(0.2), "the member reads")
    member.commit(offsets=[first, second], asynchronous=False)

    def ours(found: Any) -> Any:
        return [group for group in found.valid if job.group == group.group_id], found.errors

    admin.call("list_consumer_groups", of=ours)
    for state in (ConsumerGroupState.STABLE, ConsumerGroupState.EMPTY):
        admin.call("list_consumer_groups", states={state}, of=ours)
    for kind in (ConsumerGroupType.CLASSIC, ConsumerGroupType.CONSUMER):
        admin.call("list_consumer_groups", types={kind}, of=ours)
    admin.call(
        "list_groups",
        job.group,
        timeout=10,
        of=lambda found: [(one.id, one.state, one.protocol, len(one.members)) for one in found],
    )
    admin.call("describe_consumer_groups", [job.group], include_authorized_operations=True)
    everything, one = (
        ConsumerGroupTopicPartitions(job.group),
        ConsumerGroupTopicPartitions(job.group, [TopicPartition(job.topic, 1)]),
    )
    admin.call("list_consumer_group_offsets", [everything])
    admin.call(
        "alter_consumer_group_offsets", [ConsumerGroupTopicPartitions(job.group, [TopicPartition(job.topic, 0, 1)])]
    )
    admin.call("delete_consumer_groups", [job.group])
    member.close()
    admin.call("describe_consumer_groups", [job.group, f"{job.group}-missing"])
    admin.call(
        "alter_consumer_group_offsets", [ConsumerGroupTopicPartitions(job.group, [TopicPartition(job.topic, 0, 1)])]
    )
    admin.call("list_consumer_group_offsets", [everything])
    admin.call("list_consumer_group_offsets", [one], require_stable=True)
    admin.call("list_consumer_group_offsets", [ConsumerGroupTopicPartitions(f"{job.group}-missing")])
    admin.call("delete_consumer_groups", [job.group, f"{job.group}-missing"])


def cluster(admin: Admin) -> None:
    job = admin.job
    admin.client.create_topics([NewTopic(job.topic, 2, 1)])[job.topic].result(20)
    admin.call("describe_cluster", include_authorized_operations=True)
    admin.call(
        "list_topics", timeout=10, of=lambda found: (found.controller_id, len(found.brokers), job.topic in found.topics)
    )
    admin.call("cluster_id", timeout=10, of=lambda found: len(found) == 22)
    partitions = [TopicPartition(job.topic, number) for number in (0, 1)]
    for kind in (ElectionType.PREFERRED, ElectionType.UNCLEAN):
        admin.call("elect_leaders", kind, partitions)
        admin.call("elect_leaders", kind, [TopicPartition(job.topic, 7)])
        admin.call("elect_leaders", kind)
    admin.call("poll", 0)
    admin.call("set_sasl_credentials", "user", "password")


def security(admin: Admin) -> None:
    binding = [ResourceType.TOPIC, admin.job.topic, ResourcePatternType.LITERAL, "User:alice", "*"]
    acl = AclBinding(*binding, AclOperation.READ, AclPermissionType.ALLOW)
    every = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    admin.call("create_acls", [acl])
    admin.call("describe_acls", every)
    admin.call("delete_acls", [every])
    user = admin.job.group
    one = UserScramCredentialUpsertion(user, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 8192), b"secret")
    weak = UserScramCredentialUpsertion(
        f"{user}-weak", ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 10), b"secret"
    )
    gone = UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_256)
    admin.call("alter_user_scram_credentials", [one, weak])
    admin.call("describe_user_scram_credentials", [user, f"{user}-weak"])
    admin.call("describe_user_scram_credentials", of=lambda found: found[user])
    admin.call("alter_user_scram_credentials", [gone])
    admin.call("alter_user_scram_credentials", [gone])
    admin.call("describe_user_scram_credentials", [user])


def complete(job: Job) -> None:
    """A method that a new version brings has to be called here, too."""
    called = set(re.findall(r'admin\.call\(\s*"(\w+)"', Path(__file__).read_text()))
    methods = {name for name in dir(AdminClient) if not name.startswith("_")}
    check_equal(sorted(methods - called), [], "methods that no scenario calls")
    check(called <= methods, "there are such methods")


SCENARIOS = {
    "admin-topics": topics,
    "admin-configs": configs,
    "admin-consumer-groups": groups,
    "admin-cluster": cluster,
    "admin-security": security,
}


def compared(job: Job) -> None:
    admin = Admin(job)
    SCENARIOS[job.role](admin)
    admin.printed.compare()


if __name__ == "__main__":
    main(dict.fromkeys(SCENARIOS, compared) | {"admin-complete": complete})
