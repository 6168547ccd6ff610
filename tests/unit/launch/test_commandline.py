"""What the launcher's command line and environment say of the cache."""

from __future__ import annotations

import pytest

from mmaction_trainer.launch.commandline import CommandLineFailure, options_of


@pytest.mark.parametrize(
    ("variable", "words", "limit"),
    [("", [], None), ("200Gi", [], 200 * 2**30), ("200Gi", ["--cache-limit=1k"], 1000)],
    ids=["none", "of the environment", "of the command line"],
)
def test_a_cache_has_the_limit_that_is_said(
    monkeypatch: pytest.MonkeyPatch, variable: str, words: list[str], limit: int | None
) -> None:
    monkeypatch.setenv("TRAINJOB_CACHE_LIMIT", variable)
    assert options_of(["run", *words]).cache_limit == limit


def test_a_limit_that_is_none_is_refused_with_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINJOB_CACHE_LIMIT", "200 GB")
    with pytest.raises(CommandLineFailure, match='found "200 GB"; accepted: bytes, such as 200Gi or 500G'):
        options_of(["run"])
