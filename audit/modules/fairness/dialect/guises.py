"""Requests in several varieties: the shipped ones, or the user's own; and slips of the pen."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import pandas as pd
import yaml

from audit.errors import DataError

_FEWEST = 2
_MOST_SLIPS = 0.2
"""Share of the characters that slips may touch: a text with more of them is no text any more."""


@dataclass(frozen=True)
class Guise:
    """One request in two varieties.

    Attributes:
        pair: the request it says; requests of one pair are one unit.
        form: name of the variety.
        standard: in standard English.
        dialect: in the variety.
        control: in a register that no group owns; empty if there is none.
        speaker: who said it, if known.
    """

    pair: str
    form: str
    standard: str
    dialect: str
    control: str = ""
    speaker: str = ""


def shipped() -> list[Guise]:
    """The small set; the head of `guises.yaml` says what it is worth."""
    rows = yaml.safe_load(files("audit.modules.fairness").joinpath("guises.yaml").read_text(encoding="utf-8"))
    return [
        Guise(f"request {n}", form, row["standard"], row[form], row["informal"])
        for form in ("aae", "l2")
        for n, row in enumerate(rows, 1)
    ]


def load(file: str) -> list[Guise]:
    """Guises of one's own.

    Raises:
        DataError: the file cannot be read, lacks a column, or leaves a cell empty.
    """
    where = f"modules.fairness.dialect.file: {file!r}"
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{where} cannot be read: {error}") from error
    table = table.apply(lambda column: column.str.strip())
    for column in ("pair", "standard", "dialect"):
        if column not in table.columns:
            have = ", ".join(map(str, table.columns))
            raise DataError(f"{where} has no column {column!r}; pair, standard and dialect are needed, it has {have}")
    for column in ("pair", "standard", "dialect", "control", "form", "speaker"):
        if column in table.columns and (blank := table[column] == "").any():
            line = int(np.flatnonzero(blank)[0]) + 2
            raise DataError(f"{where}, line {line}: {column} is empty; fill it everywhere or leave the column out")
    if table["pair"].nunique() < _FEWEST:
        raise DataError(
            f"{where} has {table['pair'].nunique()} pairs; at least {_FEWEST} are needed, and 200 for a claim"
        )
    names = {"form": "dialect", "control": "", "speaker": ""}
    cells = {c: table[c].tolist() if c in table.columns else [names[c]] * len(table) for c in names}
    return [
        Guise(pair, form, standard, dialect, control, speaker)
        for pair, standard, dialect, form, control, speaker in zip(
            table["pair"], table["standard"], table["dialect"], *cells.values(), strict=True
        )
    ]


def edit_distance(a: str, b: str) -> int:
    """Levenshtein distance: the fewest characters to insert, delete or replace."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def misspelt(text: str, edits: int, rng: np.random.Generator) -> str:
    """A text with slips of the pen: letters doubled or left out, never the first of a word.

    Args:
        text: as it should be.
        edits: how many slips; at most a fifth of the characters are touched.
        rng: chooses where.
    """
    places = [i for i in range(1, len(text)) if text[i].isalpha() and text[i - 1].isalpha()]
    count = min(max(edits, 1), max(1, round(_MOST_SLIPS * len(text))), len(places))
    letters = list(text)
    for i in rng.permutation(len(places))[:count].tolist():
        at = places[i]
        letters[at] = "" if rng.random() < 0.5 else text[at] * 2
    return "".join(letters)
