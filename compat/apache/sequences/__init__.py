"""Conversations that build state, a module for each subject. Those of `restarts` need brokers with few topics."""

from compat.apache.sequences import (
    configs,
    fetch_sessions,
    group_lives,
    logs,
    offsets,
    producers,
    quotas,
    topics,
)

SEQUENCES = tuple(
    sequence
    for module in (producers, fetch_sessions, logs, group_lives, offsets, topics, configs, quotas)
    for sequence in module.SEQUENCES
)
