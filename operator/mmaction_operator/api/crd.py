"""The CustomResourceDefinition of TrainJob, generated from its models."""

from __future__ import annotations

from typing import Any

from .schema import Schema, described, structural
from .trainjob import GROUP, KIND, PLURAL, VERSION, TrainJob

SINGULAR = KIND.lower()
SHORT_NAMES = ["tj"]
CATEGORIES = ["all", "mmaction"]

# An API server checks these three itself, and takes no schema of ours for them.
_STANDARD = {
    "apiVersion": {"type": "string", "description": "Version of the API that this object is written in."},
    "kind": {"type": "string", "description": "Kind of this object."},
    "metadata": {"type": "object"},
}


def crd() -> dict[str, Any]:
    """The manifest of the CustomResourceDefinition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        # Helm leaves it where it uninstalls: with it would go every TrainJob.
        "metadata": {"name": f"{PLURAL}.{GROUP}", "annotations": {"helm.sh/resource-policy": "keep"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "plural": PLURAL,
                "singular": SINGULAR,
                "kind": KIND,
                "listKind": f"{KIND}List",
                "shortNames": SHORT_NAMES,
                "categories": CATEGORIES,
            },
            "versions": [_version()],
        },
    }


def _version() -> dict[str, Any]:
    schema = resource_schema()
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(schema, *column) for column in TrainJob.columns],
        "schema": {"openAPIV3Schema": schema},
    }


def resource_schema() -> Schema:
    """The structural schema of a whole TrainJob."""
    schema = structural(described(TrainJob))
    return schema | {"required": ["spec"], "properties": schema["properties"] | _STANDARD}


def _column(schema: Schema, name: str, kind: str, path: str) -> dict[str, Any]:
    """A column of ``kubectl get``, described as the field that it shows."""
    column = {"name": name, "type": kind, "jsonPath": path}
    if path.startswith(".metadata."):
        return column
    for field in path.removeprefix(".").split("."):
        schema = schema["properties"][field]
    return column | {"description": schema["description"]}
