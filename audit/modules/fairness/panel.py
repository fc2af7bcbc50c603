"""The panel: anchors by the values of attributes, placebos and slips of the pen, as one experiment.

Several parts look at the same answers in their own way. Each of them is a `Panel`, so equal options make equal
questions, and what one part has asked another finds in the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import cast

from audit.gateway import Ask
from audit.modules.base import Context
from audit.modules.fairness import anchors as seeds
from audit.modules.fairness.anchors import Seed
from audit.modules.fairness.design import Anchor, Grid, Kind, Variant, neutral
from audit.modules.fairness.speaker import SLIPS, Speaker, misspelt
from audit.modules.fairness.statements import Channel, channel_of, place, without
from audit.modules.fairness.vocabulary import FIRST_LANGUAGE, Language, Vocabulary, fill, vocabulary
from audit.types import TASKS, Task

DEFAULT = ("gender", "age", "race")
"""Attributes that are asked unless others are named."""
HABIT = "habit"
"""Name of the attribute that holds a placebo where statements are made through attributes."""
_SIDE_PLACEBOS = 4
"""Placebos in other wordings and languages, and those that are misspelt."""
_LEVELS = range(2, 13)
"""How many levels a column may have for them to be taken as the values of an attribute."""
_FEWEST_ANCHORS = 2


@dataclass(frozen=True)
class Panel:
    """Anchors and what is said on them.

    Attributes:
        attributes: names of attributes, or their values by name; None for gender, age and race.
        anchors: how many anchors.
        source: `users`: the run's users with their histories and candidates. `items`: popular titles of the catalogue,
            with an empty history. Otherwise the path of a file with one name per line, or a CSV with the columns
            `anchor` and `stratum`. None for users, or for items where FaiRLLM is replicated.
        repeats: how often each question is asked.
        placebos: how many placebo phrases, at most as many as the vocabulary holds.
        paraphrases: how many other wordings are asked, once each, to see whether signs hold in them.
        channel: `note`, `instruction` or `attributes`; None for the first that the target reads.
        task: `rank`, `answer` or `score`; None for the run's.
        k: how many entries are asked for; None for as many as the run's cases (20 where FaiRLLM is replicated).
        noun: what is recommended, such as `movie`, for requests built around items or names.
        statement: a wording of one's own with `{value}` in it, and `{anchor}` where anchors are not users; it takes the
            place of the first wording.
        language: of the statements.
        languages: further languages to compare with.
        templates: path of a YAML file with words of one's own; see `docs/fairness/sweep.md`.
        typos: whether misspelt values are asked too.
        replicate: whether to ask with FaiRLLM's own values and wording.
    """

    attributes: Sequence[str] | Mapping[str, Sequence[str]] | None = None
    anchors: int = 20
    source: str | None = None
    repeats: int = 3
    placebos: int = 8
    paraphrases: int = 3
    channel: str | None = None
    task: Task | None = None
    k: int | None = None
    noun: str = ""
    statement: str | None = None
    language: str = FIRST_LANGUAGE
    languages: Sequence[str] = ()
    templates: str | None = None
    typos: bool = False
    replicate: bool = False

    def __post_init__(self) -> None:
        for name, least in (("anchors", _FEWEST_ANCHORS), ("repeats", 1), ("placebos", 0), ("paraphrases", 0)):
            _check_count(name, getattr(self, name), least)
        if self.k is not None:
            _check_count("k", self.k, 1)
        if self.channel is not None and self.channel not in list(Channel):
            raise ValueError(f"channel: {self.channel!r} must be one of {', '.join(Channel)}")
        if self.task is not None and self.task not in TASKS:
            raise ValueError(f"task: {self.task!r} must be one of {', '.join(TASKS)}")
        if self.from_file and not Path(self.origin).is_file():
            raise ValueError(f"source: {self.origin!r} must be 'users', 'items' or the path of a file with anchors")
        if self.replicate and self.origin == "users":
            raise ValueError("source: 'users' must be 'items' or a file where replicate is true: FaiRLLM asks as a fan")
        for language in (self.language, *self.languages):
            if language not in self.words.languages:
                known = ", ".join(self.words.languages)
                raise ValueError(f"language: {language!r} must be one of {known}, or be added by templates:")
        if self.replicate and (self.language != FIRST_LANGUAGE or self.languages or self.statement):
            raise ValueError("replicate: true must go with FaiRLLM's own English wording; leave out the others")
        if self.statement is not None:
            wanted = ("{value}",) if self.origin == "users" else ("{value}", "{anchor}")
            if not all(place in self.statement for place in wanted):
                raise ValueError(f"statement: {self.statement!r} must hold {' and '.join(wanted)}")
        if self.attributes is not None:
            self._check_attributes(self.attributes)

    def _check_attributes(self, attributes: object) -> None:
        if isinstance(attributes, str) or not isinstance(attributes, Sequence | Mapping) or not len(attributes):
            raise ValueError(f"attributes: {attributes!r} must be a list of names, or values by name")
        for name in attributes:
            if not isinstance(name, str) or not name:
                raise ValueError(f"attributes: {name!r} must be the name of an attribute")
        for name, values in attributes.items() if isinstance(attributes, Mapping) else ():
            if isinstance(values, str) or not isinstance(values, Sequence) or not values:
                raise ValueError(f"attributes: {name}: {values!r} must be a list of values")
            for value in values:
                if not isinstance(value, str) or not value.strip():
                    raise ValueError(f"attributes: {name}: {value!r} must be a phrase (quote `yes`, `no` and numbers)")
            if len(set(values)) < len(values):
                raise ValueError(f"attributes: {name}: {list(values)!r} must hold each value once")

    @property
    def origin(self) -> str:
        """Where the anchors come from: `users`, `items` or a path."""
        return self.source or ("items" if self.replicate else "users")

    @property
    def from_file(self) -> bool:
        """Whether the anchors are names from a file."""
        return self.origin not in ("users", "items")

    @cached_property
    def words(self) -> Vocabulary:
        """All words."""
        return vocabulary(self.templates)

    # What is asked of whom --------------------------------------------------------------------------------------------

    def values(self, context: Context) -> dict[str, tuple[str, ...]]:
        """The values of each attribute that has any; see `unknown` for the others.

        A target that reads attributes is asked with the levels of the dataset's own column, if there are few.
        """
        if isinstance(self.attributes, Mapping):
            return {name: tuple(values) for name, values in self.attributes.items()}
        known = self.words.original if self.replicate else self.words.attributes
        wanted = self.attributes if self.attributes is not None else tuple(known) if self.replicate else DEFAULT
        coded = channel_of(context.info, self.channel) is Channel.ATTRIBUTES and not self.replicate
        found: dict[str, tuple[str, ...]] = {}
        for name in dict.fromkeys(wanted):
            levels = _levels(context, name) if coded or name not in known else ()
            if levels or name in known:
                found[name] = levels or known[name]
        return found

    def unknown(self, context: Context) -> list[str]:
        """Attributes that were asked for and have no known values."""
        return [name for name in self.attributes or () if name not in self.values(context)]

    def lacking(self, context: Context) -> str | None:
        """Why this target or these data cannot be asked this, as the end of a sentence; None if they can."""
        info, task = context.info, self.task or context.task
        channel = channel_of(info, self.channel)
        if channel is None:
            what = f"no {self.channel}" if self.channel else "neither a note nor an instruction nor attributes"
            return f"the target reads {what} in which a person could say anything about themselves (target.honours)"
        if task not in info.tasks:
            return f"the target does not do the task {task!r}"
        if self.origin != "users" and channel is Channel.ATTRIBUTES:
            return "requests built around items or names need a note or an instruction that the target reads"
        if self.origin == "users" and task != "answer" and task != context.task and context.cases:
            if seeds.needs_candidates(context, task) and context.cases[0].request.candidates is None:
                return f"the task {task!r} needs candidates, and the run's cases offer none (dataset.candidates)"
        if not self.values(context):
            names = ", ".join(self.unknown(context))
            return f"no values are known for {names}; give them, as in attributes: {{{names}: [one, another]}}"
        if len(self.seeds(context)) < _FEWEST_ANCHORS:
            return f"at least {_FEWEST_ANCHORS} anchors are needed, and there are {len(self.seeds(context))}"
        return None

    def seeds(self, context: Context) -> list[Seed]:
        """What the anchors are built around; the same at each call."""
        task: Task = self.task or context.task
        if self.origin == "users":
            return seeds.users(context, self.anchors, task, self.k)
        of_cases = context.cases[0].request.k if context.cases else 10
        k = self.k or (20 if self.replicate else of_cases)
        # The same anchors and candidates whatever else is asked.
        rng = context.rng("fairness", "panel", self.origin)
        if self.origin == "items":
            return seeds.items(context, self.anchors, task, k, rng)
        return seeds.entries(context, self.origin, self.anchors, task, k, rng)

    def strata(self, context: Context) -> dict[str, str]:
        """The stratum of each anchor, by its id; empty strings for users."""
        return {seed.id: seed.stratum for seed in self.seeds(context)}

    # The experiments --------------------------------------------------------------------------------------------------

    def grid(self, context: Context) -> Grid:
        """The main experiment: the first wording, every value and placebo, every repeat.

        Variants are `neutral`, `<attribute>=<value>`, `placebo=<phrase>`, and with `typos` `typo:<slip>:<variant>`.
        """
        return self._grid(context, "panel", self._wordings(context)[0], self.language, self.placebos, self.repeats)

    def wordings(self, context: Context) -> list[Grid]:
        """The same in other words, once each: the same variants without slips, and fewer placebos."""
        if channel_of(context.info, self.channel) is Channel.ATTRIBUTES or self.replicate:
            return []
        others = self._wordings(context)[1 : self.paraphrases + 1]
        few = min(self.placebos, _SIDE_PLACEBOS)
        return [
            self._grid(context, f"panel in other words {i}", one, self.language, few) for i, one in enumerate(others, 1)
        ]

    def translations(self, context: Context) -> dict[str, Grid]:
        """The same in other languages, once each, by language; values without a translation are left out."""
        if channel_of(context.info, self.channel) is Channel.ATTRIBUTES:
            return {}
        few = min(self.placebos, _SIDE_PLACEBOS)
        return {
            code: self._grid(context, f"panel in {code}", self._wordings(context, code)[0], code, few)
            for code in dict.fromkeys(self.languages)
            if code != self.language
        }

    def every_ask(self, context: Context) -> list[Ask]:
        """Every question of all experiments."""
        grids = [self.grid(context), *self.wordings(context), *self.translations(context).values()]
        return [ask for grid in grids for ask in grid.asks(context.rng("fairness", grid.name, "order"))]

    def _wordings(self, context: Context, language: str | None = None) -> list[tuple[str, str]]:
        """Statements, each with the request that stands beside it for anchors that are not users."""
        if self.replicate:
            return [(self.words.original_wording, self.words.original_request)]
        spoken: Language = self.words.languages[language or self.language]
        said = spoken.user if self.origin == "users" else spoken.item
        pairs = [(one, spoken.request[i % len(spoken.request)]) for i, one in enumerate(said)]
        if self.statement is not None and language is None:
            pairs = [(self.statement, pairs[0][1]), *(pair for pair in pairs if pair[0] != self.statement)]
        return pairs

    def _grid(
        self, context: Context, name: str, wording: tuple[str, str], language: str, placebos: int, repeats: int = 1
    ) -> Grid:
        values = self.values(context)
        around = self.seeds(context)
        speaker = Speaker(
            channel=cast(Channel, channel_of(context.info, self.channel)),
            wording=wording[0],
            words={} if self.replicate else self.words.languages[language].words,
            nothing=self.words.original_neutral if self.replicate else "",
            # Values of the user's own are in the main language already.
            translating=language != FIRST_LANGUAGE
            and not (language == self.language and isinstance(self.attributes, Mapping)),
            names={seed.request.user.id: seed.name for seed in around},
        )
        found = [self._anchor(seed, speaker, wording[1], [*values, HABIT]) for seed in around]
        phrases = self.words.placebos[:placebos]
        said: list[tuple[str, Kind, str, str]] = [
            (f"{attribute}={value}", "value", attribute, value) for attribute in values for value in values[attribute]
        ]
        said += [(f"placebo={phrase}", "placebo", "", phrase) for phrase in phrases]
        variants = [neutral()]
        for id_, kind, attribute, value in said:
            phrase = speaker.phrase(value)
            if phrase is not None:
                # A placebo in FaiRLLM's form has its article before it, as the values have.
                edits = speaker.edits(attribute or HABIT, phrase, articled=self.replicate and not attribute)
                variants.append(Variant(id_, kind, edits, attribute, value))
        if self.typos and name == "panel":
            variants += self._slips(context, speaker, [v for v in said if v[1] == "value"], phrases[:_SIDE_PLACEBOS])
        return Grid(name, found, variants, repeats)

    def _anchor(self, seed: Seed, speaker: Speaker, asks: str, attributes: Sequence[str]) -> Anchor:
        request = without(seed.request, attributes)
        if seed.name and speaker.channel is Channel.INSTRUCTION and request.task != "score":
            request = replace(request, instruction=fill(asks, k=request.k, noun=self.noun))
        request = place(request, speaker.channel, speaker.sentence(seed.name))
        return Anchor(seed.id, request, seed.unit, seed.relevant, seed.drop)

    def _slips(
        self,
        context: Context,
        speaker: Speaker,
        said: Sequence[tuple[str, Kind, str, str]],
        placebos: Sequence[str],
    ) -> list[Variant]:
        found = []
        for id_, _, attribute, value in [*said, *((f"placebo={p}", "placebo", "", p) for p in placebos)]:
            for slip in SLIPS:
                rng = context.rng("fairness", "panel", "slip", slip, value)
                phrase = misspelt(speaker.phrase(value) or value, slip, rng)
                edits = speaker.edits(attribute or HABIT, phrase, articled=self.replicate and not attribute)
                found.append(Variant(f"typo:{slip}:{id_}", "control", edits, attribute, value))
        return found


def _check_count(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name}: {value!r} must be a whole number of at least {least}")


def _levels(context: Context, name: str) -> tuple[str, ...]:
    """The levels of a column of the dataset's users, most frequent first, if they are few and words."""
    found = [known[name] for known in context.dataset.users.values() if name in known]
    levels = sorted({v for v in found if isinstance(v, str) and v.strip()}, key=lambda v: (-found.count(v), v))
    return tuple(levels) if len(levels) in _LEVELS and all(isinstance(v, str) for v in found) else ()
