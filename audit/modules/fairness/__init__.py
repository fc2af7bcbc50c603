"""Is it fair to people and to providers, and is what looks like bias more than noise?

Each part asks one question with its own experiment: what a stated attribute changes (`sweep`, `swaps`, `stereotypes`),
what a name or a dialect changes (`names`, `dialect`), how well real groups of users are served (`groups`), who gets the
exposure (`exposure`), who is selected (`hiring`), and whether a mode that promises not to profile keeps its word
(`profiling`).
"""

from __future__ import annotations

from audit.modules.fairness.module import Fairness

__all__ = ["Fairness"]
