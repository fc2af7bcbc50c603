"""The part: asks the panel and hands what came back to the judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audit.findings import Finding, Param
from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.fairness.cards import cards, decided
from audit.modules.fairness.panel import Panel
from audit.modules.fairness.statements import Channel, channel_of
from audit.modules.fairness.sweep.attributes import AttributeJudge
from audit.modules.fairness.sweep.desk import Desk
from audit.modules.fairness.sweep.similarity import MEASURES, Measure
from audit.modules.fairness.sweep.surface import judge_languages, judge_spelling
from audit.modules.fairness.sweep.validity import judge_validity
from audit.modules.fairness.sweep.values import ValueJudge
from audit.modules.report_card import ReportCard
from audit.modules.sheet import Sheet

_LEVEL = 0.05


@dataclass(frozen=True)
class Sweep(Panel):
    """What stating an attribute changes, value by value, as FaiRLLM asks it, with the noise floor it lacks.

    Attributes:
        measure: similarity of two lists that findings rest on: `rbo`, `jaccard`, `serp` or `prag`. The others are
            reported beside it.
    """

    measure: Measure = "rbo"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.measure not in MEASURES:
            raise ValueError(f"measure: {self.measure!r} must be one of {', '.join(MEASURES)}")

    def plan(self, context: Context) -> list[Ask]:
        """Every question of the panel."""
        return self.every_ask(context)

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask and conclude."""
        readings = self.grid(context).run(context)
        (primary, explored), (effects, _), (validity, _) = cards(context), cards(context), cards(context)
        output = Output()
        channel = channel_of(context.info, self.channel)
        request = readings.grid.anchors[0].request
        params: dict[str, Param] = {
            "part": "sweep",
            "channel": str(channel),
            "k": request.k if request.task != "score" else len(request.candidates or ()),
            "source": "file" if self.from_file else self.origin,
        }
        desk = Desk(
            context=context,
            readings=readings,
            wordings=[grid.run(context) for grid in self.wordings(context)],
            languages={code: grid.run(context) for code, grid in self.translations(context).items()},
            strata=self.strata(context),
            measure=self.measure,
            replicate=self.replicate,
            params=params,
            unit="user" if self.origin == "users" else "anchor",
            primary=primary,
            effects=effects,
            validity=validity,
            explored=explored,
            sheet=Sheet(context, primary, output, examples),
            can_reword=channel is not Channel.ATTRIBUTES and not self.replicate,
        )
        for name in self.unknown(context):
            reason = f"no values are known for {name}; give them, as in attributes: {{{name}: [one, another]}}"
            primary.skip("snsr", f"SNSR of {name}", reason, part="sweep", attribute=name)
        self._judge(desk)
        families: Sequence[ReportCard] = (validity, effects, primary, explored)
        findings = [finding for card in families for finding in decided(card)]
        output.findings = _changed_at_all(findings)
        output.values = {k: v for card in families for k, v in card.values.items()}
        return output

    def _judge(self, desk: Desk) -> None:
        for attribute, variants in desk.values.items():
            for variant in variants:
                # Validity first: what is not answered has no similarity.
                judge_validity(desk, variant)
                ValueJudge(desk, variant).judge()
            AttributeJudge(desk, attribute, variants).judge()
        if self.typos:
            judge_spelling(desk)
        judge_languages(desk)
        if desk.readings.repeats < 2:
            reason = "each question counts once, and dispersion needs repeats of a target whose answers vary"
            desk.explored.skip("dispersion", "Are answers more random for some values", reason, part="sweep")


def _changed_at_all(findings: Sequence[Finding]) -> list[Finding]:
    """An excess distance is only decided on where answers were shown to change at all."""
    main = {
        (f.params["attribute"], f.params["value"]): f.p_adjusted
        for f in findings
        if f.metric == "energy_distance" and f.p_adjusted is not None
    }
    found = []
    for finding in findings:
        p = main.get((finding.params.get("attribute"), finding.params.get("value")))
        if finding.metric == "excess_distance" and p is not None and p >= _LEVEL:
            reason = f"answers were not shown to change at all (energy distance, corrected p {p:.2g})"
            finding = replace(finding, unmet=(*finding.unmet, reason))
        found.append(finding)
    return found
