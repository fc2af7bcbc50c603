"""`recaudit doctor`: is this machine ready, and if not, what mends it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import typer

from audit.cli.terminal import Form, FormOption, StoreOption, cell, console, put_json, table

Level = Literal["ok", "warn", "fail"]
_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_ROOM_GB = 2.0
"""Free disk below which fetching the assets and converting them may fail."""
_MEMORY_GB = 4.0
"""Memory below which the language models of the zoo may not fit beside a large data set."""


@dataclass(frozen=True)
class Line:
    """One thing that was looked at."""

    level: Level
    what: str
    found: str
    mend: str = ""


def doctor(form: FormOption = Form.TEXT, store: StoreOption = None) -> None:
    """Look at Python, packages, disk, assets, store and processor; exits with 1 when something must be mended."""
    lines = [
        *_python(),
        *_packages(),
        *_plugins(),
        *_cache(),
        *_assets(),
        *_store(store),
        *_processor(),
        *_browser(),
    ]
    if form is Form.JSON:
        put_json([asdict(line) for line in lines])
    else:
        rows = table("", "", "")
        rows.show_header = False
        for line in lines:
            found = cell(line.found)
            if line.mend:
                found.append_text(cell(f"\n→ {line.mend}", "dim"))
            rows.add_row(cell(line.level, _STYLES[line.level]), cell(line.what, "bold"), found)
        console().print(rows)
    raise typer.Exit(int(any(line.level == "fail" for line in lines)))


def _python() -> Iterator[Line]:
    yield Line("ok", "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}, {sys.prefix}")


def _packages() -> Iterator[Line]:
    """Installed versions against what the package asks for."""
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(text) for text in requires("recaudit") or ()]
    except PackageNotFoundError:
        yield Line("fail", "packages", "recaudit is not installed", "run `pip install recaudit`")
        return
    good = []
    for requirement in wanted:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            yield Line("fail", requirement.name, "is missing", f"run `pip install '{requirement}'`")
            continue
        if requirement.specifier.contains(found, prereleases=True):
            good.append(f"{requirement.name} {found}")
        else:
            yield Line("fail", requirement.name, f"{found} is installed", f"run `pip install '{requirement}'`")
    yield Line("ok", "packages", ", ".join(good))


def _plugins() -> Iterator[Line]:
    from audit import registry
    from audit.errors import ConfigError

    counts = []
    kinds: tuple[registry.Kind, ...] = ("modules", "attacks", "defenses", "targets")
    for kind in kinds:
        names = registry.available(kind)
        broken = 0
        for name in names:
            try:
                registry.load(kind, name, where=kind)
            except ConfigError as error:
                broken += 1
                yield Line("warn", "plugin", str(error), "mend or uninstall the package that registers it")
        counts.append(f"{len(names) - broken} {kind}")
    yield Line("ok", "plugins", ", ".join(counts))


def _cache() -> Iterator[Line]:
    from audit.data import assets

    folder = assets.cache_dir()
    existing = _existing(folder)
    if not _writable(existing):
        yield Line("fail", "cache", f"{folder} cannot be written", "set RECAUDIT_CACHE to a folder that can")
    else:
        yield Line("ok", "cache", str(folder))
    free = shutil.disk_usage(existing).free / 1e9
    if free < _ROOM_GB:
        yield Line(
            "warn", "disk", f"{free:.1f} GB free", f"make room: assets and their conversions take up to {_ROOM_GB:g} GB"
        )
    else:
        yield Line("ok", "disk", f"{free:.0f} GB free")


def _assets() -> Iterator[Line]:
    from audit.data import assets

    for asset in assets.status():
        fetch = f"recaudit assets fetch {asset.name}"
        if asset.state == "ready":
            yield Line("ok", f"asset {asset.name}", f"{asset.version}, {asset.size / 1e6:.0f} MB")
        elif asset.state == "absent":
            yield Line("ok", f"asset {asset.name}", f"not fetched yet; fetched when first used, or with `{fetch}`")
        else:
            yield Line("fail", f"asset {asset.name}", "files are missing", f"run `{fetch} --force`")


def _store(location: str | None) -> Iterator[Line]:
    from audit.cli.terminal import open_store
    from audit.errors import StoreError
    from audit.store import default_location

    place = location or default_location()
    path = Path(place).expanduser()
    if "://" not in place and not path.exists():
        if _writable(_existing(path.parent)):
            yield Line("ok", "store", f"{path}: will be created by the first run")
        else:
            yield Line("fail", "store", f"{path}: its folder cannot be written", "name another with --store")
        return
    try:
        opened = open_store(place)
        runs = opened.runs()
    except StoreError as error:
        yield Line("fail", "store", str(error))
        return
    if "://" not in place and not os.access(path, os.W_OK):
        yield Line("warn", "store", f"{path} is read-only: runs can be shown, not made", "name another with --store")
    else:
        yield Line("ok", "store", f"{opened.shown}: {len(runs)} runs")


def _processor() -> Iterator[Line]:
    try:
        import torch

        from audit.targets.weights import fast_dtype
    except ImportError as error:
        yield Line(
            "fail", "torch", f"cannot be imported: {error}", "reinstall it: `pip install --force-reinstall torch`"
        )
        return
    threads, cores = torch.get_num_threads(), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    dtype = str(fast_dtype()).removeprefix("torch.")
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    found = f"{cores or os.cpu_count()} cores, {threads} threads, {gpu}, models run in {dtype}"
    if cores and threads > cores:
        yield Line(
            "warn", "processor", found, f"more threads than cores slow everything down: set OMP_NUM_THREADS={cores}"
        )
    else:
        yield Line("ok", "processor", found)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9 if hasattr(os, "sysconf") else None
    if memory is not None and memory < _MEMORY_GB:
        yield Line("warn", "memory", f"{memory:.1f} GB", "audit small targets, or those behind HTTP")
    elif memory is not None:
        yield Line("ok", "memory", f"{memory:.0f} GB")


def _browser() -> Iterator[Line]:
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    yield Line("ok", "browser", found or "no Chromium found; only the tests of the pages need one")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
