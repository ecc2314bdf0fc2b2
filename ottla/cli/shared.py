"""The parts that several commands share: the default data folder, questions to a running broker, tables."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

of_running_broker = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data folder of the running broker, which it prints at its start.  [default: as for `ottla serve`]",
)
"""The option that names the broker for a command."""


def default_data_dir() -> Path:
    """Return the platform's folder for user data."""
    from platformdirs import user_data_path

    return user_data_path("ottla", appauthor=False)


def is_compiled() -> bool:
    """Return whether the hot path is compiled here, as in the wheels that were built with a C compiler."""
    found = find_spec("ottla.wire.batch")
    return found is not None and not str(found.origin).endswith(".py")


def ask_broker(data_dir: Path | None, command: str, **arguments: Any) -> Any:
    """Return the answer of the broker that runs in this folder, or in the default one. Raises ClickException."""
    from ottla.control_channel import ControlError, ask

    try:
        return ask(data_dir or default_data_dir(), command, **arguments)
    except ControlError as error:
        raise click.ClickException(str(error)) from None


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out in columns as wide as their widest cell; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
