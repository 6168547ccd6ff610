"""What the test stage found, in numbers and in files. No torch: scores are read as the ranks left them.

predictions   every video's scores, with its label and the names of videos and classes
measures      accuracies, classes, confusions, calibration and mistakes, from these alone
records       the files under ``test/`` in the results
"""

from .measures import Measures, measure
from .predictions import Predictions
from .records import BEST, Provenance, write

__all__ = ["BEST", "Measures", "Predictions", "Provenance", "measure", "write"]
