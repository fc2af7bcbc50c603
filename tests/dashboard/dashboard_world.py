"""A made-up store with something on every page: two audits of one target, and one that is still going on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import made_up_world
import private_world
import reasons_world
from report_world import CLEAN, EDIT, EDITED, ERRORS, FLIP, HIT, LIFT, SKIPPED

from audit.findings import Evidence, Finding, Param
from audit.policy import load
from audit.run import Run
from audit.store import Store
from audit.types import Answer, Ranked, Request

SCRIPT = "<script>window.pwned=1</script><img src=x onerror=window.pwned=1>"
"""A title that a careless page would run."""
RAW = "1. Fargo (1996)\n2. A title from nowhere"
"""What the target said after the edit."""
PIECE = Evidence(
    case="u1",
    title="Popular items added",
    before=CLEAN.digest,
    after=EDITED.digest,
    edits=(EDIT,),
    note="Babe (1995): rank 1 before, not listed after",
)
LONG = f"L{'o' * 180}ng"
"""A title that no line can break in a good place."""
ATTACKS = {"typos": "Typing slips", "cheatagent": "CheatAgent", "profile-popular": "Popular items added"}
DEFENSES = {"sanitise": "Text cleaned", "self-denoise": "Self-denoised smoothing"}


@dataclass(frozen=True)
class World:
    """Where the store lies, and what there is to open.

    Attributes:
        path: of the store.
        run: the latest finished run.
        earlier: an earlier run of the same name.
        running: a run in progress.
        finding: the gravest finding of `run`, which has evidence.
        evidence: its piece of evidence.
        hostile: a finding whose title is `SCRIPT`, and a link in Markdown.
        long: a finding whose title is one very long word.
    """

    path: Path
    run: str
    earlier: str
    running: str
    finding: str
    evidence: str
    hostile: str
    long: str


def robustness(shift: float) -> Iterator[Finding]:
    """Attacks by metrics, attacks by defenses, and a curve of success against queries."""
    floor = {"floor": "repeat", "k": 10}
    for nth, (name, title) in enumerate(ATTACKS.items()):
        effect = 0.1 + 0.14 * nth + shift
        ends = (effect - 0.05, effect + 0.05)
        params: dict[str, Param] = {"attack": name, "defense": None, **floor}
        changed = {"estimate": effect + 0.1, "ci": (ends[0] + 0.1, ends[1] + 0.1), "effect": effect, "effect_ci": ends}
        lost = replace(FLIP, params=params, title=f"{title}: clean hits lost from the first 10", **changed)
        yield replace(lost, evidence=(PIECE.id,)) if nth == 2 else lost
        yield replace(lost, metric="ndcg_drop", title=f"{title}: NDCG@10 lost")
        for queries in (10, 50, 200):
            gained = effect * queries / 200
            yield Finding(
                "robustness", "asr_at", f"{title}: success after {queries} queries", {**params, "queries": queries},
                estimate=gained, ci=(gained - 0.03, gained + 0.03), n=50,
            )  # fmt: skip
    for nth, (name, title) in enumerate({"": "No defense", **DEFENSES}.items()):
        own: dict[str, Param] = {"defense": name or None, "k": 10}

        def compared(metric: str, value: float, own: dict[str, Param] = own, said: str = title, **more: Any) -> Finding:
            what = more.pop("title", f"{said}: {metric.replace('_', ' ')}")
            params = {**own, **more.pop("params", {})}
            ends = (max(value - 0.06, 0.0), value + 0.06)
            return Finding("robustness", metric, what, params, estimate=value, ci=ends, n=50, **more)

        yield compared("robust_utility", 0.12 + 0.13 * nth, params={"attacks": len(ATTACKS)})
        yield compared("clean_utility", 0.55 - 0.05 * nth)
        yield compared("calls_per_answer", (1.0, 1.0, 8.0)[nth])
        for at, (attack, called) in enumerate(ATTACKS.items()):
            left = 0.42 - 0.14 * at + 0.12 * nth
            row = "undefended" if not name else "adaptive"
            said = f"{called}: utility left" if not name else f"{called} against {title}: utility left, {row}"
            yield compared("attacked_utility", left, title=said, params={"attack": attack, "row": row})


def fairness(shift: float) -> Iterator[Finding]:
    """Effects of stated attributes above their floor."""
    for attribute, values in {"gender": ("female", "male", "non-binary"), "age": ("under 25", "over 60")}.items():
        for nth, value in enumerate(values):
            effect = 0.005 + 0.03 * nth + shift / 5
            yield Finding(
                "fairness", "excess_distance", f"{attribute} {value}: lists further apart than by chance",
                {"part": "sweep", "attribute": attribute, "value": value, "form": "clean"}, estimate=effect + 0.1,
                ci=(effect + 0.09, effect + 0.11), n=50, floor=0.1, effect=effect,
                effect_ci=(effect - 0.01, effect + 0.01), p=0.01, p_adjusted=0.03,
            )  # fmt: skip


def findings(shift: float) -> list[Finding]:
    """Of all six modules; `shift` makes it a better or a worse target."""
    made = [
        replace(HIT, estimate=0.62 - shift),
        ERRORS,
        LIFT,
        SKIPPED,
        *robustness(shift),
        *fairness(shift),
        *made_up_world.checker(),
        *made_up_world.items("answer", 0.12, 0.19),
        *made_up_world.claims(0.5, 0.22),
        *made_up_world.arms(),
        *private_world.everything(),
        *reasons_world.everything(),
    ]
    return [
        *made,
        replace(HIT, metric="mrr", title=LONG, params={"k": 20}, estimate=0.31, ci=(0.2, 0.4)),
        replace(
            HIT, metric="mrr", title=f"MRR of {SCRIPT} [click](https://evil.invalid)", estimate=0.31, ci=(0.2, 0.4)
        ),
    ]


def fill(store: Store, path: Path) -> World:
    """Write the runs."""
    running = _write(store, path, [HIT, ERRORS, LIFT], status="running")  # First, so that the latest run is finished.
    earlier = _write(store, path, findings(0.15), status="finished")
    run = _write(store, path, findings(0.0), status="finished")
    told = Run(store.run(run), store).findings
    worst = next(f for f in told if PIECE.id in f.evidence)
    hostile = next(f for f in told if SCRIPT in f.title)
    long = next(f for f in told if f.title == LONG)
    return World(path, run, earlier, running, worst.id, PIECE.id, hostile.id, long.id)


def _write(store: Store, path: Path, found: Sequence[Finding], *, status: Any) -> str:
    record = store.create_run(
        "film-recommender",
        config={"dataset": {"name": "ml-100k"}, "seed": 7},
        target={"name": "film-llm", "honours": ["history", "note"], "fingerprint": "f"},
        versions={"python": "3.11.7"},
        seed=7,
        policy=load("default", path.parent).model_dump(mode="json"),
        notes=("Order inside a visit is unknown.",),
    )
    answers: list[tuple[Request, Answer]] = [
        (CLEAN, Answer((Ranked("4", "Babe (1995)"), Ranked("3", "Fargo (1996)")), text="1. Babe (1995)")),
        (EDITED, Answer((Ranked("3", "Fargo (1996)"), Ranked(None, SCRIPT)), text=f"{RAW}\n{SCRIPT}")),
        (made_up_world.ASKED, made_up_world.ANSWER),
        (reasons_world.ASKED, reasons_world.BEFORE),
        (reasons_world.EDITED, reasons_world.AFTER),
    ]
    store.put_answers(record.id, [(f"{record.id}/{q.digest[:6]}", q, 0, a) for q, a in answers])
    pieces = {
        "robustness": [PIECE],
        "hallucination": [made_up_world.SHOWN],
        "explanation": [reasons_world.SET, reasons_world.SHAPLEY],
    }
    for module, of_module in groupby(sorted(found, key=lambda f: f.module), key=lambda f: f.module):
        kept = pieces.get(module, [])
        store.save_module(record.id, module, [_with(f, kept) for f in of_module], kept)
    store.set_status(record.id, status, "fail" if status == "finished" else None)
    return record.id


def _with(finding: Finding, kept: Sequence[Evidence]) -> Finding:
    """Claims and attributions are shown with the findings that rest on them."""
    metrics = {"contradicted_rate", "counterfactual_success", "comprehensiveness"}
    return replace(finding, evidence=tuple(e.id for e in kept)) if finding.metric in metrics else finding
