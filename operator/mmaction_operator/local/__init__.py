"""The same TrainJob on this machine, without a cluster."""
