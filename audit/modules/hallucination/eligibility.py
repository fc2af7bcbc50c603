"""Whether an item may be had: rules over columns of the catalogue, such as stock, least age and region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from audit.errors import nearest
from audit.types import Attributes, AttributeValue, Item

Test = Literal["at_least", "at_most", "one_of", "none_of", "user_at_least", "user_in"]

TESTS: tuple[Test, ...] = ("at_least", "at_most", "one_of", "none_of", "user_at_least", "user_in")


@dataclass(frozen=True)
class Rule:
    """What must hold of one column.

    Attributes:
        column: attribute of the item.
        test: how it is tested: `at_least` and `at_most` against a number; `one_of` and `none_of` against values;
            `user_at_least` asks an attribute of the user to reach the item's number (an age rating); `user_in` asks it
            to be among the item's values (regions it is sold in).
        number: for the first two.
        values: for `one_of` and `none_of`.
        attribute: of the user, for the last two.
    """

    column: str
    test: Test
    number: float = 0.0
    values: tuple[str, ...] = ()
    attribute: str = ""

    @property
    def says(self) -> str:
        """The rule as a person reads it."""
        told: Mapping[Test, str] = {
            "at_least": f"{self.column} at least {self.number:g}",
            "at_most": f"{self.column} at most {self.number:g}",
            "one_of": f"{self.column} one of {', '.join(self.values)}",
            "none_of": f"{self.column} none of {', '.join(self.values)}",
            "user_at_least": f"{self.column} no more than the user's {self.attribute}",
            "user_in": f"{self.column} with the user's {self.attribute}",
        }
        return told[self.test]

    def allows(self, item: Item, user: Attributes) -> bool | None:
        """Whether this user may have the item; None where the item or the user lacks what the rule compares."""
        own = item.attributes.get(self.column)
        if own is None or own == ():
            return None
        if self.test in ("at_least", "at_most"):
            number = as_number(own)
            if number is None:
                return None
            return number >= self.number if self.test == "at_least" else number <= self.number
        if self.test in ("one_of", "none_of"):
            among = bool(words(own) & {_word(value) for value in self.values})
            return among if self.test == "one_of" else not among
        theirs = user.get(self.attribute)
        if theirs is None or theirs == ():
            return None
        if self.test == "user_in":
            return bool(words(theirs) & words(own))
        least, age = as_number(own), as_number(theirs)
        return None if least is None or age is None else age >= least


def read_rules(block: object) -> tuple[Rule, ...]:
    """The rules of the option `eligible`.

    Args:
        block: by column, a mapping with one of `TESTS`; a bare value or a list of values means `one_of`. None for no
            rules.

    Raises:
        ValueError: a rule that cannot be read, with its column.
    """
    if block is None:
        return ()
    if not isinstance(block, Mapping):
        raise ValueError(f"eligible: {block!r} must be a mapping from columns to rules, such as {{stock: {_EXAMPLE}}}")
    return tuple(_rule(str(column), rule) for column, rule in block.items())


_EXAMPLE = "{at_least: 1}"


def _rule(column: str, rule: Any) -> Rule:  # noqa: ANN401 - whatever the configuration holds
    where = f"eligible.{column}"
    if not isinstance(rule, Mapping):
        return Rule(column, "one_of", values=_values(rule, where))
    if len(rule) != 1:
        raise ValueError(f"{where}: {dict(rule)!r} must hold exactly one of {', '.join(TESTS)}")
    [(name, against)] = rule.items()
    if name not in TESTS:
        raise ValueError(f"{where}.{name}: there is no such test; {nearest(str(name), TESTS)}")
    test = cast(Test, name)
    if test in ("at_least", "at_most"):
        if isinstance(against, bool) or not isinstance(against, int | float) or against != against:
            raise ValueError(f"{where}.{name}: {against!r} must be a number")
        return Rule(column, test, number=float(against))
    if test in ("one_of", "none_of"):
        return Rule(column, test, values=_values(against, f"{where}.{name}"))
    if not isinstance(against, str) or not against:
        raise ValueError(f"{where}.{name}: {against!r} must be the name of an attribute of the users, such as age")
    return Rule(column, test, attribute=against)


def _values(given: Any, where: str) -> tuple[str, ...]:  # noqa: ANN401 - whatever the configuration holds
    values = given if isinstance(given, list | tuple) else [given]
    # YAML reads a bare yes as true; a file's column holds the word, so what was meant cannot be known.
    if not values or any(isinstance(v, bool) or not isinstance(v, str | int | float) for v in values):
        raise ValueError(f"{where}: {given!r} must be a text, a number or a list of them; put yes and no in quotes")
    return tuple(str(value) for value in values)


def verdict(rules: Sequence[Rule], item: Item, user: Attributes) -> bool | None:
    """Whether all rules allow it; False if any does not, else None if any cannot be told."""
    found = [rule.allows(item, user) for rule in rules]
    if False in found:
        return False
    return None if None in found else True


def as_number(value: AttributeValue) -> float | None:
    """The number a value is, also where it was read as text; None for any other."""
    if isinstance(value, tuple):
        return as_number(value[0]) if len(value) == 1 else None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def words(value: AttributeValue) -> set[str]:
    """The values of an attribute as texts without case."""
    return {_word(str(part)) for part in (value if isinstance(value, tuple) else (value,))}


def _word(text: str) -> str:
    text = text.strip().casefold()
    # 1 and 1.0 are one value: which it becomes hangs on the other rows of the column.
    return text.removesuffix(".0") if text.removesuffix(".0").lstrip("-").isdigit() else text
