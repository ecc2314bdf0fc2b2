"""The two errors that are not our bugs: bytes that nobody can answer, and answers that carry an error code."""

from ottla.wire.codes import ErrorCode


class ProtocolError(Exception):
    """The peer's bytes are not the protocol. There is no answer; the connection is closed."""


class KafkaError(Exception):
    """An answer: the error code that the client gets, with an optional message for a person."""

    def __init__(self, code: ErrorCode, message: str | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.code.name if self.message is None else f"{self.code.name}: {self.message}"


class RecordsRefusedError(KafkaError):
    """A produced batch with records that break a rule of their topic."""

    def __init__(self, code: ErrorCode, record_errors: list[tuple[int, str]]) -> None:
        super().__init__(code, f"{len(record_errors)} records are refused, the first one: {record_errors[0][1]}")
        self.record_errors = record_errors
        """The index of each in the batch, with the reason."""
