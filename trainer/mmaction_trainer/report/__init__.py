"""A report for people: one HTML page that needs nothing but itself. No torch.

charts       pictures as SVG that takes the page's colours, light or dark
thumbnails   frames of videos
page         what stands on it; ``page.html`` is how it looks
"""

from .page import write

__all__ = ["write"]
