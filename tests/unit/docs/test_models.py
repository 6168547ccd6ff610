"""The page of models says of every config of the zoo what becomes of a job that names it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mmaction_operator import zoo
from mmaction_operator.api import parse
from mmaction_operator.render import Rendered, render
from mmaction_trainer.contract.errors import ConfigFailure
from tests.documents import ROOT
from tests.trainjob_cases import changed

PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")


def outcome(name: str, *, only: bool) -> Rendered | ConfigFailure:
    """A job of a config with the image that every job has."""
    data = {"uri": "s3://d", "format": "list", "numClasses": 7}
    manifest = changed(
        {"spec.model": {"config": name, "pretrained": "s3://w/x.pth"}, "spec.dataset": data}
        | {"spec.evaluation": {"only": only}}
    )
    try:
        return render(parse(manifest))
    except ConfigFailure as failure:
        return failure


TRAINED, TESTED = ({name: outcome(name, only=only) for name in zoo.names()} for only in (False, True))


def rendered(outcomes: Mapping[str, Rendered | ConfigFailure]) -> dict[str, Rendered]:
    return {name: found for name, found in outcomes.items() if isinstance(found, Rendered)}


def test_it_counts_what_trains_what_is_tested_and_what_is_refused() -> None:
    trains, tests = rendered(TRAINED), rendered(TESTED)
    assert trains.keys() <= tests.keys()
    assert f"Of its {len(zoo.names())} configs" in PAGE
    assert f"| {len(trains)} with a training recipe |" in PAGE
    assert f"| {len(tests) - len(trains)} without a recipe: " in PAGE
    assert f"| {len(zoo.names()) - len(tests)}, named below |" in PAGE
    frames = [name for name, found in trains.items() if found.media == "frames"]
    flow = [name for name in frames if zoo.load(name).modality == "flow"]
    assert f"optical flow ({len(flow)}) and frame folders ({len(frames) - len(flow)})" in PAGE


def test_it_counts_what_is_tested_by_family() -> None:
    families = [zoo.load(name).family for name in rendered(TESTED).keys() - rendered(TRAINED).keys()]
    (counted,) = re.findall(r"without a recipe: (.*?) \|", PAGE)
    names = {"VideoMAE": "videomae", "VideoMAE v2": "videomaev2", "X3D": "x3d", "UniFormer": "uniformer"}
    pairs = re.findall(r"([\w ]+?) \((\d+)\)", counted)
    told = {names.get(name.strip(), "uniformerv2"): int(count) for name, count in pairs}
    assert told == {family: families.count(family) for family in families}


def test_it_names_every_config_that_is_refused_with_the_reason_of_its_refusal() -> None:
    rows = re.findall(r"^\| (`.*`) \| (.*) \|$", PAGE, re.MULTILINE)
    reasons = {name: reason for names, reason in rows for name in re.findall(r"`([^`]+)`", names)}
    refused = {name: found for name, found in TESTED.items() if isinstance(found, ConfigFailure)}
    assert reasons.keys() == refused.keys()
    for name, failure in refused.items():
        assert re.split(r"[,;:]", reasons[name])[0] in str(failure)
        assert isinstance(TRAINED[name], ConfigFailure)
