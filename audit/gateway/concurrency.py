"""How many calls may be in flight at once."""

from __future__ import annotations

import threading
import time


class Adaptive:
    """Concurrency that grows by one after a round without complaint and shrinks by a fifth on a 429 (AIMD)."""

    def __init__(self, ceiling: int, start: int = 4) -> None:
        """Begin.

        Args:
            ceiling: most calls.
            start: calls to begin with.
        """
        self._ceiling = ceiling
        self._limit = float(min(start, ceiling))
        self._clean = 0
        self._cooling_until = 0.0
        self._lock = threading.Lock()

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""
        return max(1, int(self._limit))

    def succeeded(self) -> None:
        """A call went well."""
        with self._lock:
            self._clean += 1
            if self._clean >= self.limit and time.monotonic() >= self._cooling_until:
                self._limit = min(self._limit + 1, self._ceiling)
                self._clean = 0

    def throttled(self) -> None:
        """The endpoint asked to be asked less."""
        with self._lock:
            # One burst of complaints about calls already in flight counts once.
            if time.monotonic() >= self._cooling_until:
                self._limit = max(1.0, self._limit * 0.8 if self._limit > 2 else self._limit - 1)
                self._cooling_until = time.monotonic() + 1.0
            self._clean = 0
