"""The robustness module: benign controls, then attacks, each with paired intervals above its floor."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from audit import registry, stats
from audit.attack import Attack
from audit.edits import Zone, apply
from audit.findings import Evidence
from audit.gateway import Ask
from audit.modules.arms import benign, plan
from audit.modules.base import Context, ModuleInfo, Output, build
from audit.modules.report_card import ReportCard
from audit.modules.robustness import ranking, scoring
from audit.modules.robustness.advantage import advantages
from audit.modules.robustness.cells import Cell, Labels, plan_cells
from audit.modules.robustness.comparison import Compared, Comparison, losses
from audit.modules.robustness.costs import COST_METRICS, costs, curve
from audit.modules.robustness.panel import Panel
from audit.modules.robustness.promotion import GOALS, PROMOTION_METRICS, promotions
from audit.modules.robustness.promotion import search_queries as promotion_queries
from audit.stats import Look

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
    ),
    controls=("eu-ai-act:2024:art15", "nist-ai-rmf:1.0:MEASURE-2.7"),
)

DEFAULT_ATTACKS = ("typos", "random-words", "random-items", "negation")

_OWN = ("budgets", "labels")
"""Options of an attack's block that are the module's, not the attack's."""


@dataclass(frozen=True)
class Robustness:
    """The module.

    Attributes:
        attacks: names, or a mapping of names to options. The options `budgets` and `labels` of one attack replace the
            module's.
        budgets: true queries per user that each attack with a search may spend; it is run at each.
        labels: `free` (the adversary works against the target's own clean answer), `known` (it knows the true next
            items, as in the papers), or both.
        seeds: how often each attack is run; its findings are means over them, with the user as unit.
        search_users: how many users are searched; None for all.
        champion: the attack that every other is compared with.
        items: most items that attacks on the item side try to lift.
        examples: pieces of evidence kept per attack, worst first.
        sequential: whether an attack stops at a planned look once the policy can judge it. The looks share the error
            of 1 - level (see `audit.stats.looks`), so the intervals stay honest and become slightly wider.
    """

    attacks: Sequence[str] | Mapping[str, Mapping[str, Any] | None] = DEFAULT_ATTACKS
    budgets: Sequence[int] = (50,)
    labels: Labels | Sequence[Labels] = "free"
    seeds: int = 1
    search_users: int | None = 30
    champion: str | None = "cheatagent"
    items: int = 8
    examples: int = 50
    sequential: bool = True
    _built: dict[str, Attack] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in self.attacks:
            registry.load("attacks", name, where="modules.robustness.attacks")
        for name, budgets in {"": self.budgets, **self._own_budgets}.items():
            where = f"attacks.{name}.budgets" if name else "budgets"
            wrong = [b for b in budgets if not isinstance(b, int) or b < (0 if name else 1)]
            if wrong or not budgets:
                raise ValueError(
                    f"{where}: {list(budgets)} must be true queries per user, each at least {0 if name else 1}"
                    + ("" if name else "; 0, a single draw, is for one attack: attacks: {NAME: {budgets: [0]}}")
                )
        for name, modes in {"": _modes(self.labels), **self._own_labels}.items():
            if not modes or any(mode not in ("known", "free") for mode in modes):
                where = f"attacks.{name}.labels" if name else "labels"
                raise ValueError(f"{where}: {', '.join(map(repr, modes))} must be known, free, or a list of both")
        for option, value in (("seeds", self.seeds), ("search_users", self.search_users), ("items", self.items)):
            if value is not None and value < 1:
                raise ValueError(f"{option}: {value} must be at least 1")

    @property
    def info(self) -> ModuleInfo:
        """The declaration."""
        return INFO

    @cached_property
    def _options(self) -> Mapping[str, Mapping[str, Any]]:
        if isinstance(self.attacks, Mapping):
            blocks = {name: options or {} for name, options in self.attacks.items()}
            return {name: {k: v for k, v in block.items() if k not in _OWN} for name, block in blocks.items()}
        return {name: {} for name in self.attacks}

    @cached_property
    def _own_budgets(self) -> Mapping[str, Sequence[int]]:
        if not isinstance(self.attacks, Mapping):
            return {}
        return {name: options["budgets"] for name, options in self.attacks.items() if options and "budgets" in options}

    @cached_property
    def _own_labels(self) -> Mapping[str, tuple[Labels, ...]]:
        if not isinstance(self.attacks, Mapping):
            return {}
        blocks = {name: options for name, options in self.attacks.items() if options and "labels" in options}
        return {name: _modes(options["labels"]) for name, options in blocks.items()}

    def _attack(self, name: str, context: Context) -> Attack:
        if name not in self._built:
            where = f"modules.robustness.attacks.{name}"
            factory = registry.load("attacks", name, where=where)
            known = {"catalog": context.dataset.catalog}
            # Anybody can see what is popular; an attack that wants to know it has a parameter of that name.
            if "popularity" in inspect.signature(factory).parameters:
                known["popularity"] = context.dataset.popularity
            options = {**known, **self._options[name]}
            self._built[name] = build(factory, options, where=where)
        return self._built[name]

    def _aimed(self, context: Context, *, at_items: bool) -> dict[str, Attack]:
        """The attacks by name: those that lift an item or draw something out, or those on the answers of one user."""
        built = {name: self._attack(name, context) for name in self._options}
        return {name: a for name, a in built.items() if (a.info.threat_model.goal in GOALS) == at_items}

    def _cells(self, context: Context) -> list[Cell]:
        """The cells that can run on this target, attacks in their order."""
        able = {
            name: (attack, self._options[name])
            for name, attack in self._aimed(context, at_items=False).items()
            if attack.info.lacking(context.info, context.task) is None
        }
        return plan_cells(
            able,
            budgets=self.budgets,
            own_budgets=self._own_budgets,
            labels=_modes(self.labels),
            own_labels=self._own_labels,
            seeds=self.seeds,
        )

    def _users(self, cell: Cell, context: Context) -> int:
        searched = self.search_users if cell.budget and self.search_users is not None else len(context.cases)
        return min(searched, len(context.cases))

    def plan(self, context: Context) -> list[Ask]:
        """Clean requests, benign controls, and every attack that needs no search.

        What an attack with a search will ask cannot be listed in advance; its declared cost is added by the runner.
        """
        asks = plan(benign(context), context)
        for cell in self._cells(context):
            asks += cell.foreseen(context, len(context.cases))
        return asks

    def search_queries(self, context: Context) -> int:
        """Most queries that attacks with a search may spend on these cases, their answers before and after counted."""
        return sum(
            cell.seeds * self._users(cell, context) * (cell.budget + 2)
            for cell in self._cells(context)
            if not cell.planned
        ) + promotion_queries(self._aimed(context, at_items=True), context, items=self.items, budget=max(self.budgets))

    def run(self, context: Context) -> Output:
        """Ask and conclude."""
        card, output = ReportCard(INFO.id, context.level, INFO.controls), Output()
        if context.task == "answer":
            reason = "free text has no ranking or score to compare; use task: rank"
            card.skip("flip_rate", "Robustness of free text", reason)
        else:
            self._run(context, card, output)
        output.findings, output.values = card.corrected(), card.values
        return output

    def _run(self, context: Context, card: ReportCard, output: Output) -> None:
        arms = benign(context)
        context.gateway.fetch(plan(arms, context), label="Benign controls")
        comparison = Comparison(context, context.ask(context.requests, label="Clean requests"))
        controls = {arm.id: Compared(arm, arm.answers(context)) for arm in arms}
        for control in controls.values():
            self._judge(self._panel(comparison, control, None, card, output))
        for name, attack in self._aimed(context, at_items=False).items():
            if reason := attack.info.lacking(context.info, context.task):
                card.skip("flip_rate", attack.info.title, reason, attack=name)
        cells = self._cells(context)
        done, cards = self._attacked(cells, comparison, controls, output)
        for cell in cells:
            card.take(cards[cell.id])
        if self.champion is not None:
            advantages(self.champion, cells, done, comparison, card)
        promotions(
            self._aimed(context, at_items=True),
            context,
            card,
            output,
            items=self.items,
            examples=self.examples,
            budget=max(self.budgets),
        )

    def _attacked(
        self, cells: Sequence[Cell], comparison: Comparison, controls: Mapping[str, Compared], output: Output
    ) -> tuple[dict[str, Compared], dict[str, ReportCard]]:
        """Attack in planned looks; a cell that the policy can already judge is asked no further."""
        context = comparison.context
        done: dict[str, Compared] = {}
        cards: dict[str, ReportCard] = {}
        planned = {cell.id: self._looks(self._users(cell, context), context.level) for cell in cells}
        for round_ in range(max((len(p) for p in planned.values()), default=0)):
            open_ = [cell for cell in cells if cell.id not in cards]
            asks = [a for cell in open_ for a in cell.foreseen(context, planned[cell.id][round_].n)]
            context.gateway.fetch(asks, label="Attacks")
            for cell in open_:
                look = planned[cell.id][round_]
                once = look if len(planned[cell.id]) > 1 else None
                done[cell.id] = cell.attacked(context, look.n)
                card, shown = self._cell(cell, done[cell.id], comparison.head(look.n), controls, once)
                if not look.early or context.settled(card.findings):
                    cards[cell.id] = card
                    output.evidence += shown.evidence
        return done, cards

    def _looks(self, users: int, level: float) -> Sequence[Look]:
        return stats.looks(users, level=level, fractions=(0.5, 1.0) if self.sequential else (1.0,))

    def _cell(
        self,
        cell: Cell,
        compared: Compared,
        comparison: Comparison,
        controls: Mapping[str, Compared],
        look: Look | None,
    ) -> tuple[ReportCard, Output]:
        level = comparison.context.level if look is None else look.level
        card, shown = ReportCard(INFO.id, level, INFO.controls), Output()
        if not any(draw.arm.changed for draw in compared.draws):
            reason = f"{cell.name} found nothing to edit in any request"
            card.skip("flip_rate", cell.title, reason, attack=cell.name, **cell.params)
            return card, shown
        floor = _floor(cell.attack.info.threat_model.zones, controls).head(len(comparison.clean))
        panel = self._panel(comparison, compared, floor, card, shown, look)
        self._judge(panel)
        costs(panel)
        if compared.found and (look is None or not look.early):
            curve(panel, cell, comparison.context)
        return card, shown

    def _judge(self, panel: Panel) -> None:
        (ranking if panel.comparison.context.task == "rank" else scoring).compare(panel)

    def _panel(
        self,
        comparison: Comparison,
        arm: Compared,
        floor: Compared | None,
        card: ReportCard,
        output: Output,
        look: Look | None = None,
    ) -> Panel:
        """Where the findings of one arm go, with the cases that lost most and those that became unreadable."""
        lost = losses(comparison, [arm.answers])
        worst = sorted((i for i, loss in enumerate(lost) if loss > 0), key=lambda i: (-lost[i], i))
        kept = worst if floor is not None else []
        return Panel(
            comparison,
            arm,
            floor,
            card,
            evidence=self._shown(comparison, arm, kept, output),
            unreadable=self._shown(comparison, arm, comparison.unreadable(arm), output),
            look=look,
        )

    def _shown(self, comparison: Comparison, arm: Compared, cases: Sequence[int], output: Output) -> list[str]:
        shown = []
        for i in cases[: self.examples]:
            case, edits = comparison.context.cases[i], arm.arm.edits[i]
            evidence = Evidence(
                case=case.id,
                title=arm.arm.title,
                before=case.request.digest,
                after=apply(edits, case.request).digest,
                after_repeat=arm.arm.repeat,
                edits=edits,
                note=comparison.describe(i, arm),
            )
            output.evidence.append(evidence)
            shown.append(evidence.id)
        return shown


def _modes(labels: Labels | Sequence[Labels]) -> tuple[Labels, ...]:
    return (labels,) if isinstance(labels, str) else tuple(labels)


def _floor(zones: frozenset[Zone], controls: Mapping[str, Compared]) -> Compared:
    """The benign control of the same kind as the attack.

    Exchanged neighbours for edits of the history, a paraphrase for edits of the wording, and the plain repeat where the
    target allows neither.
    """
    kind = "history_order" if Zone.PLATFORM in zones else "paraphrase"
    return controls.get(kind, controls["repeat"])
