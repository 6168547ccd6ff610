"""Every video's scores, kept: MMAction2's metric sums them up and forgets them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from mmaction_trainer.contract import run as layout


class KeptScores(BaseMetric):  # type: ignore[misc]
    """Collects the scores of all ranks in the order of the test list, and has rank 0 write them to the run directory.

    ``scores`` is (videos, classes), float32, averaged over the views of a video; ``labels`` is (videos,), int64.
    """

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep a batch."""
        for sample in data_samples:
            scores = sample["pred_score"].detach().cpu().numpy().astype(np.float32)
            self.results.append((scores, int(sample["gt_label"].item())))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Write all; nothing is told."""
        scores, labels = zip(*results, strict=True)
        path = Path(layout.SCORES)
        path.parent.mkdir(exist_ok=True)
        np.savez(path, scores=np.stack(scores), labels=np.asarray(labels, dtype=np.int64))
        return {}
