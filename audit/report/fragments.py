"""Parts of the HTML report by themselves, for pages that bring their own frame: the dashboard.

A fragment is one element of the class `recaudit`, and `stylesheet` gives the rules of the report for such elements
alone. Links to a finding lead to wherever the frame keeps findings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files

from markupsafe import Markup, escape

from audit.diff import FindingChange
from audit.findings import Evidence, Finding
from audit.report import compliance, requests, words
from audit.report import facts as of_run
from audit.report import summary as in_words
from audit.report.compliance import FrameworkView
from audit.report.could_see import CouldSee
from audit.report.evidence import Exhibit, Shown, explained
from audit.report.evidence import reply as answer_shown
from audit.report.html import environment
from audit.report.privacy_price import Prices
from audit.report.view import Group, ModuleView, Row, RunView
from audit.store import RunHead
from audit.types import Answer, Request

CLASS = "recaudit"
_SHEETS = ("report.css", "privacy.css", "compliance.css", "fragments.css")
_LINK = re.compile(r'href="#here-([fcer])-([0-9a-zA-Z-]+)"')
_KINDS = {"f": "finding", "c": "finding", "e": "evidence", "r": "run"}


@dataclass(frozen=True)
class Fragments:
    """The parts of one run's report.

    Attributes:
        view: the run.
        where: the address of a finding or of a piece of evidence, by its kind, `finding` or `evidence`, and its id.
    """

    view: RunView
    where: Callable[[str, str], str]

    def verdict(self) -> Markup:
        """The verdict, in one sentence."""
        run = self.view.run
        # What is not finished may still turn either way.
        said = run.verdict if run.record.status == "finished" else "inconclusive"
        return self._part("verdict", said, in_words.headline(run))

    def summary(self) -> Markup:
        """The questions that an owner asks, with a short answer each."""
        return self._part("summary", in_words.summary(self.view))

    def modules(self) -> Markup:
        """A line for each module: its gravest finding, and how many have which verdict."""
        return self._part("modules", words.verdicts_of(self.view.run.findings))

    def request(self, request: Request) -> Markup:
        """What a target was told, field by field, with who writes it."""
        return self._part("request", requests.fields(request), requests.ZONES)

    def facts(self) -> Markup:
        """How the run was made, and what it cost."""
        return self._part("facts", of_run.table(self.view.run))

    def findings(self, rows: Iterable[Row]) -> Markup:
        """Findings of any kind, one a line, each on a scale of its own."""
        return self._part("findings", tuple(rows))

    def pieces(self, pieces: Mapping[str, Evidence]) -> Markup:
        """Pieces of evidence by id, one a line, with links to open them."""
        return self._part("pieces_of", pieces)

    def resting_on(self, rows: Iterable[Row]) -> Markup:
        """Findings as a list of links."""
        return self._part("others", tuple(rows))

    def changes(self, changes: Iterable[FindingChange]) -> Markup:
        """Findings of this run against those of an earlier one."""
        return self._part("changes", tuple(map(ChangeLine.of, changes)))

    def could_see(self, found: CouldSee) -> Markup:
        """What an audit of this size could have seen."""
        return self._part("could_see", found)

    def compliance(self, views: Sequence[FrameworkView]) -> Markup:
        """Frameworks, control by control, with the findings that bear on each."""
        return self._part("compliance", views, compliance.CAVEAT, compliance.RECALLED)

    def finding(self, row: Row) -> Markup:
        """A finding with all its figures; its evidence is not shown."""
        return self._part("finding", row)

    def exhibit(self, piece: Exhibit) -> Markup:
        """A piece of evidence, opened."""
        return self._part("piece", piece)

    def figures(self, module: ModuleView) -> Markup:
        """The charts and tables of a module."""
        return self._part("figures", module)

    def prices(self, found: Prices) -> Markup:
        """Runs by the ε that they promise and by their quality."""
        return self._part("prices", found)

    def rows(self, group: Group, chosen: Iterable[Row]) -> Markup:
        """Some findings of a group, one a line, with their intervals drawn on the scale of the group."""
        return self._part("group", group, tuple(chosen))

    def _part(self, name: str, *given: object) -> Markup:
        return _markup(name, self.where, _Frame(self.view), *given)


def runs(heads: Iterable[RunHead], where: Callable[[str, str], str]) -> Markup:
    """Runs, one a line, with links to them.

    Args:
        heads: in order.
        where: the address of a run, by `run` and its id.
    """
    return _markup("runs", where, _Frame(None), [(r, of_run.moment(r.created)) for r in heads])


def asked(request: Request) -> Markup:
    """A request of no run, field by field, with who writes it."""
    return _markup("request", _nowhere, _Frame(None), requests.fields(request), requests.ZONES)


def replied(request: Request, answer: Answer) -> Markup:
    """An answer of no run."""
    return _markup("reply", _nowhere, _Frame(None), answer_shown(request, answer))


def _nowhere(kind: str, key: str) -> str:
    return f"#{kind}-{key}"


def _markup(name: str, where: Callable[[str, str], str], *given: object) -> Markup:
    macro = getattr(environment().get_template("fragments.html.j2").module, name)
    found = _LINK.sub(lambda link: f'href="{escape(where(_KINDS[link[1]], link[2]))}"', str(macro(*given)))
    # The template has escaped every value; a value cannot hold an attribute, so none of them is a link of ours.
    return Markup(f'<div class="{CLASS}">{found}</div>')  # noqa: S704


@dataclass(frozen=True)
class ChangeLine:
    """A changed finding as a table shows it.

    Attributes:
        change: what was found.
        before: the value it is read by, in the first run.
        now: in the second.
        row: the difference, as something that can be drawn.
    """

    change: FindingChange
    before: float | None
    now: float | None
    row: Row

    @classmethod
    def of(cls, change: FindingChange) -> ChangeLine:
        """Of a comparison."""
        old, new = ((f.estimate if f.effect is None else f.effect) for f in (change.old, change.new))
        d = change.difference
        drawn = Finding(
            module=change.new.module,
            metric=change.new.metric,
            title=f"{change.new.title}: difference",
            estimate=None if d is None else d.estimate,
            ci=None if d is None else (d.low, d.high),
            level=change.new.level,
        )
        return cls(change, old, new, Row(drawn, on_effect=False, at_most=change.new.direction != "higher_is_better"))


@dataclass(frozen=True)
class _Frame:
    """What the parts of the report's template know of the page around them."""

    view: RunView | None
    anchor: str = "here"
    evidence: Mapping[str, Shown] = field(default_factory=dict)

    @cached_property
    def explained(self) -> Sequence[Exhibit]:
        """Some answers with what moved them; read only when a part asks."""
        return explained(self.view) if self.view else ()


@cache
def stylesheet() -> str:
    """The rules of the report, for elements of the class `recaudit` only."""
    rules = "".join(files("audit.report").joinpath("templates", name).read_text("utf-8") for name in _SHEETS)
    # Nested rules hold inside of the element; what the page itself has, its colours and its type, the element gets.
    for page in (":root", "html", "body"):
        rules = re.sub(rf"(?m)^(\s*){page} {{", r"\1& {", rules)
    return f".{CLASS} {{\n{rules}\n}}"
