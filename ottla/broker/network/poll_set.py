"""Which sockets are ready: by ``epoll`` where there is one, else by ``poll`` or ``select`` behind the same face.

An ``epoll`` set is itself pollable, so trio sleeps on it. Beside the others a thread waits while the loop sleeps, and a
socket pair tells it when something is to be watched that it does not know of yet.
"""

import errno
import select
import socket
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import trio

READ = 0x1
WRITE = 0x4
MUTED = 0x2000
"""Only that the other side has gone (EPOLLRDHUP); ``select`` says nothing then, until something is to be sent."""
HUNG_UP = 0x8 | 0x10 | MUTED
"""These are epoll's numbers, and poll's: an error, an end, the other side's end."""

MAXIMUM_FOR_SELECT = 500
"""Maximum sockets that ``select`` is asked about: Windows allows 512."""

Events = list[tuple[int, int]]
Ask = Callable[[Mapping[int, int], float | None], Events]


class PollSet(Protocol):
    """A set of sockets with the interest in each. Interests and events are made of the numbers above."""

    def register(self, fd: int, interest: int, /) -> None:
        """Watch a socket. Raises OSError if no more can be watched."""
        ...

    def modify(self, fd: int, interest: int, /) -> None:
        """Await something else of it."""
        ...

    def unregister(self, fd: int, /) -> None:
        """Watch it no more."""
        ...

    def poll(self, timeout_s: float, most: int, /) -> Events:
        """Return the sockets that are ready, at most ``most``, waiting up to ``timeout_s`` for the first."""
        ...

    async def wait(self) -> None:
        """Sleep until something may be ready."""
        ...


def new_poll_set() -> PollSet:
    """Return the best kind of poll set that the platform has."""
    if hasattr(select, "epoll"):
        return EpollSet()
    return AskedSet(by_poll) if hasattr(select, "poll") else AskedSet(by_select, most=MAXIMUM_FOR_SELECT)


class EpollSet:
    """The kernel remembers the sockets. Its own methods are used as they are, because every pass calls them."""

    def __init__(self) -> None:
        epoll = select.epoll()
        self._fd = epoll.fileno()
        self.register = epoll.register
        self.modify = epoll.modify
        self.unregister = epoll.unregister
        self.poll = epoll.poll

    async def wait(self) -> None:
        """Sleep in trio."""
        await trio.lowlevel.wait_readable(self._fd)


class AskedSet:
    """Asks anew about every socket each time, so the cost of a pass rises with the number of connections."""

    def __init__(self, ask: Ask, *, most: int | None = None) -> None:
        self._ask = ask
        self._most = most
        self._watched: dict[int, int] = {}
        self._next = 0
        self._waker: socket.socket | None = None
        """While the loop sleeps: the end of a socket pair whose other end the waiting thread watches."""

    def register(self, fd: int, interest: int, /) -> None:
        """Watch a socket."""
        if self._most is not None and len(self._watched) >= self._most:
            raise OSError(errno.EMFILE, f"no more than {self._most} can be watched here")
        self._watched[fd] = interest
        self._wake()

    def modify(self, fd: int, interest: int, /) -> None:
        """Await something else of it."""
        self._watched[fd] = interest
        self._wake()

    def unregister(self, fd: int, /) -> None:
        """Watch it no more."""
        del self._watched[fd]
        self._wake()

    def poll(self, timeout_s: float, most: int, /) -> Events:
        """Return the sockets that are ready; where more than ``most`` are, each has its turn."""
        events = self._ask(self._watched, timeout_s)
        if len(events) > most:
            first = self._next % len(events)
            self._next = first + most
            events = (events[first:] + events[:first])[:most]
        return events

    async def wait(self) -> None:
        """Let a thread wait."""
        wakened, waker = socket.socketpair()
        with wakened, waker:
            self._waker = waker
            watched = {**self._watched, wakened.fileno(): READ}
            try:
                # A sleep that is cancelled ends its thread too: its socket is closed, which wakes it.
                await trio.to_thread.run_sync(self._ask, watched, None, abandon_on_cancel=True)
            except OSError:
                if self._waker is not None:
                    raise
                # It was woken: a socket was closed before the thread came to look at it.
            finally:
                self._waker = None
                waker.close()

    def _wake(self) -> None:
        waker, self._waker = self._waker, None
        if waker is not None:
            waker.send(b"!")


def by_poll(watched: Mapping[int, int], timeout_s: float | None) -> Events:
    """Ask with ``poll``, which takes any number of sockets."""
    poll: Any = select.poll()
    known = READ | WRITE | getattr(select, "POLLRDHUP", 0)
    for fd, interest in watched.items():
        poll.register(fd, interest & known)
    events = poll.poll(None if timeout_s is None else int(1000 * timeout_s))
    return [(fd, mask & (READ | WRITE | HUNG_UP)) for fd, mask in events]


def by_select(watched: Mapping[int, int], timeout_s: float | None) -> Events:
    """Ask with ``select``, which every platform has."""
    readers = [fd for fd, interest in watched.items() if interest & READ]
    writers = [fd for fd, interest in watched.items() if interest & WRITE]
    if not readers and not writers:
        return []  # Windows refuses to wait for nothing
    events: dict[int, int] = {}
    for found, bit in zip(select.select(readers, writers, (), timeout_s)[:2], (READ, WRITE), strict=True):
        for fd in found:
            events[fd] = events.get(fd, 0) | bit
    return list(events.items())
