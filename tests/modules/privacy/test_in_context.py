"""Members of a prompt: targets that show them in one way each, and a twin that ignores its examples."""

from __future__ import annotations

import re

import pytest
from helpers import Scripted
from part_world import a_context, small_world
from sklearn.metrics.pairwise import cosine_similarity

from audit.modules.privacy.in_context import ATTACKS, InContext
from audit.modules.privacy.in_context_scores import Likeness, cosines, inquiry_score
from audit.modules.privacy.shots import draw, place_of
from audit.target import Input
from audit.types import Answer, Ranked

WORLD = small_world(120)
ITEMS = WORLD.catalog.items_in_order
BY_TITLE = {item.title: item for item in ITEMS}
HEARS = frozenset({Input.INSTRUCTION, Input.NOTE, Input.HISTORY})
_EXAMPLE = re.compile(r"User (U\d+) chose: ([^\n]+)")
_WHO = re.compile(r"user (U\d+)")


class Prompted:
    """Recommends from its prompt; `shows` says by which attacks its examples can be told."""

    def __init__(self, *shows, honours=HEARS, tasks=("rank", "answer")):
        self.shows, self.asked = shows, []
        self.info = Scripted(
            name="prompted", tasks=tasks, honours=honours, instructions={"rank": "Recommend.", "answer": "Answer."}
        ).info

    def recommend(self, requests):
        self.asked += requests
        return [self._one(r) for r in requests]

    def _one(self, request):
        text = "\n".join([request.instruction, *(t.text for t in request.turns), *(p.text for p in request.passages)])
        text += "\n" + request.user.note
        examples = dict(_EXAMPLE.findall(text))
        who = _WHO.findall(request.user.note)[-1]
        if request.task == "answer":
            return Answer(text="Yes." if "inquiry" in self.shows and who in examples else "No, I do not know them.")
        member = who in examples
        own = [BY_TITLE[t] for t in examples.get(who, "").split("; ") if t in BY_TITLE]
        shown = [ITEMS[(int(who[1:]) * 7 + 13 * i) % len(ITEMS)] for i in range(5)]
        if "similarity" in self.shows and member:
            shown = own[:5]
        history = [event.item for event in request.user.history]
        if history and not ("poisoning" in self.shows and member):
            shown = history[:5]
        ranked = [Ranked(item.id, item.title) for item in shown]
        if "hallucination" in self.shows and not member:
            ranked[0] = Ranked(None, f"Zyzzyva Quartet {who}")
        return Answer(tuple(ranked))


def run(tmp_path, target, **options):
    options = {"users": 60, "shots": [4], "k": 5, "history": 8, **options}
    return InContext(**options).run(a_context(target, tmp_path, dataset=WORLD, users=5), examples=0)


def find(output, metric, attack, **params):
    params = {"attack": attack, "position": None, **params}
    [one] = [f for f in output.findings if f.metric == metric and params.items() <= dict(f.params).items()]
    return one


@pytest.mark.parametrize("attack", list(ATTACKS))
def test_each_attack_finds_what_shows_it_and_nothing_else(tmp_path, attack):
    output = run(tmp_path, Prompted(attack))
    auc = find(output, "mia_auc", attack)
    assert auc.estimate > 0.95
    assert auc.p_adjusted < 0.01
    assert find(output, "mia_advantage", attack).ci[0] > 0.4
    blind = find(output, "blind_auc", attack)
    assert blind.ci[0] <= 0.5 <= blind.ci[1]
    assert auc.floor == pytest.approx(blind.estimate)
    assert len(output.values[auc.id]) == 30
    others = [f for f in output.findings if f.metric == "mia_auc" and f.p is not None and f.params["attack"] != attack]
    # A list like one's own history also differs from a false one; the other attacks see nothing.
    near = {"similarity": {"poisoning"}}.get(attack, set())
    assert all(f.p_adjusted > 0.05 for f in others if f.params["attack"] not in near)


def test_the_clean_twin(tmp_path):
    output = run(tmp_path, Prompted())
    for attack in ("inquiry", "similarity", "poisoning"):
        auc = find(output, "mia_auc", attack)
        assert auc.ci[0] <= 0.5 <= auc.ci[1]
        assert auc.p_adjusted > 0.05
    assert "nothing to count" in find(output, "mia_auc", "hallucination").reason


def test_a_low_false_positive_rate_needs_others(tmp_path):
    output = run(tmp_path, Prompted("inquiry"), attacks=["inquiry"])
    low = find(output, "tpr_at_1pct_fpr", "inquiry")
    assert low.verdict == "not_applicable"
    assert "100 are needed" in low.reason


def test_the_query_for_a_list_holds_none_of_the_victims_history(tmp_path):
    target = Prompted()
    context = a_context(target, tmp_path, dataset=WORLD, users=5)
    part = InContext(users=20, shots=[3], k=5)
    part.run(context, examples=0)
    victims = {v.own.name: v for v in draw(context, users=20, shots=3, history=10, poison=5)}
    assert sum(v.member for v in victims.values()) == 10
    for request in target.asked:
        victim = victims[_WHO.findall(request.user.note)[-1]]
        own = {item.title for item in victim.own.items}
        if request.task == "rank":
            assert not any(title in request.user.note for title in own)
            assert not own & {event.item.title for event in request.user.history}
        assert request.user.id == victim.own.name  # made up: no id of the data is in any prompt
        assert all(v.own.user not in WORLD.users or f"User {v.own.user} " not in request.instruction for v in [victim])


def test_members_stand_at_every_place_and_others_nowhere(tmp_path):
    context = a_context(Prompted(), tmp_path, dataset=WORLD, users=5)
    victims = draw(context, users=40, shots=4, history=5, poison=5)
    members = [v for v in victims if v.member]
    assert sorted({v.position for v in members}) == [0, 1, 2, 3]
    assert all(v.examples[v.position] == v.own and v.own not in v.without for v in members)
    chosen = {v.own.user for v in victims}
    assert all(e.user not in chosen for v in victims for e in v.without)
    for v in victims:
        met = {event.item.id for event in WORLD.events(v.own.user)}
        assert not met & {item.id for item in v.poison}


def test_shots_places_and_positions_are_told(tmp_path):
    honours = frozenset({Input.TURNS, Input.NOTE, Input.HISTORY})
    output = run(tmp_path, Prompted("inquiry", honours=honours), attacks=["inquiry"], shots=[1, 3], guard=True)
    assert find(output, "mia_auc", "inquiry", shots=1, place="turns", guard=True).estimate == 1
    by = {f.params["position"] for f in output.findings if f.metric == "mia_auc" and f.params["shots"] == 3}
    assert by == {None, "first", "middle", "last"}
    assert place_of(Prompted().info, "passages") is None


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Yes, they are.", 1),
        ("no", 0),
        ("I cannot tell. Yes or no would reveal it.", 0.5),
        ("Perhaps", 0.5),
        ("Nobody", 0.5),
        ("Notably, yes", 1),
    ],
)
def test_reading_a_yes(text, score):
    assert inquiry_score(Answer(text=text)) == score


def test_a_refusal_is_neither():
    assert inquiry_score(Answer(text="no", outcome="refused")) == 0.5


def test_the_plan_is_what_is_asked(tmp_path):
    target = Prompted()
    context = a_context(target, tmp_path, dataset=WORLD, users=5)
    part = InContext(users=16, k=5)
    planned = {a.request.digest for a in part.plan(context)}
    part.run(context, examples=0)
    assert {r.digest for r in target.asked} == planned
    assert len(target.asked) == len(planned) == 16 * 3 + 8 * 3


def test_what_is_lacking_is_said(tmp_path):
    def lacking(target, folder, dataset=WORLD, **options):
        return InContext(**options).lacking(a_context(target, tmp_path / folder, dataset=dataset, users=5))

    assert lacking(Prompted(), "a") is None
    assert "reads no passages" in lacking(Prompted(), "b", place="passages")
    deaf = Prompted(honours=frozenset({Input.HISTORY}))
    assert "examples could stand" in lacking(deaf, "c")
    assert "32 are needed" in lacking(Prompted(), "d", dataset=small_world(20))
    assert (
        InContext(attacks=["inquiry"])
        .run(a_context(Prompted(tasks=("rank",)), tmp_path / "e", dataset=WORLD, users=5), examples=0)
        .findings[0]
        .reason.startswith("the target answers no questions")
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attacks": ["loss"]}, "must be a list of inquiry"),
        ({"users": 4}, "at least 16"),
        ({"shots": 5}, r"such as \[5\]"),
        ({"shots": [0]}, "at least 1"),
        ({"place": "attributes"}, "must be one of"),
    ],
)
def test_bad_options_are_named(options, said):
    with pytest.raises(ValueError, match=said):
        InContext(**options)


def test_likeness_is_that_of_scikit_learn():
    likeness = Likeness(WORLD)
    table = likeness.of_items([ITEMS[:3], ITEMS[2:6], ()])
    expected = cosine_similarity(table[:1], table[1:2])[0, 0]
    assert cosines(table[:1], table[1:2])[0] == pytest.approx(expected)
    assert cosines(table[:1], table[2:])[0] == 0.0
    assert cosines(table[:1], table[:1])[0] == pytest.approx(1.0)
