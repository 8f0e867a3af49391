"""HTML pages from templates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2


def render_page(template: Path, values: Mapping[str, Any]) -> str:
    """Return the text of a page.

    Args:
        template: A Jinja2 template; it may include the other templates of its folder.
        values: What the template shows. Texts are escaped, and a name that is missing is an error.
    """
    loader = jinja2.FileSystemLoader(template.parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template(template.name).render(values)
