"""A real store: audits by the command line of a recommender that co-occurrence makes, with flaws of the controls in it.

The world is invented, so that pictures of it may be shown to anybody: no real user's history, no licensed data.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from typer.testing import CliRunner

from audit.cli import app
from audit.controls.worlds import invented
from audit.findings import Finding
from audit.run import Run
from audit.store import Store

USERS = 110
SEED = 11
TARGET = f'''
"""What people chose together, with planted flaws: see `audit.controls`."""

from collections import Counter
from dataclasses import replace

import numpy as np

from audit import Answer, Ranked
from audit.controls.fairness import attribute_bias
from audit.controls.false_statements import MadeUpTitles, years
from audit.controls.memory import KeepsItsWord, Remembers
from audit.controls.worlds import invented
from audit.controls.wrapping import Writes
from audit.target import Input, TargetInfo


class Together:
    """Films that were chosen by the same people as those of the history, the most often first."""

    def __init__(self, data):
        self.items = data.catalog.items_in_order
        self.together = [Counter() for _ in self.items]
        for seen in data.sequences.values():
            past = [int(i) for i in seen[:-1]]
            for film in past:
                self.together[film].update(past)
        self.place = {{item.id: n for n, item in enumerate(self.items)}}
        self.info = TargetInfo(name="together", honours=frozenset({{Input.HISTORY}}), fingerprint=None)

    def recommend(self, requests):
        return [self.one(request) for request in requests]

    def one(self, request):
        votes = Counter()
        for event in request.user.history:
            votes.update(self.together[self.place[event.item.id]] if event.item.id in self.place else ())
        had = {{event.item.id for event in request.user.history}}
        pool = request.candidates or [item for item in self.items if item.id not in had]
        best = sorted(pool, key=lambda item: -votes[self.place.get(item.id, -1)])[: request.k]
        return Answer(tuple(Ranked(item.id, item.title) for item in best))


def build(*, flaw, private):
    """With flaws of some size, behind a training that promises ε = 1 and gives away more, or that promises nothing."""
    data, draws = invented({SEED}, {USERS}), np.random.default_rng(5)
    target = attribute_bias(Together(data), data, 0.4 * flaw, draws)
    target = MadeUpTitles(target, 0.12 * flaw, "titles")
    target = Writes(target, data.catalog, "false years", years(0.3 * flaw, "years"))
    target = KeepsItsWord(target, data, 3.0, "members") if private else Remembers(target, data, 0.6, "members")
    target.info = replace(target.info, name="films-together")
    return target
'''
MODULES: dict[str, Any] = {
    "quality": {},
    "fairness": {"attributes": ["gender"], "swaps": False, "stereotypes": False,
                 "sweep": {"anchors": 15, "placebos": 3, "paraphrases": 1}},
    "hallucination": {"answers": 30, "checker": {"planted": 30}, "items": {"constraints": 0}},
    "privacy": {"extraction": {"users": 15}, "inference": False, "leakage": {"answers": 10, "pairs": 5}},
    "explanation": {"users": 5, "evaluations": 64, "operators": ["delete", "placeholder"]},
    "robustness": {
        "attacks": ["random-items", "profile-popular", "history-dilution", "genetic"],
        "budgets": [10, 40],
        "search_users": 15,
        "champion": None,
        "defenses": {"consistency-filter": {}, "self-denoise": {"kept": 2, "window": 4}},
        "matrix": {"users": 15, "queries": 5, "draws": 2, "reruns": 2},
    },
}  # fmt: skip
EARLIER = ("quality", "fairness", "privacy")
"""Modules of the earlier run: enough to compare, and quick."""


@dataclass(frozen=True)
class Audited:
    """The store of real audits, and what there is to open.

    Attributes:
        path: of the store.
        config: of the latest audit, which can also be asked live.
        run: the latest finished run.
        earlier: of the same target with its flaws twice as large, and trained without a promise.
        running: a run that has not come to its end.
    """

    path: Path
    config: Path
    run: str
    earlier: str
    running: str

    @cached_property
    def with_evidence(self) -> dict[str, Finding]:
        """Findings of the latest run that have evidence, by id."""
        with Store(self.path, create=False) as store:
            return {f.id: f for f in Run(store.run(self.run), store).findings if f.evidence}

    def first(self, module: str, metric: str) -> Finding:
        """A finding of the latest run that has evidence; those that fail first."""
        found = [f for f in self.with_evidence.values() if (f.module, f.metric) == (module, metric)]
        return min(found, key=lambda f: f.verdict != "fail")


def audited(folder: Path) -> Audited:
    """Write the world and the target, and audit it thrice."""
    dataset = _files(folder)
    (folder / "films_together.py").write_text(TARGET, "utf-8")
    path, private = folder / "runs.sqlite", {"flaw": 1.0, "private": True}
    earlier = _run(folder, dataset, path, {"flaw": 2.0, "private": False}, {m: MODULES[m] for m in EARLIER})
    running = _run(folder, dataset, path, private, MODULES, budget={"queries": 300})
    run = _run(folder, dataset, path, private, MODULES)
    with Store(path, create=False) as store:
        store.set_status(running, "running")
    return Audited(path, folder / "audit.yaml", run, earlier, running)


def _files(folder: Path) -> dict[str, Any]:
    world = invented(SEED, USERS)
    folder.mkdir(parents=True, exist_ok=True)
    world.interactions.to_csv(folder / "ratings.csv", index=False)
    films = [
        {"item_id": item.id, "title": item.title, "year": item.attributes["year"],
         "genres": "|".join(map(str, item.attributes["genres"]))}  # type: ignore[arg-type]  # a tuple in this world
        for item in world.catalog.items_in_order
    ]  # fmt: skip
    pd.DataFrame(films).to_csv(folder / "films.csv", index=False)
    people = [{"user_id": user, **said} for user, said in world.users.items()]
    pd.DataFrame(people).to_csv(folder / "people.csv", index=False)
    return {
        "kind": "files", "interactions": "ratings.csv", "items": "films.csv", "users": "people.csv", "liked": 3,
        "min_core": 0, "sample": 60, "candidates": 20, "history": 12, "k": 5,
    }  # fmt: skip


def _run(
    folder: Path, dataset: dict[str, Any], store: Path, args: dict[str, Any], modules: dict[str, Any], **more: Any
) -> str:
    target = {"kind": "python", "factory": "films_together:build", "args": args}
    audit = {"name": "invented-films", "seed": 7, "dataset": dataset, "target": target, "modules": modules, **more}
    (folder / "audit.yaml").write_text(yaml.safe_dump(audit, sort_keys=False), "utf-8")
    told = CliRunner().invoke(app, ["run", str(folder / "audit.yaml"), "--store", str(store), "--no-gate", "--quiet"])
    with Store(store, create=False) as opened:
        head = opened.heads()[0]
    # A budget that is spent is the one error that is meant.
    assert head.status == ("stopped" if "budget" in more else "finished"), (told.output, told.exception)
    return head.id
