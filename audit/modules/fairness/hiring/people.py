"""Applications, read out of the run's answers: who was considered, for what, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from audit.modules.base import Context
from audit.modules.fairness.hiring.table import BOTH, UNKNOWN, known
from audit.types import Answer, Attributes, AttributeValue, Case

_COLUMNS = ("person", "case", "sex", "race", "selected", "score")


@dataclass(frozen=True)
class Applications:
    """What the answers say of people.

    Attributes:
        frame: one row per application: `person`, `case` (index), `sex`, `race`, `selected`, `score` (NaN if none).
        cases: of the run.
        attributes: of sex and race, those that can be compared.
        missing: why the others cannot, by name.
        selecting: whether there are selections.
        scoring: whether there are scores.
        why_not: if there is neither, why.
        note: what was left out or counted as not selected.
        unnamed: by attribute, the values that `categories` does not name.
    """

    frame: pd.DataFrame
    cases: Sequence[Case]
    attributes: tuple[str, ...]
    missing: Mapping[str, str]
    selecting: bool
    scoring: bool
    why_not: str = ""
    note: str = ""
    unnamed: Mapping[str, str] = field(default_factory=dict)

    def telling(self, table: str, group: str, best: str, rate: str) -> list[tuple[Case, str]]:
        """Cases in which the group fares worst beside the best one, with what happened there."""
        frame = self.frame
        if table == BOTH:
            labels = frame["sex"] + ", " + frame["race"]
        else:
            labels = frame[table]
        if rate == "scoring":
            won = frame["score"] > np.nanmedian(frame["score"])
        else:
            won = frame["selected"]
        counted = (
            pd.DataFrame({"case": frame["case"], "own": labels == group, "top": labels == best, "won": won})
            .assign(own_won=lambda f: f["own"] & f["won"], top_won=lambda f: f["top"] & f["won"])
            .groupby("case")[["own", "top", "own_won", "top_won"]]
            .sum()
        )
        counted = counted[counted["own"] > 0]
        counted = counted.assign(lost=1.0 - counted["own_won"] / counted["own"]).reset_index()
        counted = counted[counted["lost"] > 0].sort_values("lost", ascending=False, kind="stable")
        told = []
        for row in counted.to_dict("records"):
            note = f"{row['own_won']:.0f} of {row['own']:.0f} of {group}"
            note += f", {row['top_won']:.0f} of {row['top']:.0f} of {best}" if row["top"] else ""
            told.append((self.cases[int(row["case"])], note))
        return told


def applications(
    context: Context,
    answers: Sequence[Answer],
    *,
    of_users: bool,
    columns: Mapping[str, str],
    categories: Mapping[str, Mapping[str, str]],
    selected: Mapping[str, float] | None,
) -> Applications:
    """Gather the applications.

    Where items are people, a request without a readable answer considered nobody and is left out, and counted. Where
    users are people, it is their own: they were not selected and have no score.

    Args:
        context: of the run.
        answers: to its clean requests.
        of_users: whether the users are the people; otherwise the items are.
        columns: names of the columns of `sex` and `race`.
        categories: see `Hiring`.
        selected: see `Hiring`.
    """
    rows: list[tuple[str, int, bool, float]] = []
    invalid = 0
    for at, (case, answer) in enumerate(zip(context.cases, answers, strict=True)):
        readable = answer.outcome == "ok" and bool(answer.ranked)
        invalid += not readable
        if of_users:
            rows += _of_user(case, at, answer if readable else None, selected)
        elif readable:
            rows += _of_items(case, at, answer, selected, context)
    frame = pd.DataFrame(rows, columns=["person", "case", "selected", "score"])
    facts: Mapping[str, Attributes] = (
        context.dataset.users if of_users else {i.id: i.attributes for i in context.dataset.catalog.values()}
    )
    attributes, missing, unnamed = [], {}, {}
    for name, column in columns.items():
        values = {p: facts.get(p, {}).get(column) for p in dict.fromkeys(frame["person"])}
        labels, odd = _categories(values, categories.get(name))
        frame[name] = [labels[p] for p in frame["person"]]
        if odd:
            unnamed[name] = f"values that categories does not name: {', '.join(odd[:5])}"
        found = sorted(set(labels.values()) - {UNKNOWN})
        if len(found) > 1:
            attributes.append(name)
        elif not any(column in one for one in facts.values()):
            missing[name] = f"the people have no column {column!r}"
        else:
            missing[name] = (
                f"everybody whose {name} is known has the value {found[0]!r}"
                if found
                else (f"nobody's {name} is known")
            )
    return Applications(
        frame=frame[list(_COLUMNS)],
        cases=context.cases,
        attributes=tuple(attributes),
        missing=missing,
        selecting=(selected is not None and ("top" in selected or _scored(frame))) or _lists(context, selected),
        scoring=_scored(frame),
        why_not=_why_not(frame, selected),
        note=_note(invalid, of_users),
        unnamed=unnamed,
    )


def _lists(context: Context, selected: Mapping[str, float] | None) -> bool:
    return selected is None and context.task == "rank"


def _scored(frame: pd.DataFrame) -> bool:
    """Whether there are scores; a request has them where everybody on offer has one."""
    return bool(len(frame)) and bool(frame["score"].notna().any())


def _why_not(frame: pd.DataFrame, selected: Mapping[str, float] | None) -> str:
    if frame.empty:
        return "no request has a readable answer"
    if selected is not None and "score_above" in selected and not _scored(frame):
        return "selected: score_above needs scores, and the answers hold none"
    return ""


def _note(invalid: int, of_users: bool) -> str:
    if not invalid:
        return ""
    if of_users:
        return f"{invalid} people got no readable answer: they count as not selected and not above the median"
    return f"{invalid} requests without a readable answer considered nobody and are left out"


def _of_user(
    case: Case, at: int, answer: Answer | None, selected: Mapping[str, float] | None
) -> list[tuple[str, int, bool, float]]:
    """One application per candidate that the user is scored for."""
    given = {} if answer is None else {r.item_id: r.score for r in answer.ranked if r.score is not None}
    found = []
    for item in case.request.candidates or ():
        score = given.get(item.id)
        found.append((case.unit, at, _above(score, selected), np.nan if score is None else float(score)))
    return found


def _of_items(
    case: Case, at: int, answer: Answer, selected: Mapping[str, float] | None, context: Context
) -> list[tuple[str, int, bool, float]]:
    """One application per person on offer."""
    pool = (
        [i.id for i in case.request.candidates]
        if case.request.candidates is not None
        else list(context.dataset.catalog)
    )
    scores = {r.item_id: float(r.score) for r in answer.ranked if r.score is not None}
    listed = list(dict.fromkeys(i for i in answer.ids if i is not None))
    if case.request.task == "score":
        listed = sorted((p for p in pool if p in scores), key=lambda p: -scores[p])  # ties keep the candidates' order
    complete = all(p in scores for p in pool)
    if selected is not None and "top" in selected:
        chosen = set(listed[: int(selected["top"])])
    elif selected is not None:
        chosen = {p for p in pool if _above(scores.get(p), selected)}
    else:
        chosen = set(listed[: case.request.k]) if case.request.task == "rank" else set()
    return [(p, at, p in chosen, scores[p] if complete else np.nan) for p in pool]


def _above(score: float | None, selected: Mapping[str, float] | None) -> bool:
    return score is not None and selected is not None and score > selected.get("score_above", np.inf)


def _categories(
    values: Mapping[str, AttributeValue | None], names: Mapping[str, str] | None
) -> tuple[dict[str, str], list[str]]:
    """Each person's category, and the values that are not among the named ones."""
    labels, odd = {}, set()
    for person, value in values.items():
        text = known(" and ".join(value) if isinstance(value, tuple) else value)
        if names is not None and text != UNKNOWN:
            if text not in names:
                odd.add(text)
            text = known(names.get(text))
        labels[person] = text
    return labels, sorted(odd)
