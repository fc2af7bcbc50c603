"""The gateway: the only door to a target.

It plans a batch, removes duplicates, takes what is already stored, holds the rest to the budget, asks the target (with
retries and, for remote endpoints, a concurrency that adapts to how much they bear), stores each batch as it is
answered, and counts true queries.

Batches are cut from the whole plan before stored answers are taken out, and a batch is stored whole. So a resumed run
asks the same batches as one that was never stopped, and a target whose numbers depend on the batch in their last digits
gives the same findings.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from audit.errors import BudgetExhausted, RecAuditError, TargetError, TargetUnavailable
from audit.store import RunUsage, Store
from audit.target import CountsTokens, Randomised, Recommender, TargetInfo, describe
from audit.targets.wrap import check_answers, failed
from audit.types import Answer, Request, Usage

_CHUNK = 64
"""Requests per stored batch when the target sets no batch size: small enough that a kill loses little."""

_REPEATS = 10_000
"""Repeats that one door can have; those of the next are numbered behind them."""

_WINDOW = 2048
"""Questions that a stream holds in memory at once."""


@dataclass(frozen=True)
class Ask:
    """One question: a request, and which repeat of it is meant.

    Repeats are true repeats: repeat 1 of a request is asked again, never answered from repeat 0. For a target that
    draws at random the repeat is the draw.
    """

    request: Request
    repeat: int = 0


@dataclass(frozen=True)
class Budget:
    """What a run may spend. None means no limit. Checked before asking, over the whole run, resumed parts included."""

    queries: int | None = None
    tokens: int | None = None
    minutes: float | None = None
    usd: float | None = None


@dataclass(frozen=True)
class Price:
    """Price of a remote target, in US dollars per million tokens."""

    prompt: float = 0.0
    completion: float = 0.0

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Cost in US dollars."""
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1e6


@dataclass(frozen=True)
class Estimate:
    """What a plan would cost, before anything is asked.

    Attributes:
        queries: distinct questions not yet stored.
        reused: distinct questions already stored.
        prompt_tokens: counted by the target, or by a rule of four characters a token (`counted` False).
        counted: whether the target counted.
    """

    queries: int
    reused: int
    prompt_tokens: int
    counted: bool


@dataclass
class Progress:
    """Where the current plan stands; given to the progress callback after every batch."""

    label: str = ""
    done: int = 0
    total: int = 0
    usage: RunUsage = field(default_factory=RunUsage)


@dataclass
class Retry:
    """How unavailable endpoints are asked again.

    Attributes:
        attempts: calls per batch before its failure is recorded.
        wait_s: first wait; doubled with jitter each time.
        max_wait_s: longest wait.
        give_up_after: batches failing in a row after which the target counts as gone and the run stops.
    """

    attempts: int = 4
    wait_s: float = 1.0
    max_wait_s: float = 60.0
    give_up_after: int = 5


@dataclass
class _Ledger:
    """What a run has spent, shared by all doors of the run."""

    usage: RunUsage
    spent_before: float
    started: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Gateway:
    """Asks a target on behalf of one run."""

    def __init__(
        self,
        target: Recommender,
        store: Store,
        run: str,
        *,
        budget: Budget = Budget(),
        price: Price = Price(),
        retry: Retry | None = None,
        max_concurrency: int = 16,
        eager: bool = False,
        version: str | None = None,
        progress: Callable[[Progress], None] | None = None,
        ledger: _Ledger | None = None,
        door: int = 0,
    ) -> None:
        """Open the door.

        Args:
            target: what is asked.
            store: where answers are kept.
            run: id of the run they are charged to.
            budget: limits of the run.
            price: what tokens cost, for the money budget.
            retry: how failures are asked again.
            max_concurrency: most calls in flight, for targets that allow several.
            eager: whether to start with that many; an endpoint of somebody else is felt out from four upwards.
            version: the owner's word that equal versions answer alike; lets answers be reused across runs for a target
                without a fingerprint.
            progress: called after every batch.
            ledger: what the run has spent, where it has another door already; see `behind`.
            door: number of this door within the run.
        """
        self.target = target
        self.info: TargetInfo = describe(target)
        self.store = store
        self.run = run
        self.budget = budget
        self.price = price
        self.retry = retry or Retry()
        self._ceiling = max_concurrency
        self.max_concurrency = max_concurrency if self.info.concurrent else 1
        self.eager = eager
        self.progress = progress
        identity = self.info.fingerprint or (f"{self.info.name}@{version}" if version else f"run:{run}")
        self._scope = hashlib.sha256(identity.encode()).hexdigest()
        if ledger is None:
            spent = store.usage(run)
            ledger = _Ledger(spent, spent.seconds)
        self._ledger = ledger
        self._door = door
        self._failed_in_a_row = 0
        self._flights: dict[str, Future[Answer]] = {}
        self.coalesced = 0  # questions answered by a call that another thread had already made
        self._lock = threading.Lock()

    def behind(self, target: Recommender, door: int) -> Gateway:
        """The door to another target of the same run, such as this one behind a defense: one store, one budget.

        Args:
            target: what is behind it.
            door: its number within the run, from 1; the same in a resumed run.
        """
        return Gateway(
            target,
            self.store,
            self.run,
            budget=self.budget,
            price=self.price,
            retry=self.retry,
            max_concurrency=self._ceiling,
            eager=self.eager,
            progress=self.progress,
            ledger=self._ledger,
            door=door,
        )

    def stored_repeat(self, repeat: int) -> int:
        """The number under which the store knows a repeat: within a run, request and number name one answer."""
        return self._door * _REPEATS + repeat

    @property
    def _usage(self) -> RunUsage:
        return self._ledger.usage

    # Planning -----------------------------------------------------------------------------------------------------

    def key(self, ask: Ask) -> str:
        """Content address of an answer: target, request, and which repeat it is."""
        return hashlib.sha256(f"{self._scope}/{ask.request.digest}/{ask.repeat}".encode()).hexdigest()

    def estimate(self, asks: Iterable[Ask]) -> Estimate:
        """What it would cost to answer these questions, given what is stored."""
        distinct = {self.key(a): a for a in asks}
        stored = self.store.answers(list(distinct), run=self.run)
        missing = [a.request for key, a in distinct.items() if key not in stored]
        counted = isinstance(self.target, CountsTokens)
        tokens = (
            sum(self.target.count_tokens(missing))
            if isinstance(self.target, CountsTokens)
            else sum(_rough_tokens(r) for r in missing)
        )
        return Estimate(len(missing), len(stored), int(tokens), counted)

    # Asking -------------------------------------------------------------------------------------------------------

    def ask(self, asks: Sequence[Ask], *, label: str = "", lean: bool = False) -> list[Answer]:
        """Answer every question, in order.

        Args:
            asks: the questions; equal ones are asked once, also when another thread is asking one just now.
            label: what they are for, shown with the progress.
            lean: store the answers without their requests, which then no evidence can show.

        Returns:
            One Answer per Ask. A question that failed for good is an Answer with outcome `error`.

        Raises:
            BudgetExhausted: the next batch would exceed the budget; what was answered is stored.
            TargetError: the target is broken or gone; what was answered is stored.
        """
        keys = [self.key(a) for a in asks]
        distinct = dict(zip(keys, asks, strict=True))
        found = self.store.answers(list(distinct), run=self.run)
        self.store.note_reuse(self.run, list(found))
        progress = Progress(label, len(found), len(distinct), self._usage)
        self._report(progress)
        mine, others = self._claim([k for k in distinct if k not in found])
        try:
            batches = [
                missing
                for chunk in _chunks(list(distinct), self.info.batch_size or _CHUNK)
                if (missing := [k for k in chunk if k in mine])
            ]
            for batch, answers in self._answered(batches, distinct):
                self.store.put_answers(
                    self.run,
                    [
                        (k, distinct[k].request, self.stored_repeat(distinct[k].repeat), a)
                        for k, a in zip(batch, answers, strict=True)
                    ],
                    bodies=not lean,
                )
                found.update(zip(batch, answers, strict=True))
                self._land(zip(batch, answers, strict=True))
                self._charge(answers)
                progress.done += len(batch)
                progress.usage = self._usage
                self._report(progress)
        except BaseException as error:
            self._crash(mine, error)
            raise
        found.update((key, flight.result()) for key, flight in others.items())
        return [found[k] for k in keys]

    def stream(self, asks: Iterable[Ask], *, label: str = "") -> Iterator[Answer]:
        """As `ask`, but lazily: memory does not grow with the number of questions.

        Yields:
            One Answer per Ask, in order. A question that is far behind its equal is read from the store again.
        """
        questions = iter(asks)
        # Whole batches, so that they are cut at the same places as by `ask`.
        size = self.info.batch_size or _CHUNK
        window = size * max(1, _WINDOW // size)
        while chunk := list(islice(questions, window)):
            yield from self.ask(chunk, label=label)

    def fetch(self, asks: Iterable[Ask], *, label: str = "") -> None:
        """See to it that every question is answered in the store."""
        for _ in self.stream(asks, label=label):
            pass

    def _claim(self, keys: Sequence[str]) -> tuple[set[str], dict[str, Future[Answer]]]:
        """Split questions into those this caller asks and those another thread is asking already."""
        with self._lock:
            others = {k: self._flights[k] for k in keys if k in self._flights}
            mine = {k for k in keys if k not in others}
            self._flights.update((k, Future()) for k in mine)
            self.coalesced += len(others)
        return mine, others

    def _land(self, answered: Iterable[tuple[str, Answer]]) -> None:
        with self._lock:
            for key, answer in answered:
                self._flights.pop(key).set_result(answer)

    def _crash(self, keys: Iterable[str], error: BaseException) -> None:
        """Whoever waits for these questions fails with the caller who asked them."""
        with self._lock:
            for key in keys:
                if flight := self._flights.pop(key, None):
                    flight.set_exception(error)

    def recommender(self, label: str = "") -> Recommender:
        """The target behind this door, for attacks: every query is counted, stored and held to the budget.

        What is asked through it is stored lean: ask again through `ask`, as a repeat, what evidence should show.
        """
        return _Door(self, label)

    def recall(self, name: str) -> Any:  # noqa: ANN401 - whatever JSON was kept
        """What this run kept under a name; None if nothing."""
        return self.store.search(self.run, name)

    def keep(self, name: str, body: object) -> None:
        """Keep JSON-compatible data for this run, so that a resumed run finds it."""
        self.store.save_search(self.run, name, body)

    def usage(self) -> RunUsage:
        """What the run has cost so far."""
        return self.store.usage(self.run)

    def _report(self, progress: Progress) -> None:
        if self.progress is not None:
            self.progress(progress)

    def _charge(self, answers: Sequence[Answer]) -> None:
        total = sum((a.usage for a in answers), Usage())
        with self._ledger.lock:
            usage = self._ledger.usage
            self._ledger.usage = replace(
                usage,
                queries=usage.queries + len(answers),
                prompt_tokens=usage.prompt_tokens + total.prompt_tokens,
                completion_tokens=usage.completion_tokens + total.completion_tokens,
                seconds=usage.seconds + total.seconds,
            )

    def _check_budget(self, requests: Sequence[Request]) -> None:
        usage, budget = self._usage, self.budget
        limits: list[tuple[str, float, float | None]] = [("queries", usage.queries + len(requests), budget.queries)]
        if budget.tokens is not None or budget.usd is not None:
            prompt = usage.prompt_tokens + self._prompt_tokens(requests)
            # A completion is expected to be as long as those before it.
            per_query = usage.completion_tokens / usage.queries if usage.queries else 0.0
            completion = usage.completion_tokens + per_query * len(requests)
            limits.append(("tokens", prompt + completion, budget.tokens))
            limits.append(("usd", self.price.of(prompt, completion), budget.usd))
        elapsed = self._ledger.spent_before + time.monotonic() - self._ledger.started
        limits.append(("minutes", elapsed / 60, budget.minutes))
        for name, would_be, limit in limits:
            if limit is not None and would_be > limit:
                raise BudgetExhausted(
                    f"budget.{name}: the next batch would reach {would_be:,.6g}, the limit is {limit:,g}; "
                    f"raise budget.{name} and resume the run"
                )

    def _prompt_tokens(self, requests: Sequence[Request]) -> int:
        if isinstance(self.target, CountsTokens):
            return int(sum(self.target.count_tokens(requests)))
        return sum(_rough_tokens(r) for r in requests)

    def _answered(
        self, batches: Sequence[list[str]], distinct: dict[str, Ask]
    ) -> Iterator[tuple[list[str], list[Answer]]]:
        """Yield (keys, answers) as batches complete. Batches in flight are awaited before an error is raised."""
        limiter = _Adaptive(self.max_concurrency, start=self.max_concurrency if self.eager else 4)
        waiting = iter(batches)
        flying: dict[Future[list[Answer]], list[str]] = {}
        stop: Exception | None = None
        with ThreadPoolExecutor(max_workers=self.max_concurrency) as pool:
            while True:
                while stop is None and len(flying) < limiter.limit:
                    batch = next(waiting, None)
                    if batch is None:
                        break
                    asks = [distinct[k] for k in batch]
                    in_flight = [distinct[k].request for other in flying.values() for k in other]
                    try:
                        self._check_budget([*in_flight, *(a.request for a in asks)])
                    except BudgetExhausted as error:
                        stop = error
                        break
                    flying[pool.submit(self._call, asks, limiter)] = batch
                if not flying:
                    break
                done, _ = wait(flying, return_when=FIRST_COMPLETED)
                # Dict order keeps the order of storing stable when several batches finish together.
                for future in [f for f in flying if f in done]:
                    batch = flying.pop(future)
                    try:
                        answers = future.result()
                    except TargetError as error:
                        stop = stop or error
                        continue
                    yield batch, answers
        if stop is not None:
            raise stop

    def _recommend(self, asks: Sequence[Ask]) -> object:
        """Ask; where foreign code raises, find the request it fails on, so that only that one is lost."""
        requests = [a.request for a in asks]
        try:
            if isinstance(self.target, Randomised):
                return self.target.recommend_draws(requests, [a.repeat for a in asks])
            return self.target.recommend(requests)
        except RecAuditError:
            raise
        except Exception as error:  # whatever foreign code raises is the outcome of the request that caused it
            if len(asks) == 1:
                return [failed(error)]
            found: list[Answer] = []
            for half in (asks[: len(asks) // 2], asks[len(asks) // 2 :]):
                found += check_answers([a.request for a in half], self._recommend(half))
            return found

    def _call(self, asks: Sequence[Ask], limiter: _Adaptive) -> list[Answer]:
        """Ask the target once, with retries; a batch that fails for good becomes counted errors."""
        requests = [a.request for a in asks]

        def pause(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked_for = error.retry_after if isinstance(error, TargetUnavailable) else None
            jittered = wait_random_exponential(multiplier=self.retry.wait_s, max=self.retry.max_wait_s)(state)
            return min(asked_for, self.retry.max_wait_s) if asked_for is not None else jittered

        def complained(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            if isinstance(error, TargetUnavailable) and error.throttled:
                limiter.throttled()

        retrying = Retrying(
            retry=retry_if_exception_type(TargetUnavailable),
            wait=pause,
            stop=stop_after_attempt(self.retry.attempts),
            after=complained,
            reraise=True,
        )
        started = time.perf_counter()
        try:
            answers = check_answers(requests, retrying(self._recommend, asks), name=self.info.name)
        except TargetUnavailable as error:
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= self.retry.give_up_after:
                raise TargetError(
                    f"target: {self._failed_in_a_row} batches failed in a row, each {self.retry.attempts} times; the "
                    f"last error was: {error}. What was answered is stored: mend the target and resume the run"
                ) from error
            return [Answer(outcome="error", detail=str(error)) for _ in requests]
        self._failed_in_a_row = 0
        limiter.succeeded()
        seconds = (time.perf_counter() - started) / len(requests)
        return [a if a.usage.seconds else replace(a, usage=replace(a.usage, seconds=seconds)) for a in answers]


class _Door:
    """A target as attacks see it: asked through the gateway, and as transparent as it is itself."""

    def __init__(self, gateway: Gateway, label: str) -> None:
        self._gateway = gateway
        self._label = label

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - white-box methods of whatever target it is
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._gateway.target, name)

    @property
    def info(self) -> TargetInfo:
        return self._gateway.info

    def recommend(self, requests: Sequence[Request]) -> Sequence[Answer]:
        return self.recommend_draws(requests, [0] * len(requests))

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> Sequence[Answer]:
        asks = [Ask(r, draw) for r, draw in zip(requests, draws, strict=True)]
        return self._gateway.ask(asks, label=self._label, lean=True)


class _Adaptive:
    """Concurrency that grows by one after a round without complaint and shrinks by a fifth on a 429 (AIMD)."""

    def __init__(self, ceiling: int, start: int = 4) -> None:
        self._ceiling = ceiling
        self._limit = float(min(start, ceiling))
        self._clean = 0
        self._cooling_until = 0.0
        self._lock = threading.Lock()

    @property
    def limit(self) -> int:
        return max(1, int(self._limit))

    def succeeded(self) -> None:
        with self._lock:
            self._clean += 1
            if self._clean >= self.limit and time.monotonic() >= self._cooling_until:
                self._limit = min(self._limit + 1, self._ceiling)
                self._clean = 0

    def throttled(self) -> None:
        with self._lock:
            # One burst of complaints about calls already in flight counts once.
            if time.monotonic() >= self._cooling_until:
                self._limit = max(1.0, self._limit * 0.8 if self._limit > 2 else self._limit - 1)
                self._cooling_until = time.monotonic() + 1.0
            self._clean = 0


def _chunks(keys: Sequence[str], size: int) -> list[Sequence[str]]:
    return [keys[i : i + size] for i in range(0, len(keys), size)]


def _rough_tokens(request: Request) -> int:
    text = len(request.instruction) + len(request.user.note)
    text += sum(len(e.item.title) + len(e.item.text) for e in request.user.history)
    text += sum(len(c.title) + len(c.text) for c in request.candidates or ())
    text += sum(len(p.text) for p in request.passages) + sum(len(t.text) for t in request.turns)
    return text // 4 + 1
