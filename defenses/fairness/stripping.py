"""Attribute stripping: the model never learns what it should not use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from audit.defense import DefenseInfo, Rewriting
from audit.edits import Edit, SetAttribute, TextEdit, Zone
from audit.errors import ConfigError
from audit.target import Input, Recommender, describe
from audit.types import Catalog, Item, Request
from defenses.fairness.persons import Persons, forms

DEFAULT = (
    "gender",
    "sex",
    "pronouns",
    "age",
    "race",
    "ethnicity",
    "religion",
    "country",
    "continent",
    "nationality",
    "occupation",
    "physique",
    "name",
)
"""Attributes that are taken out of the user's data unless others are named."""

Where = Literal["persons", "everywhere"]
"""Whether stated values go where they are said of a person, or wherever the words stand, tastes with them."""


class AttributeStripping:
    """Takes sensitive attributes out of a request before the target sees it, and keeps the profile.

    Out go the named attributes of the user; in the note, the instruction and earlier turns of the user, values said of
    a person (“a female fan” becomes “a fan”, “I am Black” “I am a person”), names after “my name is” and the like, and
    gendered pronouns and nouns, which become neutral ones. What was done is a list of edits. Titles of items stay as
    they are, and so do words that name a taste: “French films”, “a female lead”.

    The explicit channel is closed by this, and no other: a history can tell a group as well as a word does.

    Args:
        catalog: whose titles are left alone, beside those of the request; None for those of the request only.
        attributes: of the user's data that are taken out.
        words: further words or phrases to take out of texts, wherever they stand.
        texts: whether texts are touched at all.
        where: see `Where`.

    Raises:
        ConfigError: an option that cannot be used.
    """

    def __init__(
        self,
        catalog: Catalog | None = None,
        *,
        attributes: Sequence[str] = DEFAULT,
        words: Sequence[str] = (),
        texts: bool = True,
        where: Where = "persons",
    ) -> None:
        if isinstance(attributes, str) or isinstance(words, str):
            raise ConfigError("defenses.attribute-stripping: attributes and words are lists")
        if not all(word.strip() for word in words):
            raise ConfigError("defenses.attribute-stripping.words: one of them is empty")
        if where not in get_args(Where):
            raise ConfigError(
                f"defenses.attribute-stripping.where: {where!r} must be one of {', '.join(get_args(Where))}"
            )
        self.catalog = catalog
        self.attributes = tuple(attributes)
        self.words = tuple(words)
        self.texts = texts
        self.where: Where = where

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="attribute-stripping",
            title="Attributes stripped",
            why="What the model is not told it cannot use.",
            reference="Fairness through unawareness; Dwork et al., ITCS 2012 (arXiv 1104.3913), on what it cannot do",
            family="input",
            guards=frozenset({Zone.USER}),
            needs=frozenset({Input.ATTRIBUTES, Input.NOTE, Input.INSTRUCTION, Input.TURNS}),
            limits="Whatever else tells the group: histories, names in another form, other languages, misspelt words.",
            controls=("eu-ai-act:2024:art10",),
        )

    def protect(self, target: Recommender) -> Stripped:
        """The target, told less."""
        return Stripped(target, self)


class Stripped(Rewriting):
    """A target that is not told who asks."""

    def __init__(self, target: Recommender, defense: AttributeStripping) -> None:
        options = {
            "attributes": list(defense.attributes),
            "words": list(defense.words),
            "texts": defense.texts,
            "where": defense.where,
            "catalog": None if defense.catalog is None else defense.catalog.digest,
        }
        super().__init__(target, defense.info, options)
        self._defense = defense
        self._own = describe(target).instructions
        self._persons = Persons(defense.words, everywhere=defense.where == "everywhere")
        self._titles = self._mentioned(() if defense.catalog is None else defense.catalog.items_in_order)

    def edits(self, requests: Sequence[Request]) -> Sequence[Sequence[Edit]]:
        """What is taken out, last places first, so that each edit finds its text as it was."""
        return [self._edits(request) for request in requests]

    def _edits(self, request: Request) -> list[Edit]:
        edits: list[Edit] = [
            SetAttribute(name, None) for name in self._defense.attributes if name in request.user.attributes
        ]
        if not self._defense.texts:
            return edits
        titles = self._titles | self._mentioned(
            [*(event.item for event in request.user.history), *(request.candidates or ())]
        )
        texts = {"note": request.user.note, "instruction": request.instruction}
        texts |= {f"turns[{i}]": turn.text for i, turn in enumerate(request.turns) if turn.role == "user"}
        for field, text in texts.items():
            # The owner's own wording is not somebody's statement about themselves.
            own = self._own.get(request.task, "") if field == "instruction" else ""
            kept = titles | {own} if own else titles
            edits += [
                TextEdit(field, start, end, new) for start, end, new in reversed(self._persons.changes(text, kept))
            ]
        return edits

    def _mentioned(self, items: Sequence[Item]) -> frozenset[str]:
        """Titles, in every form, that hold a word which would otherwise go."""
        return frozenset(form for item in items for form in forms(item.title) if self._persons.mangles(form))
