"""Notices when the whole machine stood still (a closed lid, a paused virtual machine): no client survives that."""

from __future__ import annotations

import threading
import time

TICK = 0.5
STILL = 10.0  # seconds between two ticks that no busy machine explains


class SuspensionWatch:
    """`count` says how often the machine stood still since this was made."""

    def __init__(self) -> None:
        self.count = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        last = time.monotonic()
        while True:
            time.sleep(TICK)
            now = time.monotonic()
            if now - last > STILL:
                self.count += 1
            last = now
