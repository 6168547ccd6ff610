"""One attempt of a job on one node: data and weights in, torchrun, results out.

``attempt`` is the way from start to end, ``meeting`` the port probe and the launchers' handshake, ``torchrun`` the
ranks, ``weights`` the checkpoint to start from, ``results`` what goes to storage.
"""

from .attempt import main

__all__ = ["main"]
