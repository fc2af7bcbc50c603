"""What a report shows of a run, in its order: groups of findings, the attack matrix, the scoreboard. No markup here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from audit.findings import Finding, Verdict
from audit.policy import Policy, by_severity
from audit.report import explanation_words, fairness_words, hallucination_words, privacy_words, words
from audit.report.defenses import METRICS as OF_DEFENSES
from audit.report.defenses import DefenseView, defense_view
from audit.report.explanation import ExplanationView, explanation_view
from audit.report.fairness import FairnessView, fairness_view
from audit.report.hallucination import HallucinationView, hallucination_view
from audit.report.privacy import PrivacyView, privacy_view

if TYPE_CHECKING:
    from audit.run import Run


@dataclass(frozen=True)
class Row:
    """A finding, and how the policy looked at it.

    Attributes:
        finding: judged.
        on_effect: whether the limit is on the effect above the floor, not on the estimate.
        at_most: whether the limit is an upper one.
    """

    finding: Finding
    on_effect: bool
    at_most: bool

    @property
    def pressing(self) -> bool:
        """Whether somebody has to act, now or later: it fails, is open or is waived."""
        return self.finding.verdict in {"fail", "inconclusive", "waived"}

    @property
    def drawn(self) -> tuple[float, float, float] | None:
        """Low end, dot and high end on the scale of the estimate; None where nothing was measured.

        Where a finding is read as an effect above its floor, the line is the interval of the effect, set off from the
        floor: so what is drawn on either side of the limit is what the verdict was made from.
        """
        f = self.finding
        if f.estimate is None or f.ci is None:
            return None
        by_effect = self.on_effect or f.threshold is None
        if by_effect and f.floor is not None and f.effect is not None and f.effect_ci is not None:
            return f.floor + f.effect_ci[0], f.floor + f.effect, f.floor + f.effect_ci[1]
        return f.ci[0], f.estimate, f.ci[1]

    @property
    def limit(self) -> float | None:
        """The threshold on the scale of the estimate."""
        f = self.finding
        if f.threshold is None:
            return None
        return f.threshold + (f.floor or 0.0) if self.on_effect else f.threshold


def row_of(finding: Finding, policy: Policy) -> Row:
    """Find out which rule judged a finding, and so what its threshold is a limit of."""
    rule = policy.judged_by(finding)
    if rule is None or finding.threshold is None:
        return Row(finding, finding.effect is not None, finding.direction != "higher_is_better")
    return Row(finding, rule.value == "effect", rule.max is not None)


@dataclass(frozen=True)
class Group:
    """Findings that are read together, on one scale.

    Attributes:
        key: stable name within the module.
        title: for a head line.
        hint: how to read it, if that needs saying.
        rows: by severity; without the untestable.
    """

    key: str
    title: str
    hint: str
    rows: tuple[Row, ...]

    @property
    def pressing(self) -> list[Row]:
        """Rows that fail, are open or are waived."""
        return [r for r in self.rows if r.pressing]

    @property
    def calm(self) -> list[Row]:
        """Rows that passed or were only measured."""
        return [r for r in self.rows if not r.pressing]

    @property
    def has_floor(self) -> bool:
        """Whether columns for floor and effect are worth their width."""
        return any(r.finding.floor is not None for r in self.rows)

    @property
    def has_limit(self) -> bool:
        """Whether any row is held to a limit."""
        return any(r.finding.threshold is not None for r in self.rows)


@dataclass(frozen=True)
class MatrixRow:
    """One attack or control, over all metrics.

    Attributes:
        title: of the attack or control.
        attack: False for a benign control.
        cells: one per metric of the matrix; None where it was not measured.
    """

    title: str
    attack: bool
    cells: tuple[Row | None, ...]


@dataclass(frozen=True)
class Matrix:
    """Attacks by metrics, with the benign controls below them."""

    metrics: tuple[str, ...]
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True)
class Curve:
    """What an attack with a search had gained after so many true queries.

    Attributes:
        title: of the attack, its budget and mode.
        points: (queries, estimate, low, high), by queries; the last is the attack's end.
    """

    title: str
    points: tuple[tuple[int, float, float, float], ...]


@dataclass(frozen=True)
class ModuleView:
    """One module of a run."""

    id: str
    title: str
    question: str
    groups: tuple[Group, ...]
    matrix: Matrix | None
    curves: tuple[Curve, ...]
    defenses: DefenseView | None
    fairness: FairnessView | None
    hallucination: HallucinationView | None
    privacy: PrivacyView | None
    explanation: ExplanationView | None
    untestable: tuple[Finding, ...]
    findings: tuple[Finding, ...]

    def counted(self, verdict: Verdict | None) -> int:
        """How many findings have this verdict."""
        return sum(f.verdict == verdict for f in self.findings)


@dataclass(frozen=True)
class RunView:
    """A run, arranged for reading."""

    run: Run

    @cached_property
    def rows(self) -> list[Row]:
        """Every finding, as a reader wants them: failures first, most severe first."""
        policy = self.run.policy
        return [row_of(f, policy) for f in by_severity(self.run.findings)]

    @property
    def pressing(self) -> list[Row]:
        """What fails or is open, most severe first."""
        return [r for r in self.rows if r.pressing]

    @property
    def shown(self) -> int:
        """How many of them stand open on the page: every failure, and some of what is open; the rest is folded."""
        failed = sum(row.finding.verdict == "fail" for row in self.pressing)
        return failed + min(_OPEN, len(self.pressing) - failed)

    @cached_property
    def modules(self) -> list[ModuleView]:
        """The modules, quality first, then by name."""
        names = sorted({r.finding.module for r in self.rows}, key=lambda n: (n != "quality", n))
        return [_module(name, [r for r in self.rows if r.finding.module == name]) for name in names]

    @property
    def gravest(self) -> list[tuple[ModuleView, Row | None]]:
        """For each module the finding that a reader should see first; None where nothing was measured.

        What fails or is open, the most severe first; else what the module is known by.
        """
        return [(module, _first(module)) for module in self.modules]

    @property
    def users(self) -> int:
        """How many users were asked about: the largest n of any finding whose unit is the user."""
        return max((f.n for f in self.run.findings if f.unit == "user"), default=0)

    @property
    def protocol(self) -> str:
        """How the cases were made."""
        named = (f.params.get("protocol") for f in self.run.findings)
        return next((str(p) for p in named if p), "")

    @property
    def dataset(self) -> str:
        """What the cases were drawn from."""
        data = self.run.record.config.get("dataset", {})
        return str(data.get("name") or data.get("interactions") or "unnamed data")


def _first(module: ModuleView) -> Row | None:
    rows = {row.finding.id: row for group in module.groups for row in group.rows}
    pressing = [row.finding for row in rows.values() if row.pressing]
    return rows[by_severity(pressing)[0].id] if pressing else next(iter(rows.values()), None)


_OPEN = 15
"""Open checks that stand on the page beside the failures."""


def _module(name: str, rows: Sequence[Row]) -> ModuleView:
    title, question = words.module(name)
    tested = [r for r in rows if r.finding.verdict != "not_applicable"]
    order: dict[str, tuple[str, str]] = {}
    members: dict[str, list[Row]] = {}
    # Single points of a curve are drawn, not listed.
    for row in (r for r in tested if not r.finding.metric.endswith("_at")):
        key, head, hint = section(row.finding)
        order.setdefault(key, (head, hint))
        members.setdefault(key, []).append(row)
    groups = tuple(
        Group(key, *order[key], tuple(members[key])) for key in sorted(order, key=lambda k: (*_place(k), order[k][0]))
    )
    return ModuleView(
        name,
        title,
        question,
        groups,
        _matrix(tested),
        _curves(tested),
        defense_view(r.finding for r in tested),
        fairness_view(r.finding for r in rows),
        hallucination_view(r.finding for r in rows),
        privacy_view(r.finding for r in rows),
        explanation_view(r.finding for r in rows),
        tuple(r.finding for r in rows if r.finding.verdict == "not_applicable"),
        tuple(r.finding for r in rows),
    )


def _arm(finding: Finding) -> str:
    """What findings of one attack under one budget, mode and defense share."""
    p = finding.params
    return " ".join(str(p[name]) for name in ("attack", "defense", "budget", "labels") if p.get(name) is not None)


PARTS = ("family", "field", "style", "carrier", "position", "channel", "stratum")
"""Params of findings about a part of what an attack tried; the matrix shows the whole."""
_COSTS = ("queries", "edits", "text_similarity", "odd_characters")
_PLACES = ("headline", "anchor", "history", "valid", "advantage", "attack", "cost", "control", "defense")


def _place(key: str) -> tuple[int, str]:
    if key.startswith("made:"):
        return hallucination_words.place(key)
    if key.startswith(privacy_words.PREFIX):
        return privacy_words.place(key)
    if key.startswith(explanation_words.PREFIX):
        return explanation_words.place(key)
    return _rank(key), ""


def _rank(key: str) -> int:
    kind, _, name = key.partition(":")
    if kind == "part":
        part = name.partition(":")[0]
        return fairness_words.ORDER.index(part) if part in fairness_words.ORDER else len(fairness_words.ORDER)
    return _PLACES.index(kind) if kind in _PLACES else len(_PLACES)


def section(finding: Finding) -> tuple[str, str, str]:
    """Which group a finding belongs to: its key, the group's title, and a hint for reading it."""
    p = finding.params
    if finding.module == "fairness":
        return fairness_words.section(finding)
    if finding.module == "hallucination":
        return hallucination_words.section(finding)
    if finding.module == "privacy":
        return privacy_words.section(finding)
    if finding.module == "explanation":
        return explanation_words.section(finding)
    if finding.metric in OF_DEFENSES:
        name = str(p.get("defense") or "")
        return f"defense:{name}", f"Behind {name}" if name else "Without a defense, under the same attacks", ""
    if finding.metric in _COSTS:
        return f"cost:{finding.metric}", f"Cost and stealth: {words.short(finding.metric).lower()}", ""
    if p.get("attack"):
        defense = p.get("defense")
        title = named(finding, str(p["attack"])) + (f", defended by {defense}" if defense else "")
        if p.get("over"):
            hint = "Above 0 it takes more from the same users than the rival does."
            return f"advantage:{_arm(finding)}", f"{title}, against its rivals", hint
        hint = f"Floor: what {_CONTROLS.get(str(p.get('floor')), str(p.get('floor')))} moves." if p.get("floor") else ""
        return f"attack:{_arm(finding)}", title, hint
    if p.get("control"):
        return (
            "control",
            "Benign controls",
            "What harmless changes move: the noise floor that attacks are held against.",
        )
    if p.get("anchor"):
        return "anchor", "Against trivial recommenders", "Above 0 the target is better, on the same cases."
    if p.get("ablation"):
        return "history", "Use of the history", "A target that reads the history loses quality without it."
    if finding.metric.endswith("_rate"):
        free = p.get("task") == "answer"
        return f"valid:{free}", "Valid answers, free text" if free else "Valid answers", "Lower is better."
    if p.get("attribute"):
        return f"attribute:{p['attribute']}", f"By {p['attribute']}", ""
    return "headline", "Headline figures", ""


_CONTROLS = {
    "repeat": "asking again",
    "history_order": "a harmless reordering of the history",
    "candidate_order": "another order of the candidates",
    "paraphrase": "a harmless paraphrase",
}


def named(finding: Finding, fallback: str) -> str:
    """The name of the attack or control in a title such as `Typing slips: clean hits lost`."""
    head, colon, _ = finding.title.partition(": ")
    return head if colon else fallback


def _matrix(rows: Sequence[Row]) -> Matrix | None:
    cells: dict[tuple[bool, str], dict[str, Row]] = {}
    titles: dict[tuple[bool, str], str] = {}
    metrics: dict[str, None] = {}
    for row in rows:
        p = row.finding.params
        name = p.get("attack") or p.get("control")
        if row.finding.metric in OF_DEFENSES or row.finding.module == "privacy":
            continue
        if not name or p.get("over") or row.finding.metric.endswith("_at") or any(p.get(part) for part in PARTS):
            continue
        place = (not p.get("attack"), _arm(row.finding) or str(name))
        defended = f", defended by {p['defense']}" if p.get("defense") else ""
        titles[place] = named(row.finding, str(name)) + defended
        cells.setdefault(place, {})[row.finding.metric] = row
        metrics[row.finding.metric] = None
    if len(cells) < 2:
        return None
    order = {m: i for i, m in enumerate(_METRIC_ORDER)}
    columns = sorted(metrics, key=lambda m: (order.get(m, len(order)), m))
    return Matrix(
        tuple(columns),
        tuple(
            MatrixRow(titles[place], not place[0], tuple(cells[place].get(m) for m in columns))
            for place in sorted(cells, key=lambda place: (place[0], _worst(cells[place].values()), titles[place]))
        ),
    )


_METRIC_ORDER = (
    "asr",
    "auc_drop",
    "uauc_drop",
    "ndcg_drop",
    "flip_rate",
    "gain_rate",
    "rbo_loss",
    "jaccard_loss",
    "psr",
    "exposure_lift",
    "rank_gain",
    "collateral",
    "leak_rate",
    "target_hr_lift",
    "prediction_shift",
    "shilling_detection_auc",
    "invalid_rate",
    *_COSTS,
)


def _curves(rows: Sequence[Row]) -> tuple[Curve, ...]:
    points: dict[str, dict[int, Finding]] = {}
    ends: dict[str, Finding] = {}
    for f in (row.finding for row in rows):
        queries = f.params.get("queries")
        if f.metric.endswith("_at") and isinstance(queries, int):
            points.setdefault(_arm(f), {})[queries] = f
        elif f.metric in {"ndcg_drop", "flip_rate"} and f.params.get("budget"):
            ends[f"{f.metric}_at {_arm(f)}"] = f
    curves = []
    for arm, found in points.items():
        first = next(iter(found.values()))
        end = ends.get(f"{first.metric} {arm}")
        if end is not None:
            found[int(end.params["budget"] or 0)] = end
        line = [(q, f.estimate, *f.ci) for q, f in sorted(found.items()) if f.estimate is not None and f.ci is not None]
        curves.append(Curve(named(first, arm), tuple(line)))
    return tuple(curves)


def _worst(rows: Iterable[Row]) -> int:
    return min(words.VERDICT_ORDER.index(r.finding.verdict) for r in rows)
