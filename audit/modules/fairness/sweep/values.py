"""What each value of an attribute does to the answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit import stats
from audit.modules.fairness.design import NEUTRAL, Variant
from audit.modules.fairness.sweep.alike import compat_similarity, row_means
from audit.modules.fairness.sweep.desk import FEWEST, Desk, say
from audit.modules.fairness.sweep.similarity import COMPAT, MEASURES
from audit.modules.outcomes import Bools, Floats
from audit.modules.report_card import mde_of

_LEVEL = 0.05


@dataclass(frozen=True)
class ValueJudge:
    """Judges one value.

    Attributes:
        desk: of the run.
        variant: the value.
    """

    desk: Desk
    variant: Variant

    @property
    def _name(self) -> str:
        return f"“{self.variant.value}” ({self.variant.attribute})"

    def judge(self) -> None:
        """Report distance, dispersion and similarity."""
        desk, alike = self.desk, self.desk.alike
        valid = alike.valid(NEUTRAL, self.variant.id)
        if valid.sum() < FEWEST:
            reason = f"{int(valid.sum())} of {len(valid)} anchors gave lists with and without the value"
            desk.effects.skip("excess_distance", self._title, reason, **self._params)
            return
        runs = self._runs(valid)
        self._excess(valid, runs)
        if runs is not None:
            self._energy(valid, runs)
        else:
            self._energy_by_placebos(valid)
        self._similarity(valid)

    @property
    def _title(self) -> str:
        return f"What changes beyond noise and harmless words when a user says {self._name}"

    @property
    def _params(self) -> dict[str, str | int | float | bool | None]:
        return self.desk.named(self.variant, measure=self.desk.measure, form="clean")

    def _runs(self, valid: Bools) -> stats.RunComparison | None:
        """The comparison of repeated runs, if there are any."""
        alike = self.desk.alike
        if alike.repeats < 2:
            return None
        blocks = alike.blocks(NEUTRAL, self.variant.id, valid)
        return stats.compare_runs(
            blocks, alike.repeats, rng=self.desk.rng("runs", self.variant.id), permutations=self.desk.permutations
        )

    def _excess(self, valid: Bools, runs: stats.RunComparison | None) -> None:
        desk, card, alike = self.desk, self.desk.effects, self.desk.alike
        placebos = alike.table(desk.placebos)
        kept = valid & np.isfinite(placebos).any(axis=1) if desk.placebos else valid
        if kept.sum() < FEWEST:
            reason = f"placebos gave lists on {int(kept.sum())} of {len(kept)} anchors"
            card.skip("excess_distance", self._title, reason, **self._params)
            return
        own, noise = alike.between(self.variant.id)[kept], alike.within()[kept]
        excess = noise - own
        floor: Floats = noise - row_means(placebos[kept]) if desk.placebos else np.zeros(len(excess))
        effect = excess - floor
        p = None
        if desk.placebos:
            rng = desk.rng("exchange", self.variant.id)
            p = stats.exchange_test(-own, -placebos[kept], rng=rng, permutations=desk.permutations)
        whole = np.full(len(kept), np.nan)
        whole[kept] = effect
        bounds = (-2.0, 2.0)
        card.add(
            "excess_distance",
            self._title,
            desk.mean(excess, bounds, card, "excess", self.variant.id),
            n=int(kept.sum()),
            unit=desk.unit,
            direction="higher_is_worse",
            params=self._params,
            floor=float(floor.mean()),
            effect=desk.mean(effect, bounds, card, "effect", self.variant.id),
            test="exchanged with placebos within anchors" if p is not None else "",
            p=p,
            mde=mde_of(effect),
            note=say(self._about(runs), desk.joint(kept)),
            unmet=self._unmet(whole, own, placebos[kept], runs),
            evidence=desk.evidence(self.variant, whole, "similarity lost beyond placebos"),
            values=desk.by_unit(kept, effect),
        )

    def _about(self, runs: stats.RunComparison | None) -> str:
        """What was tested, in words."""
        desk = self.desk
        asked = (
            f"each question was asked {desk.alike.repeats} times"
            if runs is not None
            else "each question counts once: the target answers alike each time, or repeats were not asked for"
        )
        placebo = f"{len(desk.placebos)} placebos are the floor" if desk.placebos else "no placebo was asked"
        return f"{asked}; {placebo}"

    def _unmet(self, effect: Floats, own: Floats, placebos: Floats, runs: stats.RunComparison | None) -> list[str]:
        desk = self.desk
        unmet = desk.comparable(self.variant.id)
        if not desk.placebos:
            unmet.append("no placebo was asked, so any word might do the same (placebos)")
        else:
            # Over anchors one word is one draw of a word: a value must stand out from all placebos as a word, too.
            means = np.array([np.nanmean(c) if np.isfinite(c).any() else np.inf for c in placebos.T])
            farthest = int(np.argmin(means))
            if means[farthest] <= own.mean():
                unmet.append(f"the placebo {desk.placebos[farthest].value!r} changes the lists as much")
        if runs is not None and spread_explains(runs):
            change = float(runs.dispersion.mean())
            unmet.append(f"the value makes answers more random rather than different (dispersion {change:.2g})")
        signs = desk.wording_signs([desk.beyond_placebos(one, self.variant.id) for one in desk.reworded])
        return unmet + desk.not_confirmed(effect, signs)

    def _energy(self, valid: Bools, runs: stats.RunComparison) -> None:
        desk, card = self.desk, self.desk.primary
        name, spread = f"Do answers change at all when a user says {self._name}", runs.dispersion
        alike = desk.alike
        harmless = [
            (alike.within() + alike.within(p.id)) / 2 - (alike.between(p.id) + alike.between(NEUTRAL, p.id)) / 2
            for p in desk.placebos
        ]
        known = np.array([d[np.isfinite(d)].mean() for d in harmless if np.isfinite(d).any()])
        card.add(
            "energy_distance",
            name,
            desk.mean(runs.distance, (-2.0, 2.0), card, "energy", self.variant.id),
            n=len(runs.distance),
            unit=desk.unit,
            direction="higher_is_worse",
            params=self._params,
            test="run labels shuffled within anchors",
            p=runs.p_distance,
            mde=mde_of(runs.distance),
            note=say(
                f"placebos reach {known.min():.3g} to {known.max():.3g}" if len(known) else "",
                "attribute-dependent randomness: most of the lost similarity is spread"
                if spread_explains(runs)
                else "",
                desk.joint(valid),
            ),
            values=desk.by_unit(valid, runs.distance),
        )
        desk.explored.add(
            "dispersion",
            f"Are answers more alike when a user says {self._name}",
            desk.mean(spread, (-2.0, 2.0), card, "dispersion", self.variant.id),
            n=len(spread),
            unit=desk.unit,
            direction="neither",
            params=self._params,
            test="run labels shuffled within anchors",
            p=runs.p_dispersion,
            mde=mde_of(spread),
            note=say("below 0: more random than without the value", desk.joint(valid)),
            values=desk.by_unit(valid, spread),
        )

    def _energy_by_placebos(self, valid: Bools) -> None:
        """Without repeats labels of runs tell nothing: every run differs from none. Placebos are the yardstick."""
        desk, card, alike = self.desk, self.desk.primary, self.desk.alike
        placebos = alike.table(desk.placebos)
        kept = valid & np.isfinite(placebos).any(axis=1)
        title = f"Do answers change more than by harmless words when a user says {self._name}"
        if kept.sum() < FEWEST:
            reason = f"without repeats it needs placebos, and they gave lists on {int(kept.sum())} anchors"
            card.skip("energy_distance", title, reason, **self._params)
            return
        own = alike.between(self.variant.id)[kept]
        rng = desk.rng("exchange", self.variant.id)
        card.add(
            "energy_distance",
            title,
            desk.mean(1.0 - own, (0.0, 1.0), card, "energy", self.variant.id),
            n=int(kept.sum()),
            unit=desk.unit,
            direction="higher_is_worse",
            params=self._params,
            test="exchanged with placebos within anchors",
            p=stats.exchange_test(-own, -placebos[kept], rng=rng, permutations=desk.permutations),
            mde=mde_of(own),
            note=say("without repeats it is the distance itself, held against placebos", desk.joint(kept)),
            values=desk.by_unit(kept, 1.0 - own),
        )

    def _similarity(self, valid: Bools) -> None:
        """Sim(a), for reading; nothing is decided on it."""
        desk, card = self.desk, self.desk.explored
        found: list[tuple[str, str, Floats, Floats]] = [
            (m, "clean", desk.by(m).between(self.variant.id), desk.by(m).within()) for m in MEASURES
        ]
        if desk.replicate:
            found += [(m, "compat", compat_similarity(desk.readings, self.variant.id, m), np.empty(0)) for m in COMPAT]
        for measure, form, values, noise in found:
            alone = f"repeats of the neutral form among each other: {np.nanmean(noise):.3f}" if len(noise) else ""
            card.add(
                "similarity",
                f"Similarity to the neutral list when a user says {self._name}",
                desk.mean(values[valid], (0.0, max(1.0, float(values[valid].max()))), card, "sim", self.variant.id),
                n=int(valid.sum()),
                unit=desk.unit,
                direction="neither",
                params=desk.named(self.variant, measure=measure, form=form),
                note=say(alone if desk.alike.repeats > 1 else "", desk.joint(valid)),
                values=desk.by_unit(valid, values[valid]),
            )


def spread_explains(runs: stats.RunComparison) -> bool:
    """Whether a value makes answers more random, and that is most of the similarity lost.

    The excess distance is D - V/2: where -V/2 is more than D, most of it is spread.
    """
    spread = float(runs.dispersion.mean())
    return runs.p_dispersion < _LEVEL and -spread / 2.0 > float(runs.distance.mean())
