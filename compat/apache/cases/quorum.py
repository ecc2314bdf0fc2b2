"""The controllers' quorum, features, and brokers that leave. Nothing here changes the brokers under comparison."""

from __future__ import annotations

from compat.apache.base import Base
from compat.apache.side import Side
from ottla.wire.messages.quorum import (
    AddRaftVoterRequest,
    DescribeQuorumRequest,
    RemoveRaftVoterRequest,
    UnregisterBrokerRequest,
    UpdateFeaturesRequest,
)

Described = DescribeQuorumRequest.Topic
Update = UpdateFeaturesRequest.FeatureUpdate
DIRECTORY = bytes(range(16))


def _quorum(_: Side) -> DescribeQuorumRequest:
    partitions = [Described.Partition(partition_index=0)]
    return DescribeQuorumRequest(topics=[Described(topic_name="__cluster_metadata", partitions=partitions)])


def _update(_: Side) -> UpdateFeaturesRequest:
    update = Update(feature="metadata.version", max_version_level=30, upgrade_type=1)
    return UpdateFeaturesRequest(timeout_ms=10_000, feature_updates=[update], validate_only=True)


def _unregister(broker_id: int) -> Base:
    return Base(f"UnregisterBroker {broker_id}", lambda _: UnregisterBrokerRequest(broker_id=broker_id), mutate=False)


def _add(_: Side) -> AddRaftVoterRequest:
    listener = AddRaftVoterRequest.Listener(name="CONTROLLER", host="localhost", port=9)
    return AddRaftVoterRequest(
        cluster_id=None, timeout_ms=1_000, voter_id=7, voter_directory_id=DIRECTORY, listeners=[listener]
    )


def _remove(_: Side) -> RemoveRaftVoterRequest:
    return RemoveRaftVoterRequest(cluster_id=None, voter_id=7, voter_directory_id=DIRECTORY)


BASES = (
    Base("DescribeQuorum", _quorum),
    Base("UpdateFeatures", _update, first_version=1, keep="validate_only"),
    *map(_unregister, (-1, 7)),
    Base("AddRaftVoter", _add, keep="listeners"),  # Apache ends itself if a listener has no name.
    Base("RemoveRaftVoter", _remove),
)
