"""Tables that are taken away: nothing in them acts when a spreadsheet opens them, and numbers stay numbers."""

from __future__ import annotations

import csv
import io

import pytest
from hostile import EVERY, FORMULAS, acting_in_spreadsheet, acting_in_terminal

from dashboard.tables import as_csv, inert


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("text", EVERY)
def test_no_cell_acts(text: str) -> None:
    head, row = read(as_csv([{text: text, "n": 1}]))
    for cell in (head[0], row[0]):
        assert not acting_in_spreadsheet(cell)
        assert not acting_in_terminal(cell)


@pytest.mark.parametrize("text", [f for f in FORMULAS if f.isprintable()])
def test_a_formula_is_still_told(text: str) -> None:
    (_, (cell,)) = read(as_csv([{"title": text}]))
    assert cell == f"'{text}"


def test_numbers_stay_numbers() -> None:
    text = as_csv([{"a": -0.25, "b": 3, "c": None, "d": 1e-9}])
    assert text == "a,b,c,d\r\n-0.25,3,,1e-09\r\n"
    assert [inert(v) for v in (-0.25, 3, None)] == [-0.25, 3, None]


def test_quotes_and_commas_keep_to_their_cell() -> None:
    assert read(as_csv([{"x": 'a,"b"', "y": "c"}]))[1] == ['a,"b"', "c"]


def test_no_rows_are_no_table() -> None:
    assert as_csv([]) == ""
