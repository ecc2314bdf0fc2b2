"""Producing with a codec: the program compares what it reads back, the harness what lies in the broker's segments."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from compat.harness.program import ScenarioError
from compat.harness.stage import Stage

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")

BATCH_LENGTH = 8  # where a batch says how many bytes follow its first 12
ATTRIBUTES = 21
CODEC_BITS = 0b111


def stored_codecs(data: Path, topic: str) -> set[str]:
    """The codecs of all batches of `topic` below a broker's data folder (Apache's layout, which is Ottla's too)."""
    return {codec for segment in data.glob(f"{topic}-*/*.log") for codec in _codecs(segment.read_bytes())}


def _codecs(segment: bytes) -> Iterator[str]:
    position = 0
    while position + ATTRIBUTES + 2 <= len(segment):
        (length,) = struct.unpack_from(">i", segment, position + BATCH_LENGTH)
        if length <= 0:  # preallocated and not written yet
            return
        (attributes,) = struct.unpack_from(">h", segment, position + ATTRIBUTES)
        yield CODECS[attributes & CODEC_BITS]
        position += 12 + length


def produce_with(codec: str) -> Callable[[Stage], str]:
    """The scenario that drives `produce-<codec>`."""

    def drive(stage: Stage) -> str:
        stage.run(stage.scenario, timeout=90)
        found = stored_codecs(stage.broker.data_dir, stage.topic)
        # A client may leave a batch uncompressed that would not become smaller.
        if codec not in found:
            raise ScenarioError(f"the stored batches are {sorted(found)}, none is {codec}")
        return ", ".join(sorted(found))

    return drive
