"""A disk whose work is done when the test says so."""

from collections.abc import Callable


class Held:
    """Work that is done when the test says so."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], None], Callable[[BaseException | None], None]]] = []
        self.calls: list[Callable[[], None]] = []

    def run(self, work: Callable[[], None], then: Callable[[BaseException | None], None]) -> None:
        self.jobs.append((work, then))

    def soon(self, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def end_pass(self) -> None:
        """Make the calls that were to come soon, so that jobs are there."""
        calls, self.calls = self.calls, []
        for call in calls:
            call()

    def work(self) -> None:
        """End the pass and do the jobs that there are, not those that they lead to."""
        self.end_pass()
        jobs, self.jobs = self.jobs, []
        for work, then in jobs:
            work()
            then(None)

    def work_to_the_end(self) -> None:
        while self.calls or self.jobs:
            self.work()
