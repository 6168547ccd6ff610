"""The base image comes from the mirror that the machine's apt uses, and is made anew when its recipe changes."""

import pytest

from scripts import base_image

TARGETS = """\
nodistro main https://packages.example/node/
bookworm-security main http://mirror.example/debian-security/
bookworm contrib http://other.example/debian/
bookworm main http://mirror.example/debian/
bookworm main http://second.example/debian/
"""


def test_the_mirror_is_the_first_with_the_suites_main_component() -> None:
    assert base_image.mirror(TARGETS) == "http://mirror.example/debian/"


def test_a_machine_of_another_suite_is_told_what_its_apt_lacks() -> None:
    with pytest.raises(base_image.Refused, match=r"bookworm main.*python3\.11: add it"):
        base_image.mirror(TARGETS.replace("bookworm main", "trixie main"))


@pytest.mark.parametrize(
    ("name", "value"), [("SUITE", "trixie"), ("PACKAGES", ("python3",)), ("DROPPED", ()), ("PYTHON", "python3.13")]
)
def test_another_recipe_is_another_image(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    before = base_image.recipe()
    monkeypatch.setattr(base_image, name, value)
    assert base_image.recipe() != before


def test_who_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(base_image.Refused, match="needs root"):
        base_image.base_image()


def test_programs_that_are_missing_are_named_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(base_image.Refused, match="debootstrap and buildah and unshare not found: apt-get install"):
        base_image.base_image()
