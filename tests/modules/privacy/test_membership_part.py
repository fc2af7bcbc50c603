"""Membership on targets that remember to a known degree, and on their clean twins."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from membership_world import Ranker, Remembers, card, coin, people, write
from part_world import a_context
from scipy.stats import norm

from audit.guarantee import Members
from audit.modules.privacy.known import masked
from audit.modules.privacy.lower_bound import LowerBound
from audit.modules.privacy.membership import Membership
from audit.target import Insight
from audit.types import Answer


def context(target, folder, dataset=None, **block):
    task = target.info.tasks[0]
    return a_context(target, folder, dataset=dataset or people(), task=task, **block)


def found(output, metric, score="loss", level="user"):
    return next(
        f
        for f in output.findings
        if f.metric == metric and f.params.get("score", score) == score and f.params["level"] == level
    )


@pytest.mark.parametrize("reveals", [Insight.SCORES, Insight.LOGPROBS])
@pytest.mark.parametrize("strength", [0.0, 1.5])
def test_the_auc_is_that_of_the_planted_memory(tmp_path: Path, reveals, strength) -> None:
    members = coin(people())
    target = Remembers(people(), members, strength, reveals=reveals, seed=2)
    output = Membership(neighbours=0).run(context(target, tmp_path), examples=3)
    finding = found(output, "mia_auc")
    truth = norm.cdf(strength / 2**0.5)
    assert finding.ci[0] <= truth <= finding.ci[1]
    assert found(output, "mia_auc", level="row").ci[0] <= truth
    # The user's own sureness is the same in all their rows, so rows tell no more than users.
    assert found(output, "mia_auc", level="row").estimate == pytest.approx(finding.estimate, abs=0.02)
    advantage = found(output, "mia_advantage")
    best = 2 * norm.cdf(strength / 2) - 1
    assert advantage.ci[0] <= best <= advantage.ci[1]
    if strength:
        assert finding.p_adjusted < 0.01
        assert found(output, "tpr_at_1pct_fpr").ci[0] > 0.05
        assert output.evidence
    else:
        assert all(f.p_adjusted > 0.05 for f in output.findings if f.p is not None)
    assert not any(f.unmet for f in output.findings)
    assert found(output, "blind_auc", "words").ci[0] <= 0.5 <= found(output, "blind_auc", "words").ci[1]


def test_intervals_hold_the_truth_as_often_as_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over planted targets and coins of their own: 95 % of twelve, less what chance allows."""
    # Fitted for each coin, the blind classifier would take most of the time.
    monkeypatch.setattr("audit.modules.privacy.measure.by_words", lambda *_, **__: None)
    held, strength = 0, 0.7
    for seed in range(12):
        target = Remembers(people(), coin(people(), seed), strength, seed=seed)
        run = context(target, tmp_path / str(seed))
        finding = found(Membership(neighbours=0, rows=1).run(run, examples=0), "mia_auc")
        held += finding.ci[0] <= norm.cdf(strength / 2**0.5) <= finding.ci[1]
    assert held >= 10


def test_values_of_a_finding_average_to_its_estimate(tmp_path: Path) -> None:
    target = Remembers(people(), coin(people()), 1.0)
    output = Membership().run(context(target, tmp_path), examples=0)
    assert set(output.values) <= {f.id for f in output.findings}
    for finding in output.findings:
        if finding.id in output.values:
            assert np.mean(list(output.values[finding.id].values())) == pytest.approx(finding.estimate)


def test_ranks_of_what_was_trained_on(tmp_path: Path) -> None:
    """A share s of members' rows first among K, else by chance: the AUC over rows is 1/2 + s (K - 1) / 2K."""
    data = people(60)
    members = coin(data, 2)
    share, k = 0.5, 10
    output = Membership(candidates=k, rows=4, neighbours=0).run(
        context(Ranker(members, share, data), tmp_path, data), examples=0
    )
    finding = found(output, "mia_auc", "rank", "row")
    assert finding.ci[0] <= 0.5 + share * (k - 1) / (2 * k) <= finding.ci[1]
    assert finding.params["signal"] == "ranks"


def test_a_split_that_is_no_coin_is_said_to_be_biased(tmp_path: Path) -> None:
    """Members who watched other films: nothing was remembered, and the finding cannot be failed on."""
    data = people(120)
    western = {u: np.mean([e.item.attributes["genres"][0] == "Western" for e in data.events(u)]) for u in data.user_ids}
    inside = frozenset(sorted(western, key=western.get)[:60])
    biased = Members(inside, frozenset(data.user_ids) - inside)
    output = Membership(neighbours=0).run(context(Remembers(data, biased, 0.0), tmp_path, data), examples=0)
    blind = found(output, "blind_auc", "words")
    assert blind.ci[0] > 0.6
    assert "biased" in blind.note
    for metric in ("mia_auc", "mia_advantage"):
        assert any("the split is biased" in reason for reason in found(output, metric).unmet)


class Based(Remembers):
    """On a base model that is as sure of each user, but remembers nobody; adapters in folders remember their own."""

    def with_adapter(self, adapter):
        if adapter is None:
            return Remembers(self.data, Members(frozenset(), frozenset()), 0.0)
        return Remembers(self.data, Members.read(adapter), self.strength)

    def retrain(self, dataset):
        return Remembers(self.data, Members(frozenset(dataset.user_ids), frozenset()), self.strength)


def based(data, members, strength):
    target = Based(data, members, strength)
    target.data = data
    return target


def test_the_base_model_is_reference_and_blind_baseline(tmp_path: Path) -> None:
    """What makes rows differ is the same in the base, so the reference sees memory and nothing else."""
    data, members = people(120), coin(people(120), 1)
    output = Membership(neighbours=0).run(context(based(data, members, 0.3), tmp_path, data), examples=0)
    assert found(output, "mia_auc", "reference").estimate > 0.95
    assert found(output, "mia_auc").estimate < 0.75
    blind = found(output, "blind_auc", "base")
    assert blind.ci[0] <= 0.5 <= blind.ci[1]
    assert found(output, "mia_auc").floor == pytest.approx(blind.estimate)


def test_a_reference_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, members = people(60), coin(people(60), 1)
    target = based(data, members, 0.4)
    monkeypatch.setattr("audit.targets.build.build", lambda config, dataset, base: target.with_adapter(None))
    part = Membership(neighbours=0, reference={"kind": "python", "factory": "m:f"})
    assert found(part.run(context(target, tmp_path, data), examples=0), "mia_auc", "reference").estimate > 0.9
    with pytest.raises(ValueError, match="reference"):
        Membership(reference={"model": "x"})


@pytest.mark.parametrize("way", ["trained", "folders"])
def test_offline_lira_takes_out_what_every_model_finds_easy(tmp_path: Path, way) -> None:
    data, members = people(60), coin(people(60), 5)
    shadows = 4
    if way == "folders":
        shadows = [write(coin(data, 10 + n), tmp_path / f"shadow{n}") for n in range(8)]
    part = Membership(neighbours=0, rows=3, shadows=shadows)
    output = part.run(context(based(data, members, 0.5), tmp_path, data), examples=0)
    assert found(output, "mia_auc", "lira").estimate > 0.9
    assert found(output, "mia_auc").estimate < 0.85
    # On a twin that remembers nobody it finds nobody.
    clean = part.run(context(based(data, members, 0.0), tmp_path / "clean", data), examples=0)
    assert all(f.p is None or f.p > 0.01 for f in clean.findings)


def test_a_target_that_cannot_be_trained_has_no_shadows(tmp_path: Path) -> None:
    from audit.errors import ConfigError

    data = people(60)
    with pytest.raises(ConfigError, match=r"shadows.*no training"):
        Membership(shadows=4).run(context(Remembers(data, coin(data), 0.0), tmp_path, data), examples=0)


def test_rates_that_cannot_be_resolved_are_said_and_not_zero(tmp_path: Path) -> None:
    output = Membership(neighbours=0).run(context(Remembers(people(), coin(people()), 1.0), tmp_path), examples=0)
    (finding,) = [f for f in output.findings if f.metric == "tpr_at_01pct_fpr"]
    assert finding.verdict == "not_applicable"
    assert finding.estimate is None
    assert "not resolvable: with 106 others" in finding.reason
    assert "1,000 others are needed" in finding.reason


class Refuses(Remembers):
    def recommend(self, requests):
        answers = super().recommend(requests)
        return [
            Answer(outcome="refused", detail="no") if int(r.user.id) % 4 == 0 else a
            for r, a in zip(requests, answers, strict=True)
        ]


def test_rows_without_a_readable_answer_are_counted(tmp_path: Path) -> None:
    output = Membership(neighbours=0).run(context(Refuses(people(), coin(people()), 1.0), tmp_path), examples=0)
    finding = found(output, "mia_auc")
    assert finding.n < 192
    lost = 8 * (192 - finding.n)
    assert f"{lost:,} rows got no readable answer" in finding.note


class Rates(Remembers):
    """Gives stars instead of chances."""

    def recommend(self, requests):
        return [replace(a, ranked=tuple(replace(e, score=4.0) for e in a.ranked)) for a in super().recommend(requests)]


def test_scores_that_are_no_chances_are_lost_and_said_so(tmp_path: Path) -> None:
    data = people(60)
    run = context(Rates(data, coin(data), 1.0, guarantee=card()), tmp_path, data)
    (*_, finding) = Membership(neighbours=0).run(run, examples=0).findings
    assert finding.verdict == "not_applicable"
    assert "scores must be chances of a yes" in finding.reason
    assert all(f.verdict == "not_applicable" for f in LowerBound(neighbours=0).run(run, examples=0).findings)


def test_the_plan_is_what_is_asked_and_a_second_part_asks_nothing(tmp_path: Path) -> None:
    target = Remembers(people(), coin(people()), 1.0)
    run, part = context(target, tmp_path), Membership(neighbours=1)
    assert part.lacking(run) is None
    plan = {run.gateway.key(ask) for ask in part.plan(run)}
    first = part.run(run, examples=2)
    assert target.asked == len(plan)
    again = part.run(run, examples=2)
    assert target.asked == len(plan)
    assert [f.to_dict() for f in again.findings] == [f.to_dict() for f in first.findings]


def test_nobody_is_named(tmp_path: Path) -> None:
    """Neither ids nor what members watched: not in findings, evidence, values, nor in the rows that are kept."""
    data = people()
    longer = replace(
        data,
        interactions=data.interactions.assign(user="person-" + data.interactions["user"]),
        users={f"person-{user}": told for user, told in data.users.items()},
    )
    run = context(Remembers(longer, coin(longer), 2.0), tmp_path, longer)
    output = Membership(neighbours=0).run(run, examples=5)
    told = json.dumps([[f.to_dict() for f in output.findings], [e.to_dict() for e in output.evidence], output.values])
    assert output.evidence
    assert "person-" not in told
    assert not any(item.title in told for item in longer.catalog.items_in_order)
    assert {masked(user) for user in longer.user_ids} >= {u for one in output.values.values() for u in one}
    # A short id shows less of itself.
    assert masked("7").startswith("…")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"signal": "smoke"}, "signal"),
        ({"rows": 0}, "rows"),
        ({"users": 3}, "users"),
        ({"neighbours": -1}, "neighbours"),
        ({"candidates": 1}, "candidates"),
        ({"shadows": 2}, "shadows"),
        ({"shadows": 5}, "shadows"),
        ({"shadows": ["one"]}, "shadows"),
        ({"members": "nowhere"}, "no list of members at 'nowhere'"),
        ({"members": ""}, "must be a path"),
    ],
)
def test_options_that_cannot_be_used_are_named(options, said) -> None:
    with pytest.raises(ValueError, match=said):
        Membership(**options)


def test_what_is_lacking_is_said(tmp_path: Path) -> None:
    data = people(60)
    members = coin(data)

    def lacking(target, **options):
        return Membership(**options).lacking(context(target, tmp_path, data))

    assert "nobody says who was trained on" in lacking(Remembers(data, members, 1.0, known=False))
    everyone = Members(members.inside | members.outside, frozenset())
    assert "names nobody outside" in lacking(Remembers(data, everyone, 1.0))
    few = Members(frozenset(sorted(members.inside)[:3]), members.outside)
    assert "3 members" in lacking(Remembers(data, few, 1.0))
    assert "'logprobs' cannot be had" in lacking(Remembers(data, members, 1.0), signal="logprobs")
    assert "rows long enough to be asked about (history: 30)" in lacking(Remembers(data, members, 1.0), history=30)
    assert "no such rows" in lacking(Remembers(data, members, 1.0), history=50)
    stranger = Members(members.inside | {"a stranger"}, members.outside)
    named = write(stranger, tmp_path / "named")
    part = Membership(members=named, neighbours=0)
    run = context(Remembers(data, members, 1.0, known=False), tmp_path, data)
    assert part.lacking(run) is None
    assert "1 users of the list have no interactions" in found(part.run(run, examples=0), "mia_auc").note
