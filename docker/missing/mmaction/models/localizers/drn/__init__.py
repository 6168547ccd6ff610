"""A temporal localizer that MMAction2 1.2.0 imports and its wheel lacks (open-mmlab/mmaction2#2714)."""
