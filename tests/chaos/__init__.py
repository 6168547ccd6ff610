"""Chaos on real nodes: trainings are disturbed, one round after the other, and what they leave is held to the promise.

    python -m tests.chaos --rounds 200 --seed 8 --log chaos.jsonl

- ``drawing`` decides all of it beforehand: rounds and jobs follow from the seed alone. Pure.
- ``scene`` is where it happens: the cluster, and what there is in it now, objects and processes.
- ``on_jobs`` and ``on_cluster`` disturb: a rank, a pod, a node, the API server, storage ...
- ``stream`` submits small TrainJobs as others end, and has what those left checked by ``endings``.
- ``watching`` looks all the while: that no job trains twice at once, and that no two share a port.
- ``invariants`` says what has to hold, of values alone. Pure.
- ``journal`` is the log, a line of JSON for each thing that happened, and the summary.

Which job a round meets depends on what runs at that moment, and so on the machine; what is done in which order, and
after which pause, does not.
"""
