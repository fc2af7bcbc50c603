"""Faithfulness on targets of which it is known what moves them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from faithful_targets import by_place, deaf, linear, noise, scoring, single_cause, weight
from helpers import Scripted
from part_world import a_context

from audit.gateway import Ask
from audit.modules.explanation.faithfulness import Faithfulness
from audit.modules.explanation.module import INFO, PLACES
from audit.types import Answer, Ranked

USERS = 16
QUICK = Faithfulness(users=USERS, sanity=False, stability=False)


def context_of(target, folder, *, history=4, users=USERS, **block):
    return a_context(target, folder, users=users, candidates=6, history=history, **block)


def run(context, part=QUICK, examples=2):
    assert part.lacking(context) is None
    return part.run(context, examples=examples)


def of(output, metric, **params):
    return [f for f in output.findings if f.metric == metric and params.items() <= f.params.items()]


def gains(output, against):
    return {(f.params["method"], f.params["made_by"]): f for f in of(output, "faithfulness_gain", against=against)}


def test_a_single_cause_is_named_first_for_everybody_and_found_faithful(tmp_path):
    context = context_of(deaf(), tmp_path)
    histories = {case.unit: case.request.user.history for case in context.cases}
    causes = {user: history[n % len(history)].item.id for n, (user, history) in enumerate(histories.items())}
    context = context_of(single_cause(causes), tmp_path / "planted")
    output = run(context, examples=USERS)
    for method in ("shapley", "leave-one-out"):
        for made_by, judge in (("delete", "swap"), ("swap", "delete")):
            [found] = of(output, "comprehensiveness", method=method, made_by=made_by)
            assert found.params["operator"] == judge
            assert not found.unmet
            assert found.note.startswith("faithful: better than")
            # Without its one cause each recommendation loses 5; the first of every removal is that cause.
            assert found.estimate == pytest.approx(5.0)
            assert "falls for 100% of users" in found.note
            assert found.floor < 0.7 * found.estimate
        assert all(f.p_adjusted < 0.05 for f in gains(output, "profile").values())
    titles = {item.id: item.title for item in context.dataset.catalog.items_in_order}
    shown = [e for e in output.evidence if e.attribution and e.attribution.method == "exact Shapley values, by delete"]
    assert len(shown) == USERS
    for one in shown:
        top = max(one.attribution.bars, key=lambda bar: bar.value)
        user = next(case.unit for case in context.cases if case.id == one.case)
        assert top.label == titles[causes[user]]
        assert top.value == pytest.approx(5.0)
        assert one.attribution.faithful


def test_known_weights_are_found_and_faithful_by_the_other_operator(tmp_path):
    context = context_of(linear(), tmp_path)
    output = run(context, examples=USERS)
    [found] = of(output, "comprehensiveness", method="shapley", made_by="delete")
    assert not found.unmet
    case = {case.id: case for case in context.cases}
    one = next(
        e for e in output.evidence if e.attribution and e.attribution.method == "exact Shapley values, by delete"
    )
    history, offered = case[one.case].request.user.history, case[one.case].request.candidates
    order = sorted(offered, key=lambda c: -sum(weight(e, c) for e in history))
    expected = [weight(e, order[0]) - weight(e, order[1]) for e in history]
    assert [bar.value for bar in one.attribution.bars] == pytest.approx(expected, abs=1e-9)
    [deletion] = of(output, "deletion_auc", method="shapley", made_by="delete")
    [insertion] = of(output, "insertion_auc", method="shapley", made_by="delete")
    if deletion.estimate is not None:
        assert deletion.estimate < deletion.floor
        assert insertion.estimate > insertion.floor


def test_an_attribution_that_only_repeats_the_place_is_not_called_faithful(tmp_path):
    context = context_of(deaf(), tmp_path)
    causes = {case.unit: case.request.user.history[-1].item.id for case in context.cases}
    output = run(context_of(single_cause(causes), tmp_path / "planted"))
    assert all(f.estimate > 0.2 and f.p_adjusted < 0.05 for f in gains(output, "random").values())
    for against in ("recency", "profile"):
        assert {round(f.estimate, 9) for f in gains(output, against).values()} == {0.0}
    for found in of(output, "comprehensiveness"):
        assert found.unmet
        assert "not called faithful: not shown: not better than" in found.note


@pytest.mark.parametrize("target", [noise, deaf])
def test_nothing_is_called_faithful_of_a_target_that_has_no_reasons(tmp_path, target):
    output = run(context_of(target(), tmp_path))
    assert all(f.unmet for f in of(output, "comprehensiveness"))
    if target is deaf:
        assert "no removal moves anything" in of(output, "faithfulness_gain", against="random")[0].note
        assert all(f.estimate == 0.0 for f in of(output, "comprehensiveness"))
        assert all("do not speak for" in f.reason for f in of(output, "deletion_auc"))


def test_judged_by_the_operator_that_made_it_nothing_is_called_faithful(tmp_path):
    part = Faithfulness(operators=["delete"], sanity=False, stability=False)
    # Of a target that is pure noise, too, the attribution looks faithful to what made it.
    for n, target in enumerate((linear(), noise())):
        output = run(context_of(target, tmp_path / str(n)), part)
        [found] = of(output, "comprehensiveness", method="shapley")
        gain = gains(output, "random")["shapley", "delete"]
        assert gain.estimate > 0.1
        assert gain.p_adjusted < 0.05
        assert "circular" in found.unmet[0]


def test_the_effect_of_a_place_is_found_where_there_is_one_and_not_elsewhere(tmp_path):
    part = Faithfulness(users=USERS, sanity=False, orders=5, operators=["placeholder", "swap"])
    [found] = of(run(context_of(by_place(), tmp_path), part), "position_effect")
    # Place p of n is worth p / n: from the first to the last (n - 1) / n, over a mean of (n + 1) / 2n.
    assert found.estimate == pytest.approx(2 * (4 - 1) / (4 + 1))
    assert found.p_adjusted < 0.05
    clean = run(context_of(linear(), tmp_path / "clean"), part)
    [none] = of(clean, "position_effect")
    assert none.estimate == pytest.approx(0.0, abs=1e-9)
    [stable] = of(clean, "stability", of="order")
    assert stable.estimate == pytest.approx(1.0)
    assert "a share of 1.00 stays" in stable.note
    assert "all sets" in of(clean, "stability", of="seeds")[0].reason
    assert "no other wording" in of(clean, "stability", of="paraphrase")[0].reason


def test_wordings_that_change_everything_are_found(tmp_path):
    from faithful_targets import digest, scoring

    target = scoring(
        lambda history, item, asked: 2.0 + sum(digest(e.item.id, item.id, asked.instruction) for e in history),
        instructions={"rank": "Rank these."},
        paraphrases={"rank": ("Order these.", "Sort these.")},
        honours=linear().info.honours | {"instruction"},
    )
    context = context_of(target, tmp_path)
    output = run(context, Faithfulness(users=USERS, sanity=False, orders=2))
    [found] = of(output, "stability", of="paraphrase")
    assert found.estimate < 0.5
    assert "2 other wordings" in found.note


def test_sanity_of_known_weights(tmp_path):
    part = Faithfulness(users=8, stability=False, operators=["placeholder", "swap"])
    output = run(context_of(linear(), tmp_path, users=8), part)
    found = {(f.params["check"], f.params["method"]): f for f in of(output, "sanity")}
    assert found["efficiency", "shapley"].estimate == pytest.approx(0.0, abs=1e-9)
    assert found["symmetry", "shapley"].estimate == pytest.approx(0.0, abs=1e-9)
    assert abs(found["unrelated title", "leave-one-out"].estimate) < 0.6
    assert "not at hand" in found["random weights", "leave-one-out"].reason
    # What stands for a removed item names none either, so that an empty place is worth nothing.
    assert found["dummy", "shapley"].estimate == pytest.approx(0.0, abs=1e-9)
    output = run(context_of(by_place(), tmp_path / "place", users=8), part)
    found = {(f.params["check"], f.params["method"]): f for f in of(output, "sanity")}
    assert found["symmetry", "shapley"].estimate > 0.1


def test_what_an_empty_entry_is_to_targets_that_look_items_up_by_id(tmp_path):
    part = Faithfulness(users=6, stability=False, evaluations=16)
    by_id = linear().info.honours - {"item_text"}

    def known(history):
        return [e for e in history if e.item.id != "placeholder"]

    passes_over = scoring(lambda history, item, _: sum(weight(e, item) for e in known(history)), honours=by_id)
    [dummy] = of(run(context_of(passes_over, tmp_path / "a", users=6), part), "sanity", check="dummy")
    assert dummy.estimate == 0.0
    assert "looks items up by their ids, among which it is not" in dummy.note
    inner = linear()

    def answer(asked):
        strange = len(known(asked.user.history)) < len(asked.user.history)
        return Answer(outcome="error", detail="no such item") if strange else inner.answer(asked)

    refuses = Scripted(answer, reveals=inner.info.reveals)
    output = run(context_of(refuses, tmp_path / "b", users=6), replace(part, operators=["placeholder", "delete"]))
    [dummy] = of(output, "sanity", check="dummy")
    assert dummy.verdict == "not_applicable"
    assert dummy.reason == "0 users could be read; of 6 users not every question with that entry was answered"
    [made] = of(output, "comprehensiveness", method="shapley", made_by="placeholder")
    assert made.reason.startswith(
        "0 users have an attribution that could be judged; 6 users left out here because 15 of "
    )
    [judged] = of(output, "comprehensiveness", method="shapley", made_by="delete")
    assert (
        "6 users left out here because not every answer with items taken away by placeholder could be read"
        in judged.reason
    )


def test_long_histories_are_sampled_and_searched(tmp_path):
    part = Faithfulness(users=6, sanity=False, orders=2, evaluations=100)
    output = run(context_of(linear(), tmp_path, history=12, users=6), part, examples=1)
    [found] = of(output, "faithfulness_gain", method="shapley", made_by="delete", against="random")
    assert found.estimate > 0.15
    assert "exact for 0 of 6 users" in found.note
    [seeds] = of(output, "stability", of="seeds")
    assert seeds.estimate == pytest.approx(1.0)
    [evidence] = [e for e in output.evidence if e.attribution and "sampled Shapley" in e.attribution.method][:1]
    assert len(evidence.attribution.bars) == 12


def test_unstable_recommendations_are_counted_and_not_explained(tmp_path):
    turn = iter(range(10**6))

    def answer(asked):
        start = next(turn) % len(asked.candidates)
        order = asked.candidates[start:] + asked.candidates[:start]
        return Answer(tuple(Ranked(c.id, c.title) for c in order[: asked.k]))

    output = run(context_of(Scripted(answer), tmp_path))
    [rate] = of(output, "unstable_rate")
    assert rate.estimate == 1.0
    [skipped] = of(output, "comprehensiveness")
    assert f"{USERS} without a stable recommendation" in skipped.reason


def test_a_target_without_scores_is_read_by_places(tmp_path):
    def answer(asked):
        order = sorted(asked.candidates, key=lambda c: -sum(weight(e, c) for e in asked.user.history))
        return Answer(tuple(Ranked(c.id, c.title) for c in order[: asked.k]))

    output = run(context_of(Scripted(answer), tmp_path))
    [found] = of(output, "comprehensiveness", method="shapley", made_by="delete")
    assert "reciprocal rank" in found.note
    assert found.effect > 0


def test_answers_that_cannot_be_read_leave_their_users_out(tmp_path):
    inner = linear()

    def answer(asked):
        return Answer(outcome="refused") if not asked.user.history else inner.answer(asked)

    context = context_of(Scripted(answer, reveals=inner.info.reveals), tmp_path)
    output = run(context)
    # Exact Shapley values need v of no history; leave-one-out does not.
    [plain] = of(output, "comprehensiveness", method="leave-one-out", made_by="delete")
    assert plain.n == USERS
    [shapley] = of(output, "comprehensiveness", method="shapley", made_by="delete")
    assert shapley.estimate is None
    assert "0 users" in shapley.reason


def test_short_histories_are_said(tmp_path):
    context = context_of(linear(), tmp_path, history=1)
    assert "0 users have two past items" in QUICK.lacking(context)


def test_long_and_doubled_histories_are_explained_or_said(tmp_path):
    target = linear()
    context = context_of(target, tmp_path, users=2)

    def with_history(case, events):
        return replace(case, request=replace(case.request, user=replace(case.request.user, history=events)))

    long = [with_history(case, case.request.user.history * 50) for case in context.cases]
    part = Faithfulness(operators=["delete", "placeholder"], sanity=False, stability=False)
    output = run(replace(context, cases=long), part)
    [sampled] = of(output, "comprehensiveness", method="shapley", made_by="delete")
    assert "0 users have an attribution" in sampled.reason
    assert "allow 798" in sampled.reason
    [plain] = of(output, "comprehensiveness", method="leave-one-out", made_by="delete")
    assert plain.n == 2
    doubled = [with_history(case, case.request.user.history[:2] * 2) for case in context.cases]
    output = run(replace(context, cases=doubled), part)
    [found] = of(output, "comprehensiveness", method="shapley", made_by="delete")
    assert found.n == 2


def test_the_plan_is_no_less_than_what_is_asked(tmp_path):
    target = linear()
    context = context_of(target, tmp_path, history=5, users=4)
    part = Faithfulness(users=4, orders=3)
    planned = {context.gateway.key(ask) for ask in part.plan(context)}
    assert part.plan(context) == part.plan(context)
    part.run(context, examples=1)
    asked = {context.gateway.key(Ask(one)) for one in target.asked}
    assert len(target.asked) <= len(planned)
    assert asked <= planned


def test_only_declared_metrics_are_emitted_and_runs_repeat(tmp_path):
    part = Faithfulness(users=6, orders=2)
    first = run(context_of(linear(), tmp_path / "a", users=6), part)
    second = run(context_of(linear(), tmp_path / "b", users=6), part)
    assert {f.metric for f in first.findings} <= set(INFO.metrics)
    assert [f.to_dict() for f in first.findings] == [f.to_dict() for f in second.findings]
    assert len({f.id for f in first.findings}) == len(first.findings)
    assert PLACES["faithfulness"].load() is Faithfulness


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"users": 1}, "users: 1 must be"),
        ({"evaluations": 0}, "evaluations: 0 must be"),
        ({"operators": []}, "operators: .* must be a list"),
        ({"operators": "delete"}, "operators: 'delete' must be a list"),
        ({"operators": ["erase"]}, "operators: 'erase' must be one of"),
        ({"operators": ["delete", "delete"]}, "names one twice"),
        ({"orders": True}, "orders: True must be"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(options, says):
    with pytest.raises(ValueError, match=says):
        Faithfulness(**options)
