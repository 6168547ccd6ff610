"""``trainjob``, also installed as ``kubectl trainjob``.

One module a command group; each command is a few lines around a function that does the work and can be tested
without a terminal. Failures end with their own exit code and one clear message.
"""

from .app import main

__all__ = ["main"]
