"""RL: a policy over places and contents, trained by PPO on the target's feedback."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np

from attacks.places import Place, title_words
from attacks.positioning import Kinds, check_kinds, places
from attacks.rivals.insertions import Draft, Insertion, Stock, check_counts, declared, written
from attacks.rivals.policy import Choices, Learner, hashed_item, hashed_word, place_features
from audit.attack import AttackInfo, Attempt, Campaign, Job, Probe, Search, Steps
from audit.attack.feedback import UNREADABLE
from audit.types import Item

_IDLE = 3
"""So many batches without a new question end the search: the policy draws what it drew before."""


@dataclass(frozen=True)
class PPO(Search):
    """Learn which words and items to insert where, by proximal policy optimisation.

    An action is Δ insertions, each a place and a content, drawn with replacement (an item drawn twice is inserted
    once). The loss of the edited request is its reward; the batch of one round is its own baseline.

    Attributes:
        edits: insert words, items, or both.
        delta: insertions per action (Δ of the paper, 3 there).
        shared: one policy for all users of a run, instead of a fresh one for each. The users of a group learn
            together, a later group starts with what the earlier ones learned. A run that goes on after an interruption
            asks for the earlier users again, whose answers the store still has.
        batch: actions per update.
        epochs: most passes over a batch.
        clip: ε of the clipped objective.
        rate: step of Adam.
        entropy: weight of the entropy bonus.
        stop: passes over a batch end when the policy has moved so far from the one that drew it, in nats of KL.
    """

    edits: Kinds = "both"
    delta: int = 3
    shared: bool = False
    batch: int = 5
    epochs: int = 4
    clip: float = 0.2
    rate: float = 0.3
    entropy: float = 0.05
    stop: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kinds(self.edits, "paper")
        check_counts(delta=self.delta, batch=self.batch, epochs=self.epochs)
        for name in ("clip", "rate", "stop"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: {getattr(self, name)} must be above 0")
        if self.entropy < 0:
            raise ValueError(f"entropy: {self.entropy} must be at least 0")

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return declared(
            "rl-ppo",
            "A policy learned by reinforcement (RL, PPO)",
            "Whoever can watch many lists can let a machine learn what turns them, without knowing why it does.",
            baseline="RL",
            more="; PPO of Schulman et al., 2017 (arXiv 1707.06347)",
            delta=self.delta,
        )

    @cached_property
    def _words(self) -> list[str]:
        return title_words(self.catalog.items_in_order)

    @cached_property
    def _word_features(self) -> np.ndarray:
        return np.stack([hashed_word(word) for word in self._words]) if self._words else np.zeros((0, 1))

    @cached_property
    def _item_features(self) -> dict[str, np.ndarray]:
        return {item.id: hashed_item(item) for item in self.catalog.items_in_order}

    @cached_property
    def _learner(self) -> Learner:
        return Learner(clip=self.clip, rate=self.rate, entropy=self.entropy, stop=self.stop, epochs=self.epochs)

    def campaign(self, plan: Campaign) -> Iterator[Attempt]:
        """Attack each request; see `Search.campaign`. A shared policy must meet the users from the first one on."""
        fresh = replace(self)  # what an earlier run has learned stays behind
        again = plan.skip if self.shared else 0
        attempts = super(PPO, fresh).campaign(replace(plan, skip=plan.skip - again))
        yield from islice(attempts, again, None)

    def search(self, probe: Probe) -> Steps:
        """Draw a batch, ask, learn; until the budget is spent."""
        rng, request = probe.rng, probe.request
        stock = Stock.of(probe, self.catalog, self._words)
        kinds = stock.kinds(self.edits)
        where = places(request, probe.info, kinds) if kinds else []
        if not where:
            return ()
        choices = Choices(
            place_features(where, request),
            np.array([place.kind == "item" for place in where]),
            self._word_features,
            np.stack([self._item_features[item.id] for item in stock.items]) if stock.items else np.zeros((0, 1)),
        )
        learner = self._learner if self.shared else replace(self)._learner
        if probe.left < 1:
            (action,) = learner.draw(choices, self.delta, 1, rng).actions
            return written(_draft(action, where, stock), request)
        idle = 0
        while probe.left and idle < _IDLE:
            spent = probe.spent
            rollouts = learner.draw(choices, self.delta, min(self.batch, probe.left), rng)
            drafts = [_draft(action, where, stock) for action in rollouts.actions]
            losses = yield [written(draft, request) for draft in drafts]
            idle = idle + 1 if probe.spent == spent else 0
            if probe.left:
                # Users with one policy between them learn from one batch.
                yield Job(learner, rollouts.rewarded(_rewards(losses)))
        return None


def _rewards(losses: Sequence[float]) -> np.ndarray:
    """The losses, where an answer that cannot be read is worth as little as the worst that can."""
    rewards = np.array(losses, dtype=float)
    read = rewards[rewards > UNREADABLE]
    rewards[~(rewards > UNREADABLE)] = read.min() if len(read) else 0.0
    return rewards


def _draft(action: np.ndarray, where: Sequence[Place], stock: Stock) -> Draft:
    """What an action (Δ, 2) of places and contents inserts."""
    draft: dict[object, Insertion] = {}
    for at, content in action:
        place = where[at]
        what: str | Item = stock.items[content] if place.kind == "item" else stock.words[content]
        one = Insertion(place, what)
        draft.setdefault(what.id if isinstance(what, Item) else one.key, one)
    return tuple(draft.values())
