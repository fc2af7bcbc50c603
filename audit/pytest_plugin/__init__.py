"""The pytest plugin: `pytest --recaudit audit.yaml` makes every judged finding a test.

A policy says what must hold, and pytest says what does, where a team looks for it anyway: in the terminal, in JUnit
XML, in the editor. Nothing heavy is imported here: pytest loads this file in every project that has RecAudit installed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from audit.pytest_plugin.bench import Bench
    from audit.run import Run
    from audit.target import Recommender

_BENCH = pytest.StashKey["Bench"]()

INCONCLUSIVE = "inconclusive"
"""The outcome of a finding that is open. Neither passed nor failed, and not skipped: it was measured. It fails the
session only where the policy asks for certainty, or with `--recaudit-strict`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options and their twins for the ini file."""
    group = parser.getgroup("recaudit", "audit of a recommender")
    group.addoption(
        "--recaudit", action="append", default=[], metavar="FILE", help="Run this audit.yaml; may be given again."
    )
    group.addoption(
        "--recaudit-run",
        action="append",
        default=[],
        metavar="RUN",
        help="Judge this stored run (an id, a unique prefix, `latest`) and ask the target nothing; may be given again.",
    )
    group.addoption("--recaudit-profile", choices=("quick", "standard", "full"), help="Overrides the profile.")
    group.addoption("--recaudit-store", metavar="PATH|URL", help="Where runs are kept; default: as for `recaudit run`.")
    group.addoption("--recaudit-policy", metavar="P", help="A built-in policy or a file in place of the audit's own.")
    group.addoption("--recaudit-strict", action="store_true", help="A finding that is open fails.")
    parser.addini("recaudit_configs", "audit.yaml files that are tests like any other", type="paths", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Check what was named, before anything is asked."""
    named: list[str] = config.getoption("recaudit")
    in_ini: list[Path] = config.getini("recaudit_configs")
    if not named and not in_ini:
        if config.getoption("recaudit_run"):
            raise pytest.UsageError("--recaudit-run: name the audit that the run is of, too: --recaudit audit.yaml")
        return
    from audit.pytest_plugin.bench import Bench

    config.stash[_BENCH] = Bench(config, named, in_ini)


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """With pytest-xdist the controller runs the audits, once, before any worker starts (which is last, too)."""
    bench = session.config.stash.get(_BENCH, None)
    if bench is not None and session.config.pluginmanager.hasplugin("dsession"):
        bench.run_all()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401 - a class of pytest-xdist, which need not be there
    """Tell a worker which runs to read."""
    bench = node.config.stash.get(_BENCH, None)
    if bench is not None:
        node.workerinput["recaudit"] = bench.told()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """An audit that was named is a file of tests."""
    bench = parent.config.stash.get(_BENCH, None)
    if bench is None or file_path.resolve() not in bench.audits:
        return None
    from audit.pytest_plugin.nodes import AuditFile

    return AuditFile.from_parent(parent, path=file_path, bench=bench)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """An open finding gets an outcome of its own, and what is skipped lies in the audit and not in this package."""
    report: Any = yield
    if _BENCH not in item.config.stash:
        return report
    from audit.pytest_plugin.nodes import AuditItem, Inconclusive

    if isinstance(item, AuditItem):
        file = item.nodeid.partition("::")[0]
        if call.excinfo is not None and isinstance(call.excinfo.value, Inconclusive):
            report.outcome = "skipped"
            # JUnit XML knows no third outcome either: there it is skipped, and the message says what it is.
            report.longrepr = (file, 1, f"{INCONCLUSIVE}: {call.excinfo.value}")
            report.recaudit = INCONCLUSIVE
        elif report.skipped and isinstance(report.longrepr, tuple):
            report.longrepr = (file, 1, report.longrepr[2])
    return report


def pytest_report_teststatus(report: Any) -> tuple[str, str, Any] | None:  # noqa: ANN401 - with a field of our own
    """Its letter, its word, and its place in the summary line."""
    if getattr(report, "recaudit", "") == INCONCLUSIVE:
        return INCONCLUSIVE, "?", ("INCONCLUSIVE", {"yellow": True})
    return None


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:  # noqa: ANN401 - pytest's private class
    """Which runs were judged, and what is open and why."""
    bench = config.stash.get(_BENCH, None)
    if bench is None:
        return
    unsettled = terminalreporter.stats.get(INCONCLUSIVE, [])
    lines = bench.summary()
    if not lines and not unsettled:
        return
    terminalreporter.section("recaudit")
    for line in lines:
        terminalreporter.line(line)
    for report in unsettled:
        terminalreporter.line(f"INCONCLUSIVE {report.nodeid} - {report.longrepr[2].partition(': ')[2]}")


# Fixtures -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def audit_runs(pytestconfig: pytest.Config) -> Mapping[str, Run]:
    """The finished run of each audit that was named, by the `name:` in its configuration."""
    return _bench(pytestconfig).runs_by_name()


@pytest.fixture(scope="session")
def audit_run(pytestconfig: pytest.Config) -> Run:
    """The finished run of the audit that was named: the same that the findings are tested on."""
    return _bench(pytestconfig).only_run()


@pytest.fixture(scope="session")
def audited_target(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recommender]:
    """The target of the audit that was named, behind a gateway: counted, retried, held to the budget.

    Nothing is asked twice. What tests ask lies in a store of its own, so the run under judgement keeps its own count.
    """
    with _bench(pytestconfig).target(tmp_path_factory.mktemp("recaudit")) as target:
        yield target


def _bench(config: pytest.Config) -> Bench:
    bench = config.stash.get(_BENCH, None)
    if bench is None:
        pytest.skip("no audit was named; give --recaudit audit.yaml, or set recaudit_configs in the ini file")
    return bench
