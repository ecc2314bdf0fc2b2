"""Ottla as a throw-away broker: `ottla serve` with its defaults and its own data folder.

Which Ottla: the one that this Python imports. That is the checkout's, or what ./check and bench have built of it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import ottla
from compat.harness.broker import Broker

PACKAGE = Path(ottla.__file__).resolve().parent.parent


class OttlaBroker(Broker):
    """One `ottla serve`. With `as_kafka`, it offers that release's versions."""

    name = "ottla"
    start_timeout = 20.0

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        advertised_port: int | None = None,
        settings: dict[str, str] | None = None,
        as_kafka: str | None = None,
    ) -> None:
        super().__init__(directory, port=port, advertised_port=advertised_port, settings=settings)
        self.as_kafka = as_kafka

    @property
    def version(self) -> str:
        return f"Ottla {ottla.__version__}"

    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(PACKAGE), "PYTHONUNBUFFERED": "1"}

    def command(self) -> list[str]:
        words = ["serve", "--data-dir", str(self.data_dir), "--listen", f"127.0.0.1:{self.port}"]
        if self.advertised_port == self.port:
            words += ["--listen", f"[::1]:{self.port}"]
        else:  # a proxy stands before it
            words += ["--advertise", f"127.0.0.1:{self.advertised_port}"]
        if self.as_kafka is not None:
            words += ["--as-kafka", self.as_kafka]
        for name, value in self.settings.items():
            words += ["--config", f"{name}={value}"]
        return [sys.executable, "-m", "ottla", *words]
