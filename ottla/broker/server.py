"""Runs one broker: opens its data, listens, serves until told to stop, and closes everything in order.

The only place that knows about signals, threads and the order of starting and stopping.
"""

import gc
import logging
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import trio

from ottla.broker.cluster.cluster import Cluster
from ottla.broker.cluster.nodes import Node
from ottla.broker.control.local_socket import Command, serve_commands
from ottla.broker.control.node_commands import NodeCommands
from ottla.broker.monitoring.clients import describe
from ottla.broker.network.endpoints import Endpoints, open_endpoints
from ottla.broker.network.loop import Loop
from ottla.broker.process.disk_threads import DiskThreads
from ottla.broker.process.housekeeping import Housekeeping
from ottla.broker.process.open_files import connection_limit, raise_open_file_limit
from ottla.broker.process.options import ServeOptions
from ottla.broker.settings.acknowledgement import acknowledgement
from ottla.broker.user_errors import StartError
from ottla.ready import Ready, ReadyNode
from ottla.scheduling.clock import SystemClock, stopwatch
from ottla.scheduling.stepper import Stepper
from ottla.scheduling.timers import Timers
from ottla.storage.catalog import CatalogError
from ottla.storage.catalogs.sqlite import FILE_NAME, SqliteCatalog
from ottla.storage.files.directory_lock import DirectoryInUseError
from ottla.storage.files.identity import IdentityError
from ottla.storage.files.real import RealFiles
from ottla.storage.segments.data_directory import DataDirectory
from ottla.wire.errors import KafkaError

log = logging.getLogger(__name__)

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
        endpoints = open_endpoints(options.listeners, options.advertise, nodes=1 + len(options.more_nodes))
        for each in endpoints:
            stack.callback(each.close)
        async with trio.open_nursery() as nursery:
            clock = SystemClock()
            timers, machine_timers = Timers(), Timers()
            disk_threads = DiskThreads()
            stepper = Stepper(timers=machine_timers, stopwatch=stopwatch, background=disk_threads)
            cluster = _open_cluster(options, clock, timers, stepper)
            stack.callback(cluster.close)
            stack.callback(disk_threads.close)
            loop = Loop(
                clock=clock,
                timers=timers,
                stopwatch=stopwatch,
                machine_timers=machine_timers,
                max_request_bytes=options.config.integer("socket.request.max.bytes"),
                max_idle_s=options.config.integer("connections.max.idle.ms") / 1000,
                max_connections=min(options.config.integer("max.connections"), connection_limit(open_files)),
            )
            stack.callback(loop.close)
            disk_threads.serve_in(loop)
            nodes = NodeCommands(cluster, loop, dict(zip(cluster.nodes.by_id, endpoints, strict=True)))
            nodes.listen()
            nursery.start_soon(loop.run)
            stepper.start(cluster.load_groups(), "loading groups")
            _repeat(machine_timers, stopwatch, IDLE_SWEEP_S, loop.close_idle)
            _repeat(machine_timers, stopwatch, cluster.checkpoint_interval_s, cluster.directory.checkpoint)
            _repeat(timers, clock.monotonic, cluster.producer_expiry_check_s, cluster.expire_producers)
            Housekeeping(cluster).start()
            await nursery.start(serve_commands, options.data_dir, _commands(loop, nodes), loop.call_soon)
            if not cluster.nodes.is_alone:
                _repeat_elections(cluster)
            gc.freeze()  # what is loaded by now stays; no collection need look at it again
            options.on_ready(
                Ready(
                    nodes=tuple(
                        _ready_node(node, its)
                        for node, its in zip(cluster.nodes.by_id.values(), endpoints, strict=True)
                    ),
                    data_dir=options.data_dir,
                    cluster_id=cluster.id,
                    acknowledgement=acknowledgement(options.config, ephemeral=options.ephemeral),
                )
            )
            log.info("stopping on %s", signal.Signals(await anext(signals)).name)
            for each in endpoints:
                each.close()
            with trio.move_on_after(DRAIN_S) as drain:
                nursery.start_soon(_hurry, signals, drain)
                await loop.drain()
            loop.close_all()
            nursery.cancel_scope.cancel()


def _repeat_elections(cluster: Cluster) -> None:
    elections, config = cluster.elections, cluster.config
    if config.boolean("auto.leader.rebalance.enable"):
        balance_s = config.integer("leader.imbalance.check.interval.seconds")
        _repeat(cluster.timers, cluster.clock.monotonic, balance_s, elections.elect_preferred)
    unclean_s = config.integer("unclean.leader.election.interval.ms") / 1000
    _repeat(cluster.timers, cluster.clock.monotonic, unclean_s, elections.elect_unclean)


def _ready_node(node: Node, its: Endpoints) -> ReadyNode:
    address = its.advertised
    return ReadyNode(
        id=node.id,
        host=address.host,
        port=address.port,
        bootstrap=str(address),
        listening=tuple(map(str, its.listening)),
        rack=node.rack,
    )


def _commands(loop: Loop, nodes: NodeCommands) -> dict[str, Command]:
    """Return the commands that programs may send to this broker (``broker/control/local_socket``)."""
    return {
        "clients": lambda: describe(connection.context.client for connection in loop.connections.values()),
        "nodes": nodes.list,
        "stop-node": nodes.stop,
        "start-node": nodes.start,
    }


async def _hurry(signals: AsyncIterator[int], drain: trio.CancelScope) -> None:
    """Wait for slow readers no longer once a second signal has come."""
    async for _ in signals:
        drain.cancel()


def _open_cluster(options: ServeOptions, clock: SystemClock, timers: Timers, stepper: Stepper) -> Cluster:
    random_source = random.Random()  # noqa: S311 - ids, not secrets
    refuse_logs_of_others(options.data_dir)
    try:
        directory = DataDirectory(
            options.data_dir,
            node_id=options.config.integer("node.id"),
            files=RealFiles(durable=not options.ephemeral),
            background=stepper.background,
            random=random_source,
        )
    except (DirectoryInUseError, IdentityError) as error:
        raise StartError(str(error)) from error
    except OSError as error:
        raise StartError(f"the data directory {options.data_dir} cannot be used: {error.strerror}") from error
    try:
        catalog = SqliteCatalog(
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
            stepper=stepper,
            random_source=random_source,
            more_nodes=options.more_nodes,
            release=options.release,
        )
    except KafkaError as error:
        catalog.close()
        directory.abandon()
        raise StartError(f"the data directory {options.data_dir} cannot be used: {error.message}") from error
    finally:
        gc.enable()


def refuse_logs_of_others(folder: Path) -> None:
    """Do not touch logs that no catalog knows: they would be put aside. Raises StartError."""
    if not (folder / FILE_NAME).exists() and any(folder.glob("*-*/partition.metadata")):
        raise StartError(
            f"the data directory {folder} holds logs, but not Ottla's {FILE_NAME}; "
            f"if an Apache broker wrote them, take them over with: ottla import {folder}"
        )


def _repeat(timers: Timers, now: Callable[[], float], interval_s: float, action: Callable[[], None]) -> None:
    """Call ``action`` every ``interval_s`` seconds of the clock that ``now`` reads."""

    def again() -> None:
        try:
            action()
        except Exception:
            log.exception("Regular task failed")
        timers.schedule(now() + interval_s, again)

    timers.schedule(now() + interval_s, again)
