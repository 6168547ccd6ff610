"""Three models trained at the same moment on this machine's CPU, and their table."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import clips

HERE = Path(__file__).parent
CLIPS = HERE.parents[1] / "tests" / "data" / "clips"


def main() -> int:
    """Build the data set, run every job file beside this module at once, list the results; 0 if all succeeded."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".demo"), help="where data set and results go")
    folder = parser.parse_args().folder.resolve()
    classes = clips.build(CLIPS, folder / "dataset")
    print(f"{classes} classes of real clips in {folder / 'dataset'}", flush=True)
    shutil.rmtree(folder / "results", ignore_errors=True)
    began = time.monotonic()
    jobs = [place(path, folder) for path in sorted(HERE.glob("*.yaml"))]
    running = [subprocess.Popen([*TRAINJOB, "run", str(job)]) for job in jobs]
    codes = [process.wait() for process in running]
    print(f"\n{len(jobs)} trainings at once in {time.monotonic() - began:.0f} s:\n", flush=True)
    subprocess.run([*TRAINJOB, "leaderboard", str(folder / "results")], check=True)
    print(f"\nThey lie in {folder / 'results'}; guessing would score {1 / classes:.2f}.")
    return max(codes)


TRAINJOB = (sys.executable, "-c", "from mmaction_operator.cli import main; main()")


def place(job: Path, folder: Path) -> Path:
    """Copy a job file beside the data set, as its paths are relative to it."""
    copy = folder / job.name
    copy.write_text(job.read_text())
    return copy


if __name__ == "__main__":
    sys.exit(main())
