"""DescribeLogDirs and AlterReplicaLogDirs, as Apache 4.3.1 answered the same requests."""

import pytest

from ottla.wire.codes import ErrorCode
from ottla.wire.messages.log_dirs import AlterReplicaLogDirsRequest, DescribeLogDirsRequest

NONE = ErrorCode.NONE


def topic(broker, name, partitions=1):
    broker.cluster.topics.create(name, assignments=[[1]] * partitions, configs={})


def log_dirs(broker, topics=None, version=5):
    Topic = DescribeLogDirsRequest.Topic  # noqa: N806
    wanted = None if topics is None else [Topic(topic=name, partitions=indexes) for name, indexes in topics]
    response = broker.ask(DescribeLogDirsRequest(topics=wanted), version)
    assert response.error_code == NONE
    (directory,) = response.results
    assert directory.error_code == NONE
    return directory


def sizes(directory):
    return {
        (each.name, partition.partition_index): partition.partition_size
        for each in directory.topics
        for partition in each.partitions
    }


@pytest.mark.parametrize("version", range(1, 6))
def test_the_data_directory_tells_its_sizes(broker, version):
    topic(broker, "t", 2)
    broker.append("t", 10)
    directory = log_dirs(broker, version=version)
    size = (broker.cluster.directory.root / "t-0" / f"{0:020}.log").stat().st_size
    assert sizes(directory) == {("t", 0): size, ("t", 1): 0}
    assert size > 0
    assert directory.log_dir == str(broker.cluster.directory.root)
    assert not directory.is_cordoned
    if version >= 4:
        assert directory.total_bytes >= directory.usable_bytes > 0
    else:
        assert (directory.total_bytes, directory.usable_bytes) == (-1, -1)


@pytest.mark.parametrize(
    ("topics", "shown"),
    [
        (None, {("t", 0), ("t", 1), ("u", 0)}),
        ([], set()),
        ([("t", [])], set()),
        ([("t", [1])], {("t", 1)}),
        ([("t", [0, 0, 7, -1]), ("t", [1])], {("t", 0), ("t", 1)}),
        ([("u", [0]), ("unknown", [0])], {("u", 0)}),
    ],
)
def test_only_the_partitions_that_are_asked_for_and_are_there_are_shown(broker, topics, shown):
    topic(broker, "t", 2)
    topic(broker, "u")
    assert set(sizes(log_dirs(broker, topics))) == shown


# --- AlterReplicaLogDirs


def move(broker, *directories, version=2):
    """Ask for (path, [(topic, partitions)...]) each; answer the codes by topic and partition."""
    Dir = AlterReplicaLogDirsRequest.Dir  # noqa: N806
    request = AlterReplicaLogDirsRequest(
        dirs=[
            Dir(path=path, topics=[Dir.Topic(name=name, partitions=indexes) for name, indexes in topics])
            for path, topics in directories
        ]
    )
    return {
        (each.topic_name, partition.partition_index): ErrorCode(partition.error_code)
        for each in broker.ask(request, version).results
        for partition in each.partitions
    }


@pytest.mark.parametrize("version", [1, 2])
def test_a_replica_may_move_to_where_it_is(broker, version):
    topic(broker, "t", 2)
    root = str(broker.cluster.directory.root)
    assert move(broker, (root, [("t", [0, 1, 7]), ("unknown", [0])]), version=version) == {
        ("t", 0): NONE,
        ("t", 1): NONE,
        ("t", 7): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ("unknown", 0): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }


@pytest.mark.parametrize("path", ["/nope", "nope", ""])
def test_another_directory_is_not_there(broker, path):
    topic(broker, "t")
    assert move(broker, (path, [("t", [0]), ("unknown", [0])])) == {
        ("t", 0): ErrorCode.LOG_DIR_NOT_FOUND,
        ("unknown", 0): ErrorCode.LOG_DIR_NOT_FOUND,
    }


def test_a_replica_that_is_named_twice_goes_to_the_last_directory(broker):
    topic(broker, "t")
    root = str(broker.cluster.directory.root)
    assert move(broker, ("/nope", [("t", [0])]), (root, [("t", [0])])) == {("t", 0): NONE}
    assert move(broker, (root, [("t", [0])]), ("/nope", [("t", [0])])) == {("t", 0): ErrorCode.LOG_DIR_NOT_FOUND}


def test_moving_nothing_answers_nothing(broker):
    assert move(broker) == move(broker, (str(broker.cluster.directory.root), [("t", [])])) == {}
