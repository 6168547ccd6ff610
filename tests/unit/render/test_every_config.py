"""What MMAction2's own files get wrong, or what stopped working since, is right in every rendered config."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from mmaction_operator import zoo
from mmaction_operator.render import render_entry, tree
from mmaction_operator.render.families import ABSENT, PARTS, PLACES
from mmaction_operator.render.pretrained import downloads

from .jobs import a_job, rendered
from .test_whole_zoo import TRAINABLE

STAGES = ("train", "val", "test")
every_config = pytest.mark.parametrize("name", TRAINABLE)


def test_98_configs_train() -> None:
    assert len(TRAINABLE) == 98


@every_config
def test_every_key_is_one_that_its_class_takes(name: str) -> None:
    assert list(unknown_keys(rendered(name).config)) == []


def unknown_keys(config: dict[str, Any]) -> Iterator[str]:
    """Keys that no class takes, and that MMEngine does not read before it builds one."""
    for path, node in tree.nodes(config):
        known = zoo.signature(node["type"]) if isinstance(node, dict) and "type" in node else None
        section = zoo.section_signature(path)
        for key in node if known else ():
            accepted = any(signature.accepts(key) for signature in (known, section) if signature)
            if not accepted and key not in ("type", "convert_to_iter_based"):
                yield tree.dotted((*path, key))


@every_config
def test_no_loader_has_what_dataloader_refuses(name: str) -> None:
    for stage in STAGES:
        loader = rendered(name).config[f"{stage}_dataloader"]
        known = zoo.section_signature((f"{stage}_dataloader",))
        assert known is not None
        assert all(known.accepts(key) for key in loader)


@every_config
def test_videos_are_decoded_by_decord_and_files_read_from_disk(name: str) -> None:
    result = rendered(name)
    reads, decodes = ("RawFrameDecode",) * 2 if result.media == "frames" else ("DecordInit", "DecordDecode")
    for stage in STAGES:
        steps = {step["type"]: step for step in result.config[f"{stage}_pipeline"]}
        assert {name for name in steps if name.endswith(("Init", "Decode"))} == {reads, decodes}
        assert steps[reads]["io_backend"] == "disk"


@every_config
def test_no_transform_is_left_that_current_packages_cannot_run(name: str) -> None:
    config = rendered(name).config
    used = {step["type"] for stage in STAGES for step in config[f"{stage}_pipeline"]}
    assert not used & {"PytorchVideoWrapper", "ColorJitter"}


@every_config
def test_validation_and_test_change_nothing_at_random(name: str) -> None:
    config = rendered(name).config
    for stage in ("val", "test"):
        steps = {step["type"] for step in config[f"{stage}_pipeline"]}
        assert not [step for step in steps if step.startswith(("Random", "MultiScale", "TorchVision", "Flip"))]


@every_config
def test_a_data_set_is_one_list_of_files(name: str) -> None:
    result = rendered(name)
    for stage in STAGES:
        dataset = result.config[f"{stage}_dataloader"]["dataset"]
        assert dataset["type"] in ("VideoDataset", "RawframeDataset", "RepeatAugDataset")
        assert list(dataset["data_prefix"]) == (["img"] if result.media == "frames" else ["video"])


@every_config
@pytest.mark.parametrize("pretrained", ["none", "s3://weights/mine.pth"])
def test_every_part_is_told_not_to_load_weights_by_itself(name: str, pretrained: str) -> None:
    config = rendered(name, pretrained=pretrained).config
    assert downloads(config) == ()
    for place in PLACES:
        part = config["model"].get(place)
        for key, value in PARTS[part["type"]].unloaded.items() if part else ():
            assert key not in part if value is ABSENT else part[key] == value


@every_config
def test_models_that_are_tested_a_few_views_at_a_time_get_one_video_at_a_time(name: str) -> None:
    config = rendered(name).config
    if tree.get(config, "model.test_cfg.max_testing_views"):
        assert [config[f"{stage}_dataloader"]["batch_size"] for stage in ("val", "test")] == [1, 1]


@every_config
def test_rendering_changes_neither_the_entry_nor_an_earlier_result(name: str) -> None:
    entry = zoo.load(name)
    before = copy.deepcopy(entry.config)
    job = a_job(name, overrides={"default_hooks": {"logger": {"interval": 5}}}, training={"epochs": 7})
    first, second = render_entry(job, entry), render_entry(job, entry)
    assert tree.same(entry.config, before)
    assert first.text == second.text
    first.config["model"]["backbone"].clear()
    assert second.config["model"]["backbone"]
    assert tree.same(entry.config, before)
