"""The campaign's topics, on a running broker."""

import pytest

from bench import clients
from bench.brokers import Address
from ottla.testing import Ottla


def test_a_topic_is_made_and_deleted(ottla: Ottla) -> None:
    host, _, port = ottla.bootstrap.rpartition(":")
    address = Address(host, int(port))
    clients.create_topic(address, "bench-topic", 2)
    clients.delete_topic(address, "bench-topic")
    with pytest.raises(clients.ToolError, match="could not be deleted"):
        clients.delete_topic(address, "bench-topic")
