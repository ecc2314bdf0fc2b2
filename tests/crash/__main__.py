"""`python -m tests.crash --rounds 100`: kills a broker under load again and again, and holds it to its word."""

import argparse
import tempfile
import time
from pathlib import Path

from tests.crash.rounds import Rounds


def main() -> None:
    """Run the rounds and sum up."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="how often the broker is killed (%(default)s)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="chooses the moments; by default, the time")
    asked = parser.parse_args()
    print(f"seed {asked.seed}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ottla-crash-") as folder:
        rounds = Rounds(Path(folder) / "data", asked.seed)
        for number, records in enumerate(rounds.run(asked.rounds), 1):
            if number % 10 == 0:
                print(f"{number} rounds, {records} records, {time.monotonic() - began:.0f} s", flush=True)
        ends = ", ".join(f"{kind} {count} times" for kind, count in sorted(rounds.kinds.items()))
        commits = sum(committer.acknowledged for committer in rounds.committers)
        records = sum(len(journal.values) for journal in rounds.journals)
        print(f"{records} records and {commits} commits are as they were told")
        print(f"the broker was {ends}; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
