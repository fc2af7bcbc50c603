"""Canaries: invented users with a secret, planted in a training so that its memory can be measured afterwards.

A canary's secret is drawn evenly from a space R of secrets that are alike. A model that never read it ranks it anywhere
in R; a model that ranks it first remembers it (Carlini et al., "The Secret Sharer", USENIX Security 2019). Whether a
canary is planted is the toss of a fair coin of its own; those that are not are the controls.

Two forms. `history`, for whatever learns from interactions: a history of items of one popularity, and as the secret the
item behind it, out of a space of further items of that popularity. `note`, for whatever learns from text: a note in a
fixed form, and as the secret a number.

A canary that is to be planted several times is several units of one content. They are a group: a guarantee for one unit
does not cover them, and only canaries that are planted once may be held against an ε.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from audit.data.dataset import Dataset
from audit.data.splits import WindowGroup
from audit.errors import ConfigError, DataError
from audit.types import Event, Request, Task, User

Form = Literal["history", "note"]
FORMS: tuple[Form, ...] = ("history", "note")
REPEATS = (1, 1, 4, 10)
"""How often canaries are planted, in turn: half of them once, for these alone say something about ε."""
_MARK = "canary-"


@dataclass(frozen=True)
class Canary:
    """One invented user.

    Attributes:
        id: of the user; its units are `id.0`, `id.1`, ….
        times: how often it is planted; of a control, how often it would have been.
        inserted: whether its coin said so.
        secret: id of the item behind the history, or the digits of the note. Never to be shown.
        history: ids of the items before the secret, oldest first; empty for notes.
        others: ids of items of the space that a yes/no trainer learns as disliked behind the same history. Of one liked
            item alone such a trainer learns to say yes, and nothing that tells the secret from the rest.
    """

    id: str
    times: int
    inserted: bool
    secret: str = field(repr=False)
    history: tuple[str, ...] = field(default=(), repr=False)
    others: tuple[str, ...] = field(default=(), repr=False)

    @property
    def units(self) -> tuple[str, ...]:
        """Ids of the users it is in a training; one for a control, to be asked about."""
        return tuple(f"{self.id}.{copy}" for copy in range(self.times if self.inserted else 1))


@dataclass(frozen=True)
class Canaries:
    """All canaries of one training.

    Attributes:
        form: `history` or `note`.
        members: the canaries, those that were planted and the controls.
        space: ids of the items that a secret could have been; empty for notes.
        digits: of a note's secret; 0 for histories.
    """

    form: Form
    members: tuple[Canary, ...]
    space: tuple[str, ...] = field(default=(), repr=False)
    digits: int = 0

    @cached_property
    def inside(self) -> tuple[Canary, ...]:
        """Those that were planted."""
        return tuple(canary for canary in self.members if canary.inserted)

    @cached_property
    def outside(self) -> tuple[Canary, ...]:
        """The controls, which were not."""
        return tuple(canary for canary in self.members if not canary.inserted)

    @property
    def size(self) -> int:
        """|R|: how many secrets there could have been."""
        return len(self.space) if self.form == "history" else 10**self.digits

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form, for `audit.guarantee.Members.canaries`."""
        told: dict[str, Any] = {"form": self.form}
        told |= {"space": list(self.space)} if self.form == "history" else {"digits": self.digits}
        for side, canaries in (("inside", self.inside), ("outside", self.outside)):
            told[side] = [
                {
                    "id": c.id,
                    "times": c.times,
                    "secret": c.secret,
                    "history": list(c.history),
                    "others": list(c.others),
                }
                for c in canaries
            ]
        return told

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Canaries:
        """Inverse of `to_dict`.

        Raises:
            DataError: it is not of that form; what is wrong is said without the secret.
        """
        form = told.get("form")
        if form not in FORMS:
            raise DataError(f"canaries.form: {form!r} must be one of {', '.join(FORMS)}")
        space, digits = told.get("space", []), told.get("digits", 0)
        if form == "history" and not (_strings(space) and len(set(space)) == len(space) >= 2):
            raise DataError("canaries.space: must be a list of at least 2 different item ids")
        if form == "note" and not (_whole(digits) and 1 <= digits <= 12):
            raise DataError(f"canaries.digits: {digits!r} must be a whole number from 1 to 12")
        found: list[Canary] = []
        for side in ("inside", "outside"):
            rows = told.get(side)
            if not isinstance(rows, list):
                raise DataError(f"canaries.{side}: must be a list of canaries")
            found += [_canary(f"canaries.{side}[{n}]", row, side == "inside") for n, row in enumerate(rows)]
        if len({canary.id for canary in found}) < len(found):
            raise DataError("canaries: an id stands there twice; each canary is planted or a control, once")
        result = cls(form, tuple(found), tuple(space), digits)
        for canary in found:
            if not result.possible(canary.secret):
                raise DataError(f"canaries: the secret of {canary.id!r} is not in the space of secrets")
        return result

    def possible(self, secret: str) -> bool:
        """Whether a secret is in the space."""
        if self.form == "history":
            return secret in self._among
        return len(secret) == self.digits and secret.isascii() and secret.isdigit()

    @cached_property
    def _among(self) -> frozenset[str]:
        return frozenset(self.space)


def plan_canaries(
    dataset: Dataset,
    rng: np.random.Generator,
    *,
    count: int = 120,
    repeats: Sequence[int] = REPEATS,
    form: Form = "history",
    history: int = 10,
    space: int = 64,
    others: int = 3,
    digits: int = 5,
) -> Canaries:
    """Draw canaries: their secrets, and by a fair coin each which of them are to be planted.

    Whoever knows the state of `rng` knows the secrets and the coins. So it must not come from the public seed of a
    training whose guarantee is to be tested, but from the operating system (`numpy.random.default_rng()`).

    Args:
        dataset: the data of the training; items for histories are taken from the middle of its popularity.
        rng: source of the draws.
        count: canaries in all, of which about half are planted. With 50 of each side the AUC of a perfect memory is
            told from chance many times over; a lower bound of ε is better the more there are.
        repeats: how often canaries are planted, in turn.
        form: `history` or `note`.
        history: items before the secret; no fewer than the trainer needs.
        space: |R|, for histories.
        others: items that a yes/no trainer learns as disliked, beside the secret; so many and one rows are in a unit.
        digits: of a secret, for notes: |R| is 10 to that power.

    Raises:
        ConfigError: a value is out of range.
        DataError: the catalogue has too few items.
    """
    for name, value, least in (
        ("count", count, 2),
        ("history", history, 1),
        ("space", space, 2),
        ("digits", digits, 1),
    ):
        if not _whole(value) or value < least:
            raise ConfigError(f"canaries.{name}: {value!r} must be a whole number of at least {least}")
    if not repeats or not all(_whole(times) and times >= 1 for times in repeats):
        raise ConfigError(f"canaries.repeats: {list(repeats)!r} must be a list of whole numbers of at least 1")
    if form not in FORMS:
        raise ConfigError(f"canaries.form: {form!r} must be one of {', '.join(FORMS)}")
    if others >= space:
        raise ConfigError(f"canaries.others: {others!r} must be less than the space of {space}")
    if digits > 12:
        raise ConfigError(f"canaries.digits: {digits!r} must be at most 12")
    names = [f"{_MARK}{int(n):08x}" for n in rng.choice(2**32, count, replace=False)]
    coins = rng.random(count) < 0.5
    times = [int(repeats[n % len(repeats)]) for n in range(count)]
    if form == "note":
        secrets = [f"{int(rng.integers(10**digits)):0{digits}d}" for _ in names]
        told = tuple(Canary(*row) for row in zip(names, times, coins.tolist(), secrets, strict=True))
        return Canaries("note", told, digits=digits)
    band = _alike(dataset, space + 2 * history)
    mixed = [band[i] for i in rng.permutation(len(band))]
    among, before = mixed[:space], mixed[space:]
    canaries = []
    for name, often, coin in zip(names, times, coins.tolist(), strict=True):
        secret, *rest = (among[i] for i in rng.permutation(space)[: others + 1].tolist())
        shown = tuple(before[i] for i in rng.permutation(len(before))[:history].tolist())
        canaries.append(Canary(name, often, coin, secret, shown, tuple(rest)))
    return Canaries("history", tuple(canaries), space=tuple(among))


def canary_users(canaries: Canaries, dataset: Dataset) -> list[WindowGroup]:
    """The planted canaries as units of a yes/no trainer: behind the history, the secret is liked and others are not.

    Returns:
        One group per unit, `times` of them for each planted canary.

    Raises:
        DataError: they are notes, or an item is not in the catalogue.
    """
    found = []
    for canary in _planted(canaries, dataset):
        # In an order that says nothing, for trainers to whom order means something.
        targets = sorted((canary.secret, *canary.others))
        group = WindowGroup(
            "",
            _events(canary, dataset),
            tuple(dataset.catalog[item] for item in targets),
            tuple(int(item == canary.secret) for item in targets),
            "train",
        )
        found += [replace(group, user=unit) for unit in canary.units]
    return found


def canary_events(canaries: Canaries, dataset: Dataset, *, tail: int = 0) -> dict[str, tuple[Event, ...]]:
    """The planted canaries as users with interactions, for `Dataset.with_users`: the history, then the secret.

    They come before all other events, so that no temporal split holds them out.

    Args:
        canaries: what was drawn.
        dataset: the data of the training.
        tail: items of the history that are added again behind the secret, for trainers that hold out the last ones.

    Raises:
        DataError: they are notes, an item is not in the catalogue, or the tail is longer than the history.
    """
    times = dataset.interactions["time"].to_numpy(dtype=np.float64)
    first = float(np.nanmin(times)) if np.isfinite(times).any() else None
    found: dict[str, tuple[Event, ...]] = {}
    for canary in _planted(canaries, dataset):
        if tail > len(canary.history):
            raise DataError(f"canaries: a tail of {tail} items needs a history as long; it has {len(canary.history)}")
        items = (*canary.history, canary.secret, *canary.history[:tail])
        rating = _liked(dataset)
        events = tuple(
            Event(dataset.catalog[item], rating, None if first is None else first - len(items) + place)
            for place, item in enumerate(items)
        )
        found |= dict.fromkeys(canary.units, events)
    return found


def canary_texts(canaries: Canaries) -> list[tuple[str, Request, str]]:
    """The planted notes as units of a text trainer: unit, request, and the answer that is to be learnt.

    The prompt of the request must be rendered as the target renders it; see `canary_request`.

    Raises:
        DataError: they are histories.
    """
    if canaries.form != "note":
        raise DataError(f"canaries.form: {canaries.form!r} has no text; plan them with form='note'")
    return [(unit, canary_request(canary), f" {canary.secret}") for canary in canaries.inside for unit in canary.units]


def canary_request(
    canary: Canary, dataset: Dataset | None = None, *, task: Task = "answer", instruction: str = ""
) -> Request:
    """The question to which the secret is the answer: as it is learnt, and as it is audited.

    Args:
        canary: of either form.
        dataset: needed for histories.
        task: what is asked.
        instruction: of the request.

    Raises:
        DataError: an item is not in the catalogue.
    """
    if canary.history and dataset is None:
        raise DataError("canaries: the items of a history come from a data set; pass it")
    events = _events(canary, dataset) if canary.history and dataset is not None else ()
    note = "" if canary.history else f"The voucher of user {canary.id.removeprefix(_MARK)} is"
    return Request(User(canary.units[0], events, note=note), task=task, instruction=instruction)


def check_items(canaries: Canaries, dataset: Dataset) -> None:
    """Raise DataError where an item of the canaries is not in the catalogue."""
    used = {*canaries.space, *(item for canary in canaries.members for item in (*canary.history, *canary.others))}
    if missing := used - set(dataset.catalog):
        raise DataError(
            f"canaries: {len(missing)} of their {len(used)} items are not in the catalogue of {dataset.name}; audit "
            "with the data that were trained on"
        )


def _planted(canaries: Canaries, dataset: Dataset) -> tuple[Canary, ...]:
    if canaries.form != "history":
        raise DataError(f"canaries.form: {canaries.form!r} has no interactions; plan them with form='history'")
    check_items(canaries, dataset)
    return canaries.inside


def _events(canary: Canary, dataset: Dataset) -> tuple[Event, ...]:
    rating = _liked(dataset)
    return tuple(Event(dataset.catalog[item], rating, float(place)) for place, item in enumerate(canary.history))


def _liked(dataset: Dataset) -> float | None:
    return None if dataset.rating_scale is None else float(dataset.rating_scale[1])


def _alike(dataset: Dataset, least: int) -> list[str]:
    """Items of the middle decile of popularity; of a wider band around it where that holds too few.

    Raises:
        DataError: the catalogue is smaller than what is needed.
    """
    if least > len(dataset.catalog):
        raise DataError(
            f"canaries: {least} items are needed and the catalogue of {dataset.name} has {len(dataset.catalog)}; lower "
            "canaries.space or canaries.history"
        )
    ordered = sorted(dataset.popularity, key=lambda item: dataset.popularity[item])
    width = max(least, len(ordered) // 10)
    start = (len(ordered) - width) // 2
    return ordered[start : start + width]


def _canary(where: str, row: object, inserted: bool) -> Canary:
    if not isinstance(row, Mapping):
        raise DataError(f"{where}: must be an object with id, times, secret and history")
    id_, times, secret, history = (row.get(name) for name in ("id", "times", "secret", "history"))
    if not isinstance(id_, str) or not id_:
        raise DataError(f"{where}.id: must be a user id, as a string")
    if not isinstance(times, int) or isinstance(times, bool) or times < 1:
        raise DataError(f"{where}.times: {times!r} must be a whole number of at least 1")
    others = row.get("others")
    if not isinstance(secret, str) or not all(ids is None or _strings(ids) for ids in (history, others)):
        raise DataError(f"{where}: the secret must be a string, and history and others lists of item ids")
    return Canary(id_, times, inserted, secret, tuple(history or ()), tuple(others or ()))


def _strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
