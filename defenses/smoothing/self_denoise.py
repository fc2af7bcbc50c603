"""Self-Denoise: answer from copies that have lost most of what an adversary may have written, denoised, by vote.

Source: Zhang et al., "Certified Robustness for Large Language Models with Self-Denoising", 2023 (arXiv 2307.07171), and
Ji et al., NAACL 2024 (arXiv 2404.12274), carried over to recommenders. Where it departs from them, each for a reason:

- What is lost is a unit of the adversary's control, a history item with all its text or a word of the scored item's own
  text, and never a word of the instruction.
- Most is lost, not 5 %: a copy that keeps half the units or more certifies nothing.
- Copies are rebuilt from what they keep, without marks, so that insertions and deletions are certified too (kernel K2).
- Where there are few ways to keep k of h units all of them are counted, and nothing is sampled.
- The radius is the largest that holds, with beta = 1. The released code reports the first that fails, with beta = p̂.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from audit.defense import Defended, DefenseInfo
from audit.edits import HistoryDrop, HistoryReplace, Zone, apply
from audit.errors import ConfigError
from audit.target import Input, Recommender
from audit.types import Answer, Catalog, Event, Item, Request, Usage
from defenses.smoothing.ablation import Ablation, Certifier, Mode, Sampling
from defenses.smoothing.denoise import (
    MARK,
    CooccurrenceFill,
    Filler,
    LanguageFill,
    WordFill,
    Writer,
    without_marks,
)
from defenses.smoothing.kernels import Kernel, KernelName
from defenses.smoothing.smoothed import Copy
from defenses.smoothing.votes import Counting, Places, Rule

if TYPE_CHECKING:
    from audit.data.dataset import Dataset

Denoise = Literal["remove", "fill"]
FillBy = Literal["auto", "language-model", "cooccurrence"]
Unit = Literal["history", "item-words"]

_ID = "self-denoise"
_UNITS = {"history": "history item", "item-words": "word of the item's text"}
_MARKED = Event(Item(MARK, MARK))


@dataclass(frozen=True)
class SelfDenoise:
    """Keep k units at a time, denoise, ask, vote.

    Attributes:
        catalog: for rankings of the whole catalogue, and for titles that a language model fills in.
        dataset: the log for filling by co-occurrence, without the users under audit.
        kept: k, how many units a copy keeps (kernels K1 and K2).
        kernel: see `Kernel`.
        drop: q, the chance that a unit is lost (kernel K3).
        unit: `history`, an item of the history with its text and rating; `item-words`, a word of the title and text of
            the scored item, each candidate by itself.
        window: most history items that count, latest first; None for all. With it the copies of a long history are few.
        denoise: `remove` what is lost; `fill` in something that fits what is kept.
        fill_by: `language-model`, that in `model` or else the target's own; `cooccurrence`, in `dataset`; `auto`, a
            model where there is one, else co-occurrence.
        model: folder of the language model that fills.
        added: most units that are filled in for K2 and K3, whose copies do not know how many were lost.
        mode: see `Sampling`, like `limit`, `samples`, `certify_samples`, `alpha`, `seed` and `certificate`.
        limit: most kept sets that `auto` counts.
        samples: copies behind an answer, where they are random.
        certify_samples: fresh copies behind a certificate.
        alpha: error level of all claims about one request.
        seed: of the draws.
        certificate: `strict`, or the numbers of the released code for comparison.
        rule: see `Counting`, like `places`, `depth` and `threshold`.
        places: worth of a place in a list.
        depth: entries of a copy's list that are votes; None for the request's k.
        threshold: share of votes above which the decision is yes.
    """

    catalog: Catalog | None = field(default=None, repr=False)
    dataset: Dataset | None = field(default=None, repr=False)
    kept: int = 2
    kernel: KernelName = "K2"
    drop: float = 0.8
    unit: Unit = "history"
    window: int | None = 20
    denoise: Denoise = "remove"
    fill_by: FillBy = "auto"
    model: str | Path | None = None
    added: int = 2
    mode: Mode = "auto"
    limit: int = 300
    samples: int = 100
    certify_samples: int = 1000
    alpha: float = 0.001
    seed: int = 0
    certificate: Certifier = "strict"
    rule: Rule = "share"
    places: Places = "borda"
    depth: int | None = None
    threshold: float = 0.5

    def __post_init__(self) -> None:
        where = f"defenses.{_ID}"
        for name, known in (("unit", get_args(Unit)), ("denoise", get_args(Denoise)), ("fill_by", get_args(FillBy))):
            if getattr(self, name) not in known:
                raise ConfigError(f"{where}.{name}: {getattr(self, name)!r} must be one of {', '.join(known)}")
        self._kernel.check(_ID)
        self._sampling.check(_ID)
        self._counting.check(_ID)
        if self.window is not None and self.window < self._kernel.fewest:
            raise ConfigError(f"{where}.window: {self.window} is less than the {self.kept} units that a copy keeps")
        if self.added < 1:
            raise ConfigError(f"{where}.added: {self.added} must be at least 1; use denoise: remove to add nothing")
        if self.model is not None and not Path(self.model).is_dir():
            raise ConfigError(f"{where}.model: {str(self.model)!r} is not a folder; give that of a language model")
        if self.mode == "exact" and self.kernel == "K3":
            raise ConfigError(f"{where}.mode: the kept sets of K3 are not equally likely; use monte-carlo or auto")
        if self.certificate == "heuristic-released-code" and self.kernel == "K3":
            raise ConfigError(f"{where}.certificate: the released code knows no kernel K3; use K1 or K2")
        if self.denoise == "fill" and self.unit == "item-words" and self.fill_by == "cooccurrence":
            raise ConfigError(f"{where}.fill_by: words of a text do not co-occur in a log; use language-model")

    @property
    def _kernel(self) -> Kernel:
        return Kernel(self.kernel, self.kept, self.drop)

    @property
    def _sampling(self) -> Sampling:
        return Sampling(
            self.mode, self.limit, self.samples, self.certify_samples, self.alpha, self.seed, self.certificate
        )

    @property
    def _counting(self) -> Counting:
        return Counting(self.rule, self.places, self.depth, self.threshold)

    @property
    def _window(self) -> int | None:
        return self.window if self.unit == "history" else None

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        history = self.unit == "history"
        kernel = self._kernel
        # With a window the number of kept sets has a bound, so that all may always be counted.
        most = 0 if self._window is None else kernel.count(self._window)
        exact = self.mode == "exact" or (self.mode == "auto" and 0 < most <= self.limit)
        usual = kernel.count(max(10, self.kept)) if self.kernel != "K3" else 0
        copies = usual if exact or (self.mode == "auto" and 0 < usual <= self.limit) else self.samples
        return DefenseInfo(
            id=_ID,
            title="Self-Denoise" + (" with filling" if self.denoise == "fill" else ""),
            why="No single entry of a history can decide an answer that many small parts of it must agree on."
            if history
            else "No single word of a seller's text can decide an answer that many small parts of it must agree on.",
            reference="Zhang et al. 2023 (arXiv 2307.07171); Ji et al., NAACL 2024 (arXiv 2404.12274)",
            family="smoothing",
            guards=frozenset({Zone.PLATFORM if history else Zone.SELLER}),
            calls=float(copies * (2 if self.denoise == "fill" and self.fill_by != "cooccurrence" else 1)),
            randomised=not exact,
            needs=frozenset({Input.HISTORY if history else Input.ITEM_TEXT}),
            tasks=("score", "rank") if history else ("score",),
            limits="More edited units than the radius, and anything that is in every copy: instruction, note, "
            + ("the text of candidates" if history else "the history, other items")
            + ".",
        )

    def protect(self, target: Recommender) -> SelfDenoised:
        """The smoothed target.

        Raises:
            ConfigError: there is nothing to fill with, or exact counting of a target that draws its answers.
            TargetError: the language model that fills cannot be loaded.
        """
        items, words = self._fillers(target)
        catalog = self.catalog or (self.dataset.catalog if self.dataset else None)
        filler = items or words
        return SelfDenoised(
            target,
            self.info,
            {"denoise": self.denoise, "added": self.added, "filler": filler.identity if filler else ""},
            kernel=self._kernel,
            sampling=self._sampling,
            counting=self._counting,
            unit=self.unit,
            window=self._window,
            catalog_size=None if catalog is None else len(catalog),
            items=items,
            words=words,
            added=self.added,
        )

    def _fillers(self, target: Recommender) -> tuple[Filler | None, WordFill | None]:
        if self.denoise == "remove":
            return None, None
        where = f"defenses.{_ID}.fill_by"
        writer = self._writer(target) if self.fill_by != "cooccurrence" else None
        if self.unit == "item-words":
            if writer is None:
                raise ConfigError(f"{where}: words are filled in by a language model; give its folder as model")
            return None, WordFill(writer)
        catalog = self.catalog or (self.dataset.catalog if self.dataset else None)
        if writer is not None and catalog is not None:
            return LanguageFill(writer, catalog), None
        if self.fill_by == "language-model":
            lacking = "catalog of the titles it may name" if writer else "language model; give its folder as model"
            raise ConfigError(f"{where}: there is no {lacking}")
        if self.dataset is None:
            raise ConfigError(f"{where}: there is no dataset whose items could be filled in; give one, or a model")
        return CooccurrenceFill(self.dataset), None

    def _writer(self, target: Recommender) -> Writer | None:
        """The model in `model`, else the target's own."""
        from audit.targets.hf import HFTarget

        if self.model is not None:
            return Writer.from_folder(self.model)
        while isinstance(target, Defended):
            target = target.target
        return Writer(target.lm) if isinstance(target, HFTarget) else None


class SelfDenoised(Ablation):
    """The smoothed target; see `SelfDenoise`."""

    def __init__(
        self,
        target: Recommender,
        defense: DefenseInfo,
        options: dict[str, object],
        *,
        kernel: Kernel,
        sampling: Sampling,
        counting: Counting,
        unit: Unit,
        window: int | None,
        catalog_size: int | None,
        items: Filler | None,
        words: WordFill | None,
        added: int,
    ) -> None:
        super().__init__(
            target,
            defense,
            options,
            kernel=kernel,
            sampling=sampling,
            counting=counting,
            unit=_UNITS[unit],
            window=window,
            catalog_size=catalog_size,
        )
        self._words_are_units = unit == "item-words"
        self.items = items
        self.words = words
        self._added = added

    @property
    def notes(self) -> tuple[str, ...]:
        """What became of the texts that were filled in so far, in one sentence."""
        filler = self.items or self.words
        if filler is None or not filler.counts:
            return ()
        counted = ", ".join(f"{n} {what}" for what, n in sorted(filler.counts.items()))
        return (f"filled in by {filler.identity.split(' ')[0]}: {counted}",)

    def parts(self, request: Request) -> Sequence[Request]:
        """For words one part per candidate, whose own words are the units; else the request itself."""
        if not self._words_are_units or not request.candidates:
            return (request,)
        return [replace(request, candidates=(item,)) for item in request.candidates]

    def whole(self, request: Request, answers: Sequence[Answer]) -> Answer:
        """The scores of all candidates, in their order; a failure of one is a failure of all."""
        if not self._words_are_units or not request.candidates:
            return answers[0]
        failed = next((a for a in answers if a.outcome != "ok"), None)
        return failed or Answer(tuple(entry for a in answers for entry in a.ranked))

    def units(self, request: Request) -> int:
        """Events of the history, or words of the scored item."""
        if not self._words_are_units:
            return len(request.user.history)
        item = _scored(request)
        return 0 if item is None else len(item.title.split()) + len(item.text.split())

    def keep(self, request: Request, kept: Sequence[int]) -> Copy:
        """A copy of what is kept. Where fillers know how much was lost (K1), marks show it to them."""
        if not kept:
            return None
        marks = self.kernel.name == "K1" and (self.items or self.words) is not None
        lost = sorted(set(range(self.units(request))) - set(kept))
        if self._words_are_units:
            return _with_words(request, kept, marks=marks)
        if marks:
            # Older ones than the window holds are gone in every copy, and leave no mark.
            old = self.units(request) - self.counted_units(request)
            edits = [HistoryReplace(i, _MARKED) for i in lost if i >= old]
            return apply([*edits, *(HistoryDrop(i) for i in reversed(range(old)))], request)
        return apply([HistoryDrop(i) for i in reversed(lost)], request)

    def refine(self, copies: Sequence[Copy], draws: Sequence[int]) -> Sequence[tuple[Copy, Usage]]:
        """Fill what was lost. Equal copies are filled once, and a failure to fill leaves what is kept."""
        present = {copy.digest: copy for copy in copies if copy is not None}
        distinct = list(present.values())
        filled: dict[str, tuple[Copy, Usage]] = {}
        if self.items is not None and distinct:
            filled = dict(zip(present, self._with_items(distinct, self.items), strict=True))
        elif self.words is not None and distinct:
            filled = dict(zip(present, self._completed(distinct, self.words), strict=True))
        return [(copy, Usage()) if copy is None else filled.get(copy.digest, (copy, Usage())) for copy in copies]

    def _with_items(self, copies: Sequence[Request], filler: Filler) -> list[tuple[Copy, Usage]]:
        marked = self.kernel.name == "K1"
        seen = [_with_history(copy, [e for e in copy.user.history if e is not _MARKED]) for copy in copies]
        wanted = [
            sum(e is _MARKED for e in copy.user.history) if marked else self._added if copy.user.history else 0
            for copy in copies
        ]
        found: list[tuple[Copy, Usage]] = []
        for copy, kept, proposal in zip(copies, seen, filler.propose(seen, wanted), strict=True):
            if marked:
                events = iter([event for event, _ in proposal.events])
                slots = [next(events, None) if e is _MARKED else e for e in copy.user.history]
                history = [e for e in slots if e is not None]
            else:
                history = []
                for at, event in enumerate(kept.user.history):
                    history += [event, *(new for new, where in proposal.events if where == at)]
                history += [new for new, where in proposal.events if where < 0]
            found.append((_with_history(copy, history), proposal.usage))
        return found

    def _completed(self, copies: Sequence[Request], filler: WordFill) -> list[tuple[Copy, Usage]]:
        items = [item for copy in copies if (item := _scored(copy)) is not None]
        texts = [text for item in items for text in (item.title, item.text)]
        written = [i for i, text in enumerate(texts) if text]
        more = [texts[i].split().count(MARK) or self._added for i in written]
        done = dict(zip(written, filler.complete([texts[i] for i in written], more), strict=True))
        found: list[tuple[Copy, Usage]] = []
        for i, copy in enumerate(copies):
            title, first = done.get(2 * i, ("", Usage()))
            text, second = done.get(2 * i + 1, ("", Usage()))
            found.append((_with_text(copy, without_marks(title), without_marks(text)), first + second))
        return found


def _scored(request: Request) -> Item | None:
    return request.candidates[0] if request.candidates and len(request.candidates) == 1 else None


def _with_history(request: Request, history: Sequence[Event]) -> Request:
    return replace(request, user=replace(request.user, history=tuple(history)))


def _with_words(request: Request, kept: Sequence[int], *, marks: bool) -> Copy:
    item = _scored(request)
    if item is None:
        return request
    chosen = set(kept)
    title, text = item.title.split(), item.text.split()
    words = [word if i in chosen else MARK for i, word in enumerate((*title, *text))]
    parts = [words[: len(title)], words[len(title) :]]
    if not marks:
        parts = [[word for i, word in part if i in chosen] for part in _numbered(parts)]
    return _with_text(request, " ".join(parts[0]), " ".join(parts[1]))


def _numbered(parts: Sequence[Sequence[str]]) -> list[list[tuple[int, str]]]:
    first = len(parts[0])
    return [list(enumerate(parts[0])), list(enumerate(parts[1], first))]


def _with_text(request: Request, title: str, text: str) -> Request:
    """With another text of the scored item, also where it stands in the history: there it would show what was lost."""
    item = _scored(request)
    if item is None:
        return request
    new = replace(item, title=title, text=text)
    history = [replace(e, item=new) if e.item.id == item.id else e for e in request.user.history]
    return replace(_with_history(request, history), candidates=(new,))
