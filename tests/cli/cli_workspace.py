"""A folder with everything an audit needs, and what a command left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

RECOMMENDER = """
from pathlib import Path


def build(catalog, calls="", stop_after=0, mended=""):
    genres = {item.title: item.attributes.get("genres", "") for item in catalog.values()}
    asked = 0

    def recommend(history, candidates, k):
        nonlocal asked
        asked += 1
        if calls:
            with open(calls, "a") as file:
                file.write("x")
        if stop_after and asked > stop_after and not Path(mended).exists():
            raise KeyboardInterrupt
        liked = [genres.get(title) for title in history]
        return sorted(candidates or genres, key=lambda title: -liked.count(genres.get(title)))[:k]

    return recommend
"""

POLICIES: dict[str, dict[str, Any]] = {
    "lenient": {"rules": [{"metric": "quality.error_rate", "max": 1.0}]},
    "strict": {"rules": [{"metric": "quality.hr", "min": 1.5, "severity": "critical", "why": "Nobody can reach it."}]},
    "unsure": {"certainty": True, "rules": [{"metric": "quality.error_rate", "max": 0.05}]},
}


@dataclass(frozen=True)
class Called:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        return self.out.strip().splitlines()[-1]


@dataclass(frozen=True)
class Workspace:
    """A folder with data, a recommender, policies and audit.yaml."""

    folder: Path

    @property
    def config(self) -> str:
        return str(self.folder / "audit.yaml")

    @property
    def store(self) -> str:
        return str(self.folder / "runs.sqlite")

    def write(self, name: str = "audit.yaml", /, **changes: Any) -> str:
        config: dict[str, Any] = {
            "name": "tiny",
            "dataset": {"interactions": "inter.csv", "items": "items.csv", "sample": 8, "candidates": 20},
            "target": {"kind": "python", "factory": "rec:build"},
            "modules": {"quality": {}},
            "policy": "lenient.yaml",
        }
        for key, value in changes.items():
            config[key] = {**config[key], **value} if isinstance(config.get(key), dict) and value else value
        path = self.folder / name
        path.write_text(yaml.safe_dump({k: v for k, v in config.items() if v is not None}))
        return str(path)


Cli = Callable[..., Called]
