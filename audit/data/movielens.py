"""MovieLens-100K: 943 people, 1,682 films, 100,000 ratings from 1 to 5 (Harper and Konstan, ACM TiiS 5(4), 2015).

The licence forbids redistribution, so the files come through the asset store and stay in the user's cache.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from audit.data import assets
from audit.data.dataset import COLUMNS, Dataset
from audit.errors import DataError
from audit.types import Attributes, AttributeValue, Catalog, Item

UNKNOWN = frozenset({"", "unkonwn", "unknown"})  # the first spelling is the file's own

# Articles as they occur behind the comma in this catalogue, in all its languages. A closed list, because
# "Persuasion, Love" or "Goodbye, Lover" must stay as they are.
_ARTICLES = "The|A|An|L'|La|Le|Les|Il|Lo|Los|Las|El|Das|Der|Die|Det|O"
_TRAILING = re.compile(rf"^(?P<name>[^()]+), (?P<article>{_ARTICLES})$")
_BRACKETED = re.compile(r"^(?P<main>.*?)(?: \((?P<also>.*)\))?$")
_YEAR = re.compile(r"^(?P<title>.*) \((?P<year>\d{4})\)$")


def load_ml100k(folder: Path | None = None) -> Dataset:
    """MovieLens-100K as published: no filter, ratings in file order, liked means rated above 3.

    Titles read as on a poster and carry the year (`The Perez Family (1995)`): 22 names occur twice without it, of which
    it tells four apart (Cape Fear, Sabrina, …). The other eighteen are films listed twice, so the id remains the key.

    Args:
        folder: where `ml-100k.inter`, `ml-100k.item` and `ml-100k.user` lie; None fetches them once into the cache.

    Raises:
        AssetError: the files cannot be fetched.
        DataError: a file is missing or not what it should be.
    """
    folder = assets.path("ml-100k") if folder is None else folder
    films = _read(folder / "ml-100k.item", ["item_id", "movie_title", "release_year", "class"])
    people = _read(folder / "ml-100k.user", ["user_id", "age", "gender", "occupation"])
    ratings = _read(folder / "ml-100k.inter", ["user_id", "item_id", "rating", "timestamp"])
    ratings.columns = pd.Index(COLUMNS)
    return Dataset(
        name="ml-100k",
        catalog=Catalog(
            _film(*row)
            for row in zip(
                *(films[c].tolist() for c in ("item_id", "movie_title", "release_year", "class")), strict=True
            )
        ),
        interactions=ratings.astype({"rating": "float64", "time": "float64"}),
        users={user: _person(*rest) for user, *rest in people.itertuples(index=False, name=None)},
        rating_scale=(1.0, 5.0),
        like_above=3.0,
        description="MovieLens-100K: ratings of films by people who used movielens.org in 1997 and 1998.",
        licence="GroupLens: research use with acknowledgement; no redistribution without permission.",
        notes=(
            "Half of all neighbouring events of a user carry the same second, so the order inside a visit is the "
            "order of the file.",
        ),
    )


def _read(path: Path, columns: list[str]) -> pd.DataFrame:
    """The named columns of a RecBole atomic file (tab-separated, header `name:type`), as strings."""
    try:
        frame = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, encoding="utf-8", quoting=3)
    except FileNotFoundError:
        raise DataError(f"ml-100k: {path} is missing; run `recaudit assets fetch ml-100k`") from None
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"ml-100k: {path} cannot be read ({error}); fetch it again") from None
    frame.columns = pd.Index([str(name).partition(":")[0] for name in frame.columns])
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise DataError(f"ml-100k: {path} lacks the column {missing[0]}; fetch it again")
    return frame[columns]


def poster_title(title: str) -> str:
    """The name as on a poster: articles behind a comma go to the front, inside brackets too.

    `Tin Drum, The (Blechtrommel, Die)` becomes `The Tin Drum (Die Blechtrommel)`.
    """
    parts = _BRACKETED.match(title)
    if parts is None:
        return title
    also = parts["also"]
    return _article_first(parts["main"]) + (f" ({_article_first(also)})" if also is not None else "")


def _article_first(name: str) -> str:
    found = _TRAILING.match(name)
    if found is None:
        return name
    glue = "" if found["article"].endswith("'") else " "
    return f"{found['article']}{glue}{found['name']}"


def _film(item_id: str, title: str, year: str, genres: str) -> Item:
    if not year.isdigit():  # one film carries its year in the title and a video mark in the year's place
        inside = _YEAR.match(title)
        if inside is not None:
            title, year = inside["title"], inside["year"]
    attributes: dict[str, AttributeValue] = {}
    name = "Unknown film" if title in UNKNOWN else poster_title(title)
    if year.isdigit():
        attributes["year"] = int(year)
        name = f"{name} ({year})"
    tags = tuple(tag for tag in genres.split() if tag not in UNKNOWN)
    if tags:
        attributes["genres"] = tags
    return Item(id=item_id, title=name, attributes=attributes)


def _person(age: str, gender: str, occupation: str) -> Attributes:
    return {"age": int(age), "gender": gender, "occupation": occupation}
