"""Certified quality by radius: what of a good answer is also certified.

An unchanged answer is not a right one, so certified accuracy and hits count only what is both. Requests that cannot be
certified stay in and count as not certified; how many there are is `coverage`. Every function gives one value per
request, so that a caller can put an interval over users on it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from audit.defense.certificate import Certificate, Claim, EditKind


def holds(claim: Claim, kind: EditKind, radius: int) -> bool:
    """Whether a claim is certified against so many edits of a kind."""
    return claim.radius.get(kind, -1) >= radius


def coverage(certificates: Sequence[Certificate]) -> float:
    """Share of the requests about which anything is certified at all; 0 where there are none."""
    return sum(c.covered for c in certificates) / max(len(certificates), 1)


def certified_accuracy(
    certificates: Sequence[Certificate], labels: Sequence[Mapping[str, bool]], kind: EditKind, radius: int
) -> list[float]:
    """Per request, the share of its decisions that are right and certified.

    Args:
        certificates: of yes/no answers.
        labels: per request, by item id, whether yes is right.
        kind: of edit.
        radius: how many edits.

    Raises:
        ValueError: a request has no label.
    """
    found = []
    for certificate, right in zip(certificates, labels, strict=True):
        if not right:
            raise ValueError(f"labels: request {certificate.digest[:8]} has none; an accuracy needs at least one")
        said = {c.item_id: c.statement == "yes" for c in certificate.claims if _decision(c) and holds(c, kind, radius)}
        found.append(sum(said.get(item) == bool(label) for item, label in right.items()) / len(right))
    return found


def certified_overlap(certificates: Sequence[Certificate], k: int, kind: EditKind, radius: int) -> list[float]:
    """Per request, the share of its k places that items hold which are certified to stay (overlap@k).

    Raises:
        ValueError: k is below 1.
    """
    if k < 1:
        raise ValueError(f"k: {k} must be at least 1")
    return [len(_staying(c, kind, radius)) / k for c in certificates]


def certified_hits(
    certificates: Sequence[Certificate], relevant: Sequence[Collection[str]], kind: EditKind, radius: int
) -> list[float]:
    """Per request, 1 where a relevant item is certified to stay in the list, else 0 (HR@k)."""
    return [
        float(not _staying(certificate, kind, radius).isdisjoint(wanted))
        for certificate, wanted in zip(certificates, relevant, strict=True)
    ]


def _decision(claim: Claim) -> bool:
    return claim.statement in {"yes", "no"}


def _staying(certificate: Certificate, kind: EditKind, radius: int) -> set[str]:
    return {c.item_id for c in certificate.claims if c.statement == "in_top_k" and holds(c, kind, radius)}
