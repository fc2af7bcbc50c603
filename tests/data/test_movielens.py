from __future__ import annotations

from pathlib import Path

import pytest

from audit.data.dataset import Dataset
from audit.data.movielens import load_ml100k, poster_title
from audit.errors import DataError


@pytest.mark.parametrize(
    ("listed", "poster"),
    [
        ("Toy Story", "Toy Story"),
        ("Perez Family, The", "The Perez Family"),
        ("Postino, Il", "Il Postino"),
        ("Tin Drum, The (Blechtrommel, Die)", "The Tin Drum (Die Blechtrommel)"),
        ("Star Maker, The (Uomo delle stelle, L')", "The Star Maker (L'Uomo delle stelle)"),
        ("Convent, The (Convento, O)", "The Convent (O Convento)"),
        ("Bye Bye, Love", "Bye Bye, Love"),
        ("Murder, My Sweet", "Murder, My Sweet"),
        ("I, Worst of All (Yo, la peor de todas)", "I, Worst of All (Yo, la peor de todas)"),
        ("Seven (Se7en)", "Seven (Se7en)"),
    ],
)
def test_poster_title(listed: str, poster: str) -> None:
    assert poster_title(listed) == poster


def test_counts_as_published(ml100k: Dataset) -> None:
    assert (len(ml100k.user_ids), len(ml100k.catalog), len(ml100k.interactions)) == (943, 1682, 100_000)


def test_counts_of_the_five_core(ml100k_core: Dataset) -> None:
    # The sizes that the OpenP5 benchmark reports for its preprocessing of this dataset.
    counts = (len(ml100k_core.user_ids), len(ml100k_core.catalog), len(ml100k_core.interactions))
    assert counts == (943, 1349, 99_287)


def test_films_and_people_read_as_they_should(ml100k: Dataset) -> None:
    assert ml100k.catalog["1"].title == "Toy Story (1995)"
    assert ml100k.catalog["1"].attributes == {"year": 1995, "genres": ("Animation", "Children's", "Comedy")}
    assert ml100k.catalog["543"].title == "Les Misérables (1995)"  # UTF-8, no mojibake
    assert ml100k.catalog["1412"].title == "Land Before Time III: The Time of the Great Giving (1995)"
    assert ml100k.catalog["267"].title == "Unknown film"
    assert dict(ml100k.users["1"]) == {"age": 24, "gender": "M", "occupation": "technician"}
    first = ml100k.interactions.iloc[0]
    assert (first["user"], first["item"], first["rating"], first["time"]) == ("196", "242", 3.0, 881250949.0)


def test_the_year_tells_apart_films_of_one_name(ml100k: Dataset) -> None:
    titles = [item.title for item in ml100k.catalog.items_in_order]
    assert {"Cape Fear (1962)", "Cape Fear (1991)", "Sabrina (1954)", "Sabrina (1995)"} <= set(titles)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ml-100k.item is missing; run `recaudit assets fetch ml-100k`"):
        load_ml100k(tmp_path)


def test_a_file_without_the_column_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "ml-100k.item").write_text("item_id:token\tname:token\n1\tToy Story\n", encoding="utf-8")
    with pytest.raises(DataError, match="lacks the column movie_title"):
        load_ml100k(tmp_path)
