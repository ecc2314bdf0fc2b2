"""Installs a client with its own package manager, once per change of its manifest and sources."""

from __future__ import annotations

import os
import shutil
import subprocess

from compat.harness.manifest import Client
from compat.harness.stage import CACHE, places

INSTALL_TIMEOUT = 2400.0  # per command; klag-exporter is optimized as a whole, with librdkafka from its source


class InstallError(Exception):
    """A client could not be installed; only that client is out."""


def install(client: Client) -> None:
    """Install into `.cache/compat/<client>/` unless that is done already. Raises InstallError."""
    folder = CACHE / client.name
    stamp = folder / ".installed"
    if stamp.exists() and stamp.read_text() == client.stamp():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log_path = CACHE / f"{client.name}.install.log"
    try:
        where = places(client)
        with log_path.open("wb") as log:
            for words in client.install:
                command = client.fill(words, where)
                log.write(f"$ {' '.join(command)}\n".encode())
                log.flush()
                environment = os.environ | {
                    name: client.fill([value], where)[0] for name, value in client.environment.items()
                }
                subprocess.run(
                    command,
                    cwd=client.folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=INSTALL_TIMEOUT,
                    check=True,
                )
    except (OSError, subprocess.SubprocessError) as error:
        tail = log_path.read_text(errors="replace")[-800:].strip() if log_path.exists() else ""
        raise InstallError(f"{client.name} {client.version} could not be installed: {error}\n{tail}") from error
    stamp.write_text(client.stamp())
