"""Input sanitiser: text that the operator did not write is made plain before the target reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from audit.defense import DefenseInfo, Rewriting
from audit.edits import Edit, SetAttribute, Zone, apply
from audit.errors import ConfigError, nearest
from audit.target import CountsTokens, Recommender
from audit.types import AttributeValue, Catalog, Request
from defenses.fields import READS, Kind, Text, untrusted
from defenses.input.cleaning import Cleaned, Cleaner, Limits
from defenses.input.spelling import Spelling

Spelled = Literal["titles", "all", "none"]
_SHORTEST = 4
_CUTS = 16
"""Rounds in which the longest text of a prompt that is too long is cut, by a quarter each time."""


class Sanitise:
    """Cleans titles, descriptions, notes, turns, passages and textual attributes; never the instruction.

    In this order: HTML entities are decoded once; Unicode NFKC; characters that nobody sees are dropped, except in
    emoji and where a script needs them; words that mix scripts are written in one (UTS 39); NFKC again; repeats are
    collapsed and texts cut to a length; delimiters, role markers and tokens of chat templates are neutralised; words
    are set right against those of the catalogue. Ids are never touched, and answers name items by id: nothing is
    looked up by a cleaned title.

    Args:
        catalog: whose words spelling is checked against; without one nothing is.
        title_words: longest title, in words.
        text_words: longest other text, in words.
        characters_per_word: longest text in characters, by its words.
        repeats: how often the same word or phrase may stand in a row.
        spelling: whether words are set right in `titles`, in `all` texts, or not at all (`none`).
        max_tokens: longest prompt, for a target that counts tokens: the longest texts are cut until it fits.
        reserved: strings that are taken out of every text, such as delimiters of one's own prompt.

    Raises:
        ConfigError: an option that cannot be used.
    """

    def __init__(
        self,
        catalog: Catalog | None = None,
        *,
        title_words: int = 40,
        text_words: int = 400,
        characters_per_word: int = 12,
        repeats: int = 3,
        spelling: Spelled = "titles",
        max_tokens: int | None = None,
        reserved: Sequence[str] = (),
    ) -> None:
        for name, value in (
            ("title_words", title_words),
            ("text_words", text_words),
            ("characters_per_word", characters_per_word),
            ("repeats", repeats),
            ("max_tokens", 1 if max_tokens is None else max_tokens),
        ):
            if value < 1:
                raise ConfigError(f"defenses.sanitise.{name}: {value} must be at least 1")
        if spelling not in get_args(Spelled):
            known = nearest(str(spelling), get_args(Spelled))
            raise ConfigError(f"defenses.sanitise.spelling: {spelling!r} is no choice; {known}")
        if isinstance(reserved, str) or not all(isinstance(token, str) and token.strip() for token in reserved):
            raise ConfigError(f"defenses.sanitise.reserved: {reserved!r} must be a list of strings, none of them blank")
        short, long = (Limits(n, n * characters_per_word, repeats) for n in (title_words, text_words))
        self._max_tokens = max_tokens
        checked = None
        if catalog is not None and spelling != "none":
            plain = Cleaner(short, reserved=reserved, one_line=True)
            checked = Spelling((plain.clean(item.title).text for item in catalog.items_in_order), _SHORTEST)
        self._title = Cleaner(short, reserved=reserved, spelling=checked, one_line=True)
        self._text = Cleaner(long, reserved=reserved, spelling=checked if spelling == "all" else None)
        self._options = {
            "title_words": title_words,
            "text_words": text_words,
            "characters_per_word": characters_per_word,
            "repeats": repeats,
            "spelling": spelling,
            "max_tokens": max_tokens,
            "reserved": list(reserved),
            "catalog": None if checked is None or catalog is None else catalog.digest,
        }

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="sanitise",
            title="Input sanitiser",
            why="What people cannot see, or only a prompt would mean, has no place in what they write.",
            reference="Unicode NFKC (UAX 15) and confusables (UTS 39); Boucher et al., Bad Characters, IEEE S&P 2022; "
            "Pruthi et al., ACL 2019 (spelling)",
            family="input",
            guards=frozenset({Zone.USER, Zone.SELLER, Zone.RETRIEVED}),
            needs=READS,
            limits="Plain words: an order, a false claim or praise in ordinary letters passes, and so do words of one "
            "script that look like another and slips that make another word.",
        )

    def clean(self, text: str, kind: Kind = "text") -> Cleaned:
        """One text, clean, with what was done for it."""
        return (self._title if kind == "title" else self._text).clean(text)

    def protect(self, target: Recommender) -> Sanitised:
        """The target, asked with clean texts.

        Raises:
            ConfigError: `max_tokens` is set and this target does not count tokens.
        """
        if self._max_tokens is not None and not isinstance(target, CountsTokens):
            raise ConfigError(
                "defenses.sanitise.max_tokens: this target does not count tokens; "
                "leave it out, title_words and text_words hold all the same"
            )
        return Sanitised(target, self, self._options, self._max_tokens)


class Sanitised(Rewriting):
    """A target that is asked with clean texts."""

    def __init__(
        self, target: Recommender, defense: Sanitise, options: Mapping[str, object], max_tokens: int | None
    ) -> None:
        super().__init__(target, defense.info, options)
        self._sanitise = defense
        self._max_tokens = max_tokens

    def edits(self, requests: Sequence[Request]) -> Sequence[Sequence[Edit]]:
        """One edit for each text that was not clean."""
        found = [self._edits(request) for request in requests]
        return found if self._max_tokens is None else [self._fit(r, e) for r, e in zip(requests, found, strict=True)]

    def log(self, request: Request) -> dict[str, Cleaned]:
        """What was changed in a request, by field, step by step. Cuts to `max_tokens` are in `edits` alone."""
        done = {text.field: self._sanitise.clean(text.text, text.kind) for text in untrusted(request)}
        return {field: cleaned for field, cleaned in done.items() if cleaned.changes}

    def _edits(self, request: Request) -> list[Edit]:
        made = [edit for text in untrusted(request) for edit in self._of(text)]
        for name, value in request.user.attributes.items():
            clean = self._value(value)
            if clean != value:
                made.append(SetAttribute(name, clean))
        return made

    def _of(self, text: Text) -> tuple[Edit, ...]:
        return text.becomes(self._sanitise.clean(text.text, text.kind).text)

    def _value(self, value: AttributeValue) -> AttributeValue:
        if isinstance(value, str):
            return self._sanitise.clean(value).text
        return tuple(self._sanitise.clean(v).text for v in value) if isinstance(value, tuple) else value

    def _fit(self, request: Request, edits: list[Edit]) -> list[Edit]:
        """More edits, until the prompt is short enough or nothing is left to cut."""
        counter = self.target
        if not isinstance(counter, CountsTokens) or self._max_tokens is None:
            return edits
        for _ in range(_CUTS):
            now = apply(edits, request)
            (tokens,) = counter.count_tokens([now])
            longest = max(untrusted(now), key=lambda t: (len(t.text), t.field), default=None)
            if tokens <= self._max_tokens or longest is None:
                return edits
            words = longest.text.split(" ")
            shorter = longest.becomes(" ".join(words[: max(len(words) * 3 // 4, 1)]))
            if not shorter:
                return edits
            edits = [*edits, *shorter]
        return edits
