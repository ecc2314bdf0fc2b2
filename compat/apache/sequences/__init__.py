"""Conversations that build state, a module for each subject."""

from compat.apache.sequences import (
    configs,
    fetch_sessions,
    group_lives,
    logs,
    offsets,
    producers,
    quotas,
    restarts,
    topics,
)

SEQUENCES = tuple(
    sequence
    for module in (producers, fetch_sessions, logs, group_lives, offsets, topics, configs, quotas, restarts)
    for sequence in module.SEQUENCES
)
