"""The door itself: plan, remove duplicates, take what is stored, ask the rest in batches, store, count."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Any

from audit.errors import BudgetExhausted, TargetError
from audit.gateway.calling import Caller
from audit.gateway.concurrency import Adaptive
from audit.gateway.ledger import Ledger
from audit.gateway.records import Ask, Budget, Estimate, Price, Progress, Retry
from audit.seeds import generator
from audit.store import RunUsage, Store
from audit.target import CountsTokens, Recommender, TargetInfo, describe
from audit.types import Answer, Request

COUNTED = 512
"""Questions of a plan whose tokens are counted: of a plan with more, so many drawn at random stand for all, or a price
would cost minutes."""

_CHUNK = 64
"""Requests per stored batch when the target sets no batch size: small enough that a kill loses little."""

_REPEATS = 10_000
"""Repeats that one door can have; those of the next are numbered behind them."""

_WINDOW = 2048
"""Questions that a stream holds in memory at once."""


class Gateway:
    """Asks a target on behalf of one run."""

    def __init__(
        self,
        target: Recommender,
        store: Store,
        run: str,
        *,
        budget: Budget | None = None,
        price: Price | None = None,
        retry: Retry | None = None,
        max_concurrency: int = 16,
        eager: bool = False,
        version: str | None = None,
        progress: Callable[[Progress], None] | None = None,
        ledger: Ledger | None = None,
        door: int = 0,
    ) -> None:
        """Open the door.

        Args:
            target: what is asked.
            store: where answers are kept.
            run: id of the run they are charged to.
            budget: limits of the run; none by default.
            price: what tokens cost, for the money budget.
            retry: how failures are asked again.
            max_concurrency: most calls in flight, for targets that allow several.
            eager: whether to start with that many; an endpoint of somebody else is felt out from four upwards.
            version: the owner's word that equal versions answer alike; lets answers be reused across runs for a target
                without a fingerprint.
            progress: called after every batch.
            ledger: of the run, where it has another door already; budget and price are then its own. See `behind`.
            door: number of this door within the run.
        """
        self.target = target
        self.info: TargetInfo = describe(target)
        self.store = store
        self.run = run
        self._caller = Caller(target, self.info.name, retry or Retry())
        self._ceiling = max_concurrency
        self.max_concurrency = max_concurrency if self.info.concurrent else 1
        self.eager = eager
        self.progress = progress
        # Without a fingerprint only the door tells a target from the same one behind a defense.
        own = f"run:{run}/{door}" if door else f"run:{run}"
        identity = self.info.fingerprint or (f"{self.info.name}@{version}" if version else own)
        self._scope = hashlib.sha256(identity.encode()).hexdigest()
        self._ledger = ledger or Ledger(store.usage(run), budget or Budget(), price or Price())
        self._door = door
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
            retry=self._caller.retry,
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
        return hashlib.sha256(f"{self._scope}/{ask.digest}/{ask.repeat}".encode()).hexdigest()

    def estimate(self, asks: Iterable[Ask]) -> Estimate:
        """What it would cost to answer these questions, given what is stored."""
        distinct = {self.key(a): a for a in asks}
        stored = self.store.answers(list(distinct), run=self.run)
        missing = [a for key, a in distinct.items() if key not in stored]
        counted = isinstance(self.target, CountsTokens)
        drawn = missing
        if len(missing) > COUNTED:
            rng = generator(0, "tokens of a plan")
            drawn = [missing[i] for i in rng.choice(len(missing), size=COUNTED, replace=False)]
        tokens = round(self._prompt_tokens(drawn) * len(missing) / max(len(drawn), 1))
        return Estimate(len(missing), len(stored), tokens, counted, sampled=len(drawn) < len(missing))

    # Asking -------------------------------------------------------------------------------------------------------

    def ask(self, asks: Sequence[Ask], *, label: str = "", lean: bool = False) -> list[Answer]:
        """Answer every question, in order.

        Args:
            asks: the questions; equal ones are asked once, also when another thread is asking one just now.
            label: what they are for, shown with the progress.
            lean: store the answers without their requests, which then no evidence can show.

        Returns:
            One Answer per Ask. A question that failed for good is an Answer with outcome `error`. To a question about a
            text it is the text's `likelihood`; neither request nor text is then stored, and no evidence can show them.

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
                        (k, _kept(distinct[k]), self.stored_repeat(distinct[k].repeat), a)
                        for k, a in zip(batch, answers, strict=True)
                    ],
                    bodies=not lean,
                )
                found.update(zip(batch, answers, strict=True))
                self._land(zip(batch, answers, strict=True))
                self._ledger.charge(answers)
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

    def _prompt_tokens(self, asks: Sequence[Ask]) -> int:
        """Of all prompts, and of the texts that are given, by the rule of four characters a token."""
        texts = sum(len(a.text) // 4 + 1 for a in asks if a.text is not None)
        if isinstance(self.target, CountsTokens):
            return texts + int(sum(self.target.count_tokens([a.request for a in asks])))
        return texts + sum(_rough_tokens(a.request) for a in asks)

    def _answered(
        self, batches: Sequence[list[str]], distinct: dict[str, Ask]
    ) -> Iterator[tuple[list[str], list[Answer]]]:
        """Yield (keys, answers) as batches complete. Batches in flight are awaited before an error is raised."""
        limiter = Adaptive(self.max_concurrency, start=self.max_concurrency if self.eager else 4)
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
                    in_flight = [distinct[k] for other in flying.values() for k in other]
                    would_ask = [*in_flight, *asks]
                    try:
                        tokens = self._prompt_tokens(would_ask) if self._ledger.needs_tokens else 0
                        self._ledger.check(len(would_ask), tokens)
                    except BudgetExhausted as error:
                        stop = error
                        break
                    flying[pool.submit(self._caller.call, asks, limiter)] = batch
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


def _kept(ask: Ask) -> Request | str:
    """What the store is given of a question: of one about a text its digest alone, for the text may be a secret."""
    return ask.request if ask.text is None else ask.digest


def _chunks(keys: Sequence[str], size: int) -> list[Sequence[str]]:
    return [keys[i : i + size] for i in range(0, len(keys), size)]


def _rough_tokens(request: Request) -> int:
    text = len(request.instruction) + len(request.user.note)
    text += sum(len(e.item.title) + len(e.item.text) for e in request.user.history)
    text += sum(len(c.title) + len(c.text) for c in request.candidates or ())
    text += sum(len(p.text) for p in request.passages) + sum(len(t.text) for t in request.turns)
    return text // 4 + 1
