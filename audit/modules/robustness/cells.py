"""Cells: each attack at each budget and in each mode, and what was found in it.

A search that was interrupted goes on from what it had found: the edits of every finished group of users are kept in the
store under the cell's name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from audit.attack import Attack, Found, Goal, Objective, Perturbation, Search
from audit.errors import ConfigError
from audit.findings import Param
from audit.gateway import Ask
from audit.modules.arms import Arm
from audit.modules.base import Context
from audit.modules.robustness.comparison import Compared
from audit.types import Answer, canonical_json

Labels = Literal["known", "free"]
"""Whether the adversary knows the true next items, as in the papers, or works against the target's own clean answer."""

_FRESH = 1
"""The repeat that judges a search: the answers by which it chose are the best of many, and so are not used."""


@dataclass(frozen=True)
class Cell:
    """One attack under one budget.

    Attributes:
        name: the attack's registered name.
        attack: built.
        options: it was built with; part of the name under which its finds are kept.
        budget: true queries per user; 0 for a single draw without any search.
        labels: see `Labels`; None where nothing is searched.
        seeds: how often it is run, with streams of their own.
        users: most users that are searched; None for all.
        draws: of a randomised target, over which the search averages its loss (`Objective.draws`).
    """

    name: str
    attack: Attack
    options: str
    budget: int = 0
    labels: Labels | None = None
    seeds: int = 1
    users: int | None = None
    draws: int = 1

    def size(self, users: int) -> int:
        """How many of so many users it is run on."""
        return min(users, self.users) if self.budget and self.users is not None else users

    @property
    def planned(self) -> bool:
        """Whether its edits are known before anything is asked."""
        return isinstance(self.attack, Perturbation) and self.budget == 0

    @property
    def id(self) -> str:
        """Distinct within a module."""
        return f"{self.name}@{self.budget}/{self.labels}" if self.budget else self.name

    @property
    def title(self) -> str:
        """For a report."""
        if not self.budget:
            return self.attack.info.title
        spent = f"best of {self.budget}" if isinstance(self.attack, Perturbation) else f"{self.budget} queries"
        return f"{self.attack.info.title}, {spent}{', labels known' if self.labels == 'known' else ''}"

    @property
    def params(self) -> dict[str, Param]:
        """What sets its findings apart from those of other cells of the same attack."""
        params: dict[str, Param] = {}
        if self.budget:
            params = {"budget": self.budget, "labels": self.labels}
        if self.seeds > 1:
            params["seeds"] = self.seeds
        return params

    def arms(self, context: Context) -> list[Arm]:
        """The planned edits, one arm per seed."""
        if not isinstance(self.attack, Perturbation):
            return []
        relevant = [truth(case.relevant, case.labels, case.request.candidates) for case in context.cases]
        return [
            Arm(
                self.id,
                self.title,
                tuple(self.attack.craft_all(context.requests, context.info, relevant, self._rng(context, seed))),
            )
            for seed in range(self.seeds)
        ]

    def foreseen(self, context: Context, n: int) -> list[Ask]:
        """The questions about the first n cases that are known in advance."""
        if not self.planned:
            return []
        return [ask for arm in self.arms(context) for ask in arm.head(n).asks(context.head(n))]

    def attacked(self, context: Context, n: int) -> Compared:
        """The attack on the first n cases."""
        stage = context.head(n)
        made = [
            Compared(arm, arm.answers(stage), found, params=self.params, attack=self.name)
            for arm, found in self.crafted(context, n)
        ]
        return replace(made[0], more=tuple(made[1:]))

    def crafted(self, context: Context, n: int) -> list[tuple[Arm, tuple[Found, ...]]]:
        """The edits for the first n cases, one arm per seed, and for a search what it came to."""
        if self.planned:
            return [(arm.head(n), ()) for arm in self.arms(context)]
        searched = []
        for seed in range(self.seeds):
            found = tuple(self._found(context, n, seed))
            searched.append((Arm(self.id, self.title, tuple(f.edits for f in found), repeat=_FRESH), found))
        return searched

    def at(self, context: Context, compared: Compared, queries: int) -> list[list[Answer]]:
        """Per seed, the answers to the best edits that the search had seen after so many true queries."""
        answers = []
        for draw in compared.draws:
            arm = Arm(self.id, self.title, tuple(f.after(queries) for f in draw.found), repeat=_FRESH)
            answers.append(context.ask(arm.requests(context), repeat=_FRESH, label=f"{self.title}, curve"))
        return answers

    def _rng(self, context: Context, seed: int) -> Any:  # noqa: ANN401 - a numpy Generator
        names = ["attack", self.attack.info.id]
        if self.budget:
            names += [str(self.budget), str(self.labels)]
        return context.rng(*names, *([f"seed {seed}"] if seed else []))

    def _found(self, context: Context, n: int, seed: int) -> list[Found]:
        """What the search finds for the first n cases, going on from what is kept."""
        name = self._key(context, seed)
        kept = context.gateway.recall(name) or []
        found = [Found.from_dict(data) for data in kept]
        if len(found) >= n:
            return found[:n]
        cases = context.cases[:n]
        goal = Goal.FLIP if context.task == "score" else Goal.DEGRADE
        relevant = tuple(truth(case.relevant, case.labels, case.request.candidates) for case in cases)
        objective = Objective(goal, relevant, label_free=self.labels == "free", draws=self.draws)
        target = context.gateway.recommender(self.title)
        requests = [case.request for case in cases]
        rng = self._rng(context, seed)
        done = len(found)
        if isinstance(self.attack, Search):
            attempts = self.attack.run(target, requests, objective, self.budget, rng, skip=done)
        else:
            rest = replace(objective, relevant=relevant[done:])
            attempts = self.attack.run(target, requests[done:], rest, self.budget, rng)
        unsaved = 0
        for attempt in attempts:
            found.append(attempt.found)
            unsaved += 1
            if unsaved >= getattr(self.attack, "group", 1):
                context.gateway.keep(name, [f.to_dict() for f in found])
                unsaved = 0
        if len(found) != n:
            raise ConfigError(
                f"modules.robustness.attacks: {self.attack.info.id!r} made {len(found) - done} attempts on {n - done} "
                "requests; an attack must yield one attempt per request"
            )
        context.gateway.keep(name, [f.to_dict() for f in found])
        return found

    def _key(self, context: Context, seed: int) -> str:
        target = context.info.fingerprint or context.info.name
        parts = [self.name, self.options, self.budget, self.labels, seed, context.seed, target]
        if self.draws > 1:
            parts.append(self.draws)
        return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def truth(relevant: frozenset[str], labels: Sequence[int], candidates: Sequence[Any] | None) -> frozenset[str]:
    """The ids that a case holds to be right: the next items, or the liked candidates."""
    if not labels:
        return relevant
    return frozenset(item.id for item, label in zip(candidates or (), labels, strict=True) if label)


@dataclass(frozen=True)
class Terms:
    """On which terms an attack is run; what is None is the module's own.

    Attributes:
        budgets: true queries per user; it is run at each.
        labels: modes of its searches.
        seeds: runs of each.
        users: most users that are searched.
    """

    budgets: Sequence[int] | None = None
    labels: Sequence[Labels] | None = None
    seeds: int | None = None
    users: int | None = None

    @classmethod
    def read(cls, block: Mapping[str, Any], where: str, *, least: int) -> Terms:
        """The terms in a block of options.

        Args:
            block: options; others than these four are left alone.
            where: name of the block, for the error sentence.
            least: the smallest budget.

        Raises:
            ValueError: one that cannot be meant.
        """
        modes: Any = block.get("labels")
        modes = (modes,) if isinstance(modes, str) else modes
        terms = cls(block.get("budgets"), modes, block.get("seeds"), block.get("users"))
        if terms.budgets is not None:
            budgets = list(terms.budgets) if isinstance(terms.budgets, Sequence) else [terms.budgets]
            if not budgets or any(not isinstance(b, int) or b < least for b in budgets):
                hint = "" if least == 0 else "; 0, a single draw, is for one attack: attacks: {NAME: {budgets: [0]}}"
                raise ValueError(
                    f"{where}budgets: {budgets} must be true queries per user, each at least {least}{hint}"
                )
            terms = replace(terms, budgets=budgets)
        if terms.labels is not None and (not terms.labels or any(m not in ("known", "free") for m in terms.labels)):
            raise ValueError(f"{where}labels: {', '.join(map(repr, terms.labels))} must be known, free, or both")
        for option, value in (("seeds", terms.seeds), ("users", terms.users)):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"{where}{option}: {value} must be at least 1")
        return terms


TERMS = ("budgets", "labels", "seeds", "users")


def plan_cells(
    attacks: Mapping[str, tuple[Attack, Mapping[str, Any]]], terms: Terms, own: Mapping[str, Terms]
) -> list[Cell]:
    """Every cell, attacks in their order.

    Args:
        attacks: built attacks and their options, by name.
        terms: of all; `users` None for every user.
        own: by name, where an attack has terms of its own. A perturbation without budgets of its own is drawn once.
    """
    cells = []
    for name, (attack, options) in attacks.items():
        mine = own.get(name, Terms())
        blind = (0,) if isinstance(attack, Perturbation) else terms.budgets or ()
        for budget in blind if mine.budgets is None else mine.budgets:
            for mode in (mine.labels or terms.labels or ()) if budget else (None,):
                seeds, users = mine.seeds or terms.seeds or 1, mine.users or terms.users
                cells.append(Cell(name, attack, canonical_json(dict(options)), budget, mode, seeds, users))
    return cells
