"""Examines a stopped Apache broker's log folders, and decides what can be taken over into Ottla's catalog.

Apache's files are not changed: the logs stay as they are; the state in the metadata log goes into a catalog beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ottla.broker.quotas.limits import Entity
from ottla.broker.settings.broker_config import BrokerConfig
from ottla.broker.settings.topic_config import TopicConfig
from ottla.broker.versions.features import FEATURES
from ottla.storage import catalog as stored
from ottla.storage.catalog import PartitionState
from ottla.storage.catalogs.sqlite import FILE_NAME
from ottla.storage.files.directory_lock import DirectoryInUseError, DirectoryLock
from ottla.storage.files.identity import Identity, IdentityError, read_identity, read_partition_metadata, uuid_to_text
from ottla.storage.files.real import RealFiles
from ottla.storage.producers import Producers
from ottla.storage.segments.data_directory import CLEAN_SHUTDOWN, DELETED_SUFFIX
from ottla.storage.segments.recovery.producer_snapshots import CorruptSnapshotError, decode_snapshot
from ottla.storage.segments.segment import LOG_SUFFIX, SNAPSHOT_SUFFIX
from ottla.takeover.metadata_image import MetadataImage, TopicImage
from ottla.takeover.metadata_log import FOLDER as METADATA_FOLDER
from ottla.takeover.metadata_log import MetadataLogError, read_metadata
from ottla.wire.batch import MAGIC, MAGIC_OFFSET
from ottla.wire.codes import ResourceType
from ottla.wire.errors import KafkaError
from ottla.wire.messages.metadata_records import UserScramCredentialRecord

_MAXIMUM_NAMED = 5


class TakeoverError(Exception):
    """The folder cannot be taken over; the text has the reasons, for a person, one per line."""


@dataclass(kw_only=True, slots=True)
class Takeover:
    """The contents of Apache's folders, in the form in which it goes into the catalog."""

    folders: tuple[Path, ...]
    identity: Identity
    was_clean: bool
    topics: list[stored.Topic] = field(default_factory=list)
    logs: dict[tuple[str, int], Path] = field(default_factory=dict)
    """The folder of each partition's log."""
    configs: dict[tuple[int, str], Mapping[str, str]] = field(default_factory=dict)
    features: dict[str, int] = field(default_factory=dict)
    scram_credentials: list[UserScramCredentialRecord] = field(default_factory=list)
    quotas: dict[Entity, dict[str, float]] = field(default_factory=dict)
    next_producer_id: int = 0
    notes: list[str] = field(default_factory=list)
    """Sentences for a person about data that is left out or will be different."""

    @property
    def partitions(self) -> int:
        """The number of partitions, over all topics."""
        return sum(len(topic.partitions) for topic in self.topics)


@contextmanager
def examined(folders: Sequence[Path], *, without_acls: bool = False) -> Iterator[Takeover]:
    """Examine a broker's folders; they are locked until the context ends.

    ``folders`` are all of its ``log.dirs``, and its ``metadata.log.dir`` if that is another. Raises TakeoverError.
    """
    with ExitStack() as locks:
        try:
            for folder in folders:
                if not folder.is_dir():
                    raise TakeoverError(f"There is no folder {folder}.")
                locks.callback(DirectoryLock(folder).release)
            yield _examine(tuple(folders), without_acls=without_acls)
        except (DirectoryInUseError, IdentityError, MetadataLogError) as problem:
            raise TakeoverError(str(problem)) from problem
        except OSError as problem:
            raise TakeoverError(f"{problem.filename or folders[0]}: {problem.strerror or problem}") from problem


def _examine(folders: tuple[Path, ...], *, without_acls: bool) -> Takeover:
    found = Takeover(
        folders=folders,
        identity=_identity(folders),
        was_clean=all((folder / CLEAN_SHUTDOWN).exists() for folder in folders),
    )
    metadata = [folder / METADATA_FOLDER for folder in folders if (folder / METADATA_FOLDER).is_dir()]
    if len(metadata) != 1:
        raise TakeoverError(
            f"{METADATA_FOLDER} is in {len(metadata)} of the folders given; it must be in one. It lies in the broker's "
            "metadata.log.dir, else in the first of its log.dirs: give that folder, too."
        )
    image = MetadataImage.of(read_metadata(metadata[0], was_clean=found.was_clean))
    problems = [*_find_logs(found, image), *_unreadable_topics(found, image)]
    if image.acls and not without_acls:
        problems.append(
            f"The cluster has {len(image.acls)} ACLs, and Ottla has none yet: every client could do everything. "
            "--without-acls takes the rest over."
        )
    if problems:
        raise TakeoverError("\n".join(problems))
    broker = BrokerConfig()
    for topic in sorted(image.topics.values(), key=lambda topic: topic.name):
        found.topics.append(_topic(found, image, topic, broker))
    found.next_producer_id = image.next_producer_id
    found.scram_credentials = list(image.scram_credentials.values())
    found.quotas = image.quotas
    found.features = {
        name: level
        for name, level in image.features.items()
        if name in FEATURES and FEATURES[name].least <= level <= FEATURES[name].most
    }
    _take_configs(found, image)
    _note_what_is_left_out(found, image)
    return found


def _identity(folders: Iterable[Path]) -> Identity:
    identities = []
    for folder in folders:
        if (folder / FILE_NAME).exists():
            raise TakeoverError(
                f"{folder} is Ottla's already: it has a {FILE_NAME}. Serve it with `ottla serve --data-dir`; to "
                "take over Apache's data again, remove that file first: all that only Ottla knows is lost with it."
            )
        identity = read_identity(RealFiles(), folder)
        if identity is None:
            raise TakeoverError(f"{folder} is no log folder of a Kafka broker: it has no meta.properties.")
        identities.append(identity)
    if len({(identity.cluster_id, identity.node_id) for identity in identities}) > 1:
        raise TakeoverError("The folders are not all of one broker: their meta.properties name several.")
    return identities[0]


def _find_logs(found: Takeover, image: MetadataImage) -> Iterator[str]:
    """Find the log of each partition; yields a problem for those that are not here, or not complete."""
    node_id = found.identity.node_id
    files = RealFiles()
    elsewhere: dict[tuple[int, ...], list[str]] = defaultdict(list)
    behind, missing = [], []
    for topic in image.topics.values():
        for number, partition in topic.partitions.items():
            name = f"{topic.name}-{number}"
            if node_id not in partition.replicas:
                elsewhere[tuple(partition.replicas)].append(name)
                continue
            if not partition.is_whole_on(node_id):
                behind.append(name)
            here = [folder / name for folder in found.folders if (folder / name).is_dir()]
            here = [folder for folder in here if read_partition_metadata(files, folder) in {None, topic.id}]
            if len(here) == 1:
                found.logs[topic.name, number] = here[0]
            else:
                missing.append(name)
    for replicas, names in elsewhere.items():
        brokers = ", ".join(map(str, replicas))
        yield f"{_some(names, 'partition')} not on this broker ({node_id}), only on {brokers}; one must hold all."
    if behind:
        yield f"{_some(behind, 'partition')} behind the leader on this broker; take over the leader's folder."
    if missing:
        yield f"{_some(missing, 'partition')} in none of the folders given, or in several. Give all of log.dirs."


def _unreadable_topics(found: Takeover, image: MetadataImage) -> Iterator[str]:
    tiered = [
        topic.name
        for topic in image.topics.values()
        if image.configs.get((ResourceType.TOPIC, topic.name), {}).get("remote.storage.enable") == "true"
    ]
    if tiered:
        yield f"{_some(tiered, 'topic')} in tiered storage (remote.storage.enable), of which Ottla has none."
    files = RealFiles()
    old = [f"{topic}-{number}" for (topic, number), folder in found.logs.items() if _has_old_format(files, folder)]
    if old:
        yield f"{_some(old, 'partition')} in a message format from before Kafka 0.11, which Ottla does not read."


def _has_old_format(files: RealFiles, folder: Path) -> bool:
    """Look at the first batch of each segment: a newer Kafka never goes back to an older format."""
    for name in files.names(folder):
        if name.endswith(LOG_SUFFIX):
            file = files.file(folder / name)
            start = file.pread(MAGIC_OFFSET + 1, 0)
            file.close()
            if len(start) > MAGIC_OFFSET and start[MAGIC_OFFSET] < MAGIC:
                return True
    return False


def _topic(found: Takeover, image: MetadataImage, topic: TopicImage, broker: BrokerConfig) -> stored.Topic:
    if sorted(topic.partitions) != list(range(len(topic.partitions))):
        raise TakeoverError(f"The partitions of {topic.name} are not numbered from 0 without a gap.")
    alone = (found.identity.node_id,)
    # A new leader has a new epoch, as in Apache.
    states = [
        PartitionState(
            replicas=alone, isr=alone, leader=alone[0], leader_epoch=topic.partitions[number].leader_epoch + 1
        )
        for number in sorted(topic.partitions)
    ]
    return stored.Topic(
        name=topic.name, id=topic.id, partitions=tuple(states), configs=_topic_configs(found, image, topic.name, broker)
    )


def _topic_configs(found: Takeover, image: MetadataImage, name: str, broker: BrokerConfig) -> dict[str, str]:
    """Return a topic's own settings, without those that Kafka 4.3 does not have any more."""
    configs = dict(image.configs.get((ResourceType.TOPIC, name), {}))
    for setting, value in list(configs.items()):
        try:
            TopicConfig(broker, {setting: value})
        except KafkaError as refusal:
            del configs[setting]
            found.notes.append(f"{name}: {setting}={value} is left out: {refusal.message}.")
    return configs


def _take_configs(found: Takeover, image: MetadataImage) -> None:
    """Keep the settings of this broker, of groups and client metrics; drop those of other brokers and of loggers."""
    mine = {"", str(found.identity.node_id)}
    for (resource_type, name), configs in image.configs.items():
        if configs and (
            (resource_type == ResourceType.BROKER and name in mine)
            or resource_type in {ResourceType.CLIENT_METRICS, ResourceType.GROUP}
        ):
            found.configs[resource_type, name] = configs


def _note_what_is_left_out(found: Takeover, image: MetadataImage) -> None:
    for count, what in (
        (len(image.acls), "ACLs"),
        (len(image.delegation_tokens), "delegation tokens"),
    ):
        if count:
            found.notes.append(f"Left out, because Ottla has none yet: {count} {what}.")
    known = set(found.logs.values())
    unclaimed = [
        path.name
        for folder in found.folders
        for path in sorted(folder.iterdir())
        if path.is_dir() and path.name != METADATA_FOLDER and path not in known
        if not path.name.endswith(DELETED_SUFFIX)
    ]
    if unclaimed:
        found.notes.append(f"Left out: {_some(unclaimed, 'folder')} of no topic.")
    files = RealFiles()
    open_ones = [f"{name}-{number}" for (name, number), folder in found.logs.items() if _has_open(files, folder)]
    if open_ones:
        found.notes.append(
            f"{_some(open_ones, 'partition')} in an open transaction: consumers with read_committed wait there until "
            "it is ended."
        )
    if not found.was_clean:
        found.notes.append(
            "The broker was not stopped cleanly: at its first start, Ottla checks the logs above the recovery points."
        )


def _has_open(files: RealFiles, folder: Path) -> bool:
    """Whether the newest snapshot of a log's producers, written when it was closed, has an open transaction."""
    newest = max((name for name in files.names(folder) if name.endswith(SNAPSHOT_SUFFIX)), default=None)
    try:
        producers = decode_snapshot(files.read(folder / newest) or b"") if newest else Producers()
    except CorruptSnapshotError:
        return False  # It is rebuilt from the log.
    return any(state.transaction_offset >= 0 for _, state in producers.items())


def _some(names: Sequence[str], noun: str) -> str:
    """Return the number of names, with the first of them: `2 topics (a, b) are`."""
    named = ", ".join(names[:_MAXIMUM_NAMED]) + (", ..." if len(names) > _MAXIMUM_NAMED else "")
    return f"1 {noun} ({named}) is" if len(names) == 1 else f"{len(names)} {noun}s ({named}) are"


def describe(found: Takeover) -> Iterator[str]:
    """Yield lines for a person: the cluster, its topics, and what will be different."""
    identity = found.identity
    yield (
        f"Cluster {identity.cluster_id}, node {identity.node_id}: "
        f"{len(found.topics)} topics, {found.partitions} partitions"
    )
    for topic in found.topics:
        settings = "".join(f" {name}={value}" for name, value in sorted(topic.configs.items()))
        yield f"  {topic.name}  {uuid_to_text(topic.id)}  {len(topic.partitions)} partitions{settings}"
    yield from found.notes
