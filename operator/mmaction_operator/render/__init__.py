"""A TrainJob rendered to the full MMAction2 config that trains or tests it. Nothing here runs or fetches anything.

    rendered = render(job)
    rendered.text            config.py, the same bytes for the same job
    rendered.effective_lr    what the status shows

One module is one idea, and takes a ``Draft`` to a ``Draft``; ``rendered.render_entry`` is their order. ``recipe``
takes the zoo's config, ``classes``, ``inputs``, ``protocol``, ``transforms``, ``pretrained``, ``loaders``,
``runtime_settings`` and ``trackers`` each write what they are named for, and so do ``schedule`` and ``learning_rate``
where the job trains; ``overrides`` is merged last, and ``source`` writes it down. What is particular to a model is a
row of ``families.PARTS``.
"""

from __future__ import annotations

from mmaction_trainer.contract.errors import ConfigFailure

from .. import zoo
from ..api import TrainJob
from . import recipe
from .rendered import Rendered, render_entry

__all__ = ["Rendered", "render", "render_entry"]


def render(job: TrainJob) -> Rendered:
    """Render a job with the zoo entry that it names.

    Raises:
        ConfigFailure: names the field of the TrainJob that cannot be rendered, why, and what is accepted.
    """
    try:
        entry = zoo.load(job.spec.model.config)
    except zoo.UnknownConfig as error:
        raise ConfigFailure(
            recipe.FIELD,
            f"MMAction2's zoo has no recognition config {error.name!r}",
            accepted=", ".join(error.nearest) or "the names that `trainjob zoo` lists",
        ) from None
    if not entry.trainable and not (job.spec.evaluation.only and recipe.tested(entry)):
        family = (other for name in zoo.names() if (other := zoo.load(name)).family == entry.family)
        raise recipe.without_recipe(entry, [other.name for other in family if other.trainable])
    return render_entry(job, entry)
