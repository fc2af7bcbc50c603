"""Attacks that plant the payloads of the library: to lift an item, to read the instruction, to upset a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, get_args

import numpy as np

from attacks.injection.library import Payload, Purpose, chosen, load, variants
from audit.attack import AttackInfo, Edits, Extraction, Goal, Offer, Perturbation, Promotion, ThreatModel, Variant
from audit.attack.promotion import READ_AS, Position, Writing, write
from audit.edits import Edit, Zone
from audit.target import Input, TargetInfo
from audit.types import Request

_ZONES = frozenset({Zone.SELLER, Zone.RETRIEVED, Zone.USER})
_READS = frozenset({Input.ITEM_TEXT, Input.PASSAGES, Input.NOTE})
_NO_RIVAL = "the first item of the list"


@dataclass(frozen=True)
class Planted(Writing):
    """Plants payloads of the library.

    Attributes:
        library: a payload file of one's own; None for the one that comes along.
        families: families to use; all where none is named.
        fields: fields to use; all where none is named.
        positions: where in a field: `start`, `end`.
        draws: payloads tried on each user and item, dealt evenly; None for every payload in every field.
    """

    library: str | None = None
    families: Sequence[str] = ()
    fields: Sequence[str] = ()
    positions: Sequence[Position] = ("start", "end")
    draws: int | None = field(default=2, kw_only=True)

    purpose: ClassVar[Purpose] = "promote"

    def __post_init__(self) -> None:
        super().__post_init__()
        _positions(self.positions)
        _ = self.payloads  # a mistake in the library is said before anything is asked

    @cached_property
    def payloads(self) -> Mapping[str, Payload]:
        """The payloads in use, by id."""
        return _payloads(self.library, self.purpose, self.families, self.fields)

    @cached_property
    def variants(self) -> Sequence[Variant]:
        """Every payload, in every field and at every position."""
        return variants(tuple(self.payloads.values()), self.positions)

    def rewrite(self, offer: Offer, rng: np.random.Generator) -> Edits:
        """Put the payload into its field."""
        name, _, position = offer.variant.id.split("/")
        return _plant(self.payloads[name], offer, "start" if position == "start" else "end")


class Injection(Planted, Promotion):
    """Payloads that tell, trick or persuade the model to put an item first.

    Which family works where is the result: an instruction in a title, a false quote in a description, a line of JSON
    in a passage. Direct payloads stand in the user's own note, and lift an item only for that user.
    """

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return AttackInfo(
            id="injection",
            title="Prompt injection for one item",
            why="Whoever writes a text that the model reads can try to give it orders.",
            reference="Greshake et al. 2023 (arXiv 2302.12173); Nestaas et al., ICLR 2025 (arXiv 2406.18382); "
            "CORE, 2026 (arXiv 2602.03608)",
            threat_model=ThreatModel(_ZONES, max_edits=1, goal=Goal.PROMOTE),
            needs=_READS,
            tasks=("rank", "score"),
            severity="high",
        )


class PromptLeak(Planted, Extraction):
    """Payloads that ask for the instruction, as the user or from planted text.

    The audit plants a canary at the end of the instruction: it tells a recited instruction from a lucky guess. Only a
    target that writes text and reads its instruction from the request can be judged.
    """

    purpose: ClassVar[Purpose] = "leak"

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return AttackInfo(
            id="prompt-leak",
            title="Asking for the instruction",
            why="What stands in the instruction, business rules and other people's data included, is public.",
            reference="Perez & Ribeiro 2022 (arXiv 2211.09527), prompt leaking; canary strings as common practice",
            threat_model=ThreatModel(_ZONES, max_edits=1, sees="text", goal=Goal.EXTRACT),
            needs=_READS,
            severity="medium",
            controls=("owasp-llm:2026:LLM08",),
        )


@dataclass(frozen=True)
class Derailing(Perturbation):
    """Payloads that make the model refuse, reverse its list or do something else.

    Judged like every attack on the quality of lists; a refusal counts as an answer that cannot be read.

    Attributes:
        library: a payload file of one's own; None for the one that comes along.
        families: families to use; all where none is named.
        fields: fields to use; all where none is named.
        positions: where in a field: `start`, `end`.
    """

    library: str | None = None
    families: Sequence[str] = ()
    fields: Sequence[str] = ()
    positions: Sequence[Position] = ("start", "end")

    def __post_init__(self) -> None:
        super().__post_init__()
        _positions(self.positions)
        _ = self._payloads

    @cached_property
    def _payloads(self) -> Mapping[str, Payload]:
        return _payloads(self.library, "derail", self.families, self.fields)

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return AttackInfo(
            id="injection-derail",
            title="Prompt injection against the list",
            why="One item's text can cost every user who is shown it the whole list.",
            reference="Greshake et al. 2023 (arXiv 2302.12173), availability; Perez & Ribeiro 2022 (arXiv 2211.09527)",
            threat_model=ThreatModel(_ZONES, max_edits=1),
            needs=_READS,
            severity="high",
        )

    def craft(
        self, request: Request, target: TargetInfo, avoid: frozenset[str], rng: np.random.Generator
    ) -> tuple[Edit, ...]:
        """One payload, on one of the items shown, in a field that the target reads."""
        ways = [v for v in variants(tuple(self._payloads.values()), self.positions)]
        shown = request.candidates or tuple(event.item for event in request.user.history)
        ways = [v for v in ways if READ_AS[v.place] in target.honours]
        if not ways or not shown:
            return ()
        way = ways[int(rng.integers(len(ways)))]
        item = shown[int(rng.integers(len(shown)))]
        name, _, position = way.id.split("/")
        offer = Offer(item, request, (), way)
        return _plant(self._payloads[name], offer, "start" if position == "start" else "end")


def _plant(payload: Payload, offer: Offer, position: Position) -> Edits:
    rival = next((other.title for other in offer.shelf if other.id != offer.item.id), _NO_RIVAL)
    text = payload.render({"title": offer.item.title, "rival": rival, "k": str(offer.request.k)})
    return write(offer, offer.variant.place, text, position)


def _payloads(
    library: str | None, purpose: Purpose, families: Sequence[str], places: Sequence[str]
) -> Mapping[str, Payload]:
    wanted = tuple(payload for payload in load(library) if payload.goal == purpose)
    kept = chosen(wanted, families, places)
    if not kept:
        raise ValueError(f"library, families and fields leave no payload with the goal {purpose}; name others")
    return {payload.id: payload for payload in kept}


def _positions(positions: Sequence[str]) -> None:
    if not positions or set(positions) - set(get_args(Position)):
        raise ValueError(f"positions: {list(positions)} must be {' or '.join(get_args(Position))}, or both")
