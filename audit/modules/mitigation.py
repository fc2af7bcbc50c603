"""What a mitigation changes: every part is run again behind it, and compared within units, by the same measures.

Thresholds, groups and anchors stay those of the bare target's audit: a mitigation that may move its own yardstick can
look better without being so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from audit import stats
from audit.findings import Finding
from audit.modules.base import Output
from audit.modules.protected import Protected
from audit.modules.report_card import ReportCard, mde_of

if TYPE_CHECKING:
    from audit.modules.parts import Part

_FEWEST = 2
"""Units that a paired comparison needs."""
_PERMUTATIONS = 10_000
_PER_TEST = 100
"""Permutations per comparison of a mitigation: among m tests Holm's correction multiplies the least p by m, which must
stay well below .05 for something to be found at all."""


def changes(
    module: str, one: Protected, parts: Mapping[str, Part], before: Mapping[str, Output], *, examples: int
) -> Output:
    """Run every part behind a mitigation.

    Args:
        module: id of the module that the parts belong to.
        one: the mitigation in place.
        parts: by name.
        before: what each part found of the bare target.
        examples: pieces of evidence kept per finding.

    Returns:
        One finding per quantity of the bare target: the change of its mean over the units that both sides have.
    """
    context, output = one.context, Output()
    tests = sum(finding.id in bare.values for bare in before.values() for finding in bare.findings)
    permutations = max(_PERMUTATIONS, _PER_TEST * tests)
    card = ReportCard(module, context.level, tuple(one.defense.info.controls))
    for name, bare in before.items():
        if reason := parts[name].lacking(context):
            card.skip("mitigation_change", one.defense.info.title, reason, defense=one.name, part=name)
            continue
        behind = parts[name].run(context, examples=examples)
        output.evidence += behind.evidence
        again = {f.id: f for f in behind.findings}
        for finding in bare.findings:
            values, new = bare.values.get(finding.id), behind.values.get(finding.id)
            if values is not None and new is not None and finding.id in again:
                _compare(one, name, finding, again[finding.id], values, new, card, permutations)
    output.findings, output.values = card.corrected(), card.values
    return output


def _compare(
    one: Protected,
    part: str,
    before: Finding,
    after: Finding,
    values: Mapping[str, float],
    new: Mapping[str, float],
    card: ReportCard,
    permutations: int,
) -> None:
    shared = [unit for unit in values if unit in new]
    if len(shared) < _FEWEST:
        return
    x, y = np.array([values[u] for u in shared]), np.array([new[u] for u in shared])
    rng = one.context.rng(card.module, "mitigation", one.name, before.id)
    card.add(
        "mitigation_change",
        f"{one.defense.info.title}: {before.title}",
        stats.paired_difference(y, x, rng=rng, level=card.level, resamples=card.resamples),
        n=len(shared),
        unit=before.unit,
        direction=before.direction,
        # `of` and the identity of what is compared: the same quantity has one name on both sides.
        params={"defense": one.name, "part": part, "of": before.metric, "finding": before.id},
        test="paired permutation",
        p=stats.paired_permutation(y, x, rng=rng, permutations=permutations),
        mde=mde_of(y - x),
        note=f"{_shown(before)} without, {_shown(after)} behind it{_below(before, after)}",
        values=dict(zip(shared, (y - x).tolist(), strict=True)),
    )


def _below(before: Finding, after: Finding) -> str:
    """What an effect below 0 means: nothing is left to mend, and how far below says nothing."""
    worse = before.direction == "higher_is_worse" and before.floor is not None
    if worse and after.effect is not None and after.effect < 0:
        return "; below 0 it lies under its floor, where nothing is left to mend, and how far under says nothing"
    return ""


def _shown(finding: Finding) -> str:
    value = finding.effect if finding.effect is not None else finding.estimate
    return "nothing" if value is None else f"{value:.3g}"
