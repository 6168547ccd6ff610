"""Stands in for what the wheel lacks; useless for recognition."""


class DRN:
    """Stands in for a localizer, as `mmaction_trainer.runtime.compat` has one where there is no image."""
