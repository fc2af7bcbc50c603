"""Shadow models for offline LiRA: twins of the target, each trained on a known half of the same people.

Source: Carlini et al., "Membership Inference Attacks From First Principles", S&P 2022. Offline: of each row only the
shadows that were not trained on it are asked, so that no shadow has to be trained for a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audit.errors import ConfigError
from audit.guarantee import Members
from audit.modules.base import Context
from audit.modules.privacy import scores
from audit.modules.privacy.known import Split
from audit.modules.privacy.rows import Question
from audit.modules.privacy.signals import Kind, Source, read
from audit.target import Adapted, Recommender, Retrains

Floats = npt.NDArray[np.float64]
FEWEST = 2
"""Shadows that a row needs: a mean of one is no distribution."""


@dataclass(frozen=True)
class Shadow:
    """A model, and who was in its training."""

    target: Recommender
    inside: frozenset[str]


def lira(
    context: Context,
    kind: Kind,
    shadows: Iterator[Shadow],
    questions: Sequence[Question],
    own: Sequence[Sequence[Floats | None]],
) -> list[list[float | None]]:
    """Offline LiRA of each row; None for rows with fewer than two shadows that were not trained on them.

    Args:
        context: what is audited.
        kind: of signal.
        shadows: built one at a time.
        questions: the rows.
        own: what the target gave.
    """
    chance = kind == "scores"
    found: dict[tuple[int, int], list[float]] = {}
    for shadow in shadows:
        chosen = [i for i, question in enumerate(questions) if question.user not in shadow.inside]
        given = read(Source.beside(shadow.target), kind, [questions[i] for i in chosen])
        for i, row in zip(chosen, given, strict=True):
            for n, tokens in enumerate(row):
                if tokens is not None:
                    found.setdefault((i, n), []).append(scores.confidence(tokens, chance=chance))
    spread = _spread(list(found.values()))
    result: list[list[float | None]] = []
    for i, mine_of in enumerate(own):
        result.append([])
        for n, tokens in enumerate(mine_of):
            outside = found.get((i, n), [])
            able = tokens is not None and len(outside) >= FEWEST
            mine = scores.confidence(tokens, chance=chance) if tokens is not None else 0.0
            result[-1].append(scores.offline_lira(mine, np.array(outside), spread) if able else None)
    return result


def trained(context: Context, split: Split, count: int) -> Iterator[Shadow]:
    """Twins trained on random halves of the people of the split, in pairs of a half and its complement.

    So each row has exactly half of the twins that were not trained on it.

    Raises:
        ConfigError: the target cannot be trained.
    """
    target = context.gateway.target
    if not isinstance(target, Retrains):
        raise ConfigError(
            f"modules.privacy.membership.shadows: {count} models cannot be trained, for the target offers no training; "
            "name folders of adapters instead"
        )
    people = [*split.inside, *split.outside]
    rng = context.rng("privacy", "membership", "shadows")
    everybody = set(context.dataset.user_ids)
    for _ in range((count + 1) // 2):
        order = rng.permutation(len(people))
        for part in (order[: len(people) // 2], order[len(people) // 2 :]):
            inside = frozenset(people[i] for i in part)
            yield Shadow(target.retrain(context.dataset.without_users(everybody - inside)), inside)


def loaded(context: Context, folders: Sequence[str]) -> Iterator[Shadow]:
    """The target with the adapter of each folder, whose `members.json` says who was in its training.

    Raises:
        ConfigError: the target has no adapter, or a folder lacks its list.
    """
    target = context.gateway.target
    for folder in folders:
        members = Members.read(Path(folder))
        if members is None:
            raise ConfigError(f"modules.privacy.membership.shadows: {folder!r} holds no members.json; train it so")
        model = target.with_adapter(Path(folder)) if isinstance(target, Adapted) else None
        if model is None:
            raise ConfigError(
                "modules.privacy.membership.shadows: the target has no adapter to be exchanged; give a number instead "
                "where it can be trained"
            )
        yield Shadow(model, members.inside)


def _spread(groups: Sequence[Sequence[float]]) -> float:
    """One σ for all rows, about the mean of each."""
    enough = [np.asarray(group) for group in groups if len(group) >= FEWEST]
    if not enough:
        return 1.0
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in enough)
    return float(np.sqrt(squares / sum(len(group) - 1 for group in enough)))
