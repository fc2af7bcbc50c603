"""The payload library: read, checked, and filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, cast, get_args

import yaml

from attacks.injection.carriers import CARRIERS
from audit.attack.promotion import Field, Position, Variant
from audit.errors import ConfigError, nearest

Purpose = Literal["promote", "leak", "derail"]
Channel = Literal["indirect", "direct"]

FIELDS: Mapping[Channel, tuple[Field, ...]] = {
    "indirect": ("title", "description", "review", "passage"),
    "direct": ("note",),
}
PLACEHOLDERS = ("title", "rival", "k")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_REQUIRED = ("id", "family", "goal", "channel", "language", "reference", "text")
_OPTIONAL = ("fields", "escape", "carrier")


@dataclass(frozen=True)
class Payload:
    """One text to plant.

    Attributes:
        id: distinct.
        family: what kind of trick it is.
        goal: what it wants.
        channel: `direct` in the user's own words, `indirect` in somebody else's.
        language: BCP 47 tag.
        reference: where the trick is from.
        text: with placeholders.
        fields: where it may stand.
        escape: `json` when what fills a placeholder is escaped as inside a JSON string.
        carrier: the Unicode that hides it; empty for plain text.
    """

    id: str
    family: str
    goal: Purpose
    channel: Channel
    language: str
    reference: str
    text: str
    fields: tuple[Field, ...]
    escape: str = ""
    carrier: str = ""

    def render(self, values: Mapping[str, str]) -> str:
        """The text with its placeholders filled in one pass: braces in a title are never read as a placeholder."""

        def fill(found: re.Match[str]) -> str:
            value = values.get(found[1], found[0])
            return json.dumps(value, ensure_ascii=False)[1:-1] if self.escape == "json" else value

        text = _PLACEHOLDER.sub(fill, self.text)
        return CARRIERS[self.carrier](text) if self.carrier else text


def load(path: str | Path | None = None) -> tuple[Payload, ...]:
    """All payloads of a library.

    Args:
        path: a file of one's own; None for the library that comes with RecAudit.

    Raises:
        ConfigError: the file cannot be read, or an entry is wrong; the sentence names it.
    """
    return _own() if path is None else _read(Path(path))


def variants(payloads: Sequence[Payload], positions: Sequence[Position]) -> tuple[Variant, ...]:
    """Every payload in every field and at every position that it may have."""
    return tuple(
        Variant(
            f"{payload.id}/{place}/{position}",
            place,
            {"family": payload.family, "field": place, "position": position, "channel": payload.channel},
        )
        for payload in payloads
        for place in payload.fields
        for position in positions
    )


def chosen(payloads: Sequence[Payload], families: Sequence[str], places: Sequence[str]) -> tuple[Payload, ...]:
    """The payloads of some families and fields; all where nothing is named.

    Raises:
        ValueError: a name that no payload has, with the nearest.
    """
    known = sorted({payload.family for payload in payloads})
    for family in families:
        if family not in known:
            raise ValueError(f"families: {family!r} is not a family of the library; {nearest(family, known)}")
    for place in places:
        if place not in get_args(Field):
            raise ValueError(f"fields: {place!r} is not a field; {nearest(place, get_args(Field))}")
    kept = []
    for payload in payloads:
        fields = tuple(place for place in payload.fields if not places or place in places)
        if fields and (not families or payload.family in families):
            kept.append(Payload(**{**vars(payload), "fields": fields}))
    return tuple(kept)


@cache
def _own() -> tuple[Payload, ...]:
    return _parse(files("attacks.injection").joinpath("payloads.yaml").read_text(encoding="utf-8"), "payloads.yaml")


def _read(path: Path) -> tuple[Payload, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"library: {path} cannot be read: {error}; name a YAML file of payloads") from error
    return _parse(text, path.name)


def _parse(text: str, name: str) -> tuple[Payload, ...]:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"library: {name} is not YAML: {' '.join(str(error).split())}") from error
    entries = data.get("payloads") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"library: {name} holds no list `payloads:`; give at least one payload")
    payloads = [_payload(entry, f"{name}: payloads.{at}") for at, entry in enumerate(entries)]
    ids = [payload.id for payload in payloads]
    if twice := sorted({i for i in ids if ids.count(i) > 1}):
        raise ConfigError(f"library: {name}: id {twice[0]!r} occurs twice; ids must be unique")
    return tuple(payloads)


def _payload(entry: Any, where: str) -> Payload:  # noqa: ANN401 - whatever YAML held
    if not isinstance(entry, dict):
        raise ConfigError(f"library: {where}: {entry!r} is not a payload; give id, family, goal, channel and text")
    known = (*_REQUIRED, *_OPTIONAL)
    for key, value in entry.items():
        if key not in known:
            raise ConfigError(f"library: {where}.{key}: no such key; {nearest(str(key), known)}")
        if key != "fields" and not (isinstance(value, str) and value.strip()):
            raise ConfigError(f"library: {where}.{key}: {value!r} must be a text that is not empty")
    for key in _REQUIRED:
        if key not in entry:
            raise ConfigError(f"library: {where}.{key} is missing; every payload needs {', '.join(_REQUIRED)}")
    _one_of(entry["goal"], get_args(Purpose), f"{where}.goal")
    _one_of(entry["channel"], get_args(Channel), f"{where}.channel")
    if "escape" in entry:
        _one_of(entry["escape"], ("json",), f"{where}.escape")
    if "carrier" in entry:
        _one_of(entry["carrier"], tuple(CARRIERS), f"{where}.carrier")
    allowed = FIELDS[cast(Channel, entry["channel"])]
    fields = entry.get("fields", list(allowed))
    if not isinstance(fields, list) or not fields:
        raise ConfigError(f"library: {where}.fields: {fields!r} must be a list of {', '.join(allowed)}")
    for place in fields:
        _one_of(place, allowed, f"{where}.fields")
    for placeholder in _PLACEHOLDER.findall(entry["text"]):
        _one_of(placeholder, PLACEHOLDERS, f"{where}.text: placeholder")
    return Payload(**{**entry, "fields": tuple(fields)})


def _one_of(value: object, known: Sequence[str], where: str) -> None:
    if value not in known:
        raise ConfigError(f"library: {where}: {value!r} must be one of {', '.join(known)}")
