"""The documentation as a site: `make docs`. Its root is the repository, so that links are what they are on GitHub.

Strict: a link to a page, a heading, a picture or a file that is not there is an error.
"""

from __future__ import annotations

import importlib.metadata

project = "mmaction-operator"
version = release = importlib.metadata.version(project)
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["README.md", "CONTRIBUTING.md", "docs/**.md", "examples/*.md", "charts/*/README.md"]
exclude_patterns = [".*", "build", "dist"]
myst_heading_anchors = 4
nitpicky = True
smartquotes = False
highlight_language = "text"
html_theme = "furo"
html_title = project
html_extra_path = ["site/root"]
html_static_path = ["site/static"]
html_css_files = ["wide.css"]
html_copy_source = False
html_show_copyright = False
