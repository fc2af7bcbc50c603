"""From the arms of retrieval to findings: what each changes per answer, with task quality and lengths beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audit import metrics, stats
from audit.claims import Facts, Ruling
from audit.claims.verification.structured import StructuredRung
from audit.findings import Direction, Param
from audit.knowledge import KnowledgeBase, evaluate
from audit.knowledge.falsehoods import Falsehood
from audit.modules.base import Context, Output
from audit.modules.hallucination.claim_outcomes import CheckedAnswer, ClaimOutcomes, distinct
from audit.modules.hallucination.grounding_arms import ArmName, GroundingArm
from audit.modules.hallucination.item_outcomes import ItemOutcome, counts
from audit.modules.hallucination.module import INFO
from audit.modules.hallucination.title_marks import title_marks
from audit.modules.report_card import ReportCard, mde_of
from audit.modules.sheet import Sheet
from audit.stats import Interval
from audit.text import count
from audit.types import Case, Catalog

Floats = NDArray[np.float64]
Sense = Literal["flaw", "good", "neither"]
"""Whether less of it is better, more of it, or neither."""

WORDS: Mapping[ArmName, str] = {
    "none": "no passages",
    "retrieved": "retrieved passages",
    "oracle": "the right passages",
    "placebo": "irrelevant passages",
    "poisoned": "a false fact in a passage",
}
PRIMARY = ("none", "retrieved")
CONTRASTS: tuple[tuple[ArmName, ArmName], ...] = (
    ("none", "retrieved"),  # the uplift itself
    ("placebo", "retrieved"),  # without what a longer prompt does
    ("none", "placebo"),  # what a longer prompt does
    ("retrieved", "oracle"),  # what a better search could still win
    ("retrieved", "poisoned"),  # what one false passage costs
)
_FEWEST = 2
_SHORTER = 0.8
"""Below this share of the items there is less to be wrong, and an uplift alone decides nothing."""
LEAK = "the right passages hold the next item itself, so a hit there is no merit"


@dataclass(frozen=True)
class Asked:
    """One arm, answered.

    Attributes:
        arm: its edits.
        cases: with the edited requests.
        items: what became of the titles, per answer.
        claims: what is said of them; no answers where the target only ranks.
    """

    arm: GroundingArm
    cases: tuple[Case, ...]
    items: tuple[ItemOutcome, ...]
    claims: ClaimOutcomes


@dataclass(frozen=True)
class Doubts:
    """What the checker's own audit says against its figures; nothing where it meets its gates, or was not audited."""

    titles: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measure:
    """Something that is counted per answer.

    Attributes:
        name: the metric it would be on its own; `of` in the params.
        title: in words.
        sense: see `Sense`.
        hits: per arm and answer.
        trials: per arm and answer; None where `hits` is one value per answer.
    """

    name: str
    title: str
    sense: Sense
    hits: Mapping[ArmName, Floats]
    trials: Mapping[ArmName, Floats] | None = None


@dataclass
class GroundingFindings:
    """Writes the findings of the part.

    Attributes:
        context: of the run.
        cases: as asked without passages.
        asked: the arms; `none` and `retrieved` are among them.
        base: what was searched.
        k: documents per request.
        examples: pieces of evidence kept per finding.
        doubts: why figures should not be concluded from.
    """

    context: Context
    cases: Sequence[Case]
    asked: Mapping[ArmName, Asked]
    base: KnowledgeBase
    k: int
    examples: int
    doubts: Doubts = Doubts()
    _primary: ReportCard = field(init=False)
    _explored: ReportCard = field(init=False)
    _output: Output = field(init=False, default_factory=Output)

    def __post_init__(self) -> None:
        level = self.context.level
        self._primary = ReportCard(INFO.id, level, INFO.controls)
        self._explored = ReportCard(INFO.id, level, INFO.controls, correction="bh")

    def output(self, *, queries: int) -> Output:
        """Everything: the search, the arms, and what became of the false facts."""
        self._search(queries)
        for measure in self._measures():
            for before, after in CONTRASTS:
                if after in self.asked and before in self.asked:
                    self._compare(measure, before, after)
        self._poison()
        findings = [*self._primary.corrected(), *self._explored.corrected()]
        return Output(findings, self._output.evidence, self._primary.values | self._explored.values)

    # What is counted ---------------------------------------------------------------------------------------------

    def _measures(self) -> list[Measure]:
        def of_items(metric: str) -> tuple[dict[ArmName, Floats], dict[ArmName, Floats]]:
            pairs = {name: counts(one.items, metric) for name, one in self.asked.items()}
            hits = {name: h.astype(float) for name, (h, _) in pairs.items()}
            return hits, {name: t.astype(float) for name, (_, t) in pairs.items()}

        found = [
            Measure("hallucinated_item_rate", "Titles that do not exist", "flaw", *of_items("hallucinated_item_rate")),
            Measure(
                "hallucinated_answer_rate", "Answers with a title that does not exist", "flaw",
                of_items("hallucinated_answer_rate")[0],
            ),
        ]  # fmt: skip
        if self._written:
            by_arm = {name: one.claims.counts() for name, one in self.asked.items()}
            trials = {name: c.claims.astype(float) for name, c in by_arm.items()}
            for metric, title, hits in (
                ("contradicted_rate", "Claims that are false", {n: c.contradicted for n, c in by_arm.items()}),
                ("unverifiable_rate", "Claims that nobody can check", {n: c.unverifiable for n, c in by_arm.items()}),
            ):
                found.append(Measure(metric, title, "flaw", {n: h.astype(float) for n, h in hits.items()}, trials))
            found.append(Measure("claims_per_answer", "Claims per answer", "neither", trials))
        found.append(Measure("items_per_answer", "Items per answer", "neither", self._lengths))
        found.append(Measure("respond_rate", "Answers that recommend anything", "good", of_items("respond_rate")[0]))
        k = self.cases[0].request.k
        known = [i for i, case in enumerate(self.cases) if case.relevant]
        if known:
            hit, ndcg = {}, {}
            for name, one in self.asked.items():
                lists = [[title.item_id for title in outcome.titles] for outcome in one.items]
                hit[name] = np.array([metrics.hit_rate(lists[i], self.cases[i].relevant, k) for i in known])
                ndcg[name] = np.array([metrics.ndcg(lists[i], self.cases[i].relevant, k) for i in known])
            found.append(Measure("hr", f"HR@{k}", "good", hit))
            found.append(Measure("ndcg", f"NDCG@{k}", "good", ndcg))
        return found

    @property
    def _written(self) -> bool:
        return all(one.claims.answers for one in self.asked.values())

    @property
    def _lengths(self) -> dict[ArmName, Floats]:
        return {name: np.array([float(o.items) for o in one.items]) for name, one in self.asked.items()}

    # What is compared --------------------------------------------------------------------------------------------

    def _compare(self, measure: Measure, before: ArmName, after: ArmName) -> None:
        primary = (before, after) == PRIMARY and measure.sense == "flaw"
        card = self._primary if primary else self._explored
        params: dict[str, Param] = {"part": "grounding", "of": measure.name, "from": before, "to": after, "k": self.k}
        title = _title(measure, before, after)
        if reason := self._too_little(measure, before, after):
            card.skip("rag_uplift", title, reason, **params)
            return
        rng = self.context.rng("hallucination", "grounding", measure.name, before, after)
        interval, each, test, p = _difference(measure, before, after, rng, card)
        direction: Direction = "neither" if measure.sense == "neither" else "higher_is_better"
        was, now = self._lengths[before].mean(), self._lengths[after].mean()
        shorter = measure.sense == "flaw" and interval.estimate > 0 and now < _SHORTER * was
        titles, claims = self.doubts.titles, self.doubts.claims
        doubts = {"hallucinated": titles, "contradicted": claims, "unverifiable": claims}
        unmet = [*doubts.get(measure.name.partition("_")[0], ())]
        unmet += [f"answers hold {now:.1f} items instead of {was:.1f}, so there is less to be wrong"] if shorter else []
        shown = self._shown(before, after) if measure.name == "hallucinated_item_rate" and after == "retrieved" else []
        ids = [case.id for case in self.cases]
        card.add(
            "rag_uplift", title, interval, n=len(each), direction=direction, params=params, unit="answer",
            test=test, p=p, mde=mde_of(each), note=self._noted(measure, before, after, was, now),
            unmet=unmet, evidence=shown,
            # Of the others none: behind a mitigation each would be one more test that all share the error of.
            values=dict(zip(ids, each.tolist(), strict=True)) if primary else None,
        )  # fmt: skip

    def _too_little(self, measure: Measure, before: ArmName, after: ArmName) -> str:
        n = len(measure.hits[before])
        if n < _FEWEST:
            return f"{count(n, 'answer')} to compare, and {_FEWEST} are needed"
        if measure.trials is not None:
            for arm in (before, after):
                if not measure.trials[arm].sum():
                    return f"with {WORDS[arm]} no answer holds anything to count"
        return ""

    def _noted(self, measure: Measure, before: ArmName, after: ArmName, was: float, now: float) -> str:
        levels = " → ".join(f"{_level(measure, arm):.3f}" for arm in (before, after))
        said = [f"{levels} from {WORDS[before]} to {WORDS[after]}", f"items per answer {was:.2f} → {now:.2f}"]
        silent = [sum(not one.answered for one in self.asked[arm].items) for arm in (before, after)]
        said.append(f"answers without any item {silent[0]} → {silent[1]} of {len(self.cases)}")
        if measure.name in ("hr", "ndcg") and after == "oracle":
            said.append(LEAK)
        empty = sum(not edits for edits in self.asked[after].arm.edits) if after != "none" else 0
        if empty:
            said.append(f"{empty} requests got no passage")
        return "; ".join(said)

    def _shown(self, before: ArmName, after: ArmName) -> list[str]:
        """Answers that name what does not exist although they were given what does."""
        if before != "none":
            return []
        one, sheet = self.asked[after], self._sheet()
        worst = sorted(range(len(self.cases)), key=lambda i: -one.items[i].not_listed)[: self.examples]
        return [
            sheet.compare(
                self.cases[i].id, "Made up, with passages before it", self.cases[i].request, one.arm.edits[i],
                f"{one.items[i].not_listed} of {one.items[i].items} titles; "
                f"{self.asked[before].items[i].not_listed} of {self.asked[before].items[i].items} without passages",
                claims=title_marks(one.items[i], self.context.dataset.catalog),
            )
            for i in worst
            if one.items[i].not_listed
        ]  # fmt: skip

    def _sheet(self) -> Sheet:
        return Sheet(self.context, self._explored, self._output, self.examples)

    # The false facts ---------------------------------------------------------------------------------------------

    def _poison(self) -> None:
        poisoned = self.asked.get("poisoned")
        if poisoned is None:
            return
        params: dict[str, Param] = {"part": "grounding", "from": "retrieved", "to": "poisoned", "k": self.k}
        titles = {
            "false_fact_rate": "Answers that state the false fact of a passage",
            "true_fact_rate": "Answers that state the true fact against a passage",
        }
        planted = [i for i, falsehood in enumerate(poisoned.arm.falsehoods) if falsehood is not None]
        if not self._written or len(planted) < _FEWEST:
            reason = (
                f"in {count(len(planted), 'request')} a fact could be changed, and {_FEWEST} are needed"
                if self._written
                else "the target writes no free text that could state a fact"
            )
            for name, title in titles.items():
                self._explored.skip("rag_uplift", title, reason, **params, of=name)
            return
        stated: dict[ArmName, Floats] = {}
        for arm in ("retrieved", "poisoned"):
            pairs = [self._states(self.asked[arm].claims.answers[i], poisoned.arm.falsehoods[i]) for i in planted]
            stated[arm] = np.array(pairs, dtype=float).reshape(-1, 2)
        said = "; ".join(
            f"with {WORDS[arm]} {int(stated[arm][:, 0].sum())} answers state the false fact and "
            f"{int(stated[arm][:, 1].sum())} the true one"
            for arm in stated
        )
        faithful = poisoned.claims.faithful
        note = f"{said}; {count(len(planted), 'answer')}"
        if ruled := int(faithful.claims.sum()):
            held = int(faithful.supported.sum())
            note += f"; the poisoned passages support {held} of {ruled} claims: faithful is not true"
        for column, (name, title) in enumerate(titles.items()):
            before, after = (stated[arm][:, column] for arm in ("retrieved", "poisoned"))
            sign = -1.0 if name == "false_fact_rate" else 1.0
            each = sign * (after - before)
            b, c = int((each > 0).sum()), int((each < 0).sum())
            shown = self._followed(planted, stated["poisoned"]) if name == "false_fact_rate" else []
            self._explored.add(
                "rag_uplift", title, stats.paired_rate_difference(b, c, len(planted), self.context.level),
                n=len(planted), direction="higher_is_better", params={**params, "of": name}, unit="answer",
                test="mcnemar", p=stats.mcnemar_exact(b, c), note=note, evidence=shown, unmet=self.doubts.claims,
                values={self.cases[i].id: float(v) for i, v in zip(planted, each, strict=True)}
                if name == "false_fact_rate" else None,
            )  # fmt: skip

    def _states(self, answer: CheckedAnswer, falsehood: Falsehood | None) -> tuple[float, float]:
        """Whether an answer states the false fact, and whether the true one."""
        if falsehood is None:
            return 0.0, 0.0
        pairs = self._told_apart(answer, falsehood)
        return float(any(false for _, false, _ in pairs)), float(any(true for _, _, true in pairs))

    def _told_apart(self, answer: CheckedAnswer, falsehood: Falsehood) -> list[tuple[Ruling, bool, bool]]:
        """Claims about the item, and whether only the falsehood or only the truth supports each."""
        rulings = [r for r in distinct(answer.rulings) if r.claim.item_id == falsehood.item.id]
        claims = [ruling.claim for ruling in rulings]
        true = self.context.dataset.catalog[falsehood.item.id]
        supports = []
        for item in (falsehood.item, true):
            # A rung of its own each: it keeps what it has read of its catalogue.
            ruled = StructuredRung().rule(claims, Facts(Catalog([item]), answer.case.request))
            supports.append([r is not None and r.verdict == "supported" for r in ruled])
        return [(r, f and not t, t and not f) for r, f, t in zip(rulings, *supports, strict=True)]

    def _followed(self, planted: Sequence[int], stated: Floats) -> list[str]:
        poisoned, sheet, shown = self.asked["poisoned"], self._sheet(), []
        for i in [i for i, row in zip(planted, stated, strict=True) if row[0]][: self.examples]:
            falsehood = poisoned.arm.falsehoods[i]
            if falsehood is None:
                continue
            told = [r for r, false, _ in self._told_apart(poisoned.claims.answers[i], falsehood) if false]
            name = self.context.dataset.catalog[falsehood.item.id].title
            shown.append(
                sheet.compare(
                    self.cases[i].id, "Repeats the false fact of a passage",
                    self.cases[i].request, poisoned.arm.edits[i],
                    f"{name}: {falsehood.attribute} {_value(falsehood.false)} in the passage, "
                    f"{_value(falsehood.true)} in the catalogue",
                    claims=told,
                )
            )  # fmt: skip
        return shown

    # The search --------------------------------------------------------------------------------------------------

    def _search(self, queries: int) -> None:
        card = self._explored
        known = [i for i, case in enumerate(self.cases) if case.relevant]
        retrieved = self.asked["retrieved"].arm.documents
        title = f"Requests whose next item is among their {self.k} passages"
        params: dict[str, Param] = {"part": "grounding", "queries": "requests", "k": self.k}
        if known:
            hits = [any(document.item_id in self.cases[i].relevant for document in retrieved[i]) for i in known]
            card.add(
                "retrieval_recall", title, stats.wilson(sum(hits), len(hits), self.context.level), n=len(hits),
                direction="higher_is_better", params=params, unit="answer",
                note="what the user chose next is hard to foresee; the other figures ask for facts that the base holds",
            )  # fmt: skip
        else:
            card.skip("retrieval_recall", title, "of no request it is known what the user chose next", **params)
        if not queries:
            return
        rng = self.context.rng("hallucination", "grounding", "search")
        way = "hybrid" if self.base.has_dense else "lexical"
        measured = evaluate(self.base, rng, queries, level=self.context.level)
        for score in measured.scores:
            if score.way != way:
                continue
            asked: dict[str, Param] = {"part": "grounding", "queries": score.kind, "search": way}
            said = "; ".join(measured.notes)
            card.add(
                "retrieval_recall", f"Facts of the knowledge base that a search finds: {score.kind}", score.recall,
                n=score.n, direction="higher_is_better", params={**asked, "k": 5}, unit="query", note=said,
            )  # fmt: skip
            card.add(
                "retrieval_mrr", f"How early a search finds facts of the knowledge base: {score.kind}", score.mrr,
                n=score.n, direction="higher_is_better", params={**asked, "k": 20}, unit="query", note=said,
            )  # fmt: skip


def _title(measure: Measure, before: ArmName, after: ArmName) -> str:
    if measure.sense == "neither":
        return f"{measure.title}: what is added by {WORDS[after]} over {WORDS[before]}"
    more = "fewer" if measure.sense == "flaw" else "more"
    return f"{measure.title}: how many {more} with {WORDS[after]} than with {WORDS[before]}"


def _level(measure: Measure, arm: ArmName) -> float:
    hits = measure.hits[arm]
    return float(hits.mean() if measure.trials is None else hits.sum() / measure.trials[arm].sum())


def _difference(
    measure: Measure, before: ArmName, after: ArmName, rng: np.random.Generator, card: ReportCard
) -> tuple[Interval, Floats, str, float]:
    """From the arm before to the one after, so that more is better; one number per answer with that mean; the test."""
    first, second = (before, after) if measure.sense == "flaw" else (after, before)
    x, y = measure.hits[first], measure.hits[second]
    if measure.trials is not None:
        t, u = measure.trials[first], measure.trials[second]
        interval = stats.paired_cluster_difference(x, t, y, u, rng=rng, level=card.level, resamples=card.resamples)
        each: Floats = stats.linearised(x, t) - stats.linearised(y, u)
        return interval, each, "paired permutation", stats.paired_cluster_permutation(x, t, y, u, rng=rng)
    each = x - y
    if set(np.unique([x, y])) <= {0.0, 1.0}:
        b, c = int((x > y).sum()), int((y > x).sum())
        return stats.paired_rate_difference(b, c, len(x), card.level), each, "mcnemar", stats.mcnemar_exact(b, c)
    interval = stats.paired_difference(x, y, rng=rng, level=card.level, resamples=card.resamples)
    return interval, each, "paired permutation", stats.paired_permutation(x, y, rng=rng)


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
