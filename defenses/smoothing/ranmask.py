"""RanMASK: votes over copies in which most words, or most items of the history, are behind a mask mark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, get_args

from audit.defense import DefenseInfo
from audit.edits import Zone
from audit.errors import ConfigError, nearest
from audit.target import Input, Recommender, describe
from audit.types import Answer, Catalog, Event, Item, Request, Task
from defenses.fields import Kind, Text
from defenses.smoothing.ablation import Ablation, Mode, Sampling
from defenses.smoothing.kernels import Kernel
from defenses.smoothing.smoothed import Copy
from defenses.smoothing.texts import KINDS, check_kinds, free_texts, needed, rewritten
from defenses.smoothing.votes import Counting, Rule

Of = Literal["history", "words", "item"]
"""What a unit is: an item of the history with all its text; a word of any text that nobody trusted wrote; or a word of
the title and the text of the scored item, each candidate by itself."""

_ITEM_KINDS: tuple[Kind, ...] = ("title", "text")
_GUARDS: Mapping[Of, frozenset[Zone]] = {
    "history": frozenset({Zone.PLATFORM}),
    "words": frozenset({Zone.USER, Zone.SELLER, Zone.RETRIEVED}),
    "item": frozenset({Zone.SELLER}),
}


class RanMask:
    """Random masks: every copy shows k units, and the same mark in the place of each other one.

    Only substitutions are certified: marks keep the number of units, so that a request with one unit more or less has
    copies that this one cannot have. The certificate is the strict one, with beta = 1; that of the published code is
    there for comparison (`certificate="heuristic-released-code"`). The published method tunes the model on masked
    texts; this one asks the target as it is.

    Words are what stands between white space. Copies have one blank between words, so that white space says nothing.
    Words are counted over all texts together, and an item that occurs in several places has its words once.

    Args:
        catalog: how many items a ranking without candidates is of, which its certificate needs.
        of: what a unit is; see `Of`.
        kept: k, how many units a copy shows.
        mask: the mark.
        fields: which kinds of text `of="words"` takes: `title`, `text`, `note`, `passage`, `turn`. The titles of
            candidates that are to be ranked are never masked, because the answer is matched with them.
        mode: see `Sampling`.
        samples: see `Sampling`.
        certify_samples: see `Sampling`.
        limit: see `Sampling`.
        alpha: see `Sampling`.
        seed: see `Sampling`.
        certificate: see `Sampling`.
        rule: see `Counting`.
        threshold: see `Counting`.

    Raises:
        ConfigError: an option that cannot be used.
    """

    def __init__(
        self,
        catalog: Catalog | None = None,
        *,
        of: Of = "history",
        kept: int = 5,
        mask: str = "<mask>",
        fields: Sequence[str] = KINDS,
        mode: Mode = "auto",
        samples: int = 100,
        certify_samples: int = 1000,
        limit: int = 300,
        alpha: float = 0.001,
        seed: int = 0,
        certificate: Literal["strict", "heuristic-released-code"] = "strict",
        rule: Rule = "share",
        threshold: float = 0.5,
    ) -> None:
        if of not in get_args(Of):
            raise ConfigError(f"defenses.ranmask.of: {of!r} is no unit; {nearest(str(of), get_args(Of))}")
        if not isinstance(mask, str) or len(mask.split()) != 1 or mask != mask.strip():
            raise ConfigError(f"defenses.ranmask.mask: {mask!r} must be one word without white space, such as '<mask>'")
        self._of: Of = of
        self._mask = mask
        self._kinds = _ITEM_KINDS if of == "item" else check_kinds(fields, "ranmask")
        self._kernel = Kernel("K1", kept=kept)
        self._kernel.check("ranmask")
        self._sampling = Sampling(mode, limit, samples, certify_samples, alpha, seed, certificate)
        self._sampling.check("ranmask")
        self._counting = Counting(rule=rule, threshold=threshold)
        self._counting.check("ranmask")
        self._catalog_size = None if catalog is None else len(catalog)

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        tasks: tuple[Task, ...] = ("score",) if self._of == "item" else ("rank", "score")
        return DefenseInfo(
            id="ranmask",
            title=f"RanMASK, {'items of the history' if self._of == 'history' else 'words'}",
            why="What an adversary wrote is behind a mask in most copies, and a few copies do not carry a vote.",
            reference="Zeng, Xu, Zheng and Huang, Certified Robustness to Text Adversarial Attacks by Randomized "
            "[MASK], Computational Linguistics 2023 (arXiv 2105.03743)",
            family="smoothing",
            guards=_GUARDS[self._of],
            calls=self._sampling.samples,
            randomised=True,
            needs=frozenset({Input.HISTORY}) if self._of == "history" else needed(self._kinds),
            tasks=tasks,
            limits="One unit more or less, which masks do not cover, and more substitutions than the radius; a model "
            "that was not tuned on masks answers worse behind them.",
        )

    def protect(self, target: Recommender) -> Masked:
        """The target, asked about masked copies.

        Raises:
            ConfigError: exact mode for a target that draws its answers.
        """
        kinds: Mapping[Of, type[Masked]] = {"history": MaskedHistory, "words": MaskedWords, "item": MaskedItem}
        options = {"of": self._of, "mask": self._mask, "fields": list(self._kinds), "catalog": self._catalog_size}
        return kinds[self._of](
            target,
            self.info,
            options,
            kernel=self._kernel,
            sampling=self._sampling,
            counting=self._counting,
            mask=self._mask,
            kinds=self._kinds,
            catalog_size=self._catalog_size,
        )


class Masked(Ablation):
    """A target behind masks. What is masked a subclass says.

    Args:
        target: see `Ablation`.
        defense: see `Ablation`.
        options: see `Ablation`.
        kernel: see `Ablation`.
        sampling: see `Ablation`.
        counting: see `Ablation`.
        mask: the mark.
        kinds: kinds of text whose words are units, where words are.
        catalog_size: see `Ablation`.
    """

    unit_name = "word"

    def __init__(
        self,
        target: Recommender,
        defense: DefenseInfo,
        options: Mapping[str, object],
        *,
        kernel: Kernel,
        sampling: Sampling,
        counting: Counting,
        mask: str,
        kinds: Sequence[Kind],
        catalog_size: int | None,
    ) -> None:
        super().__init__(
            target,
            defense,
            options,
            kernel=kernel,
            sampling=sampling,
            counting=counting,
            unit=self.unit_name,
            catalog_size=catalog_size,
        )
        self.mask = mask
        self.kinds = kinds


class MaskedHistory(Masked):
    """Items of the history behind marks.

    A mark has the id of no item, no rating and no time, whatever is behind it. A target that takes unrated items for
    liked ones, as prompts with a list of liked items do, reads marks so too.
    """

    unit_name = "history item"

    def units(self, request: Request) -> int:
        """Events of the history."""
        return len(request.user.history)

    def keep(self, request: Request, kept: Sequence[int]) -> Copy:
        """The history with marks but at these positions."""
        mark = Event(Item(self.mask, self.mask))
        shown = set(kept)
        history = tuple(event if i in shown else mark for i, event in enumerate(request.user.history))
        return replace(request, user=replace(request.user, history=history))


class MaskedWords(Masked):
    """Words behind marks."""

    _latest: tuple[Request | None, Sequence[tuple[str, list[str]]]] = (None, ())

    def texts(self, request: Request) -> list[Text]:
        """The texts whose words are units, in their order."""
        return free_texts(request, describe(self.target), self.kinds)

    def units(self, request: Request) -> int:
        """Words of all texts."""
        return sum(len(words) for _, words in self._words(request))

    def keep(self, request: Request, kept: Sequence[int]) -> Copy:
        """The texts with marks but for the words at these positions."""
        shown = set(kept)
        place, texts = 0, {}
        for field, words in self._words(request):
            texts[field] = " ".join(w if place + i in shown else self.mask for i, w in enumerate(words))
            place += len(words)
        return rewritten(request, texts)

    def _words(self, request: Request) -> Sequence[tuple[str, list[str]]]:
        # All copies of a request are made one after the other.
        of, found = self._latest
        if of is not request:
            found = [(text.field, text.text.split()) for text in self.texts(request)]
            self._latest = (request, found)
        return found


class MaskedItem(MaskedWords):
    """Words of the scored item behind marks: each candidate is asked about in a request of its own.

    Other candidates are not in its prompt, so that what their sellers write cannot reach it.
    """

    def texts(self, request: Request) -> list[Text]:
        """Title and text of the only candidate."""
        own = {f"item:{item.id}.{part}" for item in request.candidates or () for part in _ITEM_KINDS}
        return [text for text in super().texts(request) if text.field in own]

    def parts(self, request: Request) -> Sequence[Request]:
        """One request for each candidate."""
        if not request.candidates:
            return (request,)
        return [replace(request, candidates=(item,)) for item in request.candidates]

    def whole(self, request: Request, answers: Sequence[Answer]) -> Answer:
        """All scores; where a candidate got none, what happened to it: a score is never made up."""
        for answer in answers:
            if answer.outcome != "ok":
                return replace(answer, ranked=())
        return Answer(tuple(entry for answer in answers for entry in answer.ranked))
