"""Every method of kafka-python's KafkaAdminClient, its answers held against those from Apache."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plain
from compat_program import Job, an_hour_ago, check, check_equal, eventually, main
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    AlterConfigOp,
    ConfigResource,
    ConfigResourceType,
    MemberToRemove,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    OffsetTimestamp,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from printed import Printed

NOT_SERVED = {"abort_transaction", "describe_transactions", "find_hanging_transactions", "list_transactions"}
"""Methods whose APIs Ottla does not serve yet."""

# APIs that Ottla does not serve yet: of transactions, and of the groups of newer protocols.
KEYS_NOT_SERVED = {24, 25, 26, 27, 28, 65, 66, 68, 69, 76, 77, 78, 79, *range(83, 93)}
# Settings in Apache's file here, and Ottla's own defaults (docs/configuration.md): ports, folders, nodes, delays.
OWN_SETTINGS = re.compile(
    "listener|log.dir|controller|quorum|broker.session|broker.heartbeat|node.id|process.roles|auto.create.topics"
    "|num.partitions|dedupe.buffer|initial.rebalance.delay"
)

WAITED = {"retention.ms", "cleanup.policy", "consumer.session.timeout.ms", "interval.ms", "log.cleaner.threads"}
"""Settings that the scenarios change."""


class Admin:
    """Calls methods by name, and keeps what they answer or raise."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.printed = Printed(job)
        self.client = KafkaAdminClient(bootstrap_servers=job.bootstrap)

    def call(self, method: str, *values: Any, of: Callable[[Any], Any] = lambda answer: answer, **named: Any) -> Any:
        """The answer, or the exception; `of` takes from it what is to be the same on both brokers."""
        try:
            answer = getattr(self.client, method)(*values, **named)
            shown = of(answer)
        except Exception as error:
            answer = shown = error
        title = f"{method} {plain.text(values)} {plain.text(named)}"
        self.printed.add(title, plain.text(shown))
        return answer

    def produce(self, count: int, partitions: int = 1, timestamp: int | None = None) -> None:
        producer = KafkaProducer(bootstrap_servers=self.job.bootstrap, enable_idempotence=False)
        for number in range(count):
            sent = producer.send(self.job.topic, b"%d" % number, partition=number % partitions, timestamp_ms=timestamp)
            sent.get(timeout=20)  # each in a batch of its own
        producer.close()


def of_topic(job: Job) -> Callable[[Any], Any]:
    """Of a list of topics or groups, those of this scenario."""

    def ours(listed: Any) -> Any:
        return [one for one in listed if job.topic in str(one) or job.group in str(one)]

    return ours


def topics(admin: Admin) -> None:
    name, ours = admin.job.topic, of_topic(admin.job)
    new = [NewTopic(name, num_partitions=2, replication_factor=1, topic_configs={"retention.ms": "3600000"})]
    admin.call("create_topics", new, validate_only=True)
    admin.call("create_topics", new, wait_for_metadata=True)
    admin.call("create_topics", new)
    admin.call("create_topics", [NewTopic(f"{name}-no", 1, 7)], raise_errors=False)
    admin.call("wait_for_topics", [name])
    admin.call("list_topics", of=ours)
    admin.call("describe_topics", [name])
    admin.call("describe_topics", [f"{name}-missing"])
    admin.call("describe_topic_partitions", [name, f"{name}-missing"])
    admin.call("describe_topic_partitions", [name], response_partition_limit=1)
    admin.call("create_partitions", {name: NewPartitions(3)}, validate_only=True)
    admin.call("create_partitions", {name: NewPartitions(3)})
    admin.call("create_partitions", {name: NewPartitions(1)})
    start = an_hour_ago()
    admin.produce(30, partitions=3, timestamp=start)
    partitions = [TopicPartition(name, number) for number in range(3)]
    for spec in (OffsetSpec.EARLIEST, OffsetSpec.LATEST, OffsetSpec.MAX_TIMESTAMP, start, start + 1):
        admin.call("list_partition_offsets", dict.fromkeys(partitions, spec))
    admin.call("delete_records", {partitions[0]: 3, partitions[1]: -1})
    admin.call("list_partition_offsets", dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    admin.call("delete_topics", [name])
    admin.call("delete_topics", [name])
    admin.call("list_topics", of=ours)


def configs(admin: Admin) -> None:
    topic, name, ours = ConfigResourceType.TOPIC, admin.job.topic, of_topic(admin.job)
    admin.client.create_topics([NewTopic(name, 1, 1)], wait_for_metadata=True)

    def shared(answer: Any) -> Any:
        return {
            kind: {
                one: {key: value for key, value in settings.items() if not OWN_SETTINGS.search(key)}
                for one, settings in found.items()
            }
            for kind, found in answer.items()
        }

    def wait_for(kind: ConfigResourceType, one: str, expected: dict[str, str]) -> None:
        """Apache's broker shows a change a little later than it answers."""

        def there() -> bool:
            described = admin.client.describe_configs([ConfigResource(kind, one)])
            found = next(iter(described.values()), {}).get(one, {})
            values = {
                setting: value["value"] for setting, value in found.items() if "DYNAMIC" in str(value["config_source"])
            }
            return {setting: value for setting, value in values.items() if setting in WAITED} == expected

        eventually(there, f"{one} has {expected}")

    for which in ("all", "dynamic", "modified"):
        for synonyms in (True, False):
            resource = [ConfigResource(topic, name)]
            admin.call("describe_configs", resource, include_synonyms=synonyms, config_filter=which)
    admin.call("describe_configs", [ConfigResource(topic, f"{name}-missing")])
    broker = ConfigResourceType.BROKER
    admin.call("describe_configs", [ConfigResource(broker, "1")], config_filter="all", of=shared)
    for changes, after in (
        ({"retention.ms": "1000", "cleanup.policy": "compact"}, {"retention.ms": "1000", "cleanup.policy": "compact"}),
        (
            {"cleanup.policy": (AlterConfigOp.APPEND, "delete"), "retention.ms": (AlterConfigOp.DELETE, None)},
            {"cleanup.policy": "compact,delete"},
        ),
        ({"retention.ms": "soon"}, {"cleanup.policy": "compact,delete"}),
    ):
        admin.call("alter_configs", [ConfigResource(topic, name, changes)], validate_only=True)
        admin.call("alter_configs", [ConfigResource(topic, name, changes)])
        wait_for(topic, name, after)
        admin.call("describe_configs", [ConfigResource(topic, name)])
    admin.call("alter_configs", [ConfigResource(topic, name, {"retention.ms": "2000"})], incremental=False)
    wait_for(topic, name, {"cleanup.policy": "compact,delete", "retention.ms": "2000"})
    admin.call("alter_configs", [ConfigResource(topic, name, {"no.such": "1"})], raise_on_unknown=False)
    admin.call("describe_configs", [ConfigResource(topic, name)])
    admin.call("reset_configs", [ConfigResource(topic, name, ["retention.ms", "cleanup.policy"])])
    wait_for(topic, name, {})
    admin.call("describe_configs", [ConfigResource(topic, name)])
    for kind, one, settings in (
        (ConfigResourceType.GROUP, admin.job.group, {"consumer.session.timeout.ms": "50000"}),
        (ConfigResourceType.CLIENT_METRICS, admin.job.group, {"interval.ms": "60000"}),
        (broker, "1", {"log.cleaner.threads": "2"}),
    ):
        admin.call("alter_configs", [ConfigResource(kind, one, settings)], raise_on_unknown=False)
        wait_for(kind, one, settings)
        admin.call("describe_configs", [ConfigResource(kind, one)], of=shared)
        admin.call("list_config_resources", [kind], of=lambda found: {key: ours(one) for key, one in found.items()})
        admin.call("reset_configs", [ConfigResource(kind, one, list(settings))], raise_on_unknown=False)
        wait_for(kind, one, {})
        admin.call("describe_configs", [ConfigResource(kind, one)], of=shared)


def groups(admin: Admin) -> None:
    job, ours = admin.job, of_topic(admin.job)
    admin.client.create_topics([NewTopic(job.topic, 2, 1)], wait_for_metadata=True)
    admin.produce(20, partitions=2, timestamp=an_hour_ago())
    first, second = (TopicPartition(job.topic, number) for number in range(2))
    member = KafkaConsumer(
        job.topic,
        bootstrap_servers=job.bootstrap,
        group_id=job.group,
        client_id="reader",
        group_instance_id="instance",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    # A long poll: kafka-python 3.0 may lose the answer to a SyncGroup that is under way when a poll ends.
    eventually(lambda: member.poll(1000) and member.assignment(), "the member reads")
    member.commit({first: OffsetAndMetadata(4, "four", -1), second: OffsetAndMetadata(6, "", -1)})
    for filters in ({}, {"states_filter": ["Stable"]}, {"states_filter": ["Empty"]}, {"types_filter": ["classic"]}):
        admin.call("list_groups", of=ours, **filters)
    admin.call("describe_groups", [job.group], include_authorized_operations=True, of=_without_member_ids)
    admin.call("delete_groups", [job.group])
    admin.call("delete_group_offsets", job.group, [first])
    admin.call("alter_group_offsets", job.group, {first: OffsetAndMetadata(1, "", -1)})
    admin.call("list_group_offsets", {job.group: None})
    admin.call("list_group_offsets", {job.group: [second], f"{job.group}-missing": None})
    admin.call("remove_group_members", job.group, [MemberToRemove(group_instance_id="instance", reason="test")])
    admin.call("remove_group_members", job.group, [MemberToRemove(member_id="nobody")])
    member.close()
    admin.call("describe_groups", [job.group])
    admin.call("describe_groups", [f"{job.group}-missing"])
    admin.call("alter_group_offsets", job.group, {first: OffsetAndMetadata(2, "two", -1)})
    for spec in (OffsetSpec.EARLIEST, OffsetSpec.LATEST, OffsetTimestamp(5), 7, 1000):
        admin.call("reset_group_offsets", job.group, {first: spec, second: spec})
        admin.call("list_group_offsets", {job.group: None})
    admin.call("delete_group_offsets", job.group, [first, TopicPartition(f"{job.topic}-missing", 0)])
    admin.call("list_group_offsets", {job.group: None})
    admin.call("delete_groups", [job.group, f"{job.group}-missing"])
    admin.call("list_groups", of=ours)


def _without_member_ids(groups: Any) -> Any:
    """Ids are made of a UUID, and hosts are written as each broker likes."""
    for group in groups.values():
        for member in group["members"]:
            member["member_id"] = "..."
    return groups


def cluster(admin: Admin) -> None:
    job = admin.job
    admin.client.create_topics([NewTopic(job.topic, 2, 1)], wait_for_metadata=True)
    admin.produce(4, partitions=2)
    first, second = (TopicPartition(job.topic, number) for number in range(2))
    admin.call("api_versions", of=_served)
    admin.call("get_broker_version_data", 1, of=lambda data: _served(data.api_versions))
    admin.call("describe_cluster")
    admin.call("describe_features", of=lambda found: found["metadata.version"]["finalized"])
    admin.call("update_features", {"no.such.feature": 1})
    admin.call("update_features", {"metadata.version": ("SAFE_DOWNGRADE", 7)}, validate_only=True)
    admin.call("describe_metadata_quorum", of=_quorum)
    admin.call("describe_log_dirs", [job.topic], of=_partitions)
    admin.call("describe_log_dirs", {job.topic: [1]}, brokers=[1], of=_partitions)
    admin.call("alter_replica_log_dirs", {(job.topic, 0, 1): "/no/such/folder"})
    for kind in (0, 1):
        admin.call("elect_leaders", kind, {job.topic: [0, 1]}, raise_errors=False, of=_elected)
        admin.call("elect_leaders", kind, {job.topic: [7]})
    admin.call("alter_partition_reassignments", {first: [1], second: None})
    admin.call("alter_partition_reassignments", {first: [7], TopicPartition(f"{job.topic}-missing", 0): [1]})
    admin.call("list_partition_reassignments")
    admin.call("list_partition_reassignments", [first])
    admin.call("describe_producers", [first, second])
    admin.call("describe_producers", [TopicPartition(job.topic, 7)])
    idempotent = KafkaProducer(bootstrap_servers=job.bootstrap, enable_idempotence=True)
    idempotent.send(job.topic, b"x", partition=0).get(timeout=20)
    idempotent.close()
    states = admin.client.describe_producers([first])[first]
    check_equal(len(list(getattr(states, "active_producers", states))), 1, "producers of the partition")
    admin.call("close")


def _served(versions: dict[Any, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in versions.items() if int(key) not in KEYS_NOT_SERVED}


def _elected(answer: Any) -> Any:
    """Each partition's code, without the words for it."""
    return [
        (one.topic, [(partition.partition_id, partition.error_code) for partition in one.partition_result])
        for one in answer.replica_election_results
    ]


def _quorum(found: Any) -> Any:
    """Epochs, offsets and times are each broker's own."""
    partition = found["topics"][0]["partitions"][0]
    voters = [voter["replica_id"] for voter in partition["current_voters"]]
    return found["topics"][0]["topic_name"], partition["leader_id"], voters, partition["observers"], partition["error"]


def _partitions(brokers: Any) -> Any:
    for broker in brokers:
        for folder in broker["log_dirs"]:
            folder["total_bytes"] = folder["usable_bytes"] = "..."
            for topic in folder["topics"]:
                topic["partitions"].sort(key=lambda partition: partition["partition_index"])
    return brokers


def security(admin: Admin) -> None:
    pattern = ResourcePattern(ResourceType.TOPIC, admin.job.topic, ACLResourcePatternType.LITERAL)
    acl = ACL("User:alice", "*", ACLOperation.READ, ACLPermissionType.ALLOW, pattern)
    any_topic = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
    filter_ = ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, any_topic)
    admin.call("create_acls", [acl])
    admin.call("describe_acls", filter_)
    admin.call("delete_acls", [filter_], of=lambda answer: [(matches, error) for _, matches, error in answer])
    user = admin.job.group
    one = UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_256, b"secret", iterations=8192)
    weak = UserScramCredentialUpsertion(f"{user}-weak", ScramMechanism.SCRAM_SHA_512, b"secret", iterations=10)
    gone = UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_256)

    def outcome(answer: dict[str, Any]) -> dict[str, bool]:
        return {name: error is None for name, error in answer.items()}

    admin.call("alter_user_scram_credentials", [one, weak], of=outcome)
    admin.call("describe_user_scram_credentials", [user])
    admin.call("alter_user_scram_credentials", [gone], of=outcome)
    admin.call("alter_user_scram_credentials", [gone], of=outcome)
    admin.call(
        "describe_user_scram_credentials", [user], of=lambda answer: [bool(one["error"]) for one in answer.values()]
    )


def complete(job: Job) -> None:
    """A method that a new version brings has to be called here, too."""
    called = set(re.findall(r'admin\.call\(\s*"(\w+)"', Path(__file__).read_text()))
    methods = {
        name for name in dir(KafkaAdminClient) if not name.startswith("_") and callable(getattr(KafkaAdminClient, name))
    }
    check_equal(sorted(methods - called - NOT_SERVED), [], "methods that no scenario calls")
    check(methods >= NOT_SERVED and called <= methods, "there are such methods")


SCENARIOS = {
    "admin-topics": topics,
    "admin-configs": configs,
    "admin-consumer-groups": groups,
    "admin-cluster": cluster,
    "admin-security": security,
}


def compared(job: Job) -> None:
    admin = Admin(job)
    try:
        SCENARIOS[job.role](admin)
        admin.printed.compare()
    finally:
        admin.client.close()


if __name__ == "__main__":
    main(dict.fromkeys(SCENARIOS, compared) | {"admin-complete": complete})
