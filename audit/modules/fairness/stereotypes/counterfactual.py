"""The same anchors under another label: what a stated value alone changes in the lists. The baseline is 0."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audit import stats
from audit.findings import Param
from audit.modules.fairness.design import NEUTRAL, Readings
from audit.modules.fairness.stereotypes.desk import SHOWN, Desk, held_out, plain
from audit.modules.fairness.stereotypes.features import Features
from audit.modules.outcomes import Floats
from audit.modules.report_card import mde_of

_METRIC = "association"
_FEWEST_ANCHORS = 2


@dataclass(frozen=True)
class _Table:
    """Counts of one attribute in one experiment.

    Attributes:
        rows: places of the anchors whose answers could be read under every label.
        cells: (anchors, labels, features) counts over all repeats.
    """

    rows: list[int]
    cells: Floats


def judge(desk: Desk, attributes: Mapping[str, Sequence[str]], main: Readings, others: Sequence[Readings]) -> None:
    """Every value of every attribute against the other values of it, feature by feature.

    Args:
        desk: of the part.
        attributes: values by name.
        main: the experiment that findings rest on.
        others: the same in other words, for the signs.
    """
    tests = sum(max(len(v), 2) * len(f.judged) for v in attributes.values() for f in desk.features)
    for attribute, values in attributes.items():
        for counted in desk.features:
            _attribute(desk, attribute, values, counted, main, others, stats.permutations_for(tests))


def _labels(attribute: str, values: Sequence[str], readings: Readings) -> list[str]:
    """Ids of the variants that are compared; a single value is held against the neutral form."""
    found = [f"{attribute}={value}" for value in values if f"{attribute}={value}" in readings.found]
    return found if len(found) > 1 else [*found, NEUTRAL]


def _table(labels: Sequence[str], counted: Features, readings: Readings) -> _Table:
    anchors = range(len(readings.grid.anchors))
    rows = [at for at in anchors if all(readings.valid[label][at] for label in labels)]
    cells = [
        [
            sum((counted.counts(run.names) for run in readings[label][at]), np.zeros(len(counted.names)))
            for label in labels
        ]
        for at in rows
    ]
    return _Table(rows, np.array(cells).reshape(len(rows), len(labels), len(counted.names)))


def _attribute(
    desk: Desk,
    attribute: str,
    values: Sequence[str],
    counted: Features,
    main: Readings,
    others: Sequence[Readings],
    permutations: int,
) -> None:
    labels = _labels(attribute, values, main)
    table = _table(labels, counted, main)
    title = f"What a stated {attribute} ties {counted.column} to"
    about: dict[str, Param] = {"part": "stereotypes", "arm": "counterfactual", "attribute": attribute}
    if len(table.rows) < _FEWEST_ANCHORS or not table.cells.sum():
        reason = (
            f"only {len(table.rows)} of {len(main.grid.anchors)} anchors got a readable list under every value"
            if len(table.rows) < _FEWEST_ANCHORS
            else f"no listed item has a value of {counted.column}"
        )
        desk.card.skip(_METRIC, title, reason, **about, feature=counted.column)
        return
    totals = table.cells.sum(axis=(0, 1))
    frequent = desk.frequent(counted, totals, _METRIC, title, about)
    prior = stats.informative_prior(totals, desk.strength)
    rng = desk.rng("counterfactual", attribute, counted.column)
    p = stats.within_units_tests(table.cells, prior, rng=rng, permutations=permutations)
    halves = np.array_split(rng.permutation(len(table.rows)), 2)
    elsewhere = [
        one for one in (_table(labels, counted, r) for r in others if set(labels) <= set(r.found)) if len(one.rows)
    ]
    for label, name in enumerate(labels):
        if name == NEUTRAL:
            continue
        first, second = table.cells[:, label], np.delete(table.cells, label, axis=1).sum(axis=1)
        every = stats.association_values(first, second, prior)
        against = labels[1 - label].partition("=")[2] or NEUTRAL if len(labels) == 2 else "the others"
        ratios = _ratios(table.cells, label, prior)
        in_halves = [_ratios(table.cells[half], label, prior) for half in halves]
        in_words = [_ratios(one.cells, label, prior) for one in elsewhere]
        for feature in frequent:
            signs, wordings = [one[feature] for one in in_halves], [one[feature] for one in in_words]
            value = main.grid.by_id[name].value
            unmet = _unmet(signs, wordings, float(ratios[feature]))
            desk.card.add(
                _METRIC,
                f"{counted.names[feature]} in lists for {value}, against {against} ({attribute})",
                stats.association_interval(
                    first, second, feature, prior, rng=rng, level=desk.card.level, resamples=desk.card.resamples
                ),
                n=len(table.rows),
                unit="anchor",
                direction="neither",
                params={
                    **about,
                    "value": value,
                    "against": against,
                    "feature": counted.column,
                    "name": counted.names[feature],
                },
                test="permutation of values within anchors",
                p=float(p[label, feature]),
                mde=mde_of(every[:, feature]),
                note=_note(table, label, feature, main, elsewhere, wordings),
                unmet=unmet,
                values={
                    main.grid.anchors[at].who: float(v) for at, v in zip(table.rows, every[:, feature], strict=True)
                },
                evidence=_evidence(desk, counted, main, table, name, label, feature)
                if p[label, feature] <= SHOWN
                else (),
            )


def _ratios(cells: Floats, label: int, prior: Floats) -> Floats:
    whole, mine = cells.sum(axis=(0, 1)), cells[:, label].sum(axis=0)
    return stats.log_odds(mine, whole - mine, prior)


def _unmet(halves: Sequence[float], wordings: Sequence[float], whole: float) -> list[str]:
    found = []
    if not held_out(halves, whole):
        found.append("its sign is not the same on both halves of the anchors")
    held = sum(np.sign(one) == np.sign(whole) for one in wordings)
    if wordings and held < math.ceil(2 * len(wordings) / 3):
        found.append(f"its sign holds in {held} of {len(wordings)} other wordings")
    return found


def _note(
    table: _Table, label: int, feature: int, main: Readings, elsewhere: Sequence[_Table], wordings: Sequence[float]
) -> str:
    mine = table.cells[:, label].sum(axis=0)
    rest = table.cells.sum(axis=(0, 1)) - mine
    parts = [
        f"{mine[feature]:g} of {mine.sum():g} counts, against {rest[feature]:g} of {rest.sum():g}; "
        f"{main.repeats} answer{'s' if main.repeats > 1 else ''} per anchor and value",
        plain(mine, rest, feature),
    ]
    if left := len(main.grid.anchors) - len(table.rows):
        parts.append(f"{left} anchors without a readable list under every value are left out")
    if elsewhere:
        parts.append(f"in other words: {', '.join(f'{one:+.2f}' for one in wordings)}")
    return "; ".join(parts)


def _evidence(
    desk: Desk, counted: Features, main: Readings, table: _Table, name: str, label: int, feature: int
) -> list[str]:
    """The anchors where the value changes the feature most, neutral against value."""
    rest = np.delete(table.cells[:, :, feature], label, axis=1).mean(axis=1)
    shift = table.cells[:, label, feature] - rest
    toward = np.sign(shift.sum()) or 1.0
    variant, kept = main.grid.by_id[name], []
    for row in np.argsort(-toward * shift, kind="stable")[: desk.examples]:
        anchor = main.grid.anchors[table.rows[row]]
        here, there = table.cells[row, label, feature] / main.repeats, rest[row] / main.repeats
        if here == there:
            continue
        kept.append(
            desk.sheet.compare(
                anchor.who,
                f"{counted.names[feature]} in the list for {variant.value}",
                anchor.request,
                variant.edits(anchor.request),
                f"{here:.3g} entries per list with {counted.names[feature]}, {there:.3g} under the other values",
            )
        )
    return kept
