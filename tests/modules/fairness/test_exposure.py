"""Exposure on targets that favour a group by a known factor, on their clean twins, and on a chart."""

from __future__ import annotations

import inspect
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from fairness_world import a_context, small_world
from helpers import Scripted

from audit import stats
from audit.config import load
from audit.errors import ConfigError
from audit.findings import Finding
from audit.modules.base import Context, Output
from audit.modules.fairness import Fairness
from audit.modules.fairness.exposure import Exposure
from audit.modules.fairness.exposure.columns import UNKNOWN, columns
from audit.modules.fairness.exposure.groups import reference_side
from audit.modules.fairness.exposure.lists import Lists, Shown
from audit.modules.fairness.hiring import Hiring
from audit.runner import make_cases
from audit.target import describe
from audit.types import Answer, Catalog, Event, Item, Ranked, Request

USERS = 120


def rng_of(asked: Request) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(asked.user.id.encode()))


def drama_first(share: float) -> Callable[[Request], Answer]:
    """Every place goes to a drama with this chance, else to any other film; dramas are a sixth of the catalogue."""
    films = small_world(USERS).catalog.items_in_order
    dramas = [f for f in films if "Drama" in f.attributes["genres"]]  # type: ignore[operator]
    others = [f for f in films if f not in dramas]

    def answer(asked: Request) -> Answer:
        rng = rng_of(asked)
        count = int(rng.binomial(asked.k, share))
        picked = [dramas[i] for i in rng.choice(len(dramas), count, replace=False)]
        picked += [others[i] for i in rng.choice(len(others), asked.k - count, replace=False)]
        return Answer(tuple(Ranked(picked[i].id, picked[i].title) for i in rng.permutation(asked.k)))

    return answer


def any_of_the_offered(asked: Request) -> Answer:
    offered = asked.candidates or small_world(USERS).catalog.items_in_order
    return Answer(tuple(Ranked(offered[i].id) for i in rng_of(asked).permutation(len(offered))[: asked.k]))


@cache
def others_counts() -> Mapping[str, int]:
    """Popularity among those who are not drawn, as the audit counts it: the log of the first draw of 60 users."""
    drawn = {request.user.id for request in drawn_requests()}
    return small_world(USERS).without_users(drawn).popularity


@cache
def drawn_requests() -> tuple[Request, ...]:
    config, _ = load({"seed": 7, "dataset": {"name": "ml-100k", "users": 60, "k": 5}, "target": {"kind": "zoo"}})
    cases, _ = make_cases(config, small_world(USERS), describe(Scripted(any_of_the_offered)), "rank")
    return tuple(case.request for case in cases)


def chart(asked: Request) -> Answer:
    counts = others_counts()
    return Answer(tuple(Ranked(i) for i in sorted(counts, key=lambda i: -counts[i])[: asked.k]))


def world_context(answer: Callable[[Request], Answer], folder: Path, *, users: int = 60, **block: object) -> Context:
    return a_context(Scripted(answer), folder, dataset=small_world(USERS), users=users, **block)


def run(part: Exposure, context: Context) -> Output:
    assert part.lacking(context) is None
    output = part.run(context, examples=2)
    assert len({f.id for f in output.findings}) == len(output.findings)
    for finding in output.findings:
        if finding.id in output.values:
            mean = np.mean(list(output.values[finding.id].values()))
            shown = finding.effect if finding.effect is not None else finding.estimate
            assert mean == pytest.approx(shown, abs=1e-6), f"{finding.metric}: values average to what is judged"
    return output


def one(output: Output, metric: str, **params: object) -> Finding:
    (found,) = [f for f in output.findings if f.metric == metric and params.items() <= dict(f.params).items()]
    return found


def test_a_favoured_group_is_found_at_its_factor(tmp_path: Path) -> None:
    output = run(Exposure(groups="genres", draws=39), world_context(drama_first(0.4), tmp_path))
    drama = one(output, "exposure_ratio", group="Drama", reference="catalogue")
    assert drama.estimate == pytest.approx(2.4, abs=0.2)
    assert drama.ci is not None
    assert drama.ci[0] > 1.25
    assert drama.p_adjusted is not None
    assert drama.p_adjusted < 0.05
    assert not drama.unmet
    assert len(drama.evidence) == 2
    western = one(output, "exposure_ratio", group="Western", reference="catalogue")
    assert western.estimate == pytest.approx(0.72, abs=0.1)
    assert one(output, "exposure_share", group="Drama").estimate == pytest.approx(0.4, abs=0.03)
    parity = one(output, "exposure_parity", group="Drama")
    assert parity.estimate == pytest.approx(0.4 / 0.6 * 5, abs=0.4)
    merit = one(output, "treatment_ratio", group="Drama", reference="merit")
    share = one(output, "exposure_ratio", group="Drama", reference="merit")
    assert share.estimate is not None
    assert merit.estimate is not None
    assert merit.estimate > share.estimate > 1
    mgu = one(output, "mgu", column="genres")
    assert mgu.effect is not None
    assert mgu.effect > 0.03
    assert mgu.p == 1 / 40


def test_the_numbers_are_those_of_a_count_by_hand(tmp_path: Path) -> None:
    """Exposure, parity (per item) and treatment (per held-out choice) of one genre, place by place."""
    answer = drama_first(0.3)
    context = world_context(answer, tmp_path)
    output = run(Exposure(groups="genres", draws=19), context)
    drama = {f.id for f in context.dataset.catalog.items_in_order if f.attributes["genres"] == ("Drama",)}
    inside = outside = chosen = other = own = 0.0
    for case in context.cases:
        for place, entry in enumerate(answer(case.request).ranked, 1):
            inside += (entry.item_id in drama) / np.log2(place + 1)
            outside += (entry.item_id not in drama) / np.log2(place + 1)
        chosen += len(case.relevant & drama)
        other += len(case.relevant - drama)
        own += np.mean([e.item.id in drama for e in case.request.user.history])
    share = inside / (inside + outside)

    def found(metric: str, **params: str) -> float | None:
        return one(output, metric, group="Drama", **params).estimate

    assert found("exposure_share") == pytest.approx(share)
    assert found("exposure_ratio", reference="catalogue") == pytest.approx(share / (len(drama) / 120))
    assert found("exposure_ratio", reference="history") == pytest.approx(share / (own / len(context.cases)))
    assert found("exposure_ratio", reference="merit") == pytest.approx(share / (chosen / (chosen + other)))
    assert found("exposure_parity") == pytest.approx((inside / len(drama)) / (outside / (120 - len(drama))))
    assert found("treatment_ratio") == pytest.approx((inside / chosen) / (outside / other))


def test_the_clean_twin_is_not_decided_on(tmp_path: Path) -> None:
    output = run(
        Exposure(groups="genres", reference="catalogue", draws=39), world_context(drama_first(1 / 6), tmp_path)
    )
    ratios = [f for f in output.findings if f.metric == "exposure_ratio"]
    assert len(ratios) == 6
    assert all(f.unmet and "corrected p-value" in f.unmet[0] for f in ratios)
    gini = one(output, "gini", against="random lists")
    assert gini.effect == pytest.approx(0, abs=0.05)
    assert gini.p is not None
    assert gini.p > 0.05


def test_a_chart_is_as_popular_and_as_unequal_as_a_chart(tmp_path: Path) -> None:
    output = run(Exposure(draws=39), world_context(chart, tmp_path))
    top = one(output, "exposure_ratio", group="5 of 5 (most popular)", reference="catalogue")
    assert top.estimate == pytest.approx(5.0)
    assert top.ci is not None
    assert top.ci[0] < 5 <= top.ci[1], "one list for everybody is no certainty about all users"
    gini = one(output, "gini", against="random lists")
    assert gini.estimate == pytest.approx(1 - 5 / 120)
    assert gini.effect is not None
    assert gini.effect > 0.5
    assert one(output, "coverage", against="random lists").estimate == pytest.approx(5 / 120)
    assert one(output, "tail_coverage", against="random lists").estimate == 0
    assert one(output, "aplt", against="history").estimate == 0
    lift = one(output, "popularity_lift", group="all")
    assert lift.estimate is not None
    assert lift.estimate > 0.2
    assert lift.p is not None
    assert lift.p < 0.001
    assert one(output, "log_popularity_shift").estimate > 0  # type: ignore[operator]
    beside = one(output, "arp", against="popularity")
    assert beside.effect == pytest.approx(0, abs=0.8), "near a chart that leaves out what the user has seen"


def test_what_was_not_offered_cannot_be_exposed(tmp_path: Path) -> None:
    """Most of what is offered are dramas: against the catalogue they are favoured, against the offer they are not."""
    context = world_context(any_of_the_offered, tmp_path, candidates=20)
    films = context.dataset.catalog.items_in_order
    dramas = [f for f in films if "Drama" in f.attributes["genres"]]  # type: ignore[operator]
    others = [f for f in films if f not in dramas]
    rng = np.random.default_rng(0)
    cases = []
    for case in context.cases:
        offered = [dramas[i] for i in rng.permutation(20)[:12]] + [others[i] for i in rng.permutation(100)[:8]]
        cases.append(replace(case, request=replace(case.request, candidates=tuple(offered))))
    context = replace(context, cases=cases)
    default = run(Exposure(groups="genres", draws=39), context)
    assert {f.params["reference"] for f in default.findings if f.metric == "exposure_ratio"} == {"offered"}
    drama = one(default, "exposure_ratio", group="Drama")
    assert drama.estimate == pytest.approx(1.0, abs=0.1)
    assert drama.unmet
    both = run(Exposure(groups="genres", reference=["offered", "catalogue"], draws=39), context)
    against = one(both, "exposure_ratio", group="Drama", reference="catalogue")
    assert against.estimate == pytest.approx(3.6, abs=0.4)
    assert "cannot expose what it was not offered" in against.note
    gini = one(default, "gini", against="random lists")
    assert gini.floor is not None
    assert gini.effect == pytest.approx(0, abs=0.05), "random lists come from the same candidates"


def test_entries_outside_the_catalogue_are_their_own_bucket(tmp_path: Path) -> None:
    def invents(asked: Request) -> Answer:
        real = any_of_the_offered(asked).ranked
        return Answer((real[0], Ranked(None, "No Such Film"), *real[1:4]))

    output = run(Exposure(groups="genres", discount="uniform", draws=39), world_context(invents, tmp_path))
    outside = one(output, "outside_share")
    assert outside.estimate == pytest.approx(0.2)
    assert len(outside.evidence) == 2
    shares = [f.estimate for f in output.findings if f.metric == "exposure_share"]
    assert sum(s for s in shares if s is not None) == pytest.approx(0.8)
    ratios = [f for f in output.findings if f.metric == "exposure_ratio" and f.params["reference"] == "catalogue"]
    assert sum(f.estimate or 0 for f in ratios) / 6 == pytest.approx(1.0), "what is outside belittles no group"


def test_refusals_and_repeats_are_counted(tmp_path: Path) -> None:
    context = world_context(lambda _: Answer(), tmp_path)
    refused = {case.request.user.id for case in context.cases[:20]}

    def answer(asked: Request) -> Answer:
        if asked.user.id in refused:
            return Answer(outcome="refused")
        ranked = any_of_the_offered(asked).ranked
        return Answer((ranked[0], ranked[0], *ranked[1:4]))

    output = run(Exposure(groups="genres", draws=39), world_context(answer, tmp_path / "b"))
    gini = one(output, "gini", against="random lists")
    assert gini.n == 40
    assert "20 users got no readable list and are left out" in gini.note
    assert "40 repeated entries count for nothing" in gini.note


def test_without_lists_there_is_nothing_to_say(tmp_path: Path) -> None:
    context = world_context(lambda _: Answer(outcome="refused"), tmp_path)
    (only,) = Exposure().run(context, examples=1).findings
    assert (only.verdict, only.reason) == ("not_applicable", "fewer than two users got a readable list")
    nothing_known = world_context(lambda _: Answer((Ranked(None, "No Such Film"),)), tmp_path / "b")
    output = Exposure(draws=39).run(nothing_known, examples=1)
    assert one(output, "outside_share").estimate == 1.0
    assert one(output, "gini").reason == "no listed item is in the catalogue"


def test_users_who_had_everything_leave_a_chart_nothing(tmp_path: Path) -> None:
    context = world_context(any_of_the_offered, tmp_path, users=25)
    films = context.dataset.catalog.items_in_order
    everything = tuple(Event(film) for film in films)
    cases = [
        replace(case, request=replace(case.request, user=replace(case.request.user, history=everything)))
        for case in context.cases
    ]
    output = run(Exposure(groups="genres", draws=19), replace(context, cases=cases))
    assert "nothing is left for a chart" in one(output, "exposure_share").reason
    assert one(output, "exposure_ratio", group="Drama", reference="history").estimate is not None


def test_small_groups_are_suppressed_with_the_reason(tmp_path: Path) -> None:
    output = run(Exposure(groups="genres", smallest=25, draws=39), world_context(any_of_the_offered, tmp_path))
    (skipped,) = [f for f in output.findings if f.metric == "exposure_ratio"]
    assert skipped.verdict == "not_applicable"
    assert "6 of its groups have fewer than 25 items: Action (20)" in skipped.reason


def test_numbers_become_ranges_and_missing_values_a_group() -> None:
    films = [Item(f"i{n}", "T", attributes={"year": 1900 + n, "tags": ("a", "b")} if n else {}) for n in range(101)]
    year, tags = columns(Catalog(films), ["year", "tags"], np.zeros(101), smallest=10)
    assert [g for g in year.groups if g != UNKNOWN] == [
        "1: 1901 to 1920",
        "2: 1921 to 1940",
        "3: 1941 to 1960",
        "4: 1961 to 1980",
        "5: 1981 to 2000",
    ]
    assert UNKNOWN in year.groups
    assert f"{UNKNOWN} (1)" in year.left_out
    assert tags.split[1].tolist() == [0.5, 0.5, 0.0]
    assert year.split.sum() == tags.split.sum() == 101


def test_popularity_groups_have_equal_counts() -> None:
    films = Catalog(Item(f"i{n}", "T") for n in range(10))
    (groups,) = columns(films, ["popularity"], np.arange(10.0)[::-1], smallest=1)
    assert groups.member.sum(axis=0).tolist() == [2] * 5
    assert groups.member[0].argmax() == 4, "the first film is the most popular"


def test_a_lift_for_one_group_of_users_only(tmp_path: Path) -> None:
    people = small_world(USERS).users

    def answer(asked: Request) -> Answer:
        return chart(asked) if people[asked.user.id]["gender"] == "F" else any_of_the_offered(asked)

    context = world_context(answer, tmp_path, users=90)
    output = run(Exposure(groups="popularity", user_groups="gender", draws=39), context)
    assert "users who are not under audit and the histories shown" in one(output, "log_popularity_shift").note
    women, men = (one(output, "popularity_lift", attribute="gender", group=g) for g in "FM")
    assert women.effect is not None
    assert women.effect > 0.15
    assert women.p is not None
    assert women.p < 0.01
    assert men.effect == pytest.approx(-women.effect)
    twin = run(
        Exposure(groups="popularity", user_groups="gender", draws=39), world_context(chart, tmp_path / "b", users=90)
    )
    assert one(twin, "popularity_lift", attribute="gender", group="F").p > 0.05  # type: ignore[operator]


def test_anchors_of_the_run_stand_beside_the_target(tmp_path: Path) -> None:
    context = replace(world_context(chart, tmp_path), anchors=lambda: {"any": Scripted(any_of_the_offered)})
    output = run(Exposure(groups="popularity", draws=39), context)
    gini = one(output, "gini", against="any")
    assert gini.floor is not None
    assert gini.floor < 0.5
    assert gini.effect == pytest.approx(1 - 5 / 120 - gini.floor)
    assert {f.params["against"] for f in output.findings if f.metric == "coverage"} == {
        "random lists",
        "popularity",
        "any",
    }


@pytest.mark.parametrize("name", ["history", "offered", "catalogue", "merit"])
def test_the_test_of_a_share_keeps_its_level_with_every_reference(name: str) -> None:
    """Lists that follow the reference, for users of quite different tastes."""
    rng = np.random.default_rng(3)
    split = np.eye(4)[np.arange(80) % 4]
    gaps = []
    for _ in range(500):
        own = [rng.choice(80, 24, replace=False, p=_taste(rng)) for _ in range(40)]
        pools = [np.arange(80)] * 40 if name == "catalogue" else own
        items = [rng.choice(pool, 6, replace=False) for pool in pools]
        relevant = tuple(rng.choice(pool, 2, replace=False) for pool in own)
        weights = tuple(1 / np.log2(np.arange(2, 8)) for _ in items)
        lists = Lists(tuple(items), weights, np.zeros(40), 80)
        shown = Shown((), lists, tuple(own), relevant, tuple(own), 0, 0, "log")
        sides = reference_side(name, shown, split)
        assert not isinstance(sides, str)
        given, held = sides
        gaps.append((given.pull() - held.pull() + (given.share - held.share))[:, 0])
    hits = stats.mean_tests(np.array(gaps), rng=rng, resamples=999) < 0.05
    assert 0.02 <= hits.mean() <= 0.08


def _taste(rng: np.random.Generator) -> np.ndarray:
    """A user who likes one of the four groups five times as much as the others."""
    liked = np.where(np.arange(80) % 4 == rng.integers(4), 5.0, 1.0)
    return liked / liked.sum()


def test_mistakes_are_named(tmp_path: Path) -> None:
    context = world_context(any_of_the_offered, tmp_path)
    with pytest.raises(ConfigError, match=r"groups: 'genre' is no column of the items.*genres"):
        Exposure(groups="genre").lacking(context)
    with pytest.raises(ConfigError, match="user_groups: 'sex' is no attribute of the users"):
        Exposure(user_groups=["sex"]).lacking(context)
    assert "needs candidates" in str(Exposure(reference="offered").lacking(context))
    assert "'score'" in str(Exposure().lacking(replace(context, task="score")))
    assert len(Exposure().plan(context)) == 60


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": []}, "groups: it is empty"),
        ({"reference": "sales"}, "reference: 'sales' is not one of catalogue, history, merit, offered"),
        ({"reference": []}, "reference: it is empty"),
        ({"tail": 20}, "tail: 20 must be a share between 0 and 1"),
        ({"discount": "linear"}, "discount: 'linear' must be 'log' or 'uniform'"),
        ({"smallest": 0}, "smallest: 0 must be at least 1"),
        ({"draws": 5}, "draws: 5 must be at least 19"),
    ],
)
def test_bad_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Exposure(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("page", "part"), [("exposure", Exposure), ("hiring", Hiring)])
def test_the_options_of_the_page_are_those_of_the_part(page: str, part: Callable[..., object]) -> None:
    text = (Path(__file__).parents[3] / "docs" / "fairness" / f"{page}.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", text, re.M | re.S)
    part(**yaml.safe_load(block)["modules"]["fairness"][page])
    for name in inspect.signature(part).parameters:
        assert f"`{name}`" in text, f"the page does not speak of {name}"


def test_a_mitigation_is_measured_on_every_number_of_the_part(tmp_path: Path) -> None:
    others = dict.fromkeys(("sweep", "swaps", "stereotypes", "groups"), False)
    module = Fairness(**others, exposure={"groups": "genres", "draws": 39}, defenses=["output-control"])
    context = world_context(chart, tmp_path)
    module.prepare(context)
    output = module.run(context)
    changed = {f.params["of"]: f for f in output.findings if f.metric == "mitigation_change"}
    assert {"exposure_ratio", "gini", "coverage", "arp", "mgu", "popularity_lift", "outside_share"} <= set(changed)
    gini = changed["gini"].estimate
    assert gini is not None
    assert gini < 0, "without what the user had before, lists differ between users"
