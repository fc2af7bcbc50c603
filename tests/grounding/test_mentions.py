from __future__ import annotations

import pytest

from audit.grounding import Grounder
from audit.types import Catalog, Item


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("I loved The Matrix and finding nemo.", ["matrix", "nemo"]),
        ("He grew up and went up.", []),
        ("Up to now it went well.", []),
        ('Try "Up" tonight.', ["up"]),
        ("Try *Up* tonight.", ["up"]),
        ("Try Up (2009) tonight.", ["up"]),
        ("1. Up\n2. Seven", ["up", "seven"]),
        ("There were seven of them in 1984.", []),
        ("Aliens is loud, the aliens are many.", ["aliens"]),
        ("Star Wars: Episode IV – A New Hope", ["hope"]),
        ("Monsters, Inc.! And The Good, the Bad & the Ugly", ["inc", "ugly"]),
        ("Cape Fear (1991) beats Cape Fear (1962)", ["cape91", "cape62"]),
        ("Cape Fear", [None]),
        ("今日は 七人の侍 を見た", ["seven_samurai"]),
        ("", []),
    ],
)
def test_titles_in_prose(grounder: Grounder, text: str, ids: list[str | None]) -> None:
    found = grounder.ground_mentions(text)
    assert [mention.match.item_id for mention in found] == ids
    assert all(text[mention.start : mention.end] == mention.title for mention in found)


def test_the_longest_title_wins_and_the_article_belongs_to_it() -> None:
    grounder = Grounder(Catalog([Item("1", "Rocky"), Item("2", "Rocky II"), Item("3", "The Rocky Horror Show")]))
    found = grounder.ground_mentions("After Rocky II came The Rocky Horror Show, then Rocky.")
    assert [(m.match.item_id, m.title) for m in found] == [
        ("2", "Rocky II"),
        ("3", "The Rocky Horror Show"),
        ("1", "Rocky"),
    ]


def test_common_words_count_in_title_case_only() -> None:
    grounder = Grounder(Catalog([Item("1", "About a Boy (2002)")]))
    assert not grounder.ground_mentions("tell me about a boy")
    assert grounder.ground_mentions("I saw About a Boy")[0].match.item_id == "1"


def test_candidates_settle_a_shared_title(grounder: Grounder) -> None:
    (mention,) = grounder.ground_mentions("Cape Fear", candidates=[Item("cape62", "Cape Fear")])
    assert mention.match.item_id == "cape62"


def test_long_texts_are_scanned() -> None:
    grounder = Grounder(Catalog([Item("1", "a a a a a a a a b")]))
    assert grounder.ground_mentions("a " * 50_000) == ()
