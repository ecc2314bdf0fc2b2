"""The command `ottla`: turns arguments into options and errors into sentences; decides nothing else.

A subcommand imports what it needs when it runs: `ottla --help` answers at once, and `serve` starts in half a second.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import ottla
from ottla.cli.clients_command import clients
from ottla.cli.import_command import import_data
from ottla.cli.log_commands import log as log_commands
from ottla.cli.nodes_commands import nodes as node_commands
from ottla.cli.shared import default_data_dir, is_compiled, table

if TYPE_CHECKING:
    from ottla.broker.apis import Api
    from ottla.broker.process.options import ServeOptions
    from ottla.broker.settings.addresses import Address, Listener
    from ottla.broker.settings.broker_config import BrokerConfig
    from ottla.ready import Ready

LOG_LEVELS = ("debug", "info", "warning", "error")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(ottla.__version__, message=f"ottla %(version)s{' (compiled)' if is_compiled() else ''}")
def main() -> None:
    """Ottla is a Kafka broker: point any Kafka client at it.

    \b
    ottla serve                serve on localhost:9092, keep the data
    ottla serve --ephemeral    serve, and forget everything at the end
    ottla serve --nodes 3      be a cluster of three brokers
    ottla import DIR           take over the data of a stopped Apache Kafka broker
    ottla log check DIR        look for damage in a stopped broker's data
    ottla nodes stop 2         let a node fail: leaders and groups move
    ottla clients              list connected clients: libraries, versions, APIs in use
    ottla apis                 list the Kafka APIs that are served
    """  # noqa: D301


main.add_command(clients)
main.add_command(import_data)
main.add_command(log_commands)
main.add_command(node_commands)


class _Listen(click.ParamType[Any]):
    """The parameter type HOST:PORT, or HOST:PORT,PORT... with a port for each node."""

    name = "listener"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Listener:
        """Read a listener from the command line."""
        from ottla.broker.settings.addresses import Listener

        if isinstance(value, Listener):
            return value
        try:
            return Listener.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Address(click.ParamType[Any]):
    """The parameter type HOST:PORT; with a default port, :PORT may be left out."""

    name = "address"

    def __init__(self, default_port: int | None = None) -> None:
        self.default_port = default_port

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Read an address from the command line."""
        from ottla.broker.settings.addresses import Address

        if isinstance(value, Address):
            return value
        try:
            return Address.parse(value, default_port=self.default_port)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@main.command(short_help="Start a broker.")
@click.option(
    "--listen",
    type=_Listen(),
    multiple=True,
    metavar="HOST:PORT",
    help="Address to listen on; may be given again. Port 0 takes a free one. With --nodes, the next nodes have the"
    " next ports, or those of HOST:PORT,PORT...  [default: 127.0.0.1:9092 and [::1]:9092]",
)
@click.option(
    "--nodes",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Number of brokers: with more than 1, this process looks like a cluster.",
)
@click.option(
    "--rack",
    "racks",
    multiple=True,
    metavar="NAME",
    help="Rack of the first node; given again, that of the next node. Fewer racks than nodes are given out in turn.",
)
@click.option(
    "--advertise",
    type=_Address(default_port=0),
    metavar="HOST[:PORT]",
    help="Address that clients are told to connect to, if they see this machine under another name.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data folder.  [default: the platform's folder for user data; on Linux ~/.local/share/ottla]",
)
@click.option("--ephemeral", is_flag=True, help="Keep the data in a temporary folder that is deleted at exit.")
@click.option(
    "--config",
    "-c",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A broker setting under Kafka's own name, such as num.partitions=3; may be given again.",
)
@click.option(
    "--properties",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A server.properties file; --config and the other options override it.",
)
@click.option(
    "--port-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write host, port, bootstrap address and process id here as JSON once the broker answers.",
)
@click.option(
    "--until-stdin-closes",
    is_flag=True,
    help="Stop when standard input ends, so that the broker never outlives the program that started it.",
)
@click.option(
    "--as-kafka",
    metavar="X.Y",
    help="Behave like that release of Kafka, such as 2.8: serve only its versions of the APIs.",
)
@click.option(
    "--log-level",
    type=click.Choice(LOG_LEVELS),
    default="info",
    show_default=True,
    help="Lowest level of log lines that are written.",
)
def serve(*, log_level: str, until_stdin_closes: bool, **given: Any) -> None:
    """Start a broker and serve until Ctrl-C or SIGTERM.

    \b
    ottla serve
    ottla serve --listen 127.0.0.1:0 --ephemeral --port-file port.json
    ottla serve --listen 0.0.0.0:9092 --advertise kafka.example.com
    ottla serve -c num.partitions=6 -c log.retention.hours=1
    ottla serve --properties server.properties
    ottla serve --nodes 3 --rack a --rack b --rack c
    """  # noqa: D301
    _log_to_stderr(log_level)
    if until_stdin_closes:
        _stop_when_stdin_closes()
    with _sentences(), _options(**given) as options:
        from ottla.broker.server import serve as run

        run(options)


@main.command(short_help="List the Kafka APIs that are served.")
@click.argument("name", required=False)
def apis(name: str | None) -> None:
    """List the Kafka APIs that are served, or show the code files of one API.

    \b
    ottla apis
    ottla apis OffsetCommit
    """  # noqa: D301
    from ottla.broker.apis import APIS

    if name is None:
        click.echo(_apis_table(APIS))
        return
    wanted = name.replace("_", "").replace("-", "").lower()
    found = [api for api in APIS if api.name.lower() == wanted or str(int(api.key)) == wanted]
    if not found:
        from difflib import get_close_matches

        close = get_close_matches(wanted, [api.name.lower() for api in APIS], n=1)
        meant = "".join(f"; did you mean {api.name}?" for api in APIS if api.name.lower() in close)
        raise click.ClickException(f"{name} is not served{meant or '; `ottla apis` lists the APIs that are'}")
    click.echo(_card(found[0]))


@contextmanager
def _options(
    *,
    listen: Sequence[Listener],
    nodes: int,
    racks: Sequence[str],
    advertise: Address | None,
    data_dir: Path | None,
    ephemeral: bool,
    settings: Sequence[str],
    properties: Path | None,
    port_file: Path | None,
    as_kafka: str | None,
) -> Iterator[ServeOptions]:
    """Convert the given options into those of the server. An ephemeral folder lives as long as the context."""
    from tempfile import TemporaryDirectory

    from ottla.broker.process.options import ServeOptions
    from ottla.broker.settings.addresses import advertised_listener, listeners
    from ottla.broker.settings.broker_config import BrokerConfig
    from ottla.broker.settings.node_configs import node_configs
    from ottla.broker.versions.releases import find_release

    if ephemeral and data_dir is not None:
        raise click.UsageError("--ephemeral keeps nothing, so it cannot go with --data-dir")
    given = {**_read_properties(properties), **dict(_pairs(settings))}
    config = BrokerConfig(given)
    if config.not_acted_on:
        click.echo(f"ottla: settings without effect here: {', '.join(config.not_acted_on)}", err=True)
    for listener in listen:
        if listener.more_ports and len(listener.more_ports) != nodes - 1:
            raise click.UsageError(
                f"--listen {listener.address} names {1 + len(listener.more_ports)} ports for {nodes} nodes"
            )
    with TemporaryDirectory(prefix="ottla-") if ephemeral else _kept(data_dir or _data_dir(config)) as folder:
        first, *more = node_configs({**given, "log.dirs": str(folder)}, nodes=nodes, racks=racks)
        yield ServeOptions(
            listeners=tuple(listen) or listeners(config),
            advertise=advertise or advertised_listener(config),
            data_dir=Path(folder),
            ephemeral=ephemeral,
            config=first,
            more_nodes=tuple(more),
            on_ready=_announce(port_file),
            release=None if as_kafka is None else find_release(as_kafka),
        )


@contextmanager
def _kept(folder: Path) -> Iterator[Path]:
    yield folder


def _data_dir(config: BrokerConfig) -> Path:
    """Return the folder that the settings name, else the platform's folder for user data."""
    names = [name for name in ("log.dirs", "log.dir") if name in config.given]
    if not names:
        return default_data_dir()
    folders = config.names(names[0])
    if len(folders) > 1:
        raise click.ClickException(f"{names[0]} names {len(folders)} folders; Ottla keeps its data in one")
    return Path(folders[0])


def _read_properties(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    import javaproperties

    try:
        return javaproperties.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{file} cannot be read as a properties file: {error}") from None


def _pairs(settings: Iterable[str]) -> Iterator[tuple[str, str]]:
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise click.UsageError(f"--config {setting}: write it as KEY=VALUE, such as num.partitions=3")
        yield name.strip(), value


def _announce(port_file: Path | None) -> Callable[[Ready], None]:
    def announce(ready: Ready) -> None:
        from ottla.ready import banner, write_port_file

        if port_file is not None:
            write_port_file(port_file, ready)
        click.echo(banner(ready))

    return announce


def _log_to_stderr(level: str) -> None:
    import logging

    logging.basicConfig(level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(message)s")


def _stop_when_stdin_closes() -> None:
    import os
    import signal
    import threading

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="until stdin closes", daemon=True).start()


@contextmanager
def _sentences() -> Iterator[None]:
    """Turn errors that the user can fix into one sentence, without a traceback."""
    from ottla.broker.settings.types import InvalidSettingError
    from ottla.broker.user_errors import StartError
    from ottla.broker.versions.releases import UnknownReleaseError

    try:
        yield
    except (InvalidSettingError, StartError, UnknownReleaseError) as error:
        raise click.ClickException(str(error)) from None
    except BaseExceptionGroup as group:  # an error raised within a nursery comes out wrapped
        sentences = group.subgroup(StartError)
        if sentences is None:
            raise
        found: BaseException = sentences
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        raise click.ClickException(str(found)) from None


def _apis_table(apis: Iterable[Api]) -> str:
    rows = [("KEY", "API", "SERVED", "ADVERTISED", "FAMILY")]
    rows += [
        (str(int(api.key)), api.name, _range(api.served), _range(api.advertised), api.family) for api in sorted(apis)
    ]
    return table(rows)


def _card(api: Api) -> str:
    return "\n".join(
        (
            f"{api.name} (API key {int(api.key)})",
            f"  served      {_range(api.served)}",
            f"  advertised  {_range(api.advertised)}",
            f"  messages    ottla/wire/messages/{api.family}.py",
            f"  handler     ottla/broker/handlers/{api.family}.py",
            f"  tests       tests/broker/test_{api.family}.py",
        )
    )


def _range(versions: tuple[int, int] | None) -> str:
    return "-" if versions is None else f"{versions[0]}-{versions[1]}"
