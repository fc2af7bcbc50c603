"""One policy for all users: the first pay for it, the others use it."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import catalog, requests
from test_cheatagent import WORDED, sensitive

from attacks.cheatagent import Amortised
from attacks.cheatagent.agent import LMAgent, Reflect, Rule
from attacks.cheatagent.amortised import Choose, Shared
from audit.attack import Goal, Objective
from audit.errors import ConfigError


@pytest.fixture
def attack(llama):
    films = catalog()
    return Amortised(films, agent=LMAgent(llama, films), learn_from=2, prefixes=3, candidates=4, rounds=2)


def run(attack: Amortised, users: int = 5, budget: int = 70, **options):
    objective = Objective(Goal.DEGRADE, (frozenset({"i4"}),) * users)
    asked = requests(users, instruction=WORDED)
    return list(attack.run(sensitive(), asked, objective, budget, np.random.default_rng(0), **options))


def test_later_users_pay_for_positions_and_one_proposal_a_place(attack) -> None:
    spent = [a.queries for a in run(attack)]
    # 9 places, 3 insertions of 4 candidates each, and the three together.
    assert max(spent[2:]) <= 9 + 3 * 4 + 1
    assert min(spent[:2]) > max(spent[2:])
    assert all(len(a.edits) == 3 for a in run(attack))


@pytest.mark.parametrize("skip", [1, 2, 4])
def test_a_resumed_run_goes_on_with_the_same_policy(attack, skip) -> None:
    whole = [a.found for a in run(attack)]
    assert [a.found for a in run(attack, skip=skip)] == whole[skip:]


def test_the_group_does_not_matter(attack, llama) -> None:
    films = catalog()
    small = Amortised(films, agent=LMAgent(llama, films), learn_from=2, prefixes=3, candidates=4, rounds=2, group=1)
    assert [a.found for a in run(small)] == [a.found for a in run(attack)]


@pytest.mark.parametrize("budget", [1, 2, 7])
def test_small_budgets(attack, budget) -> None:
    assert all(1 <= a.queries <= budget for a in run(attack, budget=budget))


def test_the_prefix_that_serves_most_users_is_chosen() -> None:
    class Counting:
        def reflect(self, tasks):
            return f"after {len(tasks)}"

    shared = Shared(Counting(), ("a", "b", "c"))
    jobs = [[Choose("item", (1.0, 5.0, 4.9))], [Choose("item", (9.0, -np.inf, 8.0)), Choose("word", (1.0, 2.0))]]
    assert shared.together(jobs) == [["c"], ["c", "b"]]
    step = Reflect(_Question(), "c", (), (), Rule(0.1))
    assert shared.together([[step], [step]]) == [["after 2"], ["after 2"]]
    assert shared.policy("word") == "b"


class _Question:
    kind = "item"


def test_nobody_to_learn_from() -> None:
    with pytest.raises(ConfigError, match="learn_from: 0 must be at least 1"):
        Amortised(catalog(), learn_from=0)
