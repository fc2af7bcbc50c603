"""The part: matched guises.

The same request is made in standard English and in another variety. A model that serves two people differently for how
they say the same thing treats groups differently without any attribute (Hofmann et al., Nature 2024). But every change
of wording moves a language model: so the dialect is held against controls that change as much and belong to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from audit.edits import Edit, TextEdit
from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.fairness.cards import cards, decided
from audit.modules.fairness.design import Anchor, Grid, Variant, neutral
from audit.modules.fairness.dialect.guises import Guise, edit_distance, load, misspelt, shipped
from audit.modules.fairness.dialect.judge import CONTROLS, Judge, Said
from audit.modules.fairness.statements import Channel, channel_of, place
from audit.modules.sheet import Sheet
from audit.types import Request


@dataclass(frozen=True)
class Dialect:
    """What a dialect changes.

    Attributes:
        file: a CSV file with the columns `pair`, `standard` and `dialect`, and if wanted `control`, `form` and
            `speaker`; None for the small shipped set.
        forms: varieties to compare; None for all.
        per_pair: as how many users of the run every request is made.
        cluster: unit of inference, `pair` or `speaker`.
        channel: `note` or `instruction`; None for the first that the target reads.
        repeats: how often each question is asked.
    """

    file: str | None = None
    forms: Sequence[str] | None = None
    per_pair: int = 2
    cluster: Literal["pair", "speaker"] = "pair"
    channel: str | None = None
    repeats: int = 1

    def __post_init__(self) -> None:
        for name in ("per_pair", "repeats"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: {value!r} must be a whole number of at least 1")
        if self.cluster not in ("pair", "speaker"):
            raise ValueError(f"cluster: {self.cluster!r} must be 'pair' or 'speaker'")
        if self.channel is not None and self.channel not in (Channel.NOTE, Channel.INSTRUCTION):
            raise ValueError(f"channel: {self.channel!r} must be 'note' or 'instruction'")
        known = list(dict.fromkeys(g.form for g in self._all))
        for form in self.forms or ():
            if form not in known:
                raise ValueError(f"forms: {form!r} must be one of {', '.join(known)}")
        if self.cluster == "speaker" and not all(g.speaker for g in self._all):
            raise ValueError("cluster: 'speaker' must go with a file whose column `speaker` is filled everywhere")

    @cached_property
    def _all(self) -> list[Guise]:
        return shipped() if self.file is None else load(self.file)

    def lacking(self, context: Context) -> str | None:
        """Somebody's own words must be read, and answers compared."""
        if context.task == "answer":
            return "the run asks for free text, and lists or scores are compared (target.task: rank or score)"
        if self.channel_for(context) is None:
            return f"the target reads no {self.channel or 'note or instruction'}, so no words reach it"
        if not context.cases:
            return "the run has no users to make the requests as"
        return None

    def plan(self, context: Context) -> list[Ask]:
        """Every request in standard English, in its variety, and in both controls."""
        rng = context.rng("fairness", "dialect", "plan")
        return [ask for form in self.varieties for ask in self._grid(context, form)[0].asks(rng)]

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask and compare."""
        primary, explored = cards(context)
        output = Output()
        sheet = Sheet(context, primary, output, examples)
        for form in self.varieties:
            grid, said = self._grid(context, form)
            judge = Judge(context, grid.run(context), said, self, form, primary, explored, sheet)
            for control in CONTROLS:
                judge.judge(control)
        return Output([*decided(primary), *decided(explored)], output.evidence, {**primary.values, **explored.values})

    @property
    def varieties(self) -> list[str]:
        """Names of the varieties to be asked."""
        return [f for f in dict.fromkeys(g.form for g in self._all) if self.forms is None or f in self.forms]

    def channel_for(self, context: Context) -> Channel | None:
        """Where the words stand."""
        wanted = (self.channel,) if self.channel is not None else (Channel.NOTE.value, Channel.INSTRUCTION.value)
        return next((c for w in wanted if (c := channel_of(context.info, w)) is not None), None)

    def _grid(self, context: Context, form: str) -> tuple[Grid, Mapping[str, Said]]:
        """The grid of one variety, and by the digest of an anchor's request what is said instead."""
        channel = self.channel_for(context) or Channel.NOTE
        each = min(self.per_pair, len(context.cases))
        anchors: list[Anchor] = []
        said: dict[str, Said] = {}
        for row, guise in enumerate(g for g in self._all if g.form == form):
            rng = context.rng("fairness", "dialect", "slips", form, guise.pair, str(row))
            words = Said(guise, misspelt(guise.standard, edit_distance(guise.standard, guise.dialect), rng))
            for j in range(each):
                # Two speakers of one request speak as different users: the request itself must tell them apart.
                for step in range(len(context.cases)):
                    case = context.cases[(row * each + j + step) % len(context.cases)]
                    request = place(case.request, channel, guise.standard)
                    if request.digest not in said:
                        said[request.digest] = words
                        unit = guise.speaker if self.cluster == "speaker" else guise.pair
                        anchors.append(Anchor(f"{row}/{guise.pair}/{case.id}", request, unit, case.relevant))
                        break
        controlled = any(words.guise.control for words in said.values())
        variants = [neutral(), Variant("dialect", "value", _says(said, channel, "dialect"), "dialect", form)]
        if controlled:
            variants.append(Variant("control", "control", _says(said, channel, "control")))
        variants.append(Variant("typos", "control", _says(said, channel, "typos")))
        return Grid(f"dialect {form}", anchors, variants, self.repeats), said


def _says(said: Mapping[str, Said], channel: Channel, variant: str) -> Callable[[Request], list[Edit]]:
    def edits(request: Request) -> list[Edit]:
        words = said[request.digest]
        return [TextEdit(channel.value, 0, len(words.guise.standard), words.words(variant))]

    return edits
