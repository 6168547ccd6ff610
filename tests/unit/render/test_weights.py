"""Which file a job starts from."""

from __future__ import annotations

import pytest

from mmaction_operator import zoo
from mmaction_trainer.contract.errors import ConfigFailure

from .jobs import SLOWFAST, TIN, rendered
from .test_whole_zoo import TRAINABLE

PUBLISHED = [name for name in TRAINABLE if zoo.load(name).weights]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_zoos_checkpoint_is_a_file_of_the_run_directory(name: str) -> None:
    result, published = rendered(name, pretrained="zoo"), zoo.load(name).weights
    assert published is not None
    assert result.weights is not None
    assert (result.weights.uri, result.weights.sha256_prefix) == (published.url, published.sha256_prefix)
    assert result.config["load_from"] == f"pretrained/{published.url.rsplit('/', 1)[1]}"


@pytest.mark.parametrize("name", [SLOWFAST, TIN])
def test_random_weights_are_random_even_where_the_recipe_starts_from_a_checkpoint(name: str) -> None:
    result = rendered(name, pretrained="none")
    assert result.weights is None
    assert result.config["load_from"] is None


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("s3://bucket/a/b.pth", "b.pth"),
        ("https://example.com/x.pth?versionId=3#top", "x.pth"),
        ("/mnt/weights/best_acc_top1_epoch_3.pth", "best_acc_top1_epoch_3.pth"),
        ("weights.pth", "weights.pth"),
        ("file:///mnt/w.pth", "w.pth"),
        ("s3://b/{{fileDirname}}.pth", "__fileDirname__.pth"),
        ("s3://b/é'quote.pth", "__quote.pth"),
        ("s3://b/" + "x" * 300 + ".pth", "x" * 196 + ".pth"),
    ],
)
def test_a_uri_gives_the_file_its_name(uri: str, name: str) -> None:
    result = rendered(SLOWFAST, pretrained=uri)
    assert result.weights is not None
    assert (result.weights.uri, result.weights.name) == (uri, name)
    assert result.config["load_from"] == f"pretrained/{name}"


@pytest.mark.parametrize(
    ("pretrained", "found"),
    [
        ("s3://bucket/folder/", "names no file"),
        ("s3://bucket", "names no file"),
        ("..", "names no file"),
        ("torchvision://resnet50", "the scheme torchvision://"),
        ("mmcls://mobilenet_v2", "the scheme mmcls://"),
        ("http://[", "is not a URI"),
        ("None", "found 'None'"),
        ("ZOO", "found 'ZOO'"),
    ],
)
def test_what_names_no_checkpoint_is_refused(pretrained: str, found: str) -> None:
    with pytest.raises(ConfigFailure, match=r"^spec\.model\.pretrained: .*accepted: zoo, none, or the URI") as refusal:
        rendered(SLOWFAST, pretrained=pretrained)
    assert found in refusal.value.found
