"""The scores of all comparisons: the table for the terminal, and docs/comparison.md."""

from __future__ import annotations

import datetime
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass
class Score:
    """Of one API in one version, or of several together."""

    cases: int = 0
    agree: int = 0
    known: int = 0
    differ: int = 0

    def add(self, other: Score) -> None:
        """Count the cases of another one, too."""
        for name in vars(other):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass
class Scores:
    """All that was compared in a run."""

    by_version: dict[tuple[str, int], Score] = field(default_factory=lambda: defaultdict(Score))
    """By API and version."""
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often an API's answers differed for a reason that is known."""
    unanswered: int = 0
    """Cases in which neither broker answered."""
    broken: int = 0
    """Cases that could not be brought about."""
    steps: Counter[str] = field(default_factory=Counter)
    """By sequence: how many answers were compared."""

    def count(self, api: str, version: int, *, known: Iterable[str], differs: bool) -> None:
        """Count one case: the reasons of its known differences, and whether there are others."""
        score = self.by_version[api, version]
        score.cases += 1
        reasons = set(known)
        if differs:
            score.differ += 1
        elif reasons:
            score.known += 1
            self.reasons.update((api, reason) for reason in reasons)
        else:
            score.agree += 1

    @property
    def failed(self) -> bool:
        return bool(self.total.differ or self.broken)

    @property
    def total(self) -> Score:
        total = Score()
        for score in self.by_version.values():
            total.add(score)
        return total

    def summary(self, seconds: float) -> str:
        """The last line."""
        total = self.total
        return (
            f"{total.cases} compared in {seconds:.0f} s: {total.agree} agree, "
            f"{total.known} differ as documented, {total.differ} differ"
            + (f", {self.broken} could not be brought about" if self.broken else "")
        )

    def table(self) -> str:
        """By API and version, for the terminal."""
        lines = [f"{'API':28}{'version':>8}{'cases':>8}{'agree':>8}{'known':>8}{'differ':>8}"]
        lines += [
            f"{api:28}{version:>8}{score.cases:>8}{score.agree:>8}{score.known:>8}{score.differ:>8}"
            for (api, version), score in sorted(self.by_version.items())
        ]
        lines += [f"known, {count} times in {api}: {reason}" for (api, reason), count in sorted(self.reasons.items())]
        if self.unanswered:
            lines.append(f"{self.unanswered} were answered by neither")
        return "\n".join(lines)

    def markdown(self, *, today: datetime.date, brokers: Sequence[str], rules: Iterable[tuple[str, str, str]]) -> str:
        """docs/comparison.md: by API. `rules` are the fields that may differ: API, path, why."""
        total = self.total
        apis: dict[str, Score] = defaultdict(Score)
        versions: dict[str, list[int]] = defaultdict(list)
        for (api, version), score in sorted(self.by_version.items()):
            apis[api].add(score)
            versions[api].append(version)
        lines = [
            "# Comparison with Apache Kafka",
            "",
            "Written by `compat/compare --write`; do not edit. Both brokers got the same requests, good ones and bad",
            "ones, single ones and sequences that build state, and their answers were decoded and compared field by",
            "field (`compat/README.md` says how).",
            "",
            f"{' / '.join(brokers)}, {today:%Y-%m-%d}: {total.cases:,} answers compared, {total.agree:,} agree, "
            f"{total.known:,} differ as documented,",
            f"{total.differ:,} differ otherwise. {self.unanswered:,} of them are requests that neither broker answers.",
            "",
            *_rows("API", "versions", "cases", "agree", "known differences"),
            *(
                _row(api, _range(versions[api]), score.cases, score.agree, score.known or "")
                for api, score in sorted(apis.items())
            ),
            "",
            "## Known differences",
            "",
            "Each has its line in [deviations.md](deviations.md), with what either side answers and why.",
            "",
            *_rows("API", "cases", "what Apache does"),
            *(_row(api, count, reason) for (api, reason), count in sorted(self.reasons.items())),
            "",
            "## Sequences",
            "",
            *_rows("sequence", "answers compared"),
            *(_row(name, count) for name, count in sorted(self.steps.items())),
            "",
            "## Fields that may differ",
            "",
            "Never an error code, never a whole answer.",
            "",
            *_rows("API", "field", "why"),
            *(_row(api if api != "*" else "all", f"`{path}`", reason) for api, path, reason in rules),
        ]
        return "\n".join(lines) + "\n"


def _rows(*titles: str) -> tuple[str, str]:
    return _row(*titles), "|" + "---|" * len(titles)


def _row(*cells: object) -> str:
    return f"| {' | '.join(f'{cell:,}' if isinstance(cell, int) else str(cell) for cell in cells)} |"


def _range(versions: Sequence[int]) -> str:
    return f"{versions[0]}-{versions[-1]}" if len(versions) > 1 else str(versions[0])
