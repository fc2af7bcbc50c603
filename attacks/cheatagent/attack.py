"""CheatAgent: where to insert, by masked importance; what to insert, from an agent tuned on the target's feedback.

Ning et al., KDD 2024 (arXiv 2504.13192), sections 3.2 to 3.4. Equations are quoted where they are computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from attacks.cheatagent import loading, prompts
from attacks.cheatagent.agent import Agent, Candidate, Policy, Propose, Question, Reflect, Rule
from attacks.cheatagent.plan import Plan, fit
from attacks.cheatagent.slot import Slot, labels
from attacks.places import Place, in_order, insertable, insertion, title_words
from attacks.positioning import Kinds, Variant, check_kinds, important_places, random_places
from audit.attack import AttackInfo, Edits, Job, Probe, Search, Steps, ThreatModel
from audit.edits import Edit, HistoryInsert, Zone
from audit.errors import ConfigError
from audit.target import Input
from audit.types import Item

_POSITIONS = 35
"""Positioning queries of the released code on P5: 16 words of the template and up to 19 pairs of events."""

_AGAIN = 3
"""Positions are asked again where that costs at most one in so many of the queries that are left."""


@dataclass(frozen=True)
class CheatAgent(Search):
    """Insert words and items that a language model learns to choose from the target's feedback.

    Attributes:
        delta: Δ, how many insertions.
        prefixes: k, random prefixes of the initial policy.
        candidates: n, of one beam search.
        rounds: T, of self-reflection.
        rate: γ, of a step.
        weight: λ, of the similarity in the final choice.
        edits: insert words, items, or both.
        agent: None for SmolLM2; a folder, GGUF file or hub name of a causal or encoder-decoder model; a mapping
            `{kind: openai, base_url: …, model: …}` for a chat API, which reflects by text.
        tuning: False for the ablation C-w/o PT: the queries of the rounds go to more random prefixes.
        positioning: False for random places.
        variant: `released-code` follows the published code where it departs from the paper.
        adaptive: an extension that spends the same budget better. Places are ranked by what an insertion there does.
            They are searched one after the other, each with the winners before it in place. No beam proposes what was
            tried at its place before, and every step also sees the best so far. The best that was seen is kept.
    """

    delta: int = 3
    prefixes: int = 10
    candidates: int = 10
    rounds: int = 5
    rate: float = 0.1
    weight: float = 0.01
    edits: Kinds = "both"
    agent: Any = None
    tuning: bool = True
    positioning: bool = True
    variant: Variant = "paper"
    adaptive: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kinds(self.edits, self.variant)
        loading.check(self.agent)
        for name in ("delta", "prefixes", "candidates"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: {getattr(self, name)} must be at least 1")
        for name in ("rounds", "rate", "weight"):
            if not (getattr(self, name) >= 0 and math.isfinite(getattr(self, name))):
                raise ConfigError(f"{name}: {getattr(self, name)} must be 0 or more")

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        words = {Zone.OPERATOR, Zone.USER, Zone.SELLER} if self.edits != "items" else set()
        items = {Zone.PLATFORM} if self.edits != "words" else set()
        read = {Input.INSTRUCTION, Input.NOTE, Input.ITEM_TEXT} if words else set()
        name, title = self._named
        return AttackInfo(
            id=name,
            title=title,
            why="A language model finds by itself which few words or items make a recommender miss.",
            reference="Ning et al., CheatAgent, KDD 2024 (arXiv 2504.13192)",
            # The pairs that the released code masks are two edits.
            threat_model=ThreatModel(frozenset(words | items), max(self.delta, 2), None, "scores"),
            needs=frozenset(read | ({Input.HISTORY} if items else set())),
            queries_per_request=_POSITIONS * self.positioning + self._full,
            severity="medium",
        )

    @property
    def _named(self) -> tuple[str, str]:
        if not self.tuning:
            return "cheatagent-no-tuning", "CheatAgent without prompt tuning (C-w/o PT)"
        if self.adaptive:
            return "cheatagent-adaptive", "CheatAgent with an adaptive search"
        return "cheatagent", "CheatAgent"

    @property
    def _full(self) -> int:
        """What the paper's search costs behind positioning, and the insertions together."""
        return self.delta * self.candidates * (self.prefixes + self.rounds + 1) + (self.delta > 1)

    @cached_property
    def mind(self) -> Agent:
        """The agent, built at its first use.

        Raises:
            ConfigError: the option `agent` cannot be used.
            TargetError: its model cannot be loaded.
        """
        return loading.build(self.agent, self.catalog)

    def search(self, probe: Probe) -> Steps:
        """Attack one user."""
        # Section 3.3.1: the Δ places on which the answer rests most.
        places = yield from self._places(probe)
        plan = self._plan(probe.left, len(places))
        if plan is None:
            return None
        if self.adaptive:
            yield from self._one_by_one(places[: plan.places], probe)
            return None
        slots = [self._slot(place, probe) for place in places[: plan.places]]

        # Section 3.3.2: the initial policy, self-reflection, and what F_T proposes.
        yield from self._learn(slots, plan, probe)
        if plan.last:
            yield from self._propose(slots, plan)

        # All searches started from the clean X; what they found is inserted together. Places may like the same item. It
        # is inserted at the most important of them alone: three times the same event would be another attack, and a
        # conspicuous one. The released code does not look.
        chosen: list[tuple[Slot, Candidate]] = []
        for slot in slots:
            taken = {c.what.id for _, c in chosen if isinstance(c.what, Item)} if self.variant == "paper" else ()
            if (best := slot.choice(self.weight, taken)) is not None:
                chosen.append((slot, best))
        found = in_order((slot.place, slot.edit(candidate)) for slot, candidate in chosen)
        if len(found) > 1 and probe.left:
            yield [found]  # for the curve of success against queries, which knows what was asked
        return found

    def _places(self, probe: Probe) -> Generator[Any, Any, list[Place]]:
        kinds = self.edits
        if kinds != "words" and not insertable(self.catalog, probe.avoid, probe.request):
            if kinds == "items":
                return []
            kinds = "words"  # the catalogue has nothing left to insert
        if not self.positioning:
            return random_places(probe, self.delta, kinds)
        fill = self._filler(probe) if self.adaptive else None
        return (yield from important_places(probe, self.delta, edits=kinds, variant=self.variant, fill=fill))

    def _filler(self, probe: Probe, taken: frozenset[str] = frozenset()) -> Callable[[Place], str | Item]:
        """Something to try at every place: the same random item, the same random word of a title."""
        items = insertable(self.catalog, probe.avoid | taken, probe.request)
        words = title_words(self.catalog.items_in_order) or ["and"]
        item = items[int(probe.rng.integers(len(items)))] if items else None
        word = words[int(probe.rng.integers(len(words)))]
        return lambda place: item if place.kind == "item" and item is not None else word

    def _one_by_one(self, places: Sequence[Place], probe: Probe) -> Generator[Any, Any, None]:
        """One insertion after the other, each behind the winners before it; what is left is shared anew.

        Where the next one does most harm is asked again, for the places that positioning found: it may be the same.
        """
        before: tuple[tuple[Place, Edit], ...] = ()
        for number, place in enumerate(places):
            if before and probe.left > _AGAIN * len(places) * (len(places) - number):
                fill = self._filler(probe, _items(before))
                losses = yield [in_order([*before, (p, insertion(p, fill(p), probe.request))]) for p in places]
                place = places[losses.index(max(losses))]
            plan = self._plan(probe.left // (len(places) - number), 1)
            if plan is None:
                continue
            slot = self._slot(place, probe, before)
            yield from self._learn([slot], plan, probe)
            if plan.last:
                yield from self._propose([slot], plan)
            if slot.known and slot.top[1] > -math.inf:
                before = (*before, (place, slot.edit(slot.top[0])))

    def _plan(self, left: int, places: int) -> Plan | None:
        if self.tuning:
            return fit(left, places, self.prefixes, self.candidates, self.rounds)
        return fit(left, places, self.prefixes + self.rounds + 1, self.candidates, 0)

    def _slot(self, place: Place, probe: Probe, before: tuple[tuple[Place, Edit], ...] = ()) -> Slot:
        prompt = prompts.for_place(place, probe.request, probe.loss_about, self.catalog)
        question = Question(prompt, place.kind, probe.avoid | _items(before) if place.kind == "item" else frozenset())
        return Slot(place, probe.request, question, before=before)

    def _learn(self, slots: Sequence[Slot], plan: Plan, probe: Probe) -> Generator[Any, Any, None]:
        """Both steps of prompt tuning; leaves F_T with every slot."""
        # Eq. 1 and 2: k random prefixes, n candidates each; F_0 owns the single best, whose loss is L_max. The prefixes
        # are the same at all places of a user: an item prompt does not depend on the place, so its beams are shared.
        policies = self._draw(probe, plan)
        tops = yield from self._initial(slots, policies, plan)
        first = yield from self._first(slots, policies, tops)
        for slot, top, policy in zip(slots, tops, first, strict=True):
            slot.best, slot.policy = max(top), policy
        # Eq. 3 and 4: T times propose, label, one step.
        rule = Rule(self.rate, adamw=self.variant == "released-code", mean=self.variant == "released-code")
        for turn in range(plan.rounds):
            if turn and probe.left < plan.round + plan.closing:
                return
            yield from self._propose(slots, plan)
            if self.variant == "released-code" and turn + 1 == plan.rounds:
                return  # its last proposal is made with the embedding of before the last step
            policies = yield self._step([self._reflect(slot, rule) for slot in slots])
            for slot, policy in zip(slots, policies, strict=True):
                slot.policy = policy

    def _draw(self, probe: Probe, plan: Plan) -> tuple[Policy, ...]:
        """F_1 … F_k."""
        return self.mind.draw(probe.rng, plan.prefixes)

    def _first(
        self, slots: Sequence[Slot], policies: Sequence[Policy], tops: Sequence[Sequence[float]]
    ) -> Generator[Any, Any, list[Policy]]:
        """F_0 of every slot, from the best loss of each policy there."""
        yield from ()
        return [policies[top.index(max(top))] for top in tops]

    def _step(self, tasks: Sequence[Reflect]) -> Job:
        return Job(self.mind, tasks)

    def _reflect(self, slot: Slot, rule: Rule) -> Reflect:
        tried, losses = list(slot.tried), list(slot.losses)
        if self.adaptive and slot.known and slot.top[0] not in tried:
            tried, losses = [*tried, slot.top[0]], [*losses, slot.top[1]]
        return Reflect(slot.question, slot.policy, tuple(tried), labels(losses, slot.best, self.variant), rule)

    def _initial(
        self, slots: Sequence[Slot], policies: Sequence[Policy], plan: Plan
    ) -> Generator[Any, Any, list[list[float]]]:
        """The best loss of each policy at each slot; leaves the candidates of the best policy with the slot."""
        tasks = [Propose(slot.question, tuple(policies), plan.candidates, self.adaptive) for slot in slots]
        beams: list[list[list[Candidate]]] = yield Job(self.mind, tasks)
        losses = yield from self._ask([(s, [c for b in row for c in b]) for s, row in zip(slots, beams, strict=True)])
        tops = []
        for slot, by_policy, found in zip(slots, beams, losses, strict=True):
            at = iter(found)
            scored = [[next(at) for _ in beam] for beam in by_policy]
            top = [max(beam, default=-math.inf) for beam in scored]
            first = top.index(max(top))
            slot.tried, slot.losses = by_policy[first], scored[first]
            tops.append(top)
        return tops

    def _propose(self, slots: Sequence[Slot], plan: Plan) -> Generator[Any, Any, None]:
        """What each slot's policy proposes, and what the target makes of it."""
        tasks = [Propose(self._fresh(slot), (slot.policy,), plan.candidates) for slot in slots]
        beams = yield Job(self.mind, tasks)
        losses = yield from self._ask([(slot, beam) for slot, (beam,) in zip(slots, beams, strict=True)])
        for slot, (beam,), found in zip(slots, beams, losses, strict=True):
            slot.tried, slot.losses = beam, found

    def _fresh(self, slot: Slot) -> Question:
        """The slot's question; where the search adapts, what was tried there may not be said again."""
        if not self.adaptive:
            return slot.question
        return replace(slot.question, banned=slot.question.banned.union(slot.known))

    def _ask(self, proposed: Sequence[tuple[Slot, Sequence[Candidate]]]) -> Generator[Any, Any, list[list[float]]]:
        """L_Rec(I(X, δ | s), Y) of every candidate, alone in the clean request."""
        tries: list[Edits] = [slot.edits(candidate) for slot, beam in proposed for candidate in beam]
        losses = iter((yield tries) if tries else ())
        found = [[next(losses) for _ in beam] for _, beam in proposed]
        for (slot, beam), values in zip(proposed, found, strict=True):
            slot.known.update((c.name, (c, loss)) for c, loss in zip(beam, values, strict=True))
        return found


def _items(inserted: Sequence[tuple[Place, Edit]]) -> frozenset[str]:
    return frozenset(edit.event.item.id for _, edit in inserted if isinstance(edit, HistoryInsert))


@dataclass(frozen=True)
class NoTuning(CheatAgent):
    """CheatAgent whose agent does not learn (C-w/o PT): the queries of its rounds go to more random prefixes."""

    tuning: bool = False


@dataclass(frozen=True)
class Adaptive(CheatAgent):
    """CheatAgent with a search that spends the same budget better than the paper's; see `adaptive`."""

    adaptive: bool = True
