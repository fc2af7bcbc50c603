"""What picks findings: a metric, and params that they must have."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from audit.findings import Finding, Param


class Selector(BaseModel):
    """Picks findings by what was measured.

    Attributes:
        metric: `module.metric`.
        where: params a finding must have to fit; `null` asks that it lacks the param, or has none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    metric: str = Field(min_length=3)
    where: dict[str, Param] = {}

    def fits(self, finding: Finding) -> bool:
        """Whether that finding is meant."""
        return finding.name == self.metric and all(finding.params.get(k) == v for k, v in self.where.items())

    def __str__(self) -> str:
        """`robustness.flip_rate (attack=typos)`."""
        params = ", ".join(f"{name}={'null' if value is None else value}" for name, value in self.where.items())
        return f"{self.metric} ({params})" if params else self.metric


class Requirement(Selector):
    """What must have been tested: a module (`fairness`), or a check (`robustness.flip_rate`, narrowed by `where:`).

    In a file the bare name is enough.
    """

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, data: Any) -> Any:  # noqa: ANN401 - pydantic hands over raw data
        return {"metric": data} if isinstance(data, str) else data

    def fits(self, finding: Finding) -> bool:
        """Whether that finding is of the module, or of the check."""
        return finding.module == self.metric or super().fits(finding)
