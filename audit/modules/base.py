"""What every audit module shares: the context it works in, and the protocol it follows.

A module first plans: it lists every question it can foresee, so that a run can be priced before anything is asked and
all variants of a request reach the target together. Then it runs: it asks through the gateway and yields findings.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from audit.errors import ConfigError, nearest
from audit.findings import Evidence, Finding
from audit.gateway import Ask, Gateway
from audit.seeds import generator
from audit.target import Recommender, TargetInfo
from audit.types import Answer, Case, Request, Task

if TYPE_CHECKING:
    from audit.data.dataset import Dataset


@dataclass(frozen=True)
class ModuleInfo:
    """What a module declares.

    Attributes:
        id: registry name.
        title: for a report.
        question: what it answers, as an owner would ask it.
        metrics: names of the metrics it can report; policies are checked against them.
        tasks: tasks it can audit.
        controls: framework tags with edition that its findings bear on.
    """

    id: str
    title: str
    question: str
    metrics: tuple[str, ...]
    tasks: tuple[Task, ...] = ("rank", "score")
    controls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Context:
    """Everything a module may use.

    Attributes:
        gateway: the only way to the target.
        dataset: the data the cases were drawn from.
        task: what the cases ask for.
        cases: the sampled cases, the same for every module.
        seed: of the run.
        level: coverage of intervals.
        protocol: how the cases were made, for the params of findings.
        anchors: trivial recommenders fitted on the training part, by name.
        validation: clean requests of users who are not under audit, made like the cases: for what must be fitted or
            have its threshold set on others. Empty where every user is under audit.
        settled: whether the policy can already judge these findings, so that no further case need be asked.
    """

    gateway: Gateway
    dataset: Dataset
    task: Task
    cases: Sequence[Case]
    seed: int
    level: float = 0.95
    protocol: Mapping[str, Any] = field(default_factory=dict)
    anchors: Callable[[], Mapping[str, Recommender]] = dict
    validation: Callable[[], Sequence[Request]] = tuple
    settled: Callable[[Sequence[Finding]], bool] = lambda _: False

    @property
    def info(self) -> TargetInfo:
        """What the target declares."""
        return self.gateway.info

    @property
    def requests(self) -> list[Request]:
        """The clean requests, in the cases' order."""
        return [case.request for case in self.cases]

    def head(self, n: int) -> Context:
        """The same with the first n cases only."""
        return replace(self, cases=self.cases[:n])

    def rng(self, *names: str) -> np.random.Generator:
        """The random stream of a named part of the run."""
        return generator(self.seed, *names)

    def ask(self, requests: Sequence[Request], *, repeat: int = 0, label: str = "") -> list[Answer]:
        """Ask the target through the gateway; one answer per request, in order."""
        return self.gateway.ask([Ask(r, repeat) for r in requests], label=label)


@dataclass
class Output:
    """What a module has found.

    Attributes:
        findings: without verdicts.
        evidence: the cases they refer to.
        values: by finding id, what each case gave, so that runs can be compared within cases.
    """

    findings: list[Finding] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


class Module(Protocol):
    """Requests in, findings out."""

    @property
    def info(self) -> ModuleInfo:
        """The declaration."""
        ...

    def plan(self, context: Context) -> list[Ask]:
        """Every question that can be foreseen; the same list at each call."""
        ...

    def run(self, context: Context) -> Output:
        """Ask and conclude. Findings come back without verdicts: those are the policy's to give."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """A module with plugins of its own to build."""

    def prepare(self, context: Context) -> None:
        """Build what the options name, before the run begins. Asks nothing.

        Raises:
            ConfigError: a plugin refuses its options.
        """
        ...


def provided(factory: Callable[..., Any], context: Context) -> dict[str, object]:
    """What a plugin wants to know of the data, by the names of its factory's parameters.

    `catalog`; `popularity`, which anybody can see; `dataset`, the log without the users under audit; `validation`,
    clean requests of other users.
    """
    sources: Mapping[str, Callable[[], object]] = {
        "catalog": lambda: context.dataset.catalog,
        "popularity": lambda: context.dataset.popularity,
        "dataset": lambda: context.dataset.without_users({case.unit for case in context.cases}),
        "validation": context.validation,
    }
    return {name: give() for name, give in sources.items() if name in inspect.signature(factory).parameters}


def build(factory: Callable[..., Any], options: Mapping[str, Any], *, where: str) -> Any:  # noqa: ANN401 - any plugin
    """Call a plugin's factory with its options from the configuration.

    Raises:
        ConfigError: an option the factory does not have, with the nearest it has, or a value it refuses.
    """
    signature = inspect.signature(factory)
    if not any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
        for name in options:
            if name not in signature.parameters:
                raise ConfigError(f"{where}.{name}: no option has this name; {nearest(name, signature.parameters)}")
    try:
        return factory(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error
