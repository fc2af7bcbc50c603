"""Commands that read the run store: `list`, `show`, `gate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit.cli.terminal import (
    Form,
    FormOption,
    RunArgument,
    StoreOption,
    cell,
    console,
    open_run,
    open_store,
    put_json,
    say,
    table,
)


def list_runs(form: FormOption = Form.TEXT, store: StoreOption = None) -> None:
    """List the runs of the store, newest first."""
    from audit.cli.show import STYLES, WORDS, when
    from audit.store import RunHead, default_location

    default = default_location()
    heads: list[RunHead] = []
    # Before the first audit there is no store yet, which is no mistake; a store that was named must exist.
    if store is not None or "://" in default or Path(default).exists():
        heads = open_store(store).heads()
    if form is Form.JSON:
        put_json(
            [
                {
                    "id": r.id,
                    "name": r.name,
                    "target": r.target or None,
                    "created": r.created,
                    "status": r.status,
                    "verdict": r.verdict,
                }
                for r in heads
            ]
        )
        return
    if not heads:
        say("There are no runs yet; start one with `recaudit run audit.yaml`.")
        return
    rows = table("run", "name", "target", "started", "status", "verdict")
    for r in heads:
        rows.add_row(
            cell(r.id),
            cell(r.name),
            cell(r.target),
            when(r),
            r.status,
            cell(WORDS.get(r.verdict, r.verdict) if r.verdict else "", STYLES.get(str(r.verdict), "")),
        )
    for column in (0, 3, 4, 5):
        rows.columns[column].no_wrap = True
    console().print(rows)


EvidenceOption = Annotated[
    str | None,
    typer.Option(
        "--evidence",
        metavar="ID",
        help="Open one piece of evidence instead: an id from a finding, or a prefix of it.",
        show_default=False,
    ),
]


def show(
    run: RunArgument,
    form: FormOption = Form.TEXT,
    evidence: EvidenceOption = None,
    store: StoreOption = None,
) -> None:
    """Show one run: its verdict and its findings, the worst first; or one piece of its evidence."""
    from audit.cli.show import print_run

    found = open_run(run, store)
    if evidence is not None:
        from audit.cli.show_evidence import find, print_evidence

        key = find(found, evidence)
        if form is Form.JSON:
            put_json(found.evidence([key])[key].to_dict())
        else:
            print_evidence(found, key)
    elif form is Form.JSON:
        put_json(found.to_json())
    else:
        print_run(found)


def gate(
    run: RunArgument,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            metavar="P",
            help="A built-in policy or a file; may be given again, and then every one has to be met; "
            "default: the policy of the run.",
            show_default=False,
        ),
    ] = None,
    form: FormOption = Form.TEXT,
    store: StoreOption = None,
) -> None:
    """Hold a run to a policy; exits with 0, 1 (failed) or 4 (open, and the policy asks for certainty)."""
    from audit.cli.gate import as_json, print_gate
    from audit.cli.run import Stopped
    from audit.policy import load

    chosen = load(policy, Path.cwd()) if policy else None
    found = open_run(run, store)
    if found.record.status != "finished":
        raise Stopped(f"RUN: {found.id} is {found.record.status}; go on with `recaudit resume {found.id}` first", 3)
    outcome = found.gate(chosen)
    judged = found.findings if chosen is None else chosen.judge(found.measured)
    if form is Form.JSON:
        put_json(as_json(found.id, chosen or found.policy, outcome, judged))
    else:
        print_gate(chosen or found.policy, outcome, judged)
    raise typer.Exit(outcome.exit_code)
