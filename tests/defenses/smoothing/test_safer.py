"""SAFER: what copies say, and that no certificate is false: every exchange in small tables is tried."""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import ODD_TITLES, Scripted, request

from audit.data import wordnet
from audit.defense import Certifies
from audit.errors import AssetError, ConfigError
from audit.seeds import generator
from audit.target import Input
from audit.types import Answer, Event, Item, Passage, Ranked, Request, User
from defenses.smoothing.safer import Reworded, Safer
from defenses.smoothing.safer_bound import TableKernel
from defenses.smoothing.synonyms import SynonymTable, from_mapping

READS = frozenset({Input.HISTORY, Input.ITEM_TEXT, Input.NOTE, Input.PASSAGES})
VOCABULARY = ("aa", "bb", "cc", "dd", "ee")
PAIR = {"film": ["movie"]}
CHAIN = {"aa": ["bb"], "bb": ["cc"], "cc": ["dd"], "dd": ["ee"]}


def protect(
    answer: Any = None, *, info: dict[str, Any] | None = None, table: Any = PAIR, **options: Any
) -> tuple[Scripted, Reworded]:
    declared = {"tasks": ("score", "rank"), "honours": READS, "fingerprint": "f", **(info or {})}
    target = Scripted(*(() if answer is None else (answer,)), **declared)
    return target, Safer(table=table, **options).protect(target)


def noted(note: str, **fields: Any) -> Request:
    return replace(request(history=0, candidates=2), **{"task": "score", "user": User("u", note=note), **fields})


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


def random_table(rng: np.random.Generator, largest: int) -> SynonymTable:
    """Words in a random graph: no chain need be transitive."""
    pairs = [pair for pair in itertools.combinations(VOCABULARY, 2) if rng.random() < 0.45] or [("aa", "bb")]
    return SynonymTable.of(pairs, largest)


def exchanged(words: Sequence[str], table: SynonymTable, edits: int) -> Iterator[list[str]]:
    """All texts with so many words exchanged for one of their synonyms."""
    places = [i for i, word in enumerate(words) if word in table.synonyms]
    for chosen in itertools.combinations(places, edits):
        for new in itertools.product(*(sorted(table.synonyms[words[i]]) for i in chosen)):
            made = list(words)
            for place, word in zip(chosen, new, strict=True):
                made[place] = word
            yield made


def distribution(words: Sequence[str], table: SynonymTable) -> dict[tuple[str, ...], Fraction]:
    """The probability of every copy."""
    sets = [table.draws(w) if w in table.synonyms else (w,) for w in words]
    each = Fraction(1, math.prod(map(len, sets)))
    return dict.fromkeys(itertools.product(*sets), each)


def test_the_bound_is_the_worst_exchange_exactly() -> None:
    """No share of votes moves by more than the total variation distance, and some does: the bound is that distance."""
    rng = np.random.default_rng(0)
    checked = 0
    for _ in range(60):
        table = random_table(rng, int(rng.integers(2, 5)))
        words = [str(w) for w in rng.choice(VOCABULARY, size=3)]
        overlaps = tuple(sorted(table.overlap(w) for w in words if w in table.synonyms))
        kernel = TableKernel("K1", overlaps=overlaps)
        clean = distribution(words, table)
        for edits in range(len(overlaps) + 1):
            shift = kernel.shift(len(overlaps), "substitution", edits)
            assert shift is not None
            worst = Fraction(0)
            for other in exchanged(words, table, edits):
                attacked = distribution(other, table)
                gone = sum((p for copy, p in clean.items() if copy not in attacked), Fraction(0))
                excess = sum(
                    (max(p - attacked.get(c, Fraction(0)), Fraction(0)) for c, p in clean.items()), Fraction(0)
                )
                assert excess == gone  # sets are equally large
                worst = max(worst, excess)
            assert shift.lost == shift.added == worst
            checked += worst > 0
        assert kernel.shift(len(overlaps), "substitution", len(overlaps) + 1) is None
        assert kernel.shift(len(overlaps), "insertion", 1) is None
    assert checked > 20


@pytest.mark.parametrize("task", ["score", "rank"])
def test_no_certificate_is_false(task: Any) -> None:
    """Random tables, texts and targets that answer each different text by a coin; every exchange inside a radius."""
    rng = np.random.default_rng(1)
    tried = limited = 0
    for seed in range(60):
        table = random_table(rng, int(rng.integers(2, 5)))
        given = {word: sorted(others) for word, others in table.synonyms.items()}
        _, made = protect(brittle(seed, 0.85), table=given, largest=table.largest)
        words = [str(w) for w in rng.choice(VOCABULARY, size=3)]
        asked = noted(" ".join(words), task=task, k=1)
        assert isinstance(made, Certifies)
        certificate = made.certify(asked)
        if not certificate.covered:
            continue
        assert (certificate.method, certificate.alpha) == ("exact", 0.0)
        assert certificate.answer == made.recommend([asked])[0]
        for claim in certificate.claims:
            reached = claim.radius["substitution"]
            assert -1 <= reached <= certificate.units
            limited += 0 <= reached < certificate.units
            for edits in range(reached + 1):
                others = [noted(" ".join(w), task=task, k=1) for w in exchanged(words, table, edits)]
                for answer in made.recommend(others):
                    tried += 1
                    if task == "rank":
                        assert (claim.item_id in answer.ids[:1]) == (claim.statement == "in_top_k")
                    else:
                        (score,) = (r.score for r in answer.ranked if r.item_id == claim.item_id)
                        assert ((score or 0) > 0.5) == (claim.statement == "yes")
    assert tried > 200
    assert limited > 10


def test_words_of_one_small_group_are_all_the_same() -> None:
    table = {"film": ["movie", "picture"], "good": ["fine"]}
    target, made = protect(brittle(4, 0.6), table=table)
    asked = noted("A good film, a GOOD Film!")
    certificate = made.certify(asked)
    assert (certificate.units, certificate.samples) == (4, 2 * 3 * 2 * 3)
    answers = made.recommend([asked, noted("A fine picture, a FINE Movie!")])
    assert answers[0].scores == answers[1].scores
    for claim in certificate.claims:
        assert claim.radius["substitution"] == 4  # whatever is exchanged
    assert len(target.asked) == 36


def test_random_copies_are_bounded_on_fresh_ones() -> None:
    _, made = protect(
        lambda r: Answer(tuple(Ranked(c.id, "", 0.9) for c in r.candidates or ())),
        table=CHAIN,
        largest=3,
        mode="monte-carlo",
        certify_samples=500,
        alpha=0.05,
    )
    certificate = made.certify(noted("aa bb cc dd ee"))
    assert (certificate.method, certificate.samples, certificate.alpha) == ("monte-carlo", 500, 0.05)
    assert certificate.answer.usage.calls == certificate.calls == 600
    for claim in certificate.claims:
        overlaps = sorted(made.table.overlap(w) for w in VOCABULARY)
        expected = max(r for r in range(6) if claim.lower - 1 + math.prod(overlaps[:r]) > 0.5)
        assert claim.radius == {"substitution": expected}
        assert 0.99 < claim.lower < 1


def test_copies_are_drawn_evenly_from_the_sets() -> None:
    _, made = protect(table=CHAIN, largest=3, mode="monte-carlo")
    asked = noted("Cc")
    drawn = [c.user.note for draw in range(60) for c in made.copies(asked, draw, 50) if c is not None]
    counts = [drawn.count(word) for word in ("Bb", "Cc", "Dd")]
    assert sum(counts) == 3000
    # Six standard deviations of a binomial count.
    assert all(abs(count - 1000) < 6 * math.sqrt(3000 * 2 / 9) for count in counts)


def test_only_whole_words_of_the_table_are_exchanged_and_keep_their_case() -> None:
    target, made = protect()
    note = "Film, FILM; sci-film film2 film's McFilm, fiLm «film» {film} ‮film‬ 👩‍👩‍👧film"
    made.recommend([noted(note)])
    said = {copy.user.note for copy in target.asked}
    assert len(said) == 2**6
    for text in said:
        assert all(fixed in text for fixed in ("sci-film film2 film's McFilm, fiLm «", "» {", "} ‮"))
    whole = "Movie, MOVIE; sci-film film2 film's McFilm, fiLm «movie» {movie} ‮movie‬ 👩‍👩‍👧movie"
    assert {note, whole} <= said


def test_ids_titles_and_instructions_stay() -> None:
    target, made = protect()
    user = User("u", (Event(Item("h", "The film", "film")),), note="film")
    offered = (Item("c", "Movie film", "film"),)
    asked = replace(request(k=1), user=user, candidates=offered, instruction="Rank each film.", task="rank")
    asked = replace(asked, passages=(Passage("p", "film"),))
    (answer,) = made.recommend([asked])
    assert (answer.ids, answer.ranked[0].title) == (("c",), "Movie film")
    for copy in target.asked:
        assert copy.instruction == "Rank each film."
        assert [c.title for c in copy.candidates or ()] == ["Movie film"]
        assert copy.user.history[0].item.id == "h"
    assert {copy.user.history[0].item.title for copy in target.asked} == {"The film", "The movie"}
    assert {(copy.candidates or ())[0].text for copy in target.asked} == {"film", "movie"}
    assert len(target.asked) == 2**5
    target, made = protect(lambda r: Answer(tuple(Ranked(c.id, c.title, 0.9) for c in r.candidates or ())))
    (answer,) = made.recommend([replace(asked, task="score")])
    assert answer.ranked[0].title == "Movie film"
    assert "Movie movie" in {(copy.candidates or ())[0].title for copy in target.asked}


@pytest.mark.parametrize("note", ["", " \n", "nothing known", *ODD_TITLES])
def test_a_request_without_words_of_the_table_gets_the_bare_answer_and_a_reason(note: str) -> None:
    target, made = protect(table={"aaa": ["bbb"]})
    asked = noted(note)
    (answer,) = made.recommend([asked])
    assert target.asked == [asked]
    assert answer.usage.calls == 1
    certificate = made.certify(asked)
    assert (certificate.covered, certificate.claims, certificate.calls) == (False, (), 1)
    assert "no word of the request" in certificate.reason
    assert (certificate.alpha == 0) == (certificate.method == "exact")


def test_a_silent_target_is_certified_nothing() -> None:
    _, made = protect(lambda _: Answer(outcome="refused", detail="no"))
    certificate = made.certify(noted("film"))
    assert (certificate.covered, certificate.failures, certificate.answer.outcome) == (False, 2, "refused")


def test_equal_draws_are_equal_and_others_are_independent() -> None:
    asked = noted("aa bb cc dd ee " * 4)
    _, made = protect(table=CHAIN, largest=3)
    _, again = protect(table=CHAIN, largest=3)
    assert made.copies(asked, 4, 5) == again.copies(asked, 4, 5)
    assert len({c.digest for d in range(20) for c in made.copies(asked, d, 5) if c is not None}) == 100


def test_a_target_that_draws_is_never_counted_exactly() -> None:
    _, made = protect(info={"randomised": True})
    assert made.certify(noted("film")).method == "monte-carlo"


def test_a_file_is_a_table_too(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"film": ["movie"]}', encoding="utf-8")
    own = Safer(table=str(tmp_path / "t.json"))
    assert own.table.digest == from_mapping(PAIR, 8, "x").digest
    prints = {protect(table=t, **o)[1].info.fingerprint for t, o in ((PAIR, {}), (CHAIN, {}), (PAIR, {"seed": 1}))}
    assert len(prints) == 3


def test_without_wordnet_it_fails_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECAUDIT_CACHE", str(tmp_path))
    monkeypatch.setattr(wordnet, "_candidates", lambda: iter([]))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    defense = Safer()
    assert defense.info.lacking(Scripted(honours=READS).info, "rank") is None
    with pytest.raises(AssetError, match="asset wordnet"):
        defense.protect(Scripted(honours=READS))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"senses": 0}, r"safer\.senses: 0 must be at least 1"),
        ({"largest": 1}, r"safer\.largest: 1 must be at least 2"),
        ({"mode": "exact"}, r"safer\.mode"),
        ({"mode": "guess"}, r"safer\.mode"),
        ({"samples": 0}, r"safer\.samples"),
        ({"alpha": 0}, r"safer\.alpha"),
        ({"fields": ["words"]}, r"safer\.fields"),
        ({"threshold": 0}, r"safer\.threshold"),
        ({"table": {}}, r"safer\.table"),
        ({"table": {"film": []}}, r"safer\.table"),
        ({"table": "/nowhere.json"}, r"safer\.table"),
    ],
)
def test_bad_options(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Safer(**options)


def test_a_ranking_of_the_whole_catalogue_counts_items_that_no_copy_listed() -> None:
    def one(asked: Request) -> Answer:
        return Answer((Ranked("i0" if "film" in asked.user.note else "i1"),))

    _, made = protect(one, table={"film": ["movie", "picture"]})
    certificate = made.certify(noted("film", task="rank", candidates=None, k=1))
    claims = {c.item_id: c for c in certificate.claims}
    assert claims["i1"].statement == "in_top_k"
    assert claims["i1"].radius == {"substitution": 1}
    assert claims["i0"].statement == "not_in_top_k"
