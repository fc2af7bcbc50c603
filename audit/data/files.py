"""The user's own data: CSV, TSV or Parquet files of interactions, items and users.

Everything is read as text first: the id `007` stays `007`, and a postcode keeps its zeros. Whatever cannot be used is
an error that names the file, the column and the row, or is counted in `Dataset.notes`; nothing is dropped in silence.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from audit.data.dataset import Dataset, FloatArray
from audit.errors import DataError, nearest
from audit.types import Attributes, AttributeValue, Catalog, Item

ROLES = ("user", "item", "rating", "time", "item_id", "title", "text", "user_id")
"""What a column can be: the first four in the interactions, then three in the items, the last in the users."""

_INTEGER = re.compile(r"-?(0|[1-9]\d*)")
_SEPARATORS: Mapping[str, str] = {".csv": ",", ".tsv": "\t"}


def load_files(
    interactions: Path,
    items: Path,
    users: Path | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    liked: float | None = None,
    name: str = "files",
) -> Dataset:
    """Read a dataset from the user's own files; the ending `.csv`, `.tsv` or `.parquet` tells the format.

    Args:
        interactions: one event per row: `user`, `item`, optionally `rating` (a number) and `time` (seconds since the
            epoch, or a date such as 2024-05-01T12:00:00Z; without a zone it is UTC).
        items: one item per row: `item_id`, `title`, optionally `text`; every other column becomes an attribute.
        users: one user per row: `user_id`; every other column becomes an attribute.
        columns: the file's own name of a column, by role (`ROLES`). Without an entry the role's own name is looked
            for; the key of the items may also be called `id` or like the interactions' item column, and likewise the
            key of the users.
        liked: a rating above this number counts as liked.
        name: for reports.

    Returns:
        The dataset, with a note for each kind of row that was left out. In attributes, whole numbers and decimals are
        read as numbers when the whole column is, and `a|b` as several values.

    Raises:
        DataError: a file or column is missing, a file is empty or not UTF-8, an id is empty or given twice, a number
            or time cannot be read, or no interaction is about a known item.
    """
    mapping = dict(columns or {})
    for role in mapping:
        if role not in ROLES:
            raise DataError(f"dataset.columns: {role!r} is no role of a column; {nearest(role, ROLES)}")
    log, item_table = read_table(interactions), read_table(items)
    user_column = _column(log, interactions, mapping, "user")
    item_column = _column(log, interactions, mapping, "item")
    catalog = Catalog(_items(item_table, items, mapping, item_column))
    people = {} if users is None else dict(_users(read_table(users), users, mapping, user_column))
    frame = pd.DataFrame(
        {
            "user": _ids(log, interactions, user_column),
            "item": _ids(log, interactions, item_column),
            "rating": _ratings(log, interactions, mapping),
            "time": _times(log, interactions, mapping),
        }
    )
    frame, notes = _known_items_only(frame, catalog, interactions, items)
    rated = frame["rating"].dropna()
    if liked is not None and rated.empty:
        raise DataError(f"dataset.liked: {liked} needs ratings, but {interactions} has none; name the rating column")
    return Dataset(
        name=name,
        catalog=catalog,
        interactions=frame,
        users=people,
        rating_scale=None if rated.empty else (float(rated.min()), float(rated.max())),
        like_above=liked,
        description=f"Read from {interactions.name}, {items.name}{f', {users.name}' if users else ''}.",
        notes=notes,
    )


def read_table(path: Path) -> pd.DataFrame:
    """A CSV, TSV or Parquet file as a table of text; a missing value is an empty string.

    Raises:
        DataError: the file is missing, empty, not UTF-8, or not of the format that its ending says.
    """
    suffix = path.suffix.lower()
    if suffix not in (*_SEPARATORS, ".parquet"):
        raise DataError(f"{path}: the ending {suffix!r} is unknown; use .csv, .tsv or .parquet")
    try:
        if suffix == ".parquet":
            frame = _read_parquet(path)
        else:
            frame = _read_text(path, _SEPARATORS[suffix])
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8 (`iconv -f latin1 -t utf-8`)"
        ) from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: the file is empty; its first row must name the columns") from None
    except (OSError, ValueError, pd.errors.ParserWarning) as error:  # parser errors, pyarrow's too, are ValueErrors
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read as {suffix[1:].upper()} ({reason})") from None
    if frame.empty:
        raise DataError(f"{path}: there are no rows below the column names")
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    import pyarrow as pa

    try:
        table = pd.read_parquet(path)
        return pd.DataFrame({str(name): _as_text(table[name]) for name in table.columns})
    except (pa.ArrowException, UnicodeDecodeError, LookupError, TypeError, AttributeError) as error:
        # Not all of what pyarrow raises is a ValueError, pandas trusts what it once wrote into the file, and text that
        # is no UTF-8 is mended here by no editor.
        raise ValueError(str(error) or type(error).__name__) from error


def _read_text(path: Path, separator: str) -> pd.DataFrame:
    with warnings.catch_warnings():
        # A first row that is longer than the names only warns, and loses its end.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        frame = pd.read_csv(
            path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False
        )
    return frame.fillna("")  # a row that is shorter than the names


def _as_text(column: pd.Series) -> pd.Series:
    """A Parquet column as it would stand in a CSV file."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return column.map(lambda value: "" if pd.isna(value) else value.isoformat())
    return column.map(_cell)


def _cell(value: object) -> str:
    if isinstance(value, list | tuple | np.ndarray):
        return "|".join(map(str, value))
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return ""
    # A column of integers with a gap comes back as floats: 7.0 is the id 7.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _column(frame: pd.DataFrame, path: Path, mapping: Mapping[str, str], role: str, also: Sequence[str] = ()) -> str:
    """The file's own name of the column with this role.

    Raises:
        DataError: there is none.
    """
    if role in mapping:
        wanted = [mapping[role]]
    else:
        wanted = [role, *also]
    for name in wanted:
        if name in frame.columns:
            return name
    raise DataError(
        f"{path}: the column {wanted[0]!r} is missing; {nearest(wanted[0], map(str, frame.columns))} "
        f"Say which it is with `columns: {{{role}: ...}}`"
    )


def _optional(frame: pd.DataFrame, path: Path, mapping: Mapping[str, str], role: str) -> pd.Series | None:
    if role not in mapping and role not in frame.columns:
        return None
    return frame[_column(frame, path, mapping, role)]


def _ids(frame: pd.DataFrame, path: Path, column: str) -> pd.Series:
    values = frame[column].str.strip()
    empty = np.flatnonzero((values == "").to_numpy())
    if len(empty):
        raise DataError(
            f"{path}: column {column!r} is empty in {len(empty)} rows, first in row {_row(path, empty[0])}; "
            "every row needs an id"
        )
    return values


def _unique_ids(frame: pd.DataFrame, path: Path, column: str) -> pd.Series:
    ids = _ids(frame, path, column)
    twice = ids[ids.duplicated()]
    if len(twice):
        raise DataError(
            f"{path}: column {column!r} holds {twice.iloc[0]!r} twice ({len(twice)} such rows); keep one row per id"
        )
    return ids


def _row(path: Path, position: int) -> int:
    """Number of a row as an editor shows it: from 1, counting the line of column names in a text file."""
    return int(position) + (1 if path.suffix.lower() == ".parquet" else 2)


def _ratings(frame: pd.DataFrame, path: Path, mapping: Mapping[str, str]) -> FloatArray:
    column = _optional(frame, path, mapping, "rating")
    if column is None:
        return np.full(len(frame), np.nan)
    return _numbers(column, path, "a number such as 4 or 3.5")


def _times(frame: pd.DataFrame, path: Path, mapping: Mapping[str, str]) -> FloatArray:
    column = _optional(frame, path, mapping, "time")
    if column is None:
        return np.full(len(frame), np.nan)
    given = column[column.str.strip() != ""]
    if given.empty or not pd.to_numeric(given.iloc[:1], errors="coerce").isna().any():
        return _numbers(column, path, "seconds since the epoch, like the first row")
    dates = pd.to_datetime(column.where(column.str.strip() != ""), errors="coerce", utc=True, format="ISO8601")
    _refuse_unread(column, dates.isna().to_numpy(), path, "a date such as 2024-05-01T12:00:00Z")
    return np.asarray((dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1), dtype=np.float64)


def _numbers(column: pd.Series, path: Path, kind: str) -> FloatArray:
    values: FloatArray = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, copy=True)
    _refuse_unread(column, ~np.isfinite(values), path, kind)
    return values


def _refuse_unread(column: pd.Series, unread: np.ndarray, path: Path, kind: str) -> None:
    bad = np.flatnonzero(unread & (column.str.strip() != "").to_numpy())
    if len(bad):
        raise DataError(
            f"{path}: column {column.name!r} holds {column.iloc[bad[0]]!r} in row {_row(path, bad[0])} "
            f"({len(bad)} such rows), which is not {kind}"
        )


def _items(frame: pd.DataFrame, path: Path, mapping: Mapping[str, str], item_column: str) -> Iterator[Item]:
    key = _column(frame, path, mapping, "item_id", ("id", item_column))
    ids = _unique_ids(frame, path, key)
    title = _column(frame, path, mapping, "title")
    untitled = np.flatnonzero((frame[title].str.strip() == "").to_numpy())
    if len(untitled):
        raise DataError(
            f"{path}: column {title!r} is empty in {len(untitled)} rows, first in row {_row(path, untitled[0])}; "
            "every item needs a title"
        )
    text = _optional(frame, path, mapping, "text")
    texts = [""] * len(frame) if text is None else text.tolist()
    used = {key, title, *([] if text is None else [str(text.name)])}
    attributes = row_attributes(frame, used)
    for item_id, name, words, facts in zip(ids, frame[title].str.strip(), texts, attributes, strict=True):
        yield Item(id=item_id, title=name, text=words, attributes=facts)


def _users(
    frame: pd.DataFrame, path: Path, mapping: Mapping[str, str], user_column: str
) -> Iterator[tuple[str, Attributes]]:
    key = _column(frame, path, mapping, "user_id", ("id", user_column))
    return zip(_unique_ids(frame, path, key), row_attributes(frame, {key}), strict=True)


def row_attributes(frame: pd.DataFrame, used: set[str]) -> list[Attributes]:
    """The unused columns of each row as attributes; an empty cell is an attribute that is not there."""
    rows: list[dict[str, AttributeValue]] = [{} for _ in range(len(frame))]
    for name in frame.columns:
        if name in used:
            continue
        for row, value in zip(rows, _typed(frame[name].str.strip().tolist()), strict=True):
            if value != "":
                row[str(name)] = value
    return list(rows)


def _typed(values: list[str]) -> Sequence[AttributeValue]:
    """Numbers when every value is one, tuples when any holds a bar, else the text itself."""
    given = [value for value in values if value]
    if any("|" in value for value in given):
        return [tuple(part.strip() for part in value.split("|") if part.strip()) if value else "" for value in values]
    # A leading zero marks a code, such as a postcode, and not a number.
    if all(_INTEGER.fullmatch(value) for value in given):
        return [int(value) if value else "" for value in values]
    if all(re.fullmatch(rf"{_INTEGER.pattern}(\.\d+)?", value) for value in given):
        return [float(value) if value else "" for value in values]
    return values


def _known_items_only(
    frame: pd.DataFrame, catalog: Catalog, interactions: Path, items: Path
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    known = frame["item"].isin(list(catalog)).to_numpy()
    if known.all():
        return frame, ()
    strange = frame["item"][~known]
    if not known.any():
        raise DataError(
            f"{interactions}: none of its items is in {items}, such as {strange.iloc[0]!r}; "
            "are the item ids of both files the same?"
        )
    note = (
        f"{len(strange)} of {len(frame)} interactions were left out: {strange.nunique()} of their items are not in "
        f"{items.name}, such as {strange.iloc[0]!r}."
    )
    return frame[known].reset_index(drop=True), (note,)
