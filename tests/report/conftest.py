"""Runs of the small world in a store of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from report_world import CLEAN, EDIT, EDITED, ERRORS, FLIP, HIT, HOSTILE, LIFT, POLICY, SKIPPED

from audit.findings import Evidence, Finding
from audit.run import Run
from audit.store import Store
from audit.types import Answer, Ranked

MakeRun = Callable[..., Run]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "runs.sqlite") as opened:
        yield opened


@pytest.fixture
def make_run(store: Store) -> MakeRun:
    """Store a run of these findings and open it. `clean` and `edited` are the answers to the two requests."""

    def make(
        findings: Sequence[Finding],
        evidence: Sequence[Evidence] = (),
        *,
        name: str = "demo",
        status: str = "finished",
        clean: Answer | None = None,
        edited: Answer | None = None,
        values: dict[str, dict[str, float]] | None = None,
    ) -> Run:
        record = store.create_run(
            name,
            config={"base": "/home/someone", "dataset": {"name": "ml-100k"}, "seed": 7},
            target={"name": "my-target", "honours": ["history"], "fingerprint": name},
            versions={"python": "3.11.7"},
            seed=7,
            policy=POLICY.model_dump(mode="json"),
            notes=("Order inside a visit is unknown.",),
        )
        rows = [(f"{name}/{q.digest[:6]}", q, 0, a) for q, a in ((CLEAN, clean), (EDITED, edited)) if a is not None]
        store.put_answers(record.id, rows)
        for module in {f.module for f in findings}:
            mine = [f for f in findings if f.module == module]
            store.save_module(record.id, module, mine, evidence, values)
        store.set_status(record.id, status)  # type: ignore[arg-type]  # any of the states, as a plain word
        return Run(replace(record, status=status), store)  # type: ignore[arg-type]

    return make


@pytest.fixture
def shown(make_run: MakeRun) -> Run:
    """One failure with evidence, one open question, one pass, one measurement, one check that could not run."""
    piece = Evidence(
        case="u1",
        title="Typing slips",
        before=CLEAN.digest,
        after=EDITED.digest,
        edits=(EDIT,),
        note="Babe (1995): rank 1 before, not listed after",
    )
    return make_run(
        [replace(FLIP, evidence=(piece.id,)), SKIPPED, HIT, ERRORS, LIFT],
        [piece],
        clean=Answer((Ranked("4", ""), Ranked("3", "Fargo (1996)"))),
        edited=Answer((Ranked("3", "Fargo (1996)"), Ranked(None, HOSTILE)), text=HOSTILE),
    )
