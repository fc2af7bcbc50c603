"""The attack protocol: threat models, objectives, attempts, and the simplest kind of attack.

An attack edits requests within a declared threat model and asks the target; every attempt says what it edited, what it
cost in true queries, and how visible it is on the edited field itself (similarity over a whole prompt is diluted by the
text both sides share).
"""

from __future__ import annotations

import difflib
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from audit.edits import Edit, SetAttribute, TextEdit, Zone, apply, read_text
from audit.errors import EditError, ThreatModelViolation
from audit.target import Input, Insight, Recommender, TargetInfo, describe
from audit.types import Answer, Catalog, Request, Task


class Goal(StrEnum):
    """What an adversary wants."""

    DEGRADE = "degrade"
    PROMOTE = "promote"
    FLIP = "flip"
    EXTRACT = "extract"


Knowledge = Literal["nothing", "text", "ranking", "scores", "logprobs", "gradients"]


@dataclass(frozen=True)
class ThreatModel:
    """Who attacks, with what.

    Attributes:
        zones: the trust zones the adversary writes.
        max_edits: most edits per request.
        max_queries: most true queries per request; None for no limit.
        sees: what comes back from the target.
        goal: what the adversary wants.
    """

    zones: frozenset[Zone]
    max_edits: int
    max_queries: int | None = 0
    sees: Knowledge = "nothing"
    goal: Goal = Goal.DEGRADE

    def check(self, edits: Sequence[Edit], queries: int = 0) -> None:
        """Hold edits and queries to the model.

        Raises:
            ThreatModelViolation: an edit outside the zones, or too many edits or queries.
        """
        for edit in edits:
            if edit.zone not in self.zones:
                allowed = ", ".join(sorted(self.zones))
                raise ThreatModelViolation(
                    f"edit {edit.kind}: zone {edit.zone!s} is outside the threat model ({allowed})"
                )
        if len(edits) > self.max_edits:
            raise ThreatModelViolation(f"{len(edits)} edits exceed the threat model's {self.max_edits}")
        if self.max_queries is not None and queries > self.max_queries:
            raise ThreatModelViolation(f"{queries} queries exceed the threat model's {self.max_queries}")


@dataclass(frozen=True)
class Objective:
    """What success means.

    Attributes:
        goal: see `Goal`.
        relevant: for `degrade`, the true next items of each request, in the requests' order, when the adversary is
            allowed to know them; empty in label-free mode.
        item_id: for `promote`, the item to raise.
    """

    goal: Goal
    relevant: tuple[frozenset[str], ...] = ()
    item_id: str | None = None


@dataclass(frozen=True)
class Stealth:
    """How visible an attempt is, measured on the edited fields only.

    Attributes:
        edits: number of edits.
        similarity: character similarity of the edited text fields before and after, 0 to 1 (Ratcliff and Obershelp);
            1 when no text was edited.
        odd_characters: characters added that a person cannot see or would not type: format and control characters,
            private use, unassigned.
        perplexity: of the edited field, where a language model was asked.
    """

    edits: int
    similarity: float = 1.0
    odd_characters: int = 0
    perplexity: float | None = None


@dataclass(frozen=True)
class Attempt:
    """One attack on one request.

    Attributes:
        request: the clean request.
        edits: what was done to it.
        before: the answer to the clean request.
        after: the answer to the edited request.
        queries: true queries the search spent, `before` and `after` not counted.
        stealth: how visible the edits are.
    """

    request: Request
    edits: tuple[Edit, ...]
    before: Answer
    after: Answer
    queries: int
    stealth: Stealth


@dataclass(frozen=True)
class AttackInfo:
    """What an attack declares.

    Attributes:
        id: registry name.
        title: what it does, for a report.
        why: why an owner should care, in one sentence.
        reference: paper or practice it follows.
        threat_model: what it is allowed.
        needs: inputs the target must honour (any one of them suffices).
        sees: insights it needs; empty for black-box attacks on the ranking alone.
        tasks: tasks it can attack.
        queries_per_request: true queries spent per request, the answers before and after not counted.
        severity: of a success, unless the policy says otherwise.
        controls: framework tags with edition.
    """

    id: str
    title: str
    why: str
    reference: str
    threat_model: ThreatModel
    needs: frozenset[Input]
    sees: frozenset[Insight] = frozenset()
    tasks: tuple[Task, ...] = ("rank", "score", "answer")
    queries_per_request: int = 0
    severity: Literal["low", "medium", "high", "critical"] = "medium"
    controls: tuple[str, ...] = field(default=())

    def lacking(self, target: TargetInfo, task: Task) -> str | None:
        """Why the attack cannot run on this target, or None if it can."""
        if task not in self.tasks:
            return f"{self.id} does not attack the task {task!r}"
        if self.needs and not self.needs & target.honours:
            wanted = " or ".join(sorted(self.needs))
            return f"the target does not read {wanted}, which {self.id} edits"
        if missing := sorted(self.sees - target.reveals):
            return f"the target does not reveal {', '.join(missing)}, which {self.id} needs"
        return None


@runtime_checkable
class Attack(Protocol):
    """Edits requests to do harm."""

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        ...

    def run(
        self,
        target: Recommender,
        requests: Sequence[Request],
        objective: Objective,
        budget: int,
        rng: np.random.Generator,
    ) -> Iterator[Attempt]:
        """Attack each request.

        Args:
            target: what is attacked.
            requests: clean requests.
            objective: what success means.
            budget: most true queries per request for the search.
            rng: source of all randomness.

        Yields:
            One Attempt per request, in the requests' order.
        """
        ...


@dataclass(frozen=True)
class Perturbation(ABC):
    """An attack without search: its edits depend on the request alone, so all can be planned before the first query.

    Attributes:
        catalog: the items that may be named or inserted.
    """

    catalog: Catalog

    @property
    @abstractmethod
    def info(self) -> AttackInfo:
        """The declaration."""

    @abstractmethod
    def craft(
        self, request: Request, target: TargetInfo, avoid: frozenset[str], rng: np.random.Generator
    ) -> tuple[Edit, ...]:
        """The edits for one request.

        Args:
            request: the clean request.
            target: what the target declares; only what it reads is worth editing.
            avoid: items that must not be inserted, because they would change the question: the true next items.
            rng: the request's own random stream.

        Returns:
            Edits in the order in which they apply; empty when this request offers nothing to edit.
        """

    def craft_all(
        self,
        requests: Sequence[Request],
        target: TargetInfo,
        relevant: Sequence[frozenset[str]],
        rng: np.random.Generator,
    ) -> list[tuple[Edit, ...]]:
        """Edits for each request, held to the threat model. Each request has a random stream of its own.

        Args:
            requests: clean requests.
            target: what the target declares.
            relevant: the true next items of each request, or an empty sequence when they are not known.
            rng: parent of the streams.
        """
        crafted = []
        avoided = list(relevant) or [frozenset[str]()] * len(requests)
        for request, avoid, stream in zip(requests, avoided, rng.spawn(len(requests)), strict=True):
            edits = self.craft(request, target, avoid, stream)
            self.info.threat_model.check(edits)
            crafted.append(edits)
        return crafted

    def run(
        self,
        target: Recommender,
        requests: Sequence[Request],
        objective: Objective,
        budget: int,
        rng: np.random.Generator,
    ) -> Iterator[Attempt]:
        """Attack each request; see `Attack.run`. Spends no search queries."""
        crafted = self.craft_all(requests, describe(target), objective.relevant, rng)
        edited = [apply(edits, request) for edits, request in zip(crafted, requests, strict=True)]
        answers = target.recommend([*requests, *edited])
        befores, afters = answers[: len(requests)], answers[len(requests) :]
        for request, edits, before, after in zip(requests, crafted, befores, afters, strict=True):
            yield Attempt(request, edits, before, after, queries=0, stealth=stealth(request, edits))


def writable_text(request: Request, target: TargetInfo) -> list[str]:
    """The text fields that an edit of the wording can reach and the target reads.

    The instruction and the user's note where the target honours them and they are not empty; for a service with a
    fixed prompt, the titles of the items it is given.

    Returns:
        Field names, each once.
    """
    fields = []
    if Input.INSTRUCTION in target.honours and request.instruction:
        fields.append("instruction")
    if Input.NOTE in target.honours and request.user.note:
        fields.append("note")
    if not fields and Input.ITEM_TEXT in target.honours:
        items = [*(event.item for event in request.user.history), *(request.candidates or ())]
        fields = [f"item:{item_id}.title" for item_id in dict.fromkeys(item.id for item in items)]
    return fields


def stealth(request: Request, edits: Sequence[Edit]) -> Stealth:
    """Measure how visible edits are on the fields they touch."""
    fields = list(dict.fromkeys(e.field for e in edits if isinstance(e, TextEdit)))
    after = apply(edits, request)
    old = [_read(request, name) for name in fields]
    new = [_read(after, name) for name in fields]
    similarity = 1.0
    if fields:
        matcher = difflib.SequenceMatcher(a="\n".join(old), b="\n".join(new), autojunk=False)
        similarity = matcher.ratio()
    values = [str(e.value) for e in edits if isinstance(e, SetAttribute) and e.value is not None]
    odd = sum(_odd(text) for text in new) - sum(_odd(text) for text in old) + sum(_odd(v) for v in values)
    return Stealth(edits=len(edits), similarity=similarity, odd_characters=max(odd, 0))


def _read(request: Request, name: str) -> str:
    try:
        return read_text(request, name)
    except EditError:
        return ""


def _odd(text: str) -> int:
    return sum(unicodedata.category(c) in {"Cf", "Cc", "Co", "Cn"} and c not in "\n\t" for c in text)
