"""Self-reflection: a step makes rewarded candidates likelier and the others less likely."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import ODD_TITLES, catalog

from attacks.cheatagent.agent import Candidate, LMAgent, Propose, Question, Reflect, Rule, Soft, step
from audit.types import Catalog, Item

WORDS = Question("Which word?", "word")
TITLES = Question("Which title?", "item", frozenset({"i0"}))
RULES = [Rule(0.01), Rule(0.01, adamw=True, mean=True)]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("question", [WORDS, TITLES])
def test_tuning_raises_what_was_rewarded_and_lowers_what_was_not(reader, question, rule) -> None:
    agent = LMAgent(reader, catalog())
    (policy,) = agent.draw(np.random.default_rng(0), 1)
    (beam,) = agent.propose(Propose(question, (policy,), 6))
    prompt = reader.prompt(question.prompt)
    paths = [c.tokens for c in beam]
    before = reader.nll(policy.prefix, prompt, paths)
    for weights in ((0.0, 0.0, 1.0, 0.0, 0.0, 0.0), (-1.0, -1.0, 1.0, -1.0, 1.0, 1.0)):
        ((tuned,),) = agent.together([[Reflect(question, policy, tuple(beam), weights, rule)]])
        change = reader.nll(tuned.prefix, prompt, paths) - before
        kept = torch.tensor(weights)
        assert change[kept > 0].mean() < change[kept < 0].sum() / 3
        if not (kept < 0).any():
            assert change[2] < 0


def test_adamw_is_that_of_torch() -> None:
    start = torch.tensor([0.3, -2.0, 1.0])
    gradients = [torch.tensor([1.0, -0.5, 0.0]), torch.tensor([-3.0, 0.1, 0.2]), torch.tensor([0.2, 0.2, -0.2])]
    reference = start.clone().requires_grad_()
    optimiser = torch.optim.AdamW([reference], lr=0.1)
    policy = Soft(start)
    for gradient in gradients:
        reference.grad = gradient.clone()
        optimiser.step()
        policy = step(policy, gradient, Rule(0.1, adamw=True))
        torch.testing.assert_close(policy.prefix, reference.detach())


def test_a_plain_step_goes_down_the_gradient() -> None:
    moved = step(Soft(torch.tensor([1.0, 2.0])), torch.tensor([10.0, -1.0]), Rule(0.1))
    torch.testing.assert_close(moved.prefix, torch.tensor([0.0, 2.1]))


def test_several_users_share_a_step(llama) -> None:
    agent = LMAgent(llama, catalog())
    (policy,) = agent.draw(np.random.default_rng(0), 1)
    tasks = [
        Reflect(Question(prompt, "word"), policy, (Candidate("A", (40,)),), (1.0,), Rule(0.1)) for prompt in ("a", "b")
    ]
    mean = torch.stack([agent.gradient(task) for task in tasks]).mean(0)
    torch.testing.assert_close(agent.reflect(tasks).prefix, policy.prefix - 0.1 * mean)


def test_answers_do_not_depend_on_who_else_asks(reader) -> None:
    agent = LMAgent(reader, catalog())
    policies = agent.draw(np.random.default_rng(0), 3)
    asks = [Propose(Question(f"Which {n}?", kind), policies, 4) for n in range(3) for kind in ("word", "item")]
    assert agent.together([asks]) == [[agent.propose(ask) for ask in asks]]
    assert agent.together([[ask] for ask in asks]) == [[agent.propose(ask)] for ask in asks]


def test_odd_titles_can_be_named(reader) -> None:
    odd = Catalog([Item(str(n), title) for n, title in enumerate([*ODD_TITLES, ODD_TITLES[0]])])
    agent = LMAgent(reader, odd)
    policies = agent.draw(np.random.default_rng(0), 1)
    (beam,) = agent.propose(Propose(Question(ODD_TITLES[0], "item"), policies, 20))
    assert {c.what.id for c in beam} == {str(n) for n in range(len(ODD_TITLES))}  # the last is the first again


def test_a_catalogue_of_one_item(reader) -> None:
    agent = LMAgent(reader, Catalog([Item("a", "Alien")]))
    policies = agent.draw(np.random.default_rng(0), 2)
    beams = agent.propose(Propose(Question("?", "item"), policies, 5))
    assert [[c.what.id for c in beam] for beam in beams] == [["a"], ["a"]]
    assert agent.propose(Propose(Question("?", "item", frozenset({"a"})), policies, 5)) == [[], []]
    kept = agent.reflect([Reflect(TITLES, policies[0], (), (), Rule(0.1))])
    assert torch.equal(kept.prefix, policies[0].prefix)
