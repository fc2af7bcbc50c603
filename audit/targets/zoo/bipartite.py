"""The graph of who has what: degrees, one hop of normalised propagation, and its edges.

Users and items are nodes, an edge joins a user to each item of their history, and an edge weighs 1 / sqrt(degree of the
user x degree of the item), as in LightGCN (He et al., SIGIR 2020, equation 3). Matrices are sparse: one hop over
MovieLens-100K takes about a millisecond.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audit.data.dataset import IntArray


class Bipartite:
    """Users' histories as a graph; an item that stands in a history twice is one edge.

    Args:
        histories: item indices of each user; the user's index is the place in this list.
        n_items: items in the catalogue, also those that nobody has.
    """

    def __init__(self, histories: Sequence[IntArray], n_items: int) -> None:
        kept = [np.unique(history) for history in histories]
        self.n_users, self.n_items = len(kept), n_items
        self.user_degrees: IntArray = np.array([len(items) for items in kept], dtype=np.int64)
        self.users: IntArray = np.repeat(np.arange(self.n_users), self.user_degrees)
        self.items: IntArray = np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)
        self.item_degrees: IntArray = np.bincount(self.items, minlength=n_items)

    @cached_property
    def keys(self) -> IntArray:
        """One number per edge, ascending: user x n_items + item."""
        return self.users * self.n_items + self.items

    def has(self, users: IntArray, items: IntArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether each pair is an edge; arrays of any one shape."""
        wanted = users * self.n_items + items
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        found: np.ndarray[Any, np.dtype[np.bool_]] = self.keys[place] == wanted
        return found

    @cached_property
    def inverse_roots(self) -> tuple[Tensor, Tensor]:
        """1 / sqrt(degree), (users, 1) and (items, 1); a node without an edge counts as one with one."""
        users, items = (
            torch.from_numpy(1 / np.sqrt(np.maximum(degrees, 1))).float()[:, None]
            for degrees in (self.user_degrees, self.item_degrees)
        )
        return users, items

    def hop(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """What the neighbours send: (users, dim) and (items, dim) to the same shapes, differentiable.

        A node receives the sum of its neighbours' rows, each weighed by its edge.
        """
        forth, back = self._adjacency
        return _product(forth, back, items), _product(back, forth, users)

    def differences(self, users: Tensor, items: Tensor) -> Tensor:
        """Along each edge, the user's row less the item's, each over the root of its degree: (edges, dim)."""
        forth, back = self._incidence
        return _product(forth, back, torch.cat([users, items]))

    def gathered(self, edges: Tensor) -> tuple[Tensor, Tensor]:
        """The transpose of `differences`: (edges, dim) to (users, dim) and (items, dim)."""
        forth, back = self._incidence
        nodes = _product(back, forth, edges)
        return nodes[: self.n_users], nodes[self.n_users :]

    def neighbours(self, nodes: IntArray, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Random neighbours to estimate `hop` by: uniformly, with replacement.

        Args:
            nodes: node numbers (n,), users first and then items.
            count: how many to draw for each.
            rng: draws.

        Returns:
            Node numbers (n, count) and weights (n, count): the weighted sum of the neighbours' rows is in expectation
            what the hop brings. Zero weights for a node without an edge.
        """
        starts, neighbours = self._neighbours
        degrees = np.diff(starts)[nodes]
        drawn = starts[nodes][:, None] + (rng.random((len(nodes), count)) * degrees[:, None]).astype(np.int64)
        found = neighbours[np.minimum(drawn, len(neighbours) - 1)]
        roots = torch.cat(self.inverse_roots)[:, 0]
        return torch.from_numpy(found), torch.from_numpy(degrees / count).float()[:, None] * roots[nodes][
            :, None
        ] * roots[found]

    @cached_property
    def _neighbours(self) -> tuple[IntArray, IntArray]:
        """Where each node's neighbours begin, and they in a row; node numbers, users first and then items."""
        ends = np.concatenate([self.users, self.n_users + self.items])
        others = np.concatenate([self.n_users + self.items, self.users])
        starts = np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=self.n_users + self.n_items))])
        return starts, others[np.argsort(ends, kind="stable")]

    @cached_property
    def _adjacency(self) -> tuple[Tensor, Tensor]:
        users, items = self.inverse_roots
        weights = users[self.users, 0] * items[self.items, 0]
        shape = (self.n_users, self.n_items)
        return _sparse(self.users, self.items, weights, shape), _sparse(self.items, self.users, weights, shape[::-1])

    @cached_property
    def _incidence(self) -> tuple[Tensor, Tensor]:
        users, items = self.inverse_roots
        edges = np.tile(np.arange(len(self.users)), 2)
        nodes = np.concatenate([self.users, self.n_users + self.items])
        weights = torch.cat([users[self.users, 0], -items[self.items, 0]])
        shape = (len(self.users), self.n_users + self.n_items)
        return _sparse(edges, nodes, weights, shape), _sparse(nodes, edges, weights, shape[::-1])


def _sparse(rows: IntArray, columns: IntArray, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    order = np.lexsort((columns, rows))
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0]))])
    with warnings.catch_warnings():
        # torch calls compressed rows a beta feature; the product with a dense matrix, all that is used, is not new.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(starts),
            torch.from_numpy(columns[order]),
            values[torch.from_numpy(order)],
            shape,
            check_invariants=True,
        )


class _Product(torch.autograd.Function):
    """Sparse times dense; the transpose is kept, because making it anew each time costs more than the product."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transpose: Tensor, dense: Tensor) -> Tensor:  # noqa: ANN401 - torch's own
        ctx.transpose = transpose
        return matrix @ dense

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor]:  # noqa: ANN401
        return None, None, ctx.transpose @ gradients[0].contiguous()


def _product(matrix: Tensor, transpose: Tensor, dense: Tensor) -> Tensor:
    found: Tensor = _Product.apply(matrix, transpose, dense)  # type: ignore[no-untyped-call]
    return found
