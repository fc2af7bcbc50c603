"""Attacks with a search, from configuration to findings: planted truth, fresh draws, budgets, resuming."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Scripted, write_world
from world import make_world

from audit.errors import ConfigError, TargetError
from audit.findings import Finding
from audit.run import Run
from audit.runner import dry_run, prepare, resume, run_audit
from audit.store import Store
from audit.target import Input, Insight
from audit.types import Answer, Ranked, Request

BRITTLE = 17
"""Every seventeenth item of the catalogue upsets the planted target."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    block = write_world(make_world(users=60), tmp_path_factory.mktemp("files"))
    return {"dataset": {**block, "candidates": 10, "sample": 40, "k": 5, "history": 6}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "runs.sqlite") as opened:
        yield opened


class Planted(Scripted):
    """Knows the truth, until a brittle item that the user never had stands in the history.

    `deaf` ignores its input; `fail_after` breaks down after so many questions.
    """

    def __init__(self, config: dict[str, Any], *, deaf: bool = False, fail_after: int | None = None) -> None:
        self.truth: dict[str, str] = {}
        self.had: dict[str, set[str]] = {}
        self.deaf = deaf
        self.fail_after = fail_after
        super().__init__(
            self._rank,
            honours=frozenset({Input.HISTORY}),
            reveals=frozenset({Insight.SCORES}),
            fingerprint=f"planted-{deaf}",
        )
        for case in prepare(config, target=self).cases:
            self.truth[case.unit] = next(iter(case.relevant))
            self.had[case.unit] = {e.item.id for e in case.request.user.history}

    def recommend(self, requests: Any) -> list[Answer]:
        if self.fail_after is not None and len(self.asked) + len(requests) > self.fail_after:
            raise TargetError("target: gone")
        return super().recommend(requests)

    def _rank(self, asked: Request) -> Answer:
        items = asked.candidates or ()
        right = self.truth.get(asked.user.id, "")
        new = {e.item.id for e in asked.user.history} - self.had.get(asked.user.id, set())
        upset = not self.deaf and any(_number(name) % BRITTLE == 0 for name in new)
        scores = {i.id: (5.0 if i.id == right else 0.0) * (-1 if upset else 1) - n / 100 for n, i in enumerate(items)}
        order = sorted(items, key=lambda i: -scores[i.id])[: asked.k]
        return Answer(tuple(Ranked(i.id, i.title, scores[i.id]) for i in order))


def _number(name: str) -> int:
    return int("".join(c for c in name if c.isdigit()) or 1)


def audited(config: dict[str, Any], target: Planted, store: Store, **options: Any) -> Run:
    robustness = {"sequential": False, "champion": None, "search_users": None, **options}
    return run_audit({**config, "modules": {"robustness": robustness}}, target=target, store=store)


def of(run: Run, metric: str, **params: Any) -> Finding:
    (found,) = [f for f in run.findings if f.metric == metric and all(f.params.get(k) == v for k, v in params.items())]
    return found


def test_more_queries_find_more(config: dict[str, Any], store: Store) -> None:
    run = audited(
        config, Planted(config), store, attacks={"random-items": {"budgets": [0, 3, 30]}}, labels=["known", "free"]
    )
    blind = of(run, "ndcg_drop", attack="random-items", budget=None)
    some = of(run, "ndcg_drop", attack="random-items", budget=3, labels="free")
    many = of(run, "ndcg_drop", attack="random-items", budget=30, labels="free")
    known = of(run, "ndcg_drop", attack="random-items", budget=30, labels="known")
    assert blind.estimate < some.estimate < many.estimate  # type: ignore[operator]
    # The clean list of this target is the truth, so the adversary without labels is as strong as the one with.
    assert known.estimate == many.estimate
    assert of(run, "queries", budget=30, labels="free").estimate == 30
    curve = [of(run, "ndcg_drop_at", budget=30, labels="free", queries=q).estimate for q in (5, 10, 20)]
    assert curve == sorted(curve)  # type: ignore[type-var]
    assert curve[0] < many.estimate  # type: ignore[operator]


def test_no_attack_succeeds_on_a_target_that_ignores_its_input(config: dict[str, Any], store: Store) -> None:
    run = audited(config, Planted(config, deaf=True), store, attacks={"random-items": {"budgets": [0, 20]}}, seeds=2)
    for metric in ("ndcg_drop", "flip_rate", "rbo_loss"):
        for budget in (None, 20):
            found = of(run, metric, attack="random-items", budget=budget)
            assert found.estimate == 0
            assert found.verdict != "fail"


def test_seeds_are_averaged_within_users(config: dict[str, Any], store: Store) -> None:
    one = audited(config, Planted(config), store, attacks={"random-items": {"budgets": [2]}})
    three = audited(config, Planted(config), store, attacks={"random-items": {"budgets": [2]}}, seeds=3)
    single, mean = of(one, "ndcg_drop", budget=2), of(three, "ndcg_drop", budget=2)
    assert single.n == mean.n == 40
    assert mean.params["seeds"] == 3
    assert "mean of 3 seeds" in mean.note
    width = [f.ci[1] - f.ci[0] for f in (single, mean)]  # type: ignore[index]
    assert width[1] < width[0]  # three draws a user say more than one


def test_the_finding_rests_on_answers_the_search_did_not_choose_by(config: dict[str, Any], store: Store) -> None:
    class Noisy(Planted):
        """Falls by chance of the question alone: repeats are different questions, edits do not matter."""

        def _rank(self, asked: Request) -> Answer:
            self.count = getattr(self, "count", 0) + 1
            answer = super()._rank(asked)
            return Answer(answer.ranked[::-1]) if self.count % 7 == 0 else answer

    run = audited(config, Noisy(config, deaf=True), store, attacks={"random-items": {"budgets": [30]}})
    found = of(run, "ndcg_drop", attack="random-items", budget=30)
    assert found.estimate < 0.3  # type: ignore[operator]  # the best of thirty noisy answers would be a sure success
    assert found.verdict != "fail"


def test_a_search_that_dies_goes_on_where_it_was(config: dict[str, Any], store: Store) -> None:
    options: dict[str, Any] = {"attacks": {"random-items": {"budgets": [10], "group": 8}}}
    whole = audited(config, Planted(config), store, **options)
    asked = whole.usage.queries

    # The declared identity is the same, so a store of its own.
    with Store(store.location + "2") as fresh:
        broken = Planted(config, fail_after=asked // 2)
        with pytest.raises(TargetError):
            audited(config, broken, fresh, **options)
        kept = fresh.usage(fresh.run("latest").id).queries
        assert 0 < kept <= asked // 2
        healed = Planted(config)
        again = resume("latest", target=healed, store=fresh)
        assert [f.to_dict() for f in again.findings] == [f.to_dict() for f in whole.findings]
        assert len(healed.asked) == asked - kept  # nothing is asked twice
        assert again.usage.queries == asked


def test_what_a_search_asked_is_stored_without_requests_and_what_it_found_can_be_opened(
    config: dict[str, Any], store: Store
) -> None:
    run = audited(config, Planted(config), store, attacks={"random-items": {"budgets": [30]}})
    found = of(run, "ndcg_drop", attack="random-items", budget=30)
    shown = store.evidence(run.id, list(found.evidence))
    assert shown
    digests = [e.after for e in shown.values() if e.after]
    assert set(store.requests(digests)) == set(digests)
    assert {(e.after, e.after_repeat) for e in shown.values()} <= set(store.answers_to(run.id, digests))
    assert len(store.requests(d for d, _ in store.asked(run.id))) < run.usage.queries / 4


def test_the_champion_is_compared_with_its_rivals_user_by_user(config: dict[str, Any], store: Store) -> None:
    attacks = {"random-items": {"budgets": [20]}, "typos": {}, "negation": {}}
    run = audited(config, Planted(config), store, attacks=attacks, champion="random-items")
    # This target reads no wording: the attacks on it do not run, and so are no rivals.
    assert not [f for f in run.findings if f.metric == "advantage"]
    rival = {"random-items": {"budgets": [0, 20], "items": 1}}
    run = audited(config, Planted(config), store, attacks=rival, champion="random-items")
    assert not [f for f in run.findings if f.metric == "advantage"]  # no attack is its own rival


def test_one_attack_runs_on_different_terms_under_names_of_its_own(config: dict[str, Any], store: Store) -> None:
    attacks = {
        "one-item": {"attack": "random-items", "items": 1, "budgets": [0, 10]},
        "three-items": {"attack": "random-items", "items": 3, "budgets": [10], "users": 25, "seeds": 2},
    }
    run = audited(config, Planted(config), store, attacks=attacks, champion=["three-items"])
    one, three = (of(run, "ndcg_drop", attack=name, budget=10) for name in attacks)
    assert (one.n, three.n) == (40, 25)
    assert three.params["seeds"] == 2
    assert (
        of(run, "edits", attack="one-item", budget=10).estimate,
        of(run, "edits", attack="three-items").estimate,
    ) == (1, 3)
    gap = of(run, "advantage", attack="three-items", over="one-item", over_budget=10)
    assert gap.n == 25
    assert len({f.id for f in run.findings}) == len(run.findings)
    assert gap.estimate > 0  # type: ignore[operator]
    assert gap.p < 0.05  # type: ignore[operator]


def test_a_dry_run_counts_the_search(config: dict[str, Any], store: Store) -> None:
    block = {"sequential": False, "attacks": {"random-items": {"budgets": [10]}}, "search_users": 20, "seeds": 2}
    prepared = prepare({**config, "modules": {"robustness": block}}, target=Planted(config))
    (planned,) = dry_run(prepared, store).modules
    assert planned.search_queries == 2 * 20 * (10 + 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budgets": [0]}, r"budgets: \[0\] must be true queries per user, each at least 1"),
        ({"budgets": []}, "budgets"),
        ({"attacks": {"random-items": {"budgets": [-1]}}}, r"attacks.random-items.budgets: \[-1\]"),
        ({"labels": "gold"}, "labels: 'gold' must be known, free, or both"),
        ({"seeds": 0}, "seeds: 0 must be at least 1"),
        ({"search_users": 0}, "search_users: 0 must be at least 1"),
        ({"attacks": {"random-items": {"group": 0}}}, "group: 0 must be at least 1"),
        ({"attacks": ["cheatagnet"]}, "'cheatagnet' is not a known attack"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    config: dict[str, Any], store: Store, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        audited(config, Planted(config), store, **options)
