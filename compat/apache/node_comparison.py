"""Takes three Apache brokers and an Ottla of three nodes through the same steps, and compares what clients see."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compat.apache.node_client import Cluster, Nodes
from compat.apache.node_steps import STEPS
from compat.apache_cluster import ApacheCluster
from compat.harness.ottla_cluster import OttlaCluster

RACKS = ("a", "b", "c")
SETTINGS = {
    "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector",
    "offsets.topic.num.partitions": "6",
    "offsets.topic.replication.factor": "3",
    "auto.leader.rebalance.enable": "false",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps on both, print what differs; 1 if anything does."""
    parser = argparse.ArgumentParser(prog="compat/nodes", description=__doc__)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of: {', '.join(STEPS)}")
    parser.add_argument("--verbose", action="store_true", help="print all that is seen")
    options = parser.parse_args(arguments)
    names = options.steps or list(STEPS)
    with tempfile.TemporaryDirectory(prefix="ottla-nodes-") as folder:
        with OttlaCluster(Path(folder) / "ottla", racks=RACKS, settings=SETTINGS) as ottla:
            ours = _seen(ottla, names)
        with ApacheCluster(Path(folder) / "apache", racks=RACKS, settings=SETTINGS) as apache:
            theirs = _seen(apache, names)
    differ = 0
    for key in dict.fromkeys([*theirs, *ours]):
        agrees = theirs.get(key) == ours.get(key)
        differ += not agrees
        if options.verbose or not agrees:
            print(f"{'agree ' if agrees else 'DIFFER'} {': '.join(key)}\n    apache {theirs.get(key)}")
            if not agrees:
                print(f"    ottla  {ours.get(key)}")
    print(f"{len(theirs)} observations, {len(theirs) - differ} agree, {differ} differ")
    return 1 if differ else 0


def _seen(cluster: Cluster, names: Sequence[str]) -> dict[tuple[str, str], Any]:
    nodes = Nodes(cluster)
    found = {}
    for name in names:
        began = time.monotonic()
        for what, value in STEPS[name](nodes):
            found[name, what] = value
        print(f"{cluster.name}: {name} took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return found
