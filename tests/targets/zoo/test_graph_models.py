"""What each collaborative network computes, against dense and brute-force twins; and what the shipped weights reach."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from audit.data.dataset import Dataset
from audit.targets.zoo.bipartite import Bipartite
from audit.targets.zoo.gtn_model import GTNNet
from audit.targets.zoo.gtn_model import Hyper as GTNHyper
from audit.targets.zoo.lightgcn import vectors
from audit.targets.zoo.lightgcn_model import Hyper as LightGCNHyper
from audit.targets.zoo.lightgcn_model import LightGCNNet
from audit.targets.zoo.ltgnn_model import Hyper as LTGNNHyper
from audit.targets.zoo.ltgnn_model import LTGNNNet
from audit.targets.zoo.ncf_model import Hyper as NCFHyper
from audit.targets.zoo.ncf_model import NCFNet
from audit.targets.zoo.protocol import hits, leave_one_out_ranks

HISTORIES = [np.array([0, 2, 3]), np.array([2]), np.array([1, 2, 3]), np.array([0, 4])]
USERS, ITEMS, DIM = 4, 6, 5


@pytest.fixture
def graph() -> Bipartite:
    torch.manual_seed(0)
    return Bipartite(HISTORIES, ITEMS)


def adjacency(graph: Bipartite) -> Tensor:
    """Â, dense, users first."""
    eye = torch.eye(USERS + ITEMS)
    return torch.cat(graph.hop(eye[:USERS], eye[USERS:]))


def nodes(pair: tuple[Tensor, Tensor]) -> Tensor:
    return torch.cat(pair).detach()


def own(net: Any) -> Tensor:
    return torch.cat([net.user, net.item]).detach()


@pytest.mark.parametrize(
    ("name", "given"),
    [("bprmf", {}), ("lightgcn", {"layers": 3}), ("ltgnn", {}), ("gtn", {"clip": 0.02}), ("gtn", {"clip": 9.0})],
)
def test_a_user_of_the_training_is_placed_where_the_training_had_them(
    graph: Bipartite, name: str, given: dict[str, Any]
) -> None:
    model = importlib.import_module(f"audit.targets.zoo.{name}_model")
    net = next(kind for key, kind in vars(model).items() if key.endswith("Net") and key.lower() == f"{name}net")(
        graph, model.Hyper(dim=DIM, **given)
    )
    served, expected = net.served(), net()[0].detach().double().numpy()
    for user, history in enumerate(HISTORIES):
        vector = net.user[user].detach().double().numpy()
        x, gain = served.place(vector, history)
        np.testing.assert_allclose(x, expected[user], atol=1e-6)
        step = 1e-6 * np.ones(DIM)
        np.testing.assert_allclose((served.place(vector + step, history)[0] - x) / step, gain, atol=1e-4)


def test_lightgcn_is_the_mean_over_powers_of_the_adjacency(graph: Bipartite) -> None:
    net = LightGCNNet(graph, LightGCNHyper(dim=DIM, layers=3))
    dense, vector = adjacency(graph), own(net)
    expected = sum(torch.linalg.matrix_power(dense, power) @ vector for power in range(4)) / 4
    torch.testing.assert_close(nodes(net()), expected)


def test_ltgnn_solves_personalised_pagerank_and_a_step_moves_towards_it(graph: Bipartite) -> None:
    net = LTGNNNet(graph, LTGNNHyper(dim=DIM, alpha=0.3))
    expected = 0.3 * torch.linalg.solve(torch.eye(USERS + ITEMS) - 0.7 * adjacency(graph), own(net))
    torch.testing.assert_close(nodes(net()), expected)
    net.memory.zero_()
    triple = torch.tensor([0]), torch.tensor([0]), torch.tensor([[1]])
    for _ in range(60):
        net.loss(*triple)[0].backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(net.memory, expected, atol=1e-5, rtol=0)


def test_ltgnn_carries_the_gradient_of_the_solved_equation(graph: Bipartite) -> None:
    net = LTGNNNet(graph, LTGNNHyper(dim=DIM, ridge=0.0))
    triple = torch.tensor([0, 2]), torch.tensor([0, 3]), torch.tensor([[1], [5]])
    for _ in range(60):
        net.zero_grad()
        net.loss(*triple)[0].backward()  # type: ignore[no-untyped-call]
    carried = torch.cat([net.user.grad, net.item.grad])  # type: ignore[list-item]
    net.zero_grad()
    users, items = net()
    value = torch.nn.functional.softplus(
        (users[triple[0]] * (items[triple[2][:, 0]] - items[triple[1]])).sum(dim=1)
    ).mean()
    value.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(carried, torch.cat([net.user.grad, net.item.grad]), atol=1e-6, rtol=1e-4)  # type: ignore[list-item]


def test_ltgnn_samples_without_bias_and_the_snapshot_reduces_the_variance(graph: Bipartite) -> None:
    net = LTGNNNet(graph, LTGNNHyper(dim=DIM, neighbours=2))
    net.begin_epoch(np.random.default_rng(0))
    now = net.memory + 0.01 * torch.randn_like(net.memory)  # a little later
    every = torch.arange(USERS + ITEMS)
    exact = adjacency(graph) @ now
    errors = {}
    for reduced in (True, False):
        draws = torch.stack([net.estimated_hop(now, every, reduced=reduced) for _ in range(500)])
        error = draws.std(dim=0)
        assert ((draws.mean(dim=0) - exact).abs() <= 5 * error / np.sqrt(500) + 1e-6).all()
        errors[reduced] = error.square().mean()
    assert errors[True] < errors[False] / 10


def test_gtn_minimises_the_trend_filtering_objective(graph: Bipartite) -> None:
    clip = 0.03
    net = GTNNet(graph, GTNHyper(dim=DIM, layers=600, clip=clip))
    with torch.no_grad():
        users, items = net()

    def objective(candidate: Tensor) -> float:
        edges = graph.differences(candidate[:USERS], candidate[USERS:])
        return float((candidate - own(net)).square().sum() / 2 + clip * edges.abs().sum())

    found = torch.cat([users, items])
    assert objective(found) < objective(own(net))
    for _ in range(100):
        assert objective(found) <= objective(found + 0.01 * torch.randn_like(found)) + 1e-6


def test_gtn_without_clipping_is_a_lazy_walk_and_with_it_bounds_the_pull_of_an_edge(graph: Bipartite) -> None:
    free = GTNNet(graph, GTNHyper(dim=DIM, layers=3, clip=1e9))
    # Δᵀ Δ = D - Â, where D is 0 for a node without an edge: it stays where it is.
    edged = torch.diag((adjacency(graph).sum(dim=1) > 0).float())
    step = torch.eye(USERS + ITEMS) - (edged - adjacency(graph)) / 2
    torch.testing.assert_close(nodes(free()), torch.linalg.matrix_power(step, 3) @ own(free))
    bound = GTNNet(graph, GTNHyper(dim=DIM, layers=3, clip=0.001))
    moved = (nodes(bound()) - own(bound)).abs().max(dim=1).values.numpy()
    degrees = np.concatenate([graph.user_degrees, graph.item_degrees])
    assert (moved <= 0.001 * np.sqrt(degrees) + 1e-6).all()


def test_ncf_asks_without_the_item_and_scores_as_it_learned(graph: Bipartite) -> None:
    net = NCFNet(graph, NCFHyper(dim=6, hidden=8, drawn=1, ridge=0.0))
    given, item = net.scorer.given.detach(), net.scorer.item.detach()
    _, value = net.loss(torch.tensor([0]), torch.tensor([2]), torch.tensor([[5]]))
    without, known = (given[0] + given[3]) / np.sqrt(2), (given[0] + given[2] + given[3]) / np.sqrt(3)
    yes, no = net.scorer(without, item[2]), net.scorer(known, item[5])
    expected = -(torch.sigmoid(yes).log() + torch.sigmoid(-no).log()) / 2
    torch.testing.assert_close(value, expected)
    assert net.served().score([HISTORIES[0]])[0, 5] == pytest.approx(no.item(), abs=1e-6)
    joined = torch.cat([known[3:], item[5, 3:]])  # the paper's first layer, over both vectors side by side
    both = torch.cat([net.scorer.of_user.weight, net.scorer.of_item.weight], dim=1)
    hidden = torch.relu(net.scorer.narrow(torch.relu(both @ joined + net.scorer.of_user.bias)))
    whole = net.scorer.last(torch.cat([known[:3] * item[5, :3], hidden]))
    torch.testing.assert_close(no[None], whole)


@pytest.mark.parametrize(("name", "least"), [("bprmf", 0.117), ("lightgcn", 0.12), ("ltgnn", 0.12)])
def test_the_shipped_weights_reach_their_figures(ml100k_core: Dataset, name: str, least: float) -> None:
    target = importlib.import_module(f"audit.targets.zoo.{name}")
    reached = hits(leave_one_out_ranks(target.build(ml100k_core).score, ml100k_core, "test"), 10).mean()
    assert reached >= least  # 0.117: popularity's .087, and .03
    assert sum(file.stat().st_size for file in target.SHIPPED.iterdir()) < 1_000_000


def test_lightgcn_hands_out_its_vectors(ml100k_core: Dataset) -> None:
    found = vectors(ml100k_core)
    assert found.users.shape == (943, 64)
    assert found.items.shape == (1_349, 64)
    target = importlib.import_module("audit.targets.zoo.lightgcn").build(ml100k_core)
    history = ml100k_core.sequences[found.user_ids[3]][:-2]
    np.testing.assert_allclose(found.items @ found.users[3], target.score([history])[0], atol=1e-9)
