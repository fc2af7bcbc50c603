"""Universal triggers: do a few words, the same for everybody, harm users on whom they were never tried?

The words are sought on anchor users and judged on all others, against a benign paraphrase of their requests. An attack
of that kind says so with `one_for_all`; it is a `Search` whose `search` takes several requests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from audit.attack import Attack, Found, Goal, Objective, Search
from audit.findings import Param
from audit.modules.arms import Arm, paraphrase, repeat
from audit.modules.base import Context, Output
from audit.modules.report_card import ReportCard
from audit.modules.robustness.cells import Labels, truth
from audit.modules.robustness.comparison import Compared, Comparison
from audit.modules.robustness.costs import costs
from audit.modules.robustness.judging import judge
from audit.types import canonical_json

ANCHORS = 8
"""Users on whom the words are sought: each edit that is tried costs a query for each of them."""


def is_universal(attack: Attack) -> bool:
    """Whether an attack makes one edit for all users, to be judged here and not user by user."""
    return isinstance(attack, Search) and bool(getattr(attack, "one_for_all", False))


def universal(
    attacks: Mapping[str, Attack],
    context: Context,
    card: ReportCard,
    output: Output,
    *,
    budget: int = 50,
    labels: Labels = "free",
    anchors: int = ANCHORS,
    examples: int = 50,
    options: Mapping[str, Mapping[str, object]] | None = None,
) -> None:
    """Judge every attack that makes one edit for all users; others are left out.

    Args:
        attacks: built, by registered name.
        context: what is audited.
        card: collects the findings.
        output: collects the evidence.
        budget: edits that may be tried; each costs a query for each anchor.
        labels: whether the adversary knows the true next items of its anchors.
        anchors: most users to seek on; never more than half of all.
        examples: pieces of evidence kept per attack.
        options: what the attacks were built with, by name: part of the name under which finds are kept.
    """
    for name, attack in attacks.items():
        if not is_universal(attack) or not isinstance(attack, Search):
            continue
        params: dict[str, Param] = {"attack": name, "budget": budget, "labels": labels}
        count = min(anchors, len(context.cases) // 2)
        reason = attack.info.lacking(context.info, context.task)
        if reason is None and (count < 1 or len(context.cases) - count < 2):
            reason = f"{len(context.cases)} users are too few to seek on some and judge on others"
        if reason:
            card.skip("flip_rate", attack.info.title, reason, **params)
            continue
        built = dict((options or {}).get(name, {}))
        found = _found(name, built, attack, context.head(count), budget, labels)
        if not found.edits:
            reason = f"{attack.info.id} found no words that change what its anchors are shown"
            card.skip("flip_rate", attack.info.title, reason, **params)
            continue
        rest = replace(context, cases=context.cases[count:])
        _judge(name, attack, found, rest, card, output, budget=budget, labels=labels, anchors=count, examples=examples)


def search_queries(attacks: Mapping[str, Attack], context: Context, *, budget: int = 50, anchors: int = ANCHORS) -> int:
    """Most queries that `universal` may spend with these attacks, for a plan."""
    able = [a for a in attacks.values() if is_universal(a) and a.info.lacking(context.info, context.task) is None]
    count = min(anchors, len(context.cases) // 2)
    return len(able) * (count * (budget + 1) + 3 * (len(context.cases) - count))


def _found(
    name: str, options: Mapping[str, object], attack: Search, context: Context, budget: int, labels: Labels
) -> Found:
    """What the search came to on its anchors, from the store where it was kept."""
    parts = ["universal", name, options, budget, labels, context.seed, context.info.fingerprint]
    key = hashlib.sha256(canonical_json([*parts, [r.digest for r in context.requests]]).encode()).hexdigest()
    if kept := context.gateway.recall(key):
        return Found.from_dict(kept)
    goal = Goal.FLIP if context.task == "score" else Goal.DEGRADE
    relevant = tuple(truth(case.relevant, case.labels, case.request.candidates) for case in context.cases)
    edits, spent, trace = attack.universal(
        context.gateway.recommender(attack.info.title),
        context.requests,
        Objective(goal, relevant, label_free=labels == "free"),
        budget * len(context.requests),
        context.rng("universal", attack.info.id, str(budget), labels),
    )
    found = Found(edits, spent, trace)
    context.gateway.keep(key, found.to_dict())
    return found


def _judge(
    name: str,
    attack: Search,
    found: Found,
    context: Context,
    card: ReportCard,
    output: Output,
    *,
    budget: int,
    labels: Labels,
    anchors: int,
    examples: int,
) -> None:
    known = ", labels known" if labels == "known" else ""
    title = f"{attack.info.title}, found with {found.queries} queries about {anchors} other users{known}"
    arm = Arm(f"{name}@{budget}/{labels}", title, (found.edits,) * len(context.cases))
    benign = paraphrase(context)
    benign = benign if benign.edited else repeat(context)
    context.gateway.fetch([*benign.asks(context), *arm.asks(context)], label=title)
    comparison = Comparison(context, context.ask(context.requests, label="Clean requests"))
    params: dict[str, Param] = {"budget": budget, "labels": labels, "anchors": anchors}
    attacked = Compared(arm, arm.answers(context), params=params, attack=name)
    floor = Compared(benign, benign.answers(context))
    panel = judge(comparison, attacked, floor, card, output, examples=examples)
    # The users judged were never searched, so no mean over them tells what the search cost: the title does.
    costs(panel)
