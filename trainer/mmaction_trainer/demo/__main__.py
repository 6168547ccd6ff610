"""``python -m mmaction_trainer.demo RESULTS VIDEO OUT``."""

from .command import main

main()
