"""Every fault of ``tests/faults.py`` by the preflight of this machine, with data and results on a real S3 server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmaction_trainer.contract.preflight import Preflight
from tests.cluster.s3 import S3Server, client
from tests.faults import DATA, FAULTS, GOOD, RESULTS, Fault, job_of, put, users

AT_ONCE = 2
NOTHING_WRONG = "nothing-wrong"


@dataclass(frozen=True)
class Seen:
    """What a preflight said: its exit code, its words, and its report where it made one."""

    code: int
    words: str
    report: Preflight | None


@dataclass(frozen=True)
class Desk:
    """Where the jobs are checked: a folder, and the S3 server."""

    folder: Path
    server: S3Server

    def preflight(self, job: Mapping[str, Any], environment: Mapping[str, str]) -> Seen:
        """Run ``trainjob preflight`` with the keys of the job's Secret."""
        name = job["metadata"]["name"]
        (self.folder / f"{name}.yaml").write_text(yaml.safe_dump(job))
        words = ["preflight", f"{name}.yaml", "--output=json"]
        done = subprocess.run(
            [sys.executable, "-c", "from mmaction_operator.cli import main; main()", *words],
            env={
                **os.environ,
                **users(self.server)[job["spec"]["storage"]["credentialsSecret"]].environment(),
                "TRAINJOB_STATE": str(self.folder / "state"),
                "TRAINJOB_CACHE": str(self.folder / "cache" / name),
                "COLUMNS": "400",
                **environment,
            },
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        report = Preflight.model_validate_json(done.stdout) if done.stdout else None
        return Seen(done.returncode, done.stderr, report)


@pytest.fixture(scope="module")
def seen(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Seen]:
    """What each preflight said, by the job's name."""
    desk = Desk(tmp_path_factory.mktemp("faults"), s3)
    for bucket in (DATA, RESULTS):
        s3.bucket(bucket.removeprefix("s3://"))
    for fault in FAULTS:
        put(s3, fault.name, fault.data_set)
    jobs = [(job_of(NOTHING_WRONG, put(s3, NOTHING_WRONG, GOOD)), {}), *((f.job, f.environment) for f in FAULTS)]
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        said = pool.map(lambda job: desk.preflight(*job), jobs)
        found = dict(zip((job["metadata"]["name"] for job, _ in jobs), said, strict=True))
    left = client(s3).list_objects_v2(Bucket=RESULTS.removeprefix("s3://")).get("Contents", [])
    assert not left, "a preflight leaves nothing in storage"
    return found


def test_a_job_without_fault_passes_every_check(seen: Mapping[str, Seen]) -> None:
    found = seen[NOTHING_WRONG]
    assert found.report, found.words
    assert (found.code, found.report.errors, found.report.warnings) == (0, (), ())
    assert {check.outcome for check in found.report.checks if check.name != "weights"} == {"passed"}


def test_there_are_faults_enough_and_each_has_a_name_of_its_own() -> None:
    assert len(FAULTS) >= 25
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found_by_its_own_check_with_its_own_reason(fault: Fault, seen: Mapping[str, Seen]) -> None:
    found = seen[fault.name]
    assert found.code == fault.failure.exit_code, found.words
    assert f"{fault.failure.name}: " in found.words
    assert "Traceback" not in found.words
    if fault.check == "render":
        assert found.report is None
        said = found.words
    else:
        assert found.report, found.words
        failed = {check.name: check for check in found.report.checks if check.outcome == "failed"}
        assert failed.keys() == {fault.check, *fault.also}, found.words
        (error,) = failed[fault.check].errors
        assert error.failure == fault.failure.name
        said = error.message
    for words in fault.says:
        assert words in said
