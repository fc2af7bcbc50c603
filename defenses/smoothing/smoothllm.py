"""SmoothLLM: votes over copies with random noise in their characters."""

from __future__ import annotations

import itertools
import string
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from audit.defense import DefenseInfo
from audit.edits import Zone
from audit.errors import ConfigError, nearest
from audit.seeds import generator
from audit.target import Recommender, describe
from audit.types import Answer, Ranked, Request
from defenses.fields import Kind
from defenses.smoothing.smoothed import Copy, Smoothed
from defenses.smoothing.texts import KINDS, check_kinds, free_texts, needed, rewritten
from defenses.smoothing.votes import Counting, Votes

Noise = Literal["swap", "patch", "insert"]
"""What happens to characters: random ones are exchanged, a run of them is exchanged, or others are put in between."""

Returns = Literal["agreeing", "share"]
"""What is answered: what one copy said that agrees with the majority, or the majority's share of votes."""

ALPHABET = string.ascii_letters + string.digits + string.punctuation + " "
"""The printable characters of ASCII. Line breaks and tabs, which the published code draws too, are left out: they are
how prompts tell one item from the next."""


def disturbed(texts: Sequence[str], noise: Noise, q: float, rng: np.random.Generator) -> list[str]:
    """Texts with noise, as if they stood one after the other.

    Args:
        texts: together at least one character long.
        noise: see `Noise`; the functions of the paper's algorithm 2.
        q: share of characters, rounded down to a number of them, but at least one.
        rng: source of the draws.
    """
    cells = list("".join(texts))
    count = max(int(len(cells) * q), 1)
    if noise == "patch":
        start = int(rng.integers(len(cells) - count + 1))
        places = list(range(start, start + count))
    else:
        places = rng.choice(len(cells), size=count, replace=False).tolist()
    for place, letter in zip(places, rng.integers(len(ALPHABET), size=count).tolist(), strict=True):
        cells[place] = ALPHABET[letter] + (cells[place] if noise == "insert" else "")
    ends = list(itertools.accumulate(map(len, texts)))
    return ["".join(cells[end - len(text) : end]) for text, end in zip(texts, ends, strict=True)]


class SmoothLLM:
    """Random noise in the characters of copies, and the answer of the majority.

    What was fitted to break a model character by character, such as a suffix of a gradient search, seldom survives
    noise; what people can read does. The texts are disturbed as if they stood one after the other: q of their
    characters, rounded down, but at least one.

    Nothing is certified. The paper's guarantee is for an attack that is *k-unstable*: one that fails as soon as k of
    its characters change. Whether an attack is, nobody can see from the outside, and fluent ones are not.

    Args:
        noise: see `Noise`.
        q: share of characters that are disturbed, above 0 and at most 1.
        samples: N, copies per answer.
        returns: see `Returns`.
        fields: kinds of text that are disturbed: `title`, `text`, `note`, `passage`, `turn`. The titles of candidates
            that are to be ranked are not, because the answer is matched with them.
        threshold: share of the votes above which the decision is yes.
        seed: of the draws. In a service keep it secret.

    Raises:
        ConfigError: an option that cannot be used.
    """

    def __init__(
        self,
        *,
        noise: Noise = "swap",
        q: float = 0.1,
        samples: int = 10,
        returns: Returns = "agreeing",
        fields: Sequence[str] = KINDS,
        threshold: float = 0.5,
        seed: int = 0,
    ) -> None:
        for name, value, known in (("noise", noise, get_args(Noise)), ("returns", returns, get_args(Returns))):
            if value not in known:
                raise ConfigError(f"defenses.smoothllm.{name}: {value!r} is no choice; {nearest(str(value), known)}")
        if not 0 < q <= 1:
            raise ConfigError(f"defenses.smoothllm.q: {q} must be above 0 and at most 1, such as 0.1 for 10 %")
        if samples < 1:
            raise ConfigError(f"defenses.smoothllm.samples: {samples} must be at least 1")
        self._kinds = check_kinds(fields, "smoothllm")
        self._counting = Counting(threshold=threshold)
        self._counting.check("smoothllm")
        self._noise: Noise = noise
        self._q = q
        self._samples = samples
        self._returns: Returns = returns
        self._seed = seed

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="smoothllm",
            title=f"SmoothLLM, {self._noise} {self._q:.0%}",
            why="What was fitted to the model letter by letter seldom survives a few random letters.",
            reference="Robey, Wong, Hassani and Pappas, SmoothLLM, 2023 (arXiv 2310.03684), algorithms 1 and 2",
            family="smoothing",
            guards=frozenset({Zone.USER, Zone.SELLER, Zone.RETRIEVED}),
            calls=self._samples,
            randomised=True,
            needs=needed(self._kinds),
            tasks=("rank", "score"),
            limits="Plain words: an order or a claim that people can read survives noise, all the more if it is "
            "repeated. Titles and names suffer from noise too.",
        )

    def protect(self, target: Recommender) -> Noisy:
        """The target, asked about noisy copies."""
        return Noisy(
            target,
            self.info,
            noise=self._noise,
            q=self._q,
            kinds=self._kinds,
            returns=self._returns,
            samples=self._samples,
            counting=self._counting,
            seed=self._seed,
        )


class Noisy(Smoothed):
    """A target that is asked about noisy copies.

    Args:
        target: what is protected.
        defense: declaration of the defense.
        noise: see `SmoothLLM`.
        q: see `SmoothLLM`.
        kinds: kinds of text that are disturbed.
        returns: see `SmoothLLM`.
        samples: see `SmoothLLM`.
        counting: how votes become an answer.
        seed: see `SmoothLLM`.
    """

    def __init__(
        self,
        target: Recommender,
        defense: DefenseInfo,
        *,
        noise: Noise,
        q: float,
        kinds: Sequence[Kind],
        returns: Returns,
        samples: int,
        counting: Counting,
        seed: int,
    ) -> None:
        options: Mapping[str, object] = {
            "noise": noise,
            "q": q,
            "fields": list(kinds),
            "returns": returns,
            "seed": seed,
        }
        super().__init__(target, defense, options, samples=samples, counting=counting)
        self.noise: Noise = noise
        self.q = q
        self.kinds = kinds
        self.returns: Returns = returns
        self.seed = seed

    def copies(self, request: Request, draw: int, n: int) -> Sequence[Copy]:
        """Noisy copies; the request as it is where it has no text to disturb."""
        texts = {t.field: t.text for t in free_texts(request, describe(self.target), self.kinds) if t.text}
        if not texts:
            return [request] * n
        rng = generator(self.seed, self.defense.id, request.digest, str(draw))
        written = list(texts.values())
        noisy = (disturbed(written, self.noise, self.q, rng) for _ in range(n))
        return [rewritten(request, dict(zip(texts, texts_of_copy, strict=True))) for texts_of_copy in noisy]

    def vote(self, request: Request, answers: Sequence[Answer | None]) -> Answer:
        """The majority's share, or what a copy said that agrees with the majority.

        `score`: for each candidate the score that the first copy gave it that decides as the majority. `rank`: the list
        of the copy that has most items in common with the first k by votes, the first of them. Copies are drawn alike,
        so the first is as good as a random one.
        """
        votes = self.counting.votes(request, answers)
        by_share = self.counting.answer(request, votes)
        if self.returns == "share" or by_share.outcome != "ok":
            return by_share
        if request.task == "score":
            agrees = (votes.cast == self.counting.decisions(votes)) & votes.read[:, None]
            rows = agrees.argmax(axis=0)
            entries = zip(by_share.ranked, rows.tolist(), range(len(rows)), strict=True)
            return Answer(tuple(replace(e, score=float(votes.values[row, i])) for e, row, i in entries))
        majority = np.isin(np.arange(len(votes.items)), self.counting.listed(request, votes))
        said = answers[int((votes.cast & majority).sum(axis=1).argmax())]
        return by_share if said is None else replace(said, ranked=tuple(_named(e, votes) for e in said.ranked))


def _named(entry: Ranked, votes: Votes) -> Ranked:
    """The entry with the title that its item had before the noise."""
    return replace(entry, title=votes.titles.get(entry.item_id or "", entry.title))
