"""Frameworks of controls, and which findings bear on each control."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from audit.findings import Finding
from audit.policy.selector import Selector


class Bearing(Selector):
    """Findings that bear on a control: of one metric, or of a whole module (`robustness.*`)."""

    def fits(self, finding: Finding) -> bool:
        """Whether that finding is meant."""
        if self.metric != f"{finding.module}.*":
            return super().fits(finding)
        return all(finding.params.get(name) == value for name, value in self.where.items())

    @property
    def module(self) -> str:
        """The module that measures it."""
        return self.metric.partition(".")[0]


class Control(BaseModel):
    """One clause, risk or outcome of a framework.

    Attributes:
        id: as the framework numbers it.
        title: in our own words.
        recalled: whether number and title were written from memory, and not checked against the published text.
        bears: findings that bear on it. A control that lists none cannot be tested by an audit from outside.
        beyond: what such an audit cannot see of it, and what else is needed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[\w.()-]+$")
    title: str = Field(min_length=1)
    recalled: bool = False
    bears: tuple[Bearing, ...] = ()
    beyond: str = ""

    @model_validator(mode="after")
    def _says_something(self) -> Control:
        if not self.bears and not self.beyond:
            raise ValueError(f"{self.id}: give bears: (findings), or say in beyond: what else is needed")
        return self


class Framework(BaseModel):
    """A framework in one edition.

    Attributes:
        id: short name, as in the tags of findings.
        edition: year or version; numbers of controls change from one to the next.
        title: full name.
        note: what a reader must know before reading the table as more than it is.
        controls: in the framework's order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    edition: str = Field(pattern=r"^[\w.-]+$")
    title: str = Field(min_length=1)
    note: str = ""
    controls: tuple[Control, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> Framework:
        ids = [control.id for control in self.controls]
        twice = next((name for name in ids if ids.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"controls: {twice!r} is listed twice; list each control once")
        return self

    def tag(self, control: Control) -> str:
        """`owasp-llm:2026:LLM07`, as findings carry it."""
        return f"{self.id}:{self.edition}:{control.id}"

    def bears(self, control: Control, finding: Finding) -> bool:
        """Whether a finding bears on a control: the control names it, or the finding carries the control's tag."""
        return self.tag(control) in finding.controls or any(b.fits(finding) for b in control.bears)
