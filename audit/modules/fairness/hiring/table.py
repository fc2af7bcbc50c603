"""The tables of NYC Local Law 144 (6 RCNY 5-300 ff.) from a table of applications: for auditors without a recommender.

Rates separately by sex, by race or ethnicity, and by both; impact ratios against the category with the highest rate;
people of unknown category counted; small categories left out of the ratios, but shown. The law sets no pass mark.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from audit import stats
from audit.errors import DataError
from audit.modules.outcomes import Bools, Floats
from audit.stats import Interval

UNKNOWN = "unknown"
_SAYS_NOTHING = (
    "unknown|undisclosed|not disclosed|not stated|not specified|prefer not to say|declined to state",
    "n/a|na|nan|none|null|?",
)
UNKNOWN_WORDS = frozenset(("", *"|".join(_SAYS_NOTHING).split("|")))
"""Values, in lower case, that say nothing of a person's category."""

BOTH = "sex x race"
LEAVE_OUT = 0.02
"""Share of the people below which LL144 lets a category be left out of the impact ratios."""

COLUMNS = tuple(
    "table category people applications selected rate rate_low rate_high rate_at_or_above impact_ratio low high "
    "method p p_holm test best note".split()
)


@dataclass(frozen=True)
class People:
    """Applications, gathered by person. All arrays have one entry per person.

    Attributes:
        ids: of the persons.
        labels: by attribute, each person's category; `UNKNOWN` where it is not known.
        applied: applications.
        selected: how many of them were successful.
        at_least: how many scored at or above the median; the same as `selected` for selections.
    """

    ids: tuple[str, ...]
    labels: Mapping[str, npt.NDArray[np.object_]]
    applied: Floats
    selected: Floats
    at_least: Floats

    @property
    def once(self) -> bool:
        """Whether everybody applied once, so that applications are independent."""
        return bool(np.all(self.applied == 1))

    def tables(self) -> Iterator[tuple[str, npt.NDArray[np.object_]]]:
        """Each attribute, and both together where there are two."""
        yield from self.labels.items()
        if len(self.labels) == 2:
            first, second = self.labels.values()
            pairs = [UNKNOWN if UNKNOWN in (a, b) else f"{a}, {b}" for a, b in zip(first, second, strict=True)]
            yield BOTH, np.array(pairs, dtype=object)


def hiring_table(
    frame: pd.DataFrame,
    *,
    selected: str | None = "selected",
    score: str | None = None,
    sex: str | None = "sex",
    race: str | None = "race",
    person: str | None = None,
    leave_out: float = LEAVE_OUT,
    level: float = 0.95,
    rng: np.random.Generator | None = None,
) -> pd.DataFrame:
    """Selection or scoring rates and impact ratios, laid out as NYC LL144 asks for.

    Args:
        frame: one row per application.
        selected: column that says whether the person was moved on (true/false or 1/0). Ignored with `score`.
        score: column of scores, for tools that score: the scoring rate is then the share above the full sample's
            median. An application without a score does not score above it.
        sex: column of the sex; None if there is none.
        race: column of race or ethnicity; None if there is none.
        person: column that names the person, where one person may apply several times; None for a person per row.
        leave_out: share of the people below which a category is left out of the impact ratios; its rate is shown.
        level: coverage of the intervals.
        rng: source of the resamples that are needed where a person applies more than once.

    Returns:
        One row per table (`sex`, `race`, `sex x race`) and category, unknown last, with the columns `table`,
        `category`, `people`, `applications`, `selected`, `rate` with its interval (`rate_low`, `rate_high`),
        `rate_at_or_above` (for scores: ties with the median counted as well), `impact_ratio` with its interval (`low`,
        `high`, `method`), `p` (the category against all others) with `test`, `p_holm` (corrected within the table),
        `best` (the category of the highest rate) and `note`. `attrs` holds `median` and `ties`, the share of
        applications that score exactly the median, for scores.

    Raises:
        DataError: a column is missing, holds something else than is needed, or a person has two categories.
    """
    people, attrs = gather(frame, selected=selected, score=score, sex=sex, race=race, person=person)
    generator = np.random.default_rng(0) if rng is None else rng
    rows = [
        row for name, labels in people.tables() for row in _table(name, labels, people, leave_out, level, generator)
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table.attrs.update(attrs)
    return table


def gather(
    frame: pd.DataFrame,
    *,
    selected: str | None,
    score: str | None,
    sex: str | None,
    race: str | None,
    person: str | None,
) -> tuple[People, dict[str, float]]:
    """Applications by person, and for scores the median and the share of ties; arguments as for `hiring_table`.

    Raises:
        DataError: as for `hiring_table`.
    """
    attributes = {name: column for name, column in (("sex", sex), ("race", race)) if column is not None}
    if not attributes:
        raise DataError("hiring table: name a column for sex or for race; without either there is nothing to compare")
    for role, column in {**attributes, "person": person, "score" if score else "selected": score or selected}.items():
        if column is not None and column not in frame.columns:
            found = ", ".join(map(str, frame.columns))
            raise DataError(f"hiring table: {role}: there is no column {column!r}; the table has {found}")
    if frame.empty:
        raise DataError("hiring table: it has no row")
    attrs: dict[str, float] = {}
    if score is not None:
        numbers = _scores(frame[score], score)
        median = float(np.nanmedian(numbers))
        won, level_with = numbers > median, numbers >= median
        attrs = {"median": median, "ties": float(np.mean(numbers == median))}
    elif selected is not None:
        won = _flags(frame[selected], selected)
        level_with = won
    else:
        raise DataError("hiring table: name a column of selections or of scores")
    ids = [str(n) for n in range(len(frame))] if person is None else [str(one) for one in frame[person]]
    index = {one: at for at, one in enumerate(dict.fromkeys(ids))}
    who = np.array([index[one] for one in ids])
    return People(
        ids=tuple(index),
        labels={name: _labels(frame[column], who, tuple(index), name) for name, column in attributes.items()},
        applied=np.bincount(who).astype(np.float64),
        selected=np.bincount(who, weights=won).astype(np.float64),
        at_least=np.bincount(who, weights=level_with).astype(np.float64),
    ), attrs


def known(value: object, unknown: Collection[str] = UNKNOWN_WORDS) -> str:
    """The category that a value names, or `UNKNOWN`."""
    text = "" if value is None else str(value).strip()
    return UNKNOWN if text.casefold() in unknown else text


def unit_rates(people: People, members: Bools) -> Floats:
    """One value per member whose mean is the rate of the category."""
    s, t = people.selected[members], people.applied[members]
    rate = s.sum() / t.sum()
    result: Floats = rate + (s - rate * t) * len(s) / t.sum()
    return result


def unit_ratios(people: People, members: Bools, best: Bools) -> tuple[Bools, Floats]:
    """Who bears on an impact ratio, and one value for each of them whose mean is the ratio."""
    both: Bools = members | best
    n = int(both.sum())
    s, t = people.selected, people.applied
    top = s[best].sum() / t[best].sum()
    rate = s[members].sum() / t[members].sum()
    pull = members * (s - rate * t) / t[members].sum() / top - best * (s - top * t) * rate / top / s[best].sum()
    return both, rate / top + n * pull[both]


def _table(
    name: str, labels: npt.NDArray[np.object_], people: People, leave_out: float, level: float, rng: np.random.Generator
) -> list[dict[str, object]]:
    sure: Bools = np.asarray(labels != UNKNOWN, dtype=bool)
    categories = sorted(set(labels[sure].tolist()))
    members = {c: np.asarray(labels == c, dtype=bool) for c in categories}
    counted = [c for c in categories if members[c].sum() >= leave_out * len(labels)]
    rates = {c: people.selected[m].sum() / people.applied[m].sum() for c, m in members.items()}
    best = max(counted, key=lambda c: rates[c], default=None)
    rows = []
    for category in [*categories, *([UNKNOWN] if not sure.all() else [])]:
        m = members.get(category, ~sure)
        rate = _rate(people, m, level, rng)
        row: dict[str, object] = {
            "table": name,
            "category": category,
            "people": int(m.sum()),
            "applications": int(people.applied[m].sum()),
            "selected": int(people.selected[m].sum()),
            "rate": rate.estimate,
            "rate_low": rate.low,
            "rate_high": rate.high,
            "rate_at_or_above": people.at_least[m].sum() / people.applied[m].sum(),
            "best": category == best,
            "note": "",
        }
        if category not in members:
            row["note"] = "category unknown: counted, not compared"
        elif category not in counted:
            row["note"] = f"{m.sum() / len(labels):.1%} of the people, below {leave_out:.0%}: left out of the ratios"
        elif best is None or len(counted) < 2:
            row["note"] = "there is no other category to compare it with"
        elif rates[best] == 0:
            row["note"] = "nobody was selected, so there is no ratio"
        else:
            ratio = _ratio(people, m, members[best], level, rng)
            if ratio is None:
                row["note"] = "too few people for an interval of the ratio"
            else:
                row |= {"impact_ratio": ratio.estimate, "low": ratio.low, "high": ratio.high, "method": ratio.method}
            if ratio is not None and category != best:
                row["p"], row["test"] = _test(people, m, sure, rng)
        rows.append(row)
    tested = [row for row in rows if "p" in row]
    if tested:
        for row, p in zip(tested, stats.holm([float(str(row["p"])) for row in tested]), strict=True):
            row["p_holm"] = float(p)
    return rows


def _rate(people: People, m: Bools, level: float, rng: np.random.Generator) -> Interval:
    if m.sum() == 1 and not people.once:
        # One person's applications resemble each other, so they say nothing of anybody else's.
        return Interval(float(people.selected[m][0] / people.applied[m][0]), 0.0, 1.0, level, "one person")
    return stats.cluster_rate(people.selected[m], people.applied[m], rng=rng, level=level)


def _ratio(people: People, m: Bools, best: Bools, level: float, rng: np.random.Generator) -> Interval | None:
    """The ratio of two rates; people who apply several times are resampled whole. None if they are too few."""
    if np.array_equal(m, best):
        return Interval(1.0, 1.0, 1.0, level, "best")
    s, t = people.selected, people.applied
    if people.once:
        return stats.impact_ratio(int(s[m].sum()), int(m.sum()), int(s[best].sum()), int(best.sum()), level)
    if min(m.sum(), best.sum()) < 2:
        return None
    if not s[m].any():
        # A bootstrap of zeros has no width: each person then counts as one application.
        chosen = max(1, round(best.sum() * s[best].sum() / t[best].sum()))
        return stats.impact_ratio(0, int(m.sum()), chosen, int(best.sum()), level)
    both = m | best
    own, top = m[both], best[both]
    a, b, c, d = (np.where(g, x[both], 0.0) for g in (own, top) for x in (s, t))

    def ratio(w: Floats) -> Floats:
        result: Floats = (w @ a) / (w @ b) * (w @ d) / (w @ c)
        return result

    try:
        return stats.bootstrap(ratio, int(both.sum()), rng=rng, level=level)
    except ValueError:  # one of the categories is missing from most resamples
        return None


def _test(people: People, m: Bools, sure: Bools, rng: np.random.Generator) -> tuple[float, str]:
    """The category against all others: unlike a test against the best, it does not profit from picking the best."""
    s, t = people.selected, people.applied
    others = sure & ~m
    if people.once:
        p = stats.fisher_exact(int(s[m].sum()), int(m.sum()), int(s[others].sum()), int(others.sum()))
        return p, "Fisher's exact test, the category against all others"
    p = stats.rate_permutation(s[sure], t[sure], m[sure], rng=rng)
    return p, "permutation of categories over persons, the category against all others"


def _labels(column: pd.Series, who: npt.NDArray[np.int64], ids: tuple[str, ...], name: str) -> npt.NDArray[np.object_]:
    labels = np.full(len(ids), "", dtype=object)
    for at, value in zip(who.tolist(), column.tolist(), strict=True):
        category = known(value)
        if labels[at] not in ("", category):
            raise DataError(
                f"hiring table: person {ids[at]!r} has two values of {name}, {labels[at]!r} and {category!r}; "
                "give every row of a person the same"
            )
        labels[at] = category
    return labels


def _flags(column: pd.Series, name: str) -> Bools:
    words = {"true": True, "1": True, "1.0": True, "yes": True, "false": False, "0": False, "0.0": False, "no": False}
    found = [words.get(str(value).strip().casefold()) for value in column]
    for value, flag in zip(column, found, strict=True):
        if flag is None:
            raise DataError(f"hiring table: column {name!r} holds {value!r}; selections are true or false, 1 or 0")
    return np.array(found, dtype=bool)


def _scores(column: pd.Series, name: str) -> Floats:
    numbers = np.asarray(pd.to_numeric(column, errors="coerce"), dtype=np.float64)
    for value, number in zip(column, numbers, strict=True):
        if np.isinf(number) or (np.isnan(number) and not pd.isna(value)):
            raise DataError(
                f"hiring table: column {name!r} holds {value!r}, which is not a score; leave the cell empty"
            )
    if np.isnan(numbers).all():
        raise DataError(f"hiring table: column {name!r} holds no score")
    return numbers
