"""The broker's settings under Kafka's names, at start and while it runs. Only here do our defaults differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from ottla.broker.settings.apache_table import APACHE_DEFINITIONS
from ottla.broker.settings.broker_table import BROKER_DEFINITIONS, OUR_DEFINITIONS
from ottla.broker.settings.topic_table import BROKER_NAMES
from ottla.broker.settings.types import LONG, LONG_MAX, Definition, InvalidSettingError, Source, Type, Value, table
from ottla.broker.settings.values import Description, Settings, Synonym, describe

DEFINITIONS: Mapping[str, Definition] = {**BROKER_DEFINITIONS, **OUR_DEFINITIONS, **APACHE_DEFINITIONS}
_ACTED_ON = BROKER_DEFINITIONS.keys() | OUR_DEFINITIONS.keys()

# No file may hold these; they exist only while they are set dynamically (DynamicConfig.Broker).
DYNAMIC_DEFINITIONS: Mapping[str, Definition] = table(
    *(
        Definition(name, LONG, LONG_MAX, dynamic=True)
        for name in (
            "leader.replication.throttled.rate",
            "follower.replication.throttled.rate",
            "replica.alter.log.dirs.io.max.bytes.per.second",
        )
    )
)
_LISTENER = re.compile(r"listener\.name\.[^.]*\.(.+)")

# Our defaults, where they differ from Apache's: one node cannot keep three replicas, and has no other to wait for.
# Described in docs/configuration.md, which a test compares with this.
OUR_DEFAULTS: Mapping[str, str] = {
    "node.id": "1",
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.streams.initial.rebalance.delay.ms": "0",
}

_REPLICATION = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
_FULL_REPLICATION = 3


def our_defaults(nodes: int) -> Mapping[str, str]:
    """Return Ottla's defaults for a number of nodes: internal topics have three replicas, or as many as nodes."""
    replicas = min(nodes, _FULL_REPLICATION)
    figures = {f"{topic}.replication.factor": str(replicas) for topic in _REPLICATION}
    figures |= {f"{topic}.min.isr": str(max(1, replicas - 1)) for topic in _REPLICATION[1:]}
    return {**OUR_DEFAULTS, **figures}


# The first that is set counts; DescribeConfigs shows them together.
SYNONYMS: tuple[tuple[str, ...], ...] = (
    ("log.retention.ms", "log.retention.minutes", "log.retention.hours"),
    ("log.roll.ms", "log.roll.hours"),
    ("log.roll.jitter.ms", "log.roll.jitter.hours"),
    ("log.flush.interval.ms", "log.flush.scheduler.interval.ms"),
)

# Settings of one listener (listener.name.internal.ssl.keystore.location) and of plugins have names of the user's own.
_FREE_PREFIXES = ("listener.name.", "rsm.config.", "rlmm.config.")


class BrokerConfig(Settings):
    """All of Kafka's broker settings: those set while it runs, those given, then Ottla's defaults, then Apache's.

    Raises InvalidSettingError for a name that Apache does not know or a value that it refuses.
    """

    def __init__(self, given: Mapping[str, str] | None = None, *, nodes: int = 1) -> None:
        self.given: Mapping[str, str] = dict(given or {})
        self.nodes = nodes
        self._static: dict[str, Value] = {}
        for name, text in {**our_defaults(nodes), **_with_node_id(self.given)}.items():
            if name in DEFINITIONS:
                self._static[name] = DEFINITIONS[name].read(text)
            elif not name.startswith(_FREE_PREFIXES):
                raise _unknown(name)
        self.dynamic: Mapping[str, str] = {}
        """The settings of this broker that were changed while it ran, as they were given."""
        self.dynamic_defaults: Mapping[str, str] = {}
        """The settings of all brokers that were changed while they ran."""
        super().__init__({})
        self.set_dynamic(own={}, defaults={})

    def set_dynamic(self, *, own: Mapping[str, str], defaults: Mapping[str, str]) -> None:
        """Replace all dynamic settings, those of this broker and those of all brokers; in force at once.

        Raises InvalidSettingError for a value that Apache refuses, and then changes nothing.
        """
        static: dict[str, Value] = {name: definition.default for name, definition in DEFINITIONS.items()} | self._static
        # KIP-966: a cluster formatted with eligible leader replicas holds this one as a record, whatever the file says.
        defaults = {"min.insync.replicas": str(static["min.insync.replicas"]), **defaults}
        own_values, default_values = self._read(own), self._read(defaults)
        values = {**static, **default_values, **own_values}
        _check_together(Settings(values))
        self.dynamic, self.dynamic_defaults = dict(own), defaults
        self._own, self._defaults, self._values = own_values, default_values, values

    def _read(self, texts: Mapping[str, str]) -> dict[str, Value]:
        return {
            name: None if self.base_name(name) is None else self.definition(name).read(text)
            for name, text in texts.items()
        }

    def base_name(self, name: str) -> str | None:
        """Return the setting that a name means, without a listener's prefix; None if it is unknown."""
        if name in DEFINITIONS or name in DYNAMIC_DEFINITIONS:
            return name
        matched = _LISTENER.fullmatch(name)
        return matched[1] if matched and matched[1] in DEFINITIONS else None

    def definition(self, name: str) -> Definition:
        """Return the definition of a setting, also of a listener's own."""
        base = self.base_name(name) or name
        return (DEFINITIONS.get(base) or DYNAMIC_DEFINITIONS[base])._replace(name=name)

    @property
    def not_acted_on(self) -> tuple[str, ...]:
        """The given settings that Apache has, but that change nothing here."""
        return tuple(name for name in self.given if not acts_on(name))

    def first_set(self, *names: str) -> tuple[str, int] | None:
        """Return the first of these integer settings that is set, with its value."""
        return _first_set(self, names)

    def synonyms(self, name: str) -> Iterator[Synonym]:
        """Yield the places that the value of `name` may come from, nearest first, as DescribeConfigs shows them."""
        base = self.base_name(name)
        own_group = (name,) if base in {None, name} else (name, str(base))
        group = next((group for group in SYNONYMS if name in group), own_group)
        found = [
            Synonym(each, self._write(each, values[each]), source)
            for values, source in (
                (self._own, Source.DYNAMIC_BROKER_CONFIG),
                (self._defaults, Source.DYNAMIC_DEFAULT_BROKER_CONFIG),
                (self._static, Source.STATIC_BROKER_CONFIG),
                (_APACHE_DEFAULTS, Source.DEFAULT_CONFIG),
            )
            for each in group
            if each in values
        ]
        # Apache drops the synonyms before the first one of that very name.
        first = next((index for index, synonym in enumerate(found) if synonym.name == name), len(found))
        yield from found[first:]

    def _write(self, name: str, value: Value) -> str | None:
        return None if self.base_name(name) is None else self.definition(name).write(value)

    def describe(self) -> Iterator[Description]:
        """Yield DescribeConfigs' answer for this broker."""
        for name, definition in DEFINITIONS.items():
            if not definition.internal or (name in self.given and name not in OUR_DEFINITIONS):
                yield describe(definition, self[name], self.synonyms(name), read_only=not definition.dynamic)
        for name in (self._defaults | self._own).keys() - DEFINITIONS.keys():
            yield self._describe_dynamic(name, self._values[name], self.synonyms(name))

    def describe_cluster_wide(self) -> Iterator[Description]:
        """Yield DescribeConfigs' answer for all brokers together: their common dynamic settings."""
        for name, value in self._defaults.items():
            synonym = Synonym(name, self._write(name, value), Source.DYNAMIC_DEFAULT_BROKER_CONFIG)
            yield self._describe_dynamic(name, value, [synonym])

    def _describe_dynamic(self, name: str, value: Value, synonyms: Iterable[Synonym]) -> Description:
        base = self.base_name(name)
        if base is None:  # it may be a secret
            found = tuple(synonyms)
            return Description(
                name, None, Type.UNKNOWN, found[0].source, read_only=True, sensitive=True, synonyms=found
            )
        definition = self.definition(name)
        return describe(definition, value, synonyms, read_only=base != name or not definition.dynamic)


def acts_on(name: str) -> bool:
    """Whether a setting changes anything in Ottla."""
    return name in _ACTED_ON


_APACHE_DEFAULTS: Mapping[str, Value] = {
    name: definition.default for name, definition in DEFINITIONS.items() if definition.default is not None
}


def _with_node_id(given: Mapping[str, str]) -> Mapping[str, str]:
    """Give node.id and broker.id, one setting under two names, the same value. Raises InvalidSettingError."""
    names = {name: given[name] for name in ("node.id", "broker.id") if name in given}
    if len(set(names.values())) > 1:
        raise InvalidSettingError("broker.id", "broker.id and node.id name the same broker and must be equal")
    number = next(iter(names.values()), OUR_DEFAULTS["node.id"])
    return {**given, "node.id": number, "broker.id": number}


def _first_set(settings: Settings, names: Iterable[str]) -> tuple[str, int] | None:
    for name in names:
        if settings[name] is not None:
            return name, settings.integer(name)
    return None


def _check_together(config: Settings) -> None:
    """Check the bounds that Apache checks outside the definitions (KafkaConfig.validateValues)."""
    for group in SYNONYMS[:2]:
        found = _first_set(config, group)
        if found is not None and (found[1] == 0 or (found[1] < 0 and group[0] == "log.roll.ms")):
            raise InvalidSettingError(found[0], f"{found[0]} must be at least 1, not {found[1]}")
    if config.integer("group.min.session.timeout.ms") > config.integer("group.max.session.timeout.ms"):
        raise InvalidSettingError(
            "group.min.session.timeout.ms",
            "group.min.session.timeout.ms must not exceed group.max.session.timeout.ms",
        )


def _unknown(name: str) -> InvalidSettingError:
    """Return the error for an unknown setting, with the one that was probably meant."""
    from difflib import get_close_matches

    if name in BROKER_NAMES:
        return InvalidSettingError(name, f"{name} is a topic's setting; the broker's is {BROKER_NAMES[name][0]}")
    if name.startswith("zookeeper."):
        return InvalidSettingError(name, f"{name} is a setting of Kafka before 4.0; there is no ZooKeeper here")
    meant = get_close_matches(name.replace("_", ".").lower(), DEFINITIONS, n=1, cutoff=0.75)
    suggestion = f"; did you mean {meant[0]}?" if meant else ""
    return InvalidSettingError(name, f"{name} is not a setting of Kafka's broker{suggestion}")
