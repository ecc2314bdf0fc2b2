"""The levels of this process's loggers under log4j's names (KIP-412)."""

import logging

import pytest

from ottla.broker.settings.log_levels import alter_loggers, describe_loggers
from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError

SET, DELETE, APPEND = 0, 1, 2
NAME = "ottla.test.log_levels"


@pytest.fixture
def logger():
    logger = logging.getLogger(NAME)
    yield logger
    logger.setLevel(logging.NOTSET)


def shown(name=NAME):
    return {each.name: each.value for each in describe_loggers()}[name]


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (logging.CRITICAL, "FATAL"),
        (logging.ERROR, "ERROR"),
        (logging.WARNING, "WARN"),
        (logging.INFO, "INFO"),
        (logging.DEBUG, "DEBUG"),
        (1, "TRACE"),
        (logging.INFO + 5, "INFO"),
        (logging.CRITICAL + 50, "FATAL"),
    ],
)
def test_a_level_has_its_name_in_log4j(logger, level, name):
    logger.setLevel(level)
    assert shown() == name


@pytest.mark.parametrize("name", ["FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"])
def test_a_level_is_set_by_name(logger, name):
    alter_loggers([(NAME, SET, name)], validate_only=False)
    assert shown() == name


def test_a_logger_that_is_given_back_has_the_level_of_the_one_above(logger):
    logger.setLevel(logging.DEBUG)
    alter_loggers([(NAME, DELETE, None)], validate_only=False)
    assert logger.level == logging.NOTSET


def test_a_change_can_be_tried_out(logger):
    alter_loggers([(NAME, SET, "TRACE")], validate_only=True)
    assert logger.level == logging.NOTSET


def test_loggers_of_other_libraries_are_nobodys_business():
    logging.getLogger("trio.test")
    logging.getLogger("ottlas.test")
    names = [each.name for each in describe_loggers()]
    assert names[0] == "root"
    assert names[1:] == sorted(names[1:])
    assert {name.partition(".")[0] for name in names[1:]} == {"ottla"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("nope", SET, "INFO"), ErrorCode.INVALID_CONFIG),
        ((NAME, SET, "LOUD"), ErrorCode.INVALID_CONFIG),
        ((NAME, SET, "info"), ErrorCode.INVALID_CONFIG),
        ((NAME, APPEND, "INFO"), ErrorCode.INVALID_REQUEST),
        ((NAME, 9, "INFO"), ErrorCode.INVALID_REQUEST),
        (("root", DELETE, None), ErrorCode.INVALID_REQUEST),
    ],
)
def test_a_wrong_change_spoils_those_beside_it(logger, change, code):
    with pytest.raises(KafkaError) as refused:
        alter_loggers([(NAME, SET, "DEBUG"), change], validate_only=False)
    assert refused.value.code == code
    assert logger.level == logging.NOTSET
