"""Where logs lie on disk."""

from compat.apache.base import FIXED, Base
from ottla.wire.messages.log_dirs import AlterReplicaLogDirsRequest, DescribeLogDirsRequest

Described = DescribeLogDirsRequest.Topic
Moved = AlterReplicaLogDirsRequest.Dir

BASES = (
    Base("DescribeLogDirs", lambda _: DescribeLogDirsRequest(topics=[Described(topic=FIXED, partitions=[0, 1])])),
    Base(
        "AlterReplicaLogDirs",
        lambda _: AlterReplicaLogDirsRequest(
            dirs=[Moved(path="/nowhere", topics=[Moved.Topic(name=FIXED, partitions=[0, 1])])]
        ),
    ),
)
