"""The runner: from a configuration to findings in the store, in one go or in several.

A run is a sequence of modules over the same cases. What a module asked is stored batch by batch, what it found when it
ends. Resuming a run builds the same target, cases and modules from the stored configuration and runs them again: every
answer that is stored is taken from there, so nothing is asked twice and the findings are those of an unbroken run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit import registry
from audit.config import AuditConfig, Profile, load
from audit.data.load import load_dataset
from audit.errors import ConfigError, DataError, StoreError, StoreLost, TargetError
from audit.findings import Finding, overall
from audit.gateway import Budget, Estimate, Gateway, Price, Progress
from audit.modules.base import Context, Module, Prepares, build
from audit.policy import Policy
from audit.policy import load as load_policy
from audit.run import Run
from audit.seeds import generator
from audit.store import Store, default_location, versions
from audit.target import Input, Recommender, TargetInfo, describe
from audit.targets.replica import info_to_dict
from audit.targets.replicas import LOOKAHEAD, Replicas
from audit.types import Case, Request, Task

if TYPE_CHECKING:
    from audit.data.dataset import Dataset

DEFAULT_CANDIDATES = 20
"""Candidates per ranking request for targets that cannot rank a whole catalogue."""

VALIDATION_USERS = 200
"""Users beyond those under audit whose clean requests may be used to set thresholds."""

LAST_WAIT_S = 5.0
"""How long a run that ends early tries to say so in the store. Unsaid, it can go on all the same."""

_UNASKED = "dry-run"
"""Stands for the id of a run where nothing is asked."""

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Prepared:
    """Everything a run needs before the first question.

    Attributes:
        config: validated.
        base: folder that relative paths start from.
        dataset: after the k-core filter.
        target: what is audited.
        task: what it is asked.
        cases: sampled, with the target's own instruction.
        protocol: how the cases were made.
        modules: by name, in the order in which they run.
        notes: facts for the reader of a report.
    """

    config: AuditConfig
    base: Path
    dataset: Dataset
    target: Recommender
    task: Task
    cases: tuple[Case, ...]
    protocol: Mapping[str, Any]
    modules: Mapping[str, Module]
    notes: tuple[str, ...]

    def close(self) -> None:
        """End the replicas of a distributed target; nothing else needs it. `execute` does so at its end."""
        _end(self.target)


def run_audit(
    config: str | Path | Mapping[str, Any],
    *,
    target: object = None,
    store: Store | str | Path | None = None,
    profile: Profile | None = None,
    progress: OnProgress | None = None,
) -> Run:
    """Audit a recommender.

    Args:
        config: path of an `audit.yaml`, or the same data as a mapping.
        target: the recommender itself, in place of a `target:` block: an object with `recommend(requests)`, or a plain
            function `f(history, candidates, k)` of titles.
        store: where the run is kept; by default a file in the user's data directory.
        profile: overrides the profile of the configuration.
        progress: called after every batch.

    Returns:
        The finished run.

    Raises:
        RecAuditError: bad input, or a run that had to stop; what it had is stored and `resume` goes on.
    """
    opened = _open(store)
    prepared = prepare(config, target=target, profile=profile)
    run = begin(prepared, opened)
    return execute(run, prepared, progress=progress)


def resume(
    name: str,
    *,
    target: object = None,
    store: Store | str | Path | None = None,
    budget: Mapping[str, float | None] | None = None,
    retry_errors: bool = False,
    progress: OnProgress | None = None,
) -> Run:
    """Go on with a run that was stopped or killed.

    Args:
        name: id of the run, a unique prefix, or `latest`.
        target: needed when the run was started with a target object.
        store: where the run is kept.
        budget: limits that replace those of the configuration, such as `{"queries": 5000}`; None lifts a limit.
        retry_errors: ask again what ended in an error.
        progress: called after every batch.

    Raises:
        RecAuditError: as `run_audit`.
    """
    opened = _open(store)
    record = opened.run(name)
    data = dict(record.config)
    base, digest = Path(str(data.pop("base"))), data.pop("dataset_digest")
    data["budget"] = {**data["budget"], **(budget or {})}
    if data.get("target") is None and target is None:
        raise TargetError(
            f"resume {record.id}: it was started with a target object; resume it from Python with target=…"
        )
    with opened.claim(record.id):
        prepared = prepare(data, target=target, base=base)
        try:
            if prepared.dataset.digest != digest:
                raise DataError(
                    f"resume {record.id}: the data changed since the run was started, so its answers would mix two "
                    "datasets; start a new run"
                )
            if retry_errors:
                opened.forget_errors(record.id)
            opened.set_status(record.id, "running")
            return _carry_out(Run(record, opened), prepared, progress)
        finally:
            prepared.close()


def prepare(
    config: str | Path | Mapping[str, Any],
    *,
    target: object = None,
    profile: Profile | None = None,
    base: Path | None = None,
) -> Prepared:
    """Read, check and build everything, without asking anything.

    Raises:
        RecAuditError: the first mistake found, in one sentence.
    """
    settings, folder = load(config)
    folder = base or folder
    if profile is not None:
        settings = settings.model_copy(update={"profile": profile})
    load_policy(settings.policy, folder)
    modules = _modules(settings)
    dataset = load_dataset(settings.dataset, folder)
    recommender = _target(settings, target, dataset, folder)
    try:
        info = describe(recommender)
        task = _task(settings, info)
        cases, protocol = make_cases(settings, dataset, info, task)
        able = {name: module for name, module in modules.items() if task in module.info.tasks}
        if not able:
            raise ConfigError(f"modules: none of {', '.join(modules)} can audit the task {task!r}; set target.task")
    except BaseException:
        _end(recommender)
        raise
    notes = (*dataset.notes, f"{len(cases)} users drawn; {protocol['name']}.")
    return Prepared(settings, folder, dataset, recommender, task, tuple(cases), protocol, able, notes)


def begin(prepared: Prepared, store: Store) -> Run:
    """Store a new run. Before that its modules build what their options name: a run that cannot start leaves no trace.

    Raises:
        ConfigError: an attack or a defense refuses its options.
    """
    config = prepared.config
    policy = load_policy(config.policy, prepared.base)
    context = _context(_gateway(_UNASKED, store, prepared, None), prepared, policy)
    try:
        for module in prepared.modules.values():
            if isinstance(module, Prepares):
                module.prepare(context)
    except BaseException:
        prepared.close()
        raise
    stored = {
        **config.model_dump(mode="json"),
        "base": str(prepared.base),
        "dataset_digest": prepared.dataset.digest,
    }
    record = store.create_run(
        config.name,
        config=stored,
        target=info_to_dict(describe(prepared.target)),
        versions=versions(),
        seed=config.seed,
        policy=policy.model_dump(mode="json"),
        notes=(*prepared.notes, *getattr(prepared.target, "notes", ())),
    )
    return Run(record, store)


def execute(run: Run, prepared: Prepared, *, progress: OnProgress | None = None) -> Run:
    """Run every module and store what it finds. The replicas of a distributed target are ended with the run.

    Raises:
        RecAuditError: as `run_audit`; a `StoreError` where another process works on this run.
    """
    try:
        with run.store.claim(run.id):
            return _carry_out(run, prepared, progress)
    finally:
        prepared.close()


def _carry_out(run: Run, prepared: Prepared, progress: OnProgress | None) -> Run:
    """The modules of a run that this process holds."""
    store = run.store
    try:
        context = _context(_gateway(run.id, store, prepared, progress), prepared, run.policy)
        for name, module in prepared.modules.items():
            output = module.run(context)
            store.save_module(run.id, name, output.findings, output.evidence, output.values)
    except StoreLost:
        raise  # it was waited for, and there is nowhere to write
    except BaseException:
        # Interrupts too: whatever ended it, the run can go on from what is stored.
        with suppress(StoreError):  # a full disk fails here again; the first error is the one to show
            store.set_status(run.id, "stopped", wait_s=LAST_WAIT_S)
        raise
    verdict = Run(run.record, store).verdict
    store.set_status(run.id, "finished", verdict)
    return Run(replace(run.record, status="finished", verdict=verdict), store)


@dataclass(frozen=True)
class PlannedModule:
    """What one module would ask.

    Attributes:
        name: of the module.
        estimate: distinct questions that are not stored yet, and their prompt tokens.
        search_queries: most further queries that attacks with a search may spend.
    """

    name: str
    estimate: Estimate
    search_queries: int


@dataclass(frozen=True)
class Plan:
    """What a run would cost, before anything is asked.

    Attributes:
        modules: per module; a question that an earlier module asks too is counted there.
        queries: true queries in all.
        prompt_tokens: of those.
        minutes: at the speed of earlier runs of this target in the store; None when there are none.
        usd: at the configured price, completions not counted; None without a price.
    """

    modules: tuple[PlannedModule, ...]
    queries: int
    prompt_tokens: int
    minutes: float | None
    usd: float | None


def dry_run(prepared: Prepared, store: Store) -> Plan:
    """Price a run without asking the target anything.

    The price is the most it can cost: an attack that the policy can judge early is asked no further.
    """
    gateway = _gateway(_UNASKED, store, prepared, None)
    context = _context(gateway, prepared, load_policy(prepared.config.policy, prepared.base))
    seen: set[str] = set()
    planned = []
    for name, module in prepared.modules.items():
        asks = [a for a in module.plan(context) if gateway.key(a) not in seen]
        seen.update(gateway.key(a) for a in asks)
        search = getattr(module, "search_queries", None)
        planned.append(PlannedModule(name, gateway.estimate(asks), search(context) if search else 0))
    queries = sum(p.estimate.queries + p.search_queries for p in planned)
    tokens = sum(p.estimate.prompt_tokens for p in planned)
    price = prepared.config.target.price if prepared.config.target else None
    usd = price.prompt * tokens / 1e6 if price and price.prompt else None
    pace = store.pace(gateway.info.name)
    return Plan(tuple(planned), queries, tokens, None if pace is None else pace * queries / 60, usd)


def make_cases(
    config: AuditConfig, dataset: Dataset, info: TargetInfo, task: Task, *, more: int = 0
) -> tuple[list[Case], Mapping[str, Any]]:
    """Draw the users and build their requests, with the target's own instruction.

    Args:
        config: how many users, and what of them is shown.
        dataset: where they come from.
        info: of the target.
        task: what is asked.
        more: how many users beyond those, for whatever must not be fitted on the users under audit.

    Returns:
        The cases, and how they were made. The further users follow the others, which they do not change.
    """
    from audit.data.cases import both_classes, ranking_cases, scoring_cases

    data = config.dataset
    rng = generator(config.seed, "cases")
    users = data.count(config.profile)
    users = None if users is None else users + more
    if task == "score":
        history = data.history or 10
        cases = scoring_cases(dataset, users=users, targets=data.targets, rng=rng, history=history)
        name = (
            f"temporal split, {history} past events, up to {data.targets} later items per user; "
            f"{both_classes(cases)} of {len(cases)} users have both classes"
        )
    else:
        candidates = data.candidates
        if candidates is None and (info.needs_candidates or info.max_candidates is not None):
            candidates = DEFAULT_CANDIDATES
        if info.max_candidates is not None and candidates is not None and candidates > info.max_candidates:
            raise ConfigError(
                f"dataset.candidates: {candidates} is more than the target's {info.max_candidates}; lower it"
            )
        cases = ranking_cases(dataset, users=users, k=data.k, candidates=candidates, rng=rng, history=data.history)
        shown = (
            f"{candidates} candidates (1 positive)" if candidates else "full catalogue, history masked by the target"
        )
        name = f"leave-one-out, {shown}"
    if len(cases) < 2:
        raise DataError(f"dataset: {len(cases)} users are left to ask about; intervals need at least 2")
    instruction = info.instructions.get(task, "") if Input.INSTRUCTION in info.honours else ""
    asked = [replace(c, request=replace(c.request, task=task, instruction=instruction)) for c in cases]
    return asked, {"name": name, "task": task}


def _open(store: Store | str | Path | None) -> Store:
    return store if isinstance(store, Store) else Store(store or default_location())


def _modules(config: AuditConfig) -> dict[str, Module]:
    known = registry.available("modules")
    chosen: Mapping[str, Mapping[str, Any]] = (
        config.modules if config.modules is not None else {name: {} for name in known}
    )
    if not chosen:
        raise ConfigError("modules: the block is empty; name at least one module, or leave the block out for all")
    built = {}
    # Quality first: without it the others cannot be read.
    for name in sorted(chosen, key=lambda n: (n != "quality", n)):
        factory = registry.load("modules", name, where="modules")
        built[name] = build(factory, chosen[name], where=f"modules.{name}")
    return built


def _target(config: AuditConfig, target: object, dataset: Dataset, base: Path) -> Recommender:
    distributed = config.execution.engine == "ray"
    if target is not None:
        if distributed:
            raise ConfigError(
                "execution.engine: 'ray' builds the target anew in every worker, and a target object cannot be sent "
                "there; name it in a `target:` block (kind: python, factory: my_module:build), or use engine: local"
            )
        from audit.targets.python import as_recommender

        return as_recommender(target, dataset.catalog)
    if config.target is None:
        raise ConfigError("target is missing; add a `target:` block, or call run_audit(config, target=my_recommender)")
    if distributed:
        return Replicas(config, base)
    from audit.targets.build import build as build_target

    return build_target(config.target, dataset, base)


def _end(target: Recommender) -> None:
    if isinstance(target, Replicas):
        target.close()


def _task(config: AuditConfig, info: TargetInfo) -> Task:
    wanted = config.target.task if config.target else None
    if wanted is None:
        return info.tasks[0]
    if wanted not in info.tasks:
        raise ConfigError(f"target.task: {info.name!r} does not do {wanted!r}; it does {', '.join(info.tasks)}")
    return wanted


def _gateway(run: str, store: Store, prepared: Prepared, progress: OnProgress | None) -> Gateway:
    block, execution = prepared.config.target, prepared.config.execution
    concurrency = block.concurrency if block else 16
    if execution.engine == "ray":
        concurrency = LOOKAHEAD * execution.workers
    return Gateway(
        prepared.target,
        store,
        run,
        budget=Budget(**prepared.config.budget.model_dump()),
        price=Price(**block.price.model_dump()) if block else Price(),
        max_concurrency=concurrency,
        eager=execution.engine == "ray",
        version=block.version if block else None,
        progress=progress,
    )


def _context(gateway: Gateway, prepared: Prepared, policy: Policy) -> Context:
    @cache
    def anchors() -> Mapping[str, Recommender]:
        from audit.targets.zoo import fit_anchors

        return fit_anchors(prepared.dataset)

    @cache
    def validation() -> Sequence[Request]:
        under_audit = {case.unit for case in prepared.cases}
        cases, _ = make_cases(prepared.config, prepared.dataset, gateway.info, prepared.task, more=VALIDATION_USERS)
        return tuple(case.request for case in cases if case.unit not in under_audit)

    def settled(findings: Sequence[Finding]) -> bool:
        # A failure decides, whatever else is open; a pass needs every judged finding.
        return overall(policy.judge(findings)) in {"fail", "waived", "pass"}

    return Context(
        gateway=gateway,
        dataset=prepared.dataset,
        task=prepared.task,
        cases=prepared.cases,
        seed=prepared.config.seed,
        level=prepared.config.level,
        protocol=prepared.protocol,
        anchors=anchors,
        validation=validation,
        settled=settled,
    )
