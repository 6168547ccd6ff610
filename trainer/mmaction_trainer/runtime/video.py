"""Decoding that names the video that is broken; MMAction2's own says only that decord failed."""

from __future__ import annotations

from typing import Any

from mmaction.datasets.transforms import DecordDecode as StockDecode
from mmaction.datasets.transforms import DecordInit as StockInit
from mmaction.registry import TRANSFORMS

from mmaction_trainer.contract.errors import DataFailure


@TRANSFORMS.register_module(name="DecordInit", force=True)
class DecordInit(StockInit):  # type: ignore[misc]
    """MMAction2's transform of this name, with errors that name the file."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Open ``results["filename"]``.

        Raises:
            DataFailure: the file is missing or is not a video that decodes.
        """
        try:
            return super().transform(results)  # type: ignore[no-any-return]
        except Exception as error:
            raise broken(results, error) from error


@TRANSFORMS.register_module(name="DecordDecode", force=True)
class DecordDecode(StockDecode):  # type: ignore[misc]
    """MMAction2's transform of this name, with errors that name the file."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Decode the sampled frames.

        Raises:
            DataFailure: a frame does not decode.
        """
        try:
            return super().transform(results)  # type: ignore[no-any-return]
        except Exception as error:
            raise broken(results, error) from error


def broken(results: dict[str, Any], error: Exception) -> DataFailure:
    """The failure of one video."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return DataFailure(
        str(results["filename"]), f"does not decode: {reason}", do="Replace it or take it off the lists."
    )
