"""Writes a takeover: the logs into another folder, if asked for, and the catalog, which makes the folder Ottla's.

The catalog appears whole or not at all, and a copy gets its name when it is complete: after a failure, a second attempt
finds the same data as the first one.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ottla.broker.quotas.limits import Quotas
from ottla.broker.security.scram_credentials import ScramCredentials
from ottla.broker.versions.features import KIND as FEATURES_KIND
from ottla.storage.catalogs.sqlite import FILE_NAME, SqliteCatalog
from ottla.storage.files.checkpoints import OffsetCheckpoint
from ottla.storage.files.identity import write_identity
from ottla.storage.files.real import RealFiles
from ottla.storage.segments.data_directory import CLEAN_SHUTDOWN, LOG_START_OFFSETS, RECOVERY_POINTS
from ottla.takeover.examine import Takeover, TakeoverError
from ottla.wire.errors import KafkaError

_UNFINISHED = ".importing"
_CHECKPOINTS = (RECOVERY_POINTS, LOG_START_OFFSETS)


def write_catalog(found: Takeover, folder: Path) -> None:
    """Write the catalog into ``folder``, which holds the logs: it is Ottla's then. Raises TakeoverError, OSError."""
    unfinished = folder / (FILE_NAME + _UNFINISHED)
    for leftover in folder.glob(f"{FILE_NAME}*"):
        leftover.unlink()
    catalog = SqliteCatalog(unfinished, cluster_id=found.identity.cluster_id, synchronous="FULL")
    try:
        catalog.create_topics(found.topics)
        for (resource_type, name), configs in found.configs.items():
            catalog.replace_configs(resource_type, name, configs)
        catalog.change_entries(FEATURES_KIND, found.features)
        for entity, values in found.quotas.items():
            Quotas(catalog).alter(entity, list(values.items()), validate_only=False)
        for credential in found.scram_credentials:
            ScramCredentials(catalog).restore(
                credential.name,
                credential.mechanism,
                iterations=credential.iterations,
                salt=credential.salt,
                stored_key=credential.stored_key,
                server_key=credential.server_key,
            )
        catalog.reserve_producer_ids(found.next_producer_id)
    except KafkaError as refusal:
        raise TakeoverError(f"The cluster's catalog cannot be written: {refusal.message}.") from refusal
    finally:
        catalog.close()
    unfinished.replace(folder / FILE_NAME)
    RealFiles().sync_folder(folder)


def copy_logs(found: Takeover, to: Path) -> Iterator[str]:
    """Copy the logs, synced, into a new folder with a catalog; yields the name of each log once it is copied.

    Raises TakeoverError if ``to`` is not empty, and OSError.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise TakeoverError(f"{to} is not empty; --to needs a new or an empty folder.")
    files = RealFiles()
    unfinished = to.with_name(to.name + _UNFINISHED)
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for (topic, number), folder in found.logs.items():
        _copy_folder(folder, unfinished / f"{topic}-{number}")
        yield f"{topic}-{number}"
    for name in _CHECKPOINTS:
        offsets: dict[tuple[str, int], int] = {}
        for source in found.folders:
            offsets |= OffsetCheckpoint(files, source / name).read() or {}
        here = {key: offset for key, offset in offsets.items() if key in found.logs}
        OffsetCheckpoint(files, unfinished / name).writing(here, sync=True)()
    if found.was_clean:
        _copy_file(found.folders[0] / CLEAN_SHUTDOWN, unfinished / CLEAN_SHUTDOWN)
    write_identity(files, unfinished, found.identity)
    write_catalog(found, unfinished)
    if to.exists():
        to.rmdir()
    unfinished.rename(to)
    files.sync_folder(to.parent)


def _copy_folder(source: Path, target: Path) -> None:
    target.mkdir()
    for path in source.iterdir():
        if path.is_file():
            _copy_file(path, target / path.name)
    RealFiles().sync_folder(target)


def _copy_file(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    with target.open("rb") as copied:
        os.fsync(copied.fileno())
