"""RanMASK: what copies show, and that no certificate is false."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from helpers import ODD_TITLES, Scripted, items, request

from audit.defense import Certifies
from audit.errors import ConfigError
from audit.seeds import generator
from audit.target import Input
from audit.types import Answer, Event, Item, Ranked, Request, User
from defenses.smoothing.ranmask import Masked, RanMask

READS = frozenset({Input.HISTORY, Input.ITEM_TEXT, Input.NOTE, Input.PASSAGES, Input.TURNS})


def protect(answer: Any = None, *, info: dict[str, Any] | None = None, **options: Any) -> tuple[Scripted, Masked]:
    declared = {"tasks": ("score", "rank"), "honours": READS, "fingerprint": "f", **(info or {})}
    target = Scripted(*(() if answer is None else (answer,)), **declared)
    return target, RanMask(**options).protect(target)


def noted(note: str, **fields: Any) -> Request:
    return replace(request(history=0, candidates=2), user=User("u", note=note), **fields)


def brittle(seed: int, share: float) -> Any:
    """A target that is a coin of this bias for each different request."""

    def answer(asked: Request) -> Answer:
        rng = generator(seed, asked.digest)
        offered = asked.candidates or ()
        if asked.task == "score":
            return Answer(tuple(Ranked(c.id, c.title, float(rng.random() < share)) for c in offered))
        first = offered if rng.random() < share else offered[::-1]
        return Answer(tuple(Ranked(c.id, c.title) for c in first[: asked.k]))

    return answer


def substituted(words: list[str], vocabulary: list[str], edits: int) -> Iterator[list[str]]:
    """All ways of writing other words in at most so many places."""
    for places in itertools.combinations(range(len(words)), edits):
        for new in itertools.product(vocabulary, repeat=edits):
            made = list(words)
            for place, word in zip(places, new, strict=True):
                made[place] = word
            yield made


def holds(claim: Any, answer: Answer, k: int) -> bool:
    if claim.statement in {"in_top_k", "not_in_top_k"}:
        return (claim.item_id in answer.ids[:k]) == (claim.statement == "in_top_k")
    (score,) = (r.score for r in answer.ranked if r.item_id == claim.item_id)
    assert score is not None
    return (score > 0.5) == (claim.statement == "yes")


@pytest.mark.parametrize("task", ["score", "rank"])
@pytest.mark.parametrize(("words", "kept"), [(4, 1), (5, 1), (6, 2)])
def test_no_certificate_over_words_is_false(task: Any, words: int, kept: int) -> None:
    """Every substitution inside the radius is tried, on targets that answer each different text by a coin."""
    tried = 0
    for seed in range(25):
        _, made = protect(brittle(seed, 0.9), of="words", fields=["note"], kept=kept, mode="exact")
        written = list("abcde"[:words])
        asked = noted(" ".join(written), task=task, k=1)
        assert isinstance(made, Certifies)
        certificate = made.certify(asked)
        assert certificate.answer == made.recommend([asked])[0]
        for claim in certificate.claims:
            assert set(claim.radius) == {"substitution"}
            for edits in range(1, min(claim.radius["substitution"], 2) + 1):
                others = [noted(" ".join(w), task=task, k=1) for w in substituted(written, ["a", "x", "<mask>"], edits)]
                for other in made.recommend(others):
                    tried += 1
                    assert holds(claim, other, 1)
    assert tried > 100


def test_no_certificate_over_history_items_is_false() -> None:
    shelf = [Event(item, 4.0) for item in items(3, start=50)]
    tried = 0
    for seed in range(25):
        _, made = protect(brittle(seed, 0.9), of="history", kept=1)
        asked = request(history=4, candidates=2, task="score")
        certificate = made.certify(asked)
        assert (certificate.method, certificate.unit, certificate.units) == ("exact", "history item", 4)
        for claim in certificate.claims:
            if claim.radius["substitution"] < 1:
                continue
            for place, event in itertools.product(range(4), shelf):
                history = (*asked.user.history[:place], event, *asked.user.history[place + 1 :])
                (other,) = made.recommend([replace(asked, user=replace(asked.user, history=history))])
                tried += 1
                assert holds(claim, other, 1)
    assert tried > 100


def test_half_the_units_certify_nothing() -> None:
    _, made = protect(brittle(0, 1.0), of="words", fields=["note"], kept=3)
    (claim, _) = made.certify(noted("a b c d e f", task="score")).claims
    assert claim.radius == {"substitution": 0}
    _, made = protect(brittle(0, 1.0), of="words", fields=["note"], kept=2)
    (claim, _) = made.certify(noted("a b c d e f", task="score")).claims
    assert claim.radius == {"substitution": 1}


def test_copies_show_k_words_and_nothing_of_the_others() -> None:
    target, made = protect(of="words", kept=3)
    user = User("u", (Event(Item("i0", "Winter  Garden", "cold\tplace"), 5.0),), note="one two\n three")
    asked = replace(request(candidates=3), user=user, instruction="Rank these.")
    made.recommend([asked])
    assert len(target.asked) == len({r.digest for r in target.asked}) == 35  # 3 of 7 words
    for copy in target.asked:
        assert (copy.instruction, copy.candidates, copy.user.history[0].rating) == ("Rank these.", asked.candidates, 5)
        written = [copy.user.note, copy.user.history[0].item.title, copy.user.history[0].item.text]
        assert [len(text.split(" ")) for text in written] == [3, 2, 2]
        words = " ".join(written).split(" ")
        assert words.count("<mask>") == 4
        assert all(
            w in {"<mask>", given}
            for w, given in zip(words, "one two three Winter Garden cold place".split(), strict=True)
        )


def test_a_masked_event_is_no_item_has_no_rating_and_keeps_its_place() -> None:
    target, made = protect(of="history", kept=2, mask="###")
    asked = request(history=4)
    made.recommend([asked])
    assert len(target.asked) == 6
    for copy in target.asked:
        marks = [e for e in copy.user.history if e.item.id == "###"]
        assert len(copy.user.history) == 4
        assert marks == [Event(Item("###", "###"))] * 2
        assert all(e == given for e, given in zip(copy.user.history, asked.user.history, strict=True) if e not in marks)


def test_each_scored_item_is_masked_in_a_request_of_its_own() -> None:
    def longest(asked: Request) -> Answer:
        (item,) = asked.candidates or ()
        return Answer((Ranked(item.id, item.title, 0.9 if "Number" in item.title else 0.2),))

    target, made = protect(longest, of="item", kept=1)
    offered = (*items(2), Item("x", "One Two Three"), Item("y", "Short", "a b c d e Number"))
    asked = replace(request(task="score"), candidates=offered)
    (answer,) = made.recommend([asked])
    assert answer.ids == ("i0", "i1", "x", "y")
    assert all(len(copy.candidates or ()) == 1 for copy in target.asked)
    assert answer.usage.calls == 4 + 4 + 3 + 7
    certificate = made.certify(asked)
    assert [c.item_id for c in certificate.claims] == ["i0", "i1", "x", "y"]
    assert certificate.units == 3  # the fewest
    assert RanMask(of="item").info.lacking(target.info, "rank")


def test_a_score_that_cannot_be_had_is_not_made_up() -> None:
    def silent(asked: Request) -> Answer:
        (item,) = asked.candidates or ()
        return Answer(outcome="refused", detail="no") if item.id == "i1" else Answer((Ranked(item.id, "", 0.7),))

    _, made = protect(silent, of="item", kept=1)
    (answer,) = made.recommend([replace(request(task="score"), candidates=items(3))])
    assert (answer.outcome, answer.ranked) == ("refused", ())


@pytest.mark.parametrize("note", ["", "  \n", "word", "two words"])
def test_too_few_words_get_the_bare_answer_and_a_reason(note: str) -> None:
    target, made = protect(of="words", fields=["note"], kept=3)
    asked = noted(note)
    (answer,) = made.recommend([asked])
    assert target.asked == [asked]
    assert answer.ids == ("i0", "i1")
    certificate = made.certify(asked)
    assert not certificate.covered
    assert f"{len(note.split())} words are fewer than the 3" in certificate.reason


def test_odd_texts_are_words_like_others() -> None:
    target, made = protect(of="words", fields=["note"], kept=1)
    note = " ".join(ODD_TITLES)
    made.recommend([noted(note)])
    shown = [w for copy in target.asked for w in copy.user.note.split(" ") if w != "<mask>"]
    assert sorted(shown) == sorted(note.split())


def test_a_service_with_one_word_only_is_masked_all_the_same() -> None:
    _, made = protect(brittle(1, 0.5), of="words", fields=["note"], kept=1)
    assert made.certify(noted("a a a a")).answer.outcome == "ok"


def test_equal_draws_are_equal_and_others_are_independent() -> None:
    asked = request(history=30, candidates=2, task="score")
    _, made = protect(brittle(3, 0.5), samples=20, kept=4)
    _, again = protect(brittle(3, 0.5), samples=20, kept=4)
    drawn = made.recommend_draws([asked] * 30, range(30))
    assert drawn[::-1] == again.recommend_draws([asked] * 30, range(29, -1, -1))
    assert len({a.scores for a in drawn}) > 5


def test_what_the_target_does_not_read_is_said() -> None:
    deaf = Scripted(honours=frozenset({Input.HISTORY})).info
    assert RanMask().info.lacking(deaf, "rank") is None
    assert "ranmask works" in (RanMask(of="words").info.lacking(deaf, "rank") or "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kept": 0}, r"ranmask\.kept: 0 must be at least 1"),
        ({"of": "letters"}, r"ranmask\.of: 'letters'"),
        ({"mask": ""}, r"ranmask\.mask"),
        ({"mask": "two words"}, r"ranmask\.mask"),
        ({"fields": ["titel"]}, r"ranmask\.fields: 'titel'"),
        ({"alpha": 0.7}, r"ranmask\.alpha"),
        ({"samples": 0}, r"ranmask\.samples"),
        ({"rule": "borda"}, r"ranmask\.rule"),
    ],
)
def test_bad_options(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        RanMask(**options)


def test_the_fingerprint_holds_the_options() -> None:
    prints = {
        protect(**options)[1].info.fingerprint
        for options in ({}, {"mask": "#"}, {"of": "words"}, {"kept": 2}, {"of": "words", "fields": ["note"]})
    }
    assert None not in prints
    assert len(prints) == 5
