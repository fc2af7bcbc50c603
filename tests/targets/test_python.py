"""Python targets: every accepted form, and whatever a user's code may do."""

import asyncio
import math
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from audit.errors import TargetError, TargetUnavailable
from audit.target import Input, describe
from audit.targets.python import FunctionTarget, as_recommender, load
from audit.targets.wrap import ask, check_answers
from audit.types import Answer, Catalog, Event, Item, Ranked, Request, User

ITEMS = [
    Item("50", "Star Wars (1977)"),
    Item("1", "Toy Story (1995)"),
    Item("187", "Godfather: Part II, The (1974)"),
    Item("9", "187 (1997)"),
]
CATALOG = Catalog(ITEMS)
REQUEST = Request(User("u1", (Event(ITEMS[0]), Event(ITEMS[1]))), k=2)


def asked(function, request=REQUEST, **options):
    return FunctionTarget(function, CATALOG, **options).recommend([request])[0]


def test_the_function_is_given_titles_as_the_request_shows_them():
    seen = {}

    def recommend(history, candidates, k):
        seen.update(history=history, candidates=candidates, k=k)
        return candidates or []

    edited = Item("1", "Toy Story – everybody loves it")
    answer = asked(recommend, Request(REQUEST.user, candidates=(edited, ITEMS[2]), k=5))
    assert seen == {
        "history": ["Star Wars (1977)", "Toy Story (1995)"],
        "candidates": ["Toy Story – everybody loves it", "Godfather: Part II, The (1974)"],
        "k": 5,
    }
    assert answer.ids == ("1", "187")
    asked(recommend)
    assert seen["candidates"] is None


def test_titles_ids_and_inventions():
    assert asked(lambda history, candidates, k: ["Toy Story", "The Godfather: Part II", "No Such Film"]).ids == (
        "1",
        "187",
        None,
    )
    assert asked(lambda history, candidates, k: ["187", "1", "50"]).ids == ("187", "1", "50")


def test_a_function_of_ids():
    seen = []

    def recommend(history, candidates, k):
        seen.append((history, candidates))
        return ["187"]

    answer = asked(recommend, Request(REQUEST.user, candidates=tuple(ITEMS[2:])), reads="id")
    assert seen == [(["50", "1"], ["187", "9"])]
    assert answer.ids == ("187",)  # not the film that is called 187
    assert FunctionTarget(recommend, CATALOG, reads="id").info.honours == {Input.HISTORY}


def test_any_ordered_iterable_of_strings_will_do():
    for returned in (("1", "50"), np.array(["1", "50"]), (x for x in ("1", "50"))):
        answer = asked(lambda history, candidates, k, returned=returned: returned)
        assert answer.ids == ("1", "50")
        assert all(type(entry.title) is str for entry in answer.ranked)


def test_too_many_and_repeated_entries_are_kept_for_the_count():
    assert asked(lambda history, candidates, k: ["1", "1", "50", "187"]).ids == ("1", "1", "50", "187")
    assert asked(lambda history, candidates, k: []).outcome == "ok"


@pytest.mark.parametrize(
    ("returned", "detail"),
    [
        (None, "the function returned None"),
        ("Toy Story", "the function returned the str 'Toy Story'"),
        (7, "the function returned the int 7"),
        ({"1": 0.5}, "the function returned a dict"),
        ({"1", "50"}, "the function returned a set"),
        ([1, 50], "entry 1 of what the function returned is the int 1"),
        (["1", ["50"]], "entry 2 of what the function returned is a list"),
        (["1", None], "entry 2 of what the function returned is None"),
    ],
)
def test_what_is_not_a_list_of_strings_is_unparsable(returned, detail):
    answer = asked(lambda history, candidates, k: returned)
    assert answer.outcome == "unparsable"
    assert answer.detail == f"{detail}; a list of titles or ids is expected"


def test_an_exception_is_the_outcome_of_its_request_alone():
    def recommend(history, candidates, k):
        if k == 3:
            raise ValueError("no model\nfor this")
        return ["1"]

    target = FunctionTarget(recommend, CATALOG)
    answers = target.recommend([Request(REQUEST.user, k=k) for k in (1, 3, 2)])
    assert [a.outcome for a in answers] == ["ok", "error", "ok"]
    assert answers[1].detail.startswith("ValueError: no model for this (test_python.py, line ")
    assert answers[1].usage.seconds > 0


def test_an_exception_inside_a_generator_is_counted_too():
    def recommend(history, candidates, k):
        yield "1"
        raise KeyError("late")

    assert asked(recommend).outcome == "error"


def test_failures_of_the_endpoint_behind_a_function_pass_through():
    def recommend(history, candidates, k):
        raise TargetUnavailable("try again")

    with pytest.raises(TargetUnavailable):
        asked(recommend)


def test_a_function_only_ranks():
    answer = asked(lambda history, candidates, k: [], Request(REQUEST.user, "score", candidates=(ITEMS[0],)))
    assert answer.outcome == "error"
    assert answer.detail == "the target does not do 'score'; it does: rank"


def by_name(k, history, candidates):
    return ["1"] if isinstance(k, int) and isinstance(history, list) else []


def by_order(past, pool, n):
    return ["1"] if isinstance(past, list) and isinstance(n, int) else []


class Callable3:
    def __call__(self, history, candidates, k):
        return ["1"]


class Method3:
    def recommend(self, history, candidates, k):
        return ["1"]


class Batch:
    def recommend(self, requests):
        return [Answer((Ranked("1"),)) for _ in requests]


@pytest.mark.parametrize(
    "form",
    [
        by_name,
        by_order,
        lambda history, candidates, k, extra=1: ["1"],
        partial(lambda history, candidates, k, model: ["1"], model="m"),
        Callable3(),
        Method3(),
        Method3().recommend,
        Batch(),
        SimpleNamespace(recommend=by_order),
    ],
)
def test_accepted_forms(form):
    target = as_recommender(form, CATALOG)
    assert target.recommend([REQUEST])[0].ids == ("1",)
    assert describe(target).tasks == ("rank",)


def test_an_object_that_recommends_is_returned_as_it_is():
    batch = Batch()
    assert as_recommender(batch) is batch


async def coroutine(history, candidates, k):
    return ["1"]


@pytest.mark.parametrize(
    ("form", "found"),
    [
        (lambda history, k: [], "the function <lambda>(history, k)"),
        (lambda history, candidates, k, model: [], "the function <lambda>(history, candidates, k, model)"),
        (lambda: [], "the function <lambda>()"),
        (coroutine, "the async function coroutine"),
        (SimpleNamespace(recommend=lambda a, b: []), "the function <lambda>(a, b)"),
        (None, "None"),
        ("model.pt", "the str 'model.pt'"),
        ({}, "a dict"),
    ],
)
def test_other_forms_are_named_with_what_is_accepted(form, found):
    with pytest.raises(TargetError) as caught:
        as_recommender(form, CATALOG)
    assert str(caught.value).startswith(f"target: found {found}; accepted is an object with recommend(requests), or a")


def test_a_class_is_not_an_instance():
    with pytest.raises(TargetError, match=r"found the class Batch; give an instance: Batch\(…\)"):
        as_recommender(Batch)


# --- load ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """A folder with user modules; what a test imports from it is forgotten afterwards."""
    before, path = set(sys.modules), list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def write(folder, code, name="shop_rec.py"):
    (folder / name).write_text(code)


CLASS = "class Rec:\n    def recommend(self, history, candidates, k):\n        return ['1']\n"
DEEP = "def load():\n    raise OSError('no weights')\ndef build():\n    return load()\n"
FUNCTION = "def recommend(history, candidates, k):\n    return ['Toy Story'][:k]\n"


@pytest.mark.parametrize(
    ("code", "factory", "args"),
    [
        (FUNCTION, "shop_rec:recommend", {}),
        (f"{FUNCTION}def build():\n    return recommend\n", "shop_rec:build", {}),
        ("def build(title):\n    return lambda history, candidates, k: [title]\n", "shop_rec:build", {"title": "1"}),
        ("def rec(history, candidates, k, *, title):\n    return [title]\n", "shop_rec:rec", {"title": "1"}),
        ("def build(catalog):\n    return lambda h, c, k: [list(catalog)[1]]\n", "shop_rec:build", {}),
        (CLASS, "shop_rec:Rec", {}),
        (f"{CLASS}rec = Rec()\n", "shop_rec:rec", {}),
        ("class Shop:\n    def build():\n        return lambda past, pool, k: ['1']\n", "shop_rec:Shop.build", {}),
    ],
)  # fmt: skip
def test_what_a_factory_may_be(folder, code, factory, args):
    write(folder, code)
    target = load(factory, args, base_dir=folder, catalog=CATALOG)
    assert target.recommend([REQUEST])[0].ids == ("1",)


def test_a_package_with_neighbours_that_are_imported_late(folder):
    (folder / "shop").mkdir()
    write(folder, "", "shop/__init__.py")
    write(
        folder,
        "def recommend(history, candidates, k):\n    import shop_data\n    return shop_data.BEST\n",
        "shop/rec.py",
    )
    write(folder, "BEST = ['1']\n", "shop_data.py")
    assert load("shop.rec:recommend", base_dir=folder, catalog=CATALOG).recommend([REQUEST])[0].ids == ("1",)


def test_two_audits_in_one_process_do_not_share_a_module(folder):
    for n, title in enumerate(["1", "50"]):
        (folder / str(n)).mkdir()
        write(folder, f"def recommend(history, candidates, k):\n    return ['{title}']\n", f"{n}/shop_rec.py")
    found = [load("shop_rec:recommend", base_dir=folder / str(n), catalog=CATALOG) for n in (0, 1)]
    assert [target.recommend([REQUEST])[0].ids for target in found] == [("1",), ("50",)]


def test_a_version_makes_answers_reusable(folder):
    write(folder, FUNCTION)
    infos = [describe(load("shop_rec:recommend", base_dir=folder, version=v)) for v in (None, "1", "1", "2")]
    assert infos[0].fingerprint is None
    assert infos[1].fingerprint == infos[2].fingerprint != infos[3].fingerprint
    assert infos[0].name == "recommend"


@pytest.mark.parametrize(
    ("code", "factory", "args", "message"),
    [
        (FUNCTION, "shop_rec", {}, "'shop_rec' does not name a function; write it as 'my_module:build'"),
        (FUNCTION, "shop_rek:build", {}, "no module 'shop_rek'"),
        (FUNCTION, "shop_rek:build", {}, "did you mean 'shop_rec'?"),
        (FUNCTION, "shop_rec:recomend", {}, "has no 'recomend'; did you mean 'recommend'?"),
        ("import nolib", "shop_rec:build", {}, "ModuleNotFoundError: No module named 'nolib' (shop_rec.py, line 1)"),
        ("x = 1\ndef build(:\n", "shop_rec:build", {}, "your code raised SyntaxError"),
        ("x = 1\ndef build(:\n", "shop_rec:build", {}, "(shop_rec.py, line 2)"),
        (DEEP, "shop_rec:build", {}, "your code raised OSError: no weights (shop_rec.py, line 2)"),
        ("def build():\n    raise SystemExit(3)\n", "shop_rec:build", {}, "raised SystemExit: 3 (shop_rec.py, line 2)"),
        ("def build():\n    return int('x')\n", "shop_rec:build", {}, "(shop_rec.py, line 2)"),
        ("def build(x):\n    return 1\n", "shop_rec:build", {}, "target.args: build(x) cannot be called with them"),
        ("def build():\n    return 1\n", "shop_rec:build", {"path": "x"}, "got an unexpected keyword argument 'path'"),
        ("def build():\n    return None\n", "shop_rec:build", {}, "found None; accepted is"),
        ("def build():\n    return lambda a: a\n", "shop_rec:build", {}, "found the function <lambda>(a); accepted is"),
        ("build = 3\n", "shop_rec:build", {}, "found the int 3; accepted is a function that builds a target"),
        (f"{CLASS}rec = Rec()\n", "shop_rec:rec", {"a": 1}, "is an object and takes no args"),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_said_in_one_sentence(folder, code, factory, args, message):
    write(folder, code)
    with pytest.raises(TargetError) as caught:
        load(factory, args, base_dir=folder, catalog=CATALOG)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_named_like_a_loaded_module_is_refused(folder):
    write(folder, FUNCTION, "json.py")
    with pytest.raises(TargetError, match="another module named 'json' is already loaded"):
        load("json:recommend", base_dir=folder)


# --- what comes back from any target ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (None, "recommend returned None; it must return a list"),
        ("ok", "recommend returned the str 'ok'"),
        ({}, "recommend returned a dict"),
        (iter([]), "it must return a list"),
        ([], "recommend returned 0 answers to 1 requests"),
        ([Answer(), Answer()], "recommend returned 2 answers to 1 requests"),
        ([["1", "50"]], "recommend returned a list for request 0; it must be an audit.Answer"),
    ],
)
def test_answers_that_cannot_be_told_apart_stop(answers, message):
    with pytest.raises(TargetError) as caught:
        check_answers([REQUEST], answers)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (Answer((Ranked("1", score=math.nan),)), "entry 1 has the score nan; scores must be finite"),
        (Answer((Ranked("1"), Ranked("50", score=-math.inf))), "entry 2 has the score -inf; scores must be finite"),
        (Answer((Ranked("1", score=np.float32("inf")),)), "entry 1 has the score inf; scores must be finite"),
        (Answer((Ranked("1", score="high"),)), "entry 1 has the str 'high' as score; scores are numbers"),
        (Answer((Ranked("1", score=True),)), "entry 1 has the bool True as score; scores are numbers"),
        (Answer((Ranked(1),)), "entry 1 has the int 1 as item_id; ids are strings"),
        (Answer((Ranked("1", None),)), "entry 1 has a title or reason that is not a string"),
        (Answer(("1",)), "entry 1 is the str '1', not a Ranked"),
        (Answer("1"), "ranked is the str '1', not a tuple of Ranked"),
        (Answer(text=b"x"), "text is a bytes, not a string"),
        (Answer(outcome="fine"), "outcome 'fine' is none of ok, refused, unparsable, error"),
    ],
)
def test_contents_of_a_wrong_type_are_unparsable(answer, detail):
    (checked,) = check_answers([REQUEST], [answer])
    assert (checked.outcome, checked.detail, checked.ranked) == ("unparsable", detail, ())


def test_good_answers_pass_untouched_and_numpy_scores_become_floats():
    good = Answer((Ranked("1", score=0.5), Ranked("nobody-knows-me")), usage=Answer().usage)
    assert check_answers([REQUEST], [good])[0] is good
    (numpy,) = check_answers([REQUEST], (Answer((Ranked("1", score=np.float32(0.5)),)),))
    assert type(numpy.ranked[0].score) is float
    listed = check_answers([REQUEST], [Answer([Ranked("1")])])[0]
    assert listed.ranked == (Ranked("1"),)


def test_scores_go_with_the_candidates():
    request = Request(REQUEST.user, "score", candidates=tuple(ITEMS[:2]))

    def detail(*ranked):
        return check_answers([request], [Answer(ranked)])[0].detail

    assert detail(Ranked("50", score=1.0), Ranked("1", score=0)) == ""
    assert detail(Ranked("50", score=1.0)) == "1 scores for 2 candidates"
    assert detail(Ranked("50", score=1.0), Ranked("1")) == "entry 2 ('1') has no score"
    assert "keep their order" in detail(Ranked("1", score=1.0), Ranked("50", score=0.5))
    refusal = Answer(outcome="refused", detail="no")
    assert check_answers([request], [refusal]) == [refusal]


def test_ask_isolates_the_request_on_which_an_object_raises():
    class Brittle:
        calls = 0

        def recommend(self, requests):
            self.calls += 1
            if any(r.k == 3 for r in requests):
                raise RuntimeError("boom")
            return [Answer((Ranked("1"),))] * len(requests)

    target = Brittle()
    answers = ask(target, [Request(REQUEST.user, k=k) for k in (1, 3, 2)])
    assert [a.outcome for a in answers] == ["ok", "error", "ok"]
    assert answers[1].detail == "RuntimeError: boom"
    assert target.calls == 4

    with pytest.raises(TargetError, match="returned 0 answers"):
        ask(SimpleNamespace(recommend=lambda requests: []), [REQUEST])


def test_interrupting_is_not_an_answer():
    def stop(history, candidates, k):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asked(stop)
    with pytest.raises(asyncio.CancelledError):
        asked(lambda history, candidates, k: (_ for _ in ()).throw(asyncio.CancelledError()))
