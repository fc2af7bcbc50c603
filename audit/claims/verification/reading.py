"""What a rung that reads text is given: the claim as a sentence, and the texts that may settle it."""

from __future__ import annotations

from functools import cache
from importlib import resources

import yaml

from audit.claims.claim import Claim, Facts
from audit.knowledge.document import Document, item_document


def statement(claim: Claim, facts: Facts) -> str | None:
    """The claim as a full sentence with the title in it; None where no document about an item could settle it.

    A `passage` claim is a sentence already.
    """
    if claim.predicate == "passage":
        return claim.sentence.strip() or None
    wording = _wordings().get(claim.predicate)
    item = facts.item(claim)
    subject = claim.subject or (item.title if item is not None else "")
    if wording is None or not subject:
        return None
    # Not `format`: a title may hold braces.
    parts = {"{subject}": subject, "{object}": claim.object}
    sentence = wording["said" if claim.polarity else "denied"]
    head, first, rest = _cut(sentence, parts)
    middle, second, tail = _cut(rest, parts)
    return head + first + middle + second + tail


def texts(claim: Claim, facts: Facts) -> list[Document]:
    """The texts that may settle a claim: the item's own row, and passages that are about the item or name it.

    A passage about another item must not speak for this one. A `passage` claim may be settled by any passage.
    """
    if claim.predicate == "passage":
        return [Document(name, text) for name, text in facts.passages.items() if text.strip()]
    item = facts.item(claim)
    names = {claim.subject.casefold()} | ({item.title.casefold()} if item is not None else set())
    names.discard("")
    found = [] if item is None else [item_document(item)]
    for name, text in facts.passages.items():
        about = name.partition("~")[0]
        own = item is not None and about == f"item:{item.id}"
        if own and about == name:
            continue  # the row itself, which is there already
        named = not about.startswith("item:") and any(title in text.casefold() for title in names)
        if text.strip() and (own or named):
            found.append(Document(name, text))
    return found


def _cut(sentence: str, parts: dict[str, str]) -> tuple[str, str, str]:
    place = min((p for p in parts if p in sentence), key=sentence.index)
    head, _, rest = sentence.partition(place)
    return head, parts[place], rest


@cache
def _wordings() -> dict[str, dict[str, str]]:
    read = resources.files("audit.claims.verification").joinpath("statements.yaml").read_text(encoding="utf-8")
    loaded: dict[str, dict[str, str]] = yaml.safe_load(read)
    return loaded
