"""The curve of an attack as a finding keeps it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audit import stats
from audit.findings import Roc

Floats = npt.NDArray[np.float64]


def roc_of(inside: Floats, outside: Floats, level: float) -> Roc:
    """The curve of an attack, as a finding keeps it: six digits."""
    band = stats.roc_band(inside, outside, level)
    fpr, tpr, low, high = (tuple(np.round(c, 6).tolist()) for c in (band.fpr, band.tpr, band.low, band.high))
    return Roc(fpr, tpr, low, high, len(inside), len(outside))
