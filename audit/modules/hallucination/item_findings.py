"""From what became of every title to findings: existence, repeats, lengths, eligibility."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set

from audit.errors import nearest
from audit.findings import Param
from audit.grounding import normalise
from audit.modules.hallucination.eligibility import Rule, as_number, verdict
from audit.modules.hallucination.item_outcomes import NOT_LISTED, ItemOutcome, State, Title
from audit.modules.hallucination.item_rates import Rates
from audit.stats import CheckerSample
from audit.types import Item

_RATE = "hallucinated_item_rate"
_HALLUCINATED = "Recommended titles that are not in the catalogue"
_KINDS: Mapping[State, str] = {
    "nonexistent": "Recommended titles that exist nowhere",
    "out_of_catalog": "Recommended titles that exist and are not in the catalogue",
}
_NEAR = ", those near another title counted too"
_AMBIGUOUS: frozenset[State] = frozenset({"ambiguous"})
_NEAR_REFERENCE: frozenset[State] = frozenset({"near_reference"})

Counted = Callable[[Title], bool]


def existence(
    rates: Rates,
    cutoffs: Sequence[int],
    *,
    wider: bool,
    unmet: Sequence[str] = (),
    checker: CheckerSample | None = None,
) -> None:
    """Titles that are no items: over titles, over answers, among the first k, and of which kind.

    Args:
        rates: of the task.
        cutoffs: the k of OOD@k; those longer than every list asked for are left out.
        wider: whether titles were looked up in a wider reference.
        unmet: why the checker's figures should not be concluded from.
        checker: what it did on titles of known truth, for the corrected rate; None for none.
    """
    shared: dict[str, Param] = {"state": "not_in_catalog", "average": "micro", "k": None, "corrected": False}
    shown = rates.show(
        _HALLUCINATED, lambda one: [t for t in one.titles if t.state in NOT_LISTED or t.state == "ambiguous"]
    )
    world, longest = _world(rates, wider=wider), max(one.asked for one in rates.outcomes)
    for bound, counted in _bounds(NOT_LISTED, _AMBIGUOUS):
        title = f"{_HALLUCINATED}{_NEAR if bound == 'high' else ''}"
        params: dict[str, Param] = {**shared, "bound": bound}
        rates.titles(_RATE, title, counted, params=params, shown=shown, note=world, unmet=unmet)
        rates.macro(_RATE, title, counted, params={**params, "average": "macro"}, shown=shown, unmet=unmet)
        for k in cutoffs:
            if k <= longest:
                among = f"{title}, among the first {k}"
                rates.titles(_RATE, among, counted, params={**params, "k": k}, shown=shown, first=k, unmet=unmet)
        rates.answers(
            "hallucinated_answer_rate",
            f"Answers with a title that is not in the catalogue{_NEAR if bound == 'high' else ''}",
            _any(counted), params={"bound": bound}, shown=shown, unmet=unmet,
        )  # fmt: skip
    if checker is not None:
        # Titles near an item were left undecided, in this rate as in the checker's own.
        rates.corrected(
            _RATE, f"{_HALLUCINATED}, of those that could be decided", lambda title: title.state in NOT_LISTED,
            lambda title: title.state != "ambiguous", checker,
            params={**shared, "bound": "decided", "corrected": True}, unmet=unmet,
        )  # fmt: skip
    for state, title in _KINDS.items() if wider else ():
        for bound, counted in _bounds(frozenset({state}), _NEAR_REFERENCE):
            rates.titles(
                _RATE, f"{title}{_NEAR if bound == 'high' else ''}", counted,
                params={**shared, "state": state, "bound": bound}, shown=shown, unmet=unmet,
            )  # fmt: skip
    rates.titles(
        "ambiguous_rate", "Recommended titles near an item, which may or may not be it",
        lambda title: title.state == "ambiguous", direction="neither", shown=shown,
    )  # fmt: skip


def repeats(rates: Rates) -> None:
    """Titles said twice, and items that the user has."""
    title = "Recommended titles that repeat an earlier one of the same answer"
    shown = rates.show(title, lambda one: [t for t in one.titles if t.duplicate], lambda _: "said before")
    rates.titles("duplicate_item_rate", title, lambda one: one.duplicate, shown=shown)
    title = "Recommended items that the user already has"
    shown = rates.show(title, lambda one: [t for t in one.titles if t.consumed], lambda _: "in the history")
    rates.titles("consumed_item_rate", title, lambda one: one.consumed, shown=shown)


def lengths(rates: Rates) -> None:
    """Answers with another number of titles than asked for, with any, and without one by what happened."""
    title = "Answers with another number of titles than asked for"
    wrong = [one for one in rates.outcomes if one.wrong_count]
    few = sum(one.items < one.asked for one in wrong)
    words = "" if rates.task == "rank" else "; whether its wording says how many is the target's own"
    rates.answers(
        "wrong_count_rate", title, lambda one: one.wrong_count, note=f"{few} few, {len(wrong) - few} many{words}",
        shown=rates.show_answers(
            title, lambda one: one.wrong_count, lambda one: f"{one.items} titles, {one.asked} asked for"
        ),
    )  # fmt: skip
    rates.answers(
        "respond_rate", "Answers that recommend anything", lambda one: one.answered, params={"part": "items"},
        direction="higher_is_better",
    )  # fmt: skip
    for outcome, title in (
        ("refused", "Answers that decline"),
        ("unparsable", "Answers in which no list of titles was found"),
        ("error", "Answers that failed"),
        ("empty", "Answers that were read and hold no title"),
    ):
        without = _ended(outcome)
        shown = rates.show_answers(title, without, lambda one: "empty" if one.empty else one.outcome)
        rates.answers("unanswered_rate", title, without, params={"outcome": outcome}, shown=shown)


def eligibility(rates: Rates, rules: Sequence[Rule]) -> None:
    """Items that may not be had, by any rule and rule by rule; what nobody can tell is counted apart."""
    known = dict.fromkeys(name for item in rates.catalog.items_in_order for name in item.attributes)
    usable = [rule for rule in rules if rule.column in known]
    for rule in rules:
        if rule.column not in known:
            rates.sheet.card.skip(
                "ineligible_rate", _against([rule]),
                f"eligible.{rule.column}: no item of the catalogue has this attribute; {nearest(rule.column, known)}",
                task=rates.task, column=rule.column,
            )  # fmt: skip
    alone: list[tuple[str | None, list[Rule]]] = [(rule.column, [rule]) for rule in usable]
    for column, those in [(None, usable), *alone] if usable else []:
        _eligible(rates, column, those)


def _eligible(rates: Rates, column: str | None, rules: Sequence[Rule]) -> None:
    people = rates.sheet.context.dataset.users

    def allowed(one: ItemOutcome) -> list[bool | None]:
        user = people.get(one.unit, {})
        return [None if item is None else verdict(rules, item, user) for item in rates.items(one)]

    found = [allowed(one) for one in rates.outcomes]
    unknown = sum(x is None for per in found for x in per)
    rates.rate(
        "ineligible_rate", _against(rules), [per.count(False) for per in found],
        [len(per) - per.count(None) for per in found], params={"column": column},
        note=f"of {unknown} more titles nobody can say: no item, or a value is missing; {rates.without}",
        shown=rates.show(
            _against(rules), lambda one: [t for t, x in zip(one.titles, allowed(one), strict=True) if x is False],
            lambda _: "",
        ),
    )  # fmt: skip


def _against(rules: Sequence[Rule]) -> str:
    return f"Recommended items that may not be had, by {'; '.join(rule.says for rule in rules)}"


def _bounds(states: Set[State], near: Set[State]) -> list[tuple[str, Counted]]:
    """What counts at the low and at the high bound."""
    both = states | near
    return [("low", lambda title: title.state in states), ("high", lambda title: title.state in both)]


def _any(counted: Counted) -> Callable[[ItemOutcome], bool]:
    return lambda one: any(map(counted, one.titles))


def _ended(outcome: str) -> Callable[[ItemOutcome], bool]:
    return lambda one: one.empty if outcome == "empty" else one.outcome == outcome


def _world(rates: Rates, *, wider: bool) -> str:
    """A catalogue is not the world: how large and how new it is, and what it cannot hold for its age."""
    years = [year for item in rates.catalog.items_in_order if (year := _year(item)) is not None]
    told = f"the catalogue holds {len(rates.catalog)} items"
    if years:
        newest = max(years)
        later = sum(
            t.state in NOT_LISTED and t.year is not None and t.year > newest
            for one in rates.outcomes
            for t in one.titles
        )
        told += f", the newest of {newest}" + (f" ({later} titles with a later year are none of them)" if later else "")
    return f"{told}; titles that it lacks are counted{'' if wider else ', real ones too'}"


def _year(item: Item) -> int | None:
    own = item.attributes.get("year")
    number = None if own is None else as_number(own)
    return normalise(item.title).year if number is None else int(number)
