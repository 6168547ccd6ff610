"""Where data comes from and results go: S3 and folders behind one small interface, and the manifest that seals results.

    storage = open_storage("s3://results/team-a/default/slowfast/0a1b")
    publish(storage, folder, ["config.py", "checkpoints/best.pth"], job, summary)
    verify(storage)                      # [] when storage holds what the manifest says, byte for byte

``interface`` says what every kind of storage keeps to; ``folder`` and ``s3`` are the kinds; ``parallel`` moves many
objects at a time; ``manifest`` and ``published`` are a job's results as a whole, ``checkpoints`` what an attempt may go
on from. Nothing here imports torch, and nothing imports boto3 before an ``s3://`` URI is opened.
"""

from .failures import ObjectMissing, StorageAway
from .interface import OnBytes, Storage, Stored
from .manifest import MANIFEST, Entry, Manifest, Problem
from .opening import open_storage
from .parallel import download_many, in_parallel
from .published import JobResults, fetch, publish, read_manifest, results, results_at, verify

__all__ = [
    "MANIFEST",
    "Entry",
    "JobResults",
    "Manifest",
    "ObjectMissing",
    "OnBytes",
    "Problem",
    "Storage",
    "StorageAway",
    "Stored",
    "download_many",
    "fetch",
    "in_parallel",
    "open_storage",
    "publish",
    "read_manifest",
    "results",
    "results_at",
    "verify",
]
