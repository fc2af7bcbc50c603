"""What a reader needs to know of a run besides its findings: what was asked, what it cost, how to repeat it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import yaml

from audit.text import count, duration, one_line

if TYPE_CHECKING:
    from audit.run import Run


def target(run: Run) -> str:
    """The target's own name."""
    return one_line(run.record.target.get("name") or "unnamed target")


def date(run: Run) -> str:
    """Start of the run, as `23 November 2026, 03:54 UTC`."""
    return moment(run.record.created)


def moment(iso: str) -> str:
    """A moment in ISO 8601, UTC, as people say it."""
    try:
        found = datetime.fromisoformat(iso)
    except ValueError:
        return one_line(iso)
    return f"{found.day} {found:%B %Y, %H:%M} UTC"


def table(run: Run) -> list[tuple[str, str]]:
    """(name, fact) pairs."""
    usage, record = run.usage, run.record
    outcomes = ", ".join(f"{n:,} {what}" for what, n in sorted(run.store.outcomes(run.id).items()))
    declared = record.target
    facts = [
        ("Run", record.id),
        ("Status", record.status),
        ("Seed", str(record.seed)),
        ("Policy", run.policy.name),
        ("Queries", f"{usage.queries:,} asked, {usage.reused:,} reused"),
        (
            "Tokens",
            f"{usage.prompt_tokens:,} read, {usage.completion_tokens:,} written" if usage.tokens else "not counted",
        ),
        ("Time in the target", duration(usage.seconds)),
        ("Answers", outcomes or "none"),
        ("Findings", count(len(run.findings), "finding")),
        ("The target reads", ", ".join(map(str, declared.get("honours", ()))) or "nothing that can be edited"),
        ("The target shows", ", ".join(map(str, declared.get("reveals", ()))) or "its answers only"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in sorted(record.versions.items()))),
    ]
    if terms := licence(run):
        facts.append(("Licence of the data", terms))
    return [(name, one_line(fact)) for name, fact in facts]


def licence(run: Run) -> str:
    """What may be done with the data, where the dataset is one that this package knows."""
    from audit.data.assets import ASSETS

    name = str(run.record.config.get("dataset", {}).get("name", ""))
    return ASSETS[name].licence if name in ASSETS else ""


def config(run: Run) -> str:
    """The configuration as YAML. Without the folder it was read from: a report is made to be passed on."""
    shown = {key: value for key, value in run.record.config.items() if key != "base"}
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True).strip()
