"""A linear softmax policy over insertions and its training by PPO (Schulman et al., 2017, arXiv 1707.06347).

The policy is factorised: π(place, content) = π(place) · π(content | kind of the place), each a softmax of a linear
function of features. Words and items are known by hashed features, so that what was learned of one comedy says
something about the next. With all weights at zero, words and items are equally likely, and all of one kind are.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from attacks.places import Place
from audit.types import Item, Request

WIDTH = 64
"""Buckets of the hashed features."""
_PLACE = 12
_BETA = (0.9, 0.999)
_EPSILON = 1e-8


def place_features(where: Sequence[Place], request: Request) -> np.ndarray:
    """Of each place its kind, where it is, and how near to the beginning and to the end, (places, 12).

    Nearness falls as 1 / (1 + steps), so that the very end, the most recent event, can be told from what is before it.
    """
    last: dict[tuple[str, str], int] = {}
    number = []
    for place in where:
        key = (place.kind, place.field)
        last[key] = last.get(key, -1) + 1
        number.append(last[key])
    rows = np.zeros((len(where), _PLACE))
    for row, place, n in zip(rows, where, number, strict=True):
        end = last[place.kind, place.field]
        start = 0 if place.kind == "word" else 5
        row[start : start + 5] = 1.0, n / max(end, 1), (n / max(end, 1)) ** 2, 1 / (1 + n), 1 / (1 + end - n)
        row[10:] = place.field.startswith("item:"), place.field == "note"
    return rows


def hashed_word(word: str) -> np.ndarray:
    """The word itself, its beginning and its end, (64,)."""
    low = word.casefold()
    return _hashed([f"word {low}", f"begins {low[:3]}", f"ends {low[-3:]}"])


def hashed_item(item: Item) -> np.ndarray:
    """The item itself, the words of its title and the values of its attributes, (64,)."""
    facts = [f"item {item.id}", *(f"word {word.casefold()}" for word in re.findall(r"[^\W\d_]{2,}", item.title))]
    for name, value in sorted(item.attributes.items()):
        facts += [f"{name} {one}" for one in (value if isinstance(value, tuple) else (value,))]
    return _hashed(facts)


def _hashed(facts: Sequence[str]) -> np.ndarray:
    """Signed feature hashing (Weinberger et al., ICML 2009), of length 1."""
    row = np.zeros(WIDTH)
    for fact in facts:
        code = zlib.crc32(fact.encode("utf-8", "surrogatepass"))
        row[code % WIDTH] += 1.0 if code >> 31 else -1.0
    norm = float(np.linalg.norm(row))
    return row / norm if norm else row


@dataclass(frozen=True)
class Choices:
    """What one user's policy chooses from.

    Attributes:
        places: features, (places, 12).
        holds_item: whether an item is inserted there, (places,).
        words: features, (words, 64).
        items: features, (items, 64).
    """

    places: np.ndarray
    holds_item: np.ndarray
    words: np.ndarray
    items: np.ndarray

    @property
    def offset(self) -> np.ndarray:
        """What makes words and items equally likely before anything is learned, (places,)."""
        counts = np.where(self.holds_item, self.holds_item.sum(), (~self.holds_item).sum())
        offset: np.ndarray = -np.log(counts)
        return offset


@dataclass(frozen=True)
class Rollouts:
    """Actions of one user and what came of them.

    Attributes:
        choices: what was chosen from.
        actions: indices of place and content, (batch, Δ, 2).
        old: log-probability of each action when it was drawn, (batch,).
        advantages: rewards above the batch's mean, in its standard deviations, (batch,); empty before the feedback.
    """

    choices: Choices
    actions: np.ndarray
    old: np.ndarray
    advantages: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def rewarded(self, rewards: np.ndarray) -> Rollouts:
        """With advantages; all of them zero where all rewards are equal."""
        spread = float(rewards.std())
        centred = rewards - rewards.mean()
        return replace(self, advantages=centred / spread if spread > _EPSILON else np.zeros_like(centred))


@dataclass
class Learner:
    """The weights, and how they learn. One learner serves one user, or all users of a run."""

    clip: float
    rate: float
    entropy: float
    stop: float
    epochs: int
    weights: dict[str, np.ndarray] = field(
        default_factory=lambda: {"place": np.zeros(_PLACE), "word": np.zeros(WIDTH), "item": np.zeros(WIDTH)}
    )

    def __post_init__(self) -> None:
        self._moments = {name: (np.zeros_like(w), np.zeros_like(w)) for name, w in self.weights.items()}
        self._steps = 0

    def draw(self, choices: Choices, insertions: int, batch: int, rng: np.random.Generator) -> Rollouts:
        """A batch of actions."""
        heads = self._heads(choices)
        places = rng.choice(len(choices.places), size=(batch, insertions), p=heads["place"].p)
        contents = np.zeros_like(places)
        for name, chosen in (("word", ~choices.holds_item[places]), ("item", choices.holds_item[places])):
            if chosen.any():
                contents[chosen] = rng.choice(len(heads[name].p), size=int(chosen.sum()), p=heads[name].p)
        actions = np.stack([places, contents], axis=-1)
        return Rollouts(choices, actions, self.log_probability(choices, actions))

    def log_probability(self, choices: Choices, actions: np.ndarray) -> np.ndarray:
        """Log π of each action, (batch,)."""
        heads = self._heads(choices)
        total = np.zeros(len(actions))
        for name, picked, rows in _picks(choices, actions):
            np.add.at(total, rows, heads[name].log_p[picked])
        return total

    def together(self, jobs: Sequence[Rollouts]) -> list[None]:
        """Learn from what one or several users asked: the work of a `Job`."""
        for _ in range(self.epochs):
            gradient = {name: np.zeros_like(w) for name, w in self.weights.items()}
            moved = 0.0
            for job in jobs:
                moved += self._add_gradient(job, gradient) / len(jobs)
            if moved > self.stop:
                break
            self._ascend(gradient, sum(len(job.old) for job in jobs))
        return [None] * len(jobs)

    def _heads(self, choices: Choices) -> dict[str, _Softmax]:
        return {
            "place": _Softmax.of(choices.places @ self.weights["place"] + choices.offset, choices.places),
            **{
                name: _Softmax.of(features @ self.weights[name], features)
                for name, features in (("word", choices.words), ("item", choices.items))
                if len(features)
            },
        }

    def objective(self, job: Rollouts) -> float:
        """Σ min(r A, clip(r, 1−ε, 1+ε) A) + the entropy bonus per action: what is climbed (equation 7 of the paper)."""
        ratio = np.exp(self.log_probability(job.choices, job.actions) - job.old)
        clipped = np.clip(ratio, 1 - self.clip, 1 + self.clip)
        bonus = self.entropy * sum(head.entropy for head in self._heads(job.choices).values())
        return float(np.minimum(ratio * job.advantages, clipped * job.advantages).sum() + len(job.old) * bonus)

    def gradient(self, job: Rollouts) -> dict[str, np.ndarray]:
        """Of `objective`, by name of the weights."""
        found = {name: np.zeros_like(w) for name, w in self.weights.items()}
        self._add_gradient(job, found)
        return found

    def _add_gradient(self, job: Rollouts, gradient: dict[str, np.ndarray]) -> float:
        """Add the gradient of `objective`; returns the mean of log π_old − log π, an estimate of the KL divergence."""
        heads = self._heads(job.choices)
        moved = self.log_probability(job.choices, job.actions) - job.old
        ratio = np.exp(moved)
        # Where the clipped side is the smaller one, it is constant.
        flat = ((job.advantages > 0) & (ratio > 1 + self.clip)) | ((job.advantages < 0) & (ratio < 1 - self.clip))
        pull = np.where(flat, 0.0, job.advantages * ratio)
        for name, picked, rows in _picks(job.choices, job.actions):
            head = heads[name]
            # ∇ log π(a) = φ(a) − E φ
            gradient[name] += pull[rows] @ head.features[picked] - pull[rows].sum() * head.mean
        for name, head in heads.items():
            gradient[name] += len(job.old) * self.entropy * head.entropy_gradient
        return float(-moved.mean())

    def _ascend(self, gradient: dict[str, np.ndarray], count: int) -> None:
        """One step of Adam (Kingma and Ba, ICLR 2015) up the mean gradient."""
        self._steps += 1
        for name, weights in self.weights.items():
            slope = gradient[name] / count
            first, second = (
                beta * old + (1 - beta) * new
                for beta, old, new in zip(_BETA, self._moments[name], (slope, slope**2), strict=True)
            )
            self._moments[name] = first, second
            unbiased = [m / (1 - beta**self._steps) for m, beta in zip((first, second), _BETA, strict=True)]
            weights += self.rate * unbiased[0] / (np.sqrt(unbiased[1]) + _EPSILON)


@dataclass(frozen=True)
class _Softmax:
    """A softmax over rows of features."""

    p: np.ndarray
    log_p: np.ndarray
    features: np.ndarray

    @classmethod
    def of(cls, logits: np.ndarray, features: np.ndarray) -> _Softmax:
        shifted = logits - logits.max()
        log_p = shifted - np.log(np.exp(shifted).sum())
        p = np.exp(log_p)
        return cls(p / p.sum(), log_p, features)

    @property
    def mean(self) -> np.ndarray:
        """E φ."""
        mean: np.ndarray = self.p @ self.features
        return mean

    @property
    def entropy(self) -> float:
        """In nats."""
        return float(-(self.p * self.log_p).sum())

    @property
    def entropy_gradient(self) -> np.ndarray:
        """∇H = −Σ p (log p + H) φ."""
        gradient: np.ndarray = -(self.p * (self.log_p + self.entropy)) @ self.features
        return gradient


def _picks(choices: Choices, actions: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """By head: what was picked, and in which action."""
    rows = np.repeat(np.arange(len(actions)), actions.shape[1])
    places, contents = actions.reshape(-1, 2).T
    items = choices.holds_item[places]
    picks = [
        ("place", places, rows),
        ("word", contents[~items], rows[~items]),
        ("item", contents[items], rows[items]),
    ]
    return [pick for pick in picks if len(pick[1])]
