"""Raises the limit of open files at start: connections and log segments are files."""

from __future__ import annotations

from ottla.broker.user_errors import StartError
from ottla.storage.files.real import default_open_limit

MINIMUM_OPEN_FILES = 64
OWN_FILES = 24
"""The number of files that are neither connections nor logs: listeners, the catalog, checkpoints, the poll set."""
_MAXIMUM_OPEN_FILES = 1 << 20  # "unlimited" is a number that the kernel refuses


def raise_open_file_limit() -> int:
    """Raise the soft limit to the hard one and return it. Raises StartError if even that is too low."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return _MAXIMUM_OPEN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard if hard != resource.RLIM_INFINITY else _MAXIMUM_OPEN_FILES, _MAXIMUM_OPEN_FILES)
    # macOS says "unlimited" and takes no more than OPEN_MAX.
    for limit in (wanted, 10_240):
        if soft != resource.RLIM_INFINITY and soft < limit:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            except (ValueError, OSError):
                continue
            soft = limit
    if soft != resource.RLIM_INFINITY and soft < MINIMUM_OPEN_FILES:
        raise StartError(
            f"only {soft} files may be open at once, and a broker needs at least {MINIMUM_OPEN_FILES}: "
            f"raise the limit with `ulimit -n 1024` in this shell, or for the service that runs it"
        )
    return soft if soft != resource.RLIM_INFINITY else _MAXIMUM_OPEN_FILES


def connection_limit(open_files: int) -> int:
    """Return how many connections leave the logs their share of ``open_files``, so that no flood starves them."""
    return max(8, open_files - default_open_limit() - OWN_FILES)
