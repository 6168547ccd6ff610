"""Ten thousand TrainJobs by lot: API server and models say the same of each, and all that are taken are handled.

What fails is named by its number: ``print(draw(NUMBER).text)``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel
from yaml import YAMLError

from mmaction_operator.api import TrainJob, parse
from mmaction_operator.api.manifest import load_documents
from mmaction_operator.kube.reading import DEEPEST, read
from mmaction_operator.plan import Course, Settings, objects_of, refuse_paths, status_of
from mmaction_operator.render import Rendered, render
from mmaction_trainer.contract.errors import ConfigFailure
from tests.cluster.api_server import ApiServer
from tests.drawn import Drawn, draw
from tests.drawn.lot import fields, schema

from .conftest import jobs

COUNT = 10_000
AT_ONCE = 4
IN_JSON = {"Content-Type": "application/json"}
SETTINGS = Settings(trainer_image="trainer:v1")
NOW = datetime(2030, 1, 1, tzinfo=UTC)
WHOLE_FRACTION = "expected int, got float64 evaluating rule"
"""Of 2.0 for an integer an API server says yes; where a rule of CEL looks at the field, no. kubectl and trainjob send
2, so only a program that speaks to the API server itself meets that, and it is told."""


@dataclass(frozen=True)
class Verdicts:
    """What became of a job.

    Attributes:
        stored: the job as the API server would store it, with defaults, in JSON; empty where it refuses it.
        said: why it does.
        parsed: the job as the models read it; why not, where they refuse it.
    """

    drawn: Drawn
    stored: bytes
    said: str
    parsed: TrainJob | str

    @property
    def agree(self) -> bool:
        """Whether both say yes, or both no."""
        return bool(self.stored) == isinstance(self.parsed, TrainJob)

    def __str__(self) -> str:
        models = self.parsed if isinstance(self.parsed, str) else "accept it"
        return ascii(f"{self.drawn} | the API server: {self.said or 'accepts it'} | the models: {models}")[:1500]


@pytest.fixture(scope="module")
def verdicts(server: ApiServer) -> list[Verdicts]:
    """What the API server says of each job, and what the models say."""
    lines = server.pool(AT_ONCE)
    where = f"{jobs('default')}?dryRun=All&fieldValidation=Strict"

    def judged(drawn: Drawn) -> Verdicts:
        answer = lines.request("POST", where, body=drawn.text, headers=IN_JSON)
        parsed = as_models_read(drawn)
        if answer.status == 201:
            return Verdicts(drawn, answer.data, "", parsed)
        assert answer.status in (400, 413, 422), (answer.status, answer.data, str(drawn))
        return Verdicts(drawn, b"", json.loads(answer.data)["message"], parsed)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(judged, [draw(number) for number in range(COUNT)]))


@pytest.fixture(scope="module")
def accepted(verdicts: list[Verdicts]) -> list[tuple[Drawn, TrainJob]]:
    """The jobs that the API server takes, as a controller reads them."""
    return [(one.drawn, parse(read(one.stored))) for one in verdicts if one.stored]


def as_models_read(drawn: Drawn) -> TrainJob | str:
    """A job as ``trainjob validate`` reads it; where its spelling does not matter, without the detour over YAML."""
    try:
        (document,) = load_documents(drawn.text) if drawn.spelled else [json.loads(drawn.text)]
        return parse(document)
    except (ConfigFailure, YAMLError) as refused:
        return str(refused)


def test_the_api_server_and_the_models_agree_on_each(verdicts: list[Verdicts]) -> None:
    known = [one for one in verdicts if WHOLE_FRACTION in one.said and isinstance(one.parsed, TrainJob)]
    assert len(known) < COUNT / 200
    differ = [str(one) for one in verdicts if not one.agree and one not in known]
    assert not differ, "\n".join(sorted(differ, key=len)[:10])


def test_a_third_is_accepted_and_a_third_is_refused(verdicts: list[Verdicts]) -> None:
    taken = sum(bool(one.stored) for one in verdicts)
    assert COUNT / 3 < taken < COUNT * 2 / 3


def test_every_field_is_accepted_a_hundred_times_and_spoilt_fifty_times(verdicts: list[Verdicts]) -> None:
    written = Counter[str]()
    for one in verdicts:
        if one.stored and not one.drawn.spelled:
            written.update(set(paths_of(json.loads(one.drawn.text))))
    spoilt = Counter(where for one in verdicts for where, _ in one.drawn.spoilt)
    declared = {".".join(path) for path, _ in fields(schema())} - {"", "metadata"}
    assert {path: written[path] for path in declared if written[path] < 100} == {}
    assert {path: spoilt[path] for path in declared if spoilt[path] < 50} == {}


def paths_of(value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every field that is given, as the schema has it and otherwise: ``*`` stands for an item, and for any key."""
    yield ".".join(path)
    for key, below in value.items() if isinstance(value, dict) else ():
        yield from paths_of(below, (*path, key))
        yield from paths_of(below, (*path, "*"))
    for below in value if isinstance(value, list) else ():
        yield from paths_of(below, (*path, "*"))


def test_what_is_stored_with_defaults_means_what_was_sent(verdicts: list[Verdicts]) -> None:
    for one in verdicts:
        too_deep = "[" * DEEPEST in one.drawn.text  # a controller reads null there
        if one.stored and isinstance(one.parsed, TrainJob) and not too_deep:
            sent = one.parsed if one.drawn.spelled else parse(read(one.drawn.text.encode()))
            assert meant(parse(read(one.stored)).spec) == meant(sent.spec), str(one)


def meant(value: Any) -> Any:
    """A spec as plain values; large numbers as an API server keeps what no schema says the type of: 53 bits of them."""
    if isinstance(value, BaseModel):
        return {name: meant(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {key: meant(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [meant(each) for each in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def test_each_that_is_accepted_is_made_into_objects_or_refused_by_a_field(
    accepted: list[tuple[Drawn, TrainJob]],
) -> None:
    ends = Counter[bool]()
    for drawn, job in accepted:
        rendered = rendered_or_refused(job)
        ends[isinstance(rendered, Rendered)] += 1
        if isinstance(rendered, Rendered):
            made = [item for attempt in (0, 1) for item in objects_of(job, rendered, attempt, 20000, SETTINGS)]
            assert json.loads(json.dumps(made)) == made, str(drawn)
            status = status_of(job, rendered, Course("Complete", 1), port=20000, progress=None, now=NOW, refused="")
            assert status.phase == "Succeeded"
        else:
            assert rendered.where.startswith("spec."), f"{drawn}: {rendered}"
    assert min(ends[True], ends[False]) > COUNT / 20, ends


def rendered_or_refused(job: TrainJob) -> Rendered | ConfigFailure:
    """A job's config, or why it has none."""
    try:
        refuse_paths(job)
        return render(job)
    except ConfigFailure as failure:
        return failure
