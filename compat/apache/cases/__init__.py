"""The good requests from which bad ones are made, a module for each family of APIs."""

from compat.apache.cases import (
    configs,
    core,
    fetch,
    groups,
    log_dirs,
    produce,
    quorum,
    quotas,
    replicas,
    security,
    telemetry,
    topics,
)

FAMILIES = (core, produce, fetch, groups, topics, configs, log_dirs, replicas, quorum, quotas, security, telemetry)
