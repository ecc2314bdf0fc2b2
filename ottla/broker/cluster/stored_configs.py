"""The settings in the catalog for brokers, groups and metrics subscriptions: sets them and puts them in force."""

import logging
from collections.abc import Mapping

from ottla.broker.cluster.nodes import Nodes
from ottla.broker.settings.broker_config import acts_on
from ottla.broker.settings.types import InvalidSettingError
from ottla.broker.settings.while_running import usable
from ottla.broker.topics.registry import Topics
from ottla.storage.catalog import Catalog
from ottla.wire.codes import ResourceType

log = logging.getLogger(__name__)


class StoredConfigs:
    """The settings of one cluster that were changed while it ran; those of topics are kept with the topics."""

    def __init__(self, catalog: Catalog, nodes: Nodes, topics: Topics) -> None:
        self._catalog = catalog
        self._nodes = nodes
        self._topics = topics

    def replace(self, resource_type: int, name: str, configs: Mapping[str, str]) -> None:
        """Replace all settings of a broker, of all brokers (""), of a group or of a metrics subscription.

        The caller has checked the new ones. They are in force at once, for topics too.
        """
        self._catalog.replace_configs(resource_type, name, configs)
        if resource_type == ResourceType.BROKER:
            self.apply_to_nodes()
            self._topics.follow_broker()

    def apply_to_nodes(self) -> None:
        """Put the settings of brokers in force."""
        for node in self._nodes.by_id.values():
            try:
                node.config.set_dynamic(
                    own=usable(node.config, self._catalog.configs(ResourceType.BROKER, str(node.id))),
                    defaults=usable(node.config, self._catalog.configs(ResourceType.BROKER, "")),
                )
            except InvalidSettingError as error:
                log.warning("Ignoring the settings that were changed while the broker ran: %s", error)
        config = self._nodes.first.config
        idle = [name for name in (*config.dynamic_defaults, *config.dynamic) if not acts_on(name)]
        if idle:
            log.info("Ignoring settings that have no effect in Ottla: %s", ", ".join(idle))
