"""The hiring table: the layout of LL144, unknowns, small categories, ties at the median, several applications."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from audit.errors import DataError
from audit.modules.fairness.hiring import hiring_table


def frame(cells: dict[tuple[str, str], tuple[int, int]]) -> pd.DataFrame:
    """By sex and race, how many of how many were selected."""
    rows = [
        {"sex": sex, "race": race, "selected": n < chosen}
        for (sex, race), (chosen, people) in cells.items()
        for n in range(people)
    ]
    return pd.DataFrame(rows)


EXAMPLE = frame(
    {("Female", "A"): (20, 60), ("Female", "B"): (16, 60), ("Male", "A"): (30, 70), ("Male", "B"): (30, 80)}
)


def row(table: pd.DataFrame, name: str, category: str) -> pd.Series:
    found = table[(table["table"] == name) & (table["category"] == category)]
    assert len(found) == 1
    return found.iloc[0]


def test_the_example_of_the_sheet() -> None:
    table = hiring_table(EXAMPLE)
    women = row(table, "sex", "Female")
    assert (women["selected"], women["people"]) == (36, 120)
    assert women["impact_ratio"] == pytest.approx(0.75)
    assert (women["low"], women["high"]) == (pytest.approx(0.54, abs=0.005), pytest.approx(1.05, abs=0.005))
    assert women["p"] == pytest.approx(0.0973, abs=1e-4)
    men = row(table, "sex", "Male")
    assert men["best"]
    assert men["impact_ratio"] == 1.0
    assert list(table["table"].unique()) == ["sex", "race", "sex x race"]
    assert row(table, "sex x race", "Female, B")["rate"] == pytest.approx(16 / 60)


def test_unknown_people_are_counted_and_small_categories_shown() -> None:
    more = pd.DataFrame(
        [{"sex": "Prefer not to say", "race": "A", "selected": True}] * 7
        + [{"sex": "Nonbinary", "race": None, "selected": False}] * 4
    )
    table = hiring_table(pd.concat([EXAMPLE, more]))
    unknown = row(table, "sex", "unknown")
    assert (unknown["people"], unknown["rate"]) == (7, 1.0)
    assert pd.isna(unknown["impact_ratio"])
    assert "counted, not compared" in unknown["note"]
    small = row(table, "sex", "Nonbinary")
    assert (small["people"], small["rate"]) == (4, 0.0)
    assert pd.isna(small["impact_ratio"])
    assert "below 2%" in small["note"]
    assert row(table, "race", "unknown")["people"] == 4
    assert row(table, "sex", "Female")["impact_ratio"] == pytest.approx(0.75), "they change no other ratio"
    kept = hiring_table(pd.concat([EXAMPLE, more]), leave_out=0)
    assert row(kept, "sex", "Nonbinary")["impact_ratio"] == 0.0


def test_ties_at_the_median_are_reported_both_ways() -> None:
    """Scores 7, 8 and 5 at 60, 25 and 15 %: strictly above the median 25 %, at or above it 85 %."""
    scores = [7] * 60 + [8] * 25 + [5] * 15
    people = pd.DataFrame({"sex": ["F", "M"] * 50, "score": scores})
    table = hiring_table(people, score="score", race=None)
    assert table.attrs == {"median": 7.0, "ties": 0.6}
    people["sex"] = "F"
    one = hiring_table(people, score="score", race=None).iloc[0]
    assert (one["rate"], one["rate_at_or_above"]) == (0.25, 0.85)
    assert one["note"] == "there is no other category to compare it with"


def test_people_without_a_score_do_not_score_above() -> None:
    people = pd.DataFrame({"sex": ["F"] * 4 + ["M"] * 4, "score": [None, 1, 2, 3, 4, 5, 6, None]})
    table = hiring_table(people, score="score", race=None)
    assert table.attrs["median"] == 3.5
    assert row(table, "sex", "M")["rate"] == 0.75


def test_several_applications_of_one_person_are_resampled_together() -> None:
    rng = np.random.default_rng(0)
    once = pd.DataFrame({"person": range(60), "sex": ["F", "M"] * 30, "selected": rng.random(60) < 0.5})
    many = pd.concat([once] * 10)
    table = hiring_table(many, race=None, person="person")
    single = hiring_table(once, race=None)
    worse = table[~table["best"]].iloc[0]
    assert worse["method"] == "bca"
    assert "permutation" in worse["test"]
    assert (worse["people"], worse["applications"]) == (30, 300)
    same = row(single, "sex", worse["category"])
    assert worse["impact_ratio"] == pytest.approx(same["impact_ratio"])
    assert worse["high"] - worse["low"] > 0.6 * (same["high"] - same["low"]), "ten copies are no ten people"
    assert worse["p"] == pytest.approx(same["p"], abs=0.2)


def test_one_person_of_a_category_says_nothing_of_others() -> None:
    people = pd.DataFrame({"who": ["a", "a", "b", "b"], "sex": ["F", "F", "M", "M"], "selected": [1, 0, 1, 1]})
    table = hiring_table(people, race=None, person="who")
    alone = row(table, "sex", "F")
    assert (alone["rate"], alone["rate_low"], alone["rate_high"]) == (0.5, 0.0, 1.0)
    assert pd.isna(alone["impact_ratio"])
    assert alone["note"] == "too few people for an interval of the ratio"


def test_nobody_selected() -> None:
    table = hiring_table(frame({("F", "A"): (0, 20), ("M", "A"): (0, 20)}), race=None)
    assert table["impact_ratio"].isna().all()
    assert (table["note"] == "nobody was selected, so there is no ratio").all()


def test_p_values_are_corrected_within_a_table() -> None:
    cells = {("F", "A"): (10, 50), ("F", "B"): (25, 50), ("F", "C"): (24, 50), ("F", "D"): (26, 50)}
    table = hiring_table(frame(cells), sex=None)
    tested = table[table["p"].notna()]
    assert len(tested) == 3
    assert (tested["p_holm"] >= tested["p"]).all()
    assert row(table, "race", "A")["p_holm"] == pytest.approx(3 * row(table, "race", "A")["p"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sex": "gender"}, "sex: there is no column 'gender'; the table has sex, race, selected"),
        ({"sex": None, "race": None}, "name a column for sex or for race"),
        ({"selected": "race"}, "column 'race' holds 'A'; selections are true or false"),
        ({"score": "sex"}, "holds 'Female', which is not a score"),
    ],
)
def test_bad_columns_are_named(change: dict[str, str | None], message: str) -> None:
    with pytest.raises(DataError, match=message):
        hiring_table(EXAMPLE, **change)  # type: ignore[arg-type]


def test_a_person_has_one_category() -> None:
    people = pd.DataFrame({"who": ["p", "p"], "sex": ["F", "M"], "selected": [1, 0]})
    with pytest.raises(DataError, match="person 'p' has two values of sex"):
        hiring_table(people, race=None, person="who")
