"""Which port an attempt gets, and on one machine who holds which port and GPU.

Two trainings that meet on one port with torchrun's defaults train as one and both exit 0, so a port is never guessed:
``choose`` picks it, a pure function of what is taken, for the controller as for this machine. ``leases`` makes the
choice stand between processes that know nothing of each other, by file locks; ``probe`` asks the kernel about
everything that takes no leases; ``registry`` holds the leases of a cluster for its controller.
"""

from .choose import choose, start_of
from .folder import LeaseFolder
from .holder import Holder
from .leases import GPULease, Held, PortLease, holders, lease_gpus, lease_port
from .range import PortRange, ephemeral_range, refuse_overlap
from .registry import ClusterLease, PortRegistry

__all__ = [
    "ClusterLease",
    "GPULease",
    "Held",
    "Holder",
    "LeaseFolder",
    "PortLease",
    "PortRange",
    "PortRegistry",
    "choose",
    "ephemeral_range",
    "holders",
    "lease_gpus",
    "lease_port",
    "refuse_overlap",
    "start_of",
]
