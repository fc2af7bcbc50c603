"""The robustness module: benign controls, then attacks, each with paired intervals above its floor.

Who is attacked decides how an attack is judged: one user's answers (`per_user`), all users by the same words
(`universal`), an item's place in everybody's list (`promotion`), or what a refitted target learns (`shilling`). Where
defenses are named, each is set against the attacks on one user's answers (`defended`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from audit import registry
from audit.attack import Attack, Goal
from audit.attack.shilling import Shilling
from audit.gateway import Ask
from audit.modules.arms import benign, plan
from audit.modules.base import Context, ModuleInfo, Output, build, provided
from audit.modules.protected import Named, Shelf, by_name, protect
from audit.modules.report_card import ReportCard
from audit.modules.robustness.advantage import advantages
from audit.modules.robustness.cells import TERMS, Cell, Labels, Terms, plan_cells
from audit.modules.robustness.comparison import Compared, Comparison
from audit.modules.robustness.costs import COST_METRICS
from audit.modules.robustness.defended import MATRIX_METRICS, MatrixTerms, matrix, promotions_behind
from audit.modules.robustness.defended import search_queries as matrix_queries
from audit.modules.robustness.judging import judge
from audit.modules.robustness.per_user import UserAttacks
from audit.modules.robustness.promotion import GOALS, PROMOTION_METRICS, promotions
from audit.modules.robustness.promotion import search_queries as promotion_queries
from audit.modules.robustness.shilling import SHILLING_METRICS, shilling
from audit.modules.robustness.shilling import search_queries as shilling_queries
from audit.modules.robustness.universal import is_universal, universal
from audit.modules.robustness.universal import search_queries as universal_queries

INFO = ModuleInfo(
    id="robustness",
    title="Robustness",
    question="Does the answer hold when wording, order or history is disturbed, beyond what harmless changes do?",
    metrics=(
        "asr",
        "ndcg_drop",
        "auc_drop",
        "uauc_drop",
        "flip_rate",
        "gain_rate",
        "rbo_loss",
        "jaccard_loss",
        "invalid_rate",
        "advantage",
        *COST_METRICS,
        *PROMOTION_METRICS,
        *SHILLING_METRICS,
        *MATRIX_METRICS,
    ),
    tasks=("rank", "score", "answer"),
    controls=("eu-ai-act:2024:art15", "nist-ai-rmf:1.0:MEASURE-2.7"),
)

DEFAULT_ATTACKS = (
    "typos",
    "random-words",
    "negation",
    "random-items",
    "profile-popular",
    "history-dilution",
    "genetic",
    "keyword-stuffing",
    "hidden-unicode",
    "injection",
)
"""What is run when nothing is named: blind edits of wording, history and item text, and one search, the strongest of
those that need no model of their own."""

_OWN = ("attack", *TERMS)
"""Options of an attack's block that are the module's, not the attack's."""

_MATRIX_EXAMPLES = 5
"""Most pieces of evidence per pair of attack and defense."""


@dataclass(frozen=True)
class Robustness:
    """The module.

    Attributes:
        attacks: names, or a mapping of names to options. Among them `budgets`, `labels`, `seeds` and `users` (how many
            are searched) replace the module's for this attack, and `attack` names the registered attack where the same
            one is run twice with different options, under names of your own.
        budgets: true queries per user that each attack with a search may spend; it is run at each.
        labels: `free` (the adversary works against the target's own clean answer), `known` (it knows the true next
            items, as in the papers), or both.
        seeds: how often each attack is run; its findings are means over them, with the user as unit.
        search_users: how many users are searched; None for all.
        champion: the attack, or several, that every other is compared with.
        items: most items that attacks on the item side try to lift.
        defenses: names, or a mapping of names to options, to be set against the attacks on one user's answers. Among
            the options `defense` names the registered defense where the same one is tried twice with different options,
            under names of your own, and `stack` lists several, the outermost first, to be tried as one.
        matrix: on which terms that is done, by name; see `MatrixTerms`.
        examples: pieces of evidence kept per attack, worst first.
        sequential: whether an attack stops at a planned look once the policy can judge it. The looks share the error
            of 1 - level (see `audit.stats.looks`), so the intervals stay honest and become slightly wider.
    """

    attacks: Named = DEFAULT_ATTACKS
    budgets: Sequence[int] = (50,)
    labels: Labels | Sequence[Labels] = "free"
    seeds: int = 1
    search_users: int | None = 30
    champion: str | Sequence[str] | None = "cheatagent"
    items: int = 8
    examples: int = 50
    sequential: bool = True
    defenses: Named = ()
    matrix: Mapping[str, Any] = field(default_factory=dict)
    _built: dict[str, Attack] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in self.attacks:
            registry.load("attacks", self._plugin(name), where="modules.robustness.attacks")
        self._shelf.check()
        # Read at once, so that a mistake is found before anything is asked.
        _ = self._terms, self._own_terms, self._matrix_terms
        if self.items < 1:
            raise ValueError(f"items: {self.items} must be at least 1")

    @property
    def info(self) -> ModuleInfo:
        """The declaration."""
        return INFO

    @cached_property
    def _blocks(self) -> Mapping[str, Mapping[str, Any]]:
        return by_name(self.attacks)

    @cached_property
    def _shelf(self) -> Shelf:
        return Shelf(self.defenses, "modules.robustness.defenses")

    @cached_property
    def _matrix_terms(self) -> MatrixTerms:
        return MatrixTerms.read(self.matrix, list(self._blocks))

    @cached_property
    def _options(self) -> Mapping[str, Mapping[str, Any]]:
        return {name: {k: v for k, v in block.items() if k not in _OWN} for name, block in self._blocks.items()}

    @cached_property
    def _terms(self) -> Terms:
        if self.search_users is not None and self.search_users < 1:
            raise ValueError(f"search_users: {self.search_users} must be at least 1")
        own = {"budgets": self.budgets, "labels": self.labels, "seeds": self.seeds}
        return replace(Terms.read(own, "", least=1), users=self.search_users)

    @cached_property
    def _own_terms(self) -> Mapping[str, Terms]:
        return {name: Terms.read(block, f"attacks.{name}.", least=0) for name, block in self._blocks.items()}

    def _plugin(self, name: str) -> str:
        return str(self._blocks[name].get("attack", name))

    def _attack(self, name: str, context: Context) -> Attack:
        if name not in self._built:
            where = f"modules.robustness.attacks.{name}"
            factory = registry.load("attacks", self._plugin(name), where=where)
            options = {**provided(factory, context), **self._options[name]}
            self._built[name] = build(factory, options, where=where)
        return self._built[name]

    def _matrix_cells(self, cells: Sequence[Cell]) -> list[Cell]:
        """Each attack once: at its largest budget, and label-free where it runs in both modes."""
        chosen: dict[str, Cell] = {}
        wanted = self._matrix_terms.attacks
        for cell in cells:
            if wanted is None or cell.name in wanted:
                known = chosen.get(cell.name)
                if known is None or (cell.labels == "free", cell.budget) > (known.labels == "free", known.budget):
                    chosen[cell.name] = cell
        return list(chosen.values())

    def _by_judge(self, context: Context) -> dict[str, dict[str, Attack]]:
        """The attacks by name, under the part of the module that judges their kind."""
        built = {name: self._attack(name, context) for name in self._options}
        judges: dict[str, dict[str, Attack]] = {"user": {}, "universal": {}, "promotion": {}, "shilling": {}}
        for name, attack in built.items():
            if isinstance(attack, Shilling):
                judges["shilling"][name] = attack
            elif is_universal(attack):
                judges["universal"][name] = attack
            elif attack.info.threat_model.goal in GOALS:
                judges["promotion"][name] = attack
            else:
                judges["user"][name] = attack
        return judges

    def _user_attacks(self, context: Context) -> UserAttacks:
        able = {
            name: (attack, self._options[name])
            for name, attack in self._by_judge(context)["user"].items()
            if attack.info.lacking(context.info, context.task) is None
        }
        return UserAttacks(plan_cells(able, self._terms, self._own_terms), self.sequential, self.examples)

    def prepare(self, context: Context) -> None:
        """Build the attacks and the defenses."""
        self._by_judge(context)
        self._shelf.build(context)

    def plan(self, context: Context) -> list[Ask]:
        """Clean requests, benign controls, and every attack that needs no search.

        What an attack with a search will ask cannot be listed in advance; its declared cost is added by the runner.
        """
        if context.task == "answer":
            return []
        asks = plan(benign(context), context)
        for cell in self._user_attacks(context).cells:
            asks += cell.foreseen(context, len(context.cases))
        return asks

    def search_queries(self, context: Context) -> int:
        """Most queries that attacks with a search may spend on these cases, their answers before and after counted."""
        judges, budget = self._by_judge(context), max(self.budgets)
        if context.task == "answer":
            return promotion_queries(_extracting(judges["promotion"]), context)
        attacks = self._user_attacks(context)
        cells, defenses = self._matrix_cells(attacks.cells), len(self._shelf.blocks)
        return (
            attacks.search_queries(context)
            + (matrix_queries(defenses, cells, self._matrix_terms, len(context.cases)) if defenses else 0)
            + universal_queries(judges["universal"], context, budget=budget) * len(self._terms.labels or ())
            + promotion_queries(judges["promotion"], context, items=self.items, budget=budget)
            + shilling_queries(judges["shilling"], context, items=self.items)
        )

    def run(self, context: Context) -> Output:
        """Ask and conclude."""
        card, output = ReportCard(INFO.id, context.level, INFO.controls), Output()
        compared = ReportCard(INFO.id, context.level, INFO.controls)
        if context.task == "answer":
            # There is nothing to compare in free text, but it can give the instruction away.
            reason = "free text has no ranking or score to compare; use task: rank"
            card.skip("flip_rate", "Robustness of free text", reason)
            leaking = _extracting(self._by_judge(context)["promotion"])
            promotions(leaking, context, card, output, examples=self.examples)
        else:
            self._run(context, card, compared, output)
        # Attacks on the target are one family of tests, comparisons of defenses another.
        output.findings = [*card.corrected(), *compared.corrected()]
        output.values = {**card.values, **compared.values}
        return output

    def _run(self, context: Context, card: ReportCard, compared: ReportCard, output: Output) -> None:
        judges, built = self._by_judge(context), self._shelf.build(context)
        arms = benign(context)
        context.gateway.fetch(plan(arms, context), label="Benign controls")
        comparison = Comparison(context, context.ask(context.requests, label="Clean requests"))
        controls = {arm.id: Compared(arm, arm.answers(context)) for arm in arms}
        for control in controls.values():
            judge(comparison, control, None, card, output, examples=self.examples)
        budget, examples = max(self.budgets), self.examples
        for name, attack in judges["user"].items():
            if reason := attack.info.lacking(context.info, context.task):
                card.skip("flip_rate", attack.info.title, reason, attack=name)
        attacks = self._user_attacks(context)
        done = attacks.run(comparison, controls, card, output)
        for champion in [self.champion] if isinstance(self.champion, str) else self.champion or ():
            advantages(champion, attacks.cells, done, comparison, card)
        defenses = protect(built, context, compared, metric="robust_utility")
        few = min(examples, _MATRIX_EXAMPLES)
        if defenses and (cells := self._matrix_cells(attacks.cells)):
            matrix(defenses, cells, self._matrix_terms, context, compared, output, examples=few)
        for labels in self._terms.labels or ():
            universal(
                judges["universal"],
                context,
                card,
                output,
                budget=budget,
                labels=labels,
                examples=examples,
                options=self._options,
            )
        lifted = promotions(
            judges["promotion"], context, card, output, items=self.items, examples=examples, budget=budget
        )
        promotions_behind(lifted, defenses, compared, output, examples=few)
        shilling(judges["shilling"], context, card, output, items=self.items, examples=examples)


def _extracting(attacks: Mapping[str, Attack]) -> dict[str, Attack]:
    """Those that draw something out of an answer's text."""
    return {name: attack for name, attack in attacks.items() if attack.info.threat_model.goal == Goal.EXTRACT}
