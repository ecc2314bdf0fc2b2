"""Decides which broker settings may change while the broker runs, as DynamicBrokerConfig does. Sets nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from ottla.broker.settings.broker_config import DEFINITIONS, BrokerConfig
from ottla.broker.settings.topic_config import topic_defaults
from ottla.broker.settings.types import InvalidSettingError, Value
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

log = logging.getLogger(__name__)

_ONLY_PER_LISTENER = ("ssl.keystore.", "ssl.truststore.", "ssl.key.password")
_ONLY_PER_BROKER = ("ssl.", "sasl.", "listener", "principal.builder.class", "cordoned.log.dirs")
_FIXED_HERE = ("listeners", "listener.security.protocol.map", "metric.reporters")
"""The settings that Apache changes by opening sockets or loading classes."""
_THREADS = (
    "num.io.threads",
    "num.network.threads",
    "num.replica.fetchers",
    "num.recovery.threads.per.data.dir",
    "background.threads",
)
"""The settings that Apache at most doubles or halves in one step."""


def check_dynamic(config: BrokerConfig, wanted: Mapping[str, str], *, whole_cluster: bool) -> None:
    """Refuse dynamic settings that Apache would refuse, for one broker or for the whole cluster.

    Unknown names are accepted: they may be a plugin's. Raises ``KafkaError`` INVALID_REQUEST.
    """
    known = {name: base for name in wanted if (base := config.base_name(name)) is not None}
    _refuse((name for name in known if not config.definition(name).dynamic), "cannot change while the broker runs")
    _refuse(
        (name for name, base in known.items() if name == base and base.startswith(_ONLY_PER_LISTENER)),
        "can change for one listener only, with its prefix",
    )
    try:
        values = {name: config.definition(name).read(wanted[name]) for name in known}
    except InvalidSettingError as error:
        raise KafkaError(ErrorCode.INVALID_REQUEST, str(error)) from None
    if whole_cluster:
        _refuse(
            (name for name, base in known.items() if base.startswith(_ONLY_PER_BROKER)),
            "can change for one broker only, not for all of them",
        )
    _check_here(config, values)
    _check_together(config, wanted, whole_cluster=whole_cluster)


def _refuse(names: Iterable[str], why: str) -> None:
    refused = ", ".join(names)
    if refused:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"{refused} {why}")


def _check_here(config: BrokerConfig, values: Mapping[str, Value]) -> None:
    """Compare values with those in force."""
    for name, value in values.items():
        now = config[name] if name in DEFINITIONS else None
        if name in _FIXED_HERE and value != now:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"{name} is fixed when Ottla starts")
        if name in _THREADS and isinstance(value, int) and isinstance(now, int) and not now <= 2 * value <= 4 * now:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"{name} can be doubled or halved at once, from {now}")
        if name == "cordoned.log.dirs" and value != ("*",) and value:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"{name} names a folder that is no log directory")


def _check_together(config: BrokerConfig, wanted: Mapping[str, str], *, whole_cluster: bool) -> None:
    """Check all settings together, as they would be."""
    own, defaults = (config.dynamic, wanted) if whole_cluster else (wanted, config.dynamic_defaults)
    tried = BrokerConfig(config.given, nodes=config.nodes)
    try:
        tried.set_dynamic(own=own, defaults=defaults)
        _check_connections(tried)
        _check_local_retention(tried)
    except InvalidSettingError as error:
        raise KafkaError(ErrorCode.INVALID_REQUEST, str(error)) from None


def _check_local_retention(config: BrokerConfig) -> None:
    topics = dict(topic_defaults(config))
    for unit in ("ms", "bytes"):
        local, whole = topics[f"local.retention.{unit}"], topics[f"retention.{unit}"]
        if isinstance(local, int) and isinstance(whole, int) and whole >= 0 and (local > whole or local == -1):
            raise InvalidSettingError(
                f"log.local.retention.{unit}", f"log.local.retention.{unit} must not exceed log.retention.{unit}"
            )


def _check_connections(config: BrokerConfig) -> None:
    overrides = config["max.connections.per.ip.overrides"]
    pairs = [pair for pair in str(overrides or "").split(",") if pair.strip()]
    for pair in pairs:
        _, _, number = pair.rpartition(":")
        if not number.strip().isdecimal():
            raise InvalidSettingError(
                "max.connections.per.ip.overrides", f"max.connections.per.ip.overrides has no number in {pair!r}"
            )
    if config.integer("max.connections.per.ip") == 0 and not pairs:
        raise InvalidSettingError(
            "max.connections.per.ip", "max.connections.per.ip can be 0 only with max.connections.per.ip.overrides"
        )


def usable(config: BrokerConfig, stored: Mapping[str, str]) -> Mapping[str, str]:
    """Return those of the stored dynamic settings that can be read; the others are named in the log, as Apache does."""
    found = {}
    for name, text in stored.items():
        try:
            if config.base_name(name) is not None:
                config.definition(name).read(text)
        except InvalidSettingError as error:
            log.warning("Ignored a setting that was changed while the broker ran: %s", error)
        else:
            found[name] = text
    return found
