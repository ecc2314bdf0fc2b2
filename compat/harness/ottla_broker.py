"""Ottla as a throw-away broker: `ottla serve` of this checkout with its defaults and its own data folder."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cached_property
from pathlib import Path

from compat.harness.broker import Broker

ROOT = Path(__file__).resolve().parent.parent.parent


class OttlaBroker(Broker):
    """One `ottla serve`, from the checkout that holds this file. With `as_kafka`, it offers that release's versions."""

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

    @cached_property
    def version(self) -> str:
        command = [sys.executable, "-c", "import ottla; print(ottla.__version__)"]
        answer = subprocess.run(
            command, cwd=ROOT, env=self.environment(), capture_output=True, text=True, check=False
        ).stdout.strip()
        return f"Ottla {answer}".strip()

    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

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
