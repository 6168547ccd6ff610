"""The report's templates, and the words that they all know."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from . import markdown, wording
from .facts import Facts

FILTERS = {
    "percent": wording.percent,
    "share": wording.share,
    "views": wording.views,
    "text": markdown.text,
    "code": markdown.code,
}


def rendered(name: str, facts: Facts, **pictures: object) -> str:
    """A template with the facts; what it is told more are pictures, which only HTML has."""
    environment = Environment(
        loader=PackageLoader(__package__, "."),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= FILTERS
    return environment.get_template(name).render(facts=facts, wording=wording, **pictures)
