"""Wordings and words of the probes, as data: the shipped ones, and what a user adds to them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from audit.config import YAML_FAULTS
from audit.text import article

_SLOT = re.compile(r"\{(a|value|anchor|k|noun)\}")
FIRST_LANGUAGE = "en"


def fill(wording: str, phrase: str = "", *, anchor: str = "", k: int = 0, noun: str = "") -> str:
    """A wording with its places filled.

    Args:
        wording: text with `{value}`, `{a}`, `{anchor}`, `{k}` and `{noun}` in it, each at most where it is wanted.
        phrase: what is said; nothing for the neutral form.
        anchor: the item or name that the request is built around.
        k: how many entries are asked for.
        noun: what is recommended, such as `movie`; nothing for no noun.
    """
    text = wording if phrase else wording.replace("{value} ", "").replace(" {value}", "").replace("{value}", "")
    text = text.replace("{noun}", f"{noun} " if noun else "")
    # What is put in is not searched for places again: a title may hold braces.
    parts = _SLOT.split(text)
    given = {"value": phrase, "anchor": anchor, "k": str(k)}
    words = [part if i % 2 == 0 else given.get(part, "") for i, part in enumerate(parts)]
    for i, part in enumerate(parts):
        if i % 2 and part == "a":
            words[i] = article("".join(words[i + 1 :]).lstrip())
            words[i] = words[i].capitalize() if i == 1 and not words[0] else words[i]
    return "".join(words)


@dataclass(frozen=True)
class Language:
    """How something is said in one language.

    Attributes:
        user: wordings of the statement of a user with a history, the main one first.
        item: wordings of the statement of a fan of an item, the main one first.
        request: requests for a list, one beside each wording of `item`.
        words: by English phrase, the phrase in this language; empty for English.
    """

    user: tuple[str, ...]
    item: tuple[str, ...]
    request: tuple[str, ...]
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Vocabulary:
    """All words of the probes.

    Attributes:
        attributes: values by attribute.
        placebos: phrases of the same syntax without a social meaning.
        languages: by code.
        original: FaiRLLM's own values by attribute, with their articles.
        original_neutral: what stands in their place in FaiRLLM's neutral form.
        original_wording: FaiRLLM's statement.
        original_request: FaiRLLM's request for a list.
    """

    attributes: Mapping[str, tuple[str, ...]]
    placebos: tuple[str, ...]
    languages: Mapping[str, Language]
    original: Mapping[str, tuple[str, ...]]
    original_neutral: str
    original_wording: str
    original_request: str


@cache
def _shipped() -> dict[str, Any]:
    text = resources.files("audit.modules.fairness").joinpath("vocabulary.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


@cache
def vocabulary(templates: str | None = None) -> Vocabulary:
    """The shipped vocabulary, with a user's own file laid over it.

    Args:
        templates: path of a YAML file with any of the keys `attributes`, `placebos` and `languages`.

    Raises:
        ValueError: the file cannot be read, or does not have that form.
    """
    data = _shipped()
    languages: dict[str, dict[str, Any]] = {k: dict(v) for k, v in data["languages"].items()}
    attributes, placebos = dict(data["attributes"]), list(data["placebos"])
    if templates is not None:
        own = _own(templates)
        attributes |= own.get("attributes", {})
        placebos = own.get("placebos", placebos)
        for code, block in own.get("languages", {}).items():
            known = languages.setdefault(code, {})
            words = {**known.get("words", {}), **block.get("words", {})}
            languages[code] = {**known, **block, "words": words}
    original = data["replicate"]
    return Vocabulary(
        {name: _phrases(values, f"attributes.{name}") for name, values in attributes.items()},
        _phrases(placebos, "placebos"),
        {code: _language(code, block) for code, block in languages.items()},
        {name: tuple(values) for name, values in original["attributes"].items()},
        original["neutral"],
        original["wording"],
        " ".join(original["request"].split()),
    )


def _own(path: str) -> dict[str, Any]:
    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, *YAML_FAULTS) as error:
        raise ValueError(f"templates: {path!r} cannot be read ({error}); name a YAML file") from error
    parts = {"attributes", "placebos", "languages"}
    if not isinstance(data, dict) or set(data) - parts:
        raise ValueError(f"templates: {path!r} must be a mapping with the keys {', '.join(sorted(parts))}")
    for part in ("attributes", "languages"):
        block = data.get(part, {})
        if not isinstance(block, dict) or (
            part == "languages" and not all(isinstance(b, dict) for b in block.values())
        ):
            raise ValueError(f"templates: {part}: in {path!r} it must be a mapping; see docs/fairness/sweep.md")
    return data


def _phrases(values: Any, where: str) -> tuple[str, ...]:  # noqa: ANN401 - from a user's file
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise ValueError(f"{where}: {values!r} must be a list of phrases")
    for value in values:
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{where}: {value!r} must be a phrase (quote `yes`, `no` and numbers)")
    return tuple(dict.fromkeys(values))


def _language(code: str, block: Mapping[str, Any]) -> Language:
    where = f"templates: languages.{code}"
    unknown = set(block) - {"user", "item", "request", "words"}
    if unknown:
        raise ValueError(f"{where}.{min(unknown)}: no part has this name; use user, item, request or words")
    lacking = [name for name in ("user", "item", "request") if name not in block]
    if lacking:
        raise ValueError(f"{where}.{lacking[0]}: it is missing; a language needs user, item and request wordings")
    found = {name: _phrases(block[name], f"{where}.{name}") for name in ("user", "item", "request")}
    for name in ("user", "item"):
        for wording in found[name]:
            if "{value}" not in wording or (name == "item" and "{anchor}" not in wording):
                wanted = "{value}" if name == "user" else "{value} and {anchor}"
                raise ValueError(f"{where}.{name}: {wording!r} must hold {wanted}")
    words = block.get("words", {})
    if not isinstance(words, Mapping):
        raise ValueError(f"{where}.words: {words!r} must map English phrases to this language's")
    return Language(found["user"], found["item"], found["request"], dict(words))
