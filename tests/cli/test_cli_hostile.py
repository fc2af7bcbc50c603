"""Whatever a service, a data file, a configuration or a pack says, no command obeys it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_workspace import Cli, Workspace
from hostile import EVERY, HTML, STORABLE, acting_in_terminal
from scripted_server import Call, Reply, serving

from audit.store import Store

ALL = "\n".join(EVERY)


def says_everything(call: Call) -> Reply:
    """A service that answers with every string, in every field that it has."""
    if call.path == "/info":
        return Reply({"name": ALL, "version": ALL, "instructions": {"rank": ALL}, "tasks": ["rank"]})
    answers: list[dict[str, Any]] = []
    for n, asked in enumerate(call.json()["requests"]):
        listed = [
            {"item_id": item["id"], "title": text, "reason": text}
            for item, text in zip(asked["candidates"], EVERY, strict=False)
        ]
        answers.append(
            [
                {"ranked": listed, "text": ALL, "tool_calls": [{"name": ALL, "arguments": ALL, "result": ALL}]},
                {"outcome": "error", "detail": ALL},
                {"outcome": "refused", "text": ALL, "detail": ALL},
                {"ranked": list(EVERY[n : n + 5])},
            ][n % 4]
        )
    return Reply({"answers": answers})


def fails(call: Call) -> Reply:
    return Reply(ALL.encode(), status=500 if call.path != "/info" else 400, content_type="text/plain")


def everywhere(cli: Cli, work: Workspace) -> str:
    """Commands on the target and its run; all that was printed, and the report."""
    commands: list[tuple[object, ...]] = [
        ("targets", "check", work.config, "--users", 2),
        ("run", work.config, "--dry-run"),
        ("run", work.config, "--no-gate", "--report", work.folder / "at-once.md"),
        ("show", "latest"),
        ("diff", "latest", "latest", "--format", "md"),
        ("pack", "latest", "-o", work.folder / "run.zip"),
        ("verify-pack", work.folder / "run.zip"),
        ("show", work.folder / "run.zip"),
    ]
    said = ""
    for command in commands:
        called = cli(*command)
        assert acting_in_terminal(called.out + called.err) == [], command
        said += called.out + called.err
    report = work.folder / "at-once.md"
    return said + (report.read_text() if report.exists() else "")


@pytest.mark.parametrize("script", [says_everything, fails])
def test_what_a_service_says(script: Any, work: Workspace, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    with serving(script) as server:
        work.write(target=None, dataset={"sample": 4})
        config = Path(work.config)
        config.write_text(config.read_text() + f"target: {json.dumps({'kind': 'http', 'url': server.url})}\n")
        said = everywhere(cli, work)
    assert "<script>window.pwned=1</script>" in said, "it was shown"


def test_what_a_catalogue_says(work: Workspace, cli: Cli) -> None:
    """Titles and genres: half of what a report is made of."""
    items = list(csv.reader((work.folder / "items.csv").read_text().splitlines()))
    with (work.folder / "items.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(items[0])
        for n, (key, title, _) in enumerate(items[1:]):
            text = STORABLE[n % len(STORABLE)]
            out.writerow([key, f"{text} {title}", f"{text}|Drama"])
    work.write(dataset={"sample": 4})
    said = everywhere(cli, work)
    with Store(work.store) as store:
        key = next(key for finding in store.findings(store.run("latest").id) for key in finding.evidence)
    called = cli("show", "latest", "--evidence", key)
    assert acting_in_terminal(called.out + called.err) == []
    assert any(title[:12] in called.out + said for title in HTML), "it was shown"


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": {"kind": ALL}},
        {"target": {"kind": "zoo", "name": ALL}},
        {"target": {"kind": "python", "factory": ALL}},
        {"modules": {ALL: {}}},
        {"modules": {"robustness": {"attacks": [ALL]}}},
        {"dataset": {"interactions": ALL}},
        {"policy": ALL},
        {ALL: 1},
    ],
    ids=lambda wrong: next(key for key in wrong if key != ALL) if ALL not in wrong else "unknown",
)
def test_what_a_configuration_says(wrong: dict[str, Any], work: Workspace, cli: Cli) -> None:
    """A configuration comes from a pull request, too: its errors quote it."""
    called = cli("run", work.write("odd.yaml", **wrong), "--dry-run")
    assert called.code == 2
    assert acting_in_terminal(called.out + called.err) == []
    assert "pwned" in called.err, "it was quoted"


def test_what_a_policy_says(work: Workspace, cli: Cli) -> None:
    (work.folder / "policy.yaml").write_text(yaml.safe_dump({"name": ALL, "rules": [{"metric": ALL, "max": 1}]}))
    called = cli("run", work.write("odd.yaml", policy="policy.yaml"), "--dry-run")
    assert called.code == 2
    assert acting_in_terminal(called.out + called.err) == []
