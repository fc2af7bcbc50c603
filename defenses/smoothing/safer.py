"""SAFER: votes over copies in which words are exchanged for synonyms from a fixed table."""

from __future__ import annotations

import itertools
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from audit.data import assets, wordnet
from audit.defense import Certificate, DefenseInfo
from audit.edits import Zone
from audit.errors import ConfigError
from audit.seeds import generator
from audit.target import Recommender, describe
from audit.types import Answer, Catalog, Request, Usage
from defenses.fields import Kind
from defenses.smoothing.ablation import Mode, Sampling
from defenses.smoothing.certify import Claims, Sample, Setting, from_sample
from defenses.smoothing.safer_bound import TableKernel, claims_of_all
from defenses.smoothing.smoothed import Copy, Smoothed
from defenses.smoothing.synonyms import SynonymTable, case_of, from_file, from_mapping, from_wordnet, written
from defenses.smoothing.texts import KINDS, check_kinds, free_texts, needed, rewritten
from defenses.smoothing.votes import Counting

_WORD = re.compile(r"(?<![\w'’-])[^\W\d_]+(?![\w'’-])")
"""Words of letters only: a word in the table is never part of another one."""
_CERTIFYING = 1 << 20
"""The draw of a random target that is behind a certificate; no answer has so high a number."""


class Safer:
    """Random synonyms, and the answer of the majority.

    The table is fixed: of WordNet, made once, or a file of one's own. An adversary who exchanges words for synonyms of
    the table moves the copies little, and often not at all: where a group of synonyms is small, every word of it draws
    from the whole group. That is what is certified: any `r` words, each exchanged for one of its synonyms in the same
    case. Other words, slips, marks and more or fewer words are outside of it.

    The published code divides the overlap of two sets by the size of one, which is wrong where the other is larger, and
    puts all texts into lower case. Here the sets of synonyms are equally large, and a word keeps its case: lower, Title
    or UPPER; a word in another one is left alone.

    Args:
        catalog: how many items a ranking without candidates is of, which its certificate needs.
        table: JSON file with one object, each word with a list of its synonyms; or such an object; None for WordNet,
            from the asset `wordnet`.
        senses: how many senses of a word of WordNet count, most frequent first.
        largest: K, the most words that one is drawn from.
        fields: kinds of text in which words are exchanged: `title`, `text`, `note`, `passage`, `turn`. The titles of
            candidates that are to be ranked are left alone, because the answer is matched with them.
        mode: `auto`, all copies where there are at most `limit` and the target is deterministic; or `monte-carlo`.
        samples: see `Sampling`.
        certify_samples: see `Sampling`.
        limit: see `mode`.
        alpha: see `Sampling`.
        seed: see `Sampling`.
        threshold: see `Counting`.

    Raises:
        ConfigError: an option that cannot be used, or a table that cannot be read.
    """

    def __init__(
        self,
        catalog: Catalog | None = None,
        *,
        table: str | Path | Mapping[str, Sequence[str]] | None = None,
        senses: int = 1,
        largest: int = 8,
        fields: Sequence[str] = KINDS,
        mode: Mode = "auto",
        samples: int = 100,
        certify_samples: int = 1000,
        limit: int = 300,
        alpha: float = 0.001,
        seed: int = 0,
        threshold: float = 0.5,
    ) -> None:
        if senses < 1:
            raise ConfigError(f"defenses.safer.senses: {senses} must be at least 1")
        if largest < 2:
            raise ConfigError(f"defenses.safer.largest: {largest} must be at least 2, a word and one synonym")
        self._kinds = check_kinds(fields, "safer")
        self._sampling = Sampling(mode, limit, samples, certify_samples, alpha, seed)
        self._sampling.check("safer")
        if mode == "exact":
            raise ConfigError("defenses.safer.mode: 'exact' must be auto, with a higher limit, or monte-carlo")
        self._counting = Counting(threshold=threshold)
        self._counting.check("safer")
        self._catalog_size = None if catalog is None else len(catalog)
        self._senses, self._largest = senses, largest
        self._given: SynonymTable | None = None
        where = "defenses.safer.table"
        if isinstance(table, Mapping):
            self._given = from_mapping(table, largest, where)
        elif table is not None:
            self._given = from_file(Path(table), largest, where)

    @cached_property
    def table(self) -> SynonymTable:
        """The table.

        Raises:
            AssetError: there is no WordNet.
        """
        if self._given is not None:
            return self._given
        return from_wordnet(assets.path("wordnet") / wordnet.PLACE, self._senses, self._largest)

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="safer",
            title="SAFER, random synonyms",
            why="What is said in other words of the same sense gets the same answer, whoever chose the words.",
            reference="Ye, Gong and Liu, SAFER, ACL 2020 (arXiv 2005.14424), theorem 1",
            family="smoothing",
            guards=frozenset({Zone.USER, Zone.SELLER, Zone.RETRIEVED}),
            calls=self._sampling.samples,
            randomised=True,
            needs=needed(self._kinds),
            tasks=("rank", "score"),
            limits="Anything that is no exchange within the table: slips, look-alike letters, inserted sentences, "
            "words that the table does not hold.",
        )

    def protect(self, target: Recommender) -> Reworded:
        """The target, asked in other words.

        Raises:
            AssetError: there is no WordNet.
        """
        return Reworded(
            target,
            self.info,
            table=self.table,
            kinds=self._kinds,
            sampling=self._sampling,
            counting=self._counting,
            catalog_size=self._catalog_size,
        )


@dataclass(frozen=True)
class Slot:
    """One word that may be exchanged.

    Attributes:
        field: of the text.
        start: first character.
        end: the character behind the last one.
        choices: what it is drawn from, in its case, itself included.
        overlap: its q.
    """

    field: str
    start: int
    end: int
    choices: tuple[str, ...]
    overlap: Fraction


class Reworded(Smoothed):
    """A target that is asked in other words.

    A request without a word of the table is answered by the bare target, and its certificate says so.

    Args:
        target: what is protected.
        defense: declaration of the defense.
        table: synonyms.
        kinds: kinds of text in which words are exchanged.
        sampling: how many copies, and which.
        counting: how votes become an answer; by share.
        catalog_size: how many items a ranking without candidates is of; None where that is not known.
    """

    unit = "word, by its synonyms"

    def __init__(
        self,
        target: Recommender,
        defense: DefenseInfo,
        *,
        table: SynonymTable,
        kinds: Sequence[Kind],
        sampling: Sampling,
        counting: Counting,
        catalog_size: int | None = None,
    ) -> None:
        options = {"table": table.digest, "fields": list(kinds), "sampling": vars(sampling), "catalog": catalog_size}
        super().__init__(target, defense, options, samples=sampling.samples, counting=counting)
        self.table = table
        self.kinds = kinds
        self.sampling = sampling
        self.catalog_size = catalog_size
        self._random_target = describe(target).randomised

    def slots(self, request: Request) -> list[Slot]:
        """The words of a request that may be exchanged, in their order."""
        found = []
        for text in free_texts(request, describe(self.target), self.kinds):
            for match in _WORD.finditer(text.text):
                word, case = match[0].lower(), case_of(match[0])
                if case is not None and word in self.table.synonyms:
                    choices = tuple(written(drawn, case) for drawn in self.table.draws(word))
                    found.append(Slot(text.field, match.start(), match.end(), choices, self.table.overlap(word)))
        return found

    def exact(self, slots: Sequence[Slot]) -> bool:
        """Whether a request with these words is answered from all its copies."""
        affordable = math.prod(len(slot.choices) for slot in slots) <= self.sampling.limit
        return affordable and self.sampling.mode == "auto" and not self._random_target

    def copies(self, request: Request, draw: int, n: int) -> Sequence[Copy]:
        """All copies, or n random ones; the request as it is where no word may be exchanged."""
        return self._copies(request, self.slots(request), str(draw), n)

    def _copies(self, request: Request, slots: Sequence[Slot], stream: str, n: int) -> list[Copy]:
        if not slots:
            return [request]
        if self.exact(slots):
            chosen = [list(words) for words in itertools.product(*(slot.choices for slot in slots))]
        else:
            rng = generator(self.sampling.seed, self.defense.id, request.digest, stream)
            drawn = [rng.integers(len(slot.choices), size=n).tolist() for slot in slots]
            chosen = [[s.choices[i] for s, i in zip(slots, row, strict=True)] for row in zip(*drawn, strict=True)]
        texts = {text.field: text.text for text in free_texts(request, describe(self.target), self.kinds)}
        return [rewritten(request, _exchanged(texts, slots, words)) for words in chosen]

    def vote(self, request: Request, answers: Sequence[Answer | None]) -> Answer:
        """See `Smoothed.vote`."""
        if not self.slots(request):
            (bare,) = answers
            return bare if bare is not None else Answer(outcome="error", detail="there is nothing to ask")
        return super().vote(request, answers)

    def certify(self, request: Request) -> Certificate:
        """See `audit.defense.Certifies`."""
        return self.certify_all([request])[0]

    def certify_all(self, requests: Sequence[Request]) -> list[Certificate]:
        """One certificate per request; see `audit.defense.Certifies`, and `Ablation.certify_all` for the sampling."""
        started = time.perf_counter()
        slots = [self.slots(request) for request in requests]
        first = [self._copies(r, s, "0", self.samples) for r, s in zip(requests, slots, strict=True)]
        answers, spent = self.ask_copies(requests, first, [0] * len(requests))
        bounding: list[list[Copy]] = [
            [] if not s or self.exact(s) else self._copies(r, s, "certify", self.sampling.certify_samples)
            for r, s in zip(requests, slots, strict=True)
        ]
        fresh, more = self.ask_copies(requests, bounding, [_CERTIFYING] * len(requests))
        seconds = (time.perf_counter() - started) / max(len(requests), 1)
        parts = zip(requests, slots, answers, fresh, spent, more, strict=True)
        return [self._certificate(r, s, a, f, u + v, seconds) for r, s, a, f, u, v in parts]

    def _certificate(
        self,
        request: Request,
        slots: Sequence[Slot],
        answers: Sequence[Answer | None],
        fresh: Sequence[Answer | None],
        usage: Usage,
        seconds: float,
    ) -> Certificate:
        kernel = TableKernel("K1", overlaps=tuple(sorted(slot.overlap for slot in slots)))
        exact = bool(slots) and self.exact(slots)
        votes = self.counting.votes(request, answers)
        if not slots:
            found = Claims(reason="no word of the request is in the table of synonyms")
        elif exact:
            found = claims_of_all(request, votes, kernel, self.counting)
        else:
            sample = Sample(votes, self.counting.votes(request, fresh), self.sampling.alpha, 1, self.catalog_size)
            found = from_sample(request, sample, Setting(kernel, len(slots), self.counting))
        counted = answers if exact else fresh
        return Certificate(
            digest=request.digest,
            answer=replace(self.vote(request, answers), usage=usage),
            claims=found.claims,
            method="exact" if exact else "monte-carlo",
            kernel="synonyms",
            unit=self.unit,
            units=len(slots),
            kept=float(sum(Fraction(1, len(slot.choices)) for slot in slots)),
            samples=len(counted),
            alpha=0.0 if exact else self.sampling.alpha,
            family=found.family,
            failures=sum(a is None or a.outcome != "ok" or not a.ranked for a in counted),
            calls=usage.calls,
            seconds=seconds,
            reason=found.reason,
        )


def _exchanged(texts: Mapping[str, str], slots: Sequence[Slot], words: Sequence[str]) -> dict[str, str]:
    """The texts in which words are exchanged."""
    pieces: dict[str, list[str]] = {}
    ends: dict[str, int] = {}
    for slot, word in zip(slots, words, strict=True):
        made = pieces.setdefault(slot.field, [])
        made += [texts[slot.field][ends.get(slot.field, 0) : slot.start], word]
        ends[slot.field] = slot.end
    return {field: "".join(made) + texts[field][ends[field] :] for field, made in pieces.items()}
