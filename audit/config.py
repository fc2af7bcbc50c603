"""`audit.yaml`: read, checked, and with its defaults filled in.

Every mistake is one sentence that names the file, the field, the value and the mend, with the nearest known name where
a name is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from audit.errors import ConfigError, nearest
from audit.types import Task

Profile = Literal["quick", "standard", "full"]

YAML_FAULTS = (
    yaml.YAMLError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError,
)  # fmt: skip
"""What PyYAML raises: its own, and what Python does where a value is not what it looks like or is tagged as.

Such are `2026-99-99`, `!!int ""` and a thousand brackets.
"""

PROFILE_USERS: Mapping[Profile, int | None] = {"quick": 100, "standard": 300, "full": None}
"""Users sampled when the configuration names no number; None for all."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetConfig(_Strict):
    """Where the users, their histories and the items come from.

    `name: ml-100k` is fetched through the asset store; `kind: files` reads the user's own CSV or Parquet files.
    """

    kind: Literal["named", "files"] = "named"
    name: str | None = None
    interactions: Path | None = None
    items: Path | None = None
    users: int | Path | None = None
    sample: int | None = Field(default=None, ge=1)
    columns: dict[str, str] = {}
    liked: float | None = None
    min_core: int = Field(default=5, ge=0)
    candidates: int | None = Field(default=None, ge=2)
    history: int | None = Field(default=None, ge=1)
    targets: int = Field(default=8, ge=1)
    k: int = Field(default=10, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _infer_kind(cls, data: Any) -> Any:  # noqa: ANN401 - pydantic hands over raw data
        if isinstance(data, dict) and "kind" not in data and "interactions" in data:
            return {**data, "kind": "files"}
        return data

    @model_validator(mode="after")
    def _complete(self) -> DatasetConfig:
        if self.kind == "files":
            if self.interactions is None or self.items is None:
                missing = "interactions" if self.interactions is None else "items"
                raise ValueError(f"{missing} is missing; kind: files needs interactions: and items: (paths)")
            if isinstance(self.users, int):
                raise ValueError(
                    f"users: {self.users} is a number; with kind: files it is a path, use sample: for a count"
                )
        elif self.name is None:
            raise ValueError("name is missing; write name: ml-100k, or kind: files with interactions: and items:")
        elif isinstance(self.users, Path):
            raise ValueError(f"users: {str(self.users)!r} is not a number; with name: it is how many users to sample")
        return self

    def count(self, profile: Profile) -> int | None:
        """How many users to sample; None for all."""
        if self.sample is not None:
            return self.sample
        if isinstance(self.users, int):
            return self.users
        return PROFILE_USERS[profile]

    def users_file(self) -> Path | None:
        """The file of user attributes, if any."""
        return self.users if isinstance(self.users, Path) else None


class PriceConfig(_Strict):
    """US dollars per million tokens."""

    prompt: float = Field(default=0.0, ge=0)
    completion: float = Field(default=0.0, ge=0)


class TargetConfig(BaseModel):
    """Which recommender is audited. Options beyond these belong to the kind of target."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: Literal["python", "http", "openai", "hf", "zoo"]
    name: str | None = None
    task: Task | None = None
    version: str | None = None
    concurrency: int = Field(default=16, ge=1)
    price: PriceConfig = PriceConfig()

    @property
    def options(self) -> dict[str, Any]:
        """The options that the kind of target defines."""
        return dict(self.model_extra or {})


class BudgetConfig(_Strict):
    """What a run may spend; a missing limit is no limit."""

    queries: int | None = Field(default=None, ge=1)
    tokens: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    usd: float | None = Field(default=None, gt=0)


class ExecutionConfig(_Strict):
    """Where the target runs: in this process, or as replicas on Ray (`docs/distributed.md`).

    `address` is a running cluster (`auto`, `host:port`, `ray://…`); without it one is started on this machine.
    `threads_per_worker` left out shares this machine's cores among the workers; on a running cluster each takes one.
    """

    engine: Literal["local", "ray"] = "local"
    workers: int = Field(default=2, ge=1)
    address: str | None = None
    threads_per_worker: int | None = Field(default=None, ge=1)
    gpus_per_worker: float = Field(default=0.0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _engine_is_known(cls, data: Any) -> Any:  # noqa: ANN401 - pydantic hands over raw data
        engine = data.get("engine", "local") if isinstance(data, dict) else "local"
        if engine not in ("local", "ray"):
            raise ValueError(f"engine: {engine!r} is unknown; {nearest(str(engine), ['local', 'ray'])}")
        return data


class AuditConfig(_Strict):
    """A whole audit."""

    name: str = "audit"
    seed: int = Field(default=7, ge=0)
    profile: Profile = "quick"
    dataset: DatasetConfig
    target: TargetConfig | None = None
    modules: dict[str, dict[str, Any]] | None = None
    policy: str | tuple[str, ...] = "default"
    budget: BudgetConfig = BudgetConfig()
    execution: ExecutionConfig = ExecutionConfig()
    level: float = Field(default=0.95, gt=0.5, lt=1)

    @field_validator("modules", mode="before")
    @classmethod
    def _empty_blocks(cls, data: Any) -> Any:  # noqa: ANN401 - pydantic hands over raw data
        if isinstance(data, Sequence) and not isinstance(data, str):
            return {str(name): {} for name in data}
        if isinstance(data, dict):
            return {name: {} if options is None else options for name, options in data.items()}
        return data


def load(source: str | Path | Mapping[str, Any]) -> tuple[AuditConfig, Path]:
    """Read and check a configuration.

    Args:
        source: path of a YAML file, or the data itself.

    Returns:
        The configuration, and the folder that its relative paths start from.

    Raises:
        ConfigError: one sentence for the first mistake found.
    """
    if isinstance(source, Mapping):
        return _validated(source, "config"), Path.cwd()
    path = Path(source)
    return _validated(read_yaml(path), path.name), path.resolve().parent


def read_yaml(path: Path) -> Mapping[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        ConfigError: missing, unreadable, not YAML, or not a mapping.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; `recaudit init` writes one to start from") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except YAML_FAULTS as error:
        where = (
            f"line {error.problem_mark.line + 1}: "
            if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark
            else ""
        )
        problem = error.problem if isinstance(error, yaml.MarkedYAMLError) and error.problem else _plainly(error)
        raise ConfigError(f"{path.name}: {where}not valid YAML: {problem}") from error
    if not isinstance(data, Mapping):
        raise ConfigError(f"{path.name}: holds {type(data).__name__}, not a mapping of fields such as `target:`")
    return {str(key): value for key, value in data.items()}


def _plainly(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    said = " ".join(str(error).split())
    return said if isinstance(error, yaml.YAMLError) else f"a value is not of its type ({said}); put it in quotes"


def _validated(data: Mapping[str, Any], where: str) -> AuditConfig:
    try:
        return AuditConfig.model_validate(dict(data))
    except ValidationError as error:
        raise ConfigError(sentence(error, AuditConfig, where)) from error


def _is_member(part: int | str) -> bool:
    return isinstance(part, str) and (part in {"int", "str", "path", "Path"} or part.startswith("tuple["))


def sentence(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """The first mistake of a validation as one sentence."""
    first = error.errors()[0]
    kind = first["type"]
    # Members of a union stand in the place, too. Where a name is what is wrong, the last part is the user's own.
    own = len(first["loc"]) - 1 if kind in {"extra_forbidden", "missing"} else len(first["loc"])
    path = [str(part) for at, part in enumerate(first["loc"]) if at == own or not _is_member(part)]
    name = ".".join(path) or "the file"
    value = first.get("input")
    shown = repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    if kind == "extra_forbidden":
        return f"{where}: {name}: no field has this name; {nearest(path[-1], _fields_at(model, path[:-1]))}"
    if kind == "missing":
        return f"{where}: {name} is missing; add `{path[-1]}:`"
    if kind == "value_error":
        return f"{where}: {name}: {first['ctx']['error']}" if path else f"{where}: {first['ctx']['error']}"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{where}: {name}: {shown} does not fit: {message}"


def _fields_at(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    current: type[BaseModel] = model
    for part in path:
        if part.isdecimal():  # a place in a list: its entries are of the model found for the list
            continue
        annotation = current.model_fields[part].annotation if part in current.model_fields else None
        options = [annotation, *getattr(annotation, "__args__", ())]
        found = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
        if found is None:
            return []
        current = found
    return list(current.model_fields)
