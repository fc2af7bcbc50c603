"""The defense `grounding`: retrieve, ask for citations, and let only titles of the catalogue pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from audit.defense import Defended, DefenseInfo, Rewriting
from audit.edits import Edit, Zone
from audit.errors import ConfigError, nearest
from audit.grounding import Grounder
from audit.knowledge import KnowledgeBase
from audit.knowledge.prompting import READS, WORDING, prompted, retrieved
from audit.modules.hallucination import knowledge
from audit.target import Input, Recommender, describe
from audit.types import Answer, Catalog, Request
from defenses.grounding.texts import without_strangers
from defenses.output_control import OutputControl

Constrain = Literal["drop", "none"]
STRICTER = "Name only items that the passages describe."
"""Said when an answer named what does not exist. It quotes nothing of that answer: whoever planted a title there must
not come to speak in the instruction."""


class Grounding:
    """Gives the target passages about items that may suit, asks it to cite them, and holds it to the catalogue.

    What the user wrote and liked is searched for in the catalogue's rows and in documents of your own; the first `k`
    are put before the target, numbered. A target that reads no passages finds them behind its instruction, or else
    behind the user's note. Then titles that the catalogue does not have are mapped to an item if they are a slip of the
    pen, and dropped otherwise: lists by the rules of `output-control`, free text line by line.

    Args:
        catalog: the items.
        k: passages put before the target.
        documents: files and folders of your own (CSV, Parquet, Markdown, PDF, text).
        encoder: folder of a sentence encoder, or `minilm`, to search by meaning too; None to search by words alone.
        folder: where vectors are kept between runs.
        wording: said behind the instruction; empty to say nothing.
        constrain: `drop`, or `none` to hand on whatever the target names.
        again: how often an answer that named what does not exist may be asked for anew.
        allow_history: whether a list may hold what the user has had.

    Raises:
        ConfigError: an option that cannot be used.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        k: int = 5,
        documents: Sequence[str | Path] = (),
        encoder: str | Path | None = None,
        folder: str | Path | None = None,
        wording: str = WORDING,
        constrain: Constrain = "drop",
        again: int = 1,
        allow_history: bool = False,
    ) -> None:
        for name, value, least in (("k", k, 1), ("again", again, 0)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"defenses.grounding.{name}: {value!r} must be a whole number of at least {least}")
        if constrain not in get_args(Constrain):
            raise ConfigError(
                f"defenses.grounding.constrain: {constrain!r} is no choice; "
                f"{nearest(str(constrain), get_args(Constrain))}"
            )
        self._knowledge: dict[str, Any] = {
            "documents": documents if isinstance(documents, str) else [str(path) for path in documents],
            "encoder": None if encoder is None else str(encoder),
            "folder": None if folder is None else str(folder),
        }
        try:
            knowledge.check(self._knowledge)
        except ValueError as error:
            raise ConfigError(str(error).replace("knowledge", "defenses.grounding", 1)) from error
        self.catalog = catalog
        self.k = k
        self.wording = wording.strip()
        self.constrain = constrain
        self.again = again
        self.allow_history = allow_history

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="grounding",
            title="Grounding by retrieval",
            why="A model that reads what exists has less reason to invent, and what it still invents goes no further.",
            reference="Lewis et al., NeurIPS 2020 (arXiv 2005.11401), retrieval-augmented generation; citations after "
            "Gao et al., EMNLP 2023 (arXiv 2305.14627), ALCE",
            family="prompt",
            guards=frozenset({Zone.USER, Zone.SELLER}),
            calls=1.0 + self.again * (self.constrain == "drop"),
            needs=READS,
            limits="Whoever writes into the knowledge base writes into the prompt (attack: kb-poisoning). A model "
            "may not read its passages. False statements about real items pass, and titles in running text, tables or "
            "JSON are not cut out. A target without passages has them in its instruction or in the user's note.",
            controls=("owasp-llm:2026:LLM07",),
        )

    @cached_property
    def base(self) -> KnowledgeBase:
        """What is searched; built once."""
        return knowledge.build(self._knowledge, self.catalog)

    @cached_property
    def grounder(self) -> Grounder:
        """Ties titles to items."""
        return Grounder(self.catalog)

    def protect(self, target: Recommender) -> Grounded:
        """The target, with passages before it and the catalogue behind it.

        Raises:
            ConfigError: it reads nothing in which passages could stand.
        """
        if not READS & describe(target).honours:
            raise ConfigError("defenses.grounding: this target reads no passages, no instruction and no note")
        return Grounded(target, self)


class Retrieving(Rewriting):
    """A target with retrieved passages before it; slips of the pen in its titles are mapped to items."""

    def __init__(self, target: Recommender, defense: Grounding) -> None:
        options = {"k": defense.k, "wording": defense.wording, "knowledge": defense.base.digest}
        super().__init__(target, defense.info, options)
        self._defense = defense
        self._inner = describe(target)

    def edits(self, requests: Sequence[Request]) -> Sequence[Sequence[Edit]]:
        """Per request, the passages and the wording."""
        defense = self._defense
        found = retrieved(defense.base, requests, defense.k)
        return [
            prompted(request, self._inner, documents, defense.wording)
            for request, documents in zip(requests, found, strict=True)
        ]

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> Sequence[Answer]:
        """Put the passages there, ask, and map titles."""
        answers = super().recommend_draws(requests, draws)
        if self._defense.constrain == "none":
            return answers
        return [self._mapped(request, answer) for request, answer in zip(requests, answers, strict=True)]

    def _mapped(self, request: Request, answer: Answer) -> Answer:
        open_titles = [entry.title for entry in answer.ranked if entry.item_id is None and entry.title]
        if answer.outcome != "ok" or not open_titles:
            return answer
        read = self._defense.grounder.ground_titles(open_titles, candidates=request.candidates)
        ids = {title: match.item_id for title, match in zip(open_titles, read.matches, strict=True)}
        ranked = tuple(e if e.item_id is not None else replace(e, item_id=ids.get(e.title)) for e in answer.ranked)
        return replace(answer, ranked=ranked)


class Grounded(Defended):
    """A target that is given what exists, and held to it."""

    def __init__(self, target: Recommender, defense: Grounding) -> None:
        options = {
            "k": defense.k,
            "wording": defense.wording,
            "constrain": defense.constrain,
            "again": defense.again,
            "allow_history": defense.allow_history,
            "knowledge": defense.base.digest,
            "catalog": defense.catalog.digest,
        }
        super().__init__(target, defense.info, options)
        self._defense = defense
        self._retrieving = Retrieving(target, defense)
        self._lists: Defended = self._retrieving
        if defense.constrain == "drop":
            control = OutputControl(defense.catalog, again=defense.again, allow_history=defense.allow_history)
            self._lists = control.protect(self._retrieving)

    def edits(self, requests: Sequence[Request]) -> Sequence[Sequence[Edit]]:
        """What is put before the target, per request."""
        return self._retrieving.edits(requests)

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> Sequence[Answer]:
        """Retrieve, ask, and keep to the catalogue."""
        words = [i for i, request in enumerate(requests) if request.task == "answer"]
        lists = [i for i, request in enumerate(requests) if request.task != "answer"]
        answers: dict[int, Answer] = {}
        for some, ask in ((lists, self._lists.recommend_draws), (words, self._in_words)):
            if some:
                found = ask([requests[i] for i in some], [draws[i] for i in some])
                answers.update(zip(some, found, strict=True))
        return [answers[i] for i in range(len(requests))]

    def _in_words(self, requests: Sequence[Request], draws: Sequence[int]) -> Sequence[Answer]:
        answers = list(self._retrieving.recommend_draws(requests, draws))
        if self._defense.constrain == "none":
            return answers
        strange = [self._strangers(request, answer) for request, answer in zip(requests, answers, strict=True)]
        for _ in range(self._defense.again if Input.INSTRUCTION in describe(self.target).honours else 0):
            at = [i for i, count in enumerate(strange) if count]
            again = self._retrieving.recommend_draws([self._stricter(requests[i]) for i in at], [draws[i] for i in at])
            for i, answer in zip(at, again, strict=True):
                usage = answers[i].usage + answer.usage
                found = self._strangers(requests[i], answer)
                if answer.outcome == "ok" and found < strange[i]:
                    answers[i], strange[i] = answer, found
                answers[i] = replace(answers[i], usage=usage)
        return [
            without_strangers(answer, request, self._defense.grounder) if count else answer
            for answer, request, count in zip(answers, requests, strange, strict=True)
        ]

    def _strangers(self, request: Request, answer: Answer) -> int:
        if answer.outcome != "ok" or not answer.text:
            return 0
        read = self._defense.grounder.ground_list(
            answer.text, candidates=request.candidates, history=[event.item for event in request.user.history]
        )
        return sum(match.status == "absent" for match in read.matches)

    def _stricter(self, request: Request) -> Request:
        told = request.instruction or describe(self.target).instructions.get(request.task, "")
        return request if STRICTER in told else replace(request, instruction=f"{told} {STRICTER}".strip())
