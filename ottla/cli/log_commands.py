"""The commands `ottla log check` and `ottla log repair`: find damage in a stopped broker's logs, and repair it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ottla.storage.segments.recovery.log_check import LogReport

_folder = click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))


@click.group("log", short_help="Check and repair the logs of a stopped broker.")
def log() -> None:
    """Check and repair the logs of a broker that has been stopped.

    DIR is the broker's data folder (--data-dir of `ottla serve`); a LOG has the name of its folder there, such as
    orders-0.
    """


@log.command("check")
@_folder
@click.argument("names", metavar="[LOG]...", nargs=-1)
def check(folder: Path, names: tuple[str, ...]) -> None:
    """Read logs and report damage; change nothing. Without a LOG, read all of them.

    The exit status is 1 if a log needs repair.
    """
    from ottla.storage.files.real import RealFiles
    from ottla.storage.segments.recovery.log_check import check_directory

    files = RealFiles()
    logs = batches = size = damaged = 0
    with _alone(folder):
        for report in check_directory(files, folder, _known(folder, names)):
            logs += 1
            batches += report.batches
            size += report.size_bytes
            damaged += report.needs_repair
            for line in _describe(report):
                click.echo(line)
    click.echo(f"{logs} logs with {batches} batches in {size} bytes; {damaged or 'none'} in need of repair")
    if damaged:
        raise SystemExit(1)


@log.command("repair")
@_folder
@click.argument("names", metavar="LOG...", nargs=-1, required=True)
def repair(folder: Path, names: tuple[str, ...]) -> None:
    """Remove bad batches from logs. The damaged segments are kept beside them as .damaged files.

    A log that has lost segments, or all its files, goes on with the rest.

    \b
    ottla log check /var/lib/ottla
    ottla log repair /var/lib/ottla orders-0
    """  # noqa: D301
    from ottla.storage.files.real import RealFiles
    from ottla.storage.segments.recovery.log_repair import repair as mend

    files = RealFiles()
    with _alone(folder):
        for name in _known(folder, names) or ():
            done = mend(files, folder, name)
            if not done.report.needs_repair:
                click.echo(f"{name}: needs no repair")
                continue
            for line in _describe(done.report):
                click.echo(line)
            for kept in done.kept:
                click.echo(f"{name}: the damaged segment is kept as {kept.name}")
            click.echo(f"{name}: repaired; the next start checks it")


def _describe(report: LogReport) -> Iterator[str]:
    from ottla.storage.segments.segment import LOG_SUFFIX, file_name

    for bad in report.bad:
        where = f"{report.name}/{file_name(bad.segment, LOG_SUFFIX)}, bytes {bad.start} to {bad.end - 1}: {bad.reason}"
        if report.is_torn(bad):
            yield f"{where}; a crash left this above the recovery point, and the next start cuts the log here"
        elif bad.resumes_at is None:
            yield f"{where}; DAMAGED from offset {bad.next_offset} to the segment's end"
        elif bad.resumes_at > bad.next_offset:
            yield f"{where}; DAMAGED, offsets {bad.next_offset} to {bad.resumes_at - 1}"
        else:
            yield f"{where}; DAMAGED, before offset {bad.resumes_at}, where no record is missing"
    if report.lacks_the_end:
        yield (
            f"{report.name}: DAMAGED, it ends at offset {report.end_offset}; up to {report.recovery_point} "
            "it was synced to disk"
        )
    for problem in report.rebuilt:
        yield f"{report.name}/{problem}; it is rebuilt when it is needed"


def _known(folder: Path, names: tuple[str, ...]) -> list[str] | None:
    """Return the names if each is the name of a log; None if there are none, for all logs. Raises ClickException."""
    for name in names:
        topic, _, number = name.rpartition("-")
        if not topic or not (number.isascii() and number.isdigit()) or Path(name).name != name:
            raise click.ClickException(f"{name} is not a log's name: that of its folder in {folder}, such as orders-0")
    return list(names) or None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock the folder against brokers, and turn disk errors into a sentence."""
    from ottla.storage.files.directory_lock import DirectoryInUseError, DirectoryLock
    from ottla.storage.files.identity import META_PROPERTIES

    if not (folder / META_PROPERTIES).exists():
        raise click.ClickException(f"{folder} is not a broker's data folder: it has no {META_PROPERTIES}")
    try:
        lock = DirectoryLock(folder)
    except DirectoryInUseError as error:
        raise click.ClickException(str(error)) from None
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be read: {error}") from None
    finally:
        lock.release()
