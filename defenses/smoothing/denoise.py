"""Denoisers that fill: who proposes what may have stood in the place of lost units.

A filler is given the copy and nothing else, so it cannot see what the copy lost; what it was fitted on must not hold
the user's own history. Then the certificate stands, because filling is a part of the function that is smoothed.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from audit.grounding import Grounder
from audit.targets import weights
from audit.text import clip, one_line
from audit.types import Catalog, Event, Request, Usage

if TYPE_CHECKING:
    from audit.data.dataset import Dataset
    from audit.targets.language_model import LanguageModel

MARK = "###"
"""Stands in the place of a lost unit, as in the released code."""

_ITEMS = Template(
    "A person chose: $kept.\nName $count other titles that this person probably chose too. "
    "Write titles only, one per line."
)
_LEAD = "1. "
_MARKED = Template(
    "Replace each $mark in this text by one fitting word and keep all other words as they are.\nText: $text\n"
    "Answer with the text alone."
)
_LOOSE = Template("Write one natural title that holds these words in this order: $text\nAnswer with the title alone.")
_TOKENS_PER_TITLE, _TOKENS_PER_WORD = 14, 4
_SHOWN = 120


@dataclass(frozen=True)
class Proposal:
    """What a filler proposes for one copy.

    Attributes:
        events: events to add, best first, each with the position of the kept event it belongs to; -1 for none.
        usage: what proposing cost.
    """

    events: tuple[tuple[Event, int], ...] = ()
    usage: Usage = field(default_factory=Usage)


class Filler(ABC):
    """Proposes items that go with a history.

    Attributes:
        counts: what became of the proposals: `accepted`, `unknown` title, `repeated` item, `nothing` proposed.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    @property
    @abstractmethod
    def identity(self) -> str:
        """What the proposals depend on, for the fingerprint."""

    @abstractmethod
    def propose(self, copies: Sequence[Request], counts: Sequence[int]) -> list[Proposal]:
        """Items that go with each copy's history.

        Args:
            copies: with kept events only.
            counts: most items per copy.
        """

    def _noted(self, proposal: Proposal) -> Proposal:
        self.counts["accepted" if proposal.events else "nothing"] += max(len(proposal.events), 1)
        return proposal


def taken(copy: Request) -> set[str]:
    """Ids that must not be added: an item on offer that suddenly stands in the history would change the question."""
    return {e.item.id for e in copy.user.history} | {c.id for c in copy.candidates or ()}


class CooccurrenceFill(Filler):
    """The items that go most with the kept ones, by cosine of the sets of people who have them.

    Args:
        dataset: a log without the users under audit.
    """

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self._dataset = dataset

    @property
    def identity(self) -> str:
        """The log."""
        return f"cooccurrence {self._dataset.digest}"

    @cached_property
    def _people(self) -> Any:  # noqa: ANN401 - a sparse matrix, for which SciPy has no one public type
        """(items, people) with columns such that the product of two rows is their cosine."""
        from scipy.sparse import csr_array

        users = {user: i for i, user in enumerate(self._dataset.user_ids)}
        items = np.concatenate([np.unique(self._dataset.sequences[user]) for user in users])
        people = np.repeat(np.arange(len(users)), [len(np.unique(self._dataset.sequences[u])) for u in users])
        degree = np.bincount(items, minlength=len(self._dataset.catalog)).astype(np.float64)
        weights_ = 1.0 / np.sqrt(degree[items])
        return csr_array((weights_, (items, people)), shape=(len(self._dataset.catalog), len(users)))

    def propose(self, copies: Sequence[Request], counts: Sequence[int]) -> list[Proposal]:
        """See `Filler.propose`. An added event has the rating and time of the kept one that it goes with most."""
        return [self._noted(self._one(copy, count)) for copy, count in zip(copies, counts, strict=True)]

    def _one(self, copy: Request, count: int) -> Proposal:
        started = time.perf_counter()
        index = self._dataset.index
        known = [(at, index[e.item.id]) for at, e in enumerate(copy.user.history) if e.item.id in index]
        if not known or count < 1:
            return Proposal()
        together: npt.NDArray[np.float64] = (self._people @ self._people[[i for _, i in known]].T).toarray()
        total = together.sum(axis=1)
        total[[index[i] for i in taken(copy) if i in index]] = 0.0
        found = []
        # The order of the catalogue decides a tie.
        for i in np.argsort(-total, kind="stable")[:count]:
            if total[i] <= 0:
                break
            at = known[int(together[i].argmax())][0]
            neighbour = copy.user.history[at]
            found.append((Event(self._dataset.catalog.items_in_order[i], neighbour.rating, neighbour.time), at))
        return Proposal(tuple(found), Usage(seconds=time.perf_counter() - started))


class Writer:
    """A language model that writes short texts, greedily.

    Args:
        lm: the model.
    """

    def __init__(self, lm: LanguageModel) -> None:
        self.lm = lm

    @classmethod
    def from_folder(cls, folder: str | Path) -> Writer:
        """The model in a folder.

        Raises:
            TargetError: it cannot be loaded.
        """
        from audit.targets.hf import language_model

        return cls(language_model(weights.load(folder)))

    @property
    def identity(self) -> str:
        """Digest of the weights."""
        return self.lm.identity

    def write(self, questions: Sequence[tuple[str, str]], tokens: Sequence[int]) -> list[tuple[str, Usage]]:
        """Answer each question.

        Args:
            questions: what is asked, and how the answer begins.
            tokens: most tokens of each answer.

        Returns:
            Per question the answer with its beginning, and what it cost.
        """
        prompts = self.lm.encode([self._prompt(question) + lead for question, lead in questions])
        written: dict[int, tuple[str, Usage]] = {}
        for most in sorted(set(tokens)):
            chosen = [i for i, t in enumerate(tokens) if t == most]
            started = time.perf_counter()
            answers = self.lm.generate([prompts[i] for i in chosen], max_new_tokens=most)
            seconds = (time.perf_counter() - started) / len(chosen)
            for i, answer in zip(chosen, answers, strict=True):
                usage = Usage(len(prompts[i]), len(answer), seconds, calls=1)
                written[i] = (questions[i][1] + self.lm.decode(answer), usage)
        return [written[i] for i in range(len(questions))]

    def _prompt(self, question: str) -> str:
        if not self.lm.tokenizer.chat_template:
            return f"{question}\n\n"
        before, after = self.lm.frame(("user",))
        return before + question + after


class LanguageFill(Filler):
    """A language model names titles that go with the kept ones; titles of no item in the catalogue are rejected.

    An added event has the rating that most kept events have.

    Args:
        writer: the model.
        catalog: the items it may name.
    """

    def __init__(self, writer: Writer, catalog: Catalog) -> None:
        super().__init__()
        self._writer = writer
        self._catalog = catalog

    @property
    def identity(self) -> str:
        """The model and the catalogue."""
        return f"language model {self._writer.identity} {self._catalog.digest}"

    @cached_property
    def _grounder(self) -> Grounder:
        return Grounder(self._catalog)

    def propose(self, copies: Sequence[Request], counts: Sequence[int]) -> list[Proposal]:
        """See `Filler.propose`."""
        asked = [i for i, count in enumerate(counts) if count > 0]
        questions = [(self._question(copies[i], counts[i]), _LEAD) for i in asked]
        tokens = [_TOKENS_PER_TITLE * counts[i] for i in asked]
        written = dict(zip(asked, self._writer.write(questions, tokens) if asked else (), strict=True))
        return [
            self._noted(self._read(copy, count, *written[i])) if i in written else Proposal()
            for i, (copy, count) in enumerate(zip(copies, counts, strict=True))
        ]

    @staticmethod
    def _question(copy: Request, count: int) -> str:
        kept = "; ".join(clip(one_line(e.item.title), _SHOWN) for e in copy.user.history)
        return _ITEMS.substitute(kept=kept or "nothing yet", count=count)

    def _read(self, copy: Request, count: int, text: str, usage: Usage) -> Proposal:
        closed = taken(copy)
        ratings = Counter(e.rating for e in copy.user.history)
        rating = ratings.most_common(1)[0][0] if ratings else None
        found: list[tuple[Event, int]] = []
        for entry in self._grounder.ground_list(text).ranked:
            if entry.item_id is None:
                self.counts["unknown"] += 1
            elif entry.item_id in closed:
                self.counts["repeated"] += 1
            elif len(found) < count:
                closed.add(entry.item_id)
                found.append((Event(self._catalog[entry.item_id], rating), -1))
        return Proposal(tuple(found), usage)


class WordFill:
    """A language model completes an item's text of which some words are lost.

    Rejected, so that the kept words stand alone: an answer that is empty, lacks a kept word or changes their order, or
    is longer than the text that was lost can have been. Marks that are left over are taken out.

    Attributes:
        counts: what became of the texts: `accepted`, `rejected`, `nothing` written, `marks` left over.

    Args:
        writer: the model.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.counts: Counter[str] = Counter()

    @property
    def identity(self) -> str:
        """The model."""
        return f"language model {self._writer.identity}"

    def complete(self, texts: Sequence[str], more: Sequence[int]) -> list[tuple[str, Usage]]:
        """Complete texts.

        Args:
            texts: kept words, with `MARK` for lost ones or without.
            more: most words to add to each.
        """
        questions = [
            (_MARKED.substitute(mark=MARK, text=text) if MARK in text else _LOOSE.substitute(text=text), "")
            for text in texts
        ]
        tokens = [_TOKENS_PER_WORD * (len(text.split()) + extra) for text, extra in zip(texts, more, strict=True)]
        written = self._writer.write(questions, tokens)
        return [
            (self._read(text, extra, answer), usage)
            for text, extra, (answer, usage) in zip(texts, more, written, strict=True)
        ]

    def _read(self, text: str, more: int, answer: str) -> str:
        kept = without_marks(text)
        line = next((line for line in answer.splitlines() if line.strip()), "").strip().strip("\"'“”")
        if MARK in line:
            self.counts["marks"] += 1
            line = without_marks(line)
        words = line.split()
        if not words:
            self.counts["nothing"] += 1
            return kept
        rest = iter(word.casefold() for word in words)
        holds = all(word.casefold() in rest for word in kept.split())
        if not holds or len(words) > len(kept.split()) + more:
            self.counts["rejected"] += 1
            return kept
        self.counts["accepted"] += 1
        return " ".join(words)


def without_marks(text: str) -> str:
    """The text without marks, its words one space apart."""
    return " ".join(re.sub(re.escape(MARK), " ", text).split())
