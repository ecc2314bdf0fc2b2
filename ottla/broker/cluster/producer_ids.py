"""Hands out the ids of producers: each once, out of blocks that the catalog sets aside."""

from ottla.storage.catalog import Catalog

BLOCK_SIZE = 1000


class ProducerIds:
    """The ids of one cluster. The ids that are left of a block when the broker stops are never used."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._block = iter(range(0))

    def next(self) -> int:
        """Return an id that no producer has had. Raises ``KafkaError`` where the catalog cannot set a block aside."""
        for producer_id in self._block:
            return producer_id
        self._block = iter(self._catalog.allocate_producer_ids(BLOCK_SIZE))
        return next(self._block)
