"""Data files: any bytes under any ending are a table, or one sentence."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from fuzz_inputs import TEXTS, answered_or_refused, fuzzed, spoiled
from hypothesis import given
from hypothesis import strategies as st

from audit.data.files import load_files, read_table

_EVENTS = "user,item,rating,time\nu1,i1,4,1700000000\nu1,i2,3.5,1700000001\nu2,i1,,\n"
_ITEMS = 'item_id,title,text,genres,year\ni1,Heat,"A, b",Crime|Drama,1995\ni2,Alien,,Horror,1979\n'
_CELLS = (
    TEXTS | st.integers(-5, 10**19).map(str) | st.sampled_from(["2024-05-01", "1e400", "inf", "nan", "00123", "1_000"])
)


def _parquet() -> bytes:
    buffer = io.BytesIO()
    pd.read_csv(io.StringIO(_EVENTS)).to_parquet(buffer)
    return buffer.getvalue()


PARQUET = _parquet()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def _encoded(text: str, codec: str) -> bytes:
    return text.encode(codec, "surrogatepass" if codec.startswith("utf") else "replace")


@fuzzed
@given(
    events=spoiled(_EVENTS, _EVENTS.replace(",", "\t")),
    items=spoiled(_ITEMS),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    ending=st.sampled_from([".csv", ".tsv"]),
)
def test_text_files(place: Path, events: str, items: str, codec: str, ending: str) -> None:
    (place / f"events{ending}").write_bytes(_encoded(events, codec))
    (place / "items.csv").write_bytes(items.encode("utf-8", "surrogatepass"))
    read = answered_or_refused(lambda: load_files(place / f"events{ending}", place / "items.csv"))
    assert read is None or len(read.catalog) > 0


@fuzzed
@given(header=st.lists(_CELLS, min_size=1, max_size=5), rows=st.lists(st.lists(_CELLS, max_size=6), max_size=4))
def test_any_header(place: Path, header: list[str], rows: list[list[str]]) -> None:
    text = "\n".join(",".join(row) for row in [["user", "item", *header], *(["u", "i1", *row] for row in rows)])
    (place / "wide.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
    (place / "items.csv").write_text(_ITEMS)
    answered_or_refused(lambda: load_files(place / "wide.csv", place / "items.csv"))


@fuzzed
@given(
    start=st.integers(0, len(PARQUET)),
    noise=st.binary(max_size=12),
    kept=st.integers(0, len(PARQUET)) | st.just(len(PARQUET)),
    footer=st.booleans(),
)
def test_parquet_files(place: Path, start: int, noise: bytes, kept: int, footer: bool) -> None:
    start = max(0, len(PARQUET) - 8 - start % 600) if footer else start
    spoilt = (PARQUET[:start] + noise + PARQUET[start + len(noise) :])[:kept]
    (place / "events.parquet").write_bytes(spoilt)
    answered_or_refused(lambda: read_table(place / "events.parquet"))
