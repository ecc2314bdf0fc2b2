"""Describes in one sentence the guarantee of an acknowledgement under a broker's settings. See docs/durability.md."""

from ottla.broker.settings.broker_config import BrokerConfig
from ottla.broker.settings.types import LONG_MAX

FLUSH_MESSAGES = "log.flush.interval.messages"


def acknowledgement(config: BrokerConfig, *, ephemeral: bool) -> str:
    """Return the guarantee for a record that was acknowledged; topics may have a policy of their own."""
    if ephemeral:
        return "a record is there until the broker ends"
    messages = config.integer(FLUSH_MESSAGES)
    if messages == 1:
        return "a record is on the disk, and survives kill -9 and a power cut"
    flush = config.first_set("log.flush.interval.ms", "log.flush.scheduler.interval.ms")
    flush_ms = LONG_MAX if flush is None else flush[1]
    losses = []
    if messages != LONG_MAX:
        losses.append(f"the last {messages - 1} records of a partition")
    if flush_ms != LONG_MAX:
        losses.append(f"the last {flush_ms} ms")
    if losses:
        return f"a record survives kill -9; a power cut may take {' or '.join(losses)}"
    return f"a record survives kill -9, but not a power cut; with -c {FLUSH_MESSAGES}=1 it does"
