"""The part: the panel's answers, value against value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.fairness.cards import cards, decided
from audit.modules.fairness.panel import Panel
from audit.modules.fairness.statements import channel_of
from audit.modules.fairness.swaps.interactions import Crossing, judge_crossing
from audit.modules.fairness.swaps.judge import Judge, Pair
from audit.modules.sheet import Sheet


@dataclass(frozen=True)
class Swaps(Panel):
    """What changes when one value of an attribute takes the place of another.

    It asks what the sweep asks, and compares the values with each other: two values can lie equally far from the
    neutral answer and still have nothing in common.

    Attributes:
        reference: by attribute, the value that all others are compared with; without it all pairs are compared.
        cut: score above which a decision is a yes.
        intersections: pairs of attributes that are also said together, such as `[[gender, race]]`.
        min_anchors: anchors below which nothing is said about an intersection.
    """

    reference: Mapping[str, str] | None = None
    cut: float = 0.5
    intersections: Sequence[Sequence[str]] = ()
    min_anchors: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.cut, bool) or not isinstance(self.cut, int | float):
            raise ValueError(f"cut: {self.cut!r} must be a score, such as 0.5")
        if isinstance(self.min_anchors, bool) or not isinstance(self.min_anchors, int) or self.min_anchors < 2:
            raise ValueError(f"min_anchors: {self.min_anchors!r} must be a whole number of at least 2")
        for pair in self.intersections:
            if isinstance(pair, str) or len(pair) != 2 or pair[0] == pair[1]:
                raise ValueError(f"intersections: {pair!r} must be two attributes, such as [gender, race]")
        if self.reference is not None and not isinstance(self.reference, Mapping):
            raise ValueError(f"reference: {self.reference!r} must name a value by attribute, such as {{gender: male}}")

    def lacking(self, context: Context) -> str | None:
        """As for the panel; and something must be left to exchange."""
        if reason := super().lacking(context):
            return reason
        values = self.values(context)
        for name, value in (self.reference or {}).items():
            if name in values and value not in values[name]:
                return f"reference: {name}: {value!r} is none of its values ({', '.join(values[name])})"
        if not self._pairs(context):
            return "an exchange needs two values of an attribute, and each has one"
        return None

    def plan(self, context: Context) -> list[Ask]:
        """The panel, and what its intersections ask."""
        asks = self.every_ask(context)
        for crossing in self._crossings(context):
            if crossing.reason is None and crossing.panel is not None:
                grid = crossing.panel.grid(context)
                asks += grid.asks(context.rng("fairness", grid.name, "order"))
        return asks

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask and compare."""
        primary, explored = cards(context)
        output = Output()
        sheet = Sheet(context, primary, output, examples)
        for name in self.unknown(context):
            reason = "no values are known for it; give them, as in attributes: {name: [one, another]}"
            primary.skip("swap_distance", f"Exchanges of {name}", reason, part="swaps", attribute=name)
        main = self.grid(context).run(context)
        others = [grid.run(context) for grid in self.wordings(context)]
        judge = Judge(
            context=context,
            main=main,
            others=others,
            cut=self.cut,
            primary=primary,
            explored=explored,
            sheet=sheet,
            unit="user" if self.origin == "users" else "anchor",
            channel=str(channel_of(context.info, self.channel)),
        )
        for pair in self._pairs(context):
            judge.judge(pair)
        for crossing in self._crossings(context):
            judge_crossing(context, crossing, self.min_anchors, explored)
        return Output([*decided(primary), *decided(explored)], output.evidence, {**primary.values, **explored.values})

    def _pairs(self, context: Context) -> list[Pair]:
        found = []
        for name, values in self.values(context).items():
            chosen = (self.reference or {}).get(name)
            for a, b in combinations(values, 2):
                if chosen is None:
                    found.append(Pair(name, a, b))
                elif chosen in (a, b):
                    found.append(Pair(name, b if chosen == a else a, chosen))
        return found

    def _crossings(self, context: Context) -> list[Crossing]:
        return [Crossing.of(self, context, (str(a), str(b))) for a, b in self.intersections]
