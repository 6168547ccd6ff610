"""Trackers are looked at before a rank starts: what they report by, and what they leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.contract.run import Tracker
from mmaction_trainer.launch.results import layout_of
from mmaction_trainer.launch.trackers import check

from .conftest import Pod

ALL: tuple[Tracker, ...] = ("tensorboard", "wandb", "mlflow")


@pytest.mark.parametrize(
    "environment",
    [
        {"WANDB_API_KEY": "key"},
        {"WANDB_MODE": "offline"},
        {"WANDB_MODE": "disabled"},
        {"WANDB_IDENTITY_TOKEN_FILE": "/token"},
    ],
)
def test_wandb_needs_a_key_or_none(environment: dict[str, str]) -> None:
    check(["wandb"], {"HOME": "/nowhere", **environment})


@pytest.mark.parametrize("environment", [{}, {"WANDB_API_KEY": ""}, {"WANDB_MODE": "online"}])
def test_wandb_without_a_key_is_refused_before_it_could_ask_for_one(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigFailure, match=r"WANDB_API_KEY: not set.*WANDB_MODE=offline.*spec\.pods\.env"):
        check(["wandb"], {"HOME": "/nowhere", **environment})


def test_a_key_that_wandb_login_left_is_one_for_its_server(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine wandb.team.example login user password 0123456789\n")
    home = {"HOME": str(tmp_path)}
    check(["wandb"], {**home, "WANDB_BASE_URL": "https://wandb.team.example"})
    check(["wandb"], {"NETRC": f"{tmp_path}/.netrc", "WANDB_BASE_URL": "https://wandb.team.example"})
    with pytest.raises(ConfigFailure):
        check(["wandb"], home)
    (tmp_path / ".netrc").write_text("no such thing")
    with pytest.raises(ConfigFailure):
        check(["wandb"], home)


def test_mlflow_needs_a_uri() -> None:
    check(["mlflow"], {"MLFLOW_TRACKING_URI": "https://mlflow.team.example"})
    with pytest.raises(ConfigFailure, match=r"MLFLOW_TRACKING_URI: not set.*file:mlruns"):
        check(["mlflow"], {})


def test_tensorboard_needs_nothing() -> None:
    check(["tensorboard"], {})
    check([], {})


NOTHING_SET = {"HOME": "/nowhere", "NETRC": "", "WANDB_API_KEY": "", "WANDB_MODE": "", "MLFLOW_TRACKING_URI": ""}


def test_a_preflight_names_everything_that_is_not_set(a_pod: Pod) -> None:
    a_pod.environment |= NOTHING_SET
    code, output, result = a_pod.preflight(a_pod.told(trackers=ALL))
    assert code == ConfigFailure.exit_code, output
    assert result.error
    for name in ("WANDB_API_KEY", "MLFLOW_TRACKING_URI"):
        assert name in result.error.message


def test_an_attempt_ends_before_data_is_fetched(a_pod: Pod) -> None:
    a_pod.environment |= NOTHING_SET
    a_pod.run_dir.mkdir()
    (a_pod.run_dir / layout.CONFIG).touch()
    a_pod.told(trackers=ALL).write(a_pod.run_dir / layout.RUN)
    code, output, _ = a_pod.run(a_pod.run_dir)
    assert code == ConfigFailure.exit_code, output
    assert not (a_pod.run_dir / "data").exists()


def test_what_trackers_leave_goes_to_the_results(tmp_path: Path) -> None:
    kept = {
        "tensorboard/events.out.tfevents.1.host.2.0",
        "mlruns/1/abc/metrics/val/acc/top1",
        "wandb/offline-run-20260101_000000-abc/run-abc.wandb",
        "wandb/offline-run-20260101_000000-abc/files/requirements.txt",
        "wandb/run-20260101_000000-def/run-def.wandb",
    }
    left_out = {
        "wandb/debug.log",
        "wandb/offline-run-20260101_000000-abc/logs/debug-core.log",
        "wandb/offline-run-20260101_000000-abc/tmp/code/a.py",
    }
    for name in kept | left_out:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "wandb/latest-run").symlink_to("offline-run-20260101_000000-abc")
    assert {name for _, name in layout_of(tmp_path)} == kept
