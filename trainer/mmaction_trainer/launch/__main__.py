"""``python -m mmaction_trainer.launch RUN_DIR``."""

from .attempt import main

main()
