from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audit.grounding import normalise
from audit.grounding.titles import numbers


@pytest.mark.parametrize(
    ("title", "text", "year"),
    [
        ("Matrix, The (1999)", "matrix", 1999),
        ("The Matrix", "matrix", None),
        ("A Bug's Life (1998)", "bug s life", 1998),
        ("Postino, Il (1994)", "il postino", 1994),
        ("Enfer, L' (1994)", "l enfer", 1994),
        ("L'Enfer", "l enfer", None),
        ("Boot, Das (1981)", "das boot", 1981),
        ("Lord of the Rings: The Two Towers, The (2002)", "lord of the rings the two towers", 2002),
        ("Amélie", "amelie", None),
        ("AMÉLIE", "amelie", None),
        ("MisÃ©rables, Les (1995)", "les miserables", 1995),
        ("Fast & Furious", "fast and furious", None),
        ("Rocky II (1979)", "rocky 2", 1979),
        ("Rocky Ⅱ", "rocky 2", None),
        ("Malcolm X", "malcolm 10", None),
        ("M", "m", None),
        ("8½ (1963)", "8 1 2", 1963),
        ("8 1/2", "8 1 2", None),
        ("Alien³", "alien 3", None),
        ("Land Before Time III: The Time of the Great Giving (1995) (V)", "land before time iii the time of the great "
         "giving", 1995),
        ("Friends (1994–2004)", "friends", 1994),
        ("1984", "1984", None),
        ("(500) Days of Summer", "500 days of summer", None),
        ("(2012)", "2012", None),
        ("???", "???", None),
        ("The", "the", None),
        ("A.I.", "a 1", None),
        ("", "", None),
        ("千と千尋の神隠し", "千と千尋の神隠し", None),
        ("がんばれ", "がんばれ", None),
        ("기생충", "기생충", None),
        ("Брат 2", "брат 2", None),
        ("दंगल", "दंगल", None),
        ("องค์บาก", "องค์บาก", None),
        ("الرسالة", "الرسالة", None),
        ("（ＴＨＥ） Ｍａｔｒｉｘ", "the matrix", None),
    ],
)  # fmt: skip
def test_normal_form(title: str, text: str, year: int | None) -> None:
    found = normalise(title)
    assert (found.text, found.year) == (text, year)


@pytest.mark.parametrize(
    ("title", "aliases"),
    [
        ("Star Wars (a.k.a. Star Wars: Episode IV - A New Hope) (1977)", ("star wars episode iv a new hope",)),
        ("Seven (1995) (aka Se7en)", ("se7en",)),
        ("Shanghai Triad (Yao a yao yao dao waipo qiao) (1995)", ("yao a yao yao dao waipo qiao",)),
        ("Blade Runner (Director's Cut)", ()),
        ("Kill Bill (Vol. 2)", ()),
    ],
)
def test_aliases_inside_the_title(title: str, aliases: tuple[str, ...]) -> None:
    assert normalise(title).aliases == aliases


def test_a_remark_may_be_left_out_but_not_a_number() -> None:
    assert normalise("Blade Runner (Director's Cut)").shorter == ("blade runner",)
    assert normalise("Kill Bill (Vol. 2)").shorter == ()
    assert normalise("Kill Bill (Vol2)").shorter == ()
    assert normalise("Seven (Se7en) (1995)").shorter == ("seven",)
    assert normalise("Seven (Se7en) (1995)").aliases == ("se7en",)
    assert normalise("Independence Day (ID4) (1996)").shorter == ("independence day",)
    assert normalise("M*A*S*H").shorter == ("mash",)


def test_dakuten_tells_words_apart() -> None:
    assert normalise("かき").text != normalise("がぎ").text


@pytest.mark.parametrize(
    ("one", "other"),
    [("toy story 2", "toy story 3"), ("part one", "part two"), ("episode iv", "episode v"), ("ocean", "ocean 11")],
)
def test_numbers_differ(one: str, other: str) -> None:
    assert numbers(one) != numbers(other)


def test_numbers_share_a_scale() -> None:
    assert numbers("part two") == numbers("part ii") == numbers("part 2") == numbers("part 02")


@given(st.text(max_size=80))
@example("\u00cc\u0080")  # a letter and a control character that happen to be the UTF-8 of a lone accent
def test_any_text_has_a_normal_form(title: str) -> None:
    found = normalise(title)
    assert found.text == found.text.strip()
    if any(c.isalnum() for c in title):
        assert found.text


@given(st.text(alphabet=st.characters(categories=["Lu", "Ll", "Nd", "Zs"]), min_size=1, max_size=40))
def test_case_does_not_matter_in_latin(title: str) -> None:
    latin = title.encode("ascii", "ignore").decode()
    assert normalise(latin.upper()).text == normalise(latin.lower()).text
