"""What several commands share: the default data folder, how a running broker is asked, how a table is laid out."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

of_running_broker = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The data folder of the broker, which it names when it starts.  [default: that of `ottla serve`]",
)
"""The option by which a command finds the broker that it asks."""


def default_data_dir() -> Path:
    """Return the platform's place for a user's data."""
    from platformdirs import user_data_path

    return user_data_path("ottla", appauthor=False)


def is_compiled() -> bool:
    """Whether the hot path is compiled here, as in the wheels that were built with a C compiler."""
    found = find_spec("ottla.wire.batch")
    return found is not None and not str(found.origin).endswith(".py")


def ask_broker(data_dir: Path | None, command: str, **arguments: Any) -> Any:
    """Return what the broker answers that runs in this folder, or in the default one. Raises ClickException."""
    from ottla.control_channel import ControlError, ask

    try:
        return ask(data_dir or default_data_dir(), command, **arguments)
    except ControlError as error:
        raise click.ClickException(str(error)) from None


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out in columns as wide as what is in them; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
