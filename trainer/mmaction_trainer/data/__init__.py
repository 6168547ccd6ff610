"""Videos and labels: from any source and format to the lists and folders that MMAction2 reads.

MMAction2 checks none of what it is given: a label beyond the last class is a CUDA assertion hours later, a missing
video kills a worker in the middle of an epoch, a blank line is a sample. So everything is checked here, before a GPU
is asked for, and said with the file and the line.

    annotations   what every format is read into: samples of three splits, and the classes
    ucf101, lists, folders, tables   one module a format
    holdings      the files of a source, each folder listed once
    checks        labels, classes and videos against each other
    twins         videos that are listed twice, or are copies
    cache         the videos of a node, shared by all attempts that run there
    fetching      those of a data set, brought there
    delivery      those that come while ranks train
    decoding      a sample of them opened as MMAction2 would
    naming        names that MMAction2's list files can hold
    preparing     the steps in order, before a training
    checking      every check by itself, before a GPU is asked for
"""

from .cache import Cache
from .checking import check
from .decoding import check_decodes
from .delivery import Delivery
from .preparing import Prepared, prepare

__all__ = ["Cache", "Delivery", "Prepared", "check", "check_decodes", "prepare"]
