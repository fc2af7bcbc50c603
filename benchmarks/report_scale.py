"""`python -m benchmarks.report_scale`: how long the reports of a run with many cases take, and how large they are.

A run of 200 findings with 50,000 pieces of evidence of two requests each, in a store on disk. Each format is rendered
three times from a run opened anew; the median of the processor time counts, which a busy machine leaves as it is. The
rows of a pack pass as they are stored; beside that stands what it takes to make objects of them and write those anew.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import zipfile
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from audit.edits import HistoryInsert
from audit.findings import Evidence, Finding
from audit.pack import lines, open_pack, verify, write_pack
from audit.pack.write import ANSWERS, REQUESTS
from audit.policy import Policy, Rule
from audit.report import render
from audit.run import Run
from audit.store import Store
from audit.types import Answer, Event, Item, Ranked, Request, User, canonical_json

FINDINGS, PIECES, REPEATS = 200, 50_000, 3


def stored(store: Store, pieces: int = PIECES) -> str:
    """Store the run; its id."""
    policy = Policy(name="bench", rules=(Rule(metric="robustness.flip_rate", max=0.2, severity="high"),))
    record = store.create_run(
        "many-cases",
        config={"dataset": {"name": "ml-100k"}},
        target={"name": "bench"},
        versions={},
        seed=7,
        policy=policy.model_dump(mode="json"),
    )
    edit = HistoryInsert(1, Event(Item("9", "Jaws (1975)"), 4.0))
    rows, evidence = [], []
    for i in range(pieces):
        history = tuple(Event(Item(str(n), f"Title {n} ({1950 + n % 50})"), 4.0) for n in range(i % 7, i % 7 + 10))
        clean = Request(
            user=User(f"u{i}", history), candidates=tuple(Item(str(n), f"Film {n}") for n in range(20)), k=10
        )
        edited = edit.apply(clean)
        lists = [
            tuple(Ranked(str((i + n + shift) % 20), f"Film {(i + n + shift) % 20}") for n in range(10))
            for shift in (0, 3)
        ]
        rows += [
            (f"{i}/{j}", q, 0, Answer(ranked)) for j, (q, ranked) in enumerate(zip((clean, edited), lists, strict=True))
        ]
        evidence.append(
            Evidence(
                f"u{i}",
                "Typing slips",
                clean.digest,
                edited.digest,
                edits=(edit,),
                note=f"rank 1 before, {i % 9} after",
            )
        )
        if len(rows) >= 2000:
            store.put_answers(record.id, rows)
            rows = []
    store.put_answers(record.id, rows)
    findings = [
        Finding(
            module="robustness",
            metric="flip_rate",
            title=f"Attack {i}: clean hits lost",
            params={"attack": f"attack-{i}"},
            estimate=0.5,
            ci=(0.4, 0.6),
            ci_method="wilson",
            n=500,
            evidence=tuple(e.id for e in evidence[i::FINDINGS]),
        )
        for i in range(FINDINGS)
    ]
    store.save_module(record.id, "robustness", findings, evidence)
    store.set_status(record.id, "finished", "fail")
    return record.id


def main() -> int:
    """Measure and print a line for each."""
    pieces = int(sys.argv[1]) if len(sys.argv) > 1 else PIECES
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "runs.sqlite") as store:
        name = stored(store, pieces)
        print(f"{pieces:,} pieces of evidence, {FINDINGS} findings")
        for kind in ("html", "md", "json", "sarif", "junit", "model-card"):
            text = ""

            def work(kind: str = kind) -> None:
                nonlocal text
                text = render([Run(store.run(name), store)], kind)

            print(f"{kind}: {_median(work):.2f} s, {len(text.encode()) / 1e6:.2f} MB")
        pack = Path(folder) / "run.zip"
        print(f"pack: {_median(lambda: write_pack(Run(store.run(name), store), pack), 1):.2f} s", end=", ")
        print(f"{pack.stat().st_size / 1e6:.2f} MB")
        print(f"verify-pack: {_median(lambda: verify(pack), 1):.2f} s")
        print(f"a pack read as a run: {_median(lambda: open_pack(pack), 1):.2f} s")
        run = Run(store.run(name), store)
        for what, stored_, anew in (("packed", _as_stored, _anew), ("read", _read_as_stored, _read_anew)):
            both = [_median(partial(work, run, pack), 1) for work in (stored_, anew)]
            print(f"rows {what} as stored: {both[0]:.2f} s; as objects: {both[1]:.2f} s, {both[1] / both[0]:.1f} times")
    return 0


def _digests(run: Run) -> set[str]:
    return {d for piece in run.evidence().values() for d in (piece.before, piece.after) if d is not None}


def _as_stored(run: Run, _: Path) -> None:
    digests = _digests(run)
    deque(lines.requests(run.store.request_bodies(digests)), 0)
    deque(lines.answers(run.store.answer_rows(run.id, digests)), 0)


def _anew(run: Run, _: Path) -> None:
    """As packs were written before."""
    digests = _digests(run)
    for digest, request in run.store.requests(digests).items():
        json.dumps({"digest": digest, **request.to_dict()})
    for (digest, repeat), answer in run.store.answers_to(run.id, digests).items():
        json.dumps({"request": digest, "repeat": repeat, "answer": answer.to_dict()})


def _read_as_stored(_: Run, pack: Path) -> None:
    with zipfile.ZipFile(pack) as archive, archive.open(REQUESTS) as asked, archive.open(ANSWERS) as told:
        deque(lines.read_requests(asked), 0)
        deque(lines.read_answers(told), 0)


def _read_anew(_: Run, pack: Path) -> None:
    """As packs were read before."""
    with zipfile.ZipFile(pack) as archive, archive.open(REQUESTS) as asked, archive.open(ANSWERS) as told:
        for line in asked:
            row = json.loads(line)
            del row["digest"]
            canonical_json(Request.from_dict(row).to_dict())
        for line in told:
            canonical_json(Answer.from_dict(json.loads(line)["answer"]).to_dict())


def _median(work: Callable[[], object], repeats: int = REPEATS) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return sorted(times)[len(times) // 2]


if __name__ == "__main__":
    raise SystemExit(main())
