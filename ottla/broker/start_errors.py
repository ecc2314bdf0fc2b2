"""The sentences that a person meets when the broker cannot start. Each says what is wrong and what to do."""

from __future__ import annotations

import errno
from pathlib import Path

from ottla.broker.options import Address, StartError


def cannot_listen(address: Address, error: OSError) -> StartError:
    """Explain why nobody can listen on this address."""
    if error.errno == errno.EADDRINUSE:
        return StartError(
            f"port {address.port} on {address.host} is in use, perhaps by another broker; "
            f"stop that one, or choose another port with --listen {Address(address.host, address.port + 1)}"
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return StartError(f"this user may not listen on port {address.port}; choose one above 1023 with --listen")
    if error.errno == errno.EADDRNOTAVAIL:
        return StartError(f"this machine does not have the address {address.host}; choose another with --listen")
    return StartError(f"cannot listen on {address}: {error.strerror or error}")


def data_dir_in_use(folder: Path) -> StartError:
    """Explain that another broker holds the lock."""
    return StartError(
        f"the data folder {folder} is in use by another broker; stop that one, or choose another with --data-dir"
    )


def cannot_use_data_dir(folder: Path, error: OSError) -> StartError:
    """Explain why the data folder cannot be made or opened."""
    return StartError(f"the data folder {folder} cannot be used: {error.strerror or error}")
