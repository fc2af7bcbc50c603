"""From a configuration to findings: the ten-line path, prices before asking, seeds, and mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from helpers import Scripted, write_world

from audit.data.dataset import Dataset
from audit.errors import ConfigError, DataError, RecAuditError, TargetError
from audit.run import Run
from audit.runner import begin, dry_run, execute, prepare, resume, run_audit
from audit.store import Store
from audit.target import Input
from audit.types import Answer, Ranked, Request


@pytest.fixture(scope="module")
def dataset(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {**write_world(world, tmp_path_factory.mktemp("files")), "candidates": 10}


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(tmp_path / "runs.sqlite") as opened:
        yield opened


def newest_first(history: list[str], candidates: list[str] | None, k: int) -> list[str]:
    """A plain function: candidates of the decade seen last come first."""
    decade = history[-1][-5:-2] if history else "197"
    return sorted(candidates or [], key=lambda title: (title[-5:-2] != decade, title))[:k]


def findings(run: Run) -> str:
    return json.dumps(run.to_json()["findings"])


def test_a_plain_function_is_audited(dataset: dict[str, Any], store: Store) -> None:
    run = run_audit({"name": "mine", "dataset": dataset}, target=newest_first, store=store)
    assert run.name == "mine"
    assert run.record.target["name"] == "newest_first"
    assert {f.module for f in run.findings} >= {"quality", "robustness"}
    assert run.verdict in {"pass", "fail", "inconclusive"}
    assert store.outcomes(run.id) == {"ok": run.usage.queries}
    measured = [f for f in run.findings if f.estimate is not None]
    assert measured
    for finding in measured:
        assert finding.ci is not None
        assert finding.ci[0] <= finding.estimate <= finding.ci[1]  # type: ignore[operator]
        assert finding.n > 0
    for finding in run.findings:
        assert finding.verdict != "not_applicable" or finding.reason
    shown = run.evidence()
    assert {e for f in run.findings for e in f.evidence} == set(shown)


def test_a_file_says_the_same_as_a_mapping(dataset: dict[str, Any], store: Store, tmp_path: Path) -> None:
    config = {"dataset": dataset, "modules": ["robustness"]}
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(config))
    from_file = run_audit(tmp_path / "audit.yaml", target=newest_first, store=store)
    assert findings(from_file) == findings(run_audit(config, target=newest_first, store=store))


def test_relative_paths_start_at_the_file(world: Dataset, store: Store, tmp_path: Path) -> None:
    block = write_world(world, tmp_path / "data") | {"interactions": "data/interactions.csv", "items": "data/items.csv"}
    (tmp_path / "rec.py").write_text("def rank(history, candidates, k):\n    return candidates[:k]\n")
    config = {"dataset": {**block, "candidates": 10}, "modules": ["robustness"]}
    config["target"] = {"kind": "python", "factory": "rec:rank"}
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(config))
    run = run_audit(tmp_path / "audit.yaml", store=store)
    assert findings(resume(run.id, store=store)) == findings(run)


def test_a_seed_is_a_run(dataset: dict[str, Any], store: Store) -> None:
    def users(config: dict[str, Any]) -> list[str]:
        return [c.request.user.id for c in prepare(config, target=newest_first).cases]

    base = {"dataset": dataset, "modules": ["robustness"]}
    first, second = (run_audit({**base, "seed": 3}, target=newest_first, store=store) for _ in range(2))
    assert findings(first) == findings(second)
    assert first.id != second.id
    assert users({**base, "seed": 3}) != users({**base, "seed": 4})
    assert findings(run_audit({**base, "seed": 4}, target=newest_first, store=store)) != findings(first)


def test_findings_of_a_module_do_not_depend_on_the_others(dataset: dict[str, Any], store: Store) -> None:
    alone = run_audit({"dataset": dataset, "modules": ["robustness"]}, target=newest_first, store=store)
    together = run_audit({"dataset": dataset}, target=newest_first, store=store)
    assert [f for f in together.measured if f.module == "robustness"] == alone.measured


@pytest.mark.parametrize("honours", [{Input.HISTORY}, {Input.HISTORY, Input.ITEM_TEXT}, set(Input)])
def test_a_dry_run_asks_nothing_and_foretells_the_queries(
    dataset: dict[str, Any], store: Store, honours: set[Input]
) -> None:
    info = {"honours": frozenset(honours), "instructions": {"rank": "Rank these films."}, "fingerprint": "v1"}
    target = Scripted(**info)
    blind = ["typos", "random-words", "random-items", "negation"]
    config = {"dataset": dataset, "modules": {"quality": {}, "robustness": {"attacks": blind}}}
    prepared = prepare(config, target=target)
    plan = dry_run(prepared, store)
    assert target.batches == []
    assert store.runs() == []
    assert plan.queries == sum(m.estimate.queries for m in plan.modules) > 0
    assert plan.prompt_tokens > plan.queries
    assert (plan.minutes, plan.usd) == (None, None)
    run = run_audit(config, target=target, store=store)
    assert run.usage.queries == plan.queries == len(target.asked)
    again = dry_run(prepared, store)
    assert again.queries == 0
    assert again.minutes == 0


def test_a_price_and_an_earlier_run_give_dollars_and_minutes(
    dataset: dict[str, Any], store: Store, tmp_path: Path
) -> None:
    (tmp_path / "priced.py").write_text("def rank(history, candidates, k):\n    return candidates[:k]\n")
    target = {"kind": "python", "factory": "priced:rank", "price": {"prompt": 2.0}}
    config = {"dataset": dataset, "target": target, "modules": ["robustness"]}
    prepared = prepare(config, base=tmp_path)
    plan = dry_run(prepared, store)
    assert plan.usd == pytest.approx(2.0 * plan.prompt_tokens / 1e6)
    assert plan.minutes is None
    run = execute(begin(prepared, store), prepared)
    pace = run.usage.seconds / run.usage.queries
    assert dry_run(prepared, store).minutes == pytest.approx(pace * plan.queries / 60)


def test_the_ask_matches_the_target(dataset: dict[str, Any]) -> None:
    told = Scripted(honours=frozenset(Input), instructions={"rank": "Rank these."}, max_candidates=7)
    block = {k: v for k, v in dataset.items() if k != "candidates"}
    prepared = prepare({"dataset": {**block, "candidates": 7}}, target=told)
    for case in prepared.cases:
        assert case.request.instruction == "Rank these."
        assert len(case.request.candidates or ()) == 7
        assert case.relevant <= {c.id for c in case.request.candidates or ()}
    assert prepare({"dataset": block}, target=Scripted()).cases[0].request.candidates is None
    needy = prepare({"dataset": block}, target=Scripted(needs_candidates=True))
    assert len(needy.cases[0].request.candidates or ()) == 20
    assert needy.cases[0].request.instruction == ""


def test_the_record_says_what_was_audited(dataset: dict[str, Any], store: Store) -> None:
    read_only = MappingProxyType({"rank": "Rank."})
    target = Scripted(honours=frozenset({Input.HISTORY, Input.INSTRUCTION}), instructions=read_only)
    run = run_audit({"dataset": dataset, "seed": 5, "modules": ["robustness"]}, target=target, store=store)
    record = store.run(run.id)
    assert record.target["honours"] == ["history", "instruction"]
    assert record.target["instructions"] == {"rank": "Rank."}
    assert record.seed == 5
    assert record.config["dataset"]["sample"] == 16
    assert any("16 users drawn" in note for note in record.notes)
    assert record.policy["name"] == "default"
    assert json.loads(json.dumps(run.to_json()))["verdict"] == record.verdict


def test_a_profile_overrides_the_file(dataset: dict[str, Any]) -> None:
    block = {k: v for k, v in dataset.items() if k != "sample"}
    assert len(prepare({"dataset": block}, target=newest_first, profile="full").cases) == 50
    assert prepare({"dataset": block, "profile": "standard"}, target=newest_first).config.profile == "standard"


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"modules": ["robustnes"]}, ConfigError, "did you mean 'robustness'"),
        ({"modules": {"robustness": {"atacks": []}}}, ConfigError, "modules.robustness.atacks: .*'attacks'"),
        ({"modules": {"robustness": {"attacks": ["typo"]}}}, ConfigError, "'typo' is not a known attack.*'typos'"),
        ({"modules": {}}, ConfigError, "the block is empty"),
        ({"policy": "defualt"}, ConfigError, "did you mean 'default'"),
        ({"policy": "missing.yaml"}, ConfigError, "there is no such file"),
        ({"seeds": 1}, ConfigError, "seeds: no field has this name; did you mean 'seed'"),
        ({"dataset": {"name": "ml-1m"}}, ConfigError, "'ml-1m' is unknown; did you mean 'ml-100k'"),
        ({"target": {"kind": "python", "task": "score"}}, ConfigError, "does not do 'score'; it does rank"),
    ],
)
def test_a_mistake_is_one_sentence(
    dataset: dict[str, Any], store: Store, change: dict[str, Any], error: type[RecAuditError], said: str
) -> None:
    with pytest.raises(error, match=said):
        run_audit({"dataset": dataset, **change}, target=newest_first, store=store)
    assert store.runs() == []


def test_an_option_that_an_attack_refuses_is_one_sentence(dataset: dict[str, Any], store: Store) -> None:
    modules = {"robustness": {"attacks": {"typos": {"words": 0}}}}
    with pytest.raises(ConfigError, match=r"modules\.robustness\.attacks\.typos: words: 0 must be at least 1"):
        run_audit({"dataset": dataset, "modules": modules}, target=newest_first, store=store)


def test_a_target_is_needed(dataset: dict[str, Any], store: Store) -> None:
    with pytest.raises(ConfigError, match="target is missing; add a `target:` block"):
        run_audit({"dataset": dataset}, store=store)
    with pytest.raises(TargetError, match="found the int 3"):
        run_audit({"dataset": dataset}, target=3, store=store)
    with pytest.raises(ConfigError, match="10 is more than the target's 5"):
        run_audit({"dataset": dataset}, target=Scripted(max_candidates=5), store=store)


def test_one_user_is_too_few(dataset: dict[str, Any], store: Store) -> None:
    with pytest.raises(DataError, match="1 users are left"):
        run_audit({"dataset": {**dataset, "sample": 1}}, target=newest_first, store=store)


def test_a_broken_store_does_not_hide_why_the_run_stopped(
    dataset: dict[str, Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audit.errors import StoreError

    def full(*_: object, **__: object) -> None:
        raise StoreError("--store: the disk is full")

    class Breaks(Scripted):
        def recommend(self, requests: Any) -> list[Answer]:
            monkeypatch.setattr(store, "set_status", full)
            raise TargetError("the target is gone")

    with pytest.raises(TargetError, match="the target is gone"):
        run_audit({"dataset": dataset}, target=Breaks(), store=store)


def test_an_empty_or_wrong_answer_is_counted(dataset: dict[str, Any], store: Store) -> None:
    def odd(asked: Request) -> Answer:
        return Answer((Ranked("no such item"),)) if asked.user.id > "025" else Answer()

    run = run_audit({"dataset": dataset, "modules": ["robustness"]}, target=Scripted(odd), store=store)
    assert run.record.status == "finished"
