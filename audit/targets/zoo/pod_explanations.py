"""The sentences with which the POD-style target is taught to explain, and how such a sentence is read back.

MovieLens holds no reviews. A sentence is therefore made from facts that anybody can check: genres and years of the
catalogue, and the genres that stand most often in the history that the model reads. Whether a generated sentence is
true of the item and of the user is then a matter of looking, not of taste.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from audit.targets.zoo.p5_vocabulary import pieces
from audit.types import Catalog, Item

LIKED = (
    "you like {genre}, and this is {article} {genre} film from {year}",
    "this is {article} {genre} film from {year}, and you like {genre}",
)
"""Where the item has one of the user's genres: says both."""

OTHER = (
    "this is {article} {genre} film from {year}, unlike most of what you have watched",
    "unlike most of what you have watched, this is {article} {genre} film from {year}",
)
"""Where it has none of them."""

FIRST = ("this is {article} {genre} film from {year}",)
"""Where there is no history."""

BARE = ("this follows from what you have watched",)
"""Where the catalogue knows no genre of the item."""

LONGEST = 24
"""Tokens of a sentence that are written at most."""

TOP = 3
"""Genres that count as the user's own."""

_YEAR = " from {year}"


@dataclass(frozen=True)
class Told:
    """What a sentence says: the genre that the user is said to like, and genre and year of the item."""

    liked: str | None
    genre: str | None
    year: int | None


class Facts:
    """What sentences are made of.

    Args:
        catalog: its items' attributes `genres` and `year`; either may be absent.
    """

    def __init__(self, catalog: Catalog) -> None:
        items = catalog.items_in_order
        self.genres = [_genres(item) for item in items]
        self.years = [_year(item) for item in items]

    def liked(self, history: Sequence[int]) -> tuple[str, ...]:
        """The genres that stand most often in a history of item indices, at most `TOP`; by name where they tie.

        An index outside the catalogue has no genre.
        """
        counts = Counter(g for i in history if 0 <= i < len(self.genres) for g in self.genres[i])
        return tuple(sorted(counts, key=lambda genre: (-counts[genre], genre))[:TOP])

    def sentence(self, history: Sequence[int], item: int, wording: int) -> str:
        """Why the user might want an item, in lower case and without a full stop.

        Args:
            history: item indices.
            item: index of the item.
            wording: any number; picks one of the wordings that fit.
        """
        own, year = self.genres[item], self.years[item]
        liked = self.liked(history)
        shared = [genre for genre in liked if genre in own]
        frames = BARE if not own else LIKED if shared else OTHER if liked else FIRST
        genre = (shared or own or ("",))[0]
        frame = frames[wording % len(frames)]
        if year is None:
            frame = frame.replace(_YEAR, "")
        article = "an" if genre[:1] in tuple("aeiou") else "a"
        return frame.format(genre=genre, article=article, year=year)

    def words(self) -> tuple[str, ...]:
        """Every word that a sentence may hold, in a fixed order."""
        texts = [frame.format(genre="", article="", year="") for frame in (*LIKED, *OTHER, *FIRST, *BARE)]
        genres = sorted({genre for own in self.genres for genre in own})
        years = sorted({str(year) for year in self.years if year is not None})
        found = [word.casefold() for text in (*texts, "a an", *genres, *years) for word, _ in pieces(text)]
        return tuple(dict.fromkeys(found))


def written(words: Sequence[str]) -> str:
    """Words and signs as a sentence: a capital first and a full stop last."""
    text = joined(words)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def joined(words: Sequence[str]) -> str:
    """Words and signs with the spaces that English puts between them."""
    text = re.sub(r" ([,.;:?!])", r"\1", " ".join(words))
    return re.sub(r"(?<=\w) ([-'/]) (?=\w)", r"\1", text)


def read(sentence: str) -> Told | None:
    """What a written sentence says; None where it has the form of none of the wordings."""
    text = sentence.removesuffix(".").casefold()
    for pattern in _PATTERNS:
        if found := pattern.fullmatch(text):
            groups = found.groupdict()
            year = groups.get("year")
            return Told(groups.get("liked"), groups.get("genre"), int(year) if year else None)
    return None


def _patterns() -> list[re.Pattern[str]]:
    found = []
    for frame in (*LIKED, *OTHER, *FIRST, *BARE):
        text = frame.replace("{article} {genre}", r"an? (?P<genre>.+?)").replace("{genre}", r"(?P<liked>.+?)")
        found.append(re.compile(text.replace(_YEAR, r"(?: from (?P<year>\d+))?")))
    return found


_PATTERNS = _patterns()


def _genres(item: Item) -> tuple[str, ...]:
    kinds = item.attributes.get("genres", ())
    names = kinds if isinstance(kinds, tuple) else (kinds,)
    spelt = [joined([word for word, _ in pieces(str(name).casefold())]) for name in names]  # as it comes to be written
    return tuple(dict.fromkeys(name for name in spelt if name))


def _year(item: Item) -> int | None:
    year = item.attributes.get("year")
    return int(year) if isinstance(year, int | float) and 1000 <= year <= 9999 else None
