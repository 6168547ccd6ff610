"""A result as a pod's termination message: one line of JSON, cut so that Kubernetes keeps all of it."""

from __future__ import annotations

from .pod import TERMINATION_BYTES
from .result import Result

MOST_WARNINGS = 10
LONGEST_WARNING = 300
LONGEST_NAME = 256
"""Characters that a URI or a file name keeps where a message without any other text is still too long."""


def termination_message(result: Result, limit: int = TERMINATION_BYTES) -> bytes:
    """The result as compact JSON of at most ``limit`` bytes; ``Result.model_validate_json`` reads it.

    Whatever the limit takes away of a text, an ellipsis stands for it.
    """
    result = with_few_warnings(result)
    if len(whole := compact(result)) <= limit:
        return whole
    if len(compact(with_texts_of(result, 0))) > limit:
        names = {"results_uri": cut(result.results_uri, LONGEST_NAME)}
        if result.checkpoint:
            names["checkpoint"] = cut(result.checkpoint, LONGEST_NAME)
        result = result.model_copy(update=names)
    fits, too_long = 0, limit
    while fits + 1 < too_long:
        middle = (fits + too_long) // 2
        if len(compact(with_texts_of(result, middle))) <= limit:
            fits = middle
        else:
            too_long = middle
    return compact(with_texts_of(result, fits))


def with_few_warnings(result: Result) -> Result:
    """The result with at most ``MOST_WARNINGS`` warnings, none of them long; the last one counts those left out."""
    warnings = [cut(warning, LONGEST_WARNING) for warning in result.warnings]
    if len(warnings) > MOST_WARNINGS:
        left = len(warnings) - MOST_WARNINGS + 1
        warnings = [*warnings[: MOST_WARNINGS - 1], f"and {left:,} more warnings in the log"]
    return result.model_copy(update={"warnings": tuple(warnings)})


def with_texts_of(result: Result, longest: int) -> Result:
    """The result with no text for people longer than so many characters."""
    error = result.error
    if error:
        lines = tuple(cut(line, longest) for line in error.last_lines)
        texts = {"where": cut(error.where, longest), "message": cut(error.message, longest), "last_lines": lines}
        error = error.model_copy(update=texts)
    warnings = tuple(cut(warning, longest) for warning in result.warnings)
    return result.model_copy(update={"error": error, "warnings": warnings})


def cut(text: str, longest: int) -> str:
    """The text, or as much of its beginning as leaves room for an ellipsis."""
    return text if len(text) <= longest else text[: max(longest - 1, 0)] + "…"


def compact(result: Result) -> bytes:
    """The result as JSON without white space."""
    return result.model_dump_json(by_alias=True, exclude_none=True).encode()
