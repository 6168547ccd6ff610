"""The controller: ``kube`` and ``plan`` wired together, and what it tells and is told over HTTP.

``reconciler`` is what happens when a job may have changed; it reads stores, asks ``plan``, and writes. ``decided`` is
what it passes from one step to the next, ``memory`` what it keeps of a job, ``leasing`` which port an attempt has.
``board`` holds what trainers say of their progress until a reconcile writes it down; ``web`` takes that in and answers
probes and Prometheus; ``main`` starts everything and ends it in order.
"""
