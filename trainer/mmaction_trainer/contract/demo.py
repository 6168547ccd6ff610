"""What a trained model says of one video: the last line that ``python -m mmaction_trainer.demo`` prints."""

from __future__ import annotations

from .document import Document
from .run import Protocol


class Label(Document):
    """A class and the score that a video has for it, from 0 to 1."""

    name: str
    score: float


class Demo(Document):
    """What a video is taken for.

    ``labels`` are those of the highest scores, by falling score, five where there are as many. ``job`` is
    namespace/name of the run, ``annotated`` the file of the video with the labels drawn on it, ``device`` cpu or cuda.
    """

    video: str
    job: str
    checkpoint: str
    protocol: Protocol
    device: str
    labels: tuple[Label, ...]
    annotated: str
