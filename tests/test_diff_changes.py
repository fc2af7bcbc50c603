"""No change where there is none, a planted one where there is, and what a comparison could have seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import comb
from pathlib import Path

import numpy as np
import pytest

from audit import stats
from audit.diff import Diff, baseline, compare
from audit.errors import StoreError
from audit.findings import Finding
from audit.report.comparison import render, seen
from audit.run import Run
from audit.store import Store

POLICY = {"name": "small", "rules": [{"metric": "quality.ndcg", "min": 0.3, "severity": "high"}]}
BINARY, GRADED = ["flips", "errors", "refusals"], ["ndcg", "rbo"]
Draw = Callable[[str, np.random.Generator], np.ndarray]


def drawn(name: str, rng: np.random.Generator) -> np.ndarray:
    """What 60 users give to a finding of an unchanged target."""
    return (rng.random(60) < 0.3).astype(float) if name in BINARY else rng.beta(2, 3, 60)


def audited(store: Store, seed: int, draw: Draw = drawn, *, same_users: bool = True) -> Run:
    """One audit of five findings, as modules make them: mean, interval, and what each case gave."""
    rng = np.random.default_rng(seed)
    record = store.create_run("run", config={}, target={}, versions={}, seed=seed, policy=POLICY)
    findings, values = [], {}
    for name in (*BINARY, *GRADED):
        x = draw(name, rng)
        made = stats.mean_interval(x, rng=rng, bounds=(0.0, 1.0), resamples=400)
        finding = Finding("quality", name, name, {}, float(x.mean()), made.as_pair(), n=60)
        findings.append(finding)
        values[finding.id] = {f"u{i if same_users else 1000 * seed + i}": float(v) for i, v in enumerate(x)}
    store.save_module(record.id, "quality", findings, (), values)
    store.set_status(record.id, "finished", "pass")
    return Run(replace(record, status="finished"), store)


def difference(old: Run, new: Run) -> Diff:
    return compare(old, new, np.random.default_rng(0))


@pytest.mark.parametrize("same_users", [True, False])
def test_two_clean_runs_are_rarely_worse(tmp_path: Path, same_users: bool) -> None:
    """100 pairs of audits of one unchanged target, each with its own seed: at most 5 % say that anything is worse.

    A change in either direction is a false alarm of the whole comparison, so that the bound is on both.
    """
    repetitions, alarms = 100, 0
    with Store(tmp_path / "runs.sqlite") as store:
        for seed in range(repetitions):
            found = difference(*(audited(store, 2 * seed + i, same_users=same_users) for i in (1, 2)))
            assert {c.method for c in found.changes} == {"paired" if same_users else "independent"}
            alarms += bool(found.of("worse", "better"))
    # 10 of 100 is the 98.9th percentile of what a true rate of 5 % gives.
    assert alarms <= 10
    assert alarms / 2 <= 0.05 * repetitions


@pytest.mark.parametrize("name", ["flips", "rbo"])
def test_a_planted_regression_is_found_and_nothing_else(tmp_path: Path, name: str) -> None:
    def worse(finding: str, rng: np.random.Generator) -> np.ndarray:
        x = drawn(finding, rng)
        if finding == name:
            x = np.where(rng.random(60) < 0.45, 1.0, x)
        return x

    with Store(tmp_path / "runs.sqlite") as store:
        # The same seed: the same users answer alike but for the plant.
        found = difference(audited(store, 5), audited(store, 5, worse))
    assert [c.new.metric for c in found.of("worse")] == [name]
    assert found.of("worse")[0].test == ("McNemar exact" if name in BINARY else "permutation of signs")


def test_yes_and_no_are_compared_by_mcnemar(tmp_path: Path) -> None:
    with Store(tmp_path / "runs.sqlite") as store:
        old, new = audited(store, 1), audited(store, 2)
        change = difference(old, new).changes[0]
        first, second = (r.store.values(r.id, change.new.id) for r in (old, new))
    gained = sum(second[u] > first[u] for u in first)
    lost = sum(second[u] < first[u] for u in first)
    # By hand: the smaller side among the discordant pairs, from the binomial distribution, doubled.
    tail = sum(comb(gained + lost, k) for k in range(min(gained, lost) + 1)) / 2 ** (gained + lost)
    assert change.p == pytest.approx(min(1.0, 2 * tail))
    assert (change.test, change.moved, change.n) == ("McNemar exact", gained + lost, 60)
    assert change.difference is not None
    assert change.difference.estimate == pytest.approx((gained - lost) / 60)


def test_what_could_have_been_seen_would_have_been_seen() -> None:
    """Against every split of every number of discordant pairs, counted out."""
    for psi, n, alpha in ((0.0, 30, 0.05), (0.2, 40, 0.05), (0.5, 30, 0.005)):
        delta = stats.minimum_detectable_exact_mcnemar(psi, n, alpha=alpha)
        assert delta is not None
        disagree = max(psi, delta)
        up = (disagree + delta) / 2 / disagree
        power = sum(
            comb(n, d) * disagree**d * (1 - disagree) ** (n - d) * comb(d, b) * up**b * (1 - up) ** (d - b)
            for d in range(n + 1)
            for b in range(d + 1)
            if stats.mcnemar_exact(b, d - b) <= alpha
        )
        assert power == pytest.approx(0.8, abs=1e-4)
    assert stats.minimum_detectable_exact_mcnemar(0.2, 5, alpha=0.05) is None


def test_every_unchanged_line_says_what_would_have_been_seen(tmp_path: Path) -> None:
    with Store(tmp_path / "runs.sqlite") as store:
        old, new = audited(store, 1), audited(store, 2)
        found = difference(old, new)
        same = difference(old, old)
    assert all(c.outcome == "no evidence of change" for c in found.changes)
    assert all(seen(c).startswith("a change of 0.") for c in found.changes)
    assert render(found, "md").count("would have been seen |") == 5
    # More comparisons leave less to each: alone, it would have seen a smaller change.
    alone = stats.minimum_detectable_exact_mcnemar(found.changes[0].moved / 60, 60, alpha=0.05)
    assert alone is not None
    assert found.changes[0].mde > alone  # type: ignore[operator]
    assert seen(same.changes[-1]) == "none of 60 cases moved"


def test_a_judged_finding_without_change_has_its_line_in_the_text(tmp_path: Path) -> None:
    with Store(tmp_path / "runs.sqlite") as store:
        text = render(difference(audited(store, 1), audited(store, 2)), "text")
    assert "No evidence of change: ndcg; a change of 0." in text
    assert "4 more are held to no limit" in text


def test_a_few_common_users_do_not_stand_for_all(tmp_path: Path) -> None:
    with Store(tmp_path / "runs.sqlite") as store:
        old, new = audited(store, 1), audited(store, 2)
        finding = new.measured[-1]
        kept = new.store.values(new.id, finding.id)
        moved = {u if i < 29 else f"other{i}": v for i, (u, v) in enumerate(kept.items())}
        new.store.save_module(new.id, "quality", [finding], (), {finding.id: moved})
        assert difference(old, Run(new.record, store)).changes[0].method == "independent"


def test_a_change_can_be_shown_among_a_thousand(tmp_path: Path) -> None:
    """With 10,000 permutations no p-value is below 1e-4, and none would survive Holm over a thousand."""
    users = [f"u{i}" for i in range(40)]
    rng = np.random.default_rng(3)
    with Store(tmp_path / "runs.sqlite") as store:
        runs = []
        for shift in (0.0, 0.4):
            record = store.create_run("run", config={}, target={}, versions={}, seed=1, policy=POLICY)
            x = 0.3 + shift + rng.normal(0, 0.05, 40)
            main = Finding("quality", "hr", "HR", {}, float(x.mean()), (float(x.min()), float(x.max())), n=40)
            rest = [Finding("quality", "rbo", f"{i}", {"i": i}, 0.5, (0.4, 0.6), n=40) for i in range(1000)]
            values = {main.id: dict(zip(users, x.tolist(), strict=True))}
            store.save_module(record.id, "quality", [main, *rest], (), values)
            runs.append(Run(record, store))
        found = difference(*runs)
    assert found.comparisons == 1001
    assert [c.new.metric for c in found.of("worse")] == ["hr"]


def test_a_baseline_is_found_by_name(tmp_path: Path) -> None:
    with Store(tmp_path / "runs.sqlite") as store:
        made = [
            store.create_run(name, config={}, target={}, versions={}, seed=1, policy=POLICY)
            for name in ("shop-main", "shop", "shop", "shop", "shop")
        ]
        main, first, second, unfinished, new = made
        for record in (main, first, second, new):
            store.set_status(record.id, "finished", "pass")
        assert baseline("shop-main", new, store).id == main.id
        assert baseline("previous", new, store).id == second.id
        assert baseline("shop", new, store).id == second.id
        assert baseline(unfinished.id, new, store).id == unfinished.id
        with pytest.raises(StoreError, match="no finished run of 'shop-main' before"):
            baseline("previous", main, store)
        with pytest.raises(StoreError, match="'shop-mian' is not a run"):
            baseline("shop-mian", new, store)
