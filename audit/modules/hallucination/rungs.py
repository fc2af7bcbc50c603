"""From the option `rungs` to the rungs of the ladder that read text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.claims import Rung
from audit.errors import ConfigError, nearest
from audit.target import TargetInfo, describe

if TYPE_CHECKING:
    from audit.data.dataset import Dataset

KNOWN = ("nli", "judge")


def check(rungs: Mapping[str, Any] | None) -> None:
    """Refuse what can be refused without loading anything.

    Raises:
        ValueError: the option is no mapping, or names no rung.
    """
    if rungs is None:
        return
    if not isinstance(rungs, Mapping):
        raise ValueError(f"rungs: {rungs!r} must be a mapping with nli: or judge:")
    for name in rungs:
        if name not in KNOWN:
            raise ValueError(f"rungs.{name}: there is no such rung; {nearest(str(name), KNOWN)}")
    judge = rungs.get("judge")
    if judge is not None and (not isinstance(judge, Mapping) or "kind" not in judge):
        raise ValueError(f"rungs.judge: {judge!r} must be a target block, such as {{kind: openai, model: …}}")


def build(rungs: Mapping[str, Any] | None, dataset: Dataset, audited: TargetInfo) -> list[Rung]:
    """The rungs that are configured, in the order of the ladder.

    Args:
        rungs: `nli`: a folder, or a mapping with `folder` and the options of `NliRung`; `judge`: a target block, with
            `allow_self: true` where the audited model may judge itself.
        dataset: of the run.
        audited: what the audited target declares.

    Raises:
        ConfigError: an option cannot be used, or the judge is the audited model.
        TargetError: the judge cannot be built.
    """
    found: list[Rung] = []
    nli, judge = (rungs or {}).get("nli"), (rungs or {}).get("judge")
    if nli is not None:
        from audit.claims.verification.nli import NliRung

        try:
            found.append(NliRung(**nli) if isinstance(nli, Mapping) else NliRung(nli))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"rungs.nli: {error}") from error
    if judge is not None:
        found.append(_judge(judge, dataset, audited))
    return found


def _judge(block: Mapping[str, Any], dataset: Dataset, audited: TargetInfo) -> Rung:
    from pydantic import ValidationError

    from audit.claims.verification.judge import JudgeRung
    from audit.config import TargetConfig
    from audit.targets.build import build as build_target

    options = dict(block)
    allowed = options.pop("allow_self", False)
    if not isinstance(allowed, bool):
        raise ConfigError(f"rungs.judge.allow_self: {allowed!r} must be true or false")
    try:
        config = TargetConfig.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"rungs.judge.{place}: {first['msg']}") from error
    target = build_target(config, dataset, Path())
    info = describe(target)
    if "answer" not in info.tasks:
        raise ConfigError(f"rungs.judge: {info.name!r} writes no free text; name a target with the task answer")
    # By name too: other decoding gives the same model another fingerprint.
    own = info.fingerprint == audited.fingerprint or info.name == audited.name
    if own and not allowed:
        raise ConfigError(
            f"rungs.judge: {info.name!r} is the audited model, which would judge itself; "
            "name another one, or write allow_self: true"
        )
    return JudgeRung(target, own=own)
