"""Where in `audit.yaml` a finding was asked for: the place at which code scanning shows it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import yaml

DEFAULT = "audit.yaml"


@dataclass(frozen=True)
class Source:
    """The configuration file of a run, as its repository knows it.

    Attributes:
        uri: relative, with forward slashes.
        modules: line of each module that the file names, from 1.
        fallback: line of the block that a finding of any other module belongs to.
    """

    uri: str = DEFAULT
    modules: Mapping[str, int] = field(default_factory=dict)
    fallback: int = 1

    def line(self, module: str) -> int:
        """The line of the block that asked for this module."""
        return self.modules.get(module, self.fallback)


def read(path: Path | None) -> Source:
    """Find the lines; a file that is not there, or is no mapping, still gives a place: its first line.

    Args:
        path: of the configuration, relative to the root of its repository; None for `audit.yaml`.
    """
    if path is None:
        path = Path(DEFAULT)
    uri = quote(_relative(path))
    try:
        tree = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError):
        return Source(uri)
    blocks = _children(tree)
    named = blocks.get("modules")
    lines = {name: key.start_mark.line + 1 for name, (key, _) in _children(named[1] if named else None).items()}
    head = named or blocks.get("target")
    return Source(uri, lines, head[0].start_mark.line + 1 if head else 1)


def _children(node: yaml.Node | None) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): (key, value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return {str(entry.value): (entry, entry) for entry in node.value}
    return {}


def _relative(path: Path) -> str:
    """Below the working folder, or the bare name: where a file lies on this machine is nobody's business."""
    if not path.is_absolute():
        normal = Path(os.path.normpath(path))
        return normal.name if ".." in normal.parts else normal.as_posix()
    folder = Path.cwd()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
