"""A frame of a video, small enough to stand in a page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

HEIGHT = 120


def thumbnail(path: Path) -> str:
    """A ``data:`` URI of a JPEG of the frame in the middle; empty where the video cannot be read, or is frames."""
    try:
        from decord import VideoReader
        from PIL import Image

        video = VideoReader(str(path), num_threads=1)
        frame = Image.fromarray(video[len(video) // 2].asnumpy())
    except Exception:  # a picture is not worth a failure
        return ""
    frame.thumbnail((HEIGHT * 4, HEIGHT))
    held = io.BytesIO()
    frame.save(held, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(held.getvalue()).decode()
