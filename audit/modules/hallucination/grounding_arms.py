"""The arms of retrieval: the same questions without passages, and with retrieved, right, irrelevant and false ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from audit.edits import Edit, apply
from audit.knowledge import Document, KnowledgeBase, item_document
from audit.knowledge.falsehoods import Falsehood, falsifiable, falsified
from audit.knowledge.prompting import prompted, retrieved, rows
from audit.modules.base import Context
from audit.types import Case

ArmName = Literal["none", "retrieved", "oracle", "placebo", "poisoned"]
"""A to E of the design: `none` is the clean request; `retrieved` has the first k documents that a search finds;
`oracle` the catalogue's rows of the items that the user chose next and had last; `placebo` texts as long as those
retrieved that have nothing to do with anything; `poisoned` those retrieved with one fact changed."""
ARMS: tuple[ArmName, ...] = get_args(ArmName)

_NEUTRAL = (
    "The kettle stands on the left side of the stove and is filled each morning.",
    "Gravel paths should be raked once a month so that water can run off.",
    "A wooden ruler shrinks a little when the air in the office is dry.",
    "The bus to the harbour stops behind the post office every twenty minutes.",
    "Paper of this weight is stored flat and away from the window.",
    "Before the valve is closed the pressure should be written in the log.",
    "Onions keep longest where it is cool, dark and not too damp.",
    "The blue folder holds the receipts and the grey one holds the letters.",
)
"""Plain statements about nothing that anybody would recommend."""


@dataclass(frozen=True)
class GroundingArm:
    """One variant of every case.

    Attributes:
        name: see `ArmName`.
        edits: per case, in the cases' order; empty where there is nothing to add.
        falsehoods: for `poisoned`, what was changed in each case; None where nothing could be.
        documents: per case, what was put before the target.
    """

    name: ArmName
    edits: tuple[tuple[Edit, ...], ...]
    falsehoods: tuple[Falsehood | None, ...] = ()
    documents: tuple[tuple[Document, ...], ...] = ()

    def cases(self, cases: Sequence[Case]) -> list[Case]:
        """The cases with the edited requests."""
        return [
            replace(case, request=apply(edits, case.request)) for case, edits in zip(cases, self.edits, strict=True)
        ]


def arms_of(
    context: Context, cases: Sequence[Case], base: KnowledgeBase, *, k: int, wording: str, names: Sequence[ArmName]
) -> Mapping[ArmName, GroundingArm]:
    """The arms that are asked, `none` first. The same at each call.

    Args:
        context: of the run.
        cases: what is asked.
        base: to search.
        k: documents per request.
        wording: said with the documents, in every arm that has some.
        names: which arms.
    """
    found = retrieved(base, [case.request for case in cases], k)
    made: dict[ArmName, GroundingArm] = {"none": GroundingArm("none", ((),) * len(cases))}
    for name in ARMS[1:]:
        if name not in names:
            continue
        falsehoods: list[Falsehood | None] = []
        given: list[tuple[Document, ...]] = []
        for case, documents in zip(cases, found, strict=True):
            chosen = documents
            if name == "oracle":
                chosen = _right(context, case, base, k)
            elif name == "placebo":
                chosen = _irrelevant(documents)
            elif name == "poisoned":
                chosen, falsehood = _poisoned(context, case, documents)
                falsehoods.append(falsehood)
            given.append(chosen)
        edits = tuple(
            prompted(case.request, context.info, documents, wording)
            for case, documents in zip(cases, given, strict=True)
        )
        made[name] = GroundingArm(name, edits, tuple(falsehoods), tuple(given))
    return made


def _right(context: Context, case: Case, base: KnowledgeBase, k: int) -> tuple[Document, ...]:
    """Rows of what the user chose next and of what they had last; in random order, so that no place gives one away."""
    catalog = context.dataset.catalog
    chosen = [catalog[item_id] for item_id in sorted(case.relevant) if item_id in catalog]
    had = [event.item for event in reversed(case.request.user.history)]
    documents = list({document.id: document for document in rows(base, [*chosen, *had])}.values())[:k]
    order = context.rng("hallucination", "grounding", "oracle", case.id).permutation(len(documents))
    return tuple(documents[int(at)] for at in order)


def _irrelevant(documents: Sequence[Document]) -> tuple[Document, ...]:
    """As many texts, each as long to within a word."""
    return tuple(
        Document(f"placebo:{number}", _neutral(len(document.text), number))
        for number, document in enumerate(documents, start=1)
    )


def _neutral(length: int, start: int) -> str:
    text, at = "", start
    while len(text) < length:
        text = f"{text} {_NEUTRAL[at % len(_NEUTRAL)]}".strip()
        at += 1
    if len(text) == length:
        return text
    cut = text.rfind(" ", 0, length + 1)
    return text[: cut if cut > 0 else length]


def _poisoned(
    context: Context, case: Case, documents: Sequence[Document]
) -> tuple[tuple[Document, ...], Falsehood | None]:
    """One fact changed in the first document that is a row of the catalogue."""
    catalog = context.dataset.catalog
    rng = context.rng("hallucination", "grounding", "poison", case.id)
    for at, document in enumerate(documents):
        item = catalog.get(document.item_id or "")
        if item is None or document.id != item_document(item).id:
            continue
        for attribute in falsifiable(item):
            falsehood = falsified(item, attribute, catalog, rng)
            if falsehood is not None:
                false = replace(document, text=item_document(falsehood.item).text, title=falsehood.item.title)
                return (*documents[:at], false, *documents[at + 1 :]), falsehood
    return tuple(documents), None
