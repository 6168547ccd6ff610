"""What should exist for a job, decided from values alone: no clock, no network, no files."""

from .run import run_of

__all__ = ["run_of"]
