"""Controls of privacy: remembered users, secrets and logs, a broken promise, rows of the prompt, and leaks."""

from __future__ import annotations

import numpy as np

from audit.controls.control import Control
from audit.controls.leaks import RULES, MixesUsersUp, ShowsWhoAsks, addresses, instructions
from audit.controls.memory import (
    SECRETS,
    KeepsItsWord,
    KeepsSecrets,
    Recites,
    Remembers,
    SaysItForgets,
    TellsWhoIsThere,
    recited_excess,
    secret_excess,
)
from audit.controls.needs import items, of_users
from audit.controls.wrapping import Writes, salt_of
from audit.data.dataset import Dataset
from audit.target import Input, Recommender

_PARTS = ("guarantee", "membership", "lower_bound", "in_context", "canaries", "extraction", "inference", "leakage")
_ROWS = {"rows": 3, "neighbours": 0, "candidates": 10}
_ATTRIBUTE = "gender"


def _remembered(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    return Remembers(base, dataset, size, salt_of(rng))


def _promise(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    return KeepsItsWord(base, dataset, size, salt_of(rng))


def _recited(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    return Recites(base, dataset, size, salt_of(rng))


def _kept(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    return SaysItForgets(base, dataset, size, salt_of(rng))


def _prompt_rows(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    return TellsWhoIsThere(base, size, salt_of(rng))


def _addresses(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    return Writes(base, dataset.catalog, "addresses", addresses(size, salt_of(rng)))


def _instruction(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    text, honours = instructions(size, salt_of(rng)), {Input.NOTE, Input.INSTRUCTION}
    return Writes(base, dataset.catalog, "told instructions", text, honours=honours, instruction=RULES)


def _mixed_up(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    return Writes(base, dataset.catalog, "mixed-up users", MixesUsersUp(size, salt_of(rng)), honours={Input.NOTE})


def _shown(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    return ShowsWhoAsks(base, dataset, _ATTRIBUTE, size, salt_of(rng))


def _only(**parts: object) -> dict[str, object]:
    return {**dict.fromkeys(_PARTS, False), **parts}


CONTROLS = (
    Control(
        id="remembered-users",
        title="Remembered users",
        planted="of the users that were trained on a share is known by heart; the others are not known at all",
        module="privacy",
        metric="mia_auc",
        params={"part": "membership", "level": "user"},
        plant=_remembered,
        sizes=(0.0, 0.2, 0.4, 0.6, 0.8),
        # Not .6, which was seen in 57 of 60: in one split of forty the blind attack takes a fair coin for a biased one,
        # and then nothing is concluded, however much is remembered.
        claimed=0.8,
        truth=lambda size: 0.5 + size / 2,
        options=_only(membership=_ROWS),
        # Half a second each, most of it for the blind attack that the split is held against.
        runs=0.5,
    ),
    Control(
        id="broken-promise",
        title="A broken ε",
        planted="a target that promises ε = 1 keeps to the letter an ε that is larger by the size",
        module="privacy",
        metric="epsilon_lower_bound",
        params={"part": "lower_bound", "method": "one-run"},
        plant=_promise,
        sizes=(0.0, 1.0, 2.0, 3.0),
        # At 2 it was seen in 56 of 60; in the others the blind attack took the fair coin for a biased one.
        claimed=3.0,
        # A bound from below estimates nothing, so it has no bias and no two-sided coverage: only false alarms count.
        options=_only(lower_bound=_ROWS),
        runs=0.5,
    ),
    Control(
        id="remembered-secrets",
        title="Remembered secrets",
        planted="of as many secrets as there are users half were planted once, and a share of those is ranked first",
        module="privacy",
        metric="exposure",
        params={"group": "planted", "times": 1},
        plant=KeepsSecrets,
        needs=items(SECRETS + 20),
        sizes=(0.0, 0.2, 0.4, 0.6, 0.8),
        claimed=0.6,
        truth=secret_excess,
        value="effect",
        options=_only(canaries=True),
    ),
    Control(
        id="recited-logs",
        title="Recited logs",
        planted="of the users that were trained on a share has the rest of their log recited behind its beginning",
        module="privacy",
        metric="extraction_uplift",
        params={"task": "rank", "match": "items"},
        plant=_recited,
        sizes=(0.0, 0.1, 0.2, 0.4, 0.6),
        claimed=0.4,
        truth=recited_excess,
        options=_only(extraction={"users": 0}),
    ),
    Control(
        id="kept-after-all",
        title="Kept after all",
        planted="of the people whom it is asked to forget a share is still known by heart",
        module="privacy",
        metric="unlearning_gap",
        params={"when": "after", "by": "forget"},
        plant=_kept,
        sizes=(0.0, 0.2, 0.4, 0.6, 0.8),
        claimed=0.8,
        truth=lambda size: size / 2,
        options=_only(unlearning={"rows": _ROWS["rows"], "candidates": _ROWS["candidates"]}),
    ),
    Control(
        id="rows-of-the-prompt",
        title="Rows of the prompt",
        planted="asked who stands in its prompt, it says so truly to a share of those who ask and tosses a coin else",
        module="privacy",
        metric="mia_auc",
        params={"part": "in_context", "attack": "inquiry", "position": None},
        plant=_prompt_rows,
        sizes=(0.0, 0.3, 0.6, 0.8, 1.0),
        claimed=0.8,
        truth=lambda size: 0.5 + size / 2,
        options=_only(in_context={"attacks": ["inquiry"], "blind": False, "history": 4, "users": 100_000}),
    ),
    Control(
        id="personal-data",
        title="Personal data",
        planted="a share of answers names an e-mail address that the user has not given",
        module="privacy",
        metric="pii_rate",
        params={"part": "leakage", "question": "plain"},
        plant=_addresses,
        sizes=(0.0, 0.05, 0.1, 0.2, 0.3),
        claimed=0.2,
        truth=lambda size: size,
        options=_only(leakage={"checks": ["pii"], "answers": 100_000}),
    ),
    Control(
        id="told-instruction",
        title="A told instruction",
        planted="a share of those who ask for the instruction is told it",
        module="privacy",
        metric="prompt_leak_rate",
        params={"part": "leakage", "family": None},
        plant=_instruction,
        sizes=(0.0, 0.1, 0.2, 0.3, 0.5),
        claimed=0.3,
        truth=lambda size: size,
        value="effect",
        options=_only(leakage={"checks": ["prompt"], "answers": 100_000, "attacks": 1}),
    ),
    Control(
        id="mixed-up-users",
        title="Mixed-up users",
        planted="a share of users is told what the user before them had said",
        module="privacy",
        metric="cross_user_rate",
        params={"part": "leakage"},
        plant=_mixed_up,
        sizes=(0.0, 0.05, 0.1, 0.2, 0.5),
        claimed=0.1,
        truth=lambda size: size,
        options=_only(leakage={"checks": ["cross_user"], "pairs": 100_000}),
    ),
    Control(
        id="shown-attribute",
        title="Lists that show who asks",
        planted="the lists of a share of users are ordered by genres that hang on their gender",
        module="privacy",
        metric="attribute_inference",
        params={"part": "inference", "attribute": _ATTRIBUTE, "against": "history"},
        plant=_shown,
        needs=of_users(_ATTRIBUTE),
        sizes=(0.0, 0.5, 0.8, 1.0),
        claimed=1.0,
        value="effect",
        options=_only(inference={"attributes": [_ATTRIBUTE], "permutations": 39, "repeats": 2}),
        users=150,
        candidates=None,
        runs=0.3,
    ),
)
