"""Values of settings, and how DescribeConfigs shows them."""

import pytest

from ottla.broker.settings.types import INT, PASSWORD, Definition, Source
from ottla.broker.settings.values import Settings, Synonym, describe

SETTINGS = Settings({"number": 7, "share": 0.5, "flag": True, "text": "a", "names": ("a", "b"), "unset": None})
OWN = Synonym("number", "7", Source.DYNAMIC_TOPIC_CONFIG)
BROKERS = Synonym("log.number", "5", Source.STATIC_BROKER_CONFIG)


def test_each_type_has_its_accessor():
    assert SETTINGS.integer("number") == SETTINGS["number"] == 7
    assert SETTINGS.number("share") == 0.5
    assert SETTINGS.number("number") == 7
    assert SETTINGS.boolean("flag") is True
    assert SETTINGS.text("text") == "a"
    assert SETTINGS.names("names") == ("a", "b")
    assert SETTINGS.names("unset") == ()


@pytest.mark.parametrize(
    ("accessor", "name"),
    [
        ("integer", "text"),
        ("integer", "unset"),
        ("number", "text"),
        ("boolean", "number"),
        ("text", "unset"),
        ("names", "text"),
    ],
)
def test_a_value_of_another_type_is_a_bug_that_names_the_setting(accessor, name):
    with pytest.raises(AssertionError, match=name):
        getattr(SETTINGS, accessor)(name)


def test_the_source_of_a_value_is_that_of_the_nearest_synonym():
    definition = Definition("number", INT)
    shown = describe(definition, 7, [OWN, BROKERS], read_only=False)
    assert (shown.name, shown.value, shown.source, shown.synonyms) == ("number", "7", OWN.source, (OWN, BROKERS))
    assert not shown.is_default
    assert describe(definition, 7, [BROKERS], read_only=True).source is Source.STATIC_BROKER_CONFIG


def test_a_value_that_nobody_set_is_the_default():
    shown = describe(Definition("number", INT), 7, [], read_only=True)
    assert (shown.source, shown.read_only, shown.is_default) == (Source.DEFAULT_CONFIG, True, True)


def test_a_secret_is_shown_neither_as_value_nor_as_synonym():
    shown = describe(
        Definition("secret", PASSWORD), "abc", [Synonym("secret", "abc", Source.STATIC_BROKER_CONFIG)], read_only=True
    )
    assert shown.sensitive
    assert "abc" not in repr(shown)
