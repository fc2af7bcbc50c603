from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from audit.data.files import load_files
from audit.errors import DataError

INTERACTIONS = "user,item,rating,time\n007,01,4.5,100\n007,02,1,50\n8,01,3,70\n"
ITEMS = "id,title,text,year,tags,zip\n01,Alien,In space,1979,Horror|Sci-Fi,01234\n02,Élan,,2001,Drama,99999\n"
USERS = "id,age,city\n007,31,Łódź\n8,,Rome\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "interactions.csv", INTERACTIONS)
    write(tmp_path, "items.csv", ITEMS)
    write(tmp_path, "users.csv", USERS)
    return tmp_path


def write(folder: Path, name: str, text: str, encoding: str = "utf-8") -> None:
    (folder / name).write_text(text, encoding=encoding)


def read(folder: Path, **options: object) -> object:
    return load_files(folder / "interactions.csv", folder / "items.csv", folder / "users.csv", **options)


def test_everything_is_read_and_ids_stay_as_written(folder: Path) -> None:
    data = load_files(folder / "interactions.csv", folder / "items.csv", folder / "users.csv", liked=3.5)
    assert data.user_ids == ("007", "8")
    assert [e.item.id for e in data.events("007")] == ["02", "01"]
    assert data.events("007")[1].rating == 4.5
    alien, elan = data.catalog["01"], data.catalog["02"]
    assert (alien.title, alien.text) == ("Alien", "In space")
    assert alien.attributes == {"year": 1979, "tags": ("Horror", "Sci-Fi"), "zip": "01234"}
    assert (elan.title, elan.text) == ("Élan", "")
    assert dict(data.users["007"]) == {"age": 31, "city": "Łódź"}
    assert dict(data.users["8"]) == {"city": "Rome"}
    assert data.liked(4.0)
    assert data.rating_scale == (1.0, 4.5)
    assert data.notes == ()


def test_columns_are_mapped(tmp_path: Path) -> None:
    write(tmp_path, "i.tsv", "customer_id\tsku\twhen\nu\ta\t2024-05-01T12:00:00Z\nu\tb\t2024-05-01T14:00:00+02:00\n")
    write(tmp_path, "p.csv", "sku,name\na,First\nb,Second\n")
    columns = {"user": "customer_id", "item": "sku", "time": "when", "title": "name"}
    data = load_files(tmp_path / "i.tsv", tmp_path / "p.csv", columns=columns)
    assert [e.time for e in data.events("u")] == [1714564800.0, 1714564800.0]
    assert [e.rating for e in data.events("u")] == [None, None]
    assert data.catalog["b"].title == "Second"


def test_parquet_gives_the_same_as_csv(folder: Path) -> None:
    frames = {
        "interactions": pd.DataFrame({"user": [7, 7, 8], "item": [1, 2, 1], "rating": [4.5, 1.0, 3.0]}).assign(
            time=pd.to_datetime([100, 50, 70], unit="s", utc=True)
        ),
        "items": pd.DataFrame({"id": [1, 2], "title": ["Alien", "Élan"], "tags": [["Horror", "Sci-Fi"], ["Drama"]]}),
    }
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet")
    data = load_files(folder / "interactions.parquet", folder / "items.parquet")
    assert [e.item.id for e in data.events("7")] == ["2", "1"]
    assert [e.time for e in data.events("7")] == [50.0, 100.0]
    assert data.catalog["1"].attributes["tags"] == ("Horror", "Sci-Fi")


def test_interactions_with_unknown_items_are_counted(folder: Path) -> None:
    write(folder, "interactions.csv", INTERACTIONS + "8,99,2,80\n9,98,2,80\n")
    data = read(folder)
    assert len(data.interactions) == 3
    assert data.notes == ("2 of 5 interactions were left out: 2 of their items are not in items.csv, such as '99'.",)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("interactions.csv", "", r"interactions\.csv: the file is empty"),
        ("interactions.csv", "user,item\n", "there are no rows below the column names"),
        ("interactions.csv", "user,item\nu,01,3\n", "cannot be read as CSV"),
        ("interactions.csv", "user,item\nu,01\nu,02,3\n", "cannot be read as CSV .* line 3"),
        ("interactions.csv", "user,item\nu\n", "column 'item' is empty in 1 rows, first in row 2"),
        ("interactions.csv", "usr,item\nu,01\n", "column 'user' is missing; did you mean 'usr'"),
        ("interactions.csv", "user,item\n,01\nu,01\n", "column 'user' is empty in 1 rows, first in row 2"),
        ("interactions.csv", "user,item,rating\nu,01,3\nu,02,good\n", "'rating' holds 'good' in row 3"),
        ("interactions.csv", "user,item,rating\nu,01,inf\n", "'rating' holds 'inf' in row 2"),
        ("interactions.csv", "user,item,time\nu,01,5\nu,02,noon\n", "'time' holds 'noon' in row 3"),
        ("interactions.csv", "user,item,time\nu,01,2024-01-01\nu,02,noon\n", "'noon' in row 3.*not a date such as"),
        ("interactions.csv", "user,item\nu,x\n", "none of its items is in .*items.csv, such as 'x'"),
        ("items.csv", "id,title\n01,A\n02,B\n01,C\n", "column 'id' holds '01' twice"),
        ("items.csv", "id,title\n01,\n", "every item needs a title"),
        ("items.csv", "id,name\n01,A\n", "column 'title' is missing"),
        ("users.csv", "id,age\n1,2\n1,3\n", "column 'id' holds '1' twice"),
    ],
)
def test_files_that_cannot_be_used(folder: Path, name: str, text: str, message: str) -> None:
    write(folder, name, text)
    with pytest.raises(DataError, match=message):
        read(folder)


def test_a_file_in_another_encoding(folder: Path) -> None:
    write(folder, "items.csv", ITEMS, encoding="latin-1")
    with pytest.raises(DataError, match=r"items\.csv: byte \d+ is not UTF-8; save the file as UTF-8"):
        read(folder)


def test_a_missing_file_and_an_unknown_ending(folder: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: there is no such file"):
        load_files(folder / "none.csv", folder / "items.csv")
    with pytest.raises(DataError, match=r"'\.xlsx' is unknown; use \.csv, \.tsv or \.parquet"):
        load_files(folder / "log.xlsx", folder / "items.csv")
    (folder / "bad.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match=r"bad\.parquet: cannot be read as PARQUET"):
        load_files(folder / "bad.parquet", folder / "items.csv")


def test_roles_and_mapped_columns_are_checked(folder: Path) -> None:
    with pytest.raises(DataError, match="'usr' is no role of a column; did you mean 'user'"):
        read(folder, columns={"usr": "user"})
    with pytest.raises(DataError, match="column 'ratings' is missing; did you mean 'rating'"):
        read(folder, columns={"rating": "ratings"})


def test_a_like_threshold_needs_ratings(folder: Path) -> None:
    write(folder, "interactions.csv", "user,item\n007,01\n")
    with pytest.raises(DataError, match="liked: 3 needs ratings"):
        read(folder, liked=3)
