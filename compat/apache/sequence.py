"""Hand-written conversations that build state: both brokers are led through one in lockstep, answer by answer.

A sequence is a generator that yields what is to be asked and gets the answer of its own side, so that ids which the
broker made (members, topics, sessions) go into what it asks next.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from compat.apache.connection import CLOSED, SILENT
from compat.apache.side import FIRST, STEP_S, Side
from compat.apache.versions import compared_versions
from ottla.wire.schema import Request, Response


@dataclass(frozen=True)
class Ask:
    """A request, in the newest version unless one is named, and its answer."""

    request: Request
    version: int | None = None
    client: str = FIRST


@dataclass(frozen=True)
class Begin(Ask):
    """A request whose answer comes later: an `Answer` for the same client gets it."""


@dataclass(frozen=True)
class Answer:
    """The answer to what a client began to ask."""

    client: str


@dataclass(frozen=True)
class Restart:
    """The broker is stopped and started. All its clients have to connect anew."""


Steps = Generator[Ask | Answer | Restart, Any, None]


@dataclass(frozen=True)
class Sequence:
    """`steps` is called for each side. With `old`, it is also told in the oldest versions that are served."""

    name: str
    steps: Callable[[Side], Steps]
    old: bool = False
    in_old_versions: bool = False

    def told(self) -> Iterator[Sequence]:
        """In the newest versions, and where that makes sense in the oldest."""
        yield self
        if self.old:
            yield replace(self, name=f"{self.name}, in the oldest versions", in_old_versions=True)

    def version(self, step: Ask) -> int:
        """Which version of a request is sent."""
        versions = compared_versions(step.request.api_key)
        return versions[0 if self.in_old_versions else -1] if step.version is None else step.version


class Compared(NamedTuple):
    """The answers of both brokers to one request."""

    request: Request
    version: int
    answers: tuple[Response | str, ...]


class _Walk:
    """One side on its way through a sequence."""

    def __init__(self, sequence: Sequence, side: Side) -> None:
        self._side = side
        self._sequence = sequence
        self._steps = sequence.steps(side)
        self._begun: dict[str, tuple[Request, int]] = {}
        self.next: Ask | Answer | Restart | None = next(self._steps, None)

    def send(self) -> None:
        """Do what is to be done now: send what is to be asked, if anything."""
        step = self.next
        if isinstance(step, Restart):
            self._side.close()
            self._side.restart()
        if isinstance(step, Ask):
            version = self._sequence.version(step)
            self._begun[step.client] = step.request, version
            self._side.connection(step.client).send(step.request, version)

    def receive(self) -> tuple[Request, int, Response | str] | None:
        """Go on to the next step, with the answer to this one; None if it has none yet."""
        step = self.next
        if isinstance(step, Begin | Restart):
            self._go_on(None)
            return None
        assert step is not None
        request, version = self._begun.pop(step.client)
        answer = self._side.asked(step.client).receive(STEP_S)
        self._go_on(answer)
        return request, version, answer

    def _go_on(self, answer: Response | str | None) -> None:
        if isinstance(answer, str):  # what follows would ask with what the answer did not say
            self._steps.close()
            self.next = None
            return
        try:
            self.next = self._steps.send(answer)
        except StopIteration:
            self.next = None


def lockstep(sequence: Sequence, sides: tuple[Side, ...]) -> Iterator[Compared]:
    """Yield what both answered, request by request; ends where one of them stops answering."""
    walks = [_Walk(sequence, side) for side in sides]
    while all(walk.next is not None for walk in walks):
        for walk in walks:
            walk.send()
        got = [walk.receive() for walk in walks]
        found = [each for each in got if each is not None]
        if found:
            request, version, _ = found[0]
            yield Compared(request, version, tuple(answer for *_, answer in found))
            if any(answer in {CLOSED, SILENT} for *_, answer in found if isinstance(answer, str)):
                return
