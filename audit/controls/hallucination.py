"""Controls of hallucination: made-up titles, false facts, invented pasts, and what becomes of passages.

The checker has an audit of its own (the part `checker`), on answers of known truth; here it is left out, for it takes
seconds and asks nothing of the target.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audit.controls.control import Control
from audit.controls.false_statements import (
    READS_PASSAGES,
    MadeUpTitles,
    citations,
    conflicts,
    genres,
    pasts,
    years,
)
from audit.controls.needs import of_items
from audit.controls.wrapping import Writes, salt_of
from audit.data.dataset import Dataset
from audit.findings import Finding
from audit.target import Recommender

_UNTOLD = 0.5
"""Chance of a false year where no passage is read."""


def _titles(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    return MadeUpTitles(base, size, salt_of(rng))


def _years(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    return Writes(base, dataset.catalog, "false years", years(size, salt_of(rng)))


def _pasts(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    return Writes(base, dataset.catalog, "invented pasts", pasts(size, salt_of(rng)))


def _unread(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    text = years(_UNTOLD, salt_of(rng), unread=size)
    return Writes(base, dataset.catalog, "unread passages", text, honours=READS_PASSAGES)


def _genres(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    return Writes(base, dataset.catalog, "false genres", genres(size, salt_of(rng), dataset.catalog))


def _conflicts(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    text = conflicts(size, salt_of(rng), dataset.catalog)
    return Writes(base, dataset.catalog, "contradicted passages", text, honours=READS_PASSAGES)


def _citations(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    text = citations(size, salt_of(rng))
    return Writes(base, dataset.catalog, "fabricated citations", text, honours=READS_PASSAGES)


def _no_uplift(findings: Sequence[Finding]) -> bool:
    """Retrieval is not shown to make anything better."""
    return any(f.ci is not None and f.ci[0] <= 0 for f in findings)


def _only(**parts: object) -> dict[str, object]:
    return {"checker": False, "items": False, "claims": False, "answers": 100_000, **parts}


CONTROLS = (
    Control(
        id="made-up-titles",
        title="Made-up titles",
        planted="a share of the titles of all lists is the title of nothing",
        module="hallucination",
        metric="hallucinated_item_rate",
        params={
            "task": "rank",
            "state": "not_in_catalog",
            "average": "micro",
            "k": None,
            "corrected": False,
            "bound": "low",
        },
        plant=_titles,
        sizes=(0.0, 0.05, 0.1, 0.2),
        claimed=0.1,
        truth=lambda size: size,
        options=_only(items={"corrected": False, "constraints": 0}),
    ),
    Control(
        id="false-years",
        title="False facts",
        planted="a share of the years that are said of recommended items is off by twenty",
        module="hallucination",
        metric="contradicted_rate",
        params={"part": "claims", "predicate": None, "hedged": None, "corrected": None},
        plant=_years,
        needs=of_items("year"),
        sizes=(0.0, 0.05, 0.1, 0.2),
        claimed=0.1,
        truth=lambda size: size,
        options=_only(claims={"corrected": False}),
    ),
    Control(
        id="invented-pasts",
        title="Invented histories",
        planted="a share of users is told that they liked what they never had",
        module="hallucination",
        metric="invented_history_rate",
        params={"part": "claims"},
        plant=_pasts,
        sizes=(0.0, 0.05, 0.1, 0.2, 0.3),
        claimed=0.2,
        truth=lambda size: size,
        options=_only(claims={"corrected": False}),
    ),
    Control(
        id="false-genres",
        title="Wrong genres",
        planted="a share of the genres that are said of recommended items are not theirs",
        module="hallucination",
        metric="contradicted_rate",
        params={"part": "claims", "predicate": None, "hedged": None, "corrected": None},
        plant=_genres,
        needs=of_items("genres"),
        sizes=(0.0, 0.05, 0.1, 0.15, 0.2),
        claimed=0.15,
        truth=lambda size: size,
        # Only where a column lists all there is does a genre that it lacks make a claim false.
        options=_only(claims={"corrected": False}, knowledge={"complete": ["genres"]}),
    ),
    Control(
        id="contradicted-passages",
        title="Contradicted passages",
        planted="a share of the years that it gives for the items of its passages are not what the passage says",
        module="hallucination",
        metric="passage_conflict_rate",
        params={"part": "claims"},
        plant=_conflicts,
        needs=of_items("year"),
        sizes=(0.0, 0.05, 0.1, 0.15, 0.2),
        claimed=0.15,
        truth=lambda size: size,
        options=_only(claims={"corrected": False}),
        passages=5,
    ),
    Control(
        id="fabricated-citations",
        title="Fabricated citations",
        planted="a share of the numbers that it cites leads to no passage",
        module="hallucination",
        metric="fabricated_citation_rate",
        params={"part": "citations"},
        plant=_citations,
        sizes=(0.0, 0.05, 0.1, 0.2),
        claimed=0.1,
        truth=lambda size: size,
        options=_only(citations={}),
        passages=3,
    ),
    Control(
        id="unread-passages",
        title="Passages that go unread",
        planted="half of the years are false, and passages put only a share of them right; the size is the other share",
        module="hallucination",
        metric="rag_uplift",
        params={"part": "grounding", "of": "contradicted_rate", "from": "none", "to": "retrieved"},
        plant=_unread,
        needs=of_items("year"),
        sizes=(0.0, 0.5, 1.0),
        claimed=1.0,
        truth=lambda size: _UNTOLD * (1 - size),
        # No rule of the default policy speaks of an uplift: passages that change nothing must not look as if they did.
        seen_by=_no_uplift,
        options=_only(grounding={"checked": False, "arms": ["retrieved"], "queries": 0}),
        users=50,
        runs=0.5,
    ),
)
