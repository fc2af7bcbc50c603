"""Which replica answers which batch.

A replica keeps the prefixes it computed (instruction, user history), so a user's next request is cheapest where the
last one was answered. A replica that becomes free therefore takes the oldest waiting batch whose users it knows, then
the oldest whose users nobody knows, and only then one that another replica would answer faster: an idle replica costs
more than a cold cache. Callers keep a few batches per replica waiting, so that there is something to choose from.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Collection, Hashable, Iterable, Sequence

from audit.errors import TargetError
from audit.types import Request

_REMEMBERED = 65_536
"""Prefixes whose replica is remembered: more than any replica's cache holds, and a bound on memory."""


def prefixes(requests: Iterable[Request]) -> frozenset[Hashable]:
    """What the prompts of these requests begin with, told cheaply: the wording and the user."""
    return frozenset((r.instruction, r.user.id) for r in requests)


class _Ticket:
    """A batch that waits for a replica."""

    def __init__(self, keys: Collection[Hashable]) -> None:
        self.keys = keys
        self.replica: int | None = None


class Router:
    """Hands each batch to one replica, and each replica one batch at a time. Thread-safe.

    A replica is free, busy, away (lost, its successor is on the way) or retired for good.
    """

    def __init__(self, replicas: int) -> None:
        """Start with replicas 0, 1, … all free."""
        self._free = set(range(replicas))
        self._busy: set[int] = set()
        self._away: set[int] = set()
        self._homes: OrderedDict[Hashable, int] = OrderedDict()
        self._waiting: list[_Ticket] = []
        self._changed = threading.Condition()
        self._last_words = "no replica was started"

    def acquire(self, keys: Collection[Hashable]) -> int:
        """Wait for a replica.

        Args:
            keys: the prefixes of the batch (`prefixes`).

        Returns:
            The replica, which is busy until `release`, `lose` or `retire` is called for it.

        Raises:
            TargetError: no replica is left, with the reason why the last one went.
        """
        ticket = _Ticket(keys)
        with self._changed:
            self._waiting.append(ticket)
            self._hand_out()
            while ticket.replica is None:
                if not (self._free or self._busy or self._away):
                    self._waiting.remove(ticket)
                    raise TargetError(self._last_words)
                self._changed.wait()
            return ticket.replica

    def release(self, replica: int) -> None:
        """A replica is free: it has answered, or it has come back."""
        with self._changed:
            self._busy.discard(replica)
            self._away.discard(replica)
            self._free.add(replica)
            self._hand_out()

    def lose(self, replica: int) -> None:
        """A replica is gone, with what it had cached; its successor is on the way."""
        with self._changed:
            self._forget(replica)
            self._away.add(replica)

    def retire(self, replica: int, reason: str) -> None:
        """A replica is gone for good.

        Args:
            replica: which.
            reason: one sentence, raised to those who wait when no replica is left.
        """
        with self._changed:
            self._forget(replica)
            self._last_words = reason
            self._changed.notify_all()

    def home(self, keys: Collection[Hashable]) -> int | None:
        """The replica that last saw most of these prefixes; None when nobody saw any."""
        seen = Counter(self._homes[k] for k in keys if k in self._homes)
        # The lowest of equals, so that the choice does not depend on the order of a set.
        return min(seen, key=lambda replica: (-seen[replica], replica)) if seen else None

    def _hand_out(self) -> None:
        homes = {id(ticket): self.home(ticket.keys) for ticket in self._waiting} if self._free else {}
        while self._free and self._waiting:
            ticket, replica = _best(self._waiting, [homes[id(t)] for t in self._waiting], sorted(self._free))
            self._waiting.remove(ticket)
            self._free.remove(replica)
            self._busy.add(replica)
            for key in ticket.keys:
                self._homes[key] = replica
                self._homes.move_to_end(key)
            while len(self._homes) > _REMEMBERED:
                self._homes.popitem(last=False)
            ticket.replica = replica
        self._changed.notify_all()

    def _forget(self, replica: int) -> None:
        for state in (self._free, self._busy, self._away):
            state.discard(replica)
        for key in [k for k, home in self._homes.items() if home == replica]:
            del self._homes[key]


def _best(waiting: Sequence[_Ticket], homes: Sequence[int | None], free: Sequence[int]) -> tuple[_Ticket, int]:
    """The pair to join next: a batch that is at home with a free replica, else one without a home, else the oldest."""
    for ticket, home in zip(waiting, homes, strict=True):
        if home is not None and home in free:
            return ticket, home
    for ticket, home in zip(waiting, homes, strict=True):
        if home is None:
            return ticket, free[0]
    return waiting[0], free[0]
