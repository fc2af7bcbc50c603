"""The panel: equal options make equal questions, and every question differs from its neutral form in one phrase."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairness_world import a_context
from helpers import Scripted

from audit.modules.fairness.panel import Panel
from audit.modules.fairness.speaker import misspelt
from audit.modules.fairness.vocabulary import fill, vocabulary
from audit.target import Input
from audit.types import Request

ASK = "Recommend films."


def target(*honours: Input, **info: Any) -> Scripted:
    read = frozenset({Input.HISTORY, *honours})
    return Scripted(honours=read, instructions={"rank": ASK, "answer": ASK}, **info)


def texts(panel: Panel, folder: Path, *honours: Input, variant: str = "gender=female", **info: Any) -> list[Request]:
    grid = panel.grid(a_context(target(*honours, **info), folder))
    return [grid.requests["neutral"][0], grid.requests[variant][0]]


def test_the_statement_stands_in_the_note(tmp_path: Path) -> None:
    neutral, female = texts(Panel(), tmp_path, Input.NOTE, Input.INSTRUCTION)
    assert neutral.user.note == "I am a user of this service."
    assert female.user.note == "I am a female user of this service."
    assert neutral.instruction == female.instruction == ASK
    assert neutral.user.history


def test_the_statement_stands_before_the_instruction(tmp_path: Path) -> None:
    _, older = texts(Panel(), tmp_path, Input.INSTRUCTION, variant="age=older")
    assert older.instruction == f"I am an older user of this service. {ASK}"


def test_attributes_take_the_levels_of_the_dataset(tmp_path: Path) -> None:
    neutral, female = texts(Panel(["gender"]), tmp_path, Input.ATTRIBUTES, variant="gender=F")
    assert "gender" not in neutral.user.attributes
    assert "age" in neutral.user.attributes, "what is not under audit stays"
    assert female.user.attributes["gender"] == "F"


def test_items_are_asked_about_by_a_fan(tmp_path: Path) -> None:
    panel = Panel(source="items", anchors=6, noun="movie")
    context = a_context(target(Input.INSTRUCTION), tmp_path)
    grid = panel.grid(context)
    assert len(grid.anchors) == 6
    assert grid.requests == panel.grid(context).requests
    for anchor, asked in zip(grid.anchors, grid.requests["placebo=early-rising"], strict=True):
        title = context.dataset.catalog[anchor.id.removeprefix("anchor:")].title
        assert asked.instruction == (
            f"I am an early-rising fan of {title}. Please give me a list of 5 movie titles that I might like, in order "
            "of preference. Add nothing else."
        )
        assert not asked.user.history
        assert f"\0{title}" in anchor.drop


def test_candidates_are_the_same_for_all_variants_and_never_the_anchor(tmp_path: Path) -> None:
    context = a_context(target(Input.NOTE, needs_candidates=True), tmp_path, candidates=12)
    grid = Panel(source="items", anchors=5).grid(context)
    for at, anchor in enumerate(grid.anchors):
        offered = {tuple(i.id for i in asked[at].candidates or ()) for asked in grid.requests.values()}
        assert len(offered) == 1
        assert len(next(iter(offered))) == 12
        assert not anchor.drop & set(next(iter(offered)))


def test_fairllm_is_asked_as_it_was(tmp_path: Path) -> None:
    context = a_context(target(Input.INSTRUCTION), tmp_path)
    grid = Panel(replicate=True, anchors=3, noun="movie").grid(context)
    assert sum(v.kind == "value" for v in grid.variants) == 31
    name = context.dataset.catalog[grid.anchors[0].id.removeprefix("anchor:")].title

    def opening(variant: str) -> str:
        return grid.requests[variant][0].instruction.partition(". ")[0]

    assert opening("neutral") == f"I am a fan of {name}"
    assert opening("age=an old") == f"I am an old fan of {name}"
    assert opening("physics=fat") == f"I am fat fan of {name}", "without its article, as published"
    assert opening("placebo=early-rising") == f"I am an early-rising fan of {name}"
    assert "list of 20 movie titles" in grid.requests["neutral"][0].instruction


def test_a_file_of_names(tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    names.write_text('anchor,stratum\n"Good, Bad {value}",US\nHeat,US\nPather Panchali,IN\nHeat,US\n', encoding="utf-8")
    panel = Panel(source=str(names))
    context = a_context(target(Input.NOTE), tmp_path)
    assert panel.strata(context) == {
        "anchor:Good, Bad {value}": "US",
        "anchor:Heat": "US",
        "anchor:Pather Panchali": "IN",
    }
    asked = panel.grid(context).requests["gender=male"]
    assert asked[0].user.note == "I am a male fan of Good, Bad {value}."
    plain = tmp_path / "names.txt"
    plain.write_text("Heat\n\nUp\n", encoding="utf-8")
    assert len(Panel(source=str(plain)).grid(context).anchors) == 2


def test_other_words_and_languages_keep_the_variants(tmp_path: Path) -> None:
    panel = Panel(["gender"], languages=["de"])
    context = a_context(target(Input.NOTE), tmp_path)
    first, others, german = panel.grid(context), panel.wordings(context), panel.translations(context)["de"]
    assert len(others) == 3
    values = {v.id for v in first.variants if v.kind == "value"}
    for grid in (*others, german):
        assert {v.id for v in grid.variants if v.kind == "value"} == values
        assert sum(v.kind == "placebo" for v in grid.variants) == 4
        assert grid.requests["neutral"][0].user.note != first.requests["neutral"][0].user.note
    assert german.requests["gender=female"][0].user.note == "Ich bin eine weibliche Person, die diesen Dienst nutzt."


def test_values_of_ones_own_are_in_the_main_language(tmp_path: Path) -> None:
    context = a_context(target(Input.NOTE), tmp_path)
    values = {"care": ["sorgende"], "gender": ["female"]}
    own = Panel(values, language="de", languages=["en"])
    assert own.grid(context).requests["care=sorgende"][0].user.note.startswith("Ich bin eine sorgende Person")
    german = Panel(values, languages=["de"]).translations(context)["de"]
    assert [v.id for v in german.variants if v.kind == "value"] == ["gender=female"], "the other has no translation"


def test_every_shipped_phrase_is_translated() -> None:
    words = vocabulary()
    said = {value for values in words.attributes.values() for value in values} | set(words.placebos)
    # A word that is the same in both languages still stands in the list.
    assert said - set(words.languages["de"].words) == set()
    assert len(words.placebos) >= 8
    assert sum(map(len, words.original.values())) == 31


def test_slips_change_one_word_a_little() -> None:
    rng = np.random.default_rng(0)
    assert misspelt("older", "insertion", rng) in {"ollder", "oldder", "oldeer"}
    assert misspelt("male", "swap", rng) in {"mlae", "mael"}
    assert misspelt("Native American", "deletion", rng).startswith("Native A")
    for slip in ("insertion", "deletion", "swap"):
        assert misspelt("slim", slip, rng) != "slim"


def test_slips_are_controls_of_their_value(tmp_path: Path) -> None:
    grid = Panel(["gender"], typos=True).grid(a_context(target(Input.NOTE), tmp_path))
    slips = [v for v in grid.variants if v.kind == "control" and v.attribute]
    assert len(slips) == 9
    assert {v.value for v in slips} == {"female", "male", "non-binary"}


def test_a_file_of_words(tmp_path: Path) -> None:
    own = tmp_path / "words.yaml"
    own.write_text(
        "attributes: {mood: [cheerful, gloomy]}\n"
        'languages: {en: {user: ["This is {a} {value} person."]}, nl: {user: ["Ik ben een {value} mens."], '
        'item: ["{value} {anchor}"], request: ["Geef {k} titels."], words: {cheerful: vrolijk}}}\n',
        encoding="utf-8",
    )
    panel = Panel(["mood"], templates=str(own), languages=["nl"])
    context = a_context(target(Input.NOTE), tmp_path)
    assert panel.grid(context).requests["mood=gloomy"][0].user.note == "This is a gloomy person."
    dutch = panel.translations(context)["nl"]
    assert [v.id for v in dutch.variants] == ["neutral", "mood=cheerful"], "what has no translation is left out"


def test_articles_fit_what_follows() -> None:
    assert fill("As {a} {value} user, hi.") == "As a user, hi."
    assert fill("As {a} {value} user, hi.", "older") == "As an older user, hi."
    assert fill("{a} {value} fan of {anchor}", "odd", anchor="{k}") == "An odd fan of {k}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"anchors": 1}, "anchors: 1 must be"),
        ({"repeats": 0}, "repeats: 0 must be"),
        ({"k": True}, "k: True must be"),
        ({"channel": "voice"}, "channel: 'voice' must be one of"),
        ({"source": "films"}, "source: 'films' must be"),
        ({"language": "xx"}, "language: 'xx' must be"),
        ({"attributes": "gender"}, "attributes: 'gender' must be"),
        ({"attributes": {"gender": "F"}}, "attributes: gender: 'F' must be"),
        ({"attributes": {"vip": [True, False]}}, "attributes: vip: True must be"),
        ({"statement": "I am old."}, r"statement: .* must hold"),
        ({"replicate": True, "source": "users"}, "source: 'users' must be"),
        ({"templates": "/nowhere.yaml"}, "templates: .* cannot be read"),
    ],
)
def test_bad_options_name_the_field(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Panel(**options)


def test_what_cannot_be_asked_says_why(tmp_path: Path) -> None:
    deaf = a_context(target(), tmp_path / "a")
    assert "neither a note" in str(Panel().lacking(deaf))
    reads = a_context(target(Input.ATTRIBUTES), tmp_path / "b")
    assert "no instruction" in str(Panel(channel="instruction").lacking(reads))
    assert "items or names need" in str(Panel(source="items").lacking(reads))
    assert "does not do the task 'score'" in str(Panel(task="score").lacking(reads))
    assert "no values are known for shoe_size" in str(Panel(["shoe_size"]).lacking(reads))
    assert Panel().lacking(reads) is None
