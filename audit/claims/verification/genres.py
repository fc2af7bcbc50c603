"""Which genres a phrase names, whatever they are called."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from typing import Any

import yaml

from audit.grounding.titles import fold, split_words

MAX_WORDS = 30
"""Words of a phrase that are read: nobody names a genre in more."""


@dataclass(frozen=True)
class Named:
    """What a phrase says about genres.

    Attributes:
        genres: by the name under which all their names are gathered.
        unknown: words that are no genre and no filling.
    """

    genres: frozenset[str]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Genres:
    """Names of genres.

    Args:
        synonyms: further names, by genre.
        known: names that a catalogue uses, which need not be in the list.
    """

    synonyms: Mapping[str, Sequence[str]] = field(default_factory=dict)
    known: Collection[str] = ()

    def __post_init__(self) -> None:
        same = dict(_table()["same"])
        for genre, others in self.synonyms.items():
            home = same.get(plain(genre), plain(genre))
            same.update({plain(other): home for other in others} | {plain(genre): home})
        object.__setattr__(self, "_same", same)
        # A catalogue's own name is a genre of its own, unless it is put together of others (Action & Adventure).
        own = [name for name in map(plain, self.known) if name and not _whole(self._named(name))]
        same.update({name: name for name in own})
        object.__setattr__(self, "_read", lru_cache(maxsize=1 << 12)(self._named))

    def named(self, phrase: str) -> Named:
        """The genres of a phrase, the longest names first: `a dark sci-fi comedy`."""
        read: Any = self._read  # type: ignore[attr-defined]
        found: Named = read(phrase)
        return found

    def held(self, values: Collection[str]) -> frozenset[str]:
        """What a row with these values is of, the wider genres included."""
        found: set[str] = set()
        for value in values:
            read = self.named(value)
            found |= read.genres or {plain(value)}
        return frozenset(found | {wider for genre in found if (wider := self.wider(genre))})

    @staticmethod
    def turned(named: Named) -> bool:
        """Whether a word makes something else of the genres: an anti-war film need not be a war film."""
        return not _table()["turning"].isdisjoint(named.unknown)

    def wider(self, genre: str) -> str:
        """The genre that this one is a kind of; empty for none."""
        return str(_table()["kind"].get(genre, ""))

    def _named(self, phrase: str) -> Named:
        same: Mapping[str, str] = self._same  # type: ignore[attr-defined]
        both, kind, filler = _table()["both"], _table()["kind"], _table()["filler"]
        words = plain(phrase).split()[:MAX_WORDS]
        genres: set[str] = set()
        unknown: list[str] = []
        at = 0
        while at < len(words):
            for size in range(min(4, len(words) - at), 0, -1):
                name = " ".join(words[at : at + size])
                if name in both:
                    genres.update(both[name])
                elif name in same or name in kind:
                    genres.add(same.get(name, name))
                else:
                    continue
                at += size
                break
            else:
                if words[at] not in filler:
                    unknown.append(words[at])
                at += 1
        return Named(frozenset(genres), tuple(unknown))


def _whole(named: Named) -> bool:
    return bool(named.genres) and not named.unknown


@lru_cache(maxsize=1 << 13)
def plain(name: str) -> str:
    """Words without case and marks."""
    return " ".join(split_words(fold(name[:300])))


@cache
def _table() -> dict[str, Any]:
    read = resources.files("audit.claims.verification").joinpath("genres.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(read)
    same = {other: genre for genre, others in loaded["same"].items() for other in (genre, *others)}
    return {**loaded, "same": same, **{part: frozenset(map(str, loaded[part])) for part in ("filler", "turning")}}
