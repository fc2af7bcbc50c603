"""The mode that is said not to profile: there, whose history and attributes a request carries must not matter.

The Digital Services Act (Regulation (EU) 2022/2065, Article 38) obliges very large platforms to offer at least one
option for each recommender that is not based on profiling. A promise that nothing happens is not kept by a test that
found nothing: the answers must be shown to be equivalent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audit import stats
from audit.edits import Edit, SetAttribute, TextEdit, apply
from audit.findings import Param
from audit.gateway import Ask
from audit.modules import arms
from audit.modules.base import Context, Output
from audit.modules.fairness.apart import apart, first_cases, unit_bounds
from audit.modules.fairness.design import NEUTRAL, Anchor, Grid, Reading, Readings, Variant, neutral
from audit.modules.fairness.module import INFO
from audit.modules.outcomes import Floats
from audit.modules.report_card import ReportCard, mde_of
from audit.modules.sheet import Sheet
from audit.target import Input
from audit.types import AttributeValue, Request

SWAPS = ("history", "attributes")
MARGIN = 0.02
_FEWEST = 2
_TITLES = {"history": "the history of another user", "attributes": "the attributes of another user"}


@dataclass(frozen=True)
class Profiling:
    """Whether the mode without profiling is one.

    Attributes:
        set: attributes of the user that switch the mode on, such as `{personalised: "no"}`.
        instruction: words that switch it on, put in front of the instruction. Without either, the target as it stands
            is said not to profile.
        swaps: what is exchanged with other users: `history`, `attributes`.
        margin: mean distance beyond a repeat that still counts as none.
        anchors: how many users, 0 for all of the run. Even without any difference it takes 149 users to show a mean
            distance below .02.
        repeats: how often each question is asked, at least twice: repeats are the floor.
    """

    set: Mapping[str, AttributeValue] | None = None
    instruction: str | None = None
    swaps: Sequence[str] = SWAPS
    margin: float = MARGIN
    anchors: int = 0
    repeats: int = 2

    def __post_init__(self) -> None:
        if self.set is not None and (not isinstance(self.set, Mapping) or not self.set):
            raise ValueError(f"set: {self.set!r} must be attributes with their values, such as {{personalised: 'no'}}")
        if self.instruction is not None and not self.instruction.strip():
            raise ValueError("instruction: '' must be words that switch the mode on; leave it out if there are none")
        if isinstance(self.swaps, str) or not self.swaps or any(s not in SWAPS for s in self.swaps):
            raise ValueError(f"swaps: {self.swaps!r} must be a list of {' and '.join(SWAPS)}")
        if isinstance(self.margin, bool) or not 0.0 < self.margin < 1.0:
            raise ValueError(f"margin: {self.margin!r} must be between 0 and 1; .02 is the sheet's")
        for name, least in (("anchors", 0), ("repeats", 2)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name}: {value!r} must be a whole number of at least {least}")

    def lacking(self, context: Context) -> str | None:
        """The switch must reach the target, and there must be something to exchange."""
        honours = context.info.honours
        if context.task == "answer":
            return "the run asks for free text, and lists or scores are compared (target.task: rank or score)"
        if self.set is not None and Input.ATTRIBUTES not in honours:
            return "the mode is switched on by attributes, and the target reads none (modules.fairness.profiling.set)"
        if self.instruction is not None and Input.INSTRUCTION not in honours:
            return "the mode is switched on by words, and the target reads no instruction (profiling.instruction)"
        if len(self._chosen(context).cases) < _FEWEST:
            return f"histories are exchanged between users, and the run has {len(self._chosen(context).cases)}"
        if not self._possible(context):
            return "the target reads none of what would be exchanged (history, attributes) or the users have none"
        return None

    def plan(self, context: Context) -> list[Ask]:
        """Every user in the mode, with their own history and attributes and with another's."""
        asks = self._grid(context, switched=True).asks(context.rng("fairness", "profiling", "plan"))
        if self._switches:
            asks += self._grid(context, switched=False).asks(context.rng("fairness", "profiling", "plan"))
        return asks

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask and test for equivalence."""
        readings = self._grid(context, switched=True).run(context)
        ordinary = self._grid(context, switched=False).run(context) if self._switches else None
        # The level that belongs to two one-sided tests: 90 % for 95 %.
        card = ReportCard(INFO.id, 2 * context.level - 1, INFO.controls)
        output = Output()
        sheet = Sheet(context, card, output, examples)
        for swap in self.swaps:
            title = f"Without profiling, {_TITLES[swap]}"
            if swap not in readings.found:
                reason = f"the target reads no {swap}, or no two users differ in it"
                card.skip("profiling_effect", title, reason, part="profiling", swap=swap)
            else:
                self._judge(context, swap, title, readings, ordinary, card, sheet)
        # Every exchange must be shown to be equivalent, so none needs a correction (Berger 1982): the p-values stay.
        return Output(card.findings, output.evidence, card.values)

    @property
    def _switches(self) -> bool:
        return self.set is not None or self.instruction is not None

    def _judge(
        self,
        context: Context,
        swap: str,
        title: str,
        readings: Readings,
        ordinary: Readings | None,
        card: ReportCard,
        sheet: Sheet,
    ) -> None:
        anchors, far, floor, lost = _distances(readings, swap)
        params: dict[str, Param] = {"part": "profiling", "swap": swap, "measure": "distance", "margin": self.margin}
        if len(anchors) < _FEWEST:
            reason = f"{len(anchors)} users have answers that can be read, and at least {_FEWEST} are needed"
            card.skip("profiling_effect", title, reason, part="profiling", swap=swap, measure="distance")
            return
        bounds = unit_bounds(list(readings.found.values()))
        rng = context.rng("fairness", "profiling", swap)
        found = stats.equivalence(far - floor, self.margin, rng=rng, level=card.level, bounds=bounds)
        shown = found.p < (1 - card.level) / 2
        notes = [
            f"{'shown' if shown else 'not shown'} to be equivalent to a repeat within {self.margin:g}; p is the chance "
            "of such answers if they were not, and each exchange has to be shown"
        ]
        if lost:
            notes.append(f"{lost} users without a readable answer on either side are left out")
        if ordinary is not None and swap in ordinary.found:
            _, moved, still, _ = _distances(ordinary, swap)
            if len(moved):
                notes.append(f"in the ordinary mode the same exchange moves answers by {(moved - still).mean():.3g}")
        limits = None if bounds is None else (0.0, 1.0)
        card.add(
            "profiling_effect",
            title,
            stats.mean_interval(far, rng=rng, level=card.level, resamples=card.resamples, bounds=limits),
            n=len(anchors),
            unit="user",
            direction="higher_is_worse",
            params=params,
            floor=float(floor.mean()),
            effect=found.interval,
            test="two one-sided tests (bootstrap t)",
            p=found.p,
            mde=mde_of(far - floor),
            note="; ".join(notes),
            evidence=_evidence(readings, swap, anchors, far - floor, sheet),
            values={readings.grid.anchors[i].id: float(v) for i, v in zip(anchors, far - floor, strict=True)},
        )

    # What is asked ----------------------------------------------------------------------------------------------------

    def _chosen(self, context: Context) -> Context:
        return replace(context, cases=first_cases(context, self.anchors))

    def _switch(self, request: Request) -> list[Edit]:
        edits: list[Edit] = [SetAttribute(name, value) for name, value in (self.set or {}).items()]
        if self.instruction is not None:
            words = f"{self.instruction} " if request.instruction else self.instruction
            edits.append(TextEdit("instruction", 0, 0, words))
        return edits

    def _possible(self, context: Context) -> dict[str, list[tuple[Edit, ...]]]:
        """By swap, the edits of each user, for those swaps that change anything the target reads."""
        chosen, honours = self._chosen(context), context.info.honours
        found: dict[str, list[tuple[Edit, ...]]] = {}
        if "history" in self.swaps and Input.HISTORY in honours:
            found["history"] = list(arms.history_replaced(chosen).edits)
        if "attributes" in self.swaps and Input.ATTRIBUTES in honours:
            found["attributes"] = self._strangers(chosen)
        return {swap: edits for swap, edits in found.items() if any(edits)}

    def _strangers(self, context: Context) -> list[tuple[Edit, ...]]:
        """All attributes of another user who differs in as many as possible, the switch left alone."""
        rng = context.rng("fairness", "profiling", "attributes")
        known = [{k: v for k, v in r.user.attributes.items() if k not in (self.set or {})} for r in context.requests]
        edits: list[tuple[Edit, ...]] = []
        for i, mine in enumerate(known):
            order = rng.permutation(len(known)).tolist()
            other = max((known[j] for j in order if j != i), key=lambda them: sum(them[k] != mine.get(k) for k in them))
            names = dict.fromkeys((*mine, *other))
            changed = [n for n in names if mine.get(n) != other.get(n)]
            edits.append(tuple(SetAttribute(name, other.get(name)) for name in changed))
        return edits

    def _grid(self, context: Context, *, switched: bool) -> Grid:
        cases = self._chosen(context).cases
        anchors = [
            Anchor(c.id, apply(self._switch(c.request) if switched else (), c.request), c.unit, c.relevant)
            for c in cases
        ]
        variants = [neutral()]
        for swap, edits in self._possible(context).items():
            by_request = {a.request.digest: e for a, e in zip(anchors, edits, strict=True)}
            variants.append(Variant(swap, "value", _looked_up(by_request), swap))
        return Grid("profiling" if switched else "profiling, ordinary mode", anchors, variants, self.repeats)


def _looked_up(edits: Mapping[str, Sequence[Edit]]) -> Callable[[Request], Sequence[Edit]]:
    return lambda request: edits[request.digest]


def _one_apart(a: Reading, b: Reading) -> float:
    """Distance of two answers; 1 if one of them alone can be read: to refuse one of two people is a difference."""
    if a.valid != b.valid:
        return 1.0
    found = apart(a, b)
    return 1.0 if np.isnan(found) else found


def _distances(readings: Readings, swap: str) -> tuple[list[int], Floats, Floats, int]:
    """Users with an answer, their distance under the swap, that of their repeats, and how many have no answer."""
    anchors, far, floor, lost = [], [], [], 0
    for i, (own, other) in enumerate(zip(readings[NEUTRAL], readings[swap], strict=True)):
        if not any(r.valid for r in (*own, *other)):
            lost += 1
            continue
        anchors.append(i)
        far.append(float(np.mean([_one_apart(x, y) for x in own for y in other])))
        still = [_one_apart(x, y) for j, x in enumerate(own) for y in own[:j] if x.valid or y.valid]
        floor.append(float(np.mean(still)) if still else 0.0)
    return anchors, np.array(far), np.array(floor), lost


def _evidence(readings: Readings, swap: str, anchors: Sequence[int], excess: Floats, sheet: Sheet) -> list[str]:
    """Those whose answers moved most."""
    kept, variant = [], readings.grid.by_id[swap]
    for at in np.argsort(-excess, kind="stable")[: sheet.examples].tolist():
        if excess[at] <= 0:
            break
        anchor = readings.grid.anchors[anchors[at]]
        note = f"the answers lie {excess[at]:.3g} further apart than repeats"
        kept.append(
            sheet.compare(anchor.id, f"With {_TITLES[swap]}", anchor.request, variant.edits(anchor.request), note)
        )
    return kept
