"""Attributes guessed from lists: given away, told by the history anyway, or not told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import Scripted
from part_world import a_context, small_world
from sklearn.metrics import roc_auc_score

from audit.modules.privacy.attributes import folds_of, guesses, labels_of, rows_of
from audit.modules.privacy.inference import Inference
from audit.types import Answer, Ranked

WORLD = small_world()
ITEMS = WORLD.catalog.items_in_order


def shown(*indices):
    return Answer(tuple(Ranked(ITEMS[i % len(ITEMS)].id, ITEMS[i % len(ITEMS)].title) for i in indices))


def by_gender(request):
    number = int(request.user.id)
    return shown(*([0, 1] if number % 2 else [60, 61]), 7 * number, 11 * number, 13 * number)


def by_chance(request):
    return shown(*np.random.default_rng(int(request.user.id)).integers(0, 120, 5).tolist())


def run(tmp_path, answer, **options):
    options = {"attributes": ["gender"], "permutations": 19, "repeats": 2, **options}
    return Inference(**options).run(a_context(Scripted(answer), tmp_path, users=60), examples=0)


def find(output, **params):
    [one] = [f for f in output.findings if params.items() <= dict(f.params).items()]
    return one


def test_lists_that_give_the_gender_away(tmp_path):
    output = run(tmp_path, by_gender)
    beyond, chance = find(output, against="history"), find(output, against="chance")
    assert beyond.estimate > 0.95
    assert beyond.effect_ci[0] > 0.1
    assert beyond.p_adjusted < 0.05
    assert chance.p == pytest.approx(1 / 20)
    assert abs(chance.floor - 0.5) < 0.1
    values = output.values[beyond.id]
    assert len(values) == 60
    assert np.mean(list(values.values())) == pytest.approx(beyond.effect, abs=1e-6)


def test_lists_that_tell_nothing(tmp_path):
    output = run(tmp_path, by_chance)
    assert find(output, against="chance").p > 0.05
    assert find(output, against="history").p > 0.05


def test_lists_that_repeat_the_history_add_nothing(tmp_path):
    # Women and men of this world differ in what they have seen.
    context = a_context(
        Scripted(lambda r: Answer(tuple(Ranked(e.item.id) for e in r.user.history))), tmp_path, users=60
    )
    marked = [
        replace(
            c,
            request=replace(
                c.request,
                user=replace(
                    c.request.user,
                    history=tuple(
                        replace(e, item=ITEMS[(0 if int(c.unit) % 2 else 60) + i])
                        for i, e in enumerate(c.request.user.history[:8])
                    ),
                ),
                k=8,
            ),
        )
        for c in context.cases
    ]
    output = Inference(attributes=["gender"], permutations=19, repeats=2).run(
        replace(context, cases=marked), examples=0
    )
    beyond = find(output, against="history")
    assert beyond.estimate > 0.95
    assert beyond.floor == pytest.approx(beyond.estimate)
    assert beyond.effect == 0
    assert beyond.p == 1


def test_guesses_are_those_of_unseen_users():
    rng = np.random.default_rng(2)
    table, classes = rng.normal(size=(60, 30)), rng.integers(0, 2, 60)
    folds = folds_of(classes, rng)
    assert np.bincount(folds).min() >= 11
    scores, truth, _ = rows_of(guesses(table, classes, folds), classes)
    assert abs(roc_auc_score(truth, scores) - 0.5) < 0.2  # noise with half as many columns as rows would fit itself
    changed = table.copy()
    changed[0] += 5
    other = guesses(changed, classes, folds)
    same = folds == folds[0]
    same[0] = False
    assert np.allclose(other[same], guesses(table, classes, folds)[same])  # a user changes no model that judges them


def test_common_values_are_no_knowledge():
    classes = np.array([0] * 45 + [1] * 15)
    scores, truth, _ = rows_of(
        guesses(np.zeros((60, 3)), classes, folds_of(classes, np.random.default_rng(0))), classes
    )
    assert roc_auc_score(truth, scores) == pytest.approx(0.5, abs=0.06)


def test_figures_become_bands_and_rare_values_go():
    labels = labels_of("age", [20, 30, 40, 50, None, 60, 70], bands=2, fewest=2)
    assert labels.values == ("below 45", "from 45")
    assert (labels.classes.tolist(), labels.left_out) == ([0, 0, 0, 1, 1, 1], 1)
    jobs = labels_of("occupation", ["a", "a", "b", "b", "c"], bands=2, fewest=2)
    assert (jobs.values, jobs.left_out) == (("a", "b"), 1)
    assert labels_of("gender", ["F", "F"], bands=2, fewest=1) is None


def test_what_is_lacking_is_said(tmp_path):
    context = a_context(Scripted(tasks=("score",)), tmp_path / "a", users=10, task="score")
    assert "scores of given items" in Inference().lacking(context)
    lists = a_context(Scripted(), tmp_path / "b", users=12)
    assert "dataset.users" in Inference().lacking(lists)
    assert "any of shoe_size" in Inference(attributes=["shoe_size"]).lacking(lists)
    assert Inference(fewest=5).lacking(lists) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [({"attributes": "gender"}, "list of names"), ({"fewest": 3}, "at least 5"), ({"bands": 1}, "bands: 1")],
)
def test_bad_options_are_named(options, said):
    with pytest.raises(ValueError, match=said):
        Inference(**options)
