"""The graph of who has what, against its dense twin."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audit.targets.zoo.bipartite import Bipartite

HISTORIES = [np.array([0, 2, 3]), np.array([2]), np.array([3, 3, 1, 2]), np.array([0, 4])]
ITEMS = 6  # nobody has the last


@pytest.fixture
def graph() -> Bipartite:
    return Bipartite(HISTORIES, ITEMS)


def dense() -> torch.Tensor:
    """Â over users, then items: D^-1/2 A D^-1/2, a node without an edge counted as of degree 1."""
    adjacency = np.zeros((4 + ITEMS, 4 + ITEMS))
    for user, items in enumerate(HISTORIES):
        for item in items:
            adjacency[user, 4 + item] = adjacency[4 + item, user] = 1
    degrees = np.maximum(adjacency.sum(axis=1), 1)
    return torch.from_numpy(adjacency / np.sqrt(degrees[:, None] * degrees[None, :])).float()


def test_a_hop_is_the_product_with_the_normalised_adjacency_and_so_is_its_gradient(graph: Bipartite) -> None:
    torch.manual_seed(0)
    nodes, weights = torch.randn(4 + ITEMS, 3), torch.randn(4 + ITEMS, 3)
    one, two = nodes.clone().requires_grad_(), nodes.clone().requires_grad_()
    sparse = torch.cat(graph.hop(one[:4], one[4:]))
    torch.testing.assert_close(sparse, dense() @ two)
    (sparse * weights).sum().backward()
    ((dense() @ two) * weights).sum().backward()
    torch.testing.assert_close(one.grad, two.grad)


def test_differences_and_their_transpose_make_the_laplacian(graph: Bipartite) -> None:
    torch.manual_seed(0)
    nodes = torch.randn(4 + ITEMS, 3)
    edges = graph.differences(nodes[:4], nodes[4:])
    users, items = graph.users, graph.items
    rows, user_roots, item_roots = nodes.numpy(), np.sqrt([3, 1, 3, 2]), np.sqrt([2, 1, 3, 2, 1, 1])
    expected = rows[users] / user_roots[users, None] - rows[4 + items] / item_roots[items, None]
    np.testing.assert_allclose(edges.numpy(), expected, atol=1e-6)
    laplacian = torch.diag((dense().sum(dim=1) > 0).float()) - dense()
    torch.testing.assert_close(torch.cat(graph.gathered(edges)), laplacian @ nodes)


def test_edges_are_known_and_repeats_count_once(graph: Bipartite) -> None:
    users, items = np.meshgrid(np.arange(4), np.arange(ITEMS), indexing="ij")
    expected = [[item in HISTORIES[user] for item in range(ITEMS)] for user in range(4)]
    np.testing.assert_array_equal(graph.has(users, items), expected)
    np.testing.assert_array_equal(graph.user_degrees, [3, 1, 3, 2])
    np.testing.assert_array_equal(graph.item_degrees, [2, 1, 3, 2, 1, 0])


def test_drawn_neighbours_estimate_a_hop_without_bias(graph: Bipartite) -> None:
    torch.manual_seed(0)
    nodes, every = torch.randn(4 + ITEMS, 3), np.arange(4 + ITEMS)
    drawn, weights = graph.neighbours(every, 20_000, np.random.default_rng(0))
    estimate = (weights[..., None] * nodes[drawn]).sum(dim=1)
    torch.testing.assert_close(estimate, dense() @ nodes, atol=0.03, rtol=0)
    assert (weights[-1] == 0).all()
