"""What should exist for a job, what its status is, and when to look again: decided from values alone.

No clock, no network, no files; the time is an argument. ``observed`` reduces what a cluster has to what decisions are
made of, ``course`` says where a job is on its way, ``objects`` what should exist, ``status``, ``sayings`` and
``transitions`` what a user is told, in the words of ``conditions``. ``failures`` holds the classes of failure and
whether another attempt may help.
"""

from . import names
from .conditions import is_over
from .course import Course, course_of, is_finished, seconds_left
from .objects import objects_of, shared_by_attempts
from .observed import AttemptSeen, PodSeen, attempts_of
from .paths import refuse_paths
from .run import run_of
from .settings import Settings
from .status import status_of
from .transitions import Happening, happenings

__all__ = [
    "AttemptSeen",
    "Course",
    "Happening",
    "PodSeen",
    "Settings",
    "attempts_of",
    "course_of",
    "happenings",
    "is_finished",
    "is_over",
    "names",
    "objects_of",
    "refuse_paths",
    "run_of",
    "seconds_left",
    "shared_by_attempts",
    "status_of",
]
