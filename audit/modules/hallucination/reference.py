"""Titles of a wider world than the catalogue's, from a file."""

from __future__ import annotations

from pathlib import Path

from audit.grounding import Matcher
from audit.types import AttributeValue, Catalog, Item

_TABLES = {".csv": ",", ".tsv": "\t"}


def read_reference(path: Path) -> Matcher:
    """Read a list of titles: one a line, or a CSV, TSV or Parquet file with a column `title` and perhaps `year`.

    Raises:
        ValueError: the file cannot be read as that, or holds no title; the sentence names it.
    """
    try:
        rows = _table(path) if path.suffix.lower() in (*_TABLES, ".parquet") else _lines(path)
    except FileNotFoundError as error:
        raise ValueError(f"{str(path)!r}: there is no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} cannot be read as UTF-8 text: {error}") from error
    items = []
    for number, (title, year) in enumerate(rows):
        attributes: dict[str, AttributeValue] = {"year": int(year)} if year.isdigit() else {}
        if title.strip():
            items.append(Item(str(number), title.strip(), attributes=attributes))
    if not items:
        raise ValueError(f"{str(path)!r} holds no title; give a file with one title a line or a column 'title'")
    return Matcher(Catalog(items))


def _lines(path: Path) -> list[tuple[str, str]]:
    return [(line, "") for line in path.read_text(encoding="utf-8-sig").splitlines()]


def _table(path: Path) -> list[tuple[str, str]]:
    import pandas as pd

    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            frame = pd.read_parquet(path).astype(object).fillna("").astype(str)
        else:
            frame = pd.read_csv(path, sep=_TABLES[suffix], dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        # Readers of tables put any sort of text into their errors; the first line says what is wrong.
        what = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{str(path)!r} cannot be read as a table: {what}") from error
    if "title" not in frame.columns:
        found = ", ".join(map(str, frame.columns[:20]))
        raise ValueError(f"{str(path)!r} has no column 'title'; found {found}")
    years = [year.removesuffix(".0") for year in frame["year"]] if "year" in frame.columns else [""] * len(frame)
    return list(zip(frame["title"].tolist(), years, strict=True))
