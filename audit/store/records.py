"""What the run store tells of a run: how it was set up, and what it has cost."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["running", "stopped", "finished", "failed"]


@dataclass(frozen=True)
class RunRecord:
    """A run as stored.

    Attributes:
        id: printed by `recaudit run`; a unique prefix is enough to name it.
        name: from the configuration.
        created: start, UTC, ISO 8601.
        status: `running` while a process works on it, `stopped` when it can be resumed.
        verdict: of the whole run, once finished.
        config: the validated configuration, without secrets.
        target: what the target declared (name, tasks, capabilities).
        versions: of Python, the package, and the libraries that matter.
        seed: the run's seed.
        policy: the policy's content at the time of the run.
        notes: facts a reader needs (dataset counts, dropped rows, protocol).
    """

    id: str
    name: str
    created: str
    status: Status
    verdict: str | None
    config: Mapping[str, Any] = field(default_factory=dict)
    target: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    policy: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunHead:
    """What a list of runs shows of one of them.

    Attributes:
        id: as of its record.
        name: from the configuration.
        created: start, UTC, ISO 8601.
        changed: when its status was last set, UTC, ISO 8601; empty where an older RecAudit set it.
        status: as of its record.
        verdict: of the whole run, once finished.
        target: the target's name.
    """

    id: str
    name: str
    created: str
    changed: str
    status: Status
    verdict: str | None
    target: str


@dataclass(frozen=True)
class RunUsage:
    """What a run has cost so far.

    Attributes:
        queries: true queries: answers this run asked the target for.
        reused: answers taken from earlier runs or repeats of the same question.
        prompt_tokens: that the true queries read.
        completion_tokens: that they wrote.
        seconds: time the target spent on them.
    """

    queries: int = 0
    reused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form."""
        return {
            "queries": self.queries,
            "reused": self.reused,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "seconds": round(self.seconds, 3),
        }


def versions() -> dict[str, str]:
    """Versions of what a run's figures depend on."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in ("recaudit", "numpy", "scipy", "pandas", "torch", "transformers", "peft"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
