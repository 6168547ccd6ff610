"""The commands of documents that need no cluster, typed as they stand there."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import yaml

from examples.demo import clips
from tests.documents import ROOT, WALKS, fences, type_in

from .conftest import CLIPS

ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def test_the_first_job_learns_what_its_page_says(tmp_path: Path) -> None:
    clips.build(CLIPS, tmp_path / "actions")
    job = yaml.safe_load(next(text for text in fences("docs/first-job.md", "yaml") if "kind: TrainJob" in text))
    job["spec"]["dataset"] |= {"format": "ucf101", "numClasses": 6}  # as the page says of these clips
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    places = {"TRAINJOB_STATE": "runs", "TRAINJOB_CACHE": "cache", "TRAINJOB_LEASES": "leases"}
    folders = {name: str(tmp_path / folder) for name, folder in places.items()}
    said = type_in("docs/first-job.md", tmp_path, ENVIRONMENT | folders)
    (top1,) = re.findall(r"val +top-1 (\S+)", said)
    assert float(top1) > 0.6, said
    assert (tmp_path / "fetched" / "manifest.json").is_file()
    assert list(tmp_path.glob("*-demo.mp4"))


def test_what_was_extended_is_rendered_by_the_command_of_its_page() -> None:
    assert "swin-tiny" in type_in("docs/extending.md", ROOT, ENVIRONMENT)


def test_these_are_all_the_documents_that_need_no_cluster() -> None:
    walked = {"docs/first-job.md", "docs/extending.md"}
    assert {path for path, walk in WALKS.items() if walk.where == "machine"} == walked
