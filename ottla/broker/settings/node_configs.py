"""Makes the settings of each node of a process out of one set: only ids and racks differ."""

from collections.abc import Mapping, Sequence

from ottla.broker.settings.broker_config import BrokerConfig


def node_configs(given: Mapping[str, str], *, nodes: int, racks: Sequence[str] = ()) -> tuple[BrokerConfig, ...]:
    """Return the settings of nodes ``node.id``, ``node.id`` + 1 and so on; the racks are given out in turn.

    The first is the controller, too.
    """
    first = BrokerConfig(given, nodes=nodes)
    configs = []
    for number in range(nodes):
        own = dict(given)
        if number:
            own.setdefault("process.roles", "broker")
            own["node.id"] = own["broker.id"] = str(first.integer("node.id") + number)
        if racks:
            own["broker.rack"] = racks[number % len(racks)]
        configs.append(BrokerConfig(own, nodes=nodes))
    return tuple(configs)
