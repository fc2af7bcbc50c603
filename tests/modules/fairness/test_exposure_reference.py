"""The reference runs of the sheet (2.1) on MovieLens-100K: popularity and ItemKNN, audited by the part itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from reference_runs import reference_context

from audit import stats
from audit.data.dataset import Dataset
from audit.modules.fairness.exposure import Exposure
from audit.modules.fairness.exposure.spread import tail_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MostPop", {"gini": 0.986, "coverage": 0.057, "arp": 392.7, "aplt": 0.000}),
        ("ItemKNN", {"gini": 0.953, "coverage": 0.137, "arp": 290.8, "aplt": 0.004}),
    ],
)
def test_the_reference_runs_come_out_as_in_the_sheet(
    name: str, expected: Mapping[str, float], ml100k: Dataset, tmp_path: Path
) -> None:
    context = reference_context(name, ml100k, tmp_path)
    output = Exposure(groups="popularity", reference="catalogue", draws=19).run(context, examples=1)
    found = {
        f.metric: f.estimate
        for f in output.findings
        if f.metric in expected and f.params["against"] in {"random lists", "history"}
    }
    assert {m: found[m] for m in ("gini", "coverage", "aplt")} == pytest.approx(
        {m: expected[m] for m in ("gini", "coverage", "aplt")}, abs=0.003
    )
    assert found["arp"] == pytest.approx(expected["arp"], abs=0.1)
    note = next(f.note for f in output.findings if f.metric == "arp")
    assert "every user is under audit" in note


def test_the_head_and_the_inequality_of_the_log_are_those_of_the_sheet(ml100k: Dataset) -> None:
    counts = np.array([ml100k.popularity[name] for name in ml100k.catalog], dtype=float)
    assert counts[~tail_of(counts, 0.2)].sum() / counts.sum() == pytest.approx(0.646, abs=0.003)
    assert stats.gini(counts) == pytest.approx(0.629, abs=0.003)
    enough = int(np.searchsorted(np.cumsum(np.sort(counts)[::-1]), 0.8 * counts.sum())) + 1
    assert enough == pytest.approx(536, abs=8)
