"""Settings are read and written as Apache's ConfigDef does, type by type."""

import math

import pytest

from ottla.broker.settings.types import (
    BOOLEAN,
    CLASS,
    DOUBLE,
    INT,
    LIST,
    LONG,
    NAMES,
    PASSWORD,
    SHORT,
    STRING,
    Definition,
    InvalidSettingError,
    at_least,
    between,
    each_of,
    one_of,
    one_of_any_case,
    table,
)


def setting(kind, check=None):
    return Definition("my.setting", kind, None, check)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (INT, " 7\t", 7),
        (INT, "+7", 7),
        (INT, "-2147483648", -(2**31)),
        (SHORT, "32767", 32767),
        (LONG, "9223372036854775807", 2**63 - 1),
        (BOOLEAN, "TRUE", True),
        (BOOLEAN, " false ", False),
        (DOUBLE, "1", 1.0),
        (DOUBLE, ".5", 0.5),
        (DOUBLE, "1e-5", 1e-5),
        (DOUBLE, "2.5f", 2.5),
        (DOUBLE, "-Infinity", -math.inf),
        (LIST, "", ()),
        (LIST, " a , b,a ", ("a", "b", "a")),
        (STRING, " text ", "text"),
        (CLASS, "org.example.Class", "org.example.Class"),
        (PASSWORD, "secret", "secret"),
    ],
)
def test_a_value_is_read_by_its_type(kind, text, value):
    found = setting(kind).read(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        (INT, "many", "my.setting must be a whole number, not 'many'"),
        (INT, "1_000", "a whole number"),
        (INT, "1.0", "a whole number"),
        (INT, "", "a whole number"),
        (INT, "٣", "a whole number"),
        (INT, "2147483648", "from -2147483648 to 2147483647"),
        (SHORT, "32768", "from -32768 to 32767"),
        (LONG, "9223372036854775808", "a whole number from"),
        (BOOLEAN, "yes", "true or false"),
        (DOUBLE, "inf", "a number"),
        (DOUBLE, "1e", "a number"),
    ],
)
def test_what_is_no_value_of_the_type_is_refused_in_a_sentence(kind, text, sentence):
    with pytest.raises(InvalidSettingError, match=sentence) as refused:
        setting(kind).read(text)
    assert refused.value.name == "my.setting"


def test_a_secret_is_named_in_no_error():
    refusal = setting(PASSWORD).refusal("my secret", "longer")
    assert str(refusal) == "my.setting must be longer, not a secret that is not"
    assert setting(PASSWORD).write("my secret") is None


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (BOOLEAN, True, "true"),
        (BOOLEAN, False, "false"),
        (INT, 7, "7"),
        (LIST, ("a", "b"), "a,b"),
        (LIST, (), ""),
        (STRING, None, None),
        # As Double.toString writes them.
        (DOUBLE, 0.5, "0.5"),
        (DOUBLE, 1.0, "1.0"),
        (DOUBLE, 0.001, "0.001"),
        (DOUBLE, 0.00001, "1.0E-5"),
        (DOUBLE, 12345678.0, "1.2345678E7"),
        (DOUBLE, -1e300, "-1.0E300"),
        (DOUBLE, math.nan, "NaN"),
        (DOUBLE, -math.inf, "-Infinity"),
    ],
)
def test_a_value_is_written_as_java_writes_it(kind, value, text):
    assert setting(kind).write(value) == text


@pytest.mark.parametrize(
    ("kind", "check", "taken", "refused"),
    [
        (INT, at_least(1), ["1", "9"], ["0"]),
        (INT, between(1, 3), ["1", "3"], ["0", "4"]),
        (DOUBLE, between(0, 1), ["0", "NaN"], ["1.1"]),  # ConfigDef.Range lets NaN pass
        (STRING, one_of("gzip", "none"), ["gzip"], ["GZIP", "zip", ""]),
        (STRING, one_of_any_case("PLAIN", "SSL"), ["plain", "SSL"], ["tls"]),
        (LIST, each_of("delete", "compact"), ["", "delete", "compact,delete"], ["delete,nope"]),
        (LIST, each_of("delete", empty=False), ["delete"], [""]),
        (LIST, NAMES, ["", "a,b"], ["a,,b"]),
    ],
)
def test_a_check_says_which_values_of_the_type_are_taken(kind, check, taken, refused):
    definition = setting(kind, check)
    for text in taken:
        definition.read(text)
    for text in refused:
        with pytest.raises(InvalidSettingError, match=f"must be {check.description}"):
            definition.read(text)


def test_in_a_list_that_is_a_set_what_is_said_twice_counts_once():
    assert setting(LIST, NAMES).read("b,a,b") == ("b", "a")


def test_a_table_finds_definitions_by_name():
    one, two = setting(INT), Definition("other", INT)
    assert table(one, two) == {"my.setting": one, "other": two}
