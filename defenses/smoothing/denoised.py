"""The target behind Self-Denoise: what its copies keep, and what is filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from audit.defense import DefenseInfo
from audit.edits import HistoryDrop, HistoryReplace, apply
from audit.target import Recommender
from audit.types import Answer, Event, Item, Request, Usage
from defenses.smoothing.ablation import Ablation, Sampling
from defenses.smoothing.denoise import Filler
from defenses.smoothing.fill_words import MARK, WordFill, without_marks
from defenses.smoothing.kernels import Kernel
from defenses.smoothing.smoothed import Copy
from defenses.smoothing.votes import Counting

Unit = Literal["history", "item-words"]
_UNITS = {"history": "history item", "item-words": "word of the item's text"}
_MARKED = Event(Item(MARK, MARK))
_REMEMBERED = 5_000
"""Filled copies that are remembered: an adversary who searches asks about the same ones again and again."""


class SelfDenoised(Ablation):
    """The smoothed target; see `defenses.smoothing.self_denoise.SelfDenoise`."""

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
        self._filled: dict[str, tuple[Copy, Usage]] = {}

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
        """Fill what was lost. Equal copies are filled once, at the price of each; a failure leaves what is kept."""
        if self.items is None and self.words is None:
            return [(copy, Usage()) for copy in copies]
        with self._lock:
            known = {c.digest: self._filled[c.digest] for c in copies if c is not None and c.digest in self._filled}
        missing = {copy.digest: copy for copy in copies if copy is not None and copy.digest not in known}
        made = dict(zip(missing, self._fill(list(missing.values())), strict=True))
        with self._lock:
            self._filled.update(made)
            while len(self._filled) > _REMEMBERED:
                self._filled.pop(next(iter(self._filled)))
        known |= made
        return [(None, Usage()) if copy is None else known[copy.digest] for copy in copies]

    def _fill(self, copies: Sequence[Request]) -> list[tuple[Copy, Usage]]:
        if not copies:
            return []
        if self.items is not None:
            return self._with_items(copies, self.items)
        return self._completed(copies, self.words) if self.words is not None else [(copy, Usage()) for copy in copies]

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
