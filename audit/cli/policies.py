"""`recaudit policies`: the built-in policies, what one holds, and whether a file is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.cli.terminal import Form, FormOption, StoreOption, cell, console, open_store, put, put_json, table
from audit.text import count, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audit.findings import Finding
    from audit.policy import Policy, Selector

app = typer.Typer(help="Built-in policies, and files of your own.", invoke_without_command=True)

NameArgument = Annotated[str, typer.Argument(metavar="POLICY", help="A built-in policy or a file.", show_default=False)]


@app.callback()
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_packs()


@app.command("list")
def list_packs(form: FormOption = Form.TEXT) -> None:
    """List the built-in policies."""
    from audit.policy import load, packs

    found = [load(name, Path.cwd()) for name in packs()]
    if form is Form.JSON:
        put_json([{"name": p.name, "description": p.description, "rules": len(p.rules)} for p in found])
        return
    rows = table("policy", "", "rules", "controls", right=("rules", "controls"))
    for policy in found:
        controls = sum(len(framework.controls) for framework in policy.frameworks)
        rows.add_row(cell(policy.name, "bold"), cell(policy.description), str(len(policy.rules)), str(controls or ""))
    rows.columns[0].no_wrap = True
    console().print(rows)


@app.command("show")
def show(name: NameArgument, form: FormOption = Form.TEXT) -> None:
    """Show what a policy asks, with what it extends already put in."""
    from audit.policy import load

    policy = load(name, Path.cwd())
    if form is Form.JSON:
        put_json(policy.model_dump(mode="json"))
        return
    put(f"{visible(policy.name)}: {visible(policy.description)}")
    if policy.require:
        put(f"requires: {', '.join(visible(str(need)) for need in policy.require)}")
    if policy.certainty:
        put("asks for certainty: an open finding stops the gate")
    rows = table("check", "limit", "on", "severity")
    for rule in policy.rules:
        limit = f"at most {rule.max:g}" if rule.max is not None else f"more than {rule.min:g}"
        rows.add_row(cell(str(rule)), cell(limit), cell(f"{rule.value}, by {rule.by}"), cell(rule.severity))
    for column in (1, 3):
        rows.columns[column].no_wrap = True
    console().print(rows)
    if policy.waivers:
        waivers = table("waived", "owner", "until", "because")
        for w in policy.waivers:
            waivers.add_row(cell(str(w)), cell(w.owner), cell(w.expires), cell(w.reason))
        console().print(waivers)
    for framework in policy.frameworks:
        put("")
        put(f"{visible(framework.title)} ({visible(framework.edition)}). {visible(framework.note)}".rstrip())
        controls = table("control", "", "tested by")
        for control in framework.controls:
            by = ", ".join(str(b) for b in control.bears) or f"not from outside. {control.beyond}"
            title = f"{control.title} [recalled]" if control.recalled else control.title
            controls.add_row(cell(control.id), cell(title), cell(by))
        controls.columns[0].no_wrap = True
        console().print(controls)
        if any(control.recalled for control in framework.controls):
            put("[recalled]: number and title are from memory; check them against the published text.")


@app.command("check")
def check(
    name: NameArgument,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="Say too what of it fits nothing in this run.", show_default=False),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Check a policy file; exits with 2 and one sentence where something is wrong."""
    from audit.policy import load
    from audit.run import Run

    policy = load(name, Path.cwd())
    parts = [count(len(policy.rules), "rule"), count(len(policy.waivers), "waiver")]
    parts.append(count(sum(len(framework.controls) for framework in policy.frameworks), "control"))
    put(f"{visible(name)}: right: {', '.join(parts)}")
    if run is not None:
        opened = open_store(store)
        for line in strangers(policy, Run(opened.run(run), opened).measured):
            put(line)


def strangers(policy: Policy, measured: Sequence[Finding]) -> list[str]:
    """What of a policy fits nothing in a run that measured its metric, for a param or a value that no finding has.

    A rule that is about another kind of target fits nothing, too, and is no mistake; a param that is nowhere is one.
    """
    from audit.errors import nearest

    lines = []
    picks: list[tuple[str, Selector]] = [("rule", rule) for rule in policy.rules]
    picks += [("waiver", waiver) for waiver in policy.waivers]
    for kind, selector in picks:
        ours = [finding for finding in measured if finding.name == selector.metric]
        if not ours or any(selector.fits(finding) for finding in ours):
            continue
        known = {param for finding in ours for param in finding.params}
        for param, value in selector.where.items():
            if value is not None and param not in known:
                lines.append(f"{kind} {selector}: where.{param}: no finding of it has this; {nearest(param, known)}")
                break
            values = {str(finding.params.get(param)) for finding in ours}
            if value is not None and str(value) not in values:
                hint = nearest(str(value), values)
                lines.append(f"{kind} {selector}: where.{param}: {value!r} is in no finding; {hint}")
                break
    return [visible(line) for line in lines]


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of a policy file, for editors."""
    from audit.policy.schema import policy_schema

    put(json.dumps(policy_schema(), indent=1, ensure_ascii=False))
