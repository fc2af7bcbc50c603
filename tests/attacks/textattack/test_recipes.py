"""Each recipe on a target whose brittle word is known: it finds it at true cost, and leaves alone what must stay."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import ODD_TITLES, Scripted, catalog, request, requests

from attacks.textattack.attacks import (
    Bae,
    BertAttack,
    DeepWordBug,
    HomoglyphSwap,
    InputReduction,
    Pruthi,
    Pwws,
    TextBugger,
)
from attacks.textattack.search import Recipe
from audit.attack import Attempt, Goal, Objective
from audit.edits import apply
from audit.errors import AssetError, AttackError, ConfigError, TargetError
from audit.modules.base import build
from audit.target import Input, Insight
from audit.types import Answer, Event, Item, Ranked, Request, User

pytestmark = [pytest.mark.xdist_group("textattack"), pytest.mark.usefixtures("small_wordnet")]

TEXT = "Please recommend a good movie for this user.\nAnswer Yes or No, {title}: “dear” 👍 friend  of films."
RAISING = [DeepWordBug, Pwws, Pruthi, TextBugger, HomoglyphSwap, BertAttack, Bae]
FLIP = Objective(Goal.FLIP, label_free=True)


def yes_no(belief: Callable[[str], float]) -> Scripted:
    """A target that says how much the user will like the candidate, from the instruction alone."""

    def answer(asked: Request) -> Answer:
        return Answer(tuple(Ranked(c.id, c.title, belief(asked.instruction)) for c in asked.candidates or ()))

    return Scripted(
        answer, honours=frozenset({Input.INSTRUCTION}), reveals=frozenset({Insight.SCORES}), tasks=("score",)
    )


def brittle() -> Scripted:
    """Sure of its yes, a little less for each missing word, and lost without `recommend`."""
    words = TEXT.split()
    return yes_no(
        lambda text: (0.95 if "recommend" in text else 0.2) - 0.01 * sum(word not in text.split() for word in words)
    )


def asked(users: int = 1, text: str = TEXT) -> list[Request]:
    return requests(users, candidates=1, task="score", instruction=text)


def made(recipe: type[Recipe], masked_lm: Path, **options: Any) -> Recipe:
    if recipe in (BertAttack, Bae):
        options["masked_lm"] = str(masked_lm)
    return recipe(catalog(), **options)


def attack(
    recipe: Recipe, target: Scripted, requests_: list[Request], budget: int = 80, seed: int = 0
) -> list[Attempt]:
    return list(recipe.run(target, requests_, FLIP, budget, np.random.default_rng(seed)))


@pytest.mark.parametrize("recipe", RAISING)
def test_the_brittle_word_is_found_at_true_cost(recipe: type[Recipe], masked_lm: Path) -> None:
    target = brittle()
    (attempt,) = attack(made(recipe, masked_lm), target, asked())
    after = apply(attempt.edits, attempt.request).instruction
    assert "recommend" not in after
    assert attempt.after.scores[0] < 0.5 < attempt.before.scores[0]
    assert 1 <= len(attempt.edits) <= 3
    assert "Yes or No, {title}: “" in after
    assert " 👍 " in after
    # The clean request was asked, then the search asked, then the result was.
    assert attempt.queries == len(target.asked) - 2 <= 80
    assert len({r.digest for r in target.asked[1:-1]}) == attempt.queries


@pytest.mark.parametrize("recipe", RAISING)
@pytest.mark.parametrize("budget", [1, 7, 23])
def test_the_budget_holds_and_what_was_found_by_then_stands(recipe: type[Recipe], budget: int, masked_lm: Path) -> None:
    target = brittle()
    (attempt,) = attack(made(recipe, masked_lm), target, asked(), budget)
    assert attempt.queries == len(target.asked) - 2 <= budget
    shown = [apply(step.edits, attempt.request).instruction for step in attempt.trace]
    # A text without a word, or with it masked, was asked to learn from; it is no result and no improvement.
    assert not [text for text in shown if "[UNK]" in text or len(text.split()) < len(TEXT.split())]
    assert attempt.edits == (attempt.trace[-1].edits if attempt.trace else ())


@pytest.mark.parametrize("recipe", [DeepWordBug, TextBugger, Pruthi])
def test_the_same_seed_makes_the_same_attack_whoever_else_is_attacked(recipe: type[Recipe], masked_lm: Path) -> None:
    many = [a.edits for a in attack(made(recipe, masked_lm), brittle(), asked(5))]
    assert many == [a.edits for a in attack(made(recipe, masked_lm, group=2), brittle(), asked(5))]
    assert len(set(many)) > 1  # users have streams of their own
    assert many != [a.edits for a in attack(made(recipe, masked_lm), brittle(), asked(5), seed=1)]


def test_users_are_attacked_side_by_side() -> None:
    target = brittle()
    attack(Pruthi(catalog()), target, asked(6), budget=30)
    assert [len(batch) for batch in target.batches] == [6, 6, 6 * 29, 6]


def test_no_more_words_change_than_asked_for() -> None:
    fragile = yes_no(lambda text: 0.9 - 0.1 * sum(word not in text.split() for word in TEXT.split()))
    for words in (1, 2):
        (attempt,) = attack(TextBugger(catalog(), words=words), fragile, asked(), budget=300)
        assert len(attempt.edits) == words
    with pytest.raises(ValueError, match="words: 0 must be at least 1"):
        TextBugger(catalog(), words=0)


def test_input_reduction_leaves_what_the_answer_hangs_on() -> None:
    (attempt,) = attack(InputReduction(catalog(), slack=1.0), brittle(), asked())
    left = apply(attempt.edits, attempt.request).instruction
    assert "recommend" in left
    assert "Yes" in left
    assert "No, {title}:" in left
    assert not {"Please", "good", "movie", "user", "friend", "films"} & set(left.replace(".", " ").split())
    assert attempt.after.scores[0] > 0.5
    assert attempt.trace == ()


def test_a_target_that_reads_nothing_is_not_moved() -> None:
    for recipe in (DeepWordBug, HomoglyphSwap, Pwws):
        (attempt,) = attack(recipe(catalog()), yes_no(lambda text: 0.8), asked())
        assert attempt.edits  # it was attacked
        assert attempt.after.scores == attempt.before.scores


def test_unreadable_answers_are_no_success() -> None:
    def belief(text: str) -> float:
        return 0.9 if text == TEXT else float("nan")

    (attempt,) = attack(HomoglyphSwap(catalog()), yes_no(belief), asked())
    assert attempt.queries > 5
    assert attempt.edits == ()


def test_rankings_and_titles_are_attacked_too() -> None:
    """A service with a fixed prompt: the words of the titles are what can be written."""

    def answer(asked: Request) -> Answer:
        ranked = sorted(asked.candidates or (), key=lambda item: "Winter" in item.title, reverse=True)
        return Answer(tuple(Ranked(item.id, item.title) for item in ranked[: asked.k]))

    items = tuple(Item(f"i{n}", f"{season} Film") for n, season in enumerate(("Spring", "Winter", "Autumn")))
    target = Scripted(answer, honours=frozenset({Input.ITEM_TEXT}))
    (attempt,) = attack(Pruthi(catalog(), words=1), target, [Request(User("u"), candidates=items, k=1)], budget=200)
    assert [edit.field for edit in attempt.edits] == ["item:i1.title"]  # type: ignore[union-attr]
    assert attempt.after.ids != attempt.before.ids


@pytest.mark.parametrize("title", ODD_TITLES)
def test_odd_texts_are_attacked_without_harm(title: str, masked_lm: Path) -> None:
    history = (Event(Item("h", title)),)
    for recipe in [*RAISING, InputReduction]:
        one = Request(User("u", history, note=title), task="score", candidates=(Item("c", title),), instruction=title)
        target = yes_no(lambda text: 0.5 + 0.4 * (len(text) % 2))
        (attempt,) = attack(made(recipe, masked_lm), target, [one], budget=40)
        assert apply(attempt.edits, one).instruction.count("{") == title.count("{")
        assert attempt.queries <= 40


def test_a_text_in_chinese_is_attacked_without_harm() -> None:
    (attempt,) = attack(DeepWordBug(catalog()), yes_no(lambda text: 0.9), asked(text="请推荐 a good 电影 for 用户"))
    apply(attempt.edits, attempt.request)


def test_a_target_that_fails_ends_the_attack_and_leaves_nothing_running(monkeypatch: pytest.MonkeyPatch) -> None:
    running, work = [0], Recipe._work

    def watched(*given: Any) -> None:
        running[0] += 1
        try:
            work(*given)
        finally:
            running[0] -= 1

    monkeypatch.setattr(Recipe, "_work", watched)
    target = brittle()
    well = target.answer

    def answer(asked: Request) -> Answer:
        if len(target.batches) > 3:
            assert running == [3]
            raise TargetError("the target is gone")
        return well(asked)

    target.answer = answer
    with pytest.raises(TargetError, match="the target is gone"):
        attack(DeepWordBug(catalog()), target, asked(3))
    gc.collect()
    assert running == [0]


def test_a_recipe_that_breaks_is_an_error_and_never_robustness(monkeypatch: pytest.MonkeyPatch) -> None:
    from attacks.textattack.homoglyphs import HomoglyphSwap as Swap

    def broken(self: object, word: str) -> list[str]:
        raise IndexError("list index out of range")

    monkeypatch.setattr(Swap, "_get_replacement_words", broken)
    with pytest.raises(AttackError, match=r"attack homoglyph-swap: TextAttack failed on the text 'Please .*IndexError"):
        attack(HomoglyphSwap(catalog()), brittle(), asked())


@pytest.mark.parametrize("recipe", [BertAttack, Bae])
def test_without_a_masked_model_the_attack_is_not_applicable(recipe: Any, tmp_path: Path) -> None:
    info = recipe(catalog()).info
    assert "name a masked LM" in str(info.lacking(brittle().info, "score"))
    with pytest.raises(ConfigError, match=r"attacks.bae: masked_lm: '.*none' is not a folder"):
        build(recipe, {"catalog": catalog(), "masked_lm": str(tmp_path / "none")}, where="attacks.bae")
    ready = recipe(catalog(), masked_lm=str(tmp_path))
    assert ready.info.lacking(brittle().info, "score") is None
    with pytest.raises(ConfigError, match=r"masked_lm: '.*' holds no masked language model with safetensors"):
        attack(ready, brittle(), asked())


def test_wordnet_that_cannot_be_had_is_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    from audit.data import assets

    def path(name: str) -> Path:
        raise AssetError(f"asset {name}: this machine has neither WordNet 3.0 nor apt")

    monkeypatch.setattr(assets, "path", path)
    with pytest.raises(AssetError, match="neither WordNet"):
        attack(Pwws(catalog()), brittle(), asked())


def test_word_vectors_of_the_user_s_own_give_textbugger_its_fifth_bug(tmp_path: Path) -> None:
    file = tmp_path / "vectors.txt"
    words = ["recommend", "suggest", "advise", "propose", "offer", "endorse", "zebra"]
    lines = [f"{word} {at * (100 if word == 'zebra' else 1)} 0" for at, word in enumerate(words)]
    file.write_text("\n".join(lines), encoding="utf-8")
    lost = yes_no(lambda text: 0.1 if "suggest" in text else 0.9)
    (attempt,) = attack(TextBugger(catalog(), embedding=str(file)), lost, asked())
    assert "suggest" in apply(attempt.edits, attempt.request).instruction
    broken = tmp_path / "broken.txt"
    broken.write_text("one 1 2\ntwo 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line 2: 1 numbers; each line needs as many"):
        attack(TextBugger(catalog(), embedding=str(broken)), lost, asked())
    with pytest.raises(ValueError, match="is not a file of word vectors"):
        TextBugger(catalog(), embedding=str(tmp_path / "none.txt"))


def test_homoglyphs_are_letters_of_the_same_case_that_outlive_normalisation(textattack: None) -> None:
    import unicodedata

    from attacks.textattack.homoglyphs import homoglyphs

    table = homoglyphs()
    assert len(table) > 30
    for latin, alike in table.items():
        assert latin.isascii()
        for letter in alike:
            assert unicodedata.normalize("NFKC", letter) == letter
            assert unicodedata.name(letter).split()[0] in {"CYRILLIC", "GREEK"}
            assert letter.isupper() == latin.isupper()
    # Pairs named in Unicode Technical Report 36, section 2 ("paypal" and others), and in every chapter on spoofing.
    assert {"а", "е", "о", "р", "с", "х"} <= {a for alike in table.values() for a in alike}


def test_a_request_without_a_word_offers_nothing() -> None:
    (attempt,) = attack(Pruthi(catalog()), brittle(), [request(candidates=1, task="score", instruction="…")])
    assert (attempt.edits, attempt.queries) == ((), 0)
