"""Counterfactual marginalisation: the target is asked as if the user were everybody, and the answers are joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from audit.defense import Defended, DefenseInfo
from audit.edits import SetAttribute, Zone, apply
from audit.errors import ConfigError
from audit.target import Input, Recommender
from audit.types import Answer, AttributeValue, Ranked, Request, Usage

_OFFSET = 60
"""Of reciprocal rank fusion (Cormack, Clarke & Büttcher, SIGIR 2009)."""

GENDERS: Mapping[str, Sequence[AttributeValue]] = MappingProxyType({"gender": ("female", "male", "non-binary")})
"""What is asked for unless attributes are named."""


class Marginalise:
    """Asks the target once for every value of the named attributes, and joins what comes back.

    Lists are joined by reciprocal rank fusion, Σ 1 / (60 + rank); scores are averaged. Whatever the user's own value
    is, the same questions are asked: the answer cannot depend on it. So it is invariant to these attributes by
    construction, and loses whatever was good about knowing them.

    Args:
        attributes: values by attribute of the user; with several attributes every combination is asked.
        neutral: whether the request without any of them is asked too.

    Raises:
        ConfigError: an option that cannot be used.
    """

    def __init__(
        self,
        *,
        attributes: Mapping[str, Sequence[AttributeValue]] = GENDERS,
        neutral: bool = False,
    ) -> None:
        where = "defenses.marginalise.attributes"
        if not isinstance(attributes, Mapping) or not attributes:
            raise ConfigError(f"{where}: name attributes with their values, as in {{gender: [female, male]}}")
        for name, values in attributes.items():
            if isinstance(values, str) or len(set(values)) < 2:
                raise ConfigError(f"{where}.{name}: {values!r} must be a list of at least two values")
        self.attributes = {name: tuple(values) for name, values in attributes.items()}
        self.neutral = neutral

    @property
    def combinations(self) -> list[tuple[tuple[str, AttributeValue | None], ...]]:
        """What the user is said to be, one entry per question."""
        found: list[tuple[tuple[str, AttributeValue | None], ...]] = [()]
        for name, values in self.attributes.items():
            found = [(*before, (name, value)) for before in found for value in values]
        return [tuple((name, None) for name in self.attributes), *found] if self.neutral else found

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="marginalise",
            title="Averaged over values",
            why="An answer that was asked for everybody cannot depend on who asks.",
            reference="Counterfactual fairness, Kusner et al., NeurIPS 2017 (arXiv 1703.06856); reciprocal rank "
            "fusion, Cormack et al., SIGIR 2009",
            family="output",
            guards=frozenset({Zone.USER}),
            calls=float(len(self.combinations)),
            needs=frozenset({Input.ATTRIBUTES}),
            tasks=("rank", "score"),
            limits="Attributes that are not named, statements in the user's own words, and proxies in the history.",
            controls=("eu-ai-act:2024:art10",),
        )

    def protect(self, target: Recommender) -> Marginalised:
        """The target, asked for everybody."""
        return Marginalised(target, self)


class Marginalised(Defended):
    """A target whose answers are joined over values of attributes."""

    def __init__(self, target: Recommender, defense: Marginalise) -> None:
        options = {"attributes": {n: list(v) for n, v in defense.attributes.items()}, "neutral": defense.neutral}
        super().__init__(target, defense.info, options)
        self._combinations = defense.combinations

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> Sequence[Answer]:
        """Ask for every value, and join."""
        asked = [
            apply([SetAttribute(name, value) for name, value in said], request)
            for request in requests
            for said in self._combinations
        ]
        width = len(self._combinations)
        answers = self.ask(asked, [draw for draw in draws for _ in range(width)])
        return [joined(request, answers[i * width : (i + 1) * width]) for i, request in enumerate(requests)]


def joined(request: Request, answers: Sequence[Answer]) -> Answer:
    """One answer from several to forms of one request; what cannot be read is left out, unless nothing can."""
    usage = sum((answer.usage for answer in answers), Usage())
    readable = [answer for answer in answers if answer.outcome == "ok"]
    if len(readable) * 2 <= len(answers):
        failed = next((a for a in answers if a.outcome != "ok"), answers[0])
        return replace(failed, usage=usage)
    if request.task == "score":
        return replace(_mean(request, readable), usage=usage)
    points: dict[tuple[str | None, str], float] = {}
    entries: dict[tuple[str | None, str], Ranked] = {}
    for answer in readable:
        for rank, entry in enumerate(answer.ranked, 1):
            key = (entry.item_id, "" if entry.item_id is not None else entry.title)
            points[key] = points.get(key, 0.0) + 1.0 / (_OFFSET + rank)
            entries.setdefault(key, entry)
    # Ties stand in the order of the ids, not of the questions, so that no value of an attribute comes first.
    order = sorted(points, key=lambda key: (-points[key], key[0] or "", key[1]))[: request.k]
    return Answer(tuple(replace(entries[key], score=None) for key in order), usage=usage)


def _mean(request: Request, answers: Sequence[Answer]) -> Answer:
    ranked = []
    for item in request.candidates or ():
        given = [e.score for a in answers for e in a.ranked if e.item_id == item.id and e.score is not None]
        ranked.append(Ranked(item.id, item.title, sum(given) / len(given) if given else None))
    return Answer(tuple(ranked))
