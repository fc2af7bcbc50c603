"""What smoothed targets certify, and whether any attack has broken a certificate: that would be a bug of this tool."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from audit import stats
from audit.defense import Certificate, Certifies, Claim, Defense, EditKind
from audit.defense.curves import certified_accuracy, certified_hits, certified_overlap, holds
from audit.edits import Edit, HistoryDrop, HistoryInsert, HistoryReplace
from audit.findings import Param
from audit.modules.base import Output
from audit.modules.report_card import ReportCard
from audit.modules.robustness.defended.rows import Pair
from audit.modules.robustness.defended.sides import Side
from audit.modules.robustness.defended.terms import MatrixTerms
from audit.types import Answer, Case, canonical_json

CERTIFIED_METRICS = (
    "certified_accuracy",
    "certified_hr",
    "certified_overlap",
    "certificate_coverage",
    "certificate_violations",
)
KINDS: tuple[EditKind, ...] = ("substitution", "insertion", "deletion")
_KIND_OF: Mapping[EditKind, type[Edit]] = {
    "substitution": HistoryReplace,
    "insertion": HistoryInsert,
    "deletion": HistoryDrop,
}
HISTORY_UNIT = "history item"
"""The unit of certificates that attacks on the history are held against."""

_GROUP = 8
"""Users certified between two savings: a certificate may take hundreds of calls."""


def certified(
    smoothed: Certifies,
    pairs: Sequence[Pair],
    side: Side,
    defense: Defense,
    terms: MatrixTerms,
    card: ReportCard,
    output: Output,
) -> None:
    """Report certified quality by radius, coverage, and attacks that succeeded inside a certified radius.

    Args:
        smoothed: the defended target.
        pairs: attacks that were run against it.
        side: the same target.
        defense: for titles.
        terms: how many users, up to which radius.
        card: collects the findings.
        output: collects the evidence.
    """
    cases = side.context.cases[: terms.certified]
    certificates = _certificates(smoothed, side, cases)
    title = defense.info.title
    first = certificates[0]
    params: dict[str, Param] = {"defense": side.defense, "method": first.method, "kernel": first.kernel}
    covered = sum(c.covered for c in certificates)
    reasons = sorted({c.reason for c in certificates if c.reason})
    card.add(
        "certificate_coverage",
        f"{title}: requests that can be certified at all",
        stats.wilson(covered, len(certificates), card.level),
        n=len(certificates),
        direction="higher_is_better",
        params=params,
        note="; ".join(reasons) or _terms(first),
    )
    kinds = [kind for kind in KINDS if any(kind in claim.radius for c in certificates for claim in c.claims)]
    for kind in kinds:
        for radius in range(terms.radius + 1):
            _curve(certificates, cases, kind, radius, side, title, params, card)
    _violations(certificates, pairs, side, title, params, card, output)


def _certificates(smoothed: Certifies, side: Side, cases: Sequence[Case]) -> list[Certificate]:
    """What is certified of each case, going on from what is kept."""
    info = side.context.info
    name = hashlib.sha256(canonical_json(["certificates", info.fingerprint or info.name, side.defense]).encode())
    kept = {data["digest"]: Certificate.from_dict(data) for data in side.context.gateway.recall(name.hexdigest()) or []}
    missing = [case.request for case in cases if case.request.digest not in kept]
    for start in range(0, len(missing), _GROUP):
        for certificate in smoothed.certify_all(missing[start : start + _GROUP]):
            kept[certificate.digest] = certificate
        side.context.gateway.keep(name.hexdigest(), [c.to_dict() for c in kept.values()])
    return [kept[case.request.digest] for case in cases]


def _terms(certificate: Certificate) -> str:
    samples = f"{certificate.samples} kept sets" if certificate.method == "exact" else f"{certificate.samples} samples"
    level = "no sampling error" if certificate.method == "exact" else f"alpha {certificate.alpha:g} a request"
    return f"unit: {certificate.unit}; {certificate.kept:g} of {certificate.units} kept; {samples}, {level}"


def _curve(
    certificates: Sequence[Certificate],
    cases: Sequence[Case],
    kind: EditKind,
    radius: int,
    side: Side,
    title: str,
    params: dict[str, Param],
    card: ReportCard,
) -> None:
    at: dict[str, Param] = {**params, "edit": kind, "r": radius}
    where = f"certified against {radius} {kind}{'s' if radius != 1 else ''}"
    if cases[0].request.task == "score":
        labels = [
            {item.id: bool(label) for item, label in zip(case.request.candidates or (), case.labels, strict=True)}
            for case in cases
        ]
        right = certified_accuracy(certificates, labels, kind, radius)
        _mean(card, side, "certified_accuracy", f"{title}: right decisions, {where}", right, at)
        return
    k = cases[0].request.k
    at["k"] = k
    hits = certified_hits(certificates, [case.relevant for case in cases], kind, radius)
    _mean(card, side, "certified_hr", f"{title}: next item in the first {k}, {where}", hits, at)
    shares = certified_overlap(certificates, k, kind, radius)
    _mean(card, side, "certified_overlap", f"{title}: share of the list, {where}", shares, at)


def _mean(
    card: ReportCard, side: Side, metric: str, title: str, values: Sequence[float], params: dict[str, Param]
) -> None:
    rng = side.context.rng("robustness", "matrix", str(side.defense), metric, str(params["edit"]), str(params["r"]))
    card.add(
        metric,
        title,
        stats.mean_interval(values, rng=rng, level=card.level, resamples=card.resamples, bounds=(0.0, 1.0)),
        n=len(values),
        direction="higher_is_better",
        params=params,
        note="of the smoothed target; requests that cannot be certified count as not certified",
    )


def size_of(edits: Sequence[Edit]) -> tuple[EditKind, int] | None:
    """What was done to the history as one kind of edit and a number of units; None where it is not of one kind."""
    for kind, edit in _KIND_OF.items():
        if edits and all(isinstance(e, edit) for e in edits):
            return kind, len(edits)
    return None


def _violations(
    certificates: Sequence[Certificate],
    pairs: Sequence[Pair],
    side: Side,
    title: str,
    params: dict[str, Param],
    card: ReportCard,
    output: Output,
) -> None:
    what = f"{title}: attacks that succeeded inside a certified radius"
    if any(c.method != "exact" or c.unit != HISTORY_UNIT for c in certificates if c.covered):
        reason = "answers from a sample may differ by chance, so only exact certificates over history items are held so"
        card.skip("certificate_violations", what, reason, **params)
        return
    tried, broken, shown = 0, 0, []
    for pair in pairs:
        for row in pair.rows.values():
            for arm, answers in zip(row.arms, row.runs[:: side.reruns], strict=True):
                for i, (certificate, answer) in enumerate(zip(certificates, answers, strict=False)):
                    inside = _inside(certificate, arm.edits[i])
                    tried += len(inside)
                    false = [claim for claim in inside if not _true(claim, answer, side.context.cases[i].request.k)]
                    broken += len(false)
                    if false:
                        note = f"certified: {false[0].item_id} {false[0].statement}, {dict(false[0].radius)}"
                        shown.append(side.show(i, arm.edits[i], "A certificate that did not hold", note, output))
    if not tried:
        card.skip("certificate_violations", what, "no attack stayed inside a certified radius", **params)
        return
    card.add(
        "certificate_violations",
        what,
        stats.wilson(broken, tried, card.level),
        n=tried,
        direction="higher_is_worse",
        params=params,
        unit="certified claim under attack",
        note=f"{broken} of {tried}; a single one is a bug of this tool, please report it",
        evidence=shown,
    )


def _inside(certificate: Certificate, edits: Sequence[Edit]) -> list[Claim]:
    size = size_of(edits)
    if size is None or not certificate.covered:
        return []
    # An item that the edits put into the history is not recommended again, whatever its votes.
    put = {e.event.item.id for e in edits if isinstance(e, HistoryInsert | HistoryReplace)}
    return [claim for claim in certificate.claims if holds(claim, size[0], size[1]) and claim.item_id not in put]


def _true(claim: Claim, answer: Answer, k: int) -> bool:
    """Whether a statement holds of an answer."""
    if claim.statement in {"in_top_k", "not_in_top_k"}:
        return (claim.item_id in answer.ids[:k]) == (claim.statement == "in_top_k")
    scores = {r.item_id: r.score for r in answer.ranked}
    score = scores.get(claim.item_id)
    return score is not None and (score > 0.5) == (claim.statement == "yes")
