"""Output control: only what may be recommended leaves the target, and nothing jumps too far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from audit.defense import Defended, DefenseInfo
from audit.edits import Zone
from audit.errors import ConfigError
from audit.target import Recommender
from audit.types import Answer, Catalog, Ranked, Request


class OutputControl:
    """Keeps a ranking to the items that may be in it, each once.

    Dropped are entries that name no item, items that are not among the candidates (or, without candidates, not in the
    catalogue), repeats, and items that the user had before unless they are offered as candidates. If the list has
    become too short, the target is asked again for a longer one, and the next valid entries close the gaps; what is
    missing then stays missing: nothing is made up.

    Args:
        catalog: the items there are; needed for requests without candidates.
        popularity: interactions by item id; the reference of `max_jump`.
        again: how often a list that is too short may be asked for anew.
        allow_history: whether items that the user had before may be recommended without being candidates.
        max_jump: how many places above its place by popularity an item may stand among the candidates; None for no
            limit. Missing entries are then filled from the candidates by popularity.

    Raises:
        ConfigError: an option that cannot be used.
    """

    def __init__(
        self,
        catalog: Catalog | None = None,
        popularity: Mapping[str, int] | None = None,
        *,
        again: int = 1,
        allow_history: bool = False,
        max_jump: int | None = None,
    ) -> None:
        if again < 0:
            raise ConfigError(f"defenses.output-control.again: {again} must be at least 0")
        if max_jump is not None and max_jump < 0:
            raise ConfigError(f"defenses.output-control.max_jump: {max_jump} must be at least 0")
        if max_jump is not None and popularity is None:
            raise ConfigError("defenses.output-control.max_jump: it needs the popularity of items as reference")
        self.catalog = catalog
        self.popularity = popularity or {}
        self.again = again
        self.allow_history = allow_history
        self.max_jump = max_jump

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="output-control",
            title="Output control",
            why="Whatever the model was talked into, nobody is sent to an item that does not exist.",
            reference="OWASP Top 10 for LLM applications, improper output handling; allow-lists as common practice",
            family="output",
            guards=frozenset({Zone.USER, Zone.SELLER, Zone.RETRIEVED}),
            tasks=("rank",),
            limits="The promotion of an item that is valid, unless max_jump holds it back; the order of a list is "
            "otherwise the target's own.",
        )

    def protect(self, target: Recommender) -> Controlled:
        """The target, with its lists kept to what is allowed."""
        return Controlled(target, self)


class Controlled(Defended):
    """A target whose rankings hold allowed items only."""

    def __init__(self, target: Recommender, defense: OutputControl) -> None:
        options = {
            "again": defense.again,
            "allow_history": defense.allow_history,
            "max_jump": defense.max_jump,
            "catalog": None if defense.catalog is None else defense.catalog.digest,
            "popularity": None if defense.max_jump is None else dict(defense.popularity),
        }
        super().__init__(target, defense.info, options)
        self._defense = defense

    @cached_property
    def _places(self) -> Mapping[str, int]:
        popularity = self._defense.popularity
        return {item_id: n for n, item_id in enumerate(sorted(popularity, key=lambda i: (-popularity[i], i)))}

    def allowed(self, request: Request) -> frozenset[str] | None:
        """Ids that may be recommended; None for any, without candidates and without a catalogue."""
        if request.candidates is not None:
            return frozenset(item.id for item in request.candidates)
        if self._defense.catalog is None:
            return None
        had = frozenset() if self._defense.allow_history else {event.item.id for event in request.user.history}
        return frozenset(self._defense.catalog) - had

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> Sequence[Answer]:
        """Ask, drop what is not allowed, and ask again where that leaves too little."""
        asked = [self._wanted(r) for r in requests]
        first = self.ask(asked, draws)
        answers = [self._valid(r, a) for r, a in zip(requests, first, strict=True)]
        dropped = [len(a.ranked) - len(b.ranked) for a, b in zip(first, answers, strict=True)]
        for turn in range(1, self._defense.again + 1):
            longer = {
                i: self._longer(request, turn * request.k)
                for i, request in enumerate(requests)
                if dropped[i] and self._short(request, answers[i])
            }
            # A list that already was as long as there are candidates would only be told again.
            longer = {i: request for i, request in longer.items() if request.k > asked[i].k}
            more = self.ask(list(longer.values()), [draws[i] for i in longer])
            for i, answer in zip(longer, more, strict=True):
                found = self._valid(requests[i], replace(answer, ranked=(*answers[i].ranked, *answer.ranked)))
                kept = found.ranked if answer.outcome == "ok" else answers[i].ranked
                answers[i] = replace(answers[i], ranked=kept, usage=answers[i].usage + answer.usage)
        return [self._held(r, a) for r, a in zip(requests, answers, strict=True)]

    def _wanted(self, request: Request) -> Request:
        """For a limit on jumps, the whole list of candidates: what stands below is needed too."""
        if self._defense.max_jump is None or request.candidates is None or request.task != "rank":
            return request
        return self._longer(request, len(request.candidates))

    def _longer(self, request: Request, more: int) -> Request:
        most = len(request.candidates) if request.candidates is not None else request.k + more
        return replace(request, k=max(min(request.k + more, most), request.k))

    def _short(self, request: Request, answer: Answer) -> bool:
        if answer.outcome != "ok" or request.task != "rank":
            return False
        room = request.k if request.candidates is None else min(request.k, len(request.candidates))
        return len(answer.ranked) < room

    def _valid(self, request: Request, answer: Answer) -> Answer:
        if answer.outcome != "ok" or request.task != "rank":
            return answer
        allowed = self.allowed(request)
        kept: dict[str, Ranked] = {}
        for entry in answer.ranked:
            if entry.item_id is not None and (allowed is None or entry.item_id in allowed):
                kept.setdefault(entry.item_id, entry)
        return replace(answer, ranked=tuple(kept.values()))

    def _held(self, request: Request, answer: Answer) -> Answer:
        """The first k; with a limit on jumps, place by place the first of the target's list that may stand there."""
        if answer.outcome != "ok" or request.task != "rank":
            return answer
        jump = self._defense.max_jump
        if jump is None or request.candidates is None:
            return replace(answer, ranked=answer.ranked[: request.k])
        last = len(self._places)
        by_popularity = sorted(request.candidates, key=lambda item: (self._places.get(item.id, last), item.id))
        reference = {item.id: place for place, item in enumerate(by_popularity)}
        listed = {entry.item_id for entry in answer.ranked}
        waiting = [*answer.ranked, *(Ranked(i.id, i.title) for i in by_popularity if i.id not in listed)]
        ranked: list[Ranked] = []
        while waiting and len(ranked) < request.k:
            # At least len(ranked) + 1 items may stand here or higher, so one of them is still waiting.
            at = next(n for n, e in enumerate(waiting) if reference[str(e.item_id)] - jump <= len(ranked))
            ranked.append(waiting.pop(at))
        return replace(answer, ranked=tuple(replace(entry, score=None) for entry in ranked))
