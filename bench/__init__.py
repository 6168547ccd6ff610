"""Benchmarks: what figures in the docs were measured by. ``make bench-...`` runs them; ``results/`` keeps them."""
