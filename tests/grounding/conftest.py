from __future__ import annotations

import pytest
from grounding_world import ALIASES, TITLES

from audit.grounding import Grounder, Matcher
from audit.types import Catalog, Item


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return Catalog(Item(key, title) for key, title in TITLES.items())


@pytest.fixture(scope="session")
def matcher(catalog: Catalog) -> Matcher:
    return Matcher(catalog, ALIASES)


@pytest.fixture(scope="session")
def grounder(catalog: Catalog) -> Grounder:
    return Grounder(catalog, ALIASES)
