"""How the pods of a job run on a cluster: ``TrainJob.spec.pods``.

Fields that a pod has too have its names and its meaning. What Kubernetes nests deeply (affinity, say) is passed on as
it is: the API server checks it when the pods' Job is made.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .fields import (
    URI,
    AbsolutePath,
    Annotations,
    APIModel,
    Bytes,
    Labels,
    ObjectName,
    PassedOn,
    Rule,
    VariableName,
)

RESERVED = ("mmaction.dev/", "batch.kubernetes.io/", "app.kubernetes.io/managed-by")
"""What keys of labels begin with that are not a user's."""


class SecretReference(APIModel):
    """A Secret in the job's namespace."""

    name: ObjectName = Field(description="Its name.")


class Toleration(APIModel):
    """A taint that does not keep the pods off a node."""

    key: Annotated[str, Field(max_length=317)] | None = Field(
        default=None, description="Key of the taint. Default: any, with operator Exists."
    )
    operator: Literal["Exists", "Equal"] = Field(default="Equal", description="How the taint's value has to be.")
    value: Annotated[str, Field(max_length=63)] | None = Field(default=None, description="Value, for Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Effect of the taint. Default: every effect."
    )
    toleration_seconds: int | None = Field(
        default=None, ge=0, le=2**31 - 1, description="How long NoExecute is tolerated. Default: for ever."
    )


class KeyReference(APIModel):
    """A key of a Secret or ConfigMap in the job's namespace."""

    name: ObjectName = Field(description="Name of the Secret or ConfigMap.")
    key: Annotated[str, Field(min_length=1, max_length=253)] = Field(description="The key in it.")


class FieldReference(APIModel):
    """A field of the pod."""

    field_path: Annotated[str, Field(min_length=1, max_length=512)] = Field(
        description="Its path.", examples=["spec.nodeName", "metadata.labels['team']"]
    )


class ValueSource(APIModel):
    """Where a variable's value is; one of these."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].exists_one(given, given)",
            holds=lambda source: sum(given is not None for _, given in source) == 1,
            message="give secretKeyRef, configMapKeyRef or fieldRef, one of them",
            field="secretKeyRef",
        ),
    )

    secret_key_ref: KeyReference | None = None
    config_map_key_ref: KeyReference | None = None
    field_ref: FieldReference | None = None


class EnvironmentVariable(APIModel):
    """A variable of the trainer's environment."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="!has(self.value) || !has(self.valueFrom)",
            holds=lambda variable: variable.value is None or variable.value_from is None,
            message="cannot be given beside value",
            field="valueFrom",
        ),
        Rule(
            rule="!self.name.startsWith('TRAINJOB_')",
            holds=lambda variable: not variable.name.startswith("TRAINJOB_"),
            message="must not begin with TRAINJOB_: the product tells the trainer by these",
            field="name",
        ),
    )

    name: VariableName = Field(description="Its name.")
    value: Annotated[str, Field(max_length=4096)] | None = Field(default=None, description="Its value.")
    value_from: ValueSource | None = None


class CacheSpec(APIModel):
    """Where nodes keep videos and checkpoints from one job to the next. Default: nowhere, each pod fetches its own.

    Videos that no running job needs make room for others, those first that were used longest ago.
    """

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="has(self.persistentVolumeClaim) != has(self.hostPath)",
            holds=lambda cache: (cache.persistent_volume_claim is None) != (cache.host_path is None),
            message="give it or persistentVolumeClaim, one of the two",
            field="hostPath",
        ),
    )

    persistent_volume_claim: ObjectName | None = Field(
        default=None, description="A claim in the job's namespace; pods of several nodes need one that many may write."
    )
    host_path: AbsolutePath | None = Field(
        default=None,
        description="A folder of the node, made if it is not there. The namespace has to allow it (pod security level "
        "privileged), and user 65532 to write there.",
        examples=["/var/cache/trainjobs"],
    )
    limit: Bytes | None = Field(
        default=None,
        description="Bytes that the videos in it may take. A data set that needs more is refused. Default: as many as "
        "its disk has.",
        examples=["200Gi"],
    )


class PodsSpec(APIModel):
    """How the pods run on a cluster. `trainjob run` has none and passes over this.

    An installation may have defaults for all of it, for all namespaces or for one.
    """

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="!has(self.labels) || self.labels.all(key, "
            + " && ".join(f"!key.startsWith('{prefix}')" for prefix in RESERVED)
            + ")",
            holds=lambda pods: not any(key.startswith(RESERVED) for key in pods.labels),
            message=f"must have no key that begins with {', '.join(RESERVED)}",
            field="labels",
        ),
    )

    image: URI | None = Field(
        default=None, description="Image of the trainer. Default: the one that the operator was installed with."
    )
    image_pull_secrets: Annotated[list[SecretReference], Field(max_length=16)] = Field(
        default=[], description="Secrets with which the image is pulled."
    )
    host_network: bool | None = Field(
        default=None,
        description="Use the node's network instead of the pod's own, as fast interconnects may need. The leased port "
        "is then declared as a host port, so that the scheduler keeps pods that share one apart. Default: false.",
    )
    node_selector: Labels = Field(default={}, description="Labels of the nodes that the pods may run on.")
    tolerations: Annotated[list[Toleration], Field(max_length=32)] = Field(
        default=[], description="Taints that do not keep the pods off a node."
    )
    affinity: PassedOn | None = Field(
        default=None,
        description="As in a pod: which nodes, and which pods to be near or far from. Pods of one attempt are on nodes "
        "of their own anyway.",
    )
    topology_spread_constraints: Annotated[list[PassedOn], Field(max_length=8)] = Field(
        default=[], description="As in a pod: how the pods of several nodes are spread over zones and racks."
    )
    priority_class_name: ObjectName | None = Field(default=None, description="How important the pods are.")
    scheduler_name: ObjectName | None = Field(default=None, description="Which scheduler finds nodes for the pods.")
    runtime_class_name: ObjectName | None = Field(default=None, description="Which container runtime runs them.")
    service_account_name: ObjectName | None = Field(
        default=None,
        description="Service account of the pods, by which a cloud may let them into its storage. Its token is not "
        "mounted. Default: the namespace's.",
    )
    env: Annotated[list[EnvironmentVariable], Field(max_length=64)] = Field(
        default=[], description="More variables of the trainer's environment, such as NCCL_SOCKET_IFNAME."
    )
    labels: Labels = Field(default={}, description="More labels of the pods, such as those of a gang scheduler.")
    annotations: Annotations = Field(default={}, description="More annotations of the pods.")
    cache: CacheSpec | None = None
