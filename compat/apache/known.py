"""Differences that `docs/deviations.md` explains, so that the comparison counts them and does not stop at them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from compat.apache.agreement import Difference


class Known(NamedTuple):
    """Cases (by API and name, ``*`` for any part) in which the fields under ``paths`` differ, and why.

    The path of a whole answer, where one of the two gives none, is empty. ``deviation`` is the row of
    `docs/deviations.md`: its first cell.
    """

    api: str
    case: str
    paths: tuple[str, ...]
    reason: str
    deviation: str

    def covers(self, api: str, case: str, found: Difference) -> bool:
        """Tell whether this explains what was found."""
        return (
            fnmatchcase(api, self.api)
            and fnmatchcase(case, self.case)
            and any(fnmatchcase(found.path, path) for path in self.paths)
        )


NO_ANSWER = ""
_FIRST_RESULT = ("results.0.error_code", "results.0.error_message")
_JOINED = (
    "error_code",
    "generation_id",
    "protocol_type",
    "protocol_name",
    "leader",
    "skip_assignment",
    "member_id",
    "members",
)

KNOWN: tuple[Known, ...] = (
    Known(
        "InitProducerId",
        "*transactional_id = *",
        ("error_code", "producer_epoch"),
        "transactions are not served yet: a final error",
        "InitProducerId with a transactional id",
    ),
    Known(
        "Produce",
        "*",
        ("responses.*.partition_responses.*.error_message",),
        "Apache gives no text for what a batch's header shows",
        "Produce, an error found in a batch's header",
    ),
    Known(
        "Produce",
        "*records null",
        (NO_ANSWER,),
        "Apache never answers",
        "Produce without records (null) for a partition",
    ),
    Known(
        "JoinGroup",
        "*protocols first one twice",
        (NO_ANSWER, *_JOINED),
        "Apache fails on a protocol that is named twice",
        "JoinGroup that names one protocol twice",
    ),
    Known(
        "JoinGroup",
        "*protocols.0.metadata = ff*",
        (NO_ANSWER, *_JOINED),
        "Apache fails on a subscription that it cannot read",
        "JoinGroup with a subscription that cannot be read",
    ),
    Known(
        "AlterUserScramCredentials",
        "*salted_password = ",
        _FIRST_RESULT,
        "Apache fails on an empty password",
        "AlterUserScramCredentials with an empty salted password",
    ),
    Known(
        "AlterConfigs",
        "*resources first one twice",
        (NO_ANSWER,),
        "Apache never answers",
        "AlterConfigs that names a resource twice",
    ),
    Known(
        "OffsetDelete",
        "*topics first one twice",
        ("topics",),
        "Apache answers twice to what is named twice",
        "OffsetDelete that names a topic twice",
    ),
    Known(
        "IncrementalAlterConfigs",
        "*config_operation = *",
        ("responses.0.error_code", "responses.0.error_message"),
        "Apache fails on an unknown operation",
        "IncrementalAlterConfigs of a topic or logger, an operation that does not exist",
    ),
    Known(
        "CreatePartitions",
        "*count = 2147483647",
        _FIRST_RESULT,
        "Apache fails on so many partitions",
        "CreatePartitions, more than 10,000 new partitions of one topic",
    ),
    *(
        Known(
            "Fetch",
            f"*session_id = {session_id}",
            ("error_code", "session_id", "responses*"),
            "Apache fails on session ids that it does not give out",
            "Fetch with a session id of 2147483647 or -2147483648",
        )
        for session_id in (2147483647, -2147483648)
    ),
    *(
        Known(
            api,
            "a restart, answer *",
            paths,
            "Apache's leader epochs move at a restart",
            "leader epochs after a restart",
        )
        for api, paths in (
            ("Metadata", ("topics.0.partitions.*.leader_epoch",)),
            ("ListOffsets", ("topics.0.partitions.*.leader_epoch",)),
            ("OffsetForLeaderEpoch", ("topics.0.partitions.0.leader_epoch",)),
            # The batch that was appended afterwards names its epoch, and so do refusals.
            ("Fetch", ("responses.0.partitions.0.records", "responses.0.partitions.0.current_leader.leader_epoch")),
        )
    ),
    Known(
        "DescribeTopicPartitions",
        "*topics.0.name = ''",
        ("topics.0.error_code", "topics.0.topic_authorized_operations"),
        "Apache fails on an empty name",
        "DescribeTopicPartitions for a topic with an empty name",
    ),
    Known(
        "DescribeTopicPartitions",
        "*cursor.partition_index = 2147483647",
        ("next_cursor",),
        "Apache's int overflows",
        "DescribeTopicPartitions with a cursor at partition 2147483647",
    ),
)
