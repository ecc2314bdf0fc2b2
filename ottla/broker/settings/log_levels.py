"""The levels of this process's loggers under log4j's names: shown and changed as configuration (KIP-412)."""

import logging
from collections.abc import Iterable, Iterator

from ottla.broker.settings.operations import Operation
from ottla.broker.settings.types import Source, Type
from ottla.broker.settings.values import Description
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

ROOT = "root"
_LEVELS = (
    (logging.CRITICAL, "FATAL"),
    (logging.ERROR, "ERROR"),
    (logging.WARNING, "WARN"),
    (logging.INFO, "INFO"),
    (logging.DEBUG, "DEBUG"),
    (1, "TRACE"),
)
_BY_NAME = {name: level for level, name in _LEVELS}


def describe_loggers() -> Iterator[Description]:
    """Yield the root logger and those of Ottla, with the levels in force."""
    yield _describe(ROOT, logging.getLogger())
    for name in _names():
        yield _describe(name, logging.getLogger(name))


def _names() -> list[str]:
    return sorted(name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "ottla")


def alter_loggers(changes: Iterable[tuple[str, int, str | None]], *, validate_only: bool) -> None:
    """Set levels, or let loggers follow the one above; all of them or none (``RuntimeLoggerManager``).

    Raises ``KafkaError``: INVALID_CONFIG (no such logger or level), INVALID_REQUEST (the root logger loses its level,
    or a value is added to a level).
    """
    levels = [_new_level(name, operation, value) for name, operation, value in changes]
    if not validate_only:
        for logger, level in levels:
            logger.setLevel(level)


def _new_level(name: str, operation: int, value: str | None) -> tuple[logging.Logger, int]:
    if operation not in set(Operation):
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Operation {operation} on {name} is unknown")
    if operation not in {Operation.SET, Operation.DELETE}:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "A level is not a list: values cannot be added or removed")
    if name != ROOT and name not in _names():
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"Logger {name} does not exist")
    logger = logging.getLogger(None if name == ROOT else name)
    if operation == Operation.DELETE:
        if name == ROOT:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "The root logger always has a level")
        return logger, logging.NOTSET
    if value not in _BY_NAME:
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"{value!r} is not one of {', '.join(_BY_NAME)}")
    return logger, _BY_NAME[value]


def _describe(name: str, logger: logging.Logger) -> Description:
    level = max(logger.getEffectiveLevel(), _LEVELS[-1][0])
    text = next(text for least, text in _LEVELS if level >= least)
    return Description(
        name=name,
        value=text,
        type=Type.UNKNOWN,
        source=Source.DYNAMIC_BROKER_LOGGER_CONFIG,
        read_only=False,
        sensitive=False,
        synonyms=(),
    )
