"""The command `ottla import`: describes an Apache broker's folder, and takes it over."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("import", short_help="Take over a stopped Apache broker's data.")
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    help="Copy the logs into this new folder, and leave DIR as it is.  [default: DIR itself becomes Ottla's]",
)
@click.option("--dry-run", is_flag=True, help="Only list the data that would be taken over.")
@click.option("--without-acls", is_flag=True, help="Take over a cluster that has ACLs, but drop the ACLs.")
def import_data(folders: tuple[Path, ...], to: Path | None, dry_run: bool, without_acls: bool) -> None:
    """Take over the log folder of an Apache Kafka broker (KRaft) that has been stopped.

    Topics with their ids and settings, all records, committed offsets and the state of producers are kept. Give
    all of the broker's log.dirs as DIR...; several of them need --to. docs/import.md has the details.

    \b
    ottla import /var/lib/kafka --dry-run
    ottla import /var/lib/kafka
    ottla import /disk1/kafka /disk2/kafka --to /var/lib/ottla
    """  # noqa: D301
    from ottla.takeover.examine import TakeoverError, describe, examined
    from ottla.takeover.write import copy_logs, write_catalog

    if len(folders) > 1 and to is None:
        raise click.UsageError("Ottla keeps its data in one folder: several DIRs need --to.")
    try:
        with examined(folders, without_acls=without_acls) as found:
            for line in describe(found):
                click.echo(line)
            if dry_run:
                return
            if to is None:
                write_catalog(found, folders[0])
            else:
                for _ in copy_logs(found, to):
                    pass
    except TakeoverError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or to or folders[0]}: {error.strerror or error}") from None
    node = "" if found.identity.node_id == 1 else f" --config node.id={found.identity.node_id}"
    click.echo(f"Done. Serve it with: ottla serve --data-dir {to or folders[0]}{node}")
