"""What the trainer's runtime relies on, the same in every job."""

from __future__ import annotations

import pytest

from mmaction_operator.render import tree
from mmaction_trainer.contract.errors import ConfigFailure

from .jobs import CSN, SLOWFAST, TIN, rendered

R2PLUS1D = "r2plus1d_r34_8xb8-8x8x1-180e_kinetics400-rgb"
CPU = {"gpusPerNode": 0}


@pytest.mark.parametrize("resources", [CPU, {"gpusPerNode": 1}, {"gpusPerNode": 8, "nodes": 4}])
def test_torchrun_starts_every_job(resources: dict[str, int]) -> None:
    config = rendered(SLOWFAST, resources=resources, training={"seed": 7}).config
    assert config["launcher"] == "pytorch"
    assert config["env_cfg"]["dist_cfg"]["timeout"] == 1800
    assert config["env_cfg"]["cudnn_benchmark"] is bool(resources["gpusPerNode"])
    assert config["randomness"] == {"seed": 7, "deterministic": False, "diff_rank_seed": False}
    assert config["custom_imports"] == {"imports": ["mmaction_trainer.runtime"], "allow_failed_imports": False}
    assert config["custom_hooks"] == [{"type": "ProgressHook"}, {"type": "ResumeHook"}]
    assert config["train_cfg"]["type"] == "ResumableTrainLoop"
    assert (config["default_scope"], config["resume"], config["work_dir"]) == ("mmaction", False, "work")


def test_synchronised_batch_norm_stays_on_gpus_and_is_plain_on_cpu() -> None:
    norm = "model.backbone.norm_cfg"
    assert tree.get(rendered(R2PLUS1D).config, norm)["type"] == "SyncBN"
    assert tree.get(rendered(R2PLUS1D, resources=CPU).config, norm) == {
        "type": "BN3d",
        "requires_grad": True,
        "eps": 0.001,
    }


@pytest.mark.parametrize(
    ("config", "overrides", "finds"),
    [(CSN, {}, True), (SLOWFAST, {}, False), (SLOWFAST, {"find_unused_parameters": True}, True)],
)
def test_ddp_looks_for_unused_parameters_on_cpu_where_it_does_on_gpus(
    config: str, overrides: dict[str, bool], finds: bool
) -> None:
    gpu = rendered(config, overrides=overrides).config
    cpu = rendered(config, overrides=overrides, resources=CPU).config
    assert gpu.get("find_unused_parameters", False) is finds
    assert "model_wrapper_cfg" not in gpu
    assert cpu["model_wrapper_cfg"]["find_unused_parameters"] is finds


def test_what_the_stock_image_lacks_is_refused_unless_the_job_has_an_image_of_its_own() -> None:
    needs = "ResNetTIN needs mmcv's CUDA operator tin_shift"
    with pytest.raises(ConfigFailure, match=rf"^spec\.model\.config: {needs}.*spec\.pods\.image"):
        rendered(TIN, pods={})
    assert f"{needs}: the image mine:v1 has to have it." in rendered(TIN, pods={"image": "mine:v1"}).warnings
