"""How facts are said to people, in the page and in the Markdown alike: numbers as papers have them, rows of tables."""

from __future__ import annotations

from collections.abc import Iterator

from mmaction_trainer.contract.run import Protocol

from .facts import Facts

ABSENT = ""
"""What a cell says of what a run has not got."""


def percent(share: float | None) -> str:
    """A fraction from 0 to 1."""
    return ABSENT if share is None else f"{100 * share:.2f} %"


def share(value: float | None) -> str:
    """A fraction of the videos of one class, of which there may be few."""
    return ABSENT if value is None else f"{value:.3f}"


def millions(count: float) -> str:
    """Parameters."""
    return f"{count / 1e6:.2f} M"


def billions(count: float) -> str:
    """FLOPs."""
    return f"{count / 1e9:.2f} G"


def views(protocol: Protocol) -> str:
    """A protocol: clips x crops."""
    return f"{protocol} views"


def subject(facts: Facts) -> str:
    """Which run this is, in a line below its name."""
    job, place, model = facts.job, facts.environment, facts.model
    trained = f"{', '.join(filter(None, (model.recipe, model.frames)))}. " if model else ""
    processes = counted(place.processes, "process", "processes")
    return f"{trained}uid {job.uid}, attempt {job.attempt}, {processes} on {place.device}."


def counted(count: int, one: str, many: str) -> str:
    """A number and what it counts."""
    return f"{count} {one if count == 1 else many}"


def chosen_epoch(facts: Facts) -> str:
    """The epoch that the validation chose; empty where none did."""
    if not facts.val or not facts.val.epoch:
        return ABSENT
    return f"epoch {facts.val.epoch}" + (f" of {facts.model.epochs}" if facts.model else "")


def comparing(facts: Facts) -> str:
    """What the numbers at the top can be compared with."""
    rule = "Views are clips x crops. A number by one protocol is never compared with one by another"
    if facts.val is None:
        return f"{rule}."
    if facts.val_is_test:
        return (
            f"{rule}: val chose the checkpoint, by the same videos that test scores. On videos that chose nothing it "
            "would score a little less."
        )
    return f"{rule}: val chose the checkpoint, test is what it is worth."


def costs(facts: Facts) -> Iterator[tuple[str, str]]:
    """How large and how fast the model is: numbers, each with what it is of."""
    size = facts.complexity
    if size is None:
        return
    yield millions(size.parameters), "parameters"
    yield (
        billions(size.flops_per_view),
        f"FLOPs a view, {size.views} views a video: {billions(size.flops_per_video)}",
    )
    if speed := size.speed:
        memory = f", in {speed.peak_memory_bytes / 1e9:.2f} GB of its memory" if speed.peak_memory_bytes else ""
        yield f"{speed.latency_ms:.1f} ms", f"a view by itself, {speed.precision} on {speed.device}"
        yield f"{speed.views_per_second:.1f}", f"views a second, {speed.batch} at once{memory}"


def provenance(facts: Facts) -> Iterator[tuple[str, str]]:
    """Rows of the table that says where the numbers come from."""
    source = facts.provenance
    if data := source.data:
        videos = ", ".join(f"{split} {count}" for split, count in data.videos.items())
        yield "data", f"{source.data_uri}, {data.format}, split {data.split}, {data.classes} classes; videos: {videos}"
        if data.skipped:
            yield "skipped in training", f"{counted(data.skipped, 'corrupt video', 'corrupt videos')}, in skipped.json"
        yield "data sha256", data.sha256
        if data.tested_sha256:
            yield "tested list sha256", data.tested_sha256  # by which a leaderboard knows what may be compared
    if source.effective_lr is not None:
        yield "weights to begin with", source.pretrained or "none"
        yield "learning rate", str(source.effective_lr)
    if source.checkpoint:
        yield "tested checkpoint", source.checkpoint
        yield "checkpoint sha256", source.checkpoint_sha256 or ABSENT
    yield "config sha256", source.config_sha256
    yield "results", source.results_uri


def again(facts: Facts) -> str:
    """How to do the same again; what to type comes after it."""
    same = "with the same seed trains the same model" if facts.training else "gives the same scores"
    return (
        f"The same job file {same}: `trainjob run` or `kubectl apply`. Or without this product, in a folder with these "
        "results and the videos in `data/videos`, with MMAction2 itself:"
    )


def environment(facts: Facts) -> Iterator[tuple[str, str]]:
    """Rows of the table that says what trained and tested."""
    place = facts.environment
    yield "processes", f"{place.processes} on {counted(place.nodes, 'node', 'nodes')}"
    yield "device", place.device
    yield from place.versions.items()
