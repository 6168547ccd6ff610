"""A rank that cannot begin says so in the product's terms."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.runtime import worker


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("dict(type='NoSuchRecognizer')", "NoSuchRecognizer"),
        ("dict(type='Recognizer3D', backbone=dict(type='SwinTransformer3D', arch=dict(depths=[1])))", "arch"),
        ("dict(type='Recognizer3D', backbone=dict(type='ResNet3d', depth=7))", "7"),
    ],
    ids=["no such type", "a part is missing", "no such depth"],
)
def test_a_config_that_makes_no_model_is_a_matter_of_the_config(
    model: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.py").write_text(f"default_scope = 'mmaction'\nwork_dir = 'work'\nmodel = {model}\n")
    with pytest.raises(ConfigFailure, match=said) as caught:
        worker.build()
    assert "spec.overrides" in str(caught.value)
