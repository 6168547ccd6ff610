"""Writes what is generated from the code: the CRD, what the chart accepts as defaults of TrainJobs, docs/reference.

python scripts/generate.py            write all
python scripts/generate.py --check    write nothing; exit 1 and name what is stale
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import benchmarks
import pages
import yaml

from mmaction_operator.api.crd import crd
from mmaction_operator.api.defaults import TeamDefaults
from mmaction_operator.api.reference import reference
from mmaction_operator.api.schema import described

ROOT = Path(__file__).parents[1]
VALUES = "charts/mmaction-operator/values.schema.json"
GENERATED = "Generated from operator/mmaction_operator/api by `make generate`; edit the models there."
RESULTS = ROOT / "bench" / "results"
FROM_RECORDS = "Generated from bench/results by `make generate`; scripts/benchmarks.py says how."
FROM_CODE = "Generated from the code by `make generate`; scripts/pages.py says from where."


def generated() -> dict[str, str]:
    """The content of every generated file, by its path in the repository."""
    manifest = yaml.safe_dump(crd(), sort_keys=False, allow_unicode=True, width=120)
    return {
        "charts/mmaction-operator/files/trainjobs.mmaction.dev.yaml": f"# {GENERATED}\n{manifest}",
        VALUES: values_schema((ROOT / VALUES).read_text(encoding="utf-8")),
        "docs/reference/trainjob.md": f"<!-- {GENERATED} -->\n\n{reference()}",
        "docs/reference/commands.md": f"<!-- {FROM_CODE} -->\n\n{pages.commands()}",
        "docs/reference/preflight.md": f"<!-- {FROM_CODE} -->\n\n{pages.preflight()}",
        "docs/reference/failures.md": f"<!-- {FROM_CODE} -->\n\n{pages.failures()}",
        "docs/reference/signals.md": f"<!-- {FROM_CODE} -->\n\n{pages.signals((ROOT / VALUES).parent)}",
        "docs/reference/benchmarks.md": f"<!-- {FROM_RECORDS} -->\n\n{benchmarks.page(RESULTS)}",
        benchmarks.PICTURE: f"<!-- {FROM_RECORDS} -->\n{benchmarks.picture(RESULTS)}",
    }


def values_schema(text: str) -> str:
    """The schema of the chart's values, with what the models say of the defaults of TrainJobs."""
    schema = json.loads(text)
    schema["properties"]["defaults"] = {"$comment": GENERATED, **described(TeamDefaults)}
    return json.dumps(schema, indent=2) + "\n"


def stale(root: Path) -> list[str]:
    """Paths of the files that are missing or differ from what the models say now."""
    return [path for path, text in generated().items() if not _holds(root / path, text)]


def _holds(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 and name what is stale")
    parser.add_argument("--root", type=Path, default=ROOT, help="default: this repository")
    arguments = parser.parse_args()
    names = stale(arguments.root)
    if arguments.check:
        for name in names:
            print(f"{name} is stale: run `make generate`", file=sys.stderr)
        return 1 if names else 0
    for name in names:
        file = arguments.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(generated()[name], encoding="utf-8")
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
