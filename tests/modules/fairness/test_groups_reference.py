"""The reference runs of the sheet (2.1) on MovieLens-100K by gender, audited by the part itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from reference_runs import reference_context

from audit.data.dataset import Dataset
from audit.modules.fairness.groups import Groups


@pytest.mark.parametrize(
    ("name", "ndcg", "hr", "p"),
    [
        ("MostPop", {"M": 0.0798, "F": 0.0709}, {"M": 0.496, "F": 0.432}, {"ndcg": 0.26, "hr": 0.09}),
        ("ItemKNN", {"M": 0.1284, "F": 0.1297}, {"M": 0.572, "F": 0.608}, {"ndcg": 0.91, "hr": 0.30}),
    ],
)
def test_quality_by_gender_comes_out_as_in_the_sheet(
    name: str,
    ndcg: dict[str, float],
    hr: dict[str, float],
    p: dict[str, float],
    ml100k: Dataset,
    tmp_path: Path,
) -> None:
    output = Groups(attributes=["gender"], column="genres").run(reference_context(name, ml100k, tmp_path), examples=0)
    for measure, expected in (("ndcg", ndcg), ("hr", hr)):
        found = {
            f.params["group"]: f
            for f in output.findings
            if f.metric == "group_quality" and f.params["measure"] == measure
        }
        assert {g: f.estimate for g, f in found.items()} == pytest.approx(expected, abs=0.003)
        assert {g: f.n for g, f in found.items()} == {"M": 670, "F": 273}
        gap = next(
            f
            for f in output.findings
            if f.metric == "quality_gap"
            and f.params["measure"] == measure
            and f.params["group"] == "F"
            and f.params["adjusted"] is False
        )
        assert gap.estimate == pytest.approx(expected["M"] - expected["F"], abs=0.003)
        # The sheet permuted plain differences; here they are divided by their errors.
        assert gap.p == pytest.approx(p[measure], abs=0.06)
