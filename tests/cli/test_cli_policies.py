"""`recaudit policies`, and `gate` with waivers and controls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit.cli import main
from audit.findings import Finding
from audit.policy import Policy, Rule
from audit.store import Store

POLICY = Policy(name="own", rules=(Rule(metric="quality.ndcg", min=0.5),))
LOW = Finding("quality", "ndcg", "NDCG", {"k": 5}, 0.3, (0.2, 0.4), "wilson", n=100, direction="higher_is_better")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A finished run whose only finding fails, in the store that commands use."""
    monkeypatch.setenv("RECAUDIT_STORE", str(tmp_path / "runs.sqlite"))
    monkeypatch.chdir(tmp_path)
    with Store(tmp_path / "runs.sqlite") as store:
        made = store.create_run(
            "demo", config={}, target={"name": "t"}, versions={}, seed=7, policy=POLICY.model_dump(mode="json")
        )
        store.save_module(made.id, "quality", [LOW], [])
        store.set_status(made.id, "finished")
    return made.id


def policy(expires: str) -> str:
    text = (
        "name: mine\nrules: [{metric: quality.ndcg, min: 0.5}]\n"
        f"waivers: [{{metric: quality.ndcg, owner: Jane, reason: 'It is mended in spring', expires: {expires}}}]\n"
    )
    Path("mine.yaml").write_text(text)
    return "mine.yaml"


def test_a_waived_run_ends_with_0_and_does_not_read_as_passed(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", run]) == 1
    capsys.readouterr()
    assert main(["gate", run, "--policy", policy("2999-12-31")]) == 0
    said = capsys.readouterr().out
    assert "waived: quality.ndcg (k=5): waived by Jane until 2999-12-31: It is mended in spring." in said
    assert "waived: 0 failed, 0 open, 1 waived under the policy 'mine'" in said
    assert "pass" not in said


def test_an_expired_waiver_is_said_and_the_gate_closes(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", run, "--policy", policy("2020-01-31")]) == 1
    said = capsys.readouterr().out
    assert "waiver expired: quality.ndcg: by Jane, ended on 2020-01-31" in said
    assert "fail: medium: quality.ndcg (k=5)" in said


def test_several_policies_have_to_be_met_and_controls_are_printed(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["gate", run, "--policy", "owasp-llm-2026", "--policy", policy("2999-12-31")]
    assert main([*given, "--format", "json"]) == 1  # the default requires robustness
    data = json.loads(capsys.readouterr().out)
    assert data["missing"] == ["robustness"]
    assert [w["verdict"] for w in data["waived"]] == ["waived"]
    assert {c["control"]: c["state"] for c in data["controls"]}["owasp-llm:2026:LLM03"] == "not_tested"
    assert main(given) == 1
    said = capsys.readouterr().out
    assert "The module privacy did not run." in said
    assert "This is evidence, not a judgement of compliance" in said


def test_a_terminal_is_safe_from_what_a_policy_says(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(policy("2999-12-31"))
    path.write_text(path.read_text().replace("'It", '"\\e[31mIt').replace("spring'", 'spring"'))
    assert main(["gate", run, "--policy", str(path)]) == 0
    assert main(["policies", "show", str(path)]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_check_says_what_is_wrong_or_fits_nothing(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text("name: m\nrules: [{metric: quality.ndgc, min: 0}]")
    assert main(["policies", "check", "mine.yaml"]) == 2
    assert "did you mean 'quality.ndcg'" in capsys.readouterr().err
    rules = "[{metric: quality.ndcg, where: {kk: 5}, min: 0}, {metric: quality.ndcg, where: {k: 6}, min: 0}]"
    Path("mine.yaml").write_text(f"name: m\nrules: {rules}")
    assert main(["policies", "check", "mine.yaml", "--run", run]) == 0
    said = capsys.readouterr().out
    assert "where.kk: no finding of it has this; did you mean 'k'" in said
    assert "where.k: 6 is in no finding" in said


def test_every_pack_is_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policies", "list", "--format", "json"]) == 0
    names = [p["name"] for p in json.loads(capsys.readouterr().out)]
    assert {"default", "strict", "owasp-llm-2026", "nyc-ll144"} <= set(names)
    assert main(["policies"]) == 0
    assert all(name in capsys.readouterr().out for name in names[:1])
    assert main(["policies", "show", "nyc-ll144"]) == 0
    assert "The law sets no pass mark" in capsys.readouterr().out
