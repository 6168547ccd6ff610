"""What runs inside a training pod, or under ``trainjob run`` on one machine.

Reads ``run.json`` and ``config.py`` from a run directory, brings data and weights there, runs torchrun, and leaves
results in storage. It knows nothing of Kubernetes.
"""
