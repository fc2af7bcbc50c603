"""RecTextAttack: a seller searches, word by word, for a title that is recommended more."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rapidfuzz.distance import Levenshtein

from attacks.item_text.words import lookalikes, slips, synonyms, words_of
from audit.attack import AttackInfo, Edits, Feedback, Goal, Offer, Probe, Search, Steps, ThreatModel
from audit.attack.promotion import exposure_of, field_name, rewritten
from audit.attack.search import Scouting
from audit.attack.threat import Objective
from audit.edits import Zone, read_text
from audit.target import Input, TargetInfo
from audit.types import Answer, Request

_LETTER = re.compile(r"[^\W\d_]")
_PER_WORD = 2


Place = Literal["title", "description"]
_PLACES: tuple[Place, ...] = ("title", "description")


@dataclass(frozen=True)
class _Text:
    """Where the search stands: the pieces of each field, words and the white space between them."""

    pieces: Mapping[Place, tuple[str, ...]]

    def of(self, place: Place) -> str:
        return "".join(self.pieces[place])

    def put(self, place: Place, at: int, piece: str) -> _Text:
        old = self.pieces[place]
        return _Text({**self.pieces, place: (*old[:at], piece, *old[at + 1 :])})

    def without(self, place: Place, at: int) -> _Text:
        """The text without a word and the white space behind it, or before it at the end."""
        old = self.pieces[place]
        gone = {at, at + 1} if at + 1 < len(old) else {at, at - 1}
        return _Text({**self.pieces, place: tuple(piece for i, piece in enumerate(old) if i not in gone)})

    def words(self) -> list[tuple[Place, int]]:
        """Field and index of every piece with a letter in it."""
        return [(p, at) for p in _PLACES for at, piece in enumerate(self.pieces[p]) if _LETTER.search(piece)]


@dataclass(frozen=True)
class RecTextAttack(Search):
    """Greedy search over the words of the item's own text, most harmful first.

    A word's importance is what the item gains when it is deleted (delete-WIR). Each word in turn is then swapped for
    slips, letters drawn alike, synonyms, or followed by a word of a popular item, and the best of these is kept if it
    lifts the item. The text is the same for every user, and the search asks about a few of them only: what it comes to
    must be judged on the others.

    Where it departs from the published recipes (TextFooler, TextBugger, DeepWordBug, BERT-Attack, Punc): all
    transformations that need no downloaded model stand in one pool, and similarity is that of characters, measured on
    the edited field alone, since a sentence encoder over a whole prompt is diluted by what stands around it.

    Attributes:
        similarity: least similarity of a field to what it was: 1 - edits / length (Levenshtein), 0 to 1.
        popular: words of popular items that may be tried.
        wordnet: folder with WordNet's files, for synonyms; None for none.
    """

    similarity: float = 0.7
    popular: int = 12
    wordnet: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.similarity < 1:
            raise ValueError(f"similarity: {self.similarity} must be at least 0 and below 1; at 1 no edit is allowed")
        if self.popular < 0:
            raise ValueError(f"popular: {self.popular} must be at least 0")
        if self.wordnet is not None:
            synonyms("film", self.wordnet)  # a missing resource is said before anything is asked

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return AttackInfo(
            id="rectextattack",
            title="Item text rewritten by search (RecTextAttack)",
            why="Sellers write the text that the model reads, want their item up, and can watch the result.",
            reference="RecTextAttack, ACL 2024 (arXiv 2402.14836)",
            threat_model=ThreatModel(
                frozenset({Zone.SELLER}), max_edits=2, max_queries=None, sees="ranking", goal=Goal.PROMOTE
            ),
            needs=frozenset({Input.ITEM_TEXT}),
            tasks=("rank", "score"),
            severity="high",
        )

    def feedback(
        self,
        info: TargetInfo,
        request: Request,
        clean: Answer,
        objective: Objective,
        relevant: frozenset[str] | None,
    ) -> Feedback | None:
        """Exposure with a smooth term; see `Exposure`."""
        return exposure_of(info, request, objective)

    def search(self, probe: Probe) -> Steps:
        """Importance of each word, then greedy replacement in that order."""
        offer = Offer(self.catalog[str(probe.objective.item_id)], probe.request)
        clean = _Text({p: _split(read_text(probe.request, field_name(p, offer.item))) for p in _PLACES})
        # Half of the budget at the most goes into finding out where to write.
        words = clean.words()[: probe.left // 2]
        if not words:
            return ()
        base, *gains = yield Scouting([(), *(self._edits(offer, clean.without(place, at)) for place, at in words)])
        order = sorted(range(len(words)), key=lambda i: (-gains[i], i))
        shelf = self._shelf(probe)
        best, top = clean, base
        for place, at in (words[i] for i in order):
            word = clean.pieces[place][at]
            tried = [best.put(place, at, piece) for piece in self._swaps(word, shelf, probe)]
            tried = [text for text in tried if self._close(text.of(place), clean.of(place))][: probe.left]
            if not tried:
                continue
            losses = yield [self._edits(offer, text) for text in tried]
            if max(losses) > top:
                top = max(losses)
                best = tried[losses.index(top)]
        return self._edits(offer, best)

    def _edits(self, offer: Offer, text: _Text) -> Edits:
        return (*rewritten(offer, "title", text.of("title")), *rewritten(offer, "description", text.of("description")))

    def _close(self, text: str, clean: str) -> bool:
        return bool(text.strip()) and Levenshtein.normalized_similarity(text, clean) >= self.similarity

    def _swaps(self, word: str, shelf: list[str], probe: Probe) -> list[str]:
        """What may stand in the place of a word."""
        swaps = [*slips(word, probe.rng), *lookalikes(word, probe.rng)]
        if self.wordnet is not None:
            swaps += synonyms(word, self.wordnet)
        swaps += [f"{word} {shelf[int(i)]}" for i in probe.rng.permutation(len(shelf))[:_PER_WORD]]
        return list(dict.fromkeys(swaps))

    def _shelf(self, probe: Probe) -> list[str]:
        """Words of the items that the clean lists show first: what a seller would copy."""
        shown: dict[str, int] = {}
        for answer in probe.clean:
            for rank, name in enumerate(answer.ids[:5]):
                if name is not None and name != probe.objective.item_id:
                    shown[name] = shown.get(name, 0) + 5 - rank
        names = sorted((name for name in shown if name in self.catalog), key=lambda name: (-shown[name], name))
        return words_of([self.catalog[name].title for name in names])[: self.popular]


def _split(text: str) -> tuple[str, ...]:
    return tuple(re.split(r"(\s+)", text))
