"""The run store: the same behaviour in SQLite and PostgreSQL, and one clear sentence when it cannot work."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import postgres
import pytest
import sqlalchemy as sa
from helpers import new_run, request, requests

from audit.edits import HistoryDrop, TextEdit
from audit.errors import StoreError
from audit.findings import Evidence, Finding
from audit.store import SCHEMA, Store, default_location, versions
from audit.types import Answer, Ranked, Request, Usage

USAGE = Usage(10, 5, 0.5)
Rows = list[tuple[str, Request, int, Answer]]


@pytest.fixture
def store(location: str) -> Iterator[Store]:
    with Store(location) as opened:
        yield opened


def rows(count: int, *, key: str = "key", outcome: str = "ok", usage: Usage = USAGE) -> Rows:
    answer = Answer((Ranked("i1", "Title é 🎬", 0.5),), text='Text "x"\n', usage=usage)
    answer = replace(answer, outcome=outcome)  # type: ignore[arg-type]
    return [(f"{key}{n}", asked, 0, answer) for n, asked in enumerate(requests(count))]


# What is kept ---------------------------------------------------------------------------------------------------------


def test_answers_and_requests_come_back_as_they_were(store: Store) -> None:
    run = new_run(store)
    written = rows(3)
    store.put_answers(run, written)
    assert store.answers(["key0", "key2", "nobody"]) == {"key0": written[0][3], "key2": written[2][3]}
    digests = [asked.digest for _, asked, _, _ in written]
    assert store.requests([*digests, "nobody"]) == {asked.digest: asked for _, asked, _, _ in written}
    assert store.answers_to(run, digests[:1]) == {(digests[0], 0): written[0][3]}
    store.put_answers(run, [])


def test_only_the_repeats_that_are_meant(store: Store) -> None:
    run = new_run(store)
    ((_, asked, _, answer),) = rows(1)
    store.put_answers(run, [(f"key{n}", asked, n, answer) for n in range(4)])
    assert set(store.answers_to(run, [asked.digest], repeats=[3, 1, 9])) == {(asked.digest, 1), (asked.digest, 3)}
    assert len(store.answers_to(run, [asked.digest])) == 4
    assert store.answers_to(run, [asked.digest], repeats=[]) == {}


def test_more_keys_than_one_statement_holds(store: Store) -> None:
    run = new_run(store)
    written = rows(1201)
    store.put_answers(run, written)
    assert len(store.answers([key for key, *_ in written])) == 1201
    assert len(store.requests([asked.digest for _, asked, _, _ in written])) == 1201
    assert len(store.answers_to(run, [asked.digest for _, asked, _, _ in written])) == 1201


def test_the_first_answer_stays_unless_it_was_an_error(store: Store) -> None:
    first, second = new_run(store), new_run(store)
    store.put_answers(first, rows(1, key="good") + rows(1, key="bad", outcome="error"))
    store.put_answers(second, rows(1, key="good", outcome="refused") + rows(1, key="bad"))
    assert {k: a.outcome for k, a in store.answers(["good0", "bad0"]).items()} == {"good0": "ok", "bad0": "ok"}


def test_errors_count_as_answers_only_in_the_run_that_met_them(store: Store) -> None:
    first, second = new_run(store), new_run(store)
    store.put_answers(first, rows(2, outcome="error"))
    assert len(store.answers(["key0", "key1"], run=first)) == 2
    assert store.answers(["key0", "key1"], run=second) == {}


def test_forgetting_errors_leaves_the_rest(store: Store) -> None:
    run, other = new_run(store), new_run(store)
    store.put_answers(run, rows(2) + rows(3, key="bad", outcome="error"))
    store.put_answers(other, rows(1, key="theirs", outcome="error"))
    assert store.forget_errors(run) == 3
    assert store.forget_errors(run) == 0
    assert store.outcomes(run) == {"ok": 2}
    assert store.outcomes(other) == {"error": 1}


def test_usage_counts_what_this_run_paid_for(store: Store) -> None:
    payer, reader = new_run(store), new_run(store)
    store.put_answers(payer, rows(4))
    store.note_reuse(reader, ["key0", "key1"])
    store.note_reuse(reader, ["key0"])
    store.note_reuse(payer, ["key0"])  # reading its own answer again does not make it free
    paid, read = store.usage(payer), store.usage(reader)
    assert (paid.queries, paid.reused, paid.tokens, paid.seconds) == (4, 0, 60, pytest.approx(2.0))
    assert (read.queries, read.reused, read.tokens) == (0, 2, 0)
    assert store.usage("nobody").to_dict() == {
        "queries": 0,
        "reused": 0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "seconds": 0.0,
    }
    assert store.outcomes(reader) == {"ok": 2}
    assert store.pace("scripted") == pytest.approx(0.5)
    assert store.pace("another") is None


def test_findings_and_evidence_are_replaced_module_by_module(store: Store) -> None:
    run = new_run(store)
    shown = Evidence("u1", "Case", before="d", edits=(HistoryDrop(0), TextEdit("note", 0, 0, "é")))
    found = [
        Finding("b", "x", "X", {"k": 5, "attack": None}, 0.5, (0.4, 0.6), evidence=(shown.id,)),
        Finding("b", "w", "W"),
    ]
    store.save_module(run, "b", [Finding("b", "old", "Old")], [Evidence("u9", "Old")])
    store.save_module(run, "b", found, [shown, shown])
    store.save_module(run, "a", [Finding("a", "y", "Y")], [])
    assert store.findings(run) == [Finding("a", "y", "Y"), *found]
    assert store.evidence(run) == {shown.id: shown}
    assert store.evidence(run, [shown.id, "nobody"]) == {shown.id: shown}
    assert store.evidence(run, []) == {}
    assert store.findings("nobody") == []


def test_values_of_a_finding_are_replaced_with_it(store: Store) -> None:
    run = new_run(store)
    store.save_module(run, "a", [], [], {"f1": {"u1": 0.5, "u2": -1.0}, "f2": {}})
    assert store.values(run, "f1") == {"u1": 0.5, "u2": -1.0}
    assert store.values(run, "f2") == store.values(run, "nobody") == {}
    store.save_module(run, "b", [], [], {"f3": {"u1": 1.0}})
    store.save_module(run, "a", [], [])
    assert store.values(run, "f1") == {}
    assert store.values(run, "f3") == {"u1": 1.0}


def test_what_a_run_rests_on_includes_what_it_reused(store: Store) -> None:
    payer, reader = new_run(store), new_run(store)
    written = rows(2)
    store.put_answers(payer, written)
    store.note_reuse(reader, ["key1"])
    assert store.asked(payer) == {(asked.digest, 0) for _, asked, _, _ in written}
    assert store.asked(reader) == {(written[1][1].digest, 0)}


def test_a_run_comes_back_as_it_was(store: Store) -> None:
    made = store.create_run(
        "Näme", config={"a": [1]}, target={"name": "t"}, versions={"python": "3"}, seed=5, policy={"p": 1}, notes=["n"]
    )
    assert store.run(made.id) == made
    store.set_status(made.id, "finished", "pass")
    assert store.run(made.id) == replace(made, status="finished", verdict="pass")


# Names of runs --------------------------------------------------------------------------------------------------------


def test_a_run_is_found_by_id_unique_prefix_or_as_the_latest(store: Store) -> None:
    names = [new_run(store, f"run {n}") for n in range(3)]
    assert store.run(names[0]).name == "run 0"
    assert store.run(names[0][:-1]).id == names[0]
    assert [r.name for r in store.runs()] == ["run 2", "run 1", "run 0"]
    assert store.run("latest").name == "run 2"


def test_a_name_that_fits_no_run_or_several_is_an_error(store: Store) -> None:
    with pytest.raises(StoreError, match="holds no runs yet"):
        store.run("latest")
    first, _ = new_run(store), new_run(store)
    with pytest.raises(StoreError, match="fits 2 runs; give more of the id"):
        store.run("2")
    with pytest.raises(StoreError, match=f"did you mean '{first}'"):
        store.run(first[:-2] + "zz")


# Several processes ----------------------------------------------------------------------------------------------------

WRITER = """
import sys
from helpers import new_run, requests
from audit.store import Store
from audit.types import Answer
location, name = sys.argv[1:]
store = Store(location)
run = new_run(store, name)
asked = requests(200)
with store.claim(run):
    for start in range(0, 200, 10):
        batch = [(f"{name}-{n}", asked[n], 0, Answer()) for n in range(start, start + 10)]
        batch += [(f"shared-{n}", asked[n], 0, Answer()) for n in range(start, start + 10)]
        store.put_answers(run, batch)
print(run)
"""


def test_processes_that_write_at_once_lose_nothing(location: str) -> None:
    """Both open the store when it does not exist yet, and both write answers to the same questions."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, location, name], env=environment, stdout=-1, stderr=-1, text=True
        )
        for name in ("one", "two")
    ]
    outputs = [writer.communicate(timeout=120) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], outputs
    with Store(location) as store:
        assert len(store.runs()) == 2
        for out, _ in outputs:
            assert store.outcomes(out.strip()) == {"ok": 400}
        keys = [f"{name}-{n}" for name in ("one", "two", "shared") for n in range(200)]
        assert len(store.answers(keys)) == 600


# Stores that cannot work ----------------------------------------------------------------------------------------------


def sentence(work: Callable[[], object]) -> str:
    """The error of a store that cannot work: one line that names the option."""
    with pytest.raises(StoreError) as caught:
        work()
    said = str(caught.value)
    assert said.startswith("--store: ")
    assert "\n" not in said
    return said


def test_a_newer_schema_is_not_touched(location: str) -> None:
    with Store(location) as store, store.engine.begin() as db:
        db.execute(sa.text("UPDATE meta SET schema = :newer"), {"newer": SCHEMA + 1})
    assert f"has schema {SCHEMA + 1}, this version reads {SCHEMA}" in sentence(lambda: Store(location))


def test_what_only_reads_makes_no_store(location: str, tmp_path: Path) -> None:
    said = sentence(lambda: Store(location, create=False))
    assert "run an audit first" in said
    assert list(tmp_path.iterdir()) == []
    Store(location).close()
    with Store(location, create=False) as store:
        assert store.runs() == []


def test_a_database_of_something_else_is_not_written_to_by_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    before = path.read_bytes()
    assert "holds no runs" in sentence(lambda: Store(path, create=False))
    assert path.read_bytes() == before


def test_a_folder_a_text_file_and_a_file_in_the_way(tmp_path: Path) -> None:
    assert "is a folder; name a file in it" in sentence(lambda: Store(tmp_path))
    text = tmp_path / "notes.txt"
    text.write_text("Dear diary, " * 200)
    assert "is not a SQLite database" in sentence(lambda: Store(text))
    assert text.read_text() == "Dear diary, " * 200
    assert "cannot create the folder" in sentence(lambda: Store(text / "runs.sqlite"))


def test_a_damaged_store_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    with Store(path) as store:
        store.put_answers(new_run(store), rows(200))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3])

    def read() -> None:
        with Store(path) as store:
            store.answers([f"key{n}" for n in range(200)])

    assert "the file is damaged" in sentence(read)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://me:s3cret@host/db", "'mysql' is not supported; use a file path or a postgresql:// URL"),
        ("postgres://me:s3cret@host/db", "'postgres' is not supported"),
        ("postgresql://me:s3cret@host:port/db", "the postgresql:// URL cannot be read"),
        ("postgresql+none://me:s3cret@host/db", "the postgresql+none:// URL cannot be read"),
        ("postgresql://me:s3cret@127.0.0.1:1/db?connect_timeout=2", "cannot open postgresql://me:***@127.0.0.1:1/db"),
        ("postgresql://me:s3cret@/db?host=/nowhere", "cannot open postgresql://me:***@/db"),
    ],
)
def test_a_wrong_url_is_one_sentence_without_its_password(url: str, said: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store(url)
    shown = str(caught.value)
    assert said in shown
    assert "s3cret" not in shown
    assert "\n" not in shown


def test_the_location_is_shown_without_its_password(store: Store) -> None:
    assert "never-shown" not in store.shown
    assert "never-shown" not in sentence(lambda: store._write("write", lambda db: db.execute(sa.text("DROP nothing"))))


@pytest.mark.parametrize("name", ["what?.sqlite", "a#b.sqlite", "50%20.sqlite", "with space é.sqlite"])
def test_any_file_name_is_that_file(tmp_path: Path, name: str) -> None:
    with Store(tmp_path / "new folder" / name) as store:
        run = new_run(store)
    assert (tmp_path / "new folder" / name).stat().st_size > 0
    with Store(f"{tmp_path}/new folder/{name}", create=False) as store:
        assert store.run("latest").id == run


def test_a_sqlite_url_is_a_path(tmp_path: Path) -> None:
    with Store(f"sqlite:///{tmp_path}/runs.sqlite") as store:
        new_run(store)
    with Store(tmp_path / "runs.sqlite", create=False) as store:
        assert len(store.runs()) == 1


@contextmanager
def unprivileged() -> Iterator[None]:
    """Permissions hold for everybody but root; so for a moment, be somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="recaudit-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("folder_too", [False, True])
def test_a_read_only_store_reads_and_says_why_it_cannot_write(open_folder: Path, folder_too: bool) -> None:
    folder, path = open_folder, open_folder / "runs.sqlite"
    with Store(path) as store:
        run = new_run(store)
        store.put_answers(run, rows(3))
    path.chmod(0o444)
    if folder_too:
        folder.chmod(0o555)
    try:
        with unprivileged(), Store(path) as store:
            assert store.outcomes(run) == {"ok": 3}
            assert "it is read-only; make it writable" in sentence(lambda: store.put_answers(run, rows(1, key="new")))
            assert len(store.answers(["key0", "key1", "key2"])) == 3
    finally:
        folder.chmod(0o755)


def test_a_full_disk_keeps_what_was_stored(tmp_path: Path) -> None:
    with Store(tmp_path / "runs.sqlite") as store:
        run = new_run(store)
        store.put_answers(run, rows(20))

        @sa.event.listens_for(store.engine, "begin")
        def _full(connection: sa.Connection) -> None:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        huge = [(f"new{n}", request(str(n)), 0, Answer(text="x" * 5000)) for n in range(50)]
        assert "the disk is full; what was stored before is intact" in sentence(lambda: store.put_answers(run, huge))
        assert store.outcomes(run) == {"ok": 20}
        assert store.answers([key for key, *_ in huge]) == {}
    with Store(tmp_path / "runs.sqlite") as store:
        store.put_answers(run, huge)
        assert store.outcomes(run) == {"ok": 70}


# Where ----------------------------------------------------------------------------------------------------------------


def test_the_environment_says_where_runs_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RECAUDIT_STORE", str(tmp_path / "mine.sqlite"))
    assert default_location() == str(tmp_path / "mine.sqlite")
    with Store() as store:
        assert store.location == str(tmp_path / "mine.sqlite")
    monkeypatch.delenv("RECAUDIT_STORE")
    assert default_location().endswith("runs.sqlite")


def test_versions_name_python_and_the_package() -> None:
    assert {"python", "recaudit", "numpy"} <= set(versions())


@pytest.mark.postgres
def test_a_missing_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_BINARIES", "/nowhere")
    monkeypatch.setenv("PATH", "")
    with (
        pytest.raises(RuntimeError, match="initdb is not installed; install Debian's package `postgresql`"),
        postgres.server(),
    ):
        pass
