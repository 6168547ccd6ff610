"""The servers that tests run against."""

pytest_plugins = ["tests.cluster.fixtures"]
