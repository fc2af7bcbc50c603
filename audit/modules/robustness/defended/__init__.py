"""Attack against defense: for each pair what happens without the defense, on replay, and to an adversary who adapts.

Three rows per pair, always (Athalye et al., ICML 2018; Tramèr et al., NeurIPS 2020): the attack on the bare target; the
same edits sent to the defended target (replay); and the whole attack run again against the defended target, end to end
(adaptive). The headline is the worse of the last two for each user. A defense that was only ever replayed is untested.
"""

from __future__ import annotations

from audit.modules.robustness.defended.matrix import MATRIX_METRICS, matrix, search_queries
from audit.modules.robustness.defended.promotions import promotions_behind
from audit.modules.robustness.defended.terms import MatrixTerms

__all__ = ["MATRIX_METRICS", "MatrixTerms", "matrix", "promotions_behind", "search_queries"]
