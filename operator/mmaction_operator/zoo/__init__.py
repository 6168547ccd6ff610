"""MMAction2's recognition configs as data: no torch, no MMEngine, nothing executed.

A config of MMAction2 is a Python program: to read one takes MMEngine, and to run what a user may write in one is not a
controller's business. `scripts/zoo.py` has read them all once, where MMAction2 is installed, and left the result in
`snapshot/`: each config flattened (bases merged, variables resolved, tuples still tuples), the weights and accuracies
that MMAction2 publishes for it, and the keywords that every class it can name accepts.

    entry = load("slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb")
    entry.config["model"]["cls_head"]["num_classes"]      400
    entry.weights.url                                     https://download.openmmlab.com/...-701b0f6f.pth
    signature("ResNet3d").accepts("frozen_stage")         False: it is `frozen_stages`
    section_signature(("train_dataloader",))              what the DataLoader and MMEngine's builder of it accept
    ("Resize", "scale") in tuple_fields()                 True: a list there is a YAML reader's doing
"""

from .entries import Modality, Reported, UnknownConfig, Weights, ZooEntry, load, names
from .signatures import Signature, section_signature, signature, tuple_fields

__all__ = [
    "Modality",
    "Reported",
    "Signature",
    "UnknownConfig",
    "Weights",
    "ZooEntry",
    "load",
    "names",
    "section_signature",
    "signature",
    "tuple_fields",
]
