"""Whether a target names the same items when it is asked the same again (after SelfCheckGPT, Manakul et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audit import stats
from audit.findings import Param
from audit.gateway import Ask
from audit.grounding import GroundedList, Grounder, normalise
from audit.modules.base import Context, Output
from audit.modules.free_text import free_text
from audit.modules.hallucination.module import INFO
from audit.modules.report_card import ReportCard
from audit.modules.sheet import Sheet
from audit.types import Answer, Case

PROXY = "consistency is a proxy: a model may repeat the same falsehood, or say true things in many ways"


@dataclass(frozen=True)
class Consistency:
    """Every question is asked once for the answer and `samples` times more for what it is compared with.

    Attributes:
        answers: how many cases are asked.
        instruction: what they are asked; None for the target's own wording.
        samples: how often the question is asked again.
    """

    answers: int = 100
    instruction: str | None = None
    samples: int = 10

    def __post_init__(self) -> None:
        for name in ("answers", "samples"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: {value!r} must be a whole number of at least 1")

    def lacking(self, context: Context) -> str | None:
        """The target must write free text."""
        return None if self._cases(context) else "the target writes no free text"

    def plan(self, context: Context) -> list[Ask]:
        """Every case, and its repeats."""
        return [Ask(case.request, repeat) for case in self._cases(context) for repeat in range(self.samples + 1)]

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask and compare."""
        cases = self._cases(context)
        said = context.gateway.ask(self.plan(context), label="consistency")
        width = self.samples + 1
        groups = [said[start : start + width] for start in range(0, len(said), width)]
        card, output = ReportCard(INFO.id, context.level, INFO.controls), Output()
        params: dict[str, Param] = {"part": "consistency", "samples": self.samples}
        if all(len({answer.text for answer in group}) == 1 for group in groups):
            for metric, title in (("inconsistency", _TITLE), ("consistency_auc", _AUC_TITLE)):
                card.skip(
                    metric, title, "the target gives the same answer each time, so repeats show nothing", **params
                )
            return Output(card.findings)
        read = _read(context, cases, groups)
        _report(read, self.samples, Sheet(context, card, output, examples), params)
        return Output(card.findings, output.evidence, card.values)

    def _cases(self, context: Context) -> Sequence[Case]:
        return free_text(context, self.answers, instruction=self.instruction)


_TITLE = "Items of an answer that are missing when it is asked again"
_AUC_TITLE = "Whether inconsistent items are those that do not exist"


@dataclass(frozen=True)
class _Read:
    """One answer: per item its title, its state, and the share of samples without it."""

    case: Case
    titles: tuple[str, ...]
    states: tuple[str, ...]
    missing: tuple[float, ...]
    outcome: str
    unread: int


def _read(context: Context, cases: Sequence[Case], groups: Sequence[Sequence[Answer]]) -> list[_Read]:
    grounder = Grounder(context.dataset.catalog)
    found = []
    for case, group in zip(cases, groups, strict=True):
        lists = [_ground(grounder, answer, case) for answer in group]
        names = [_names(one) for one in lists]
        own: dict[str, tuple[str, str]] = {}
        for entry, match, name in zip(lists[0].ranked, lists[0].matches, names[0], strict=True):
            own.setdefault(name, (entry.title, match.status))
        others = [set(those) for those in names[1:]]
        found.append(
            _Read(
                case,
                tuple(title for title, _ in own.values()),
                tuple(state for _, state in own.values()),
                tuple(sum(name not in those for those in others) / len(others) for name in own),
                lists[0].outcome,
                sum(one.outcome != "ok" for one in lists[1:]),
            )
        )
    return found


def _ground(grounder: Grounder, answer: Answer, case: Case) -> GroundedList:
    text = answer.text if answer.outcome == "ok" else ""
    return grounder.ground_list(text or "", history=[event.item for event in case.request.user.history])


def _names(one: GroundedList) -> list[str]:
    """What an entry is known by in all answers: its item, else its title without the ways to write it."""
    return [
        f"id:{entry.item_id}" if entry.item_id is not None else f"title:{normalise(entry.title).text}"
        for entry in one.ranked
    ]


def _report(read: Sequence[_Read], samples: int, sheet: Sheet, params: Mapping[str, Param]) -> None:
    context, card = sheet.context, sheet.card
    unread = sum(one.unread for one in read)
    empty = sum(not one.titles for one in read)
    note = (
        f"{sum(len(one.titles) for one in read)} items of {len(read)} answers; {empty} answers without a list; "
        f"{unread} of {len(read) * samples} samples without a list count as samples without the item; {PROXY}"
    )
    listed = [one for one in read if one.titles]
    if len(listed) < 2:
        for metric, title in (("inconsistency", _TITLE), ("consistency_auc", _AUC_TITLE)):
            card.skip(metric, title, f"{len(listed)} of {len(read)} answers hold a list, and 2 are needed", **params)
        return
    means = {one.case.id: float(np.mean(one.missing)) for one in listed}
    interval = stats.mean_interval(
        list(means.values()),
        rng=context.rng("hallucination", "consistency"),
        level=context.level,
        resamples=card.resamples,
        bounds=(0.0, 1.0),
    )
    worst = sorted(listed, key=lambda one: -means[one.case.id])[: sheet.examples]
    shown = [
        sheet.show(
            one.case.id,
            "Named once, and not again",
            one.case.request,
            "; ".join(f"{t}: missing in {m:.0%} of samples" for t, m in zip(one.titles, one.missing, strict=True)),
        )
        for one in worst
    ]
    card.add(
        "inconsistency", _TITLE, interval, n=len(listed), direction="higher_is_worse", params=params, unit="answer",
        note=note, evidence=shown, values=means,
    )  # fmt: skip
    # Whether an ambiguous title exists is not known, so it has no label.
    rows = [
        (missing, state == "absent", number)
        for number, one in enumerate(listed)
        for missing, state in zip(one.missing, one.states, strict=True)
        if state != "ambiguous"
    ]
    absent = sum(label for _, label, _ in rows)
    if absent in (0, len(rows)) or len({number for *_, number in rows}) < 2:
        reason = f"{absent} of {len(rows)} items are not in the catalogue; both kinds are needed to tell them apart"
        card.skip("consistency_auc", _AUC_TITLE, reason, **params)
        return
    scores, labels, units = zip(*rows, strict=True)
    try:
        interval = stats.auc_interval(
            scores, [int(label) for label in labels], units,
            rng=context.rng("hallucination", "consistency", "auc"), level=context.level, resamples=card.resamples,
        )  # fmt: skip
    except ValueError as error:
        card.skip("consistency_auc", _AUC_TITLE, f"too few answers hold both kinds of items: {error}", **params)
        return
    card.add(
        "consistency_auc", _AUC_TITLE, interval, n=len(set(units)), direction="neither", params=params, unit="answer",
        note=f"{absent} of {len(rows)} items are not in the catalogue; .5 tells nothing; {PROXY}",
    )  # fmt: skip
