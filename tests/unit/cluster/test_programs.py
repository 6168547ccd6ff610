"""Where the programs of the tests come from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cluster import programs


def test_a_program_that_setup_envtest_brought_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etcd").write_text("")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert programs.program.__wrapped__("etcd") == tmp_path / "etcd"
    assert programs.program.__wrapped__("kube-apiserver").parent == programs.cache_folder()


@pytest.mark.parametrize("changed", ["go.sum", "kubebox/main.go"])
def test_another_sum_or_source_has_another_folder(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in ("go.mod", "go.sum", "kubebox/main.go"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(file)
    monkeypatch.setattr(programs, "MODULE", tmp_path)
    before = programs.cache_folder.__wrapped__()
    assert programs.cache_folder.__wrapped__() == before
    (tmp_path / changed).write_text("other")
    assert programs.cache_folder.__wrapped__() != before


def test_components_know_the_version_of_kubernetes_that_go_mod_names() -> None:
    said = subprocess.run([programs.program("kube-apiserver"), "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.split()[-1] in programs.flags()


def test_an_unknown_component_is_refused_with_those_that_there_are() -> None:
    said = subprocess.run([programs.program("kubebox"), "kube-dns"], capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert "kubelet" in said.stderr


@pytest.mark.parametrize(
    ("text", "version"),
    [("go1.26.8", (1, 26, 8)), ("go 1.26.0", (1, 26, 0)), ("go1.30", (1, 30)), ("devel", ())],
)
def test_versions_compare_as_numbers(text: str, version: tuple[int, ...]) -> None:
    assert programs.numbers(text) == version


def test_a_go_that_is_too_old_or_missing_is_not_taken(tmp_path: Path) -> None:
    old = tmp_path / "go"
    old.write_text("#!/bin/sh\necho go1.19.8\n")
    old.chmod(0o755)
    assert programs.version_of(str(old)) < programs.needed()
    assert programs.version_of(str(tmp_path / "none")) == ()
