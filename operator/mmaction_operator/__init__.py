"""Turns TrainJob resources into running MMAction2 trainings, on a cluster or on this machine.

Never imports torch or MMAction2: what it knows of them is data (``zoo``) and a contract
(``mmaction_trainer.contract``).
"""
