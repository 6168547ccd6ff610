"""Images in a folder, and what of them is written where a part is there already."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.cluster.layout import CONTAINERDS_NAME, Layout, chain_ids, write_static_image

# The example of the OCI image specification: three layers, of which the second's chain is the digest of both names.
CONTENTS = ["sha256:" + digit * 64 for digit in "abc"]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Two images of one program each."""
    layout = Layout(tmp_path / "images")
    for name in ("first", "second"):
        (tmp_path / name).write_text(name)
        write_static_image(layout, f"localhost/{name}:1", {name: tmp_path / name}, [f"/{name}"])
    return layout


def archived(layout: Layout, reference: str, unpacked: list[str]) -> tarfile.TarFile:
    output = io.BytesIO()
    layout.write_archive(reference, unpacked, output)
    output.seek(0)
    return tarfile.open(fileobj=output)


def test_the_lowest_layers_chain_is_itself_and_each_other_one_names_all_below() -> None:
    one, two, three = chain_ids(CONTENTS)
    assert one == CONTENTS[0]
    assert len({one, two, three}) == 3
    assert chain_ids(CONTENTS[:2]) == [one, two]
    assert chain_ids([CONTENTS[1], CONTENTS[0], CONTENTS[2]])[2] != three


def test_an_archive_holds_one_image_by_its_name_whole(layout: Layout) -> None:
    archive = archived(layout, "localhost/first:1", [])
    (named,) = json.load(archive.extractfile("index.json"))["manifests"]  # type: ignore[arg-type]
    assert named["annotations"] == {CONTAINERDS_NAME: "localhost/first:1"}
    blobs = {name.replace("blobs/sha256/", "sha256:") for name in archive.getnames() if name.startswith("blobs")}
    assert blobs == set(layout.blobs(layout.references()["localhost/first:1"]))
    assert len(blobs) == 3


def test_layers_that_are_there_already_are_left_out_of_an_archive(layout: Layout) -> None:
    ((digest, chain),) = layout.layers(layout.references()["localhost/first:1"])
    names = archived(layout, "localhost/first:1", [chain]).getnames()
    assert f"blobs/{digest.replace(':', '/')}" not in names
    assert len([name for name in names if name.startswith("blobs")]) == 2


def test_what_no_kept_image_needs_is_removed(layout: Layout) -> None:
    needed = set(layout.blobs(layout.references()["localhost/second:1"]))
    layout.keep(["localhost/second:1"])
    assert list(layout.references()) == ["localhost/second:1"]
    assert {f"sha256:{blob.name}" for blob in (layout.folder / "blobs" / "sha256").iterdir()} == needed


def test_an_empty_folder_holds_no_image(tmp_path: Path) -> None:
    assert Layout(tmp_path).references() == {}
