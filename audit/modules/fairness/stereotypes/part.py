"""The part: what a stated value ties to a group, and what the lists of real groups exaggerate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.fairness.cards import cards, decided
from audit.modules.fairness.exposure.columns import GENRES, genre_column
from audit.modules.fairness.panel import DEFAULT, Panel
from audit.modules.fairness.stereotypes import counterfactual, users
from audit.modules.fairness.stereotypes.desk import Desk
from audit.modules.fairness.stereotypes.features import check_column, features
from audit.modules.report_card import ReportCard
from audit.modules.sheet import Sheet
from audit.stats.association import PRIOR_STRENGTH

ARMS = ("counterfactual", "users")


@dataclass(frozen=True)
class Stereotypes(Panel):
    """Features of the listed items that lean towards a group. Its further options are those of `Panel`.

    With equal options it asks what the sweep asks, and finds the answers in the store.

    Attributes:
        feature: the column of the items whose values are counted; None for keywords alone. Where a catalogue calls its
            genres `genre`, `categories` or `category`, that column is meant too.
        keywords: words or phrases that are looked for in titles.
        arms: `counterfactual`: the same anchors under every value of an attribute. `users`: the run's users by their
            own attributes, against their histories.
        fewest: counts in all lists together below which a feature is not judged.
        smallest: users below which a real group is not judged.
        strength: counts that the prior weighs as much as.
    """

    feature: str | None = "genres"
    keywords: Sequence[str] = ()
    arms: Sequence[str] = ARMS
    fewest: int = 20
    smallest: int = 30
    strength: float = PRIOR_STRENGTH

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.feature is None and not self.keywords:
            raise ValueError("feature: it is empty and there are no keywords; name a column of the items, or keywords")
        if isinstance(self.keywords, str) or not all(isinstance(w, str) and w.strip() for w in self.keywords):
            raise ValueError(f"keywords: {self.keywords!r} must be a list of words or phrases")
        if len({word.casefold() for word in self.keywords}) < len(self.keywords):
            raise ValueError(f"keywords: {list(self.keywords)!r} must hold each word once")
        if isinstance(self.arms, str) or not self.arms or not set(self.arms) <= set(ARMS):
            raise ValueError(f"arms: {self.arms!r} must be a list of {' and '.join(ARMS)}, or one of them")
        if self.fewest < 1:
            raise ValueError(f"fewest: {self.fewest} must be at least 1")
        if self.smallest < 2:
            raise ValueError(f"smallest: {self.smallest} must be at least 2")
        if not self.strength > 0:
            raise ValueError(f"strength: {self.strength} must be above 0")

    def lacking(self, context: Context) -> str | None:
        """Why neither arm can be asked, as the end of a sentence; None if one can.

        Raises:
            ConfigError: no item has the column.
        """
        column = self._column(context)
        if column is None and self.feature == GENRES[0]:
            if not self.keywords:
                return "the items have no column of genres (name another with feature, or give keywords)"
        else:
            check_column(context, column)
        reasons = [self._lacks(arm, context) for arm in self.arms]
        return None if None in reasons else "; ".join(str(reason) for reason in reasons)

    def plan(self, context: Context) -> list[Ask]:
        """The sweep's questions, and the clean requests, which other modules ask too."""
        asks: list[Ask] = []
        if "counterfactual" in self.arms and self._lacks("counterfactual", context) is None:
            for grid in (self.grid(context), *self.wordings(context)):
                asks += grid.asks(context.rng("fairness", grid.name, "order"))
        if "users" in self.arms and self._lacks("users", context) is None:
            asks += [Ask(request) for request in context.requests]
        return asks

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask and conclude."""
        output = Output()
        used: list[ReportCard] = []
        for arm in self.arms:
            # Each arm is a family of its own; neither has tests that were chosen beforehand.
            _, card = cards(context)
            used.append(card)
            metric = "association" if arm == "counterfactual" else "amplification"
            if reason := self._lacks(arm, context):
                card.skip(metric, "Features tied to groups", reason, part="stereotypes", arm=arm)
                continue
            desk = Desk(
                context=context,
                features=features(context, self._column(context), self.keywords),
                card=card,
                sheet=Sheet(context, card, output, examples),
                examples=examples,
                fewest=self.fewest,
                strength=self.strength,
            )
            if arm == "users":
                users.judge(desk, users.known_attributes(context, self._names), self.smallest)
                continue
            for name in self.unknown(context):
                reason = f"no values are known for it; give them, as in attributes: {{{name}: [one, another]}}"
                card.skip(
                    metric, f"What a stated {name} is tied to", reason, part="stereotypes", arm=arm, attribute=name
                )
            others = [grid.run(context) for grid in self.wordings(context)]
            counterfactual.judge(desk, self.values(context), self.grid(context).run(context), others)
        output.findings = [finding for card in used for finding in decided(card)]
        output.values = {key: value for card in used for key, value in card.values.items()}
        return output

    def _column(self, context: Context) -> str | None:
        """The column that is counted; None for keywords alone, or if the usual one is meant and there is none."""
        return genre_column(context.dataset.catalog) if self.feature == GENRES[0] else self.feature

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(self.attributes) if self.attributes is not None else DEFAULT

    def _lacks(self, arm: str, context: Context) -> str | None:
        task = (self.task or context.task) if arm == "counterfactual" else context.task
        if task == "score":
            return "the task 'score' yields no lists (use rank or answer)"
        if arm == "users":
            if not users.known_attributes(context, self._names):
                return f"the users of the data have no {' and no '.join(self._names)}"
            requests = context.requests
        else:
            if reason := super().lacking(context):
                return reason
            requests = [seed.request for seed in self.seeds(context)]
        if all(r.candidates is not None and len(r.candidates) <= r.k for r in requests):
            return "every list holds all candidates, so none can lean (use fewer entries, k, or more candidates)"
        return None
