"""All scores of membership of all rows, once per run: membership and lower bounds read the same table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audit.errors import ConfigError, DataError
from audit.gateway import Ask
from audit.modules.base import Context
from audit.modules.privacy import scores
from audit.modules.privacy import shadows as models
from audit.modules.privacy.blind import by_words
from audit.modules.privacy.known import Split, check_members, masked, split_of, unknown
from audit.modules.privacy.rows import Peers, Question, Shape, draw_questions
from audit.modules.privacy.signals import KINDS, Kind, Source, asks, continuations, kind_of, read, read_sharply
from audit.target import Adapted, Recommender
from audit.types import canonical_json

Floats = npt.NDArray[np.float64]
FEWEST = 8
"""Users of each side: four to choose a threshold on, four to judge it."""
PLAIN = {"logprobs": "loss", "scores": "loss", "ranks": "rank"}
"""What the plain score is called, by signal."""


@dataclass(frozen=True)
class Table:
    """Scores by row.

    Attributes:
        units: whose row it is, masked.
        members: 1 or 0 per row.
        found: by score, one number per row, NaN where it has none.
        blind: the same of the base model, which never saw the target's training.
        words: AUC over users of a classifier of items and words, which never saw the target: (estimate, low, high, n);
            None where there were too few users to fit one.
        signal: what they were read from.
        lost: rows that the target gave nothing readable for.
        notes: in sentences.
    """

    units: tuple[str, ...]
    members: Floats
    found: Mapping[str, Floats]
    blind: Mapping[str, Floats]
    words: tuple[float, float, float, int] | None
    signal: str
    lost: int = 0
    notes: tuple[str, ...] = ()

    def by_user(self, values: Floats) -> dict[str, tuple[float, float]]:
        """By unit whether it is a member, and the mean of its rows; units without any are left out."""
        found: dict[str, tuple[float, list[float]]] = {}
        for unit, member, value in zip(self.units, self.members.tolist(), values.tolist(), strict=True):
            if value == value:
                found.setdefault(unit, (member, []))[1].append(value)
        return {unit: (member, float(np.mean(rows))) for unit, (member, rows) in found.items()}

    def sides(self, values: Floats) -> tuple[dict[str, float], dict[str, float]]:
        """Means of members and of others, by unit."""
        users = self.by_user(values)
        return (
            {unit: value for unit, (member, value) in users.items() if member},
            {unit: value for unit, (member, value) in users.items() if not member},
        )


@dataclass(frozen=True)
class Asking:
    """What membership and lower bounds are read from; parts with the same settings share one table.

    Attributes:
        members: who was trained on: a file or a folder with `members.json`; None for what the target itself says.
        signal: `logprobs` of the next item's title, `scores` of yes/no targets, `ranks` among as popular items; `auto`
            for the most telling that the target has.
        rows: the most rows of one user, the latest; as many as the training used, if that is known.
        history: the most events in a history.
        users: the most users of each side, 0 for all.
        neighbours: versions of each history with one item exchanged, for the score `neighbourhood`; 0 leaves it out.
        candidates: items that an item stands among, for `ranks`.
        reference: a target block of a model that was not trained on these people; None for the base model of the
            target's adapter, where there is one.
        shadows: for the score `lira`: how many models to train on halves of the people (even, at least 4), or folders
            of adapters with their `members.json`; 0 leaves it out.
    """

    members: str | None = None
    signal: str = "auto"
    rows: int = 8
    history: int = 10
    users: int = 0
    neighbours: int = 2
    candidates: int = 20
    reference: Mapping[str, Any] | None = field(default=None, hash=False)
    shadows: int | Sequence[str] = 0

    def __post_init__(self) -> None:
        check_members(self.members)
        if self.signal not in ("auto", *KINDS):
            raise ValueError(f"signal: {self.signal!r} must be auto, {', '.join(KINDS)}")
        least = {"rows": 1, "history": 1, "users": 0, "neighbours": 0, "candidates": 2}
        for name, lowest in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
                raise ValueError(f"{name}: {value!r} must be a whole number of at least {lowest}")
        if 0 < self.users < FEWEST:
            raise ValueError(f"users: {self.users} must be at least {FEWEST} of each side, or 0 for all")
        if self.reference is not None and (not isinstance(self.reference, Mapping) or "kind" not in self.reference):
            raise ValueError(f"reference: {self.reference!r} must be a target block, such as {{kind: hf, model: …}}")
        many = self.shadows
        if isinstance(many, int):
            if isinstance(many, bool) or many < 0 or many % 2 or many == 2:
                raise ValueError(f"shadows: {many!r} must be 0 or an even number of at least 4; halves come in pairs")
        elif isinstance(many, str) or not all(isinstance(folder, str) for folder in many) or len(many) < 4:
            raise ValueError(f"shadows: {many!r} must be a number, or at least 4 folders of adapters")

    def lacking(self, context: Context) -> str | None:
        """Members must be known, and the target must give something about a row."""
        if reason := unknown(context, self.members, fewest=FEWEST):
            return reason
        if kind_of(context, self.signal) is None:
            if self.signal == "auto":
                return "the target gives no log-probabilities or scores, and ranks nothing, so a row tells nothing"
            return f"the signal {self.signal!r} cannot be had of this target and task; signal: auto takes what there is"
        try:
            sides = [q.member for q in {q.user: q for q in self._questions(context)}.values()]
        except DataError as error:
            return f"the log has no such rows ({error})"
        if min(sum(sides), len(sides) - sum(sides)) < FEWEST:
            return (
                f"{sum(sides)} members and {len(sides) - sum(sides)} others have rows long enough to be asked about "
                f"(history: {self.history}), and {FEWEST} of each are needed"
            )
        return None

    def plan(self, context: Context) -> list[Ask]:
        """Every row, and its neighbours."""
        kind = kind_of(context, self.signal)
        if kind is None:
            return []
        source, questions = Source.audited(context, ""), self._questions(context)
        near = [ask for group in self._neighbours(context, questions) for ask in asks(source, kind, group)]
        return [*asks(source, kind, questions, sharp=True), *near]

    def table(self, context: Context) -> Table:
        """The scores; kept for the run, so that they are computed once."""
        questions = self._questions(context)
        settings = {f.name: getattr(self, f.name) for f in fields(Asking)}
        told = canonical_json([settings, context.level, context.gateway.key(Ask(questions[0].request))])
        name = f"privacy/rows/{hashlib.sha256(told.encode()).hexdigest()[:24]}"
        kept = context.gateway.recall(name)
        if kept is None:
            kept = _measured(self, context, questions)
            context.gateway.keep(name, kept)
        return _from_json(kept)

    def _split(self, context: Context) -> Split:
        split = split_of(context, self.members)
        if split is None:
            raise ConfigError("modules.privacy.members: nobody says who was trained on")
        return split

    def _questions(self, context: Context) -> list[Question]:
        kind = kind_of(context, self.signal)
        shape = Shape(context.task, self.rows, self.history, self.users, self.candidates)
        return draw_questions(context, self._split(context), shape, ranked=kind == "ranks")

    def _neighbours(self, context: Context, questions: Sequence[Question]) -> list[list[Question]]:
        if not self.neighbours:
            return []
        peers, rng = Peers(context.dataset), context.rng("privacy", "membership", "neighbours")
        return [[peers.swapped(question, rng) for question in questions] for _ in range(self.neighbours)]

    def _base(self, context: Context) -> Recommender | None:
        if self.reference is not None:
            from audit.config import TargetConfig
            from audit.targets.build import build

            return build(TargetConfig(**self.reference), context.dataset, Path.cwd())
        target = context.gateway.target
        return target.with_adapter(None) if isinstance(target, Adapted) else None

    def _shadows(self, context: Context) -> Iterator[models.Shadow] | None:
        if isinstance(self.shadows, int):
            return models.trained(context, self._split(context), self.shadows) if self.shadows else None
        return models.loaded(context, self.shadows)


def _measured(asking: Asking, context: Context, questions: Sequence[Question]) -> dict[str, Any]:
    kind = kind_of(context, asking.signal)
    if kind is None:
        raise ConfigError("modules.privacy.membership: the target gives nothing about a row")
    source = Source.audited(context, "Rows of members and others")
    own, sharp = read_sharply(source, kind, questions)
    near = [read(source, kind, group) for group in asking._neighbours(context, questions)]
    texts = continuations(source.target, questions) if kind == "logprobs" else None
    base = asking._base(context)
    # In the same way as the target: two ways of reading one model differ in their last digits, and would be a score.
    bare = read_sharply(Source.beside(base), kind, questions)[0] if base is not None else None
    # One model at a time: each may fill the memory.
    del base
    twins = asking._shadows(context)
    odds = None if twins is None else models.lira(context, kind, twins, questions, own)
    popularity = context.dataset.popularity
    words = by_words(questions, popularity, context.rng("privacy", "membership", "blind"), level=context.level)
    rows: list[dict[str, Any]] = []
    lost = 0
    for i, question in enumerate(questions):
        for n in range(len(question.items)):
            tokens = own[i][n]
            if tokens is None:
                lost += 1
                continue
            others = [group[i][n] for group in near]
            reference = None if bare is None else bare[i][n]
            row: dict[str, float | None] = _row(kind, tokens, [t for t in others if t is not None], reference)
            if texts is not None:
                row["zlib"] = scores.zlib(tokens, texts[i])
            if sharp is not None:
                one = sharp[i]
                row["min_k_pp"] = None if one is None else scores.min_k_pp(one)
            if odds is not None:
                row["lira"] = odds[i][n]
            blind = {"base": None if reference is None else scores.loss(reference)}
            rows.append({"unit": masked(question.user), "member": int(question.member), "found": row, "blind": blind})
    area = None
    if words is not None:
        area = [words.interval.estimate, words.interval.low, words.interval.high, len(words.predictions)]
    return {
        "rows": rows,
        "words": area,
        "signal": kind,
        "lost": lost,
        "notes": _notes(asking, context),
    }


def _row(kind: Kind, tokens: Floats, near: list[Floats], base: Floats | None) -> dict[str, float | None]:
    row: dict[str, float | None] = {PLAIN[kind]: scores.loss(tokens)}
    if kind == "logprobs":
        row["min_k"] = scores.min_k(tokens)
    if near:
        row["neighbourhood"] = scores.neighbourhood(tokens, near)
    if base is not None:
        row["reference"] = scores.reference(tokens, base)
    return row


def _notes(asking: Asking, context: Context) -> list[str]:
    split = asking._split(context)
    missing = split.missing
    return [f"{missing} users of the list have no interactions in the data set"] if missing else []


def _from_json(kept: Mapping[str, Any]) -> Table:
    rows = kept["rows"]

    def columns(part: str) -> dict[str, Floats]:
        names = dict.fromkeys(name for row in rows for name, value in row[part].items() if value is not None)
        given = {name: [row[part].get(name) for row in rows] for name in names}
        return {n: np.array([np.nan if v is None else v for v in values]) for n, values in given.items()}

    return Table(
        units=tuple(row["unit"] for row in rows),
        members=np.array([float(row["member"]) for row in rows]),
        found=columns("found"),
        blind=columns("blind"),
        words=None if kept["words"] is None else tuple(kept["words"]),
        signal=kept["signal"],
        lost=kept["lost"],
        notes=tuple(kept["notes"]),
    )
