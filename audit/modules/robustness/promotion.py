"""Promotions: does text that a seller or a stranger writes lift an item, on users it was never tried on?

Every attack with the goal `promote` is judged on the same stage (`promotion_trials`): held-out users, items drawn by
clean exposure, the item at one random place among the candidates. Each trial is asked three times, clean, attacked, and
with harmless text of the same length in the same place; what the harmless text does is the floor. Attacks with the goal
`extract` are judged in `extraction`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from audit import stats
from audit.attack import Attack, Edits, Extraction, Found, Goal, Objective, Offer, Promotion, Search, Variant
from audit.attack.promotion import READ_AS
from audit.edits import apply
from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.report_card import ReportCard
from audit.modules.robustness.board import Board
from audit.modules.robustness.extraction import extractions
from audit.modules.robustness.promotion_findings import Shot, report
from audit.modules.robustness.promotion_trials import Stage, Trial, arrives, harmless, set_stage
from audit.target import Input
from audit.types import Item, canonical_json

PROMOTION_METRICS = ("exposure_lift", "rank_gain", "psr", "collateral", "leak_rate")
"""Metrics that only these attacks have; the others are shared with the rest of the module."""

GOALS = frozenset({Goal.PROMOTE, Goal.EXTRACT})
"""Goals that are judged here."""

SEARCHED = 8
"""Anchors whom a search asks about: each edit it tries costs a query for each of them."""

_READ = {Input.ITEM_TEXT: "the text of items", Input.PASSAGES: "passages", Input.NOTE: "the user's note"}


@dataclass(frozen=True)
class Planned:
    """What one attack would write in one trial."""

    trial: Trial
    variant: Variant
    edits: Edits
    control: Edits


@dataclass(frozen=True)
class Lifted:
    """What one attack came to on the bare target.

    Attributes:
        name: registered name.
        attack: built.
        stage: on which it was judged.
        planned: what was written.
        shots: what it did.
        budget: edits that a search could try on each anchor.
    """

    name: str
    attack: Attack
    stage: Stage
    planned: Sequence[Planned]
    shots: Sequence[Shot]
    budget: int


def promotions(
    attacks: Mapping[str, Attack],
    context: Context,
    card: ReportCard,
    output: Output,
    *,
    items: int = 8,
    examples: int = 50,
    budget: int = 50,
) -> list[Lifted]:
    """Judge every attack that lifts an item or draws something out.

    Args:
        attacks: built, by registered name; those with other goals are left out.
        context: what is audited.
        card: collects the findings.
        output: collects the evidence.
        items: most items to lift; 1 % of the catalogue, but at least 4, are taken.
        examples: pieces of evidence kept per attack.
        budget: edits that a search may try on each of its anchors.

    Returns:
        What those came to that lift items.
    """
    lifted: list[Lifted] = []
    extracting = {n: a for n, a in attacks.items() if a.info.threat_model.goal == Goal.EXTRACT}
    lifting = _able({n: a for n, a in attacks.items() if a.info.threat_model.goal == Goal.PROMOTE}, context, card)
    if lifting:
        stage = set_stage(context, items=items)
        if reason := _no_stage(stage):
            for name, attack in lifting.items():
                card.skip("exposure_lift", attack.info.title, reason, attack=name)
        else:
            lifted = _lift(lifting, stage, card, output, examples, budget)
    extractions(extracting, context, card, output, examples=examples)
    return lifted


def search_queries(attacks: Mapping[str, Attack], context: Context, *, items: int = 8, budget: int = 50) -> int:
    """Most queries that `promotions` may spend with these attacks, for a plan; every trial counted in full."""
    users = len(context.cases)
    total = 0
    promoting = [a for a in attacks.values() if a.info.threat_model.goal == Goal.PROMOTE]
    promoting = [a for a in promoting if a.info.lacking(context.info, context.task) is None]
    for attack in promoting:
        drawn = len(attack.able(context.info)) if isinstance(attack, Promotion) else 1
        drawn = min(drawn, getattr(attack, "draws", None) or drawn)
        searched = 0 if isinstance(attack, Promotion) else items * SEARCHED * (budget + 1)
        total += 2 * users * items * drawn + searched
    if promoting:
        total += users * items + 3 * items * min(10, users)
    for attack in attacks.values():
        if attack.info.threat_model.goal == Goal.EXTRACT and isinstance(attack, Extraction):
            total += 3 * users * min(len(attack.variants), attack.draws or len(attack.variants))
    return total


def _able(attacks: Mapping[str, Attack], context: Context, card: ReportCard) -> dict[str, Attack]:
    able: dict[str, Attack] = {}
    for name, attack in attacks.items():
        if reason := attack.info.lacking(context.info, context.task):
            card.skip("exposure_lift", attack.info.title, reason, attack=name)
        elif isinstance(attack, Promotion | Search):
            able[name] = attack
        else:
            reason = "an attack that lifts an item must be a Promotion or a Search, so that users can be held out"
            card.skip("exposure_lift", attack.info.title, reason, attack=name)
    return able


def _no_stage(stage: Stage) -> str:
    if not stage.items:
        return (
            f"no item is left to lift: {stage.saturated} of those drawn are in nearly every clean list, "
            "and the others could not be placed or read"
        )
    if len({trial.case.unit for trial in stage.trials}) < 2:
        return "fewer than two users are left on whom a promotion could be judged"
    return ""


def _lift(
    attacks: Mapping[str, Attack], stage: Stage, card: ReportCard, output: Output, examples: int, budget: int
) -> list[Lifted]:
    context = stage.context
    context.ask([trial.request for trial in stage.trials], label="Items in their places")
    lifted = []
    for name, attack in attacks.items():
        board = Board(
            name,
            attack.info.title,
            card,
            output,
            lambda *parts, name=name: context.rng("promotion", name, *parts),
            examples,
        )
        if isinstance(attack, Promotion):
            planned = _written(attack, stage, board)
        else:
            planned = searched(name, attack, stage, board, budget)
        if not planned:
            continue
        shots = fire(planned, context, board.title)
        board.note = "; ".join(part for part in (board.note, _note(stage, planned)) if part)
        report(board, shots)
        lifted.append(Lifted(name, attack, stage, planned, shots, budget))
    return lifted


def fire(planned: Sequence[Planned], context: Context, label: str) -> list[Shot]:
    """Ask about each trial clean, attacked, and with harmless text of the same length in the same place."""
    clean = [p.trial.request for p in planned]
    attacked = [apply(p.edits, p.trial.request) for p in planned]
    benign = [apply(p.control, p.trial.request) for p in planned]
    context.gateway.fetch([Ask(r) for trio in zip(clean, attacked, benign, strict=True) for r in trio], label=label)
    sides = (context.ask(requests, label=label) for requests in (clean, attacked, benign))
    return [
        Shot(p.trial, p.variant, p.edits, p.control, before, after, control)
        for p, before, after, control in zip(planned, *sides, strict=True)
    ]


def _note(stage: Stage, planned: Sequence[Planned]) -> str:
    users = len({p.trial.case.unit for p in planned})
    parts = [f"{len(stage.items)} items, {users} users that no search has seen"]
    if stage.saturated:
        parts.append(f"{stage.saturated} items left out because clean lists nearly always show them")
    return "; ".join(parts)


# Text that is written down -------------------------------------------------------------------------------------------


def _written(attack: Promotion, stage: Stage, board: Board) -> list[Planned]:
    """The variants, dealt evenly to the trials; those that the target cannot read are said and left out."""
    variants = _read(attack, stage, board)
    if not variants:
        return []
    planned = []
    for trial, dealt in zip(stage.trials, _dealt(attack, variants, stage), strict=True):
        for variant in dealt:
            edits = _crafted(attack, stage, trial, variant)
            if edits:
                planned.append(Planned(trial, variant, edits, harmless(edits, trial.request)))
    if not planned:
        reason = f"{attack.info.id} found nothing to write on"
        board.card.skip("exposure_lift", attack.info.title, reason, attack=board.attack)
    return planned


def _crafted(attack: Promotion, stage: Stage, trial: Trial, variant: Variant) -> Edits:
    rng = stage.context.rng("promotion", attack.info.id, "text", trial.item.id, variant.id)
    edits = attack.rewrite(Offer(trial.item, trial.request, stage.shelf, variant), rng)
    attack.info.threat_model.check(edits)
    return edits


def _read(attack: Promotion, stage: Stage, board: Board) -> list[Variant]:
    """The variants that reach the target. A place that it does not read is untestable, and untested is not robust."""
    able = attack.able(stage.context.info)
    lost = {variant.place: f"the target does not read {_READ[READ_AS[variant.place]]}" for variant in attack.variants}
    lost = {place: reason for place, reason in lost.items() if all(variant.place != place for variant in able)}
    for place in dict.fromkeys(variant.place for variant in able):
        some = next(variant for variant in able if variant.place == place)
        if not _reaches(attack, stage, some):
            lost[place] = f"the prompt of the target leaves out the {place} of items"
    for place, reason in lost.items():
        board.card.skip("psr", f"{attack.info.title} [field: {place}]", reason, attack=board.attack, field=place)
    return [variant for variant in able if variant.place not in lost]


def _reaches(attack: Promotion, stage: Stage, variant: Variant) -> bool:
    written = ((_crafted(attack, stage, trial, variant), trial.request) for trial in stage.trials[:3])
    return arrives(stage.context.gateway.target, written)


def _dealt(attack: Promotion, variants: Sequence[Variant], stage: Stage) -> list[list[Variant]]:
    """The variants of each trial: every one, or `draws` of them, each variant as often as any other."""
    draws = attack.draws or len(variants)
    if draws >= len(variants):
        return [list(variants)] * len(stage.trials)
    rng = stage.context.rng("promotion", attack.info.id, "deal")
    pile: list[int] = []
    dealt = []
    for _ in stage.trials:
        hand: list[int] = []
        while len(hand) < draws:
            at = next((i for i, card in enumerate(pile) if card not in hand), None)
            if at is None:
                pile += rng.permutation(len(variants)).tolist()
            else:
                hand.append(pile.pop(at))
        dealt.append([variants[i] for i in hand])
    return dealt


# Text that is searched for -------------------------------------------------------------------------------------------


def searched(name: str, attack: Attack, stage: Stage, board: Board, budget: int) -> list[Planned]:
    """One search per item, on anchors alone; what it found is the same text for every user."""
    found: dict[str, Found] = {}
    for item_id in stage.items:
        item = stage.context.dataset.catalog[item_id]
        requests = stage.searched(item, SEARCHED)
        if isinstance(attack, Search) and requests:
            found[item_id] = _found(name, attack, stage, item, budget)
    board.extra = {"budget": budget}
    if not any(f.queries for f in found.values()):
        reason = f"{attack.info.id} tried nothing on any item: their text or the budget of {budget} leaves no room"
        board.card.skip("exposure_lift", attack.info.title, reason, **board.params())
        return []
    _queries(board, list(found.values()))
    rewritten = sum(bool(f.edits) for f in found.values())
    board.note = f"{rewritten} of {len(found)} items rewritten; nothing that was tried lifted the others"
    # An item that no text lifted stays as it was: it is a failure of the attack, not a missing trial.
    return [
        Planned(trial, Variant(), edits, harmless(edits, trial.request))
        for trial in stage.trials
        if trial.item.id in found
        for edits in [found[trial.item.id].edits]
    ]


def _found(name: str, attack: Search, stage: Stage, item: Item, budget: int) -> Found:
    """What the search came to for one item, from the store where it was kept."""
    context = stage.context
    requests = stage.searched(item, SEARCHED)
    parts = [name, _options(attack), item.id, budget, context.seed, context.info.fingerprint]
    key = hashlib.sha256(canonical_json([*parts, [r.digest for r in requests]]).encode()).hexdigest()
    if kept := context.gateway.recall(key):
        return Found.from_dict(kept)
    edits, spent, trace = attack.universal(
        context.gateway.recommender(attack.info.title),
        requests,
        Objective(Goal.PROMOTE, item_id=item.id),
        budget * len(requests),
        context.rng("promotion", attack.info.id, "search", item.id),
    )
    found = Found(edits, spent, trace)
    context.gateway.keep(key, found.to_dict())
    return found


def _options(attack: Search) -> dict[str, str]:
    """What the attack was built with, apart from the catalogue."""
    if not is_dataclass(attack):
        return {}
    named: list[Any] = [f.name for f in fields(attack) if f.name != "catalog" and not f.name.startswith("_")]
    return {name: repr(getattr(attack, name)) for name in named}


def _queries(board: Board, found: Sequence[Found]) -> None:
    spent = np.array([float(f.queries) for f in found])
    if len(spent) < 2:
        return
    interval = stats.mean_interval(
        spent,
        rng=board.rng("queries"),
        level=board.card.level,
        resamples=board.card.resamples,
        bounds=(0.0, float(spent.max()) or 1.0),
    )
    title = f"{board.title}: true queries of the search for one item"
    board.card.add("queries", title, interval, n=len(spent), unit="item", direction="neither", params=board.params())
