"""Finding, Verdict, Evidence: what an audit says, and what it shows for it.

A number never travels alone. A Finding carries its estimate, interval, n, unit of inference, noise floor, test and
corrected p, the smallest effect this n could have seen, the threshold it is held to, the verdict, and links to evidence
that a person can open.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from audit import edits as edit_data
from audit.edits import Edit
from audit.types import canonical_json

Verdict = Literal["pass", "fail", "inconclusive", "waived", "not_applicable"]
"""`inconclusive`: the interval straddles the threshold. `not_applicable`: the check could not run, and why is said.
`waived`: it fails, or is open, and somebody answers for that until a date; it never reads as passed.

A finding without a verdict (None) was measured, but no rule of the policy speaks about it.
"""

Severity = Literal["info", "low", "medium", "high", "critical"]
Direction = Literal["higher_is_worse", "higher_is_better", "neither"]

VERDICTS: tuple[Verdict, ...] = ("fail", "inconclusive", "waived", "pass", "not_applicable")
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low", "info")

Param = str | int | float | bool | None


ClaimVerdict = Literal["supported", "contradicted", "unverifiable"]
CLAIM_VERDICTS: tuple[ClaimVerdict, ...] = ("contradicted", "unverifiable", "supported")
"""Worst first. `unverifiable` is neither of the others: nobody could check it."""


@dataclass(frozen=True)
class ClaimMark:
    """One claim of an answer with its place in the raw text, as evidence shows it.

    Attributes:
        start: where it begins in the raw text of the answer.
        end: one past where it ends.
        verdict: what was found about it.
        predicate: what is asserted (`year`, `creator`, …); `exists` for a recommended title itself.
        object: of what, as written.
        subject: title of the item as written; empty for a claim about the user.
        decided_by: the rung that decided; empty where nothing could.
        source: id of the row or passage that decided.
        evidence: that row or passage, as a person can read it.
        note: why, in a few words.
    """

    start: int
    end: int
    verdict: ClaimVerdict
    predicate: str
    object: str
    subject: str = ""
    decided_by: str = ""
    source: str = ""
    evidence: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if self.verdict not in CLAIM_VERDICTS:
            raise ValueError(f"verdict: {self.verdict!r} must be one of {', '.join(CLAIM_VERDICTS)}")
        if not 0 <= self.start <= self.end:
            raise ValueError(f"start, end: {self.start}, {self.end} are not a place in a text; 0 <= start <= end")

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form; empty fields are left out."""
        return {name: value for name, value in asdict(self).items() if value != ""}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ClaimMark:
        """Inverse of `to_dict`."""
        known = {f.name for f in fields(cls)}
        return cls(**{"predicate": "", "object": "", **{k: v for k, v in data.items() if k in known}})


@dataclass(frozen=True)
class Bar:
    """How much one part of a request moves an answer.

    Attributes:
        label: the part, as a person names it: a title, an attribute with its value.
        value: what it adds to the explained answer, on the scale of the attribution; below 0 it speaks against it.
        low: lower end of its interval; None where the value is exact, or no interval was made.
        high: upper end.
        tied: number, from 1, of the group of bars that cannot be told apart; 0 for a bar that stands alone.
        note: what else is known of it, in a few words, such as `removing it changes the answer`.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    tied: int = 0
    note: str = ""

    def __post_init__(self) -> None:
        numbers = [x for x in (self.value, self.low, self.high) if x is not None]
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"bar {self.label!r}: every number must be finite, got {numbers}")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"bar {self.label!r}: low {self.low} and high {self.high}; an interval has both ends")


@dataclass(frozen=True)
class Attributed:
    """What moved one answer, as evidence shows it.

    Attributes:
        bars: the parts of the request.
        scale: what the numbers measure, such as `logit margin`.
        method: how they were made, such as `exact Shapley values, items deleted`.
        faithful: whether the method was shown to be faithful on this target; None where nobody can tell.
        badge: why, in a sentence with its figures.
        limits: what the numbers do not say, in a sentence.
    """

    bars: tuple[Bar, ...]
    scale: str
    method: str = ""
    faithful: bool | None = None
    badge: str = ""
    limits: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form; empty fields are left out."""
        data = {name: value for name, value in asdict(self).items() if value not in ("", None)}
        bars = [{k: v for k, v in bar.items() if v not in ("", None)} for bar in data["bars"]]
        return data | {"bars": bars}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Attributed:
        """Inverse of `to_dict`."""
        known, of_bar = {f.name for f in fields(cls)}, {f.name for f in fields(Bar)}
        bars = tuple(Bar(**{"label": "", **{k: v for k, v in bar.items() if k in of_bar}}) for bar in data["bars"])
        return cls(**{"scale": "", **{k: v for k, v in data.items() if k in known}, "bars": bars})


@dataclass(frozen=True)
class Roc:
    """What share of members an attack finds, at every share of others that it accuses.

    Attributes:
        fpr: shares of others accused, rising, from 0 to 1.
        tpr: share of members found at each.
        low: lower end of its pointwise interval.
        high: upper end.
        inside: members; no share of them below one of this many can be seen.
        outside: others; no share of them below one of this many can be seen.
    """

    fpr: tuple[float, ...]
    tpr: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    inside: int
    outside: int

    def __post_init__(self) -> None:
        columns = (self.fpr, self.tpr, self.low, self.high)
        if len({len(column) for column in columns}) > 1:
            raise ValueError(f"roc: fpr, tpr, low and high must be as long, got {[len(c) for c in columns]}")
        if not all(0.0 <= share <= 1.0 for column in columns for share in column):
            raise ValueError("roc: every share must be from 0 to 1")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Roc:
        """Inverse of `dataclasses.asdict`, as JSON gives it back."""
        columns = {name: tuple(data[name]) for name in ("fpr", "tpr", "low", "high")}
        return cls(**columns, inside=data["inside"], outside=data["outside"])


@dataclass(frozen=True)
class Evidence:
    """One case a person can open: what was asked, what was edited, what came back.

    Attributes:
        case: id of the case.
        title: one line that says what there is to see.
        before: digest of the clean request, if one is shown.
        after: digest of the edited request; equal to `before` for a repeat.
        after_repeat: which repeat of `after` is meant.
        edits: from the clean request to the edited one.
        note: what the numbers of this case were.
        before_repeat: which repeat of `before` is meant, as the store numbers them (`audit.gateway`).
        claims: what the answer asserts, with what was found about it; of the answer to `after`, if there is one.
        attribution: what moved the answer to `before`.
    """

    case: str
    title: str
    before: str | None = None
    after: str | None = None
    after_repeat: int = 0
    edits: tuple[Edit, ...] = ()
    note: str = ""
    before_repeat: int = 0
    claims: tuple[ClaimMark, ...] = ()
    attribution: Attributed | None = None

    @property
    def id(self) -> str:
        """Content address: equal evidence has an equal id."""
        return hashlib.sha256(canonical_json(self.to_dict()).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form, without the id; what was added to the format later is left out where there is none."""
        data: dict[str, Any] = {
            "case": self.case,
            "title": self.title,
            "before": self.before,
            "after": self.after,
            "after_repeat": self.after_repeat,
            "edits": [edit_data.to_dict(e) for e in self.edits],
            "note": self.note,
        }
        if self.before_repeat:
            data["before_repeat"] = self.before_repeat
        if self.claims:
            data["claims"] = [claim.to_dict() for claim in self.claims]
        if self.attribution is not None:
            data["attribution"] = self.attribution.to_dict()
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Evidence:
        """Inverse of `to_dict`."""
        return cls(
            case=data["case"],
            title=data["title"],
            before=data.get("before"),
            after=data.get("after"),
            after_repeat=data.get("after_repeat", 0),
            edits=tuple(edit_data.from_dict(e) for e in data.get("edits", ())),
            note=data.get("note", ""),
            before_repeat=data.get("before_repeat", 0),
            claims=tuple(ClaimMark.from_dict(claim) for claim in data.get("claims", ())),
            attribution=Attributed.from_dict(data["attribution"]) if data.get("attribution") else None,
        )


@dataclass(frozen=True)
class Waived:
    """Who answers for a finding that would stop the gate.

    Attributes:
        owner: who.
        reason: why it may be so for now.
        expires: the last day on which the waiver holds, as `YYYY-MM-DD`.
        verdict: the verdict without the waiver.
    """

    owner: str
    reason: str
    expires: str
    verdict: Verdict = "fail"


@dataclass(frozen=True)
class Finding:
    """One measured property of a target.

    Attributes:
        module: which module measured it.
        metric: the field's name of the quantity (`ndcg`, `flip_rate`, …).
        params: what it was measured under (attack, k, protocol, …); with module and metric the identity of the finding.
        title: what was asked of the target, in plain words.
        estimate: the point estimate; None when the check could not run.
        ci: (low, high) at `level`; None when there is no estimate.
        ci_method: how the interval was made.
        level: coverage of the interval.
        n: how many units the estimate rests on.
        unit: the unit of inference.
        floor: the same quantity under a benign change of the same kind: the noise an effect must exceed.
        effect: estimate minus floor, paired within units, where there is a floor.
        effect_ci: interval of `effect`.
        effect_ci_method: how that interval was made.
        test: name of the test behind `p`.
        p: p-value of the effect against its null.
        p_adjusted: `p` corrected over the tests of the module.
        mde: smallest effect that this n would have found with power .8 at the 5 % level.
        direction: which way is worse.
        threshold: the bound the policy holds it to.
        verdict: see `Verdict`.
        waiver: who answers for it, where the verdict is `waived`.
        n_to_settle: for an inconclusive verdict, the n at which an interval around this estimate would settle it.
        severity: how much a failure matters.
        controls: tags of control frameworks with their edition.
        reason: why the verdict is what it is, in one sentence.
        note: what a reader should know about the number, in one sentence.
        unmet: what must hold, beside the limit, before the finding may fail, and does not: each the end of a sentence
            that begins “it is not decided, because”. With any of them it is open at most.
        evidence: ids of Evidence.
        facts: what else was told or measured, by name, for reports to arrange: words as a person reads them, figures
            as numbers. The note says the same in a sentence.
        roc: the curve that the estimate is the area, or a point, of.
    """

    module: str
    metric: str
    title: str
    params: Mapping[str, Param] = field(default_factory=dict)
    estimate: float | None = None
    ci: tuple[float, float] | None = None
    ci_method: str = ""
    level: float = 0.95
    n: int = 0
    unit: str = "user"
    floor: float | None = None
    effect: float | None = None
    effect_ci: tuple[float, float] | None = None
    effect_ci_method: str = ""
    test: str = ""
    p: float | None = None
    p_adjusted: float | None = None
    mde: float | None = None
    direction: Direction = "higher_is_worse"
    threshold: float | None = None
    verdict: Verdict | None = None
    waiver: Waived | None = None
    n_to_settle: int | None = None
    severity: Severity = "info"
    controls: tuple[str, ...] = ()
    reason: str = ""
    note: str = ""
    unmet: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    facts: Mapping[str, Param] = field(default_factory=dict)
    roc: Roc | None = None

    def __post_init__(self) -> None:
        numbers = [self.estimate, self.floor, self.effect, self.p, self.p_adjusted, self.mde]
        numbers += [*(self.ci or ()), *(self.effect_ci or ())]
        if any(x is not None and not math.isfinite(x) for x in numbers):
            raise ValueError(f"finding {self.name}: every number must be finite, got {numbers}")

    @property
    def name(self) -> str:
        """`module.metric`, as policies write it."""
        return f"{self.module}.{self.metric}"

    @property
    def id(self) -> str:
        """Identity across runs: module, metric and params."""
        identity = canonical_json([self.module, self.metric, dict(self.params)])
        return hashlib.sha256(identity.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form; what was added to the format later is left out where there is none."""
        added: dict[str, Any] = {"facts": dict(self.facts)} if self.facts else {}
        if self.roc is not None:
            added["roc"] = asdict(self.roc)
        return added | {
            "id": self.id,
            "module": self.module,
            "metric": self.metric,
            "title": self.title,
            "params": dict(self.params),
            "estimate": self.estimate,
            "ci": list(self.ci) if self.ci is not None else None,
            "ci_method": self.ci_method,
            "level": self.level,
            "n": self.n,
            "unit": self.unit,
            "floor": self.floor,
            "effect": self.effect,
            "effect_ci": list(self.effect_ci) if self.effect_ci is not None else None,
            "effect_ci_method": self.effect_ci_method,
            "test": self.test,
            "p": self.p,
            "p_adjusted": self.p_adjusted,
            "mde": self.mde,
            "direction": self.direction,
            "threshold": self.threshold,
            "verdict": self.verdict,
            "waiver": None if self.waiver is None else asdict(self.waiver),
            "n_to_settle": self.n_to_settle,
            "severity": self.severity,
            "controls": list(self.controls),
            "reason": self.reason,
            "note": self.note,
            "unmet": list(self.unmet),
            "evidence": list(self.evidence),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Finding:
        """Inverse of `to_dict`."""
        fields = {k: v for k, v in data.items() if k != "id"}
        for name in ("ci", "effect_ci"):
            if fields.get(name) is not None:
                fields[name] = tuple(fields[name])
        for name in ("controls", "unmet", "evidence"):
            fields[name] = tuple(fields.get(name, ()))
        if fields.get("waiver") is not None:
            fields["waiver"] = Waived(**fields["waiver"])
        if fields.get("roc") is not None:
            fields["roc"] = Roc.from_dict(fields["roc"])
        return cls(**fields)


def not_applicable(module: str, metric: str, title: str, reason: str, params: Mapping[str, Param]) -> Finding:
    """A check that could not run on this target. It never reads as passed."""
    return Finding(
        module=module,
        metric=metric,
        title=title,
        params=params,
        verdict="not_applicable",
        reason=reason,
        direction="neither",
    )


def overall(findings: Sequence[Finding]) -> Verdict:
    """The verdict of a run: the worst of its findings.

    `fail` if one fails, else `inconclusive` if one is, else `waived`, else `pass` if one passed, else `not_applicable`.
    """
    present = {f.verdict for f in findings}
    return next((v for v in VERDICTS if v in present), "not_applicable")
