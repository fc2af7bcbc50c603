"""From ruled claims to findings: S, X and U apart, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from audit import stats
from audit.claims import Ruling
from audit.claims.verification.ladder import RETRIEVAL_MISS
from audit.findings import Direction, Param
from audit.modules.base import Output
from audit.modules.hallucination import other_scores
from audit.modules.hallucination.claim_outcomes import KINDS, CheckedAnswer, ClaimCounts, State
from audit.modules.hallucination.claim_trust import Trust
from audit.modules.hallucination.claim_writer import PART, ClaimWriter, Counts, too_few
from audit.text import count, listed

TITLES = {
    "supported_rate": "Claims that the facts support",
    "contradicted_rate": "Claims that the facts contradict",
    "unverifiable_rate": "Claims that nothing could decide",
}
DIRECTIONS: Mapping[str, Direction] = {
    "supported_rate": "higher_is_better",
    "contradicted_rate": "higher_is_worse",
    "unverifiable_rate": "neither",
}
_SILENT: Mapping[State, tuple[str, str, str]] = {
    "refused": ("refused_rate", "Refusals (free text)", "refused"),
    "unparsable": ("unparsable_rate", "Answers that the target could not read itself (free text)", "unparsable"),
    "empty": ("empty_rate", "Answers without any text", "empty"),
    "error": ("error_rate", "Answers that failed (free text)", "failed"),
}
_KIND = {
    "input": "Answers that contradict the request",
    "context": "Answers that contradict themselves or their passages",
    "fact": "Answers that contradict the facts about an item",
}


@dataclass
class ClaimFindings(ClaimWriter):
    """Writes the findings of one set of answers.

    Attributes:
        believed: what the checker's own audit says.
        notes: what was taken from the user's documents, and what was left out.
    """

    believed: Trust = field(kw_only=True)
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    def output(self, gamma: float) -> Output:
        """All of them."""
        self._verdicts()
        self._quality()
        self._corrected()
        self._answers()
        self._history()
        self._passages()
        self._scores(gamma)
        return self.written

    def _verdicts(self) -> None:
        counts, hedged = self.outcomes.counts(), self.outcomes.counts(hedged=True)
        softened = int(hedged.claims.sum())
        guesses = f"{count(softened, 'claim')} said as a guess counted apart" if softened else ""
        for metric, hits in _by_metric(counts).items():
            missed = f"no passage was found about {self._missed} of them" if self._missed else ""
            notes = [self._silence(), guesses, *((missed, *self.notes) if metric == "unverifiable_rate" else ())]
            self.claims(
                metric, TITLES[metric], hits, counts.claims, PART, DIRECTIONS[metric], note=_joined(notes),
                unmet=self.believed.unmet, values=True, shown=self._evidence(TITLES[metric], hits),
            )  # fmt: skip
        if softened:
            self._three(hedged, "of those said as a guess", {**PART, "hedged": True})
        for predicate in self.outcomes.predicates:
            self._three(self.outcomes.counts(predicate=predicate), predicate, {**PART, "predicate": predicate})

    def _three(self, counts: ClaimCounts, of: str, params: Mapping[str, Param]) -> None:
        for metric, hits in _by_metric(counts).items():
            self.claims(metric, f"{TITLES[metric]}: {of}", hits, counts.claims, params, DIRECTIONS[metric])

    @property
    def _missed(self) -> int:
        plain = (ruling for one in self.outcomes.answers for ruling in one.chosen())
        return sum(r.verdict == "unverifiable" and RETRIEVAL_MISS in r.note for r in plain)

    def _quality(self) -> None:
        counts = self.outcomes.counts()
        self.claims(
            "claim_coverage", "Claims that could be decided", counts.decided, counts.claims, PART,
            "higher_is_better", note="supported or contradicted; the rest is neither true nor made up",
        )  # fmt: skip
        covered = f"{int(counts.decided.sum())} of {int(counts.claims.sum())} claims could be decided"
        self.claims(
            "claim_precision", "Supported claims among those that could be decided", counts.supported, counts.decided,
            PART, "higher_is_better", note=covered, unmet=self.believed.unmet, values=True,
        )  # fmt: skip
        per_answer = counts.claims.astype(np.float64)
        self.mean(
            "claims_per_answer", "Claims in an answer", dict(zip(self.ids, per_answer.tolist(), strict=True)), PART,
            direction="neither", note=f"plain claims; answers without any count as 0; {self._silence()}",
        )  # fmt: skip

    def _corrected(self) -> None:
        title, params = (
            "Claims that the facts contradict, corrected for the checker's errors",
            {**PART, "corrected": True},
        )
        counts, sample = self.outcomes.counts(), self.believed.sample
        if sample is None:
            self.card.skip("contradicted_rate", title, self.believed.reason, **params)
            return
        if reason := too_few(counts.contradicted, counts.claims):
            self.card.skip("contradicted_rate", title, reason, **params)
            return
        found = stats.corrected_rate(
            counts.contradicted, counts.claims, sample,
            rng=self.rng("corrected"), level=self.card.level, resamples=self.card.resamples,
        )  # fmt: skip
        if found.corrected is None or found.sensitivity is None or found.specificity is None:
            self.card.skip("contradicted_rate", title, found.reason, **params)
            return
        self.card.add(
            "contradicted_rate", title, found.corrected, n=int(np.count_nonzero(counts.claims)),
            direction="higher_is_worse", params=params, unit="answer", unmet=self.believed.unmet,
            note=f"{found.raw.estimate:.3f} before the correction; on planted claims the checker finds "
            f"{found.sensitivity.estimate:.3f} of the false ones and lets {found.specificity.estimate:.3f} of the "
            "others pass; planted errors are easier than natural ones, so this is rather too low than too high",
        )  # fmt: skip

    def _answers(self) -> None:
        counts = self.outcomes.counts()
        spoke = self.outcomes.in_state("claims")
        self.share(
            "respond_rate", "Answers that assert something that can be checked", spoke, PART, "neither",
            self._silence() or "all of them do",
        )  # fmt: skip
        for state, (metric, title, _) in _SILENT.items():
            hits = self.outcomes.in_state(state)
            shown = self._evidence(title, hits)
            self.share(metric, title, hits, PART, "higher_is_worse", shown=shown)
        whole = "answers that say nothing are among them, and contradict nothing"
        self.share(
            "contradicted_answer_rate", "Answers with a claim that the facts contradict",
            (counts.contradicted > 0).astype(np.int64), PART, "higher_is_worse", whole, unmet=self.believed.unmet,
        )  # fmt: skip
        for kind in KINDS:
            hits = np.array([int(one.kinds[kind] > 0) for one in self.outcomes.answers], dtype=np.int64)
            shown = self._evidence(_KIND[kind], hits)
            params = {**PART, "kind": kind}
            self.share(
                "contradicted_answer_rate", _KIND[kind], hits, params, "higher_is_worse", whole,
                unmet=self.believed.unmet, shown=shown,
            )  # fmt: skip
        shown = self._evidence("Contradicts itself", self.outcomes.conflicting, note=_clashes)
        self.share(
            "self_contradiction_rate", "Answers that contradict themselves", self.outcomes.conflicting, PART,
            "higher_is_worse", "an item with two values of what it can have but one of, or recommended and advised "
            "against", shown=shown,
        )  # fmt: skip

    def _history(self) -> None:
        title = "Things the user is said to have had that are not in the request's history"
        counts = self.outcomes.counts(predicate="in_history")
        shown = self._evidence("Invents a history", counts.contradicted)
        undecided = int(counts.unverifiable.sum())
        self.claims(
            "invented_history_rate", title, counts.contradicted, counts.claims, PART, "higher_is_worse",
            note=f"{undecided} of them could not be decided" if undecided else "", shown=shown, values=True,
        )  # fmt: skip

    def _passages(self) -> None:
        title = "Claims that the given passages contradict"
        given = sum(bool(one.contexts) for one in self.outcomes.answers)
        if not given:
            self.card.skip("passage_conflict_rate", title, "no request holds passages", **PART)
            return
        counts = self.outcomes.faithful
        shown = self._evidence(title, counts.contradicted, rulings=lambda one: one.faithful)
        decided = f"{int(counts.decided.sum())} of {int(counts.claims.sum())} claims could be decided by the passages"
        self.claims(
            "passage_conflict_rate", title, counts.contradicted, counts.claims, PART, "higher_is_worse",
            note=f"{decided}; this is faithfulness to them, not truth", shown=shown, values=True,
        )  # fmt: skip

    def _scores(self, gamma: float) -> None:
        counts = self.outcomes.counts()
        spoke = self.outcomes.in_state("claims")
        for penalty in (gamma, 0.0):
            scores = {
                case: score
                for case, s, n in zip(self.ids, counts.supported.tolist(), counts.claims.tolist(), strict=True)
                if (score := other_scores.factscore(s, n, penalty)) is not None
            }
            short = f"times exp(1 - {penalty:g}/n) where fewer than {penalty:g}" if penalty else "however few"
            self.mean(
                "factscore", "FActScore: supported among all claims of an answer", scores, {**PART, "gamma": penalty},
                direction="higher_is_better", bounds=(0.0, 1.0),
                note=f"{short}; {int(spoke.sum())} of {len(spoke)} answers respond, and only they have a score",
            )  # fmt: skip
        passages = any(one.contexts for one in self.outcomes.answers)
        params: dict[str, Param] = {**PART, "reference": "passages" if passages else "rows"}
        answers = self.outcomes.answers
        faithful = {o.case.id: s for o in answers if (s := other_scores.ragas_faithfulness(o)) is not None}
        context = "the request's passages" if passages else "the rows of the items that claims are about"
        self.mean(
            "ragas_faithfulness", "Faithfulness as RAGAS counts it", faithful, params, direction="higher_is_better",
            bounds=(0.0, 1.0), note=f"for comparison; the context is {context}; what is true and not in it counts as "
            f"unfaithful; {len(faithful)} of {len(answers)} answers have a statement",
        )  # fmt: skip
        self.mean(
            "deepeval_hallucination", "Hallucination as DeepEval counts it",
            {one.case.id: other_scores.deepeval_hallucination(one) for one in answers}, params,
            direction="higher_is_worse", bounds=(0.0, 1.0),
            note=f"for comparison; contexts that the answer contradicts, which are {context}; "
            "answers that say nothing score 0, the best there is",
        )  # fmt: skip

    def _evidence(
        self,
        title: str,
        hits: Counts,
        *,
        rulings: Callable[[CheckedAnswer], Sequence[Ruling]] = lambda one: one.rulings,
        note: Callable[[CheckedAnswer], str] | None = None,
    ) -> list[str]:
        """The answers with most of what a finding counts."""
        order = [i for i in np.argsort(-hits, kind="stable").tolist() if hits[i]]
        found = [self.outcomes.answers[i] for i in order[: self.examples]]
        return [
            self.sheet.show(
                one.case.id,
                title,
                one.case.request,
                note(one) if note else _summary(one, rulings(one)),
                claims=rulings(one),
            )
            for one in found
        ]

    def _silence(self) -> str:
        """How many answers say nothing, and why."""
        words = {state: word for state, (_, _, word) in _SILENT.items()} | {"no_claim": "without a claim"}
        found = [(int(self.outcomes.in_state(state).sum()), word) for state, word in words.items()]
        said = [f"{n} {word}" for n, word in found if n]
        return f"of {count(len(self.ids), 'answer')} {listed(said)}" if said else ""


def _by_metric(counts: ClaimCounts) -> Mapping[str, Counts]:
    return {
        "supported_rate": counts.supported,
        "contradicted_rate": counts.contradicted,
        "unverifiable_rate": counts.unverifiable,
    }


def _joined(notes: Sequence[str]) -> str:
    return "; ".join(note for note in notes if note)


def _summary(one: CheckedAnswer, rulings: Sequence[Ruling]) -> str:
    if not rulings:
        return f"no claim: {one.state}" if one.state != "claims" else "no claim about an item"
    plain = [r for r in rulings if not r.claim.hedged]
    said = [f"{sum(r.verdict == v for r in plain)} {v}" for v in ("supported", "contradicted", "unverifiable")]
    guesses = len(rulings) - len(plain)
    return listed(said) + (f"; {count(guesses, 'guess', 'guesses')} apart" if guesses else "")


def _clashes(one: CheckedAnswer) -> str:
    said = [f"{c.first.predicate} {c.first.object} and {c.second.object}: {c.reason}" for c in one.clashes[:3]]
    return "; ".join(said)
