"""IncrementalAlterConfigs: what each operation makes of a topic's own settings."""

import pytest

from ottla.broker.settings.operations import Operation, altered
from ottla.broker.settings.topic_table import TOPIC_DEFINITIONS
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

POLICY = TOPIC_DEFINITIONS["cleanup.policy"]
RETENTION = TOPIC_DEFINITIONS["retention.ms"]
THROTTLED = TOPIC_DEFINITIONS["leader.replication.throttled.replicas"]


@pytest.mark.parametrize(
    ("before", "definition", "operation", "value", "after"),
    [
        ({}, RETENTION, Operation.SET, "7", {"retention.ms": "7"}),
        ({"retention.ms": "7", "segment.ms": "8"}, RETENTION, Operation.DELETE, None, {"segment.ms": "8"}),
        ({}, RETENTION, Operation.DELETE, None, {}),
        # A list that is not set starts from its default, "delete".
        ({}, POLICY, Operation.APPEND, "compact", {"cleanup.policy": "delete,compact"}),
        ({}, POLICY, Operation.APPEND, "delete", {"cleanup.policy": "delete"}),
        ({"cleanup.policy": "compact,delete"}, POLICY, Operation.SUBTRACT, "compact", {"cleanup.policy": "delete"}),
        ({}, POLICY, Operation.SUBTRACT, "delete", {"cleanup.policy": ""}),
        ({}, THROTTLED, Operation.APPEND, "0:1,1:1", {"leader.replication.throttled.replicas": "0:1,1:1"}),
    ],
)
def test_an_operation_gives_the_new_overrides(before, definition, operation, value, after):
    kept = dict(before)
    assert altered(before, definition.name, definition, operation=operation, value=value) == after
    assert before == kept


@pytest.mark.parametrize(
    ("definition", "operation", "value", "code"),
    [
        (RETENTION, Operation.APPEND, "7", ErrorCode.INVALID_CONFIG),
        (RETENTION, Operation.SUBTRACT, "7", ErrorCode.INVALID_CONFIG),
        (RETENTION, Operation.SET, None, ErrorCode.INVALID_REQUEST),
        (RETENTION, 9, "7", ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_makes_no_sense_is_refused(definition, operation, value, code):
    with pytest.raises(KafkaError) as refused:
        altered({}, definition.name, definition, operation=operation, value=value)
    assert refused.value.code is code


def test_a_name_that_nobody_knows_can_only_be_deleted():
    assert altered({}, "tulip", None, operation=Operation.DELETE, value=None) == {}
    with pytest.raises(KafkaError, match="tulip is not a list"):
        altered({}, "tulip", None, operation=Operation.APPEND, value="7")
