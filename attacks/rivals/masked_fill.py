"""BAE: the words on which an answer rests are masked and filled in by a language model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal, get_args

from attacks.places import Place, in_order
from attacks.positioning import important_places
from attacks.rivals.insertions import check_counts
from attacks.rivals.language import Gap, check_folder, filler
from audit.attack import AttackInfo, Edits, Job, Probe, Search, Steps, ThreatModel
from audit.attack.feedback import UNREADABLE
from audit.edits import TextEdit, Zone, read_text
from audit.errors import ConfigError
from audit.target import Input
from audit.types import Request

Mode = Literal["BAE-R", "BAE-I", "BAE-R/I", "BAE-R+I"]
_BESIDE = ("before", "behind")
_MASKS = ("over", *_BESIDE)
_ALL = 1 << 30
_CORE = re.compile(r"\w+(?:['’-]\w+)*")


@dataclass(frozen=True)
class MaskedFill(Search):
    """Replace important words, or insert beside them, by what a language model holds likely there.

    Word by word, the most important first (positioning as for CheatAgent), each filling is tried on top of those that
    were kept; the best is kept if it raises the loss. Two departures from the paper, both in favour of the attack:
    fillings are not held to a sentence-similarity threshold or to the part of speech (how visible they are is
    reported), and they are proposed for the clean text, so that users who share an instruction share the model's work.
    Without a budget, the likeliest fillings go to random words.

    Attributes:
        mode: `BAE-R` replaces a word, `BAE-I` inserts one before or after it, `BAE-R/I` does whichever is worse for the
            target, `BAE-R+I` replaces and then inserts beside.
        words: most words that are attacked (3 in CheatAgent).
        candidates: most fillings tried for one gap (50 in the paper).
        masked_lm: a local folder with any Hugging Face masked language model; without one a causal model fills, see
            `attacks.rivals.language.CausalFiller`.
        agent: folder of that causal model; SmolLM2 by default.
    """

    mode: Mode = "BAE-R"
    words: int = 3
    candidates: int = 50
    masked_lm: str | None = None
    agent: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in get_args(Mode):
            raise ConfigError(f"mode: {self.mode!r} must be one of {', '.join(get_args(Mode))}")
        check_counts(words=self.words, candidates=self.candidates)
        check_folder("masked_lm", self.masked_lm)
        check_folder("agent", self.agent)

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        zones = frozenset({Zone.OPERATOR, Zone.USER, Zone.SELLER})
        return AttackInfo(
            id="masked-fill",
            title="Important words filled in by a language model (BAE)",
            why="Fluent replacements pass a reader and a spelling check, unlike typing slips.",
            reference="Garg and Ramakrishnan, BAE, EMNLP 2020 (arXiv 2004.01970); baseline BAE of Ning et al., "
            "CheatAgent, KDD 2024, section 4.1.3",
            threat_model=ThreatModel(zones, max_edits=self.words, max_queries=None, sees="scores"),
            needs=frozenset({Input.INSTRUCTION, Input.NOTE, Input.ITEM_TEXT}),
            severity="medium",
        )

    def search(self, probe: Probe) -> Steps:
        """Positioning, then word by word."""
        request = probe.request
        # Step 1 of BAE: words in the order of their importance, by the loss without each.
        ranked = yield from important_places(probe, _ALL, edits="words")
        places = [core for place in ranked if (core := _core(place, request))][: self.words]
        blind = probe.left < 1
        places = places if blind else places[: probe.left]
        if not places:
            return ()
        # Step 2: what the model would write at the masks.
        count = min(self.candidates, max(probe.left // len(places), 1))
        gaps = [_gaps(place, read_text(request, place.field), count) for place in places]
        wanted = [mask for mask in _MASKS if mask != "over" or "R" in self.mode]
        wanted = [mask for mask in wanted if mask == "over" or "I" in self.mode]
        filled = iter((yield Job(filler(self.agent, self.masked_lm), [one[mask] for one in gaps for mask in wanted])))
        fillings = [{mask: next(filled) for mask in wanted} for _ in places]
        # Step 3: the filling that hurts most, on top of those that were kept.
        kept: dict[Place, str] = {}
        best = UNREADABLE
        turns: tuple[tuple[str, ...], ...] = (("over",), _BESIDE) if self.mode == "BAE-R+I" else (tuple(wanted),)
        for number, place in enumerate(places):
            word = read_text(request, place.field)[place.start : place.end]
            room = max(probe.left // (len(places) - number) // len(turns), 1)
            for masks in turns:
                texts = _texts(kept.get(place, word), {mask: fillings[number][mask] for mask in masks})
                texts = texts[: 1 if blind else min(room, probe.left)]
                if texts and blind:
                    kept[place] = texts[0]
                elif texts:
                    losses = yield [_edits({**kept, place: text}) for text in texts]
                    top = max(range(len(texts)), key=lambda i: losses[i])
                    if losses[top] > best:
                        best, kept[place] = losses[top], texts[top]
        return _edits(kept)


def _core(place: Place, request: Request) -> Place | None:
    """The word without the punctuation around it."""
    found = _CORE.search(read_text(request, place.field)[place.start : place.end])
    return None if found is None else replace(place, start=place.start + found.start(), end=place.start + found.end())


def _gaps(place: Place, text: str, count: int) -> dict[str, Gap]:
    """The masks of one word: over it, before it and behind it."""
    return {
        "over": Gap(text[: place.start].rstrip(), text[place.end :], count),
        "before": Gap(text[: place.start].rstrip(), f" {text[place.start :]}", count),
        "behind": Gap(text[: place.end], text[place.end :], count),
    }


def _texts(word: str, fillings: Mapping[str, Sequence[str]]) -> list[str]:
    """What may stand in the place of a word: the likeliest filling of each mask first, then the second ones."""
    texts = []
    for row in zip_longest(*fillings.values()):
        for mask, new in zip(fillings, row, strict=True):
            if new is None or (mask == "over" and new.casefold() == word.casefold()):
                continue
            cased = new[:1].upper() + new[1:] if mask == "over" and word[:1].isupper() else new
            texts.append({"over": cased, "before": f"{new} {word}", "behind": f"{word} {new}"}[mask])
    return texts


def _edits(kept: Mapping[Place, str]) -> Edits:
    return in_order((place, TextEdit(place.field, place.start, place.end, text)) for place, text in kept.items())
