"""What a run has spent, shared by all its doors, and what it may still spend."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from audit.errors import BudgetExhausted
from audit.gateway.records import Budget, Price
from audit.store import RunUsage
from audit.types import Answer, Usage


@dataclass
class Ledger:
    """The account of a run.

    Attributes:
        usage: so far.
        budget: what the run may spend.
        price: of tokens, for the money budget.
    """

    usage: RunUsage
    budget: Budget
    price: Price
    _spent_before: float = field(init=False)
    _started: float = field(init=False, default_factory=time.monotonic)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._spent_before = self.usage.seconds

    def charge(self, answers: Sequence[Answer]) -> None:
        """Add what these answers cost."""
        total = sum((a.usage for a in answers), Usage())
        with self._lock:
            usage = self.usage
            self.usage = replace(
                usage,
                queries=usage.queries + len(answers),
                prompt_tokens=usage.prompt_tokens + total.prompt_tokens,
                completion_tokens=usage.completion_tokens + total.completion_tokens,
                seconds=usage.seconds + total.seconds,
            )

    @property
    def needs_tokens(self) -> bool:
        """Whether the budget can only be checked by counting prompt tokens."""
        return self.budget.tokens is not None or self.budget.usd is not None

    def check(self, queries: int, prompt_tokens: float) -> None:
        """Hold further queries to the budget, before they are asked.

        Args:
            queries: how many.
            prompt_tokens: of all of them; 0 where `needs_tokens` is False.

        Raises:
            BudgetExhausted: they would exceed a limit.
        """
        usage, budget = self.usage, self.budget
        limits: list[tuple[str, float, float | None]] = [("queries", usage.queries + queries, budget.queries)]
        if self.needs_tokens:
            prompt = usage.prompt_tokens + prompt_tokens
            # A completion is expected to be as long as those before it.
            per_query = usage.completion_tokens / usage.queries if usage.queries else 0.0
            completion = usage.completion_tokens + per_query * queries
            limits.append(("tokens", prompt + completion, budget.tokens))
            limits.append(("usd", self.price.of(prompt, completion), budget.usd))
        elapsed = self._spent_before + time.monotonic() - self._started
        limits.append(("minutes", elapsed / 60, budget.minutes))
        for name, would_be, limit in limits:
            if limit is not None and would_be > limit:
                raise BudgetExhausted(
                    f"budget.{name}: the next batch would reach {would_be:,.6g}, the limit is {limit:,g}; "
                    f"raise budget.{name} and resume the run"
                )
