"""Reports of stored runs: HTML for people, Markdown for a pull request, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from audit.errors import ConfigError, nearest
from audit.text import json_safe

if TYPE_CHECKING:
    from audit.run import Run

KINDS = ("html", "md", "json")


def render(runs: Sequence[Run], kind: str) -> str:
    """Report one run or several.

    Args:
        runs: at least one. Several get an overview with one row per run before the runs themselves.
        kind: `html` (one self-contained file), `md`, or `json` (the object of one run, or a list of several).

    Returns:
        The report as text.

    Raises:
        ConfigError: no run, or an unknown kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"--format: {kind!r} is not a kind of report; {nearest(kind, KINDS)}")
    if not runs:
        raise ConfigError("report: there is no run to report; name at least one")
    if kind == "json":
        shown = [run.to_json() for run in runs]
        found = json.dumps(shown[0] if len(shown) == 1 else shown, ensure_ascii=False, indent=2)
        return json_safe(found) + "\n"
    # Imported here, so that a program that reads JSON does not pay for the templates.
    if kind == "md":
        from audit.report.markdown import render as render_markdown

        return render_markdown(runs)
    from audit.report.html import render as render_html

    return render_html(runs)
