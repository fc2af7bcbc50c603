"""A stored run: read back, judged again, written to files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import new_run

from audit.errors import ConfigError
from audit.findings import Evidence, Finding
from audit.policy import Policy, Requirement, Rule
from audit.run import SCHEMA, Run, as_json
from audit.store import Store

POLICY = Policy(name="mine", require=("quality",), rules=(Rule(metric="quality.ndcg", min=0.2),))
STRICT = Policy(name="strict", certainty=True, rules=(Rule(metric="quality.ndcg", min=0.9),))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Store(tmp_path / "runs.sqlite") as store:
        name = new_run(store, "Näme 🎬", policy=POLICY.model_dump(mode="json"), notes=["a note"])
        shown = Evidence("u1", "Case")
        found = Finding("quality", "ndcg", "NDCG", estimate=0.5, ci=(0.4, 0.6), n=10, evidence=(shown.id,))
        store.save_module(
            name, "quality", [found, Finding("quality", "hr", "HR", estimate=0.5, ci=(0, 1), n=10)], [shown]
        )
        yield Run(store.run(name), store)


def test_findings_carry_the_verdicts_of_the_runs_own_policy(run: Run) -> None:
    assert [f.verdict for f in run.measured] == [None, None]
    assert [f.verdict for f in run.findings] == ["pass", None]
    assert (run.verdict, run.gate().exit_code) == ("pass", 0)
    assert run.policy == POLICY


def test_another_policy_judges_the_same_numbers(run: Run) -> None:
    other = run.gate(STRICT)
    assert (other.verdict, other.exit_code) == ("fail", 1)
    assert [f.verdict for f in run.findings] == ["pass", None]


def test_a_run_whose_required_module_is_missing_fails(run: Run) -> None:
    other = run.gate(STRICT.model_copy(update={"require": (Requirement(metric="robustness"),)}))
    assert other.missing == ("robustness",)
    assert other.verdict == "fail"


def test_json_holds_the_whole_run(run: Run) -> None:
    data = json.loads(as_json(run))
    assert data["schema"] == SCHEMA
    assert {"id", "name", "target", "config", "versions", "seed", "usage", "verdict", "findings", "policy"} <= set(data)
    assert data["name"] == "Näme 🎬"
    assert data["findings"] == [f.to_dict() for f in run.findings]
    assert [Finding.from_dict(f) for f in data["findings"]] == run.findings
    assert data["notes"] == ["a note"]


def test_evidence_is_found_by_id(run: Run) -> None:
    (wanted,) = run.findings[0].evidence
    assert run.evidence([wanted])[wanted].case == "u1"


def test_a_report_of_an_unknown_kind_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'report.htm' ends in none of .html, .*, .xml; did you mean 'html'"):
        run.save(tmp_path / "report.htm")
    assert not (tmp_path / "report.htm").exists()


@pytest.mark.parametrize("kind", ["html", "md", "json"])
def test_a_report_is_written_where_it_is_wanted(run: Run, tmp_path: Path, kind: str) -> None:
    path = run.save(tmp_path / "new folder" / f"report.{kind}")
    assert "Näme 🎬" in path.read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_made_is_one_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="report: cannot write"):
        run.save(tmp_path / "file" / "report.json")
