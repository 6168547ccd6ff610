"""Three models trained at once on real clips, on CPU, in a few minutes: ``make demo``."""
