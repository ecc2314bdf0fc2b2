"""A topic's settings under Kafka's names: its own over the broker's. Decides which values a topic may have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ottla.broker.settings.broker_config import BrokerConfig
from ottla.broker.settings.topic_table import BROKER_NAMES, TOPIC_DEFINITIONS
from ottla.broker.settings.types import LONG_MAX, Definition, InvalidSettingError, Source, Value
from ottla.broker.settings.values import Description, Settings, Synonym, describe
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

_MILLISECONDS = {"hours": 3_600_000, "minutes": 60_000}


class TopicConfig(Settings):
    """The settings in force for one topic. `overrides` are its own, as they were given.

    Raises KafkaError(INVALID_CONFIG) where Apache's LogConfig.validate refuses: unknown names, wrong values, values
    that contradict each other. Replace the whole object when a topic's settings change.
    """

    def __init__(self, broker: BrokerConfig, overrides: Mapping[str, str] | None = None) -> None:
        self.overrides: Mapping[str, str] = dict(overrides or {})
        self._broker = broker
        values = dict(topic_defaults(broker))
        for name, text in self.overrides.items():
            values[name] = _read(name, text)
        super().__init__(values)
        self._check_together()

    @property
    def syncs_appends(self) -> bool:
        """Whether appends wait for the disk. Then the topic itself must be on disk before them."""
        return self.integer("flush.messages") != LONG_MAX

    @property
    def validates_records(self) -> bool:
        """Whether every record is to be read before it is appended (the broker's ``record.validation``)."""
        return self._broker["record.validation"] == "full"

    def texts(self) -> dict[str, str]:
        """Return all settings that have a value, written as DescribeConfigs shows them."""
        written = {name: definition.write(self[name]) for name, definition in TOPIC_DEFINITIONS.items()}
        return {name: text for name, text in written.items() if text is not None}

    def describe(self) -> Iterator[Description]:
        """Yield DescribeConfigs' answer for this topic."""
        for name, definition in TOPIC_DEFINITIONS.items():
            if not definition.internal or name in self.overrides:
                yield describe(definition, self[name], self._synonyms(definition), read_only=False)

    def _synonyms(self, definition: Definition) -> Iterator[Synonym]:
        if definition.name in self.overrides:
            value = definition.write(self[definition.name])
            yield Synonym(definition.name, value, Source.DYNAMIC_TOPIC_CONFIG)
        if definition.name in BROKER_NAMES:
            yield from self._broker.synonyms(BROKER_NAMES[definition.name][0])

    def _check_together(self) -> None:
        if self.integer("min.compaction.lag.ms") > self.integer("max.compaction.lag.ms"):
            raise _invalid("min.compaction.lag.ms must not exceed max.compaction.lag.ms")
        if self.boolean("remote.storage.enable") and not self._broker["remote.log.storage.system.enable"]:
            raise _invalid("remote.storage.enable needs tiered storage, which this broker does not have")


def _read(name: str, text: str | None) -> Value:
    if name not in TOPIC_DEFINITIONS:
        raise _invalid(f"{name} is not a topic's setting")
    if text is None:
        raise _invalid(f"{name} has no value")
    try:
        return TOPIC_DEFINITIONS[name].read(text)
    except InvalidSettingError as error:
        raise _invalid(str(error)) from None


def topic_defaults(broker: BrokerConfig) -> Iterator[tuple[str, Value]]:
    """Yield the settings of a topic without settings of its own (KafkaConfig.extractLogConfigMap)."""
    for name, definition in TOPIC_DEFINITIONS.items():
        yield name, definition.default
        for broker_name in BROKER_NAMES.get(name, ()):
            value = broker[broker_name]
            if value is not None:
                unit = _MILLISECONDS.get(broker_name.rpartition(".")[2])
                yield name, broker.integer(broker_name) * unit if unit else value
                break
    retention = broker.first_set(*BROKER_NAMES["retention.ms"])
    if retention is not None and retention[1] < 0:
        yield "retention.ms", -1  # any negative time is "for ever", which has one name


def _invalid(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_CONFIG, message)
