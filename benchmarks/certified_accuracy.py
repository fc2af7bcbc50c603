"""`python -m benchmarks.certified_accuracy`: certified accuracy of Self-Denoise on the yes/no target, by radius.

Every kept set is counted, so the certificates are exact. What is measured of a user is stored at once: the command can
be stopped and given again. Writes `docs/defenses/certified.md`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from audit import stats
from audit.data.cases import scoring_cases
from audit.data.dataset import Dataset
from audit.data.movielens import load_ml100k
from audit.defense import Certificate, EditKind
from audit.defense.curves import certified_accuracy, coverage
from audit.seeds import generator
from audit.targets.hf import HFTarget
from audit.targets.zoo import tallrec
from audit.types import Case
from defenses.smoothing.denoised import SelfDenoised
from defenses.smoothing.self_denoise import SelfDenoise

ROOT = Path(__file__).parents[1]
STORED = ROOT / "reports" / "certified-accuracy.jsonl"
PAGE = ROOT / "docs" / "defenses" / "certified.md"
_START, _END = "<!-- written by `python -m benchmarks.certified_accuracy` -->", "<!-- end -->"
SEED, TARGETS, HISTORY = 5, 6, 10
RADII = range(6)
KINDS: tuple[EditKind, ...] = ("substitution", "insertion", "deletion")


@dataclass(frozen=True)
class Setting:
    """One way to smooth, and on how many users it is measured.

    Attributes:
        name: for the tables.
        users: the first so many of the sample.
        options: of Self-Denoise; None for the bare target.
    """

    name: str
    users: int
    options: Mapping[str, Any] | None

    @property
    def key(self) -> str:
        """What a stored result must agree in."""
        return json.dumps([self.options, SEED, TARGETS, HISTORY], sort_keys=True)


_ALL: Mapping[str, Any] = {"mode": "exact"}
SETTINGS = (
    Setting("bare", 60, None),
    Setting("remove, k = 1", 60, {**_ALL, "kept": 1}),
    Setting("remove, k = 2", 60, {**_ALL, "kept": 2}),
    Setting("remove, k = 3", 60, {**_ALL, "kept": 3}),
    Setting("remove, k = 5", 20, {**_ALL, "kept": 5}),
    Setting("fill by co-occurrence, k = 2", 60, {**_ALL, "kept": 2, "denoise": "fill", "fill_by": "cooccurrence"}),
    Setting(
        "fill by the target's model, k = 2", 8, {**_ALL, "kept": 2, "denoise": "fill", "fill_by": "language-model"}
    ),
)


def cases(dataset: Dataset) -> list[Case]:
    """The users, in the order of the sample."""
    rng = generator(SEED, "certified-accuracy")
    found = scoring_cases(dataset, users=max(s.users for s in SETTINGS), targets=TARGETS, history=HISTORY, rng=rng)
    return [replace(c, request=replace(c.request, instruction=tallrec.INSTRUCTION)) for c in found]


def measure(limit_s: float | None = None) -> list[dict[str, Any]]:
    """Everything that is missing, or as much as fits into the time, and what was stored before."""
    STORED.parent.mkdir(exist_ok=True)
    rows = [json.loads(line) for line in STORED.read_text().splitlines()] if STORED.exists() else []
    known = {(row["key"], row["case"]) for row in rows}
    dataset = load_ml100k().k_core(5)
    sample = cases(dataset)
    log = dataset.without_users({case.unit for case in sample})
    target: HFTarget | None = None
    ways: dict[str, SelfDenoised] = {}
    started = time.perf_counter()
    # The cheap ones first, so that what is stored when it is stopped is of use.
    for setting in sorted(SETTINGS, key=lambda s: -s.users):
        for case in sample[: setting.users]:
            if (setting.key, case.id) in known:
                continue
            if limit_s is not None and time.perf_counter() - started > limit_s:
                return rows
            target = target or tallrec.build()
            if setting.options is not None and setting.name not in ways:
                ways[setting.name] = SelfDenoise(dataset=log, **setting.options).protect(target)
            row = _row(case, setting, target, ways.get(setting.name))
            rows.append(row)
            with STORED.open("a") as file:
                file.write(json.dumps(row) + "\n")
        print(f"{setting.name}: {setting.users} users", file=sys.stderr, flush=True)
    return rows


def _row(case: Case, setting: Setting, target: HFTarget, smoothed: SelfDenoised | None) -> dict[str, Any]:
    started = time.perf_counter()
    row: dict[str, Any] = {"key": setting.key, "setting": setting.name, "case": case.id, "labels": case.labels}
    if smoothed is None:
        (answer,) = target.recommend([case.request])
    else:
        filler = smoothed.items
        before = dict(filler.counts) if filler else {}
        (certificate,) = smoothed.certify_all([case.request])
        answer = certificate.answer
        row["certificate"] = certificate.to_dict()
        row["filled"] = {k: n - before.get(k, 0) for k, n in filler.counts.items()} if filler else {}
    row["scores"] = answer.scores
    row["ids"] = answer.ids
    row["seconds"] = time.perf_counter() - started
    return row


def tables(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The page's tables, as Markdown."""
    current = {s.key for s in SETTINGS}
    by_setting: dict[str, dict[str, Mapping[str, Any]]] = {s.name: {} for s in SETTINGS}
    for row in rows:
        if row["key"] in current:
            by_setting[row["setting"]][row["case"]] = row
    bare = by_setting["bare"]
    yield "### What the smoothed target is worth on clean requests"
    yield ""
    yield (
        "| setting | users | AUC | bare AUC | UAUC | bare UAUC | right decisions | bare | constant "
        "| copies | seconds a user |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for setting in SETTINGS[1:]:
        mine = {case: row for case, row in by_setting[setting.name].items() if case in bare}
        if mine:
            yield _utility(setting, mine, {case: bare[case] for case in mine})
    yield ""
    for kind in KINDS:
        yield f"### Right and certified against r {kind}s"
        yield ""
        yield "| setting | users | covered | " + " | ".join(f"r = {r}" for r in RADII) + " |"
        yield "|---|---:|---:|" + "---:|" * len(RADII)
        for setting in SETTINGS[1:]:
            mine = by_setting[setting.name]
            if mine:
                yield _curve(setting, list(mine.values()), kind)
        yield ""
    yield from _filled(by_setting)


def _utility(setting: Setting, mine: Mapping[str, Mapping[str, Any]], bare: Mapping[str, Mapping[str, Any]]) -> str:
    cells = [setting.name, str(len(mine))]
    sides = [_pooled(side) for side in (mine, bare)]
    for interval in (stats.auc_interval, stats.uauc_interval):
        for scores, labels, users in sides:
            cells.append(_area(interval, scores, labels, users))
    for scores, labels, users in sides:
        right = [np.mean((scores > 0.5)[users == u] == (labels == 1)[users == u]) for u in np.unique(users)]
        cells.append(_shown(stats.mean_interval(right, rng=generator(SEED, "right"), bounds=(0.0, 1.0))))
    liked = np.mean([np.mean(row["labels"]) for row in mine.values()])
    cells.append(f"{max(liked, 1 - liked):.3f}")
    copies = {row["certificate"]["samples"] for row in mine.values()}
    cells += ["–".join(map(str, sorted(copies))), f"{np.median([row['seconds'] for row in mine.values()]):.1f}"]
    return "| " + " | ".join(cells) + " |"


def _area(interval: Callable[..., stats.Interval], scores: Any, labels: Any, users: Any) -> str:
    try:
        return _shown(interval(scores, labels, users, rng=generator(SEED, "auc")))
    except ValueError:
        return "–"  # too few users for both kinds of label


def _pooled(rows: Mapping[str, Mapping[str, Any]]) -> tuple[Any, Any, Any]:
    scores = np.concatenate([np.array(row["scores"], dtype=float) for row in rows.values()])
    labels = np.concatenate([row["labels"] for row in rows.values()])
    users = np.concatenate([[case] * len(row["labels"]) for case, row in rows.items()])
    return scores, labels, users


def _shown(interval: stats.Interval) -> str:
    return f"{interval.estimate:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _curve(setting: Setting, rows: Sequence[Mapping[str, Any]], kind: EditKind) -> str:
    certificates = [Certificate.from_dict(row["certificate"]) for row in rows]
    labels = [{i: bool(y) for i, y in zip(row["ids"], row["labels"], strict=True)} for row in rows]
    cells = [setting.name, str(len(rows)), f"{coverage(certificates):.0%}"]
    for radius in RADII:
        values = certified_accuracy(certificates, labels, kind, radius)
        cells.append(
            _shown(stats.mean_interval(values, rng=generator(SEED, "curve"), bounds=(0.0, 1.0))) if any(values) else "0"
        )
    return "| " + " | ".join(cells) + " |"


def _filled(by_setting: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[str]:
    """What became of what was filled in, and fill beside remove on the same users."""
    removed = by_setting["remove, k = 2"]
    for setting in SETTINGS:
        rows = by_setting[setting.name]
        if not setting.options or setting.options.get("denoise") != "fill" or not rows:
            continue
        counts: dict[str, int] = {}
        for row in rows.values():
            for what, n in row["filled"].items():
                counts[what] = counts.get(what, 0) + n
        both = [case for case in rows if case in removed]
        users = len(both)
        yield (
            f"*{setting.name}*, {len(rows)} users, "
            + ", ".join(f"{n:,} {what}" for what, n in sorted(counts.items()))
            + f". Beside removal on the {users} users that have both: "
            + _beside(rows, removed, both)
        )
        yield ""


def _beside(rows: Mapping[str, Any], removed: Mapping[str, Any], both: Sequence[str]) -> str:
    if len(both) < 2:
        return "too few to compare."
    right = [
        [np.mean((np.array(side[case]["scores"]) > 0.5) == np.array(side[case]["labels"])) for case in both]
        for side in (rows, removed)
    ]
    gained = stats.paired_difference(right[0], right[1], rng=generator(SEED, "fill"))
    return f"right decisions differ by {_shown(gained)}."


def main() -> int:
    """Measure what is missing, and write the page. A number as argument is the time in seconds it may take."""
    rows = measure(float(sys.argv[1]) if len(sys.argv) > 1 else None)
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(_START)
    PAGE.write_text(
        f"{before}{_START}\n\n" + "\n".join(tables(rows)) + f"\n{_END}{rest.split(_END)[1]}", encoding="utf-8"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
