"""The robustness module: benign controls, then attacks, each with paired intervals above its floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from audit import registry, stats
from audit.attack import Attack, Goal, Objective, Perturbation
from audit.edits import Zone, apply
from audit.errors import ConfigError
from audit.findings import Evidence
from audit.gateway import Ask
from audit.modules.arms import Arm, benign, plan
from audit.modules.base import Context, ModuleInfo, Output, build
from audit.modules.report_card import ReportCard
from audit.modules.robustness import ranking, scoring
from audit.modules.robustness.comparison import Compared, Comparison
from audit.modules.robustness.panel import Panel
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
    ),
    controls=("eu-ai-act:2024:art15", "nist-ai-rmf:1.0:MEASURE-2.7"),
)

DEFAULT_ATTACKS = ("typos", "random-words", "random-items", "negation")


@dataclass(frozen=True)
class Robustness:
    """The module.

    Attributes:
        attacks: names, or a mapping of names to options.
        examples: pieces of evidence kept per attack, worst first.
        sequential: whether an attack stops at a planned look once the policy can judge it. The looks share the error
            of 1 - level (see `audit.stats.looks`), so the intervals stay honest and become slightly wider.
    """

    attacks: Sequence[str] | Mapping[str, Mapping[str, Any] | None] = DEFAULT_ATTACKS
    examples: int = 50
    sequential: bool = True
    _built: dict[str, Attack] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in self.attacks:
            registry.load("attacks", name, where="modules.robustness.attacks")

    @property
    def info(self) -> ModuleInfo:
        """The declaration."""
        return INFO

    @cached_property
    def _options(self) -> Mapping[str, Mapping[str, Any]]:
        if isinstance(self.attacks, Mapping):
            return {name: options or {} for name, options in self.attacks.items()}
        return {name: {} for name in self.attacks}

    def _attack(self, name: str, context: Context) -> Attack:
        if name not in self._built:
            where = f"modules.robustness.attacks.{name}"
            factory = registry.load("attacks", name, where=where)
            options = {"catalog": context.dataset.catalog, **self._options[name]}
            self._built[name] = build(factory, options, where=where)
        return self._built[name]

    def _arm(self, attack: Perturbation, context: Context) -> Arm:
        relevant = [case.relevant for case in context.cases]
        rng = context.rng("attack", attack.info.id)
        return Arm(
            attack.info.id,
            attack.info.title,
            tuple(attack.craft_all(context.requests, context.info, relevant, rng)),
        )

    def plan(self, context: Context) -> list[Ask]:
        """Clean requests, benign controls, and every attack that needs no search.

        What an attack with a search will ask cannot be listed in advance; its declared cost is added by the runner.
        """
        arms = benign(context)
        for name in self._options:
            attack = self._attack(name, context)
            if isinstance(attack, Perturbation) and attack.info.lacking(context.info, context.task) is None:
                arms.append(self._arm(attack, context))
        return plan(arms, context)

    def search_queries(self, context: Context) -> int:
        """Most queries that attacks with a search may spend on these cases."""
        attacks = [self._attack(name, context) for name in self._options]
        able = [a for a in attacks if a.info.lacking(context.info, context.task) is None]
        return sum(a.info.queries_per_request for a in able) * len(context.cases)

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
        able: dict[str, Attack] = {}
        cells: dict[str, ReportCard] = {}
        for name in self._options:
            attack = self._attack(name, context)
            if reason := attack.info.lacking(context.info, context.task):
                cells[name] = ReportCard(INFO.id, context.level, INFO.controls)
                cells[name].skip("flip_rate", attack.info.title, reason, attack=name)
            else:
                able[name] = attack
        cells |= self._cells(able, comparison, controls, output)
        for name in self._options:
            card.take(cells[name])

    def _cells(
        self,
        attacks: Mapping[str, Attack],
        comparison: Comparison,
        controls: Mapping[str, Compared],
        output: Output,
    ) -> dict[str, ReportCard]:
        """Attack in planned looks; an attack that the policy can already judge is asked no further."""
        context = comparison.context
        n = len(context.cases)
        planned = stats.looks(n, level=context.level, fractions=(0.5, 1.0) if self.sequential else (1.0,))
        found: dict[str, ReportCard] = {}
        done: dict[str, Compared] = {}
        for look in planned:
            stage = comparison.head(look.n)
            open_ = {name: attack for name, attack in attacks.items() if name not in found}
            foreseen = [a for attack in open_.values() for a in self._foreseen(attack, context, look.n)]
            context.gateway.fetch(foreseen, label=f"Attacks on {look.n} users")
            for name, attack in open_.items():
                done[name] = self._attacked(attack, context, done.get(name), look.n)
                cell, shown = ReportCard(INFO.id, look.level, INFO.controls), Output()
                if done[name].arm.edited:
                    floor = _floor(attack.info.threat_model.zones, controls).head(look.n)
                    once = look if len(planned) > 1 else None
                    self._judge(self._panel(stage, done[name], floor, cell, shown, once))
                elif not look.early:
                    cell.skip(
                        "flip_rate", attack.info.title, f"{name} found nothing to edit in any request", attack=name
                    )
                if not look.early or context.settled(cell.findings):
                    found[name] = cell
                    output.evidence += shown.evidence
        return found

    def _judge(self, panel: Panel) -> None:
        (ranking if panel.comparison.context.task == "rank" else scoring).compare(panel)

    def _foreseen(self, attack: Attack, context: Context, n: int) -> list[Ask]:
        return self._arm(attack, context).head(n).asks(context.head(n)) if isinstance(attack, Perturbation) else []

    def _attacked(self, attack: Attack, context: Context, before: Compared | None, n: int) -> Compared:
        """The attack on the first n cases, going on from what an earlier look did."""
        if isinstance(attack, Perturbation):
            arm = self._arm(attack, context).head(n)
            return Compared(arm, arm.answers(context.head(n)))
        start = len(before.answers) if before else 0
        fresh = context.cases[start:n]
        attempts = list(
            attack.run(
                context.gateway.recommender(),
                [case.request for case in fresh],
                Objective(Goal.DEGRADE, tuple(case.relevant for case in fresh)),
                attack.info.queries_per_request,
                context.rng("attack", attack.info.id, str(start)),
            )
        )
        if len(attempts) != len(fresh):
            raise ConfigError(
                f"modules.robustness.attacks: {attack.info.id!r} made {len(attempts)} attempts on {len(fresh)} "
                "requests; an attack must yield one attempt per request"
            )
        edits = (*(before.arm.edits if before else ()), *(a.edits for a in attempts))
        answers = [*(before.answers if before else ()), *(a.after for a in attempts)]
        queries = (before.queries if before else 0) + sum(a.queries for a in attempts)
        return Compared(Arm(attack.info.id, attack.info.title, edits), answers, queries)

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
        losses = comparison.losses(arm)
        worst = sorted((i for i, loss in enumerate(losses) if loss > 0), key=lambda i: (-losses[i], i))
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


def _floor(zones: frozenset[Zone], controls: Mapping[str, Compared]) -> Compared:
    """The benign control of the same kind as the attack.

    Exchanged neighbours for edits of the history, a paraphrase for edits of the wording, and the plain repeat where the
    target allows neither.
    """
    kind = "history_order" if Zone.PLATFORM in zones else "paraphrase"
    return controls.get(kind, controls["repeat"])
