"""Measuring controls: which repetitions are made, by how many processes, and how a killed measurement goes on.

A repetition hangs on the seed, the control, the size, the number of users and its own number, so it can be made
anywhere and in any order. Each is kept as it is made, in a file of one line each that is named after the code and the
seed: a measurement that is started again makes only what is missing, and one of other code starts anew.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import platformdirs

from audit.controls.control import Control
from audit.controls.measured import Cell, Measured
from audit.controls.trial import Trial, World, ideal_world, throwaway_store, trial
from audit.stats.claims import mean_error
from audit.store import Store, versions

Profile = Literal["quick", "standard", "full"]
Key = tuple[str, float, int, int]
"""Control, size, users, number of the repetition."""

OnTrial = Callable[[int, int, str], None]
"""Called with the repetitions made, those wanted, and the control."""

_BATCH = 5
"""Repetitions that a process makes before it hands them over: at most these are lost when it is killed."""


@dataclass(frozen=True)
class Effort:
    """How many repetitions a profile makes.

    Attributes:
        claim: at the claimed size and on its clean twin.
        other: at each other size.
        users: numbers of users besides the claimed one, at every size above 0.
    """

    claim: int
    other: int
    users: tuple[int, ...]


EFFORTS: Mapping[Profile, Effort] = {
    "quick": Effort(claim=10, other=0, users=()),
    "standard": Effort(claim=60, other=8, users=(50, 200)),
    "full": Effort(claim=600, other=200, users=(20, 50, 100, 200, 500)),
}


def cells_of(control: Control, effort: Effort, users: int | None = None) -> list[tuple[float, int, int]]:
    """Sizes and numbers of users, with how many repetitions each.

    Args:
        control: that is measured.
        effort: of the profile.
        users: the one number of users that is asked for; None for the claim's and the profile's.
    """
    main = users if users is not None else control.users

    def scaled(count: int) -> int:
        return max(2, round(count * control.runs)) if count else 0

    wanted = [
        (size, main, scaled(effort.claim if size in (0.0, control.claimed) else effort.other)) for size in control.sizes
    ]
    for other in effort.users if users is None else ():
        if other != main:
            wanted += [(size, other, scaled(effort.other)) for size in control.sizes[1:]]
    return [cell for cell in wanted if cell[2]]


def measure(
    controls: Sequence[Control],
    profile: Profile = "quick",
    *,
    seed: int = 7,
    users: int | None = None,
    processes: int = 2,
    kept: Path | None = None,
    world: World = ideal_world,
    data: str = "invented",
    on_trial: OnTrial = lambda *_: None,
) -> Measured:
    """Make every repetition that is not kept already, and count.

    Args:
        controls: to be measured. With more than one process each must be known to the registry.
        profile: how many repetitions.
        seed: that they are numbered from.
        users: the one number of users that is asked for; None for each control's own and the profile's.
        processes: 1 to make all of it here.
        kept: file of the repetitions; None for none, so that nothing outlives a kill.
        world: the data and the base; another than the invented one only in one process.
        data: name of the data, for the record. Truths speak of the invented base alone, so with other data intervals
            are held against nothing.
        on_trial: called as repetitions are made.
    """
    effort = EFFORTS[profile]
    plan = {control.id: cells_of(control, effort, users) for control in controls}
    wanted = [
        (control.id, size, n, number)
        for control in controls
        for size, n, count in plan[control.id]
        for number in range(count)
    ]
    done = _read(kept)
    missing = [key for key in wanted if key not in done]
    made = len(wanted) - len(missing)
    by_id = {control.id: control for control in controls}
    for batch in _made(missing, by_id, seed, processes, world):
        done |= batch
        _write(kept, batch)
        made += len(batch)
        on_trial(made, len(wanted), next(iter(batch))[0])
    cells = [
        _cell(control, size, n, [done[control.id, size, n, i] for i in range(count)], users, known=data == "invented")
        for control in controls
        for size, n, count in plan[control.id]
    ]
    return Measured(tuple(cells), seed, profile, versions(), data)


def kept_file(seed: int) -> Path:
    """Where repetitions of this code and this seed are kept."""
    return Path(platformdirs.user_cache_dir("recaudit")) / f"controls-{_code()}-{seed}.jsonl"


@cache
def _code() -> str:
    """A digest of the sources that a repetition runs through."""
    import audit

    root, digest = Path(audit.__file__).parent, hashlib.sha256()
    for package in (root, root.parent / "attacks"):
        for file in sorted(package.rglob("*")):
            # What only shows results decides nothing about them.
            shows = {"cli", "report", "__pycache__"}.intersection(file.relative_to(package).parts)
            if file.suffix in {".py", ".yaml"} and not shows:
                digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _made(
    missing: Sequence[Key], by_id: Mapping[str, Control], seed: int, processes: int, world: World
) -> Iterator[dict[Key, Trial]]:
    """Batches of repetitions as they are made."""
    batches = [missing[i : i + _BATCH] for i in range(0, len(missing), _BATCH)]
    if processes < 2 or len(batches) < 2:
        with throwaway_store() as store:
            for batch in batches:
                yield {key: _one(by_id[key[0]], key, seed, store, world) for key in batch}
        return
    # Spawned, not forked: a copy of a process in which torch has started its threads can hang.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: set[Future[dict[Key, Trial]]] = {pool.submit(_batch, batch, seed) for batch in batches}
        try:
            while waiting:
                ready, waiting = wait(waiting, return_when="FIRST_COMPLETED")
                for one in ready:
                    yield one.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _batch(keys: Sequence[Key], seed: int) -> dict[Key, Trial]:
    """Some repetitions, in a process of their own."""
    from audit.controls.registry import available

    known = available()
    with throwaway_store() as store:
        return {key: _one(known[key[0]], key, seed, store, ideal_world) for key in keys}


def _one(control: Control, key: Key, seed: int, store: Store, world: World) -> Trial:
    from audit.policy import load

    _, size, users, number = key
    # Every repetition has a seed of its own, so that none shares users or draws with another.
    own = int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4], "big")
    return trial(control, size, users, own, store, load("default", Path()), world)


def _cell(control: Control, size: float, n: int, trials: Sequence[Trial], users: int | None, *, known: bool) -> Cell:
    truth = control.truth(size) if known else None
    held = [t for t in trials if truth is not None and t.value is not None]
    errors = [t.value - truth for t in held if t.value is not None and truth is not None]
    # Rounding apart: an end that is written as 0.3 holds 0.3.
    slack = 1e-9
    bias = mean_error(errors) if len(errors) > 1 else (None, None)
    return Cell(
        control=control.id,
        module=control.module,
        title=control.title,
        size=size,
        users=n,
        claimed=size == control.claimed and n == (control.users if users is None else users),
        repetitions=len(trials),
        seen=sum(t.seen for t in trials),
        truth=truth,
        judged=len(held),
        covered=sum(
            t.low - slack <= truth <= t.high + slack
            for t in held
            if truth is not None and t.low is not None and t.high is not None
        ),
        bias=bias[0],
        bias_se=bias[1],
    )


def _read(kept: Path | None) -> dict[Key, Trial]:
    """Repetitions that were made before; a last line that was cut off in the middle is made again."""
    found: dict[Key, Trial] = {}
    if kept is None or not kept.is_file():
        return found
    for line in kept.read_text("utf-8").splitlines():
        try:
            name, size, users, number, *came_to = json.loads(line)
            found[name, float(size), int(users), int(number)] = Trial(*came_to)
        except (ValueError, TypeError):
            continue
    return found


def _write(kept: Path | None, batch: Mapping[Key, Trial]) -> None:
    if kept is None:
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.open("a", encoding="utf-8") as file:
        for key, one in batch.items():
            file.write(json.dumps([*key, one.seen, one.value, one.low, one.high]) + "\n")
