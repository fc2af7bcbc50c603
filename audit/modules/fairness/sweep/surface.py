"""The same value misspelt, and in other languages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audit import stats
from audit.findings import Param
from audit.modules.fairness.design import Variant
from audit.modules.fairness.sweep.alike import Alike, row_means
from audit.modules.fairness.sweep.desk import FEWEST, Desk, say
from audit.modules.outcomes import Floats
from audit.modules.report_card import mde_of


def judge_spelling(desk: Desk) -> None:
    """Report what misspelt values change beyond what misspelt placebos do."""
    slips = desk.readings.of("control")
    harmless = [_slips(desk.alike, slips, placebo) for placebo in desk.placebos]
    known = [table for table in harmless if table.shape[1]]
    if not known:
        title, reason = (
            "What misspelt values change",
            "no placebo was asked, and misspelt ones are its floor (placebos)",
        )
        desk.explored.skip("spelling_effect", title, reason, part="sweep")
        return
    placebos = np.stack([row_means(table) for table in known], axis=1)
    for variants in desk.values.values():
        for variant in variants:
            own = row_means(_slips(desk.alike, slips, variant))
            right = desk.alike.between(variant.id)
            kept = np.isfinite(own) & np.isfinite(right)
            note = f"spelt right the similarity to neutral is {right[kept].mean():.3f}" if kept.any() else ""
            title = f"What changes beyond misspelt placebos when {variant.attribute} {variant.value} is misspelt"
            params = desk.named(variant, measure=desk.measure, form="clean")
            _effect(desk, "spelling_effect", title, own, placebos, desk.alike.within(), params, note)


def judge_languages(desk: Desk) -> None:
    """Report what each value changes in each other language, beyond what placebos change there."""
    for language, readings in desk.languages.items():
        alike = Alike(readings, desk.measure)
        placebos = alike.table(readings.of("placebo"))
        said = {variant.id for variant in readings.of("value")}
        for variants in desk.values.values():
            for variant in variants:
                title = f"What {variant.attribute} {variant.value} changes beyond placebos, in {language}"
                params = desk.named(variant, measure=desk.measure, form="clean", language=language)
                if variant.id not in said:
                    reason = f"the vocabulary has no word for {variant.value!r} in {language!r} (templates)"
                    desk.explored.skip("language_effect", title, reason, **params)
                    continue
                main = desk.beyond_placebos(desk.alike, variant.id)
                note = f"in the main language {np.nanmean(main):.3g}" if np.isfinite(main).any() else ""
                _effect(
                    desk,
                    "language_effect",
                    title,
                    alike.between(variant.id),
                    placebos,
                    alike.within(),
                    params,
                    say(note, "lists are compared by item, so that a translated title is the same title"),
                )


def _slips(alike: Alike, slips: Sequence[Variant], of: Variant) -> Floats:
    return alike.table([slip for slip in slips if slip.id.split(":", 2)[2] == of.id])


def _effect(
    desk: Desk,
    metric: str,
    title: str,
    own: Floats,
    placebos: Floats,
    noise: Floats,
    params: dict[str, Param],
    note: str,
) -> None:
    kept = np.isfinite(own) & np.isfinite(noise) & np.isfinite(placebos).any(axis=1)
    card = desk.explored
    if kept.sum() < FEWEST:
        card.skip(metric, title, f"{int(kept.sum())} of {len(kept)} anchors gave the lists this needs", **params)
        return
    excess, floor = noise[kept] - own[kept], noise[kept] - row_means(placebos[kept])
    names = (metric, str(params["attribute"]), str(params["value"]), str(params.get("language")))
    card.add(
        metric,
        title,
        desk.mean(excess, (-2.0, 2.0), card, *names),
        n=int(kept.sum()),
        unit=desk.unit,
        direction="higher_is_worse",
        params=params,
        floor=float(floor.mean()),
        effect=desk.mean(excess - floor, (-2.0, 2.0), card, "effect", *names),
        test="exchanged with placebos within anchors",
        p=stats.exchange_test(-own[kept], -placebos[kept], rng=desk.rng("exchange", *names)),
        mde=mde_of(excess - floor),
        note=say(note, desk.joint(kept)),
        unmet=desk.not_held_out(np.where(kept, row_means(placebos) - own, np.nan)),
        values=desk.by_unit(kept, excess - floor),
    )
