"""``spec.trackers``: who is told of a training, beside whoever overrides name."""

from __future__ import annotations

from typing import Any

import pytest

from mmaction_operator.render import render, tree
from mmaction_trainer.contract.errors import ConfigFailure

from .jobs import SLOWFAST, TSM, a_job, rendered

BACKENDS = "visualizer.vis_backends"
LOCAL = {"type": "LocalVisBackend"}
TENSORBOARD = {"type": "TensorboardVisBackend", "save_dir": "tensorboard"}


def backends(**spec: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tree.get(rendered(SLOWFAST, **spec).config, BACKENDS)
    return found


def test_a_job_without_trackers_has_the_recipes_own_record_alone() -> None:
    assert backends() == [LOCAL]
    assert rendered(SLOWFAST, trackers=[]).text == rendered(SLOWFAST).text


def test_each_tracker_stands_beside_the_record_in_the_order_of_the_job() -> None:
    job = a_job(TSM, trackers=["mlflow", "tensorboard", "wandb"])
    job = job.model_copy(update={"metadata": job.metadata.model_copy(update={"namespace": "team-a", "name": "run-7"})})
    assert tree.get(render(job).config, BACKENDS) == [
        LOCAL,
        {"type": "MLflowTracker", "experiment": "team-a", "run": "run-7"},
        TENSORBOARD,
        {"type": "WandbTracker", "project": "team-a", "run": "run-7"},
    ]


def test_stages_have_names_of_their_own_and_one_count_of_steps() -> None:
    told = rendered(SLOWFAST, trackers=["wandb"]).config
    assert told["log_processor"]["log_with_hierarchy"] is True
    assert told["default_hooks"]["logger"]["log_metric_by_epoch"] is False
    assert "log_with_hierarchy" not in rendered(SLOWFAST).config["log_processor"]


def test_overrides_win_over_names_and_steps() -> None:
    asked = {"default_hooks": {"logger": {"log_metric_by_epoch": True}}}
    assert rendered(SLOWFAST, trackers=["wandb"], overrides=asked).config["default_hooks"]["logger"][
        "log_metric_by_epoch"
    ]


@pytest.mark.parametrize(
    ("visualizer", "kept"),
    [
        ({"vis_backends": [LOCAL, {"type": "ClearMLVisBackend"}]}, [LOCAL, {"type": "ClearMLVisBackend"}]),
        ({"vis_backends": []}, []),
        ({"type": "ActionVisualizer", "vis_backends": [LOCAL], "_delete_": True}, [LOCAL]),
    ],
)
def test_trackers_stay_whatever_overrides_make_of_the_others(
    visualizer: dict[str, Any], kept: list[dict[str, Any]]
) -> None:
    assert backends(trackers=["tensorboard"], overrides={"visualizer": visualizer}) == [*kept, TENSORBOARD]


def test_one_tool_is_not_told_twice() -> None:
    asked = {"visualizer": {"vis_backends": [LOCAL, {"type": "WandbVisBackend"}]}}
    assert backends(trackers=["mlflow"], overrides=asked)[1] == {"type": "WandbVisBackend"}
    with pytest.raises(ConfigFailure, match=r"spec\.overrides\.visualizer\.vis_backends: WandbVisBackend stands there"):
        rendered(SLOWFAST, trackers=["mlflow", "wandb"], overrides=asked)


@pytest.mark.parametrize(
    "visualizer",
    [None, {"vis_backends": None}, {"vis_backends": "wandb"}, {"vis_backends": ["wandb"]}, {"_delete_": True}],
)
def test_backends_stay_a_list(visualizer: dict[str, Any] | None) -> None:
    with pytest.raises(ConfigFailure, match=r"vis_backends: found .*; accepted: a list of mappings with a type"):
        rendered(SLOWFAST, overrides={"visualizer": visualizer})
