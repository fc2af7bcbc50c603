"""A pack, read back as a run: every command that reads a stored run reads a pack just as well."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from audit.errors import ConfigError, RecAuditError, StoreError
from audit.findings import Evidence, Finding
from audit.pack import lines
from audit.pack.manifest import Limits
from audit.pack.verify import verify
from audit.pack.write import ANSWERS, EVIDENCE, MEASURED, REQUESTS, RUN, VALUES
from audit.run import Run
from audit.store import RunRecord, RunUsage, Store
from audit.text import one_line

T = TypeVar("T")


class PackStore(Store):
    """The store of one pack: a file that ends with the process.

    What the run cost and how its answers ended is that of the whole run, of which a pack keeps only the answers that
    evidence shows. `asked` is empty: evidence shows what stands out, so its answers are no sample of anything.
    """

    def __init__(self, location: Path, pack: str, usage: RunUsage, outcomes: dict[str, int]) -> None:
        super().__init__(location)
        self._pack, self._usage, self._outcomes = pack, usage, outcomes

    def usage(self, run: str) -> RunUsage:
        """What the whole run cost."""
        return self._usage

    def outcomes(self, run: str) -> dict[str, int]:
        """How many answers of the whole run ended in each outcome."""
        return dict(self._outcomes)

    def asked(self, run: str) -> set[tuple[str, int]]:
        """Nothing that may be compared."""
        return set()

    def _understood(self, what: str, body: str, read: Callable[[Any], T]) -> T:
        try:
            return super()._understood(what, body, read)
        except StoreError as error:
            raise ConfigError(
                f"PACK: {self._pack}: its files fit the manifest, but a {what} in them cannot be understood; it was "
                "made by another version or by something else"
            ) from error


def open_pack(path: Path, *, limits: Limits | None = None) -> Run:
    """Check a pack against its own manifest, and read it.

    This shows damage. Whether the pack is the one that was made, `verify` with a digest or a key can tell.

    Args:
        path: of the zip file.
        limits: beyond which nothing is read.

    Raises:
        ConfigError: it is no pack, does not hold what its manifest says, or cannot be understood.
    """
    checked = verify(path, limits=limits)
    if checked.faults:
        raise ConfigError(f"PACK: {path}: {checked.faults[0]}; `recaudit verify-pack` lists every fault")
    try:
        with zipfile.ZipFile(path) as archive, ExitStack() as undo:
            folder = Path(tempfile.mkdtemp(prefix="recaudit-pack-"))
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            run = _restored(archive, str(path), folder / "pack.sqlite", undo)
            undo.pop_all()
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            return run
    except RecAuditError:
        raise
    # What a valid manifest lists can still be anything: whatever goes wrong in reading it is a fault of the pack.
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ConfigError(
            f"PACK: {path}: its files fit the manifest but cannot be understood ({type(error).__name__}: "
            f"{one_line(error)}); it was made by another version or by something else"
        ) from error


def _restored(archive: zipfile.ZipFile, pack: str, location: Path, undo: ExitStack) -> Run:
    told: dict[str, Any] = json.loads(archive.read(RUN))
    usage = RunUsage(**told["usage"])
    store = PackStore(location, pack, usage, {str(k): int(n) for k, n in told["outcomes"].items()})
    undo.callback(store.close)
    record = RunRecord(
        id=str(told["id"]),
        name=str(told["name"]),
        created=str(told["created"]),
        status="finished",
        verdict=told["verdict"],
        config=dict(told["config"]),
        target=dict(told["target"]),
        versions=dict(told["versions"]),
        seed=int(told["seed"]),
        policy=dict(told["policy"]),
        notes=tuple(told["notes"]),
    )
    run = Run(record, store)
    _ = run.policy  # what cannot be understood is said here, not in the middle of a report
    with archive.open(REQUESTS) as asked, archive.open(ANSWERS) as told_of:
        store.restore(record, lines.read_requests(asked), lines.read_answers(told_of))
    findings = [Finding.from_dict(row) for row in _rows(archive, MEASURED)]
    evidence = {row["id"]: Evidence.from_dict(row) for row in _rows(archive, EVIDENCE)}
    values = {str(row["finding"]): dict(row["values"]) for row in _rows(archive, VALUES)}
    for module in dict.fromkeys(f.module for f in findings):
        own = [f for f in findings if f.module == module]
        kept = {f.id: values[f.id] for f in own if f.id in values}
        # Evidence is found by its id, whichever module it was stored with.
        store.save_module(record.id, module, own, list(evidence.values()), kept)
        evidence = {}
    run = Run(record, store)
    run.to_json()  # findings that no policy can judge, too
    return run


def _rows(archive: zipfile.ZipFile, name: str) -> Iterator[dict[str, Any]]:
    with archive.open(name) as file:
        for line in file:
            yield json.loads(line)
