"""The invented world, and a request of each of its users."""

from __future__ import annotations

import numpy as np
import pytest
from planted_world import USERS

from audit.controls.worlds import invented
from audit.data.cases import ranking_cases
from audit.data.dataset import Dataset
from audit.types import Request


@pytest.fixture(scope="session")
def world() -> Dataset:
    return invented(3, USERS)


@pytest.fixture(scope="session")
def requests(world: Dataset) -> list[Request]:
    """Ten candidates and the five latest events of every user."""
    cases = ranking_cases(world, users=None, k=5, candidates=10, rng=np.random.default_rng(5), history=5)
    return [case.request for case in cases]
