"""What single answers get wrong: how they end, what they name, and their scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from audit.conformance.asking import SAME_SCORE, Door
from audit.conformance.report import Level, Observation
from audit.grounding import Tally, tally
from audit.target import Insight
from audit.types import Answer, Catalog, Request

MANY = 0.25
"""Share of answers above which a fault is no longer an accident."""


_SHOWN = 300
"""Characters of a target's own message that are shown."""


def outcomes(answers: Sequence[Answer]) -> Iterator[Observation]:
    """How the answers ended."""
    words = {
        "error": ("failed", "mend what the target raises on these requests"),
        "refused": ("were refusals", "ask in other words, or check the target's safety filter"),
        "unparsable": ("could not be read", "return items in the form the contract names"),
    }
    ok = sum(a.outcome == "ok" for a in answers)
    for outcome, (verb, mend) in words.items():
        wrong = [a for a in answers if a.outcome == outcome]
        if wrong:
            why = " ".join(wrong[0].detail.split())[:_SHOWN] or "no reason given"
            text = f"{len(wrong)} of {len(answers)} answers {verb}; the first: {why.rstrip('.')}."
            # An error is the target's own fault at any rate; the other two are behaviour that an audit measures.
            bad = outcome == "error" or len(wrong) > MANY * len(answers)
            yield Observation(outcome, "fail" if bad else "warn", text, mend, {outcome: len(wrong), "of": len(answers)})
    if ok == len(answers):
        yield Observation("outcomes", "ok", f"All {ok} requests were answered.", counts={"ok": ok, "of": ok})


class _Fault(NamedTuple):
    """One count of a Tally: what it is a share of, how grave it is, and how it reads."""

    name: str
    unit: Literal["answers", "entries"]
    level: Level
    text: str
    mend: str


_FAULTS = (
    _Fault("too_few", "answers", "warn", "are shorter than asked for", "return k items, or all candidates if fewer"),
    _Fault("too_many", "answers", "warn", "are longer than asked for", "return at most k; the rest is not looked at"),
    _Fault("empty", "answers", "warn", "are empty", "return a ranking, or an Answer that says why there is none"),
    _Fault("duplicates", "entries", "warn", "repeat an earlier one of the same answer", "return each item once"),
    _Fault(
        "foreign", "entries", "fail", "carry an id the catalogue does not hold", "return ids of the audited catalogue"
    ),
    _Fault(
        "absent", "entries", "warn", "name no item of the catalogue", "return ids, or titles as the catalogue has them"
    ),
    _Fault(
        "outside_candidates", "entries", "fail", "were not among the candidates", "rank the candidates that are given"
    ),
    _Fault(
        "history_repeats", "entries", "warn", "are items the user already has", "leave out the history, unless meant"
    ),
)


def contents(requests: Sequence[Request], answers: Sequence[Answer], catalog: Catalog) -> Iterator[Observation]:
    """What is wrong inside the answers that could be read."""
    total = sum((tally(a, r, catalog) for a, r in zip(answers, requests, strict=True)), Tally())
    counts = total.to_dict()
    faults = 0
    for fault in _FAULTS:
        wrong, of = counts[fault.name], counts[fault.unit]
        if not wrong:
            continue
        faults += 1
        # Nearly every answer too short is no accident but a broken contract.
        grave = fault.name in {"too_few", "empty"} and wrong > of / 2
        text = f"{wrong} of {of} {fault.unit} {fault.text}."
        found = {fault.name: wrong, fault.unit: of}
        yield Observation(fault.name, "fail" if grave else fault.level, text, fault.mend, found)
    if not faults and total.entries:
        text = (
            f"All {total.entries} entries name items that may be recommended, each once, in lists of the right length."
        )
        yield Observation("contents", "ok", text, counts={"entries": total.entries})


def scores(door: Door, requests: Sequence[Request], raw: Sequence[Answer]) -> Iterator[Observation]:
    """Scores as the target wrote them, before the contract sorted out what cannot be used."""
    paired = list(zip(requests, raw, strict=True)) if len(raw) == len(requests) else []
    readable = [(r, a) for r, a in paired if a.outcome == "ok" and a.ranked and isinstance(a.ranked, tuple | list)]
    entries = [e for _, a in readable for e in a.ranked if hasattr(e, "score")]
    scores = [e.score for e in entries if isinstance(e.score, int | float | np.floating)]
    infinite = sum(not np.isfinite(s) for s in scores)
    if infinite:
        text = f"{infinite} of {len(scores)} scores are NaN or infinite; such an answer counts as unreadable."
        yield Observation(
            "scores_finite", "fail", text, "return finite scores", {"scores": infinite, "of": len(scores)}
        )
    given, declared = len(scores), Insight.SCORES in door.info.reveals
    scored = bool(requests) and requests[0].task == "score"
    if entries and given < len(entries) and (declared or scored or given):
        level: Level = "fail" if declared or scored else "warn"
        text = f"{len(entries) - given} of {len(entries)} entries carry no score" + (
            ", although scores are declared." if declared else "."
        )
        mend = "give every entry a score" + (", or take `scores` out of reveals" if declared and not scored else "")
        yield Observation("scores_missing", level, text, mend, {"missing": len(entries) - given, "of": len(entries)})
    elif entries and given and not declared:
        yield Observation(
            "scores_undeclared", "warn", "It gives scores without declaring them.", "add `scores` to reveals"
        )
    if scored:
        yield from _score_order(readable)
    elif given == len(entries) and given:
        falling = [_falling([float(e.score) for e in a.ranked if e.score is not None]) for _, a in readable]
        if not all(falling):
            text = f"In {falling.count(False)} of {len(falling)} rankings a later entry has a higher score."
            yield Observation("rank_order", "warn", text, "rank by the score that is shown, or show none")


def _score_order(readable: Sequence[tuple[Request, Answer]]) -> Iterator[Observation]:
    """For `score`: candidates in their order, and scores that tell them apart."""
    asked = [[c.id for c in r.candidates or ()] for r, _ in readable]
    moved = sum(
        sorted(ids) == sorted(map(str, a.ids)) and ids != list(a.ids)
        for ids, (_, a) in zip(asked, readable, strict=True)
    )
    if moved:
        text = f"{moved} of {len(readable)} answers give the scores in another order than the candidates."
        yield Observation("score_order", "fail", text, "answer `score` in the candidates' order, not sorted by score")
    several = [a for _, a in readable if len(a.ranked) > 1]
    flat = sum(len(set(a.scores)) == 1 for a in several)
    if flat:
        level: Level = "fail" if flat == len(several) else "warn"
        text = f"{flat} of {len(several)} answers give every candidate the same score."
        yield Observation("scores_flat", level, text, "return a score that depends on the candidate")


def _falling(scores: Sequence[float]) -> bool:
    return all(a >= b - SAME_SCORE for a, b in pairwise(scores))
