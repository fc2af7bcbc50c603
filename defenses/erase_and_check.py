"""Erase-and-check: a safety filter asked again and again, with parts of a text erased."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from audit import stats
from audit.defense import Defended, DefenseInfo
from audit.edits import Zone
from audit.errors import ConfigError, nearest
from audit.target import Input, Recommender, describe
from audit.types import Answer, Request, Usage
from defenses.erasures import MODES, Mode, count, erasures
from defenses.fields import READS, untrusted
from defenses.filters import Ask, MarkerFilter, SurpriseFilter, TargetFilter, TextFilter
from defenses.smoothing.texts import rewritten

Over = Literal["words", "history"]
"""What is erased: words of each text that nobody trusted wrote, or items of the history."""

OnFlag = Literal["refuse", "strip"]
Filter = Literal["markers", "perplexity", "target"]
_FPR = 0.05
_UNCHECKED = 1e9
"""Suspicion of a text that is too long to be checked: above any threshold."""
_ORDINARY = 20
"""Words of a text of ordinary length, for the declared cost."""
_HISTORY = "history"


class EraseAndCheck:
    """Flags a text if the filter flags it with some part of it erased, or as it is.

    So nobody can talk the filter out of its alarm by adding up to `erase` words of their own, in the places that the
    mode erases: the text without them is among those that are checked. That is all that is certified
    (`Checked.certified`). Nothing is certified of a text that raises no alarm, and harmless texts have as many chances
    of a false alarm as there are checks.

    Args:
        validation: clean requests of users who are not under audit, for `fpr`.
        mode: `suffix`, words added at the end; `insertion`, one block of words anywhere; `infusion`, words anywhere.
        erase: d, the most words, or items of the history, that are erased.
        over: see `Over`.
        filter: `markers`, rules about texts that speak to a model and about hidden characters; `perplexity`, how
            unlikely a language model finds a text; `target`, which asks the target itself about every check; or a
            filter of one's own (`defenses.filters.TextFilter`).
        markers: a file of rules of one's own for `markers`.
        fpr: share of clean requests that may raise an alarm, after all checks; it sets the threshold in place of the
            filter's own. `perplexity` has none of its own, and takes 0.05.
        on_flag: `refuse` the request, or `strip`: ask without the flagged text. In place of a title stands
            `(withheld)` with the item's id.
        checks: the most checks of one text. A longer text is answered with an error that says so.

    Raises:
        ConfigError: an option that cannot be used, or too few clean requests for that rate.
    """

    def __init__(
        self,
        validation: Sequence[Request] = (),
        *,
        mode: Mode = "insertion",
        erase: int = 10,
        over: Over = "words",
        filter: Filter | TextFilter = "markers",
        markers: str | Path | None = None,
        fpr: float | None = None,
        on_flag: OnFlag = "refuse",
        checks: int = 20_000,
    ) -> None:
        where = "defenses.erase-and-check"
        choices = (("mode", mode, MODES), ("over", over, get_args(Over)), ("on_flag", on_flag, get_args(OnFlag)))
        for name, value, known in choices:
            if value not in known:
                raise ConfigError(f"{where}.{name}: {value!r} is no choice; {nearest(str(value), known)}")
        for name, number in (("erase", erase), ("checks", checks)):
            if number < 1:
                raise ConfigError(f"{where}.{name}: {number} must be at least 1")
        if isinstance(filter, str) and filter not in get_args(Filter):
            raise ConfigError(f"{where}.filter: {filter!r} is no filter; {nearest(filter, get_args(Filter))}")
        if not isinstance(filter, str) and not isinstance(filter, TextFilter):
            raise ConfigError(f"{where}.filter: {type(filter).__name__} has no threshold, options and scores")
        if markers is not None and filter != "markers":
            raise ConfigError(f"{where}.markers: {str(markers)!r} is for the filter markers; leave one of them out")
        self.mode: Mode = mode
        self.erase = erase
        self.over: Over = over
        self.on_flag: OnFlag = on_flag
        self.checks = checks
        self.filter: TextFilter
        if filter == "markers":
            self.filter = MarkerFilter(markers, where=f"{where}.markers")
        elif filter == "perplexity":
            self.filter = SurpriseFilter(where=f"{where}.filter")
        else:
            self.filter = TargetFilter() if isinstance(filter, str) else filter
        self.fpr = _FPR if fpr is None and filter == "perplexity" else fpr
        self.validation = tuple(validation)
        if self.fpr is not None:
            _check_rate(self.fpr, len(self.validation), where)

    @property
    def info(self) -> DefenseInfo:
        """The declaration. Its calls are for one text of twenty words."""
        asks = count(_ORDINARY, self.mode, self.erase) if isinstance(self.filter, TargetFilter) else 0
        words = self.over == "words"
        return DefenseInfo(
            id="erase-and-check",
            title=f"Erase-and-check, {self.mode} of up to {self.erase}",
            why="An order cannot be hidden from the filter behind a few added words.",
            reference="Kumar, Agarwal, Srinivas, Li, Feizi and Lakkaraju, Certifying LLM Safety against Adversarial "
            "Prompting, 2023 (arXiv 2309.02705)",
            family="input",
            guards=frozenset({Zone.USER, Zone.SELLER, Zone.RETRIEVED} if words else {Zone.PLATFORM, Zone.SELLER}),
            calls=1 + asks,
            needs=READS if words else frozenset({Input.HISTORY}),
            tasks=("rank", "score", "answer"),
            limits="What the filter does not see in the first place, such as praise in plain words; more added words "
            "than are erased. Harmless texts are flagged the more often, the more parts are checked.",
        )

    def protect(self, target: Recommender) -> Checked:
        """The target behind the checks.

        Raises:
            ConfigError: the filter asks the target, and it does not answer freely or reads no instruction.
        """
        info = describe(target)
        able = "answer" in info.tasks and Input.INSTRUCTION in info.honours
        if isinstance(self.filter, TargetFilter) and not able:
            raise ConfigError(
                f"defenses.erase-and-check.filter: {info.name} cannot be asked about a text (task answer, with an "
                "instruction of ours); use the filter markers"
            )
        return Checked(target, self)


@dataclass(frozen=True)
class Alarm:
    """What was found in one text.

    Attributes:
        field: of the text, by the names of `audit.edits`; `history` for the items of the history.
        score: the highest suspicion of all that was checked.
        erased: positions, from 0, of the words or items whose absence gave it; empty for the text as it is.
        too_long: how many checks it would take, where that is too many; then nothing was checked.
    """

    field: str
    score: float
    erased: tuple[int, ...] = ()
    too_long: int = 0


class Checked(Defended):
    """A target that is asked about what passed the checks; it raises an alarm (`audit.defense.Detects`)."""

    def __init__(self, target: Recommender, defense: EraseAndCheck) -> None:
        options: Mapping[str, object] = {
            "mode": defense.mode,
            "erase": defense.erase,
            "over": defense.over,
            "on_flag": defense.on_flag,
            "checks": defense.checks,
            "threshold": defense.filter.threshold if defense.fpr is None else None,
            "fpr": defense.fpr,
            "validation": None if defense.fpr is None else [r.digest for r in defense.validation],
            "filter": dict(defense.filter.options),
        }
        super().__init__(target, defense.info, options)
        self._how = defense
        self._reads = describe(target)

    @cached_property
    def threshold(self) -> float:
        """The filter's own, or the quantile of clean requests that keeps the false alarm rate."""
        if self._how.fpr is None:
            return self._how.filter.threshold
        return stats.threshold_at_fpr(self.suspicion(self._how.validation), self._how.fpr).value

    def suspicion(self, requests: Sequence[Request]) -> list[float]:
        """The highest suspicion of all checks of all texts; 0 without text, and an alarm for one that is too long."""
        found, _ = self._examine(requests, [0] * len(requests))
        return [max((a.score for a in alarms), default=0.0) for alarms in found]

    def alarms(self, requests: Sequence[Request]) -> list[list[Alarm]]:
        """Per request the texts that raise the alarm."""
        found, _ = self._examine(requests, [0] * len(requests))
        return [[a for a in alarms if a.score > self.threshold] for alarms in found]

    def certified(self, request: Request) -> list[str]:
        """Fields whose text is flagged as it is: with up to `erase` words added as the mode says, it still will be."""
        pieces = self._pieces(request)
        scores = self._how.filter.scores([self._joined(units) for units in pieces.values()], self._ask([0]))
        return [field for field, score in zip(pieces, scores, strict=True) if score > self.threshold]

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> Sequence[Answer]:
        """Refuse or strip what raises the alarm, and ask about the rest."""
        found, spent = self._examine(requests, draws)
        flagged = [[a for a in alarms if a.score > self.threshold] for alarms in found]
        made: dict[int, Answer] = {}
        passed: list[int] = []
        for i, alarms in enumerate(flagged):
            if any(a.too_long for a in alarms):
                made[i] = Answer(outcome="error", detail=self._too_long(next(a for a in alarms if a.too_long)))
            elif alarms and self._how.on_flag == "refuse":
                made[i] = Answer(outcome="refused", detail=f"erase-and-check: {self._said(alarms[0])}")
            else:
                passed.append(i)
        asked = [self._stripped(requests[i], flagged[i]) for i in passed]
        made.update(zip(passed, self.ask(asked, [draws[i] for i in passed]) if asked else [], strict=True))
        return [replace(made[i], usage=made[i].usage + usage) for i, usage in enumerate(spent)]

    def _pieces(self, request: Request) -> dict[str, list[str]]:
        """What is erased from: words of each text, or the items of the history."""
        if self._how.over == _HISTORY:
            events = request.user.history
            return {_HISTORY: [" ".join(f"{e.item.title} {e.item.text}".split()) for e in events]} if events else {}
        return {text.field: text.text.split() for text in untrusted(request, self._reads)}

    def _joined(self, units: Sequence[str]) -> str:
        return ("\n" if self._how.over == _HISTORY else " ").join(units)

    def _examine(self, requests: Sequence[Request], draws: Sequence[int]) -> tuple[list[list[Alarm]], list[Usage]]:
        """The worst of every text of every request, and what the filter cost."""
        found, spent = [], []
        for request, draw in zip(requests, draws, strict=True):
            usage: list[Usage] = []
            found.append(self._examined(request, self._ask([draw], usage)))
            spent.append(sum(usage, Usage()))
        return found, spent

    def _examined(self, request: Request, ask: Ask) -> list[Alarm]:
        raw = {text.field: text.text for text in untrusted(request, self._reads)}
        alarms: list[Alarm] = []
        checks: list[tuple[str, tuple[int, ...], str]] = []
        for field, units in self._pieces(request).items():
            needed = count(len(units), self._how.mode, self._how.erase)
            if needed > self._how.checks:
                alarms.append(Alarm(field, _UNCHECKED, too_long=needed))
                continue
            if field in raw:
                # As it is written, too: line breaks may be what gives it away.
                checks.append((field, (), raw[field]))
            for erased in erasures(len(units), self._how.mode, self._how.erase):
                left = set(erased)
                checks.append((field, erased, self._joined([u for i, u in enumerate(units) if i not in left])))
        texts = list(dict.fromkeys(text for _, _, text in checks))
        scores = dict(zip(texts, self._how.filter.scores(texts, ask), strict=True))
        worst: dict[str, Alarm] = {}
        for field, erased, text in checks:
            if field not in worst or scores[text] > worst[field].score:
                worst[field] = Alarm(field, float(scores[text]), erased)
        return [*worst.values(), *alarms]

    def _ask(self, draws: Sequence[int], usage: list[Usage] | None = None) -> Ask:
        """Asks the target on behalf of the filter; what it cost goes to `usage`."""

        def ask(requests: Sequence[Request]) -> Sequence[Answer]:
            answers = self.ask(requests, [draws[0]] * len(requests)) if requests else []
            if usage is not None:
                usage.extend(answer.usage for answer in answers)
            return answers

        return ask

    def _stripped(self, request: Request, alarms: Sequence[Alarm]) -> Request:
        """The request without its flagged texts."""
        fields = [alarm.field for alarm in alarms]
        if _HISTORY in fields:
            return replace(request, user=replace(request.user, history=()))
        # Of an item that stands in the request with two texts, the first one was checked, and so is the only one shown.
        same = {text.field: text.text for text in untrusted(request, self._reads) if text.always}
        return rewritten(request, {**same, **{field: _instead(field) for field in fields}})

    def _said(self, alarm: Alarm) -> str:
        what = "items" if self._how.over == _HISTORY else "words"
        if not alarm.erased:
            return f"{alarm.field} raises an alarm as it is"
        places = f"{alarm.erased[0] + 1} to {alarm.erased[-1] + 1}" if len(alarm.erased) > 1 else alarm.erased[0] + 1
        return f"{alarm.field} raises an alarm without {len(alarm.erased)} of its {what} ({places})"

    def _too_long(self, alarm: Alarm) -> str:
        return (
            f"erase-and-check: {alarm.field} would take {alarm.too_long:,} checks, more than {self._how.checks:,}; "
            "erase fewer words, use another mode, or raise `checks`"
        )


def _check_rate(fpr: float, clean: int, where: str) -> None:
    if not 0 < fpr < 1:
        raise ConfigError(f"{where}.fpr: {fpr} must lie between 0 and 1")
    needed = math.ceil(1 / fpr - 1 - 1e-9)
    if clean < needed:
        raise ConfigError(
            f"{where}.fpr: {clean} clean requests of users who are not under audit cannot keep a false alarm rate of "
            f"{fpr:g}; give {needed}, or take the filter markers without `fpr`"
        )


def _instead(field: str) -> str:
    """What stands in the place of a flagged text: nothing, and for a title a name that no other item has."""
    if not field.endswith(".title"):
        return ""
    return f"(withheld) {field.removeprefix('item:').removesuffix('.title')}"
