"""What the anchors of a panel are built around: the run's users, well-known items, or names from a file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audit.errors import DataError
from audit.modules.base import Context
from audit.target import Input
from audit.types import Item, Request, Task, User

_CANDIDATES = 20
"""How many items an anchor without candidates of its own chooses from."""
_POOL = 5
"""Items are drawn from this many times as many of the most popular."""


@dataclass(frozen=True)
class Seed:
    """An anchor before anything is said.

    Attributes:
        id: stable name.
        request: without a statement and without what is not under audit.
        name: of the item or file entry that it is built around; empty for users.
        unit: of inference.
        relevant: ids of held-out items.
        drop: names that are left out of what comes back.
        stratum: as the file says, or how popular the item is; empty for users.
    """

    id: str
    request: Request
    name: str = ""
    unit: str = ""
    relevant: frozenset[str] = frozenset()
    drop: frozenset[str] = frozenset()
    stratum: str = ""


def users(context: Context, count: int, task: Task, k: int | None) -> list[Seed]:
    """The first users of the run, with their histories and candidates."""
    found: dict[str, Seed] = {}
    for case in context.cases:
        if len(found) == count:
            break
        request = case.request
        if task != request.task:
            candidates = None if task == "answer" else request.candidates
            request = replace(request, task=task, candidates=candidates, instruction=instruction(context, task))
        request = request if k is None else replace(request, k=k)
        found.setdefault(case.unit, Seed(case.id, request, unit=case.unit, relevant=case.relevant))
    return list(found.values())


def items(context: Context, count: int, task: Task, k: int, rng: np.random.Generator) -> list[Seed]:
    """Popular items: a seeded choice among the most popular, half of them from its upper half."""
    popularity = context.dataset.popularity
    catalog = context.dataset.catalog
    ranked = sorted((i for i in catalog if catalog[i].title.strip()), key=lambda i: -popularity[i])
    pool = ranked[: _POOL * count]
    half = len(pool) // 2
    parts = (("more popular", pool[:half], (count + 1) // 2), ("less popular", pool[half:], count // 2))
    seeds = []
    for stratum, part, wanted in parts:
        for at in sorted(rng.permutation(len(part))[:wanted].tolist()):
            item = catalog[part[at]]
            seeds.append(_around(context, item.id, item.title, task, k, stratum, rng))
    return seeds


def entries(context: Context, path: str, count: int, task: Task, k: int, rng: np.random.Generator) -> list[Seed]:
    """Names from a file: one per line, or a CSV with the columns `anchor` and, if wanted, `stratum`.

    Raises:
        DataError: the file cannot be read, or holds no name.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"modules.fairness: source: {path!r} cannot be read ({error})") from error
    header = [cell.strip().casefold() for cell in next(csv.reader(lines[:1]), [])]
    if "anchor" in header:
        at, strata = header.index("anchor"), header.index("stratum") if "stratum" in header else None
        rows = [row for row in csv.reader(lines[1:]) if len(row) > at]
        pairs = [(row[at], row[strata] if strata is not None and len(row) > strata else "") for row in rows]
    else:
        pairs = [(line, "") for line in lines]
    named = {name.strip(): stratum.strip() for name, stratum in reversed(pairs) if name.strip()}
    if not named:
        raise DataError(f"modules.fairness: source: {path!r} holds no anchor; write one name per line")
    names = [name for name in dict.fromkeys(name.strip() for name, _ in pairs) if name in named]
    kept = sorted(rng.permutation(len(names))[:count].tolist())
    return [_around(context, names[i], names[i], task, k, named[names[i]], rng) for i in kept]


def instruction(context: Context, task: Task) -> str:
    """The target's own wording for a task."""
    if Input.INSTRUCTION not in context.info.honours:
        return ""
    return context.info.instructions.get(task, "")


def needs_candidates(context: Context, task: Task) -> bool:
    """Whether requests of this task must offer candidates, because the target or the run's protocol wants them."""
    if task == "answer":
        return False
    offered = bool(context.cases) and context.cases[0].request.candidates is not None
    return task == "score" or context.info.needs_candidates or offered


def _around(
    context: Context, name: str, title: str, task: Task, k: int, stratum: str, rng: np.random.Generator
) -> Seed:
    catalog = context.dataset.catalog
    same = {i.id for i in catalog.values() if i.title.strip().casefold() == title.strip().casefold()} | (
        {name} if name in catalog else set()
    )
    request = Request(User(f"anchor:{name}"), task, instruction(context, task), _offer(context, task, same, rng), k=k)
    return Seed(f"anchor:{name}", request, title, drop=frozenset({f"\0{title}", *same}), stratum=stratum)


def _offer(context: Context, task: Task, without: set[str], rng: np.random.Generator) -> tuple[Item, ...] | None:
    if not needs_candidates(context, task):
        return None
    offered: Sequence[Item] = (context.cases[0].request.candidates or ()) if context.cases else ()
    count = min(len(offered) or _CANDIDATES, context.info.max_candidates or len(context.dataset.catalog))
    others = [item for item in context.dataset.catalog.items_in_order if item.id not in without]
    return tuple(others[i] for i in rng.permutation(len(others))[:count].tolist())
