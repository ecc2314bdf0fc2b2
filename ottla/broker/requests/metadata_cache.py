"""A cache of answers that depend on the catalog and the nodes alone, until these change. Bounded in number and size."""

from typing import TYPE_CHECKING

from ottla.broker.cluster.nodes import Nodes
from ottla.broker.topics.registry import Topics
from ottla.storage.catalog import Catalog
from ottla.wire.codes import ErrorCode

if TYPE_CHECKING:
    from ottla.wire.messages.core import MetadataResponse

MAXIMUM_ANSWERS = 256
MAXIMUM_ANSWER_BYTES = 1 << 16

Key = tuple[int, int, bytes]
"""The version, the listener, and the request's bytes behind its header."""


class Answers:
    """Encoded responses by request, dropped when the catalog changes, a node starts or stops, or a log fails."""

    def __init__(self, catalog: Catalog, nodes: Nodes, topics: Topics) -> None:
        self._catalog = catalog
        self._nodes = nodes
        self._topics = topics
        self._offset = catalog.metadata_offset
        self._nodes_version = nodes.version
        self._topics_version = topics.version
        self._answers: dict[Key, bytes] = {}

    def get(self, key: Key) -> bytes | None:
        """Return the answer that was remembered since the last change, if there is one."""
        if (
            self._offset != self._catalog.metadata_offset
            or self._nodes_version != self._nodes.version
            or self._topics_version != self._topics.version
        ):
            self._offset = self._catalog.metadata_offset
            self._nodes_version = self._nodes.version
            self._topics_version = self._topics.version
            self._answers.clear()
        return self._answers.get(key)

    def put(self, key: Key, answer: bytes) -> None:
        """Remember an answer, unless it is large. Answering may have changed the catalog."""
        if self.get(key) is None and len(answer) + len(key[2]) <= MAXIMUM_ANSWER_BYTES:
            if len(self._answers) >= MAXIMUM_ANSWERS:
                self._answers.clear()
            self._answers[key] = answer


def holds_until_a_change(response: "MetadataResponse") -> bool:
    """Return whether a response may be remembered: a topic that the disk refused to create may be created next time."""
    return all(topic.error_code != ErrorCode.KAFKA_STORAGE_ERROR for topic in response.topics)
