"""Runs one broker: opens its data, listens, serves until told to stop, and closes everything in order.

The only place that knows about signals, threads and the order of starting and stopping.
"""

import errno
import gc
import logging
import random
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import trio

from ottla.broker.acknowledgement import acknowledgement
from ottla.broker.advertise import advertised
from ottla.broker.clients import describe
from ottla.broker.cluster import Cluster
from ottla.broker.context import Context
from ottla.broker.control import Command, serve_commands
from ottla.broker.disk_threads import DiskThreads
from ottla.broker.housekeeping import Housekeeping
from ottla.broker.limits import connection_limit, raise_open_file_limit
from ottla.broker.loop import STALL_S, Listener, Loop
from ottla.broker.options import Address, Ready, ServeOptions, StartError
from ottla.broker.options import Listener as WantedListener
from ottla.broker.stepping import Stepper
from ottla.broker.waiting import SystemClock, Timers
from ottla.storage.background import Background
from ottla.storage.catalog import FILE_NAME, Catalog, CatalogError
from ottla.storage.directory import DataDirectory
from ottla.storage.directory_lock import DirectoryInUseError
from ottla.storage.files import RealFiles
from ottla.storage.identity import IdentityError

log = logging.getLogger(__name__)

BACKLOG = 1024
DRAIN_S = 5.0
IDLE_SWEEP_S = 30.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(options: ServeOptions) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises StartError, with a sentence for a person, where that cannot begin."""
    trio.run(partial(_serve, options), restrict_keyboard_interrupt_to_checkpoints=True)


async def _serve(options: ServeOptions) -> None:
    open_files = raise_open_file_limit()
    with ExitStack() as stack:
        # Until the data is closed: a second signal must not kill what the first one began.
        signals = stack.enter_context(trio.open_signal_receiver(*STOP_SIGNALS))
        sockets = _open_sockets(options.listeners)
        for sock in sockets:
            stack.callback(sock.close)
        async with trio.open_nursery() as nursery:
            clock = SystemClock()
            timers = Timers()
            disk_threads = DiskThreads()
            cluster = _open_cluster(options, clock, timers, disk_threads)
            stack.callback(cluster.close)
            stack.callback(disk_threads.close)
            listening = tuple(Address(*sock.getsockname()[:2]) for sock in sockets)
            address = advertised(listening, options.advertise)
            loop = Loop(
                timers=timers,
                clock=clock,
                max_request_bytes=options.config.integer("socket.request.max.bytes"),
                max_idle_s=options.config.integer("connections.max.idle.ms") / 1000,
                max_connections=min(options.config.integer("max.connections"), connection_limit(open_files)),
            )
            disk_threads.serve_in(loop)
            cluster.node.endpoints = [address] * len(sockets)
            listeners = []
            for index, sock in enumerate(sockets):
                listeners.append(Listener(sock, loop, partial(_context, cluster, index)))
                loop.listen(listeners[-1])
            nursery.start_soon(loop.run)
            nursery.start_soon(_run_timers, timers, clock)
            Stepper(cluster.load_groups(), timers=timers, clock=clock, background=disk_threads).run()
            _repeat(timers, clock, IDLE_SWEEP_S, loop.close_idle)
            _repeat(timers, clock, cluster.checkpoint_interval_s, cluster.directory.checkpoint)
            _repeat(timers, clock, cluster.producer_expiry_check_s, cluster.expire_producers)
            Housekeeping(cluster, disk_threads).start()
            await nursery.start(serve_commands, options.data_dir, _commands(loop))
            gc.freeze()  # what is loaded by now stays; no collection need look at it again
            options.on_ready(
                Ready(
                    advertised=address,
                    listening=listening,
                    data_dir=options.data_dir,
                    cluster_id=cluster.id,
                    node_id=cluster.node.id,
                    acknowledgement=acknowledgement(options.config, ephemeral=options.ephemeral),
                )
            )
            log.info("stopping on %s", signal.Signals(await anext(signals)).name)
            for listener in listeners:
                loop.stop_listening(listener)
            with trio.move_on_after(DRAIN_S) as drain:
                nursery.start_soon(_hurry, signals, drain)
                await loop.drain()
            loop.close_all()
            nursery.cancel_scope.cancel()


def _commands(loop: Loop) -> dict[str, Command]:
    """What programs may ask this broker, or tell it to do (``broker/control``)."""
    return {
        "clients": lambda: describe(connection.context for connection in loop.connections.values()),
    }


async def _hurry(signals: AsyncIterator[int], drain: trio.CancelScope) -> None:
    """Let who asks a second time not wait for slow readers."""
    async for _ in signals:
        drain.cancel()


def _context(cluster: Cluster, listener: int, client_host: str) -> Context:
    return Context(cluster=cluster, node=cluster.node, listener=listener, client_host=client_host)


def _open_cluster(options: ServeOptions, clock: SystemClock, timers: Timers, background: Background) -> Cluster:
    random_source = random.Random()  # noqa: S311 - ids, not secrets
    refuse_logs_of_others(options.data_dir)
    try:
        directory = DataDirectory(
            options.data_dir,
            node_id=options.config.integer("node.id"),
            files=RealFiles(durable=not options.ephemeral),
            background=background,
            random=random_source,
        )
    except (DirectoryInUseError, IdentityError) as error:
        raise StartError(str(error)) from error
    except OSError as error:
        raise StartError(f"the data directory {options.data_dir} cannot be used: {error.strerror}") from error
    try:
        catalog = Catalog(
            options.data_dir / FILE_NAME,
            cluster_id=directory.identity.cluster_id,
            synchronous="OFF" if options.ephemeral else "NORMAL",
        )
    except CatalogError as error:
        directory.abandon()
        raise StartError(str(error)) from error
    gc.disable()  # Of all the objects that 10,000 logs are made of, none is garbage.
    try:
        return Cluster(
            config=options.config,
            directory=directory,
            catalog=catalog,
            clock=clock,
            timers=timers,
            random_source=random_source,
            release=options.release,
        )
    finally:
        gc.enable()


def refuse_logs_of_others(folder: Path) -> None:
    """Do not touch logs that no catalog knows: they would be put aside. Raises StartError."""
    if not (folder / FILE_NAME).exists() and any(folder.glob("*-*/partition.metadata")):
        raise StartError(
            f"the data directory {folder} holds logs, but not Ottla's {FILE_NAME}; "
            f"if an Apache broker wrote them, take them over with: ottla import {folder}"
        )


def _open_sockets(listeners: tuple[WantedListener, ...]) -> list[socket.socket]:
    """Bind and listen. Listeners that ask for port 0 share the one that the first of them got."""
    sockets: list[socket.socket] = []
    shared_port = 0
    for wanted in listeners:
        address = wanted.address
        try:
            sock = _listen(address.host, address.port or shared_port)
        except OSError as error:
            if wanted.optional and error.errno != errno.EADDRINUSE:
                continue
            for opened in sockets:
                opened.close()
            raise StartError(_cannot_listen(address, error)) from error
        sockets.append(sock)
        if not address.port:
            shared_port = sock.getsockname()[1]
    return sockets


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _cannot_listen(address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {address.port} of {address.host} is in use: another broker may be running; "
            f"choose another with --listen {address.host}:PORT (0 takes a free one)"
        )
    return f"cannot listen on {address}: {error.strerror or error}"


async def _run_timers(timers: Timers, clock: SystemClock) -> None:
    """Sleep until the next deadline; an earlier one that comes up meanwhile wakes this."""
    wakened = trio.Event()
    wake_at = float("inf")

    def on_earlier() -> None:
        deadline = timers.next_deadline()
        if deadline is not None and deadline < wake_at:
            wakened.set()

    timers.on_earlier = on_earlier
    while True:
        started = clock.monotonic()
        timers.run_due(started)
        took_s = clock.monotonic() - started
        if took_s > STALL_S:
            log.warning("what was due took %.0f ms", 1000 * took_s)
        deadline = timers.next_deadline()
        wake_at = float("inf") if deadline is None else deadline
        wakened = trio.Event()
        with trio.move_on_after(max(0.0, wake_at - clock.monotonic())):
            await wakened.wait()


def _repeat(timers: Timers, clock: SystemClock, interval_s: float, action: Callable[[], None]) -> None:
    """Call ``action`` every ``interval_s`` seconds."""

    def again() -> None:
        try:
            action()
        except Exception:
            log.exception("a regular task failed")
        timers.schedule(clock.monotonic() + interval_s, again)

    timers.schedule(clock.monotonic() + interval_s, again)
