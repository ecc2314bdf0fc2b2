"""Answers that depend on the catalog alone, kept until it changes. Bounded in number and size."""

from ottla.storage.catalog import Catalog

MOST_ANSWERS = 256
LARGEST_ANSWER = 1 << 16

Key = tuple[int, int, bytes]
"""Version, listener, and the request's bytes behind its header."""


class Answers:
    """Encoded responses by request. All are forgotten when the catalog's metadata offset moves."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._offset = catalog.metadata_offset
        self._answers: dict[Key, bytes] = {}

    def get(self, key: Key) -> bytes | None:
        """Return the answer that was given since the last change, if there is one."""
        if self._offset != self._catalog.metadata_offset:
            self._offset = self._catalog.metadata_offset
            self._answers.clear()
        return self._answers.get(key)

    def forget(self) -> None:
        """Answer anew: something else that answers tell of has changed."""
        self._answers.clear()

    def put(self, key: Key, answer: bytes) -> None:
        """Remember an answer, unless it is large. Answering may have changed the catalog."""
        if self.get(key) is None and len(answer) + len(key[2]) <= LARGEST_ANSWER:
            if len(self._answers) >= MOST_ANSWERS:
                self._answers.clear()
            self._answers[key] = answer
