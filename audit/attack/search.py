"""Attacks with a search: each proposes edits, sees their loss, and goes on until it is done or its budget is spent.

An attack is written for one user, as a generator: it yields lists of edits to try and is sent back their losses. The
driver runs many users side by side, so that what they ask reaches the target in one batch, counts true queries (the
same question asked twice by one adversary is one query), and holds every attack to the same budget.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from audit.attack.attempt import Attempt, Step, stealth
from audit.attack.feedback import UNREADABLE, Feedback, feedback_for
from audit.attack.threat import AttackInfo, Objective
from audit.edits import Edit, apply
from audit.target import Randomised, Recommender, TargetInfo, describe
from audit.types import Answer, Catalog, Request

Edits = tuple[Edit, ...]


class Joint(Protocol):
    """Work that is cheaper for many users at once, such as the forward pass of an attacker's own model."""

    def together(self, jobs: Sequence[Any]) -> Sequence[Any]:
        """One result per job, in order."""
        ...


@dataclass(frozen=True)
class Job:
    """A piece of joint work; yielded by a search, which is sent back its result."""

    worker: Joint
    payload: Any


class Scouting(list[Edits]):
    """Edits that are asked only to learn from, such as a text without one of its words; yielded like others.

    They cost their queries, and are never what the search has found.
    """


Steps = Generator["Sequence[Edits] | Job", Any, "Edits | None"]
"""Yields edits to try, is sent their losses in the same order; returns the edits it settles on, or None for the best
that was tried. A yielded `Job` is sent its result instead."""


@dataclass
class Probe:
    """What an adversary knows about the user it attacks, or about the users, for edits that are the same for all.

    Attributes:
        requests: the clean requests; one, unless the attack is universal.
        clean: their answers.
        info: what the target declares.
        objective: what the adversary wants.
        loss_about: ids that the loss is about: the true next items, the target's own first choice in label-free mode,
            or the item to promote.
        avoid: ids that must not be inserted, because they would change the question: the true next items, what the loss
            is about, the candidates and the history.
        budget: true queries the search may spend.
        rng: the search's own random stream.
        target: the target itself, for white-box attacks, whose gradients (`audit.target`) are read beside the queries.
        spent: true queries so far.
        known: per request the true next items, or the liked candidates; None in label-free mode.
    """

    requests: tuple[Request, ...]
    clean: tuple[Answer, ...]
    info: TargetInfo
    objective: Objective
    loss_about: frozenset[str]
    avoid: frozenset[str]
    budget: int
    rng: np.random.Generator
    target: Recommender
    spent: int = 0
    known: tuple[frozenset[str] | None, ...] = ()

    @property
    def request(self) -> Request:
        """The clean request, of the first user where there are several."""
        return self.requests[0]

    @property
    def left(self) -> int:
        """How many further edits can be tried."""
        return (self.budget - self.spent) // len(self.requests)


@dataclass(frozen=True)
class Campaign:
    """One call of `Attack.run`.

    Attributes:
        target: what is attacked.
        requests: clean requests.
        objective: what success means.
        budget: most true queries per request.
        rng: source of all randomness.
        skip: so many of the first requests were attacked before and are left out.
    """

    target: Recommender
    requests: Sequence[Request]
    objective: Objective
    budget: int
    rng: np.random.Generator
    skip: int = 0


@dataclass(frozen=True)
class Search(ABC):
    """An attack that asks the target.

    Attributes:
        catalog: the items that may be named or inserted.
        group: users attacked side by side.
    """

    catalog: Catalog
    group: int = field(default=64, kw_only=True)

    def __post_init__(self) -> None:
        if self.group < 1:
            raise ValueError(f"group: {self.group} must be at least 1")

    @property
    @abstractmethod
    def info(self) -> AttackInfo:
        """The declaration."""

    @abstractmethod
    def search(self, probe: Probe) -> Steps:
        """Attack one user. See `Steps` for what to yield; yield `[()]` for the loss of the clean request."""

    def feedback(
        self,
        info: TargetInfo,
        request: Request,
        clean: Answer,
        objective: Objective,
        relevant: frozenset[str] | None,
    ) -> Feedback | None:
        """What the search reads of an answer; see `feedback_for`."""
        return feedback_for(info, request, clean, objective, relevant, self.catalog)

    def run(
        self,
        target: Recommender,
        requests: Sequence[Request],
        objective: Objective,
        budget: int,
        rng: np.random.Generator,
        *,
        skip: int = 0,
    ) -> Iterator[Attempt]:
        """Attack each request; see `Attack.run`. The first `skip` requests were attacked before and are left out."""
        yield from self.campaign(Campaign(target, requests, objective, budget, rng, skip))

    def campaign(self, plan: Campaign) -> Iterator[Attempt]:
        """What `run` does. Whoever overrides it keeps to one attempt per request, in order, none for those skipped."""
        target, requests, objective = plan.target, plan.requests, plan.objective
        streams = plan.rng.spawn(len(requests))
        truths = objective.relevant or (frozenset[str](),) * len(requests)
        for start in range(plan.skip, len(requests), self.group):
            chosen = range(start, min(start + self.group, len(requests)))
            clean = target.recommend([requests[i] for i in chosen])
            hunts = [
                self._hunt(target, (requests[i],), (answer,), objective, (truths[i],), plan.budget, streams[i])
                for i, answer in zip(chosen, clean, strict=True)
            ]
            drive(hunts, target)
            after = target.recommend([apply(hunt.result, requests[i]) for i, hunt in zip(chosen, hunts, strict=True)])
            for i, hunt, old, new in zip(chosen, hunts, clean, after, strict=True):
                yield Attempt(
                    requests[i],
                    hunt.result,
                    old,
                    new,
                    hunt.probe.spent,
                    stealth(requests[i], hunt.result),
                    tuple(hunt.trace),
                )

    def universal(
        self,
        target: Recommender,
        requests: Sequence[Request],
        objective: Objective,
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[Edits, int, tuple[Step, ...]]:
        """Search edits that are the same for all these users.

        Args:
            target: what is attacked.
            requests: clean requests of the users on whom the edits are sought; they should be judged on others.
            objective: what success means.
            budget: most true queries in all; one edit costs one query per request.
            rng: source of all randomness.

        Returns:
            The edits, true queries spent, and the improvements on the way.
        """
        clean = tuple(target.recommend(requests))
        truths = objective.relevant or (frozenset[str](),) * len(requests)
        hunt = self._hunt(target, tuple(requests), clean, objective, truths, budget, rng)
        drive([hunt], target)
        return hunt.result, hunt.probe.spent, tuple(hunt.trace)

    def _hunt(
        self,
        target: Recommender,
        requests: tuple[Request, ...],
        clean: tuple[Answer, ...],
        objective: Objective,
        truths: Sequence[frozenset[str]],
        budget: int,
        rng: np.random.Generator,
    ) -> Hunt:
        info = describe(target)
        hidden = objective.label_free or not objective.relevant
        known = [None if hidden else truth for truth in truths]
        readers = tuple(
            self.feedback(info, request, answer, objective, truth)
            for request, answer, truth in zip(requests, clean, known, strict=True)
        )
        about = frozenset[str]().union(*(reader.about for reader in readers if reader is not None))
        shown = {c.id for r in requests for c in r.candidates or ()} | {
            e.item.id for r in requests for e in r.user.history
        }
        avoid = about.union(shown, *truths)
        probe = Probe(requests, clean, info, objective, about, avoid, budget, rng, target, known=tuple(known))
        return Hunt(probe, readers, self.search(probe), self.info)


class Hunt:
    """One search on its way: its generator, what it has asked, and the best it has seen."""

    def __init__(self, probe: Probe, readers: tuple[Feedback | None, ...], steps: Steps, info: AttackInfo) -> None:
        self.probe = probe
        self.result: Edits = ()
        self.trace: list[Step] = []
        self.waiting: Sequence[Edits] | Job | None = None
        self._readers = readers
        self._steps = steps
        self._info = info
        self._memory: dict[str, float] = {}
        self._asker: dict[str, Feedback] = {}
        self._when: dict[str, int] = {}
        self._asks: list[list[Request]] = []
        self._best: Step | None = None
        if all(reader is None for reader in readers):
            steps.close()  # nothing to read: there is no such attack on this user
        else:
            self.resume(None)

    def resume(self, reply: object) -> None:
        """Send the reply and run to the next question, or to the end."""
        try:
            self.waiting = self._steps.send(reply)
        except StopIteration as stop:
            self.waiting = None
            found = stop.value
            self.result = found if found is not None else self._best.edits if self._best else ()
            if self.result:
                self._info.threat_model.check(self.result)

    def questions(self) -> dict[str, Request]:
        """The distinct requests, by digest, that must be asked for what it waits for and that the budget allows."""
        tried: Sequence[Edits] = self.waiting if isinstance(self.waiting, Sequence) else ()
        self._asks = [self._ask(edits) for edits in tried]
        fresh: dict[str, Request] = {}
        for asks in self._asks:
            new = {a.digest: a for a in asks if a.digest not in self._memory and a.digest not in fresh}
            if self.probe.spent + len(fresh) + len(new) <= self.probe.budget:
                fresh.update(new)
        return fresh

    def _ask(self, edits: Edits) -> list[Request]:
        self._info.threat_model.check(edits)
        asks = []
        for reader, request in zip(self._readers, self.probe.requests, strict=True):
            if reader is not None:
                asks.append(reader.ask(apply(edits, request)))
                self._asker[asks[-1].digest] = reader
        return asks

    def answer(self, asked: Sequence[str], answers: Mapping[str, Sequence[Answer]]) -> None:
        """Take the answers, one per draw, and go on; a search that can ask no more ends with the best it has seen."""
        tried: Sequence[Edits] = self.waiting if isinstance(self.waiting, Sequence) else ()
        for digest in asked:
            self.probe.spent += 1
            self._when[digest] = self.probe.spent
            self._memory[digest] = _mean([self._asker[digest].loss(answer) for answer in answers[digest]])
        losses = []
        starved = False
        for edits, asks in zip(tried, self._asks, strict=True):
            starved = starved or any(a.digest not in self._memory for a in asks)
            losses.append(_mean([self._memory.get(a.digest, UNREADABLE) for a in asks]))
            scouting = isinstance(tried, Scouting) or not edits
            if not scouting and losses[-1] > (self._best.loss if self._best else UNREADABLE):
                self._best = Step(max(self._when[a.digest] for a in asks), losses[-1], edits)
                self.trace.append(self._best)
        if starved:
            self._steps.close()
            self.waiting = None
            self.result = self._best.edits if self._best else ()
        else:
            self.resume(losses)


def _mean(losses: Sequence[float]) -> float:
    """Mean over users; minus infinity when half of them gave no answer that can be read."""
    read = [loss for loss in losses if loss > UNREADABLE]
    return float(np.mean(read)) if 2 * len(read) > len(losses) else UNREADABLE


def drive(hunts: Sequence[Hunt], target: Recommender) -> None:
    """Run searches side by side: joint work first, then everything they ask in one batch."""
    while open_ := [hunt for hunt in hunts if hunt.waiting is not None]:
        if working := [hunt for hunt in open_ if isinstance(hunt.waiting, Job)]:
            _work(working)
            continue
        wanted = [hunt.questions() for hunt in open_]
        batch = {digest: request for questions in wanted for digest, request in questions.items()}
        draws = max(hunt.probe.objective.draws for hunt in open_)
        answers = dict(zip(batch, _drawn(target, list(batch.values()), draws), strict=True))
        for hunt, questions in zip(open_, wanted, strict=True):
            hunt.answer(list(questions), answers)


def _drawn(target: Recommender, requests: Sequence[Request], draws: int) -> list[Sequence[Answer]]:
    """Per request its answers: one, or as many draws as are wanted of a target that answers at random."""
    if not requests:
        return []
    if draws == 1 or not isinstance(target, Randomised):
        return [(answer,) for answer in target.recommend(requests)]
    answers = target.recommend_draws(
        [r for r in requests for _ in range(draws)], [draw for _ in requests for draw in range(draws)]
    )
    return [answers[i : i + draws] for i in range(0, len(answers), draws)]


def _work(hunts: Sequence[Hunt]) -> None:
    by_worker: dict[int, list[Hunt]] = {}
    for hunt in hunts:
        if isinstance(hunt.waiting, Job):
            by_worker.setdefault(id(hunt.waiting.worker), []).append(hunt)
    for group in by_worker.values():
        jobs = [hunt.waiting for hunt in group if isinstance(hunt.waiting, Job)]
        results = jobs[0].worker.together([job.payload for job in jobs])
        for hunt, result in zip(group, results, strict=True):
            hunt.resume(result)
