"""Java's hashes of strings, by which keys find their partitions."""

import pytest

from ottla.broker.coordinators.engine.java_strings import partition_for, string_hash


@pytest.mark.parametrize(("text", "number"), [("", 0), ("group-hash-1", -1955548608), ("𝄞", 1772394), ("nnn", 109230)])
def test_strings_are_hashed_as_in_java(text, number):
    assert string_hash(text) == number


def test_a_groups_partition_is_the_absolute_hash_as_apache_4_3_1_has_it():
    assert partition_for("group-hash-1", 50) == 8  # not 40, which a masked sign would give
    assert partition_for("g1", 50) == 42
    assert partition_for("polygenelubricants", 50) == 0  # its hash is the int32 whose absolute value is none
