"""Lists of names by group: the shipped ones, or the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd
import yaml

from audit.errors import ConfigError, DataError, nearest

FEWEST = 2
"""Names that a cell needs: with one there is nothing to compare it with inside its group."""

Cell = tuple[str, ...]


@dataclass(frozen=True)
class NameList:
    """Names, each in one cell.

    Attributes:
        columns: what the names hint at, such as gender and ethnicity.
        cells: by the values of those columns, the names.
        thin: cells that were left out because they hold too few names, with how many they hold.
    """

    columns: tuple[str, ...]
    cells: Mapping[Cell, tuple[str, ...]]
    thin: Mapping[Cell, int]

    def values(self, column: str) -> list[str]:
        """The groups of a column, in the order of the list."""
        at = self.columns.index(column)
        return list(dict.fromkeys(cell[at] for cell in self.cells))

    def strata(self, column: str, group: str, against: str) -> list[tuple[Cell, Cell]]:
        """Pairs of cells that differ in this column only."""
        at = self.columns.index(column)
        other = {cell: (*cell[:at], against, *cell[at + 1 :]) for cell in self.cells if cell[at] == group}
        return [(cell, twin) for cell, twin in other.items() if twin in self.cells]

    def deal(self, anchors: int, per_group: int, rng: np.random.Generator) -> Mapping[Cell, list[tuple[str, ...]]]:
        """For each cell and anchor, which names are used: never one twice at an anchor, all about as often."""
        return {cell: list(_dealt(names, anchors, per_group, rng)) for cell, names in self.cells.items()}


def _dealt(names: Sequence[str], anchors: int, per_group: int, rng: np.random.Generator) -> Iterator[tuple[str, ...]]:
    deck: list[str] = []
    for _ in range(anchors):
        hand: list[str] = []
        while len(hand) < per_group:
            if not deck:
                deck = [names[i] for i in rng.permutation(len(names))]
            hand.append(deck.pop(next(i for i, name in enumerate(deck) if name not in hand)))
        yield tuple(hand)


@cache
def shipped() -> NameList:
    """Twenty names per gender and ethnicity; the head of `names.yaml` says what they are worth."""
    data = yaml.safe_load(files("audit.modules.fairness").joinpath("names.yaml").read_text(encoding="utf-8"))
    columns = tuple(data["columns"])
    cells = {tuple(block[c] for c in columns): tuple(block["names"]) for block in data["names"]}
    return NameList(columns, cells, {})


def load(file: str | None, columns: Sequence[str] | None) -> NameList:
    """The names to use.

    Args:
        file: a CSV file with a column `name` and one column per attribute; None for the shipped names.
        columns: which of those to compare; None for all.

    Raises:
        DataError: the file cannot be read, has no names, or names one person twice.
        ConfigError: there is no column of that name.
    """
    if file is None:
        known = shipped()
        if columns is None or tuple(columns) == known.columns:
            return known
        rows = [
            {"name": name, **dict(zip(known.columns, cell, strict=True))}
            for cell, names in known.cells.items()
            for name in names
        ]
        return _of(pd.DataFrame(rows), columns, "the shipped names")
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(f"modules.fairness.names.file: {file!r} cannot be read: {error}") from error
    return _of(table, columns, f"modules.fairness.names.file: {file!r}")


def _of(table: pd.DataFrame, columns: Sequence[str] | None, where: str) -> NameList:
    if "name" not in table.columns:
        raise DataError(f"{where} has no column 'name'; its first line must name the columns: name, gender, …")
    known = [str(c) for c in table.columns if c != "name"]
    chosen = tuple(known if columns is None else columns)
    if not chosen:
        raise DataError(f"{where} has no column besides 'name'; add one that says which group a name belongs to")
    for column in chosen:
        if column not in known:
            raise ConfigError(
                f"modules.fairness.names.columns: {column!r} is no column of it; {nearest(column, known)}"
            )
    table = table.assign(name=table["name"].str.strip())
    blank = table[["name", *chosen]].apply(lambda c: c.str.strip() == "").any(axis=1)
    if blank.any():
        line = int(np.flatnonzero(blank)[0]) + 2
        raise DataError(f"{where}, line {line}: a name or a group is empty; fill it in or leave the line out")
    if (twice := table["name"].duplicated()).any():
        raise DataError(f"{where}: {table['name'][twice].iloc[0]!r} occurs twice; a name belongs to one group")
    cells = {
        tuple(map(str, key if isinstance(key, tuple) else (key,))): tuple(part["name"])
        for key, part in table.groupby(list(chosen), sort=False)
    }
    thin = {cell: len(names) for cell, names in cells.items() if len(names) < FEWEST}
    return NameList(chosen, {c: n for c, n in cells.items() if c not in thin}, thin)
