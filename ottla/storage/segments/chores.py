"""Does the chores of a data directory: unlinks files that were given up, and compacts logs.

Names and defaults are Apache's (``LogManager``, ``LogCleaner``).
"""

from functools import partial

from ottla.scheduling.steps import Steps
from ottla.storage.segments.compaction.cleaner import Cleaner, CompactedLogs
from ottla.storage.segments.retention import trim_all
from ottla.storage.segments.segment_list import SegmentList
from ottla.storage.segments.unlinking import Removals
from ottla.storage.store import Chore, Keeper

REMOVAL_S = 1.0


def chores(
    directory: CompactedLogs, removals: Removals, logs_to_trim: dict[SegmentList, None], keeper: Keeper
) -> list[Chore]:
    """Return the chores of one data directory."""
    found = [Chore("removing", partial(_remove, removals, logs_to_trim, keeper), REMOVAL_S, lambda: REMOVAL_S)]
    if keeper.compacts():
        found.append(Chore("compaction", partial(_compact, Cleaner(directory), keeper), 0, keeper.compaction_pause_s))
    return found


def _remove(removals: Removals, logs_to_trim: dict[SegmentList, None], keeper: Keeper) -> Steps[None]:
    """Unlink the files whose time has come, and go on trimming logs that had much to remove."""
    removals.remove_due(keeper.now_ms())
    waiting = list(logs_to_trim)
    logs_to_trim.clear()
    for log in waiting:
        if log.is_being_cleaned:
            logs_to_trim[log] = None
        else:
            yield from trim_all(log)


def _compact(cleaner: Cleaner, keeper: Keeper) -> Steps[None]:
    """Compact every log that is filthy enough, the filthiest first; then remove from such logs what is too old."""
    while (
        yield from cleaner.clean_filthiest(keeper.compaction_settings(), keeper.now_ms(), keeper.last_stable_offset)
    ):
        pass
    yield from keeper.retain_compacted()
