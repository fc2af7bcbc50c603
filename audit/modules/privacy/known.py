"""Who was trained on and what was promised: from the option `members`, else from what the target itself declares."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from audit.errors import ConfigError, TargetError
from audit.guarantee import Guarantee, Members, Promises
from audit.modules.base import Context
from audit.target import Recommender
from audit.targets.promised import promised

_SHOWN = 2


@dataclass(frozen=True)
class Split:
    """Members and others, as far as the data set knows them.

    Attributes:
        inside: ids of users that were trained on, in the order of the data set.
        outside: ids of users that were left out.
        missing: how many users of the list have no interactions in this data set.
        members: the list itself.
    """

    inside: tuple[str, ...]
    outside: tuple[str, ...]
    missing: int
    members: Members


def check_members(members: str | None) -> None:
    """For the constructor of a part with the option `members`.

    Raises:
        ValueError: it is not a file or a folder that holds the list.
    """
    if members is None:
        return
    if not isinstance(members, str) or not members.strip():
        raise ValueError(f"members: {members!r} must be a path; leave it out to use what the target says")
    try:
        found = Members.read(Path(members))
    except TargetError as error:
        raise ValueError(f"members: {error}") from None
    if found is None:
        raise ValueError(
            f"members: there is no list of members at {members!r}; name the members.json that the training wrote, or "
            "its folder"
        )


def members_of(context: Context, members: str | None = None) -> Members | None:
    """Who was trained on; None where nobody says.

    Args:
        context: what is audited.
        members: the option: a file or a folder with `members.json`; None for what the target says.

    Raises:
        ConfigError: the option names nothing that can be read.
    """
    if members is not None:
        try:
            found = Members.read(Path(members))
        except TargetError as error:
            raise ConfigError(f"modules.privacy.members: {error}") from None
        if found is None:
            raise ConfigError(f"modules.privacy.members: there is no list of members at {members!r}")
        return found
    promising = promising_target(context.gateway.target)
    return None if promising is None else promising.members


def guarantee_of(context: Context, members: str | None = None) -> Guarantee | None:
    """The card of the guarantee: the target's own, else the one beside the list of members; None where there is none.

    Raises:
        TargetError: a card cannot be read.
    """
    promising = promising_target(context.gateway.target)
    if promising is not None and promising.guarantee is not None:
        return promising.guarantee
    if members is None:
        return None
    place = Path(members)
    return promised(place if place.is_dir() else place.parent)[0]


def split_of(context: Context, members: str | None = None) -> Split | None:
    """Members and others who have interactions in the data set; None where nobody says who was trained on."""
    found = members_of(context, members)
    if found is None:
        return None
    users = context.dataset.user_ids
    inside = tuple(user for user in users if user in found.inside)
    outside = tuple(user for user in users if user in found.outside)
    missing = len(found.inside) + len(found.outside) - len(inside) - len(outside)
    return Split(inside, outside, missing, found)


def unknown(context: Context, members: str | None = None, *, fewest: int = 1) -> str | None:
    """Why members cannot be told from others, as the end of a sentence; None if they can.

    Args:
        context: what is audited.
        members: the option.
        fewest: users of each kind that are needed.
    """
    split = split_of(context, members)
    if split is None:
        return (
            "nobody says who was trained on; train with `recaudit train --epsilon`, which writes members.json beside "
            "the weights, or name such a file in modules.privacy.members"
        )
    if not split.members.inside or not split.members.outside:
        side = "inside" if not split.members.inside else "outside"
        return (
            f"the list of members names nobody {side}; keep some users out of the training by a coin, so that there is "
            "somebody to compare members with"
        )
    if min(len(split.inside), len(split.outside)) < fewest:
        return (
            f"{len(split.inside)} members and {len(split.outside)} others of the list have interactions in the data "
            f"set, and {fewest} of each are needed; audit with the data that were trained on"
        )
    return None


def promising_target(target: Recommender) -> Promises | None:
    """What speaks of the training: the target, or the one inside a defense; None where none does.

    A defense around a target changes neither who was trained on nor what was promised: an answer that is worked on
    further gives away no more.
    """
    while not isinstance(target, Promises):
        inner = getattr(target, "target", None)
        if inner is None or inner is target:
            return None
        target = inner
    return target


def masked(user: str) -> str:
    """A user's id as it may be shown: its first characters, and a digest of the whole.

    It tells users apart. Whoever can list all ids can still find whose digest it is.
    """
    shown = user[: min(_SHOWN, len(user) // 3)]
    return f"{shown}…{hashlib.sha256(user.encode()).hexdigest()[:8]}"
