"""The servers that tests run against."""

import signal

pytest_plugins = ["tests.cluster.fixtures"]

signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell that starts tests in the background has it ignored, and what tests start would ignore it too."""
