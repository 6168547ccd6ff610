"""MMAction2 made to work on current torch, and the product's hooks in MMEngine's registries.

Every rendered config names this package in ``custom_imports``, so that MMAction2's own ``tools/train.py`` runs it too.
``compat`` holds the patches; everything else goes through MMEngine's hooks and registries. ``worker`` is what
torchrun starts.
"""

from . import compat

compat.apply()

from . import progress, resuming, sequence, trackers, video, views  # noqa: E402  (they import mmaction or mmengine, which need the patches first)

__all__ = ["compat", "progress", "resuming", "sequence", "trackers", "video", "views"]
