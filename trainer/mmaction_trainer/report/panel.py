"""The labels of a video and their scores, as a picture to lay over its frames: bars behind white letters, on black.

The black lets a quarter of the frame through, so that letters are as easy to read on snow as at night.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Pixels = npt.NDArray[np.uint8]

BLACK, BAR, WHITE = (0, 0, 0, 190), (31, 95, 174, 235), (255, 255, 255, 255)
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
SMALLEST, LARGEST = 8, 40
"""Letters, in pixels: what can still be read, and what is large enough."""
SHARE = 0.45
"""Of the frame's height, at most; of a tiny frame one row covers more."""


@dataclass(frozen=True)
class Panel:
    """A picture for the lower left corner of frames of one size.

    Attributes:
        colour: (height, width, 3), 0 to 255.
        cover: (height, width, 1), how much of the frame it covers, 0 to 1.
    """

    colour: npt.NDArray[np.float32]
    cover: npt.NDArray[np.float32]

    def over(self, frame: Pixels) -> Pixels:
        """A copy of a frame, (height, width, 3), with the panel on it."""
        height, width, _ = self.colour.shape
        drawn = frame.copy()
        corner = drawn[-height:, :width]
        corner[:] = np.rint(corner * (1 - self.cover) + self.colour * self.cover)
        return drawn


def panel(labels: Sequence[tuple[str, float]], width: int, height: int) -> Panel:
    """The panel for frames of a size in pixels.

    Args:
        labels: names and scores from 0 to 1, the highest first; those that find no room are left out.
    """
    size = min(max(round(min(width / 24, height / 20)), SMALLEST), LARGEST)
    row = min(round(1.5 * size), height)
    shown = labels[: max(1, int(SHARE * height / row))]
    across = min(width, 24 * size)
    picture = Image.new("RGBA", (across, row * len(shown)), BLACK)
    draw, font = ImageDraw.Draw(picture), ImageFont.truetype(str(FONT), size)
    for number, (name, score) in enumerate(shown):
        top, middle, margin = number * row, number * row + row / 2, size / 3
        draw.rectangle((0, top, max(score * across - 1, 0), top + row - 2), fill=BAR)
        said = f"{100 * score:.1f} %" if across >= 10 * size else ""
        draw.text((across - margin, middle), said, fill=WHITE, font=font, anchor="rm")
        room = across - 2 * margin - (font.getlength(said) + size if said else 0)
        draw.text((margin, middle), fitted(name, room, font), fill=WHITE, font=font, anchor="lm")
    pixels = np.asarray(picture, dtype=np.float32)
    return Panel(colour=pixels[..., :3], cover=pixels[..., 3:] / np.float32(255))


def fitted(name: str, room: float, font: ImageFont.FreeTypeFont) -> str:
    """A name, or as much of its beginning as fits into so many pixels with an ellipsis."""
    if font.getlength(name) <= room:
        return name
    while name and font.getlength(f"{name}…") > room:
        name = name[:-1]
    return f"{name}…"
