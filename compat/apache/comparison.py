"""Sends the same requests to Apache Kafka and to Ottla: every API, every version, good and bad. Prints who agrees."""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from compat.apache.agreement import Difference, differences
from compat.apache.base import FIXED, Base, create_topic
from compat.apache.cases import FAMILIES
from compat.apache.cases.produce import batch, produce
from compat.apache.known import KNOWN
from compat.apache.mutations import Mutation, mutations
from compat.apache.side import Side
from compat.apache_broker import ApacheBroker
from compat.harness.ottla_broker import OttlaBroker
from ottla.broker.apis import BY_KEY, Api
from ottla.wire.messages.groups import FindCoordinatorRequest, FindCoordinatorResponse
from ottla.wire.messages.produce import InitProducerIdRequest
from ottla.wire.messages.topics import DeleteRecordsRequest
from ottla.wire.schema import Request, Response

OWN_NAME = re.compile(r"(?<=topic|group)-\d+")
SETTINGS = {
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "5",
    "group.streams.initial.rebalance.delay.ms": "3000",
}


@dataclass
class Score:
    """One API in one version."""

    cases: int = 0
    agree: int = 0
    known: int = 0
    differ: int = 0


@dataclass
class Comparison:
    """Two brokers, and what has come of it so far."""

    apache: Side
    ottla: Side
    seed: int
    part: float
    scores: dict[tuple[str, int], Score] = field(default_factory=dict)
    used_reasons: Counter[str] = field(default_factory=Counter)
    shown: Counter[str] = field(default_factory=Counter)
    number: int = 0

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.apache, self.ottla

    def prepare(self) -> None:
        """Make the topics that all cases read."""
        for side in self.sides:
            create_topic(side, FIXED, 3)
            for _ in range(5):
                side.ask(produce(side, FIXED, batch()))
            partitions = [DeleteRecordsRequest.Topic.Partition(partition_index=0, offset=2)]
            side.ask(
                DeleteRecordsRequest(
                    topics=[DeleteRecordsRequest.Topic(name=FIXED, partitions=partitions)], timeout_ms=1_000
                )
            )
            # The offsets' topic, and a block of producer ids, are made when they are first asked for.
            coordinator = FindCoordinatorRequest(coordinator_keys=["first"])
            side.ask_until(coordinator, _has_coordinator)
            producer_id = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1_000)
            side.ask_until(producer_id, lambda answer: not answer.error_code)
            side.settle("__consumer_offsets")

    def run(self, only: str) -> None:
        """Compare all cases whose name holds ``only``."""
        chosen = random.Random(self.seed)
        for base in (base for family in FAMILIES for base in family.BASES if only in base.name):
            for version, mutation in variants(base):
                if self.part >= 1 or mutation is None or chosen.random() < self.part:
                    self.compare(base, version, mutation)

    def compare(self, base: Base, version: int, mutation: Mutation | None) -> None:
        """Bring both sides to the same state, ask the same, and keep the score."""
        self.number += 1
        requests: list[Request] = []
        for side in self.sides:
            side.case = self.number
            side.memory = {}
            if base.before is not None:
                base.before(side)
            request = base.make(side)
            if mutation is not None:
                mutation.apply(request)
            requests.append(request)
        for side, request in zip(self.sides, requests, strict=True):
            side.send(request, version)
        answers = [side.receive(request, version) for side, request in zip(self.sides, requests, strict=True)]
        self._judge(base, version, mutation, requests[1], answers)

    def _judge(
        self, base: Base, version: int, mutation: Mutation | None, request: Request, answers: list[Response | str]
    ) -> None:
        api = BY_KEY[request.api_key].name
        found = differences(api, version, (self.apache, answers[0]), (self.ottla, answers[1]))
        score = self.scores.setdefault((api, version), Score())
        score.cases += 1
        name = f"{base.name} v{version}" + (f": {mutation}" if mutation else "")
        unknown = [each for each in found if not self._is_known(api, name, each)]
        if not found:
            score.agree += 1
        elif not unknown:
            score.known += 1
        else:
            score.differ += 1
            self._show(base, mutation, name, unknown)

    def _is_known(self, api: str, name: str, found: Difference) -> bool:
        for each in KNOWN:
            if each.covers(api, name, found):
                self.used_reasons[each.reason] += 1
                return True
        return False

    def _show(self, base: Base, mutation: Mutation | None, name: str, found: list[Difference]) -> None:
        """Print a difference, but not again for each version."""
        key = OWN_NAME.sub("", f"{base.name} {mutation} {found}")
        self.shown[key] += 1
        if self.shown[key] == 1:
            print(f"DIFFER {name}")
            for each in found[:4]:
                print(
                    f"    {each.path or 'answer'}: Apache {each.apache!r:.200}, Ottla {each.ottla!r:.200}", flush=True
                )


def _has_coordinator(answer: FindCoordinatorResponse) -> bool:
    return not answer.coordinators[0].error_code


def variants(base: Base) -> Iterator[tuple[int, Mutation | None]]:
    """The versions of a case, and in each of them the good request and the changed ones."""
    plain = sample(base)
    api = BY_KEY[plain.api_key]
    for version in _versions(api, base):
        yield version, None
        if base.mutate:
            yield from ((version, each) for each in mutations(plain, version) if each.path[0] != base.keep)


def _versions(api: Api, base: Base) -> range:
    first, last = api.served
    return range(max(first, base.first_version), min(last, base.last_version) + 1)


class _Anything(dict[str, object]):
    def __missing__(self, key: str) -> object:
        return 1 if key in {"generation", "session"} else "something"


class _SampleSide(Side):
    """Stands in where only the shape of a request is wanted."""

    def topic_id(self, name: str) -> bytes:
        return name.encode().ljust(16)[:16]


def sample(base: Base) -> Request:
    return base.make(_SampleSide("sample", 0, memory=_Anything()))


def report(comparison: Comparison) -> int:
    """Print the table; the exit code is 1 if something differs that no list knows."""
    print(f"\n{'API':28}{'version':>8}{'cases':>8}{'agree':>8}{'known':>8}{'differ':>8}")
    total = Score()
    for (api, version), score in sorted(comparison.scores.items()):
        print(f"{api:28}{version:>8}{score.cases:>8}{score.agree:>8}{score.known:>8}{score.differ:>8}")
        for name in ("cases", "agree", "known", "differ"):
            setattr(total, name, getattr(total, name) + getattr(score, name))
    for reason, count in comparison.used_reasons.most_common():
        print(f"known, {count} times: {reason}")
    print(f"{total.cases} compared: {total.agree} agree, {total.known} differ as documented, {total.differ} differ")
    return 1 if total.differ else 0


def main() -> int:
    """The command: start both, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="?", default="", help="only cases whose name holds this")
    parser.add_argument("--part", type=float, default=1.0, help="send this share of the changed requests (0 to 1)")
    parser.add_argument("--seed", type=int, default=1, help="which part")
    parser.add_argument("--json", type=Path, help="also write the table here")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        apache = stack.enter_context(ApacheBroker(folder / "apache", settings=SETTINGS))
        ottla = stack.enter_context(OttlaBroker(folder / "ottla", settings=SETTINGS | {"node.id": "1"}))
        comparison = Comparison(
            Side("Apache", apache.port), Side("Ottla", ottla.port), seed=options.seed, part=options.part
        )
        comparison.prepare()
        comparison.run(options.only)
        for side in comparison.sides:
            side.close()
    if options.json:
        rows = [{"api": api, "version": version, **vars(score)} for (api, version), score in comparison.scores.items()]
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    return report(comparison)


if __name__ == "__main__":
    sys.exit(main())
