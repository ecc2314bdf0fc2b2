"""Settings of resources as clients ask for them and change them, in the words of the tests."""

from ottla.wire.codes import ErrorCode
from ottla.wire.messages.configs import DescribeConfigsRequest, IncrementalAlterConfigsRequest

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
"""The types of resources."""
SET, DELETE, APPEND, SUBTRACT = range(4)
"""The operations of IncrementalAlterConfigs."""


def describe(broker, *resources, version=4, synonyms=False, documentation=False):
    """Ask for (type, name) or (type, name, keys) each."""
    Resource = DescribeConfigsRequest.Resource  # noqa: N806
    request = DescribeConfigsRequest(
        resources=[
            Resource(resource_type=kind, resource_name=name, configuration_keys=keys[0] if keys else None)
            for kind, name, *keys in resources
        ],
        include_synonyms=synonyms,
        include_documentation=documentation,
    )
    return broker.ask(request, version).results


def settings(broker, kind, name, keys=None, **options):
    """The settings of one resource, by name."""
    (answer,) = describe(broker, (kind, name, keys), **options)
    assert (answer.error_code, answer.error_message) == (ErrorCode.NONE, "")
    return {config.name: config for config in answer.configs}


def values(broker, kind, name, keys=None):
    """The values of one resource's settings, by name."""
    return {key: config.value for key, config in settings(broker, kind, name, keys).items()}


def alter(broker, *resources, version=1, validate_only=False):
    """Ask for (type, name, [(key, operation, value)...]) each; answer the codes in order."""
    Resource = IncrementalAlterConfigsRequest.Resource  # noqa: N806
    request = IncrementalAlterConfigsRequest(
        resources=[
            Resource(
                resource_type=kind,
                resource_name=name,
                configs=[
                    Resource.Config(name=key, config_operation=operation, value=value)
                    for key, operation, value in changes
                ],
            )
            for kind, name, changes in resources
        ],
        validate_only=validate_only,
    )
    answers = broker.ask(request, version).responses
    assert [(each.resource_type, each.resource_name) for each in answers] == [each[:2] for each in resources]
    assert [each.error_message is None for each in answers] == [each.error_code == ErrorCode.NONE for each in answers]
    return [ErrorCode(each.error_code) for each in answers]


def own(broker, name):
    """The values that a topic has of its own, by the setting's name."""
    return {key: config.value for key, config in settings(broker, TOPIC, name).items() if config.config_source == 1}
