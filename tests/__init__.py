"""The tests. This file keeps the name for them: a package in our environment brings a ``tests`` of its own, and without
it ``python -m tests.cluster`` would look there."""
