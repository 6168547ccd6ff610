"""What a pod's environment tells the launcher, beside its command line. In local mode most of it is absent."""

from __future__ import annotations

TERMINATION_LOG = "TRAINJOB_TERMINATION_LOG"
"""Path of a file that receives the ``Result`` as one line of JSON when the launcher ends, however it ends; in a pod
/dev/termination-log. Every node writes its own."""

TERMINATION_BYTES = 4096
"""The most that Kubernetes keeps of a container's termination message."""

PROGRESS_URL = "TRAINJOB_PROGRESS_URL"
"""http:// or https:// URL that the first node posts progress to; without it, or without a token, nothing is posted."""

PROGRESS_TOKEN_FILE = "TRAINJOB_PROGRESS_TOKEN_FILE"
"""Path of the file with the bearer token of these posts; read anew for each, as the kubelet replaces it."""

PROGRESS_CA = "TRAINJOB_PROGRESS_CA"
"""Path of a PEM file with the authorities that may vouch for an https:// URL; without it, the system's may."""

NODE_RANK = "JOB_COMPLETION_INDEX"
"""Which node of the attempt this is, from 0; Kubernetes sets it in the pods of an Indexed Job."""

CACHE = "TRAINJOB_CACHE"
"""Folder of videos and checkpoints; without it, ``mmaction-operator`` in the user's cache folder."""

CACHE_LIMIT = "TRAINJOB_CACHE_LIMIT"
"""Bytes that its videos may take, such as 200Gi; without it, as many as the disk has."""

WEIGHTS = "TRAINJOB_WEIGHTS"
"""URI of a folder or prefix that holds checkpoints by file name, for machines that cannot reach the zoo's server."""

HANG_AFTER = "TRAINJOB_HANG_AFTER"
"""Seconds without progress that no rank is ended before, whatever its steps take; "inf" for never. Default: 120."""
