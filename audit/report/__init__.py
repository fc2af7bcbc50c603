"""Reports of stored runs: HTML for people, Markdown for a pull request, JSON, SARIF and JUnit for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from audit.errors import ConfigError, nearest
from audit.text import json_safe

if TYPE_CHECKING:
    from audit.run import Run

KINDS = ("html", "md", "json", "sarif", "junit", "model-card")
ENDINGS = {".html": "html", ".md": "md", ".json": "json", ".sarif": "sarif", ".xml": "junit"}
"""What the ending of a file says about the kind of its report; a model card shares its ending with Markdown."""


def kind_of(file: Path, field: str) -> str:
    """The kind of report that a file's ending names.

    Args:
        file: that is to be written.
        field: that named it, for the error.

    Raises:
        ConfigError: another ending.
    """
    ending = file.suffix.lower()
    if ending not in ENDINGS:
        raise ConfigError(
            f"{field}: {file.name!r} ends in none of {', '.join(ENDINGS)}; {nearest(ending.lstrip('.'), KINDS)}"
        )
    return ENDINGS[ending]


def render(runs: Sequence[Run], kind: str, *, source: Path | None = None, only_failures: bool = False) -> str:
    """Report one run or several.

    Args:
        runs: at least one. Several get an overview with one row per run before the runs themselves.
        kind: `html` (one self-contained file), `md`, `json` (the object of one run, or a list of several), `sarif`,
            `junit`, or `model-card` (of one run).
        source: the configuration, as SARIF names it to code scanning; None for `audit.yaml`.
        only_failures: whether SARIF leaves out what did not fail.

    Returns:
        The report as text.

    Raises:
        ConfigError: no run, an unknown kind, or an option that belongs to another kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"--format: {kind!r} is not a kind of report; {nearest(kind, KINDS)}")
    if not runs:
        raise ConfigError("report: there is no run to report; name at least one")
    if only_failures and kind != "sarif":
        raise ConfigError(f"--only-failures: belongs to --format sarif; a report as {kind} shows everything")
    if kind == "json":
        shown = [run.to_json() for run in runs]
        found = json.dumps(shown[0] if len(shown) == 1 else shown, ensure_ascii=False, indent=2)
        return json_safe(found) + "\n"
    # Imported here, so that a program that reads JSON does not pay for the templates.
    if kind == "sarif":
        from audit.report.sarif import render as render_sarif

        return render_sarif(runs, source=source, only_failures=only_failures)
    if kind == "junit":
        from audit.report.junit import render as render_junit

        return render_junit(runs)
    if kind == "model-card":
        from audit.report.model_card import render as render_card

        return render_card(runs)
    if kind == "md":
        from audit.report.markdown import render as render_markdown

        return render_markdown(runs)
    from audit.report.html import render as render_html

    return render_html(runs)
