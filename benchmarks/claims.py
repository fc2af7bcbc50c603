"""Claims of answers, extracted and ruled by structured facts, against the bound.

Answers are lists of films of MovieLens-100K with their year, genres and a reason from the history; a third of what they
say is false. Time includes the indexes of titles and the patterns, as an audit of that many claims would spend it.

Every function returns rows `{id, what, ours, other, ratio, unit}`.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

Row = dict[str, Any]
BOUND = 5.0
"""Seconds per 1,000 claims."""
LONG = 1_000_000
"""Characters of the long answer: what a claim costs must not grow with the length around it."""


def claims(least: int = 3000) -> list[Row]:
    """(i) Seconds per 1,000 claims, indexes included; and again for one answer of 1 MB."""
    from audit.claims import Facts
    from audit.claims.extraction.extract import Extractor
    from audit.claims.verification.ladder import Ladder
    from audit.data.movielens import load_ml100k
    from audit.grounding import Grounder
    from audit.types import Event, Request, User

    catalog = load_ml100k().catalog
    films = [item for item in catalog.items_in_order if {"year", "genres"} <= set(item.attributes)]
    rng = np.random.default_rng(0)
    asked: list[tuple[str, Request]] = []
    for _ in range(least // 13):
        chosen = [films[int(at)] for at in rng.choice(len(films), 10, replace=False)]
        history = tuple(Event(item, 5.0) for item in chosen[5:])
        text = f"Since you liked {_bare(chosen[5].title)}, you may enjoy these.\n\n" + "\n".join(
            f"{n}. **{_bare(item.title)}** ({_year(item, rng)}) - A {_genre(item, films, rng)} film, released in "
            f"{_year(item, rng)}. Gripping from the first minute."
            for n, item in enumerate(chosen[:5], start=1)
        )
        asked.append((text, Request(User("u", history), task="answer", k=5)))

    started = time.perf_counter()
    extractor, ladder, found = Extractor(Grounder(catalog)), Ladder(), 0
    for text, request in asked:
        found += len(ladder.rule(extractor.extract(text, request), Facts(catalog, request, frozenset({"genres"}))))
    spent = (time.perf_counter() - started) / found * 1000

    whole = "\n\n".join(text for text, _ in asked)
    long = (whole * (LONG // len(whole) + 1))[:LONG]
    request = asked[0][1]
    started = time.perf_counter()
    many = len(ladder.rule(extractor.extract(long, request), Facts(catalog, request, frozenset({"genres"}))))
    slow = (time.perf_counter() - started) / many * 1000
    return [
        _row("i", f"1,000 claims extracted and ruled ({found:,} in {len(asked)} answers), against the bound", spent),
        _row("i-long", f"1,000 claims of one answer of 1 MB ({many:,} in it), against the bound", slow),
    ]


def _row(name: str, what: str, seconds: float) -> Row:
    return {"id": name, "what": what, "ours": seconds, "other": BOUND, "ratio": BOUND / seconds, "unit": "s"}


def _bare(title: str) -> str:
    return title.rpartition(" (")[0] or title


def _year(item: Any, rng: np.random.Generator) -> int:
    return int(item.attributes["year"]) + int(rng.choice((0, 0, 7)))


def _genre(item: Any, films: list[Any], rng: np.random.Generator) -> str:
    chosen = item if rng.random() < 2 / 3 else films[int(rng.integers(len(films)))]
    return str(chosen.attributes["genres"][0]).lower()
