"""``make chaos``: a cluster of its own, some rounds, and an exit code that says whether everything held."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path

from tests.cluster import machine
from tests.cluster.clusters import start_cluster
from tests.cluster.product import product_images, product_layout
from tests.e2e.jobs import put_clips

from .play import play, scene_in


def main() -> None:
    """Play as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="disturbances, one after the other (default: 200)")
    parser.add_argument("--seed", type=int, default=8, help="the same seed, the same rounds (default: 8)")
    parser.add_argument("--log", type=Path, default=Path("chaos.jsonl"), help="the log (default: chaos.jsonl)")
    asked = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("tests.cluster").setLevel(logging.INFO)
    machine.install_packages(machine.PACKAGES | machine.BUILD_PACKAGES)
    images = product_images()
    with (
        start_cluster(images=dict.fromkeys(images.values(), product_layout())) as cluster,
        scene_in(cluster, images) as scene,
        tempfile.TemporaryDirectory() as folder,
    ):
        os.environ |= cluster.s3.environment()
        data = put_clips(cluster, Path(folder) / "six")
        journal = play(scene, data, seed=asked.seed, rounds=asked.rounds, log=asked.log)
    sys.exit(1 if journal.problems else 0)


if __name__ == "__main__":
    main()
