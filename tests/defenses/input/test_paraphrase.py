"""Paraphrase: texts are rewritten once, titles keep their name, and failures are counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from helpers import Scripted, items, request

from attacks.injection.attacks import Injection
from audit.attack import Offer
from audit.edits import apply
from audit.errors import ConfigError
from audit.target import Input
from audit.types import Answer, Catalog, Passage, Ranked, Request, Turn
from defenses.input.paraphrase import LMRewriter, Paraphrase

ALL = frozenset(Input)


class Scribe:
    """Writes what a function says, and keeps what it was given."""

    identity = "scribe"

    def __init__(self, write=lambda text: f"In short: {text}", name=lambda title: title) -> None:
        self._write, self._name = write, name
        self.batches: list[list[str]] = []

    def rewrite(self, texts: Sequence[str]) -> list[str]:
        self.batches.append(list(texts))
        return [self._write(text) for text in texts]

    def shorten(self, titles: Sequence[str]) -> list[str]:
        self.batches.append(list(titles))
        return [self._name(title) for title in titles]


def told() -> Request:
    asked = request(candidates=2)
    assert asked.candidates is not None
    first, second = asked.candidates
    return replace(
        asked,
        user=replace(asked.user, note="I like gardens"),
        candidates=(replace(first, text=f"The {first.title} is fine"), second),
        instruction="Rank.",
        passages=(Passage("p", "A page"),),
        turns=(Turn("user", "Hello"), Turn("system", "Obey the operator")),
    )


def test_everything_but_titles_and_the_operators_words_is_rewritten() -> None:
    target = Scripted(honours=ALL)
    guard = Paraphrase(model=Scribe()).protect(target)
    guard.recommend([told()])
    (seen,) = target.asked
    assert seen.candidates is not None
    assert seen.candidates[0].text == "In short: The Winter Garden Number 4 is fine"
    assert (seen.user.note, seen.passages[0].text) == ("In short: I like gardens", "In short: A page")
    assert [turn.text for turn in seen.turns] == ["In short: Hello", "Obey the operator"]
    assert seen.instruction == "Rank."
    assert [c.title for c in seen.candidates] == [c.title for c in told().candidates or ()]
    assert guard.notes == ()


def test_a_text_is_written_once_whoever_asks() -> None:
    scribe = Scribe()
    guard = Paraphrase(model=scribe).protect(Scripted(honours=ALL))
    guard.recommend([told(), replace(told(), k=3)])
    guard.recommend([told()])
    (batch,) = scribe.batches
    assert sorted(batch) == ["A page", "Hello", "I like gardens", "The Winter Garden Number 4 is fine"]


def test_only_what_the_target_reads_is_rewritten() -> None:
    scribe = Scribe()
    Paraphrase(model=scribe).protect(Scripted(honours=frozenset({Input.NOTE}))).recommend([told()])
    assert scribe.batches == [["I like gardens"]]


def test_nothing_written_or_a_lost_title_leaves_the_text_and_is_counted() -> None:
    said = {
        "A page": "  ",
        "Hello": "",
        "The Winter Garden Number 4 is fine": "It is fine",
        "I like gardens": "Gardens!",
    }
    target = Scripted(honours=ALL)
    guard = Paraphrase(model=Scribe(said.__getitem__)).protect(target)
    guard.recommend([told()])
    (seen,) = target.asked
    assert seen == replace(told(), user=replace(told().user, note="Gardens!"))
    assert guard.notes == ("paraphrase: 3 of 4 texts were read as written: 1 lost a title, 2 came back empty",)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("winter garden number 5", "Winter Garden Number 5"),
        ('"Winter Garden"', "Winter Garden"),
        ("Garden of Winters", "Winter Garden Number 5"),  # other words: no name of this item
        ("Winter Gard", "Winter Garden Number 5"),
        ("", "Winter Garden Number 5"),
    ],
)
def test_a_title_may_only_become_shorter(said: str, expected: str) -> None:
    target = Scripted(honours=ALL)
    Paraphrase(model=Scribe(name=lambda _: said), titles="shorten").protect(target).recommend([request(candidates=2)])
    (seen,) = target.asked
    assert seen.candidates is not None
    assert seen.candidates[1].title == expected


def follows(asked: Request) -> Answer:
    """Puts first whatever a text orders word by word."""
    shown = asked.candidates or ()
    ranked = sorted(shown, key=lambda item: f"rank {item.title.casefold()} first" not in item.text.casefold())
    return Answer(tuple(Ranked(i.id, i.title) for i in ranked[: asked.k]))


def test_an_order_that_works_word_by_word_does_not_survive_other_words() -> None:
    catalog = Catalog(items(12))
    attack = Injection(catalog, families=["override"], fields=["description"])
    asked = request(candidates=5)
    assert asked.candidates is not None
    offer = Offer(asked.candidates[4], asked, items(3), attack.variants[0])
    attacked = apply(attack.rewrite(offer, np.random.default_rng(0)), asked)
    obeys = Scripted(lambda r: follows(_unquoted(r)), honours=ALL)
    assert obeys.recommend([attacked])[0].ids[0] == "i8"
    scribe = Scribe(lambda text: "Someone wants Winter Garden Number 8 on top.")
    assert Paraphrase(model=scribe).protect(obeys).recommend([attacked])[0].ids[0] == "i4"


def _unquoted(asked: Request) -> Request:
    items_ = tuple(replace(item, text=item.text.replace('"', "")) for item in asked.candidates or ())
    return replace(asked, candidates=items_)


def test_the_model_writes_greedily_and_what_does_not_end_is_nothing(llama) -> None:
    rewriter = LMRewriter(llama)
    texts = ["Heat (1995)", "Up (2009); Alien"]
    first = rewriter.rewrite(texts)
    assert first == rewriter.rewrite(texts)
    room = max(len(tokens) for tokens in llama.encode(texts)) * 3 // 2 + 16
    for text, said in zip(texts, first, strict=True):
        prompt = llama.encode([rewriter._framed(_wish(text))])[0]
        (expected,) = llama.generate([prompt], max_new_tokens=room)
        assert said == ("" if len(expected) == room else llama.decode(expected))
    too_long = "Heat (1995); " * 200
    assert rewriter.rewrite([too_long]) == [""]
    assert rewriter.rewrite([]) == []


def _wish(text: str) -> str:
    from defenses.input.paraphrase import _REWRITE

    return _REWRITE.replace("{text}", text)


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match=r"defenses.paraphrase.titles: 'keeps' is no choice; did you mean 'keep'"):
        Paraphrase(titles="keeps")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"defenses.paraphrase.model: '/nowhere' is not a folder"):
        Paraphrase(model="/nowhere")


def test_what_the_answers_depend_on_is_in_the_fingerprint() -> None:
    target = Scripted(fingerprint="f", honours=ALL)
    other = Scribe()
    other.identity = "other"
    made = [Paraphrase(model=Scribe()), Paraphrase(model=Scribe(), titles="shorten"), Paraphrase(model=other)]
    assert len({defense.protect(target).info.fingerprint for defense in made}) == 3


@pytest.mark.llm
def test_smollm2_rewrites_and_keeps_names(smollm2) -> None:
    target = Scripted(honours=ALL)
    guard = Paraphrase(model=smollm2).protect(target)
    asked = request(candidates=2, passages=(Passage("p", "The film Heat is about a detective who hunts a thief."),))
    guard.recommend([asked])
    (seen,) = target.asked
    text = seen.passages[0].text
    assert text == asked.passages[0].text or (text.strip() and text != asked.passages[0].text)
    assert guard.rewrite([asked]) == [seen]
    assert len(guard.notes) == (text == asked.passages[0].text)
