"""The page of what is on record of benchmarks, and its picture, from bench/results."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from mmaction_operator.api.reference import table

PICTURE = "docs/pictures/benchmarks.svg"
LABEL, UNIT, ROW, HEAD = 420, 80, 26, 46
"""Pixels of the picture: of its labels, of a ratio of one, of a row, and above the rows."""
GOALS = "1.5 for a training, and 3 for a test of 10 clips and 3 crops"
INTRODUCTION = """\
# Benchmarks

Each figure is of two sides that took turns in one run, ours and what you would use instead, as machines differ and
change. `make bench` measures all of them anew; `make bench-check` repeats the loaders' and fails if a ratio has fallen.
What is on record lies in bench/results, with the machine and the versions. No GPU was at hand:
nothing here says how fast a model trains on one.
"""
LOADERS = f"""\
## Loaders

How many videos a second reach a training or a test: our loader and MMAction2's own, of one rendered config, with the
same clips, processes and random numbers. Before it is measured, both must give the same inputs, byte for byte. A bar is
the median; the line on it goes from the slowest round to the fastest.

![How many times as fast our loaders are as MMAction2's](../pictures/benchmarks.svg)

The goals are {GOALS}. What is left of a training's time is decoding: frames that nobody takes, of which
those that are taken are made. For UniFormerV2 it is torchvision's RandAugment as well, 20 to 30 ms of each clip's time
on either side. Of a test of 10 clips of an H.264 video, three fifths of what is left is to decode each frame once. A
test of one clip decodes what a training does. Why ours are faster, and what was left alone: decisions
[15](../decisions/0015-frames-that-nobody-reads.md) and [16](../decisions/0016-pictures-once.md).
"""
OTHERS = """\
## Others

A training step is that of `trainjob run` on CPU, with all that it does beside a training, and of MMAction2's own
tools/train.py. A checkpoint is written beside the training, where MMEngine writes it in the training's loop. Videos
come while ranks begin, where otherwise all are fetched first. Ports are leased one by one, where the simplest thing
would be to draw until one is free; where more jobs run than there are ports, all are looked at for one that the fewest
hold. A TrainJob costs the API server more than a Job;
[the decision about that](../decisions/0006-what-a-job-costs-the-api-server.md) says what for.
"""


def read(results: Path, name: str) -> dict[str, Any]:
    """A benchmark's record."""
    found: dict[str, Any] = json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
    return found


def loaders(results: Path) -> list[tuple[str, dict[str, Any]]]:
    """Cases of loaders, each with its name."""
    videos = read(results, "loading")["videos"]
    return [(f"{name}; {kind}", found) for kind, cases in videos.items() for name, found in cases.items()]


def page(results: Path) -> str:
    """docs/reference/benchmarks.md."""
    about = read(results, "loading")
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    cores = f"{about['machine']['cores']} cores of {about['machine']['processor']}"
    where = f"{about['date']}, {cores}, {about['workers']} processes; {versions}."
    columns = ("Loader", "MMAction2, videos/s", "Ours, videos/s", "Ratio", "From", "To")
    rows = [
        (
            name,
            *(f"{statistics.median(found[f'{side}VideosPerSecond']):.1f}" for side in ("stock", "ours")),
            *(f"{found[key]:.2f}" for key in ("oursToStock", "lowest", "highest")),
        )
        for name, found in loaders(results)
    ]
    parts = [INTRODUCTION, LOADERS, where + "\n", table(columns, rows), OTHERS]
    return "\n".join([*parts, table(("What", "Otherwise", "Ours", "Ratio"), others(results))])


def others(results: Path) -> Iterator[tuple[str, ...]]:
    """Rows of what else is on record."""
    for model, found in read(results, "training")["models"].items():
        stock, ours = (statistics.median(found[f"{side}MsPerStep"]) for side in ("stock", "ours"))
        yield f"A training step ({model})", f"{stock:.0f} ms", f"{ours:.0f} ms", f"{found['oursToStock']:.2f}"
    for model, found in read(results, "checkpoints")["models"].items():
        stock, ours = (1000 * statistics.median(found[f"{side}WaitSeconds"]) for side in ("stock", "ours"))
        what = f"A training waits for a checkpoint of {found['megabytes']} MB ({model})"
        yield what, f"{stock:.0f} ms", f"{ours:.0f} ms", f"{found['waitOfStockToOurs']:.1f}"
    found = read(results, "first-iteration")
    what = f"First iteration with {found['videos']} videos in a slow S3"
    yield what, f"{found['allFirst']} s", f"{found['whileItRuns']} s", f"{found['allFirstToWhileItRuns']:.2f}"
    for live, by_side in read(results, "ports")["live"].items():
        drawn, ours = (by_side[side]["microseconds"]["mean"] for side in ("drawn", "ours"))
        yield f"A port is leased where {int(live):,} are", f"{drawn} µs", f"{ours} µs", f"{drawn / ours:.2f}"
    cases = read(results, "control-plane")["cases"]
    plain = cases.pop("plain Jobs")["jobsPerSecond"]
    for name, case in cases.items():
        ratio = f"{case['jobsPerSecond'] / plain:.2f}"
        yield f"{name} that begin, beside plain Jobs", f"{plain} /s", f"{case['jobsPerSecond']} /s", ratio


def picture(results: Path) -> str:
    """The loaders' ratios as bars, in SVG."""
    cases = loaders(results)
    width, height = (
        LABEL + int(UNIT * (max(found["highest"] for _, found in cases) + 0.8)),
        HEAD + ROW * len(cases) + 10,
    )
    said = "; ".join(f"{name}: {found['oursToStock']}" for name, found in cases)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'role="img" aria-labelledby="title desc" font-family="system-ui, sans-serif" font-size="13">',
        '<title id="title">How many times as fast our loaders are as MMAction2\'s</title>',
        f'<desc id="desc">{escape(said)}.</desc>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for ratio in range(1, (width - LABEL - 1) // UNIT + 1):
        x, name, colour = LABEL + UNIT * ratio, *(("MMAction2", "#333") if ratio == 1 else (ratio, "#ddd"))
        lines += [
            f'<text x="{x}" y="{HEAD - 16}" text-anchor="middle" fill="#444">{name}</text>',
            f'<line x1="{x}" y1="{HEAD - 8}" x2="{x}" y2="{height}" stroke="{colour}"/>',
        ]
    for number, (name, found) in enumerate(cases):
        y = HEAD + ROW * number
        low, middle, high = (LABEL + UNIT * found[key] for key in ("lowest", "oursToStock", "highest"))
        lines += [
            f'<text x="{LABEL - 10}" y="{y + 16}" text-anchor="end" fill="#111">{escape(name)}</text>',
            f'<rect x="{LABEL}" y="{y + 4}" width="{middle - LABEL:.1f}" height="16" fill="#82b2e8"/>',
            f'<line x1="{low:.1f}" y1="{y + 12}" x2="{high:.1f}" y2="{y + 12}" stroke="#111" stroke-width="1.5"/>',
            f'<text x="{high + 8:.1f}" y="{y + 16}" fill="#111">{found["oursToStock"]:.2f}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"
