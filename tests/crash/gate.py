"""Holds those who work on a broker back while it is down or being looked at, and counts what they have done."""

import threading

PATIENCE_S = 60.0


class WorkIsOverError(Exception):
    """The work is over."""


class Gate:
    """Closed at first. Each worker calls ``wait`` before it connects; an open connection is used till it breaks."""

    def __init__(self, workers: int) -> None:
        self._changed = threading.Condition()
        self._workers = workers
        self._waiting = 0
        self._open = False
        self.ended = False
        self._done = 0
        self.trouble: list[BaseException] = []

    def wait(self) -> None:
        """Return once the gate is open. Raises WorkIsOverError when there is nothing more to do."""
        with self._changed:
            if not self._open and not self.ended:
                self._waiting += 1
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._open or self.ended)
                self._waiting -= 1
            if self.ended:
                raise WorkIsOverError

    def count(self, done: int = 1) -> None:
        """Note work that was acknowledged."""
        with self._changed:
            self._done += done
            self._changed.notify_all()

    def fail(self, error: BaseException, *, waits: bool = True) -> None:
        """Somebody cannot go on; ``waits`` says that it is one of those whom ``wait_for_all`` waits for."""
        with self._changed:
            self.trouble.append(error)
            self._workers -= waits
            self._changed.notify_all()

    def open_until(self, done: int) -> None:
        """Let everybody work until so much more is done, and return; they go on. Raises what went wrong."""
        with self._changed:
            self._open = True
            wanted = self._done + done
            self._changed.notify_all()
            finished = self._changed.wait_for(lambda: self._done >= wanted or bool(self.trouble), PATIENCE_S)
        self._raise_trouble()
        if not finished:
            raise TimeoutError(f"{self._done - wanted + done} of {done} were done in {PATIENCE_S} s")

    def close(self) -> None:
        """Let nobody begin anything."""
        with self._changed:
            self._open = False

    def wait_for_all(self) -> None:
        """Return when all workers wait. Raises what went wrong."""
        with self._changed:
            still = self._changed.wait_for(lambda: self._waiting >= self._workers, PATIENCE_S)
        self._raise_trouble()
        if not still:
            raise TimeoutError(f"{self._workers - self._waiting} of {self._workers} workers still work")

    def end(self) -> None:
        """Send everybody home."""
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def _raise_trouble(self) -> None:
        if self.trouble:
            raise self.trouble[0]
