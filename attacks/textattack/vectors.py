"""Word vectors whose neighbours can be found without a precomputed table."""

from __future__ import annotations

import numpy as np

from attacks.textattack.library import WordEmbedding


class Vectors(WordEmbedding):  # type: ignore[misc]  # untyped base
    """TextAttack's word embedding; as released it fails wherever it has to compute neighbours itself."""

    def nearest_neighbours(self, index: int | str, topn: int) -> list[int]:
        """Ids of the `topn` words nearest to one (Euclidean distance), nearest first, the word itself left out."""
        at = self._word2index[index] if isinstance(index, str) else index
        if at not in self._nn_cache:
            distance = np.linalg.norm(self.embedding_matrix - self.embedding_matrix[at], axis=1)
            distance[at] = np.inf
            self._nn_cache[at] = [int(i) for i in np.argsort(distance, kind="stable")[:topn]]
        found: list[int] = self._nn_cache[at]
        return found
