"""One attempt of a job on one node: data and weights in, torchrun, results out. In a pod it is the only command.

``attempt`` is the way from start to end, ``preflight`` what can be checked before it, ``commandline`` what both are
told. ``meeting`` is the port probe and the launchers' handshake, ``torchrun`` the ranks, ``weights`` the checkpoint to
start from, ``checkpoints`` those that ranks save and an attempt goes on from, ``trackers`` whether the tools that are
told of the run can be reached, ``results`` what goes to storage, and ``patience`` how long storage may fail.
``hanging`` is whether the ranks get anywhere, ``stacks`` where they stand, ``causes`` which of them failed first, with
its ``last_lines``, and ``memory`` whether the kernel killed it. ``stopping`` is what signals do, ``posting`` progress
on its way to a controller, ``endings`` the last word.
"""

from .attempt import main

__all__ = ["main"]
