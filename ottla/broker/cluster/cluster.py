"""One cluster: a record of its parts, built here. Several may live in one process.

Handlers take from it the parts that they need; the parts know each other, not this record.
"""

import random
from collections.abc import Iterable

from ottla.broker.cluster.coordinators import Coordinators
from ottla.broker.cluster.elections import Elections
from ottla.broker.cluster.nodes import Nodes
from ottla.broker.cluster.placement import Placement
from ottla.broker.cluster.producer_ids import ProducerIds
from ottla.broker.cluster.stored_configs import StoredConfigs
from ottla.broker.fetching.delayed_fetch import FetchSource
from ottla.broker.monitoring.client_metrics import Telemetry
from ottla.broker.monitoring.clients import Clients
from ottla.broker.quotas.limits import Quotas
from ottla.broker.quotas.throttling import Throttling
from ottla.broker.security.scram_credentials import ScramCredentials
from ottla.broker.settings.broker_config import BrokerConfig
from ottla.broker.topics.registry import Topics
from ottla.broker.versions.features import Features
from ottla.broker.versions.releases import Release
from ottla.scheduling.clock import Clock
from ottla.scheduling.stepper import Stepper
from ottla.scheduling.steps import Steps
from ottla.scheduling.timers import Timers
from ottla.storage.catalog import Catalog
from ottla.storage.store import LogStore


class Cluster:
    """The parts of one cluster. ``config`` holds the settings of its first node, which count for all nodes."""

    def __init__(
        self,
        *,
        config: BrokerConfig,
        directory: LogStore,
        catalog: Catalog,
        clock: Clock,
        timers: Timers,
        stepper: Stepper,
        random_source: random.Random,
        more_nodes: Iterable[BrokerConfig] = (),
        release: Release | None = None,
    ) -> None:
        """Build the parts, and open the log of every topic that the catalog knows.

        ``more_nodes`` are the settings of the nodes besides the first. With a ``release``, clients find what that
        release of Apache Kafka has, and nothing else.
        """
        self.id = directory.cluster_id
        self.release = release
        self.config = config
        self.directory = directory
        self.catalog = catalog
        self.clock = clock
        self.timers = timers
        self.stepper = stepper
        directory.wait_with(lambda delay_ms, call: timers.schedule(clock.monotonic() + delay_ms / 1000, call))

        self.nodes = Nodes((config, *more_nodes), random_source)
        self.placement = Placement(self.nodes, config, random_source)
        self.topics = Topics(
            store=directory,
            catalog=catalog,
            config=config,
            random_source=random_source,
            assign_replicas=self.placement.assign_replicas,
            first_state=self.placement.first_state,
            is_alone=self.nodes.is_alone,
        )
        racks = {node.id: node.rack for node in self.nodes.by_id.values()}
        for node in self.nodes.by_id.values():
            node.fetch_source = FetchSource(
                topics=self.topics, config=config, clock=clock, timers=timers, node_id=node.id, racks=racks
            )
        self.configs = StoredConfigs(catalog, self.nodes, self.topics)
        self.features = Features(catalog, release)
        self.elections = Elections(self.topics, self.nodes, catalog, self.features)
        self.producer_ids = ProducerIds(catalog)
        self.quotas = Quotas(catalog)
        self.throttling = Throttling(self.quotas, config, clock, timers)
        self.scram_credentials = ScramCredentials(catalog)
        self.clients = Clients()
        self.telemetry = Telemetry(catalog, random_source)

        self.configs.apply_to_nodes()
        self.elections.settle_catalog()
        self.topics.open_all()
        directory.all_opened()
        self.expire_producers()
        self.coordinators = Coordinators(
            nodes=self.nodes,
            topics=self.topics,
            elections=self.elections,
            clock=clock,
            timers=timers,
            stepper=stepper,
            random_source=random_source,
        )

    def load_groups(self) -> Steps[None]:
        """Begin to take over the groups; the caller steps the result to its end, between other work."""
        return self.coordinators.load()

    @property
    def checkpoint_interval_s(self) -> float:
        """The time between two writes of the recovery points, in seconds."""
        return self.config.integer("log.flush.offset.checkpoint.interval.ms") / 1000

    @property
    def producer_expiry_check_s(self) -> float:
        """The time between two calls of ``expire_producers``, in seconds."""
        return self.config.integer("producer.id.expiration.check.interval.ms") / 1000

    def expire_producers(self) -> None:
        """Forget the sequences of producers that wrote nothing for ``producer.id.expiration.ms``."""
        self.directory.expire_producers(self.clock.wall_ms(), self.config.integer("producer.id.expiration.ms"))

    def close(self) -> None:
        """Refuse members that wait for a group, then close the logs and the catalog; marks the directory as clean."""
        self.coordinators.stop()
        self.directory.close()
        self.catalog.close()
