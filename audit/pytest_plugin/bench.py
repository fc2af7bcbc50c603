"""The audits of one pytest session: which there are, and the one run of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from audit.errors import RecAuditError
from audit.text import one_line

if TYPE_CHECKING:
    from audit.config import AuditConfig
    from audit.gateway import Progress
    from audit.policy import Policy
    from audit.run import Run
    from audit.store import Store
    from audit.target import Recommender


class AuditStopped(Exception):
    """An audit that could not run to its end, in one sentence."""


@dataclass(frozen=True)
class Audit:
    """One audit that was named.

    Attributes:
        path: of its configuration.
        config: validated.
        policy: its own, or the one that was asked for in its place.
    """

    path: Path
    config: AuditConfig
    policy: Policy


class Bench:
    """What a session audits. Each audit runs at most once; all workers of pytest-xdist read the same run."""

    def __init__(self, config: pytest.Config, named: list[str], in_ini: list[Path]) -> None:
        """Read and check the configurations.

        Args:
            config: of pytest.
            named: on the command line, relative to where pytest was started. These are always tested.
            in_ini: from the ini file. These are tested where they are collected, like any other file.

        Raises:
            pytest.UsageError: a mistake in an option, a configuration or a policy, in one sentence.
        """
        self._pytest = config
        self._outcomes: dict[Path, str | AuditStopped] = {}
        self._opened: Store | None = None
        self._lines: list[str] = []
        start = config.invocation_params.dir
        try:
            given = [_read(start / name, config.getoption("recaudit_policy"), start) for name in named]
            known = {audit.path for audit in given}
            by_ini = [_read(path, config.getoption("recaudit_policy"), start) for path in in_ini]
            self.audits = {audit.path: audit for audit in (*given, *(a for a in by_ini if a.path not in known))}
            self._take_stored(config.getoption("recaudit_run"))
        except RecAuditError as error:
            raise pytest.UsageError(one_line(str(error))) from None
        told: Mapping[str, tuple[bool, str]] = getattr(config, "workerinput", {}).get("recaudit", {})
        for path, (finished, text) in told.items():
            self._outcomes[Path(path)] = text if finished else AuditStopped(text)
        everything = config.args_source is not pytest.Config.ArgsSource.ARGS
        for audit in self.audits.values():
            if (audit.path in known or everything) and not self._collected(audit.path):
                config.args.append(str(audit.path))

    @property
    def collects_only(self) -> bool:
        """Whether pytest only lists tests, so that the target must not be asked anything."""
        return bool(self._pytest.getoption("collectonly"))

    def has_run(self, path: Path) -> bool:
        """Whether the run of an audit is there already."""
        return path in self._outcomes

    def run_of(self, path: Path) -> Run:
        """The finished run of an audit, which is made now if it is not there yet.

        Raises:
            AuditStopped: it could not run to its end.
        """
        if path not in self._outcomes:
            if hasattr(self._pytest, "workerinput"):
                raise AuditStopped(
                    f"{path.name}: under pytest-xdist only what is collected is audited; add --recaudit {path.name}"
                )
            self._outcomes[path] = self._audited(self.audits[path])
        outcome = self._outcomes[path]
        if isinstance(outcome, AuditStopped):
            raise outcome
        from audit.run import Run

        store = self._store()
        return Run(store.run(outcome), store)

    def run_all(self) -> None:
        """Run every audit that will be collected; one that stops is reported where it is collected."""
        for path in self.audits:
            if self._collected(path) and path not in self._outcomes:
                self._outcomes[path] = self._audited(self.audits[path])

    def told(self) -> dict[str, tuple[bool, str]]:
        """What a worker has to know: by path, whether the run is there, and its id or why it is not."""
        return {str(p): (not isinstance(o, AuditStopped), str(o)) for p, o in self._outcomes.items()}

    def runs_by_name(self) -> dict[str, Run]:
        """The runs of all audits, by the name in the configuration."""
        return {audit.config.name: self._run_or_fail(path) for path, audit in self.audits.items()}

    def only_run(self) -> Run:
        """The run of the one audit."""
        return self._run_or_fail(self._only("audit_run", "use the fixture audit_runs, by name").path)

    @contextmanager
    def target(self, folder: Path) -> Iterator[Recommender]:
        """The target of the one audit, behind a gateway with a store in that folder."""
        from contextlib import closing

        from audit import runner
        from audit.gateway import Budget, Gateway
        from audit.store import Store

        audit = self._only("audited_target", "name one with --recaudit")
        profile = self._pytest.getoption("recaudit_profile")
        try:
            with (
                closing(runner.prepare(audit.path, profile=profile)) as prepared,
                Store(folder / "asked.sqlite") as store,
            ):
                run = store.create_run(audit.config.name, config={}, target={}, versions={}, seed=audit.config.seed)
                budget = Budget(**audit.config.budget.model_dump())
                yield Gateway(prepared.target, store, run.id, budget=budget).recommender("tests")
        except RecAuditError as error:
            pytest.fail(one_line(str(error)), pytrace=False)

    def summary(self) -> list[str]:
        """One line for each run that was judged, and whatever else must be said at the end."""
        lines = list(self._lines)
        for path, outcome in self._outcomes.items():
            if not isinstance(outcome, AuditStopped):
                run = self.run_of(path)
                gate = run.gate(self._policy_for(self.audits[path], run))
                store = self._pytest.getoption("recaudit_store")
                seen = f"recaudit show {run.id}" + (f" --store {store}" if store else "")
                lines.append(
                    f"{path.name}: run {run.id}: {len(gate.failed)} failed, {len(gate.missing)} missing, "
                    f"{len(gate.open)} open, {len(gate.waived)} waived; see `{seen}`"
                )
                lines += [f"{path.name}: the waiver for {one_line(w)} lifts nothing; remove it" for w in gate.idle]
        return lines

    def policy_of(self, path: Path, run: Run) -> Policy:
        """The policy that a run is held to: the one asked for, else the run's own as it was when the run was made."""
        return self._policy_for(self.audits[path], run)

    def _policy_for(self, audit: Audit, run: Run) -> Policy:
        return audit.policy if self._pytest.getoption("recaudit_policy") else run.policy

    def _only(self, fixture: str, mend: str) -> Audit:
        if len(self.audits) != 1:
            names = ", ".join(path.name for path in self.audits)
            pytest.fail(f"{fixture}: {len(self.audits)} audits were named ({names}); {mend}", pytrace=False)
        return next(iter(self.audits.values()))

    def _run_or_fail(self, path: Path) -> Run:
        try:
            return self.run_of(path)
        except AuditStopped as stopped:
            pytest.fail(str(stopped), pytrace=False)

    def _store(self, *, create: bool = False) -> Store:
        if self._opened is None:
            from audit.store import Store

            self._opened = Store(self._pytest.getoption("recaudit_store"), create=create)
        return self._opened

    def _take_stored(self, names: list[str]) -> None:
        """Match stored runs with audits, by the name in the configuration.

        Raises:
            pytest.UsageError: a run is unfinished, or is of none of the audits.
        """
        for name in names:
            record = self._store().run(name)
            if record.status != "finished":
                raise pytest.UsageError(
                    f"--recaudit-run: {record.id} is {record.status}; go on with `recaudit resume {record.id}` first"
                )
            path = next((p for p, audit in self.audits.items() if audit.config.name == record.name), None)
            if path is None:
                known = ", ".join(f"{audit.config.name!r}" for audit in self.audits.values())
                raise pytest.UsageError(
                    f"--recaudit-run: {record.id} is a run of {one_line(record.name)!r}, and the audits are {known}"
                )
            self._outcomes[path] = record.id

    def _collected(self, path: Path) -> bool:
        """Whether pytest meets this file on its way through what it was told to collect."""
        config = self._pytest
        passed_over = [*config.getini("norecursedirs"), ".*"]
        for arg in config.args:
            place = (config.invocation_params.dir / str(arg).partition("::")[0]).resolve()
            if place == path:
                return True
            if place in path.parents:
                between = path.relative_to(place).parts[:-1]
                if not any(fnmatch(part, pattern) for part in between for pattern in passed_over):
                    return True
        return False

    def _audited(self, audit: Audit) -> str | AuditStopped:
        """Run an audit: the id of its run, or why it stopped."""
        from audit import runner

        begun = ""
        store = self._pytest.getoption("recaudit_store")
        try:
            prepared = runner.prepare(audit.path, profile=self._pytest.getoption("recaudit_profile"))
            run = runner.begin(prepared, self._store(create=True))
            begun = run.id
            modules = ", ".join(prepared.modules)
            self._say(f"run {begun}: {audit.config.name}, {len(prepared.cases)} users, modules {modules}")
            runner.execute(run, prepared, progress=self._progress)
        except RecAuditError as error:
            text = f"{audit.path.name}: {one_line(str(error)).rstrip('.')}"
            return AuditStopped(f"{text}; {_hint(begun, store)}" if begun else text)
        except SystemExit as error:
            return AuditStopped(
                f"{audit.path.name}: the target ended the process with {error!r}; {_hint(begun, store)}"
            )
        except KeyboardInterrupt:
            if begun:
                self._lines.append(f"run {begun} was interrupted; what was answered is stored: {_hint(begun, store)}")
            raise
        return begun

    @contextmanager
    def _terminal(self) -> Iterator[Any]:
        """The terminal, with capture lifted, since an audit runs while tests are collected; None where it is quiet."""
        plugins = self._pytest.pluginmanager
        terminal: Any = plugins.get_plugin("terminalreporter")
        capture: Any = plugins.get_plugin("capturemanager")
        with nullcontext() if capture is None else capture.global_and_fixture_disabled():
            yield terminal if terminal is not None and terminal.verbosity >= 0 else None

    def _say(self, text: str) -> None:
        with self._terminal() as terminal:
            if terminal is not None:
                terminal.ensure_newline()
                terminal.write_line(f"recaudit: {one_line(text)}")

    def _progress(self, progress: Progress) -> None:
        with self._terminal() as terminal:
            if terminal is not None and terminal.isatty:
                at = f"{progress.done:,} of {progress.total:,}"
                terminal.rewrite(f"recaudit: {one_line(progress.label)}: {at}", erase=True)


def _hint(run: str, store: str | None) -> str:
    named = f" --store {store}" if store else ""
    return f"go on with `recaudit resume {run}{named}`, then judge it with --recaudit-run {run}"


def _read(path: Path, policy: str | None, start: Path) -> Audit:
    from audit.config import load
    from audit.policy import load as load_policy

    config, base = load(path)
    found = load_policy(config.policy, base) if policy is None else load_policy(policy, start)
    return Audit(path.resolve(), config, found)
