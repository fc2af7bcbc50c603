"""`Ablation`: smoothing over copies that keep some units of the request, with certificates.

A subclass says what the units are (`units`), and what a copy that keeps some of them looks like (`keep`). It must see
to it that nothing of a lost unit is left anywhere in the copy: not in a mark's number, a total, or another field.

What a certificate is about: edits of units. Whatever else is in the request (instruction, candidates, note, attributes,
passages) is in every copy, so nothing is certified against a change of it.
"""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from audit.defense import Certificate, Claim, DefenseInfo, EditKind
from audit.errors import ConfigError
from audit.seeds import generator
from audit.target import Recommender, describe
from audit.types import Answer, Request, Usage
from defenses.smoothing.certify import Sample, Setting, from_all, from_sample
from defenses.smoothing.kernels import Kept, Kernel
from defenses.smoothing.smoothed import Copy, Smoothed
from defenses.smoothing.votes import Counting

_CERTIFYING = 1 << 20
"""The draw of a random target that is behind a certificate; no answer has so high a number."""

Mode = Literal["auto", "exact", "monte-carlo"]
Certifier = Literal["strict", "heuristic-released-code"]


@dataclass(frozen=True)
class Sampling:
    """How kept sets are chosen, and how surely is certified.

    Attributes:
        mode: `exact`, all kept sets; `monte-carlo`, random ones; `auto`, exact where there are at most `limit` kept
            sets and the target is deterministic.
        limit: see `mode`.
        samples: copies behind an answer, where they are random; the statements to certify are chosen on them.
        certify_samples: fresh copies on which the statements are bounded.
        alpha: chance, at most, that any statement certified for a request is false.
        seed: of the draws. In a service keep it secret and change it: who knows it knows which copies will be drawn.
        certificate: `strict`; or `heuristic-released-code`, the numbers of the published code for comparison, which are
            no certificates.
    """

    mode: Mode = "auto"
    limit: int = 300
    samples: int = 100
    certify_samples: int = 1000
    alpha: float = 0.001
    seed: int = 0
    certificate: Certifier = "strict"

    def check(self, defense: str) -> None:
        """Raise ConfigError for a setting that cannot be used, named as an option of this defense."""
        where = f"defenses.{defense}"
        for name, known in (("mode", get_args(Mode)), ("certificate", get_args(Certifier))):
            if getattr(self, name) not in known:
                raise ConfigError(f"{where}.{name}: {getattr(self, name)!r} must be one of {', '.join(known)}")
        for name in ("limit", "samples", "certify_samples"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{where}.{name}: {getattr(self, name)} must be at least 1")
        if not 0 < self.alpha < 0.5:
            raise ConfigError(f"{where}.alpha: {self.alpha} must lie between 0 and 0.5, such as 0.001")


class Ablation(Smoothed):
    """Smoothing over kept units.

    The answer to a request that has too few units for the kernel is that of the bare target, and its certificate says
    so: it is neither left out nor certified.

    Args:
        target: what is protected.
        defense: declaration of the defense.
        options: see `Defended`. What the other arguments hold is added.
        kernel: which units a copy keeps.
        sampling: how many copies, and which.
        counting: how votes become an answer.
        unit: name of a unit, for reports.
        window: most units of a request that count, latest first; the others are lost in every copy. None for all.
        catalog_size: how many items a ranking without candidates is of; None where that is not known.

    Raises:
        ConfigError: exact mode for a target that draws its answers, or a kernel whose kept sets are not equally likely.
    """

    def __init__(
        self,
        target: Recommender,
        defense: DefenseInfo,
        options: Mapping[str, object],
        *,
        kernel: Kernel,
        sampling: Sampling,
        counting: Counting,
        unit: str,
        window: int | None = None,
        catalog_size: int | None = None,
    ) -> None:
        chosen = {"kernel": vars(kernel), "sampling": vars(sampling), "unit": unit, "window": window}
        super().__init__(target, defense, {**options, **chosen}, samples=sampling.samples, counting=counting)
        self.kernel = kernel
        self.sampling = sampling
        self.unit = unit
        self.window = window
        self.catalog_size = catalog_size
        self._random_target = describe(target).randomised
        if sampling.mode == "exact":
            if kernel.name == "K3":
                raise ConfigError(
                    f"defenses.{defense.id}.mode: the kept sets of K3 are not equally likely; use monte-carlo or auto"
                )
            if self._random_target:
                raise ConfigError(
                    f"defenses.{defense.id}.mode: {describe(target).name} draws its answers at random, so counting all "
                    "kept sets is not exact; use monte-carlo or auto"
                )

    @abstractmethod
    def units(self, request: Request) -> int:
        """How many units there are, before any window."""

    @abstractmethod
    def keep(self, request: Request, kept: Sequence[int]) -> Copy:
        """A copy that keeps the units at these positions, ascending; None where nothing is left to ask."""

    def parts(self, request: Request) -> Sequence[Request]:
        """Requests to smooth each by itself, such as one per candidate; by default the request as it is."""
        return (request,)

    def whole(self, request: Request, answers: Sequence[Answer]) -> Answer:
        """The answer to a request from the answers to its parts."""
        return answers[0]

    def exact(self, units: int) -> bool:
        """Whether a request of so many units is answered from all its kept sets."""
        if self.sampling.mode != "auto":
            return self.sampling.mode == "exact"
        return not self._random_target and 0 < self.kernel.count(units) <= self.sampling.limit

    def counted_units(self, request: Request) -> int:
        """How many units count: all, or the latest of the window."""
        units = self.units(request)
        return units if self.window is None else min(units, self.window)

    def copies(self, request: Request, draw: int, n: int) -> Sequence[Copy]:
        """All copies, or n random ones; the request as it is where it has too few units."""
        return self._made(request, self._kept(request, str(draw), n))

    def _made(self, request: Request, kept: Sequence[Kept] | None) -> list[Copy]:
        if kept is None:
            return [request]
        first = self.units(request) - self.counted_units(request)
        # Kept sets repeat, and equal ones are one object with one digest.
        made = {positions: self.keep(request, [first + p for p in positions]) for positions in dict.fromkeys(kept)}
        return [made[positions] for positions in kept]

    def _kept(self, request: Request, stream: str, n: int) -> list[Kept] | None:
        """Kept sets of one request, counted from the first unit of the window; None where there are too few units."""
        units = self.counted_units(request)
        if units < self.kernel.fewest:
            return None
        if self.exact(units):
            return list(self.kernel.enumerate(units))
        rng = generator(self.sampling.seed, self.defense.id, request.digest, stream)
        return self.kernel.draw(units, n, rng)

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> Sequence[Answer]:
        """Answer each part of each request by votes, and put the parts together."""
        parts = [self.parts(request) for request in requests]
        flat = [part for found in parts for part in found]
        of_parts = [draw for draw, found in zip(draws, parts, strict=True) for _ in found]
        sets = [self.copies(part, draw, self.samples) for part, draw in zip(flat, of_parts, strict=True)]
        asked, spent = self.ask_copies(flat, sets, of_parts)
        answers = iter(
            replace(self._answer(part, found), usage=usage)
            for part, found, usage in zip(flat, asked, spent, strict=True)
        )
        return [
            self._put_together(request, [next(answers) for _ in found])
            for request, found in zip(requests, parts, strict=True)
        ]

    def _answer(self, part: Request, answers: Sequence[Answer | None]) -> Answer:
        if self.counted_units(part) < self.kernel.fewest:
            (bare,) = answers
            return bare if bare is not None else Answer(outcome="error", detail="there is nothing to ask")
        return self.vote(part, answers)

    def _put_together(self, request: Request, answers: Sequence[Answer]) -> Answer:
        return replace(self.whole(request, answers), usage=sum((a.usage for a in answers), Usage()))

    def certify(self, request: Request) -> Certificate:
        """See `audit.defense.Certifies`."""
        return self.certify_all([request])[0]

    def certify_all(self, requests: Sequence[Request]) -> list[Certificate]:
        """One certificate per request; see `audit.defense.Certifies`.

        Random copies: the answer is draw 0, its statements are chosen on that draw and bounded on fresh copies, with
        alpha split over all statements of the request.
        """
        started = time.perf_counter()
        parts = [self.parts(request) for request in requests]
        flat = [part for found in parts for part in found]
        kept = [self._kept(part, "0", self.samples) for part in flat]
        asked, spent = self.ask_copies(
            flat, [self._made(part, sets) for part, sets in zip(flat, kept, strict=True)], [0] * len(flat)
        )
        fresh = [
            None
            if sets is None or self.exact(self.counted_units(part))
            else self._kept(part, "certify", self.sampling.certify_samples)
            for part, sets in zip(flat, kept, strict=True)
        ]
        bounding = [[] if sets is None else self._made(part, sets) for part, sets in zip(flat, fresh, strict=True)]
        judged, more = self.ask_copies(flat, bounding, [_CERTIFYING] * len(flat))
        seconds = (time.perf_counter() - started) / max(len(requests), 1)
        found = iter(
            _Part(part, sets, answers, fresh_answers, usage + extra)
            for part, sets, answers, fresh_answers, usage, extra in zip(
                flat, kept, asked, judged, spent, more, strict=True
            )
        )
        return [
            self._certificate(request, [next(found) for _ in mine], seconds)
            for request, mine in zip(requests, parts, strict=True)
        ]

    def _certificate(self, request: Request, parts: Sequence[_Part], seconds: float) -> Certificate:
        answers = [replace(self._answer(p.request, p.answers), usage=p.usage) for p in parts]
        answer = self._put_together(request, answers)
        units = [self.counted_units(p.request) for p in parts]
        covered = [p for p in parts if p.kept is not None]
        exact = all(self.exact(self.counted_units(p.request)) for p in covered) and bool(covered)
        heuristic = self.sampling.certificate == "heuristic-released-code"
        claims: list[Claim] = []
        family, reason = 1, ""
        if not covered:
            reason = f"{min(units, default=0)} {self.unit}s are fewer than the {self.kernel.fewest} that a copy keeps"
        if request.task == "score" and not self.decides:
            covered, reason = [], "the scores of this target are no probabilities of a yes, so there is no decision"
        for part in covered:
            h = self.counted_units(part.request)
            setting = Setting(self.kernel, h, self.counting, self.window, heuristic)
            votes = self.counting.votes(part.request, part.answers)
            if self.exact(h):
                found = from_all(part.request, votes, part.kept or (), setting, self._most(h))
            else:
                fresh = self.counting.votes(part.request, part.fresh)
                sample = Sample(votes, fresh, self.sampling.alpha, len(parts), self.catalog_size)
                found = from_sample(part.request, sample, setting)
            claims += found.claims
            family = max(family, found.family)
            reason = reason or found.reason
        counted = [p.answers if exact else p.fresh for p in covered]
        return Certificate(
            digest=request.digest,
            answer=answer,
            claims=tuple(claims),
            method="heuristic-released-code" if heuristic else "exact" if exact else "monte-carlo",
            kernel=self.kernel.name,
            unit=self.unit,
            units=min((self.counted_units(p.request) for p in covered), default=min(units, default=0)),
            kept=self.kernel.keeps(min(units, default=0)) if self.kernel.name == "K3" else self.kernel.kept,
            samples=min((len(found) for found in counted), default=0),
            alpha=0.0 if exact else self.sampling.alpha,
            family=family,
            failures=sum(a is None or a.outcome != "ok" or not a.ranked for found in counted for a in found),
            calls=sum(p.usage.calls for p in parts),
            seconds=seconds,
            reason="" if claims else reason or "no statement could be made: no copy got a readable answer",
        )

    def _most(self, units: int) -> dict[EditKind, int]:
        """The most insertions after which `auto` still counts all kept sets, as it must for an exact certificate."""
        limit, kept = self.sampling.limit, self.kernel.kept
        if self.sampling.mode != "auto" or (self.window is not None and math.comb(self.window, kept) <= limit):
            return {}
        size = units
        while math.comb(size + 1, kept) <= limit and size - units < limit:
            size += 1
        return {"insertion": size - units}


@dataclass(frozen=True)
class _Part:
    request: Request
    kept: Sequence[Kept] | None
    answers: Sequence[Answer | None]
    fresh: Sequence[Answer | None]
    usage: Usage
