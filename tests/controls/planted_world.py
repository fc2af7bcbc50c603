"""What tests of plants share: how many users there are, and short ways to ask."""

from __future__ import annotations

import math
from dataclasses import replace

from audit.target import Recommender
from audit.types import Event, Request, User

USERS = 200
NOBODY = User("nobody")


def listed(target: Recommender, asked: Request) -> list[str | None]:
    return [entry.item_id for entry in target.recommend([asked])[0].ranked]


def written(asked: Request, **changes: object) -> Request:
    return replace(asked, task="answer", candidates=None, **changes)


def with_history(asked: Request, events: tuple[Event, ...]) -> Request:
    return replace(asked, user=replace(asked.user, history=events))


def near(count: int, of: int, share: float) -> bool:
    """Within four standard deviations of a binomial count."""
    return abs(count - of * share) <= 4 * math.sqrt(of * share * (1 - share)) + 1e-9
