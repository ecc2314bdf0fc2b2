"""For tests with hostile bytes: a value, or one of the errors that are meant for clients."""

from collections.abc import Iterator
from contextlib import contextmanager

from ottla.wire.codes import ErrorCode
from ottla.wire.errors import KafkaError


@contextmanager
def or_refused_with(*codes: ErrorCode) -> Iterator[None]:
    """Swallow a KafkaError with one of these codes and a message; let anything else fail the test."""
    try:
        yield
    except KafkaError as error:
        if error.code not in codes or not error.message:
            raise
