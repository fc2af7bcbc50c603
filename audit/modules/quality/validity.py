"""Can the answers be read at all? Every way in which they cannot is counted apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from audit import stats
from audit.grounding import tally
from audit.modules.quality.sheet import QualitySheet
from audit.types import Answer, Case, Task


@dataclass(frozen=True)
class Share:
    """One count of a `Tally` as a rate.

    Attributes:
        metric: name of the rate.
        count: field of the tally.
        of: what it is a share of.
        title: for a report.
    """

    metric: str
    count: str
    of: Literal["answers", "entries"]
    title: str


SHARES: tuple[Share, ...] = (
    Share("unparsable_rate", "unparsable", "answers", "Answers that hold no readable list"),
    Share("refused_rate", "refused", "answers", "Refusals"),
    Share("error_rate", "errors", "answers", "Answers that failed"),
    Share("too_few_rate", "too_few", "answers", "Answers shorter than asked for"),
    Share("too_many_rate", "too_many", "answers", "Answers longer than asked for"),
    Share("absent_rate", "absent", "entries", "Recommended titles that are not in the catalogue"),
    Share("duplicate_rate", "duplicates", "entries", "Entries that repeat an earlier one"),
    Share("history_repeat_rate", "history_repeats", "entries", "Recommended items the user already has"),
    Share("outside_candidates_rate", "outside_candidates", "entries", "Recommended items that were not candidates"),
)


def judge(sheet: QualitySheet, cases: Sequence[Case], answers: Sequence[Answer], task: Task) -> None:
    """Report every rate for the answers to one task."""
    context, card = sheet.context, sheet.card
    counted = [
        tally(answer, case.request, context.dataset.catalog) for case, answer in zip(cases, answers, strict=True)
    ]
    for share in SHARES:
        if share.count == "outside_candidates" and cases[0].request.candidates is None:
            continue
        title = f"{share.title} (free text)" if task == "answer" else share.title
        hits = [int(getattr(t, share.count)) for t in counted]
        trials = [int(getattr(t, share.of)) for t in counted]
        if sum(trials) == 0:
            card.skip(share.metric, title, "no answer held an entry", task=task)
            continue
        worst = sorted((i for i, h in enumerate(hits) if h), key=lambda i: (-hits[i], i))[: sheet.examples]
        card.add(
            share.metric,
            title,
            stats.cluster_rate(hits, trials, rng=context.rng("quality", task, share.metric), level=card.level),
            n=len(cases),
            direction="higher_is_worse",
            params={"task": task},
            note=f"{sum(hits)} of {sum(trials)} {share.of}",
            evidence=[
                sheet.show(cases[i].id, share.title, cases[i].request, f"{hits[i]} of {trials[i]} {share.of}")
                for i in worst
            ],
        )
