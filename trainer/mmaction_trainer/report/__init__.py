"""A report of a run that was tested: page, Markdown and a video for people, JSON for programs. No torch.

facts        what stands in it, gathered once; as it is, it is the JSON
wording      how facts are said to people, the same in the page and in the Markdown
charts       pictures as SVG that takes the page's colours, light or dark
thumbnails   frames of videos
markdown     names as text that is never taken for markup
templates    ``page.html``, which needs nothing but itself, and ``report.md``, short enough for a pull request
writing      the files
panel        a video's labels and scores as a picture
annotated    a copy of a video with that picture on every frame
demo         which video of the test is shown like this
"""

from .facts import Facts
from .writing import write

__all__ = ["Facts", "write"]
