"""Differences that `docs/deviations.md` explains, so that the comparison counts them and does not stop at them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from compat.apache.agreement import Difference


class Known(NamedTuple):
    """Cases (by API and name, ``*`` for any part) in which the fields under ``path`` differ, and why."""

    api: str
    case: str
    path: str
    reason: str

    def covers(self, api: str, case: str, found: Difference) -> bool:
        """Tell whether this explains what was found."""
        return fnmatchcase(api, self.api) and fnmatchcase(case, self.case) and fnmatchcase(found.path, self.path)


KNOWN: tuple[Known, ...] = (
    Known(
        "InitProducerId",
        "*transactional_id = *",
        "*",
        "transactions are not served yet: a final error",
    ),
    Known("Produce", "*", "*.error_message", "Apache gives no text for what a batch's header shows"),
    Known("Produce", "*records null", "*", "Apache never answers"),
    Known("JoinGroup", "*protocols first one twice", "*", "Apache fails on a protocol that is named twice"),
    Known("JoinGroup", "*protocols.0.metadata = *", "*", "Apache fails on a subscription that it cannot read"),
    Known("AlterUserScramCredentials", "*salted_password = ", "results.0.*", "Apache fails on an empty password"),
    Known("AlterConfigs", "*resources first one twice", "", "Apache never answers"),
    Known("OffsetDelete", "*topics first one twice", "topics*", "Apache answers twice to what is named twice"),
    Known("IncrementalAlterConfigs", "*config_operation = *", "responses.0.*", "Apache fails on an unknown operation"),
    Known("CreatePartitions", "*count = 2147483647", "results.0.*", "Apache fails on so many partitions"),
    Known("Fetch", "*session_id = *2147483647", "*", "Apache fails on session ids that it does not give out"),
    Known("Fetch", "*session_id = -2147483648", "*", "Apache fails on session ids that it does not give out"),
    Known("DescribeTopicPartitions", "*topics.0.name = ''", "topics.0.*", "Apache fails on an empty name"),
    Known("DescribeTopicPartitions", "*cursor.partition_index = 2147483647", "next_cursor*", "Apache's int overflows"),
)
