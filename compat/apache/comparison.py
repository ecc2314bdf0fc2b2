"""Sends the same requests to Apache Kafka and to Ottla: every API, every version, good and bad. Prints who agrees.

Cases come one after the other. One that is not answered soon is put aside with its connections and judged later, so
that what Apache never answers holds up nothing, and a busy machine has all the time that it needs.
"""

from __future__ import annotations

import argparse
import datetime
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from compat.apache.agreement import MAY_DIFFER, Difference, differences
from compat.apache.base import FIXED, MARKED, Base, create_topic
from compat.apache.cases import FAMILIES
from compat.apache.cases.produce import batch, produce
from compat.apache.connection import SILENT, Connection
from compat.apache.known import KNOWN
from compat.apache.mutations import Mutation, mutations
from compat.apache.scores import Scores
from compat.apache.sequence import Sequence, lockstep
from compat.apache.sequences import SEQUENCES, restarts
from compat.apache.side import Side, StepError
from compat.apache.versions import compared_versions
from compat.apache_broker import ApacheBroker
from compat.harness.broker import Broker
from compat.harness.ottla_broker import OttlaBroker
from compat.harness.stage import ROOT
from ottla.broker.apis import BY_KEY
from ottla.wire.messages.groups import FindCoordinatorRequest, FindCoordinatorResponse
from ottla.wire.messages.produce import InitProducerIdRequest
from ottla.wire.messages.topics import DeleteRecordsRequest
from ottla.wire.schema import Request, Response

OWN_NAME = re.compile(r"-\d+(-\d+)?")
SETTINGS = {
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "5",
    "group.min.session.timeout.ms": "300",
    "group.streams.initial.rebalance.delay.ms": "3000",
}
DOCUMENT = ROOT / "docs" / "comparison.md"

PATIENCE_S = 0.2
"""Seconds after which the others are asked while an answer is still awaited."""
NEITHER_S = 5.0
"""When both have been silent for so long, neither answers at all."""
ONE_S = 30.0
"""One that has not answered by then, though the other has, never does."""
MAXIMUM_WAITING = 100


class Case(NamedTuple):
    """One comparison of two answers. `kind` is what it has in common with its other versions."""

    name: str
    kind: str
    api: str
    version: int


@dataclass
class Waiting:
    """A case to which not both have answered yet. The connections are its own."""

    case: Case
    connections: list[Connection]
    answers: list[Response | str]
    since: float

    def look(self, now: float) -> bool:
        """Take what has come; tell whether this is all that there will be."""
        for index, connection in enumerate(self.connections):
            if self.answers[index] is SILENT:
                self.answers[index] = connection.receive(0)
        silent = self.answers.count(SILENT)
        return not silent or now - self.since > (NEITHER_S if silent == len(self.answers) else ONE_S)


@dataclass
class Comparison:
    """Two brokers, and what has come of it so far."""

    apache: Side
    ottla: Side
    seed: int
    part: float
    scores: Scores = field(default_factory=Scores)
    shown: Counter[str] = field(default_factory=Counter)
    number: int = 0
    _waiting: list[Waiting] = field(default_factory=list)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=2))
    """One for each side: what comes before a case takes Apache longer than it takes Ottla."""

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.apache, self.ottla

    def prepare(self) -> None:
        """Make the topics that all cases read."""
        for side in self.sides:
            create_topic(side, FIXED, 3)
            create_topic(side, MARKED)
            for _ in range(5):
                side.ask(produce(side, FIXED, batch()))
            partitions = [DeleteRecordsRequest.Topic.Partition(partition_index=0, offset=2)]
            side.ask(
                DeleteRecordsRequest(
                    topics=[DeleteRecordsRequest.Topic(name=FIXED, partitions=partitions)], timeout_ms=10_000
                )
            )
            # The offsets' topic, and a block of producer ids, are made when they are first asked for.
            coordinator = FindCoordinatorRequest(coordinator_keys=["first"])
            side.ask_until(coordinator, _has_coordinator)
            producer_id = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1_000)
            side.ask_until(producer_id, lambda answer: not answer.error_code)
            side.settle("__consumer_offsets")

    def run(self, only: str) -> None:
        """Compare all cases and sequences whose name holds ``only``."""
        chosen = random.Random(self.seed)
        for base in (base for family in FAMILIES for base in family.BASES if only in base.name):
            for version, mutation in variants(base):
                if self.part >= 1 or mutation is None or chosen.random() < self.part:
                    self.compare(base, version, mutation)
        self.wait_for_all()
        self.follow_all(SEQUENCES, only)

    def follow_all(self, sequences: Iterable[Sequence], only: str) -> None:
        """Follow all sequences whose name holds ``only``."""
        for sequence in (told for each in sequences for told in each.told() if only in told.name):
            self.follow(sequence)
        for side in self.sides:
            side.close()

    def wait_for_all(self) -> None:
        """Judge those who were put aside, when all that they wait for has come."""
        while self._waiting:
            self._look_at_those_who_wait()
            time.sleep(0.02)

    def compare(self, base: Base, version: int, mutation: Mutation | None) -> None:
        """Bring both sides to the same state, ask the same, and keep the score, now or later."""
        self._begin_case()
        try:
            requests = list(self._threads.map(partial(_prepare, base, mutation), self.sides))
        except StepError as error:
            self._broken(f"{base.name} v{version}", error)
            return
        for side, request in zip(self.sides, requests, strict=True):
            side.connection().send(request, version)
        since = time.monotonic()
        answers = [side.asked().receive(max(0.0, since + PATIENCE_S - time.monotonic())) for side in self.sides]
        label = f": {mutation}" if mutation else ""
        case = Case(
            name=f"{base.name} v{version}{label}",
            kind=f"{base.name}{label}",
            api=BY_KEY[requests[0].api_key].name,
            version=version,
        )
        if SILENT in answers:
            connections = [side.take_connection() for side in self.sides]
            self._waiting.append(Waiting(case, connections, answers, since))
        else:
            self._judge(case, answers)
        self._look_at_those_who_wait()

    def follow(self, sequence: Sequence) -> None:
        """Lead both sides through a sequence, and compare each pair of answers."""
        self._begin_case()
        for side in self.sides:
            side.close()  # somebody may be muted
        try:
            for number, step in enumerate(lockstep(sequence, self.sides), 1):
                name = f"{sequence.name}, answer {number}"
                api = BY_KEY[step.request.api_key].name
                self.scores.steps[sequence.name] += 1
                self._judge(Case(f"{name}: {api} v{step.version}", name, api, step.version), list(step.answers))
        except StepError as error:
            self._broken(sequence.name, error)

    def _broken(self, name: str, error: StepError) -> None:
        self.scores.broken += 1
        print(f"BROKEN {name}: {error}", flush=True)
        for side in self.sides:
            side.close()

    def _begin_case(self) -> None:
        self.number += 1
        for side in self.sides:
            side.begin(self.number)

    def _look_at_those_who_wait(self) -> None:
        while True:
            now = time.monotonic()
            done = [each for each in self._waiting if each.look(now)]
            self._waiting = [each for each in self._waiting if each not in done]
            for each in done:
                self._judge(each.case, each.answers)
                for connection in each.connections:
                    connection.close()
            if len(self._waiting) <= MAXIMUM_WAITING:
                return
            time.sleep(0.02)

    def _judge(self, case: Case, answers: list[Response | str]) -> None:
        apache, ottla = answers
        found = differences(case.api, case.version, (self.apache, apache), (self.ottla, ottla))
        self.scores.unanswered += apache is ottla is SILENT
        reasons = [(each, _reason(case, each)) for each in found]
        unknown = [each for each, reason in reasons if reason is None]
        known = [reason for _, reason in reasons if reason is not None]
        self.scores.count(case.api, case.version, known=known, differs=bool(unknown))
        if unknown:
            self._show(case, unknown)

    def _show(self, case: Case, found: list[Difference]) -> None:
        """Print a difference, but not again for each version."""
        key = OWN_NAME.sub("", f"{case.kind} {found}")
        self.shown[key] += 1
        if self.shown[key] == 1:
            print(f"DIFFER {case.name}")
            for each in found[:4]:
                print(
                    f"    {each.path or 'answer'}: Apache {each.apache!r:.200}, Ottla {each.ottla!r:.200}", flush=True
                )


def _prepare(base: Base, mutation: Mutation | None, side: Side) -> Request:
    """Go through what comes before a case, and make its request."""
    if base.before is not None:
        base.before(side)
    request = base.make(side)
    if mutation is not None:
        mutation.apply(request)
    return request


def _reason(case: Case, found: Difference) -> str | None:
    return next((each.reason for each in KNOWN if each.covers(case.api, case.name, found)), None)


def _has_coordinator(answer: FindCoordinatorResponse) -> bool:
    return not answer.coordinators[0].error_code


def variants(base: Base) -> Iterator[tuple[int, Mutation | None]]:
    """The versions of a case, and in each of them the good request and the changed ones."""
    plain = sample(base)
    for version in compared_versions(plain.api_key):
        if not base.first_version <= version <= base.last_version:
            continue
        yield version, None
        if base.mutate:
            yield from ((version, each) for each in mutations(plain, version) if each.path[0] != base.keep)


NOBODY = (Side("Apache", 0), Side("Ottla", 0))
"""Before the brokers are started."""


class _Anything(dict[str, object]):
    def __missing__(self, key: str) -> object:
        return 1 if key in {"generation", "session"} else "something"


class _SampleSide(Side):
    """Stands in where only the shape of a request is wanted."""

    def topic_id(self, name: str) -> bytes:
        return name.encode().ljust(16)[:16]


def sample(base: Base) -> Request:
    return base.make(_SampleSide("sample", 0, memory=_Anything()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="?", default="", help="only cases and sequences whose name holds this")
    parser.add_argument("--part", type=float, default=1.0, help="send this share of the changed requests (0 to 1)")
    parser.add_argument("--seed", type=int, default=1, help="which part")
    parser.add_argument("--write", action="store_true", help="compare all, and write docs/comparison.md")
    options = parser.parse_args()
    if options.write and (options.only or options.part < 1):
        parser.error("only the whole comparison is written")
    return options


@contextmanager
def _both(comparison: Comparison) -> Iterator[tuple[Broker, Broker]]:
    """Start both brokers, and let the comparison be of them."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ApacheBroker(Path(folder) / "apache", settings=SETTINGS) as apache,
        OttlaBroker(Path(folder) / "ottla", settings=SETTINGS | {"record.validation": "full"}) as ottla,
    ):
        comparison.apache = Side("Apache", apache.port, apache.restart)
        comparison.ottla = Side("Ottla", ottla.port, ottla.restart)
        comparison.prepare()
        yield apache, ottla


def main() -> int:
    """The command: start both, compare, print."""
    options = _options()
    began = time.monotonic()
    comparison = Comparison(*NOBODY, seed=options.seed, part=options.part)
    with _both(comparison) as brokers:
        comparison.run(options.only)
    if any(options.only in each.name for each in restarts.SEQUENCES):
        # Among thousands of topics, Apache would take minutes to serve again.
        with _both(comparison):
            comparison.follow_all(restarts.SEQUENCES, options.only)
    scores = comparison.scores
    print(f"\n{scores.table()}\n{scores.summary(time.monotonic() - began)}")
    if options.write and not scores.failed:
        versions = [broker.version for broker in brokers]
        text = scores.markdown(today=datetime.datetime.now(datetime.UTC).date(), brokers=versions, rules=MAY_DIFFER)
        DOCUMENT.write_text(text, encoding="utf-8")
    return 1 if scores.failed else 0


if __name__ == "__main__":
    sys.exit(main())
