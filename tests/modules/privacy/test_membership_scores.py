"""Scores by hand, neighbours, shadows and rows; and who is found to have been trained on."""

import math
import zlib
from pathlib import Path

import numpy as np
import pytest
from membership_world import Remembers, card, coin, people, write
from part_world import a_context
from scipy.stats import norm

from audit.errors import ConfigError
from audit.guarantee import Members
from audit.modules.privacy import known, scores
from audit.modules.privacy.rows import DECILES, Peers, Question, Shape, draw_questions
from audit.modules.privacy.shadows import Shadow, lira
from audit.target import TokenMoments
from audit.types import Request, User

TOKENS = np.log([0.5, 0.1, 0.9, 0.2, 0.05, 0.8])


def test_scores_by_hand() -> None:
    assert scores.loss(TOKENS) == pytest.approx(sum(TOKENS) / 6)
    # A fifth of six tokens are two: .05 and .1.
    assert scores.min_k(TOKENS) == pytest.approx((math.log(0.05) + math.log(0.1)) / 2)
    assert scores.min_k(TOKENS[:1]) == pytest.approx(math.log(0.5))
    text = " Toy Story (1995)"
    assert scores.zlib(TOKENS, text) == pytest.approx(sum(TOKENS) / len(zlib.compress(text.encode())))
    assert scores.reference(TOKENS, TOKENS - 0.3) == pytest.approx(0.3)
    assert scores.neighbourhood(TOKENS, [TOKENS - 1.0, TOKENS - 0.5]) == pytest.approx(0.75)
    moments = TokenMoments(TOKENS, np.full(6, -1.0), np.array([1.0, 2.0, 1.0, 0.0, 0.5, 1.0]))
    measured = sorted((TOKENS + 1.0) / [1.0, 2.0, 1.0, 1e-6, 0.5, 1.0])
    assert scores.min_k_pp(moments) == pytest.approx(sum(measured[:2]) / 2)


def test_confidence_of_a_chance_is_its_log_odds() -> None:
    for p in (0.001, 0.4, 0.999):
        assert scores.confidence(np.log([p]), chance=True) == pytest.approx(math.log(p / (1 - p)))
    assert math.isfinite(scores.confidence(np.log([1.0]), chance=True))
    assert scores.confidence(TOKENS, chance=False) == pytest.approx(TOKENS.mean())


def test_lira_orders_as_the_formula_of_the_paper() -> None:
    """1 - Pr[N(μ_out, σ²) > φ] grows with our score."""
    outside, spread = np.array([0.1, 0.4, -0.2]), 0.3
    mine = [-0.5, 0.0, 0.2, 0.9]
    ours = [scores.offline_lira(x, outside, spread) for x in mine]
    assert norm.cdf(ours) == pytest.approx(1 - norm.sf(mine, outside.mean(), spread))


def test_rows_of_the_last_item_are_never_asked(tmp_path: Path) -> None:
    data = people(60)
    target = Remembers(data, coin(data), 0.0)
    run = a_context(target, tmp_path, dataset=data, task="score")
    split = known.split_of(run)
    ranked = draw_questions(run, split, Shape("rank", 4, 6, 0, 12), ranked=True)
    for question in ranked:
        events = data.events(question.user)
        (item,) = question.items
        shown = [c.id for c in question.request.candidates]
        assert item.id in shown
        assert len(shown) == len(set(shown)) == question.request.k == 12
        # Whoever was among the candidates beside the item, the user never met.
        assert not (set(shown) - {item.id}) & {e.item.id for e in events}
        assert len(question.request.user.history) <= 6
    asked: dict[str, list[str]] = {}
    for question in ranked:
        asked.setdefault(question.user, []).append(question.items[0].id)
    assert all(items == [e.item.id for e in data.events(user)[-5:-1]] for user, items in asked.items())
    few = draw_questions(run, split, Shape("rank", 2, 6, 10, 12), ranked=False)
    assert len({q.user for q in few if q.member}) == len({q.user for q in few if not q.member}) == 10


def test_neighbours_differ_in_one_item_as_popular() -> None:
    data = people(60)
    peers = Peers(data)
    sizes = np.bincount(list(peers.decile.values()))
    assert len(sizes) == DECILES
    assert sizes.max() - sizes.min() <= 1
    low = max(data.popularity[i] for i, d in peers.decile.items() if d == 0)
    assert low <= min(data.popularity[i] for i, d in peers.decile.items() if d == 9)
    rng = np.random.default_rng(0)
    members = coin(data)
    target = Remembers(data, members, 0.0)
    user = data.user_ids[0]
    history = data.events(user)[:6]
    question = Question(user, True, Request(User(user, history)), (history[0].item,))
    for _ in range(20):
        other = peers.swapped(question, rng).request.user.history
        changed = [i for i in range(6) if other[i].item != history[i].item]
        assert len(changed) == 1
        new, old = other[changed[0]].item.id, history[changed[0]].item.id
        assert new not in {e.item.id for e in data.events(user)}
        assert abs(peers.decile[new] - peers.decile[old]) == 0
        assert other[changed[0]].rating == history[changed[0]].rating
    empty = Question(user, True, Request(User(user)), (history[0].item,))
    assert peers.swapped(empty, rng) is empty
    assert target.asked == 0


def test_rows_with_one_shadow_get_no_lira(tmp_path: Path) -> None:
    data = people(60)
    target = Remembers(data, coin(data), 0.0)
    run = a_context(target, tmp_path, dataset=data, task="score")
    questions = draw_questions(run, known.split_of(run), Shape("score", 1, 10, 0, 20), ranked=False)
    own = [[np.array([-0.5])] for _ in questions]
    half = frozenset(q.user for q in questions[::2])
    everybody = frozenset(q.user for q in questions)
    shadows = [Shadow(target, frozenset()), Shadow(target, half), Shadow(target, everybody)]
    found = lira(run, "scores", iter(shadows), questions, own)
    assert [row[0] is None for row in found] == [q.user in half for q in questions]


# Who was trained on --------------------------------------------------------------------------------------------------


class Behind:
    def __init__(self, target) -> None:
        self.target, self.info = target, target.info

    def recommend(self, requests):
        return self.target.recommend(requests)


def test_a_defense_hides_nobody_who_was_trained_on(tmp_path: Path) -> None:
    data = people(60)
    members = coin(data)
    target = Remembers(data, members, 0.0, guarantee=card())
    run = a_context(Behind(Behind(target)), tmp_path, dataset=data, task="score")
    assert known.members_of(run) == members
    assert known.guarantee_of(run) == card()
    assert known.promising_target(object()) is None


def test_the_option_comes_before_what_the_target_says(tmp_path: Path) -> None:
    data = people(60)
    run = a_context(Remembers(data, coin(data), 0.0), tmp_path, dataset=data, task="score")
    other = Members(frozenset(data.user_ids[:20]), frozenset({*data.user_ids[20:40], "nobody"}))
    folder = write(other, tmp_path / "told")
    split = known.split_of(run, folder)
    assert (len(split.inside), len(split.outside), split.missing) == (20, 20, 1)
    assert known.members_of(run, f"{folder}/members.json") == other
    with pytest.raises(ConfigError, match=r"members: there is no list"):
        known.members_of(run, str(tmp_path / "nowhere"))
    (tmp_path / "told" / "members.json").write_text('{"inside": ["a"], "outside": ["a"]}', encoding="utf-8")
    with pytest.raises(ConfigError, match="both inside and outside"):
        known.members_of(run, folder)
    with pytest.raises(ValueError, match="both inside and outside"):
        known.check_members(folder)
