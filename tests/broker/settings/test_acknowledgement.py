"""The banner's sentence says how much a record survives once it is acknowledged."""

import pytest

from ottla.broker.settings.acknowledgement import acknowledgement
from ottla.broker.settings.broker_config import BrokerConfig


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "a record survives kill -9, but not a power cut; with -c log.flush.interval.messages=1 it does"),
        ({"messages": "1"}, "a record is on the disk, and survives kill -9 and a power cut"),
        (
            {"messages": "1000"},
            "a record survives kill -9; a power cut may take the last 999 records of a partition",
        ),
        ({"ms": "50"}, "a record survives kill -9; a power cut may take the last 50 ms"),
        (
            {"messages": "3", "ms": "50"},
            "a record survives kill -9; a power cut may take the last 2 records of a partition or the last 50 ms",
        ),
    ],
)
def test_what_an_acknowledgement_means_is_said(settings, sentence):
    config = BrokerConfig({f"log.flush.interval.{name}": value for name, value in settings.items()})
    assert acknowledgement(config, ephemeral=False) == sentence
    assert acknowledgement(config, ephemeral=True) == "a record is there until the broker ends"
