"""A project with an audit: a run whose findings come out each in another way, and a recommender that can be audited."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from helpers import write_world

from audit.data.dataset import Dataset
from audit.findings import Evidence, Finding, not_applicable
from audit.policy import load
from audit.run import Run
from audit.store import Store

POLICY: dict[str, Any] = {
    "name": "small",
    "require": ["quality", "fairness"],
    "rules": [
        {"metric": "quality.hr", "min": 0.3},
        {"metric": "quality.ndcg", "min": 0.3, "severity": "high", "why": "Users find nothing."},
        {"metric": "robustness.flip_rate", "value": "effect", "max": 0.2},
        {"metric": "robustness.asr", "where": {"labels": None}, "max": 0.2},
        {"metric": "fairness.snsr", "where": {"measure": "rbo"}, "max": 0.1},
    ],
    "waivers": [
        {
            "metric": "robustness.flip_rate",
            "where": {"attack": "negation"},
            "owner": "ranking team",
            "reason": "mended in the next model",
            "expires": "2999-12-31",
        }
    ],
}
CASE = Evidence("u1", "u1 loses its film", note="0.9 before, 0 after")


def flips(attack: str, effect: float, low: float, high: float) -> Finding:
    return Finding(
        "robustness",
        "flip_rate",
        f"Answers that {attack} flips",
        {"attack": attack, "defense": None},
        effect + 0.01,
        (low + 0.01, high + 0.01),
        n=40,
        floor=0.01,
        effect=effect,
        effect_ci=(low, high),
        evidence=(CASE.id,),
    )


def quality(metric: str, estimate: float, low: float, high: float) -> Finding:
    return Finding(
        "quality",
        metric,
        metric,
        {"k": 5},
        estimate,
        (low, high),
        n=40,
        direction="higher_is_better",
        evidence=(CASE.id,),
    )


FINDINGS = {
    "quality": [quality("hr", 0.5, 0.4, 0.6), quality("ndcg", 0.2, 0.15, 0.25), quality("mrr", 0.3, 0.2, 0.4)],
    "robustness": [
        flips("typos", 0.21, 0.1, 0.32),
        flips("negation", 0.5, 0.4, 0.6),
        not_applicable("robustness", "asr", "Attack success", "it has no instruction to edit", {"attack": "typos"}),
    ],
}
RECOMMENDER = """
def build(calls=""):
    def recommend(history, candidates, k):
        if calls:
            with open(calls, "a") as file:
                file.write("x")
        return sorted(candidates)[:k]

    return recommend
"""


@dataclass(frozen=True)
class Project:
    """A folder with audit.yaml, policy.yaml, a recommender, its data and a store with one finished run."""

    folder: Path
    run: Run

    @property
    def stored(self) -> tuple[str, ...]:
        """Options that judge the stored run."""
        return ("--recaudit", "audit.yaml", "--recaudit-store", "runs.sqlite", "--recaudit-run", "latest")

    @property
    def calls(self) -> int:
        """How often the recommender was asked."""
        file = self.folder / "calls"
        return len(file.read_text()) if file.exists() else 0

    def write(self, name: str = "audit.yaml", /, **changes: Any) -> None:
        """Write a configuration."""
        path = self.folder / name
        config = yaml.safe_load((self.folder / "audit.yaml").read_text())
        path.write_text(yaml.safe_dump(config | changes))

    def policy(self, **changes: Any) -> None:
        """Write the policy anew, with changes."""
        (self.folder / "policy.yaml").write_text(yaml.safe_dump(POLICY | changes))


def opened(folder: Path) -> Project:
    """The project in that folder."""
    store = Store(folder / "runs.sqlite")
    return Project(folder, Run(store.run("latest"), store))


def make(folder: Path, world: Dataset) -> None:
    """Write everything, and store the run."""
    dataset = write_world(world, folder / "data") | {"candidates": 10, "sample": 20}
    dataset |= {name: f"data/{name}.csv" for name in ("interactions", "items")}
    (folder / "rec.py").write_text(RECOMMENDER)
    (folder / "policy.yaml").write_text(yaml.safe_dump(POLICY))
    config = {
        "name": "tiny",
        "dataset": dataset,
        "target": {"kind": "python", "factory": "rec:build", "args": {"calls": "calls"}},
        "modules": {"quality": {}},
        "policy": "policy.yaml",
    }
    (folder / "audit.yaml").write_text(yaml.safe_dump(config))
    store = Store(folder / "runs.sqlite")
    policy = load("policy.yaml", folder).model_dump(mode="json")
    record = store.create_run("tiny", config=config, target={"name": "t"}, versions={}, seed=7, policy=policy)
    for module, findings in FINDINGS.items():
        store.save_module(record.id, module, findings, (CASE,))
    store.set_status(record.id, "finished", "fail")
    store.close()
