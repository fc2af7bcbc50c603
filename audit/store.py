"""The run store: every answer, finding and piece of evidence, in SQLite (a file) or PostgreSQL (by URL).

The only place where SQL lives. Answers are addressed by content (target, request, repeat), so a resumed run asks
nothing twice; a batch of answers is written in one transaction, so a killed process loses at most the batch in flight.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import platformdirs
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError
from tenacity import RetryError, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from audit.errors import StoreError, nearest
from audit.findings import Evidence, Finding
from audit.types import Answer, Request, Usage, canonical_json

SCHEMA = 1
Status = Literal["running", "stopped", "finished", "failed"]
T = TypeVar("T")

_metadata = sa.MetaData()
_meta = sa.Table("meta", _metadata, sa.Column("schema", sa.Integer, primary_key=True))
_runs = sa.Table(
    "runs",
    _metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created", sa.String(32), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("verdict", sa.String(16)),
    sa.Column("body", sa.Text, nullable=False),
)
_requests = sa.Table(
    "requests",
    _metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)
_answers = sa.Table(
    "answers",
    _metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("request", sa.String(64), nullable=False),
    sa.Column("repeat", sa.Integer, nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
_asked = sa.Table(
    "asked",
    _metadata,
    sa.Column("run", sa.String(40), primary_key=True),
    sa.Column("key", sa.String(64), primary_key=True),
    # True where this run paid for the answer, False where an earlier run already had.
    sa.Column("fresh", sa.Boolean, nullable=False),
    sa.Column("prompt_tokens", sa.Integer, nullable=False, default=0),
    sa.Column("completion_tokens", sa.Integer, nullable=False, default=0),
    sa.Column("seconds", sa.Float, nullable=False, default=0.0),
)
_findings = sa.Table(
    "findings",
    _metadata,
    sa.Column("run", sa.String(40), primary_key=True),
    sa.Column("module", sa.String(40), primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)
_evidence = sa.Table(
    "evidence",
    _metadata,
    sa.Column("run", sa.String(40), primary_key=True),
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("module", sa.String(40), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
# What each case gave to a finding: two runs can then be compared case by case, not only by their intervals.
_values = sa.Table(
    "finding_values",
    _metadata,
    sa.Column("run", sa.String(40), primary_key=True),
    sa.Column("finding", sa.String(16), primary_key=True),
    sa.Column("module", sa.String(40), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
# What attacks with a search have found so far, so that a resumed run does not search again.
_searches = sa.Table(
    "searches",
    _metadata,
    sa.Column("run", sa.String(40), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)
_LATER = (_values, _searches)
"""Tables that stores of early versions lack; they are added when such a store is opened for writing."""
sa.Index("answers_request", _answers.c.request, _answers.c.repeat)

_CHUNK = 500
"""Keys per SELECT: SQLite allows a bounded number of parameters in a statement."""


@dataclass(frozen=True)
class RunRecord:
    """A run as stored.

    Attributes:
        id: printed by `recaudit run`; a unique prefix is enough to name it.
        name: from the configuration.
        created: start, UTC, ISO 8601.
        status: `running` while a process works on it, `stopped` when it can be resumed.
        verdict: of the whole run, once finished.
        config: the validated configuration, without secrets.
        target: what the target declared (name, tasks, capabilities).
        versions: of Python, the package, and the libraries that matter.
        seed: the run's seed.
        policy: the policy's content at the time of the run.
        notes: facts a reader needs (dataset counts, dropped rows, protocol).
    """

    id: str
    name: str
    created: str
    status: Status
    verdict: str | None
    config: Mapping[str, Any] = field(default_factory=dict)
    target: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    policy: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunUsage:
    """What a run has cost so far.

    Attributes:
        queries: true queries: answers this run asked the target for.
        reused: answers taken from earlier runs or repeats of the same question.
        tokens: prompt and completion tokens of the true queries.
        seconds: time the target spent on them.
    """

    queries: int = 0
    reused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form."""
        return {
            "queries": self.queries,
            "reused": self.reused,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "seconds": round(self.seconds, 3),
        }


def default_location() -> str:
    """Where runs are kept unless `--store` or the environment variable `RECAUDIT_STORE` says otherwise."""
    return os.environ.get("RECAUDIT_STORE") or str(Path(platformdirs.user_data_dir("recaudit")) / "runs.sqlite")


class Store:
    """An open run store. Safe to use from several threads and several processes at once."""

    def __init__(self, location: str | Path | None = None, *, create: bool = True) -> None:
        """Open a store.

        Args:
            location: path of a SQLite file, or a database URL; None for `default_location()`.
            create: whether a missing file is created; False for commands that only read.

        Raises:
            StoreError: it cannot be opened, is not a run store, or has another schema version.
        """
        self.location = str(location if location is not None else default_location())
        self.engine = _engine(self.location, create=create)
        self._create = create
        self._insert: Callable[..., Any] = (
            postgresql.insert if self.engine.dialect.name == "postgresql" else sqlite.insert
        )
        try:
            with self._guard("open"):
                self._prepare()
        except StoreError:
            self.engine.dispose()
            raise

    def _prepare(self) -> None:
        def prepare() -> int | None:
            found_tables = set(sa.inspect(self.engine).get_table_names())
            if self._create and "meta" in found_tables:
                for table in (t for t in _LATER if t.name not in found_tables):
                    table.create(self.engine, checkfirst=True)
            if "meta" not in found_tables:
                if not self._create:
                    raise StoreError(
                        f"--store: {self.shown} holds no runs; run an audit first, or name the store it was written to"
                    )
                _metadata.create_all(self.engine)
            with self.engine.begin() as db:
                found = db.execute(sa.select(_meta.c.schema)).scalar()
                if found is None:
                    db.execute(self._insert(_meta).values(schema=SCHEMA).on_conflict_do_nothing())
                return found

        found = self._patiently(prepare)
        if found not in (None, SCHEMA):
            raise StoreError(
                f"--store: {self.shown} has schema {found}, this version reads {SCHEMA}; "
                "open it with the version that wrote it, or choose another store"
            )

    @property
    def shown(self) -> str:
        """The location without a password."""
        if "://" in self.location:
            return sa.engine.make_url(self.location).render_as_string(hide_password=True)
        return self.location

    @cached_property
    def _has_values(self) -> bool:
        with self._guard("read"):
            return sa.inspect(self.engine).has_table(_values.name)

    def close(self) -> None:
        """Release the connections."""
        self.engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _guard(self, doing: str) -> Iterator[None]:
        try:
            yield
        except RetryError as error:
            cause = error.last_attempt.exception()
            raise StoreError(
                f"--store: cannot {doing} {self.shown}: it stayed locked by another process ({_first_line(cause)}); "
                "end that process, or choose another store"
            ) from error
        except DatabaseError as error:
            raise StoreError(f"--store: cannot {doing} {self.shown}: {_reason(error)}") from error

    def _patiently(self, work: Callable[[], T]) -> T:
        """Run a transaction again when another process held the lock, or created the same rows at the same moment."""
        retrying = Retrying(
            retry=retry_if_exception(_is_contention),
            wait=wait_random_exponential(multiplier=0.02, max=1.0),
            stop=stop_after_delay(60),
        )
        return retrying(work)

    def _write(self, doing: str, work: Callable[[sa.Connection], T]) -> T:
        def transaction() -> T:
            with self.engine.begin() as db:
                return work(db)

        with self._guard(doing):
            return self._patiently(transaction)

    def _read(self, statement: sa.Executable) -> Sequence[Any]:
        with self._guard("read"), self.engine.connect() as db:
            return db.execute(statement).all()

    # Runs ---------------------------------------------------------------------------------------------------------

    def create_run(
        self,
        name: str,
        *,
        config: Mapping[str, Any],
        target: Mapping[str, Any],
        versions: Mapping[str, str],
        seed: int,
        policy: Mapping[str, Any] | None = None,
        notes: Sequence[str] = (),
    ) -> RunRecord:
        """Store a new run in state `running`."""
        now = datetime.now(UTC)
        record = RunRecord(
            id=f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}",
            name=name,
            # To the microsecond, so that `latest` is the later of two runs started in one second.
            created=now.isoformat(timespec="microseconds"),
            status="running",
            verdict=None,
            config=config,
            target=target,
            versions=versions,
            seed=seed,
            policy=policy or {},
            notes=tuple(notes),
        )
        body = canonical_json(
            {
                "config": config,
                "target": target,
                "versions": versions,
                "seed": seed,
                "policy": record.policy,
                "notes": list(notes),
            }
        )
        row = {"id": record.id, "name": name, "created": record.created, "status": "running", "body": body}
        self._write("write", lambda db: db.execute(sa.insert(_runs).values(**row)))
        return record

    def set_status(self, run: str, status: Status, verdict: str | None = None) -> None:
        """Change the state of a run."""
        change = sa.update(_runs).where(_runs.c.id == run).values(status=status, verdict=verdict)
        self._write("write", lambda db: db.execute(change))

    def runs(self) -> list[RunRecord]:
        """All runs, newest first."""
        return [_run(row) for row in self._read(sa.select(_runs).order_by(_runs.c.created.desc(), _runs.c.id.desc()))]

    def run(self, name: str) -> RunRecord:
        """One run by id, unique prefix of an id, or `latest`.

        Raises:
            StoreError: there is no such run, or the prefix fits several.
        """
        everything = self.runs()
        if not everything:
            raise StoreError(f"RUN: the store {self.shown} holds no runs yet; start one with `recaudit run audit.yaml`")
        if name == "latest":
            return everything[0]
        found = [r for r in everything if r.id == name] or [r for r in everything if r.id.startswith(name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise StoreError(f"RUN: {name!r} fits {len(found)} runs; give more of the id, such as {found[0].id!r}")
        raise StoreError(f"RUN: {name!r} is not a run of {self.shown}; {nearest(name, [r.id for r in everything[:8]])}")

    # Answers ------------------------------------------------------------------------------------------------------

    def answers(self, keys: Sequence[str], *, run: str | None = None) -> dict[str, Answer]:
        """The stored answers among these keys.

        Args:
            keys: content addresses of the questions.
            run: leaves out the errors that other runs met, because the target may have been mended since.
        """
        found: dict[str, Answer] = {}
        own = sa.exists().where(_asked.c.run == run, _asked.c.key == _answers.c.key)
        usable = sa.true() if run is None else sa.or_(_answers.c.outcome != "error", own)
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            statement = sa.select(_answers.c.key, _answers.c.body).where(_answers.c.key.in_(chunk), usable)
            for key, body in self._read(statement):
                found[key] = Answer.from_dict(json.loads(body))
        return found

    def put_answers(self, run: str, rows: Sequence[tuple[str, Request, int, Answer]], *, bodies: bool = True) -> None:
        """Store a batch of answers that this run paid for, in one transaction.

        Args:
            run: id of the run.
            rows: (key, request, repeat, answer) each.
            bodies: whether the requests themselves are kept, for a person to open; an attack's search asks thousands
                that nobody will.
        """
        if not rows:
            return
        requests = [{"digest": r.digest, "body": canonical_json(r.to_dict())} for _, r, _, _ in rows if bodies]
        answers = [
            {
                "key": key,
                "request": request.digest,
                "repeat": repeat,
                "outcome": answer.outcome,
                "body": canonical_json(answer.to_dict()),
            }
            for key, request, repeat, answer in rows
        ]
        asked = [_asked_row(run, key, answer.usage, fresh=True) for key, _, _, answer in rows]

        def work(db: sa.Connection) -> None:
            if requests:
                db.execute(self._insert(_requests).on_conflict_do_nothing(), requests)
            answer = self._insert(_answers)
            mended = {"outcome": answer.excluded.outcome, "body": answer.excluded.body}
            # Another process may have stored the same answer; only an error gives way to a later answer.
            answer = answer.on_conflict_do_update(
                index_elements=[_answers.c.key], set_=mended, where=_answers.c.outcome == "error"
            )
            db.execute(answer, answers)
            db.execute(self._insert(_asked).on_conflict_do_nothing(), asked)

        self._write("write", work)

    def note_reuse(self, run: str, keys: Sequence[str]) -> None:
        """Record that this run relies on answers that were already stored."""
        rows = [_asked_row(run, key, Usage(), fresh=False) for key in keys]
        if rows:
            self._write("write", lambda db: db.execute(self._insert(_asked).on_conflict_do_nothing(), rows))

    def forget_errors(self, run: str) -> int:
        """Delete the answers of a run that ended in an error, so that resuming asks them again.

        Returns:
            How many were deleted.
        """
        keys = sa.select(_asked.c.key).where(_asked.c.run == run)

        def work(db: sa.Connection) -> int:
            wrong = sa.select(_answers.c.key).where(_answers.c.key.in_(keys), _answers.c.outcome == "error")
            failed = list(db.execute(wrong).scalars())
            for start in range(0, len(failed), _CHUNK):
                chunk = failed[start : start + _CHUNK]
                db.execute(sa.delete(_answers).where(_answers.c.key.in_(chunk)))
                db.execute(sa.delete(_asked).where(_asked.c.run == run, _asked.c.key.in_(chunk)))
            return len(failed)

        return self._write("write", work)

    def usage(self, run: str) -> RunUsage:
        """What a run has cost so far."""
        fresh = sa.case((_asked.c.fresh, 1), else_=0)
        statement = sa.select(
            sa.func.coalesce(sa.func.sum(fresh), 0),
            sa.func.count() - sa.func.coalesce(sa.func.sum(fresh), 0),
            sa.func.coalesce(sa.func.sum(_asked.c.prompt_tokens), 0),
            sa.func.coalesce(sa.func.sum(_asked.c.completion_tokens), 0),
            sa.func.coalesce(sa.func.sum(_asked.c.seconds), 0.0),
        ).where(_asked.c.run == run)
        queries, reused, prompt, completion, seconds = self._read(statement)[0]
        return RunUsage(int(queries), int(reused), int(prompt), int(completion), float(seconds))

    def pace(self, target: str) -> float | None:
        """Seconds per true query over the stored runs of a target of this name; None when there are none."""
        runs = [r.id for r in self.runs() if r.target.get("name") == target]
        spent = [self.usage(run) for run in runs[:5]]
        queries = sum(u.queries for u in spent)
        return sum(u.seconds for u in spent) / queries if queries else None

    def outcomes(self, run: str) -> dict[str, int]:
        """How many answers of a run ended in each outcome."""
        statement = (
            sa.select(_answers.c.outcome, sa.func.count())
            .join(_asked, _asked.c.key == _answers.c.key)
            .where(_asked.c.run == run)
            .group_by(_answers.c.outcome)
            .order_by(_answers.c.outcome)
        )
        return {outcome: int(n) for outcome, n in self._read(statement)}

    def requests(self, digests: Iterable[str]) -> dict[str, Request]:
        """Stored requests by digest."""
        wanted = sorted(set(digests))
        found: dict[str, Request] = {}
        for start in range(0, len(wanted), _CHUNK):
            statement = sa.select(_requests).where(_requests.c.digest.in_(wanted[start : start + _CHUNK]))
            for digest, body in self._read(statement):
                found[digest] = Request.from_dict(json.loads(body))
        return found

    def asked(self, run: str) -> set[tuple[str, int]]:
        """Every (request digest, repeat) that a run rests on."""
        statement = (
            sa.select(_answers.c.request, _answers.c.repeat)
            .join(_asked, _asked.c.key == _answers.c.key)
            .where(_asked.c.run == run)
        )
        return {(digest, int(repeat)) for digest, repeat in self._read(statement)}

    def answers_to(self, run: str, digests: Iterable[str]) -> dict[tuple[str, int], Answer]:
        """Answers a run rests on, by (request digest, repeat)."""
        wanted = sorted(set(digests))
        found: dict[tuple[str, int], Answer] = {}
        for start in range(0, len(wanted), _CHUNK):
            statement = (
                sa.select(_answers.c.request, _answers.c.repeat, _answers.c.body)
                .join(_asked, _asked.c.key == _answers.c.key)
                .where(_asked.c.run == run, _answers.c.request.in_(wanted[start : start + _CHUNK]))
            )
            for digest, repeat, body in self._read(statement):
                found[(digest, repeat)] = Answer.from_dict(json.loads(body))
        return found

    def search(self, run: str, name: str) -> Any:  # noqa: ANN401 - whatever JSON was saved
        """What `save_search` saved under this name; None if nothing was."""
        rows = self._read(sa.select(_searches.c.body).where(_searches.c.run == run, _searches.c.name == name))
        return json.loads(rows[0][0]) if rows else None

    def save_search(self, run: str, name: str, body: object) -> None:
        """Keep what a search has found so far (JSON-compatible), in place of what was kept under this name."""
        row = {"run": run, "name": name, "body": canonical_json(body)}
        insert = self._insert(_searches)
        kept = insert.on_conflict_do_update(
            index_elements=[_searches.c.run, _searches.c.name], set_={"body": insert.excluded.body}
        )
        self._write("write", lambda db: db.execute(kept, [row]))

    # Findings and evidence ----------------------------------------------------------------------------------------

    def save_module(
        self,
        run: str,
        module: str,
        findings: Sequence[Finding],
        evidence: Sequence[Evidence],
        values: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        """Replace what one module found, in one transaction.

        Args:
            run: id of the run.
            module: which module found it.
            findings: in the order in which they will be read.
            evidence: the cases they refer to.
            values: by finding id, what each unit gave: case id to a value, one per unit, such that their mean is the
                finding's effect where it has one, else its estimate. Findings that are no such mean (an AUC, a ratio of
                sums) have none.
        """
        rows = [
            {"run": run, "module": module, "ordinal": i, "body": canonical_json(f.to_dict())}
            for i, f in enumerate(findings)
        ]
        single = [
            {"run": run, "finding": finding, "module": module, "body": canonical_json(dict(cases))}
            for finding, cases in (values or {}).items()
        ]
        unique = {e.id: e for e in evidence}
        shown = [
            {"run": run, "id": key, "module": module, "body": canonical_json(e.to_dict())} for key, e in unique.items()
        ]

        def work(db: sa.Connection) -> None:
            db.execute(sa.delete(_findings).where(_findings.c.run == run, _findings.c.module == module))
            db.execute(sa.delete(_evidence).where(_evidence.c.run == run, _evidence.c.module == module))
            if rows:
                db.execute(sa.insert(_findings), rows)
            db.execute(sa.delete(_values).where(_values.c.run == run, _values.c.module == module))
            if shown:
                db.execute(self._insert(_evidence).on_conflict_do_nothing(), shown)
            if single:
                db.execute(sa.insert(_values), single)

        self._write("write", work)

    def values(self, run: str, finding: str) -> dict[str, float]:
        """What each case gave to a finding, by case id; empty where the module kept no values."""
        if not self._has_values:
            return {}
        wanted = sa.select(_values.c.body).where(_values.c.run == run, _values.c.finding == finding)
        rows = self._read(wanted)
        return {str(case): float(value) for case, value in json.loads(rows[0][0]).items()} if rows else {}

    def findings(self, run: str) -> list[Finding]:
        """All findings of a run, by module and in each module's own order."""
        order = sa.select(_findings.c.body).where(_findings.c.run == run)
        rows = self._read(order.order_by(_findings.c.module, _findings.c.ordinal))
        return [Finding.from_dict(json.loads(body)) for (body,) in rows]

    def evidence(self, run: str, ids: Sequence[str] | None = None) -> dict[str, Evidence]:
        """Evidence of a run by id: that of `ids`, or all."""
        base = sa.select(_evidence.c.id, _evidence.c.body).where(_evidence.c.run == run).order_by(_evidence.c.id)
        if ids is None:
            return {key: Evidence.from_dict(json.loads(body)) for key, body in self._read(base)}
        found: dict[str, Evidence] = {}
        for start in range(0, len(ids), _CHUNK):
            for key, body in self._read(base.where(_evidence.c.id.in_(ids[start : start + _CHUNK]))):
                found[key] = Evidence.from_dict(json.loads(body))
        return found


def versions() -> dict[str, str]:
    """Versions of what a run's figures depend on."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in ("recaudit", "numpy", "scipy", "pandas", "torch", "transformers", "peft"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _engine(location: str, *, create: bool) -> sa.Engine:
    if "://" in location:
        try:
            url = sa.engine.make_url(location)
            if url.get_backend_name() == "postgresql" and url.drivername == "postgresql":
                url = url.set(drivername="postgresql+psycopg")
            if url.get_backend_name() == "postgresql":
                return sa.create_engine(url, pool_pre_ping=True)
        except (sa.exc.ArgumentError, ValueError):
            # Without the URL itself, which may hold a password, in the sentence and in the chain of errors.
            scheme = location.partition("://")[0]
            raise StoreError(
                f"--store: the {scheme}:// URL cannot be read; write it as postgresql://user@host:5432/database"
            ) from None
        except ModuleNotFoundError as error:
            raise StoreError(
                "--store: PostgreSQL needs its driver; install it with `pip install recaudit[postgres]`"
            ) from error
        if url.get_backend_name() != "sqlite":
            raise StoreError(
                f"--store: {url.get_backend_name()!r} is not supported; use a file path or a postgresql:// URL"
            )
        location = url.database or ""
    path = Path(location).expanduser()
    try:
        exists = path.exists()
    except OSError as error:
        raise StoreError(f"--store: {path} cannot be reached: {error.strerror}") from error
    if not exists:
        if not create:
            raise StoreError(f"--store: {path} does not exist; run an audit first, or name the store it was written to")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"--store: cannot create the folder {path.parent}: {error.strerror}") from error
    elif path.is_dir():
        raise StoreError(f"--store: {path} is a folder; name a file in it, such as {path / 'runs.sqlite'}")
    url = sa.URL.create("sqlite", database=str(path))
    if exists and not os.access(path, os.W_OK):
        # A store in WAL mode wants to write beside itself even for reading, unless it is said that nobody writes.
        unfinished = path.with_name(f"{path.name}-wal")
        settled = not unfinished.exists() or unfinished.stat().st_size == 0
        name = f"file:{quote(str(path.resolve()))}?mode=ro" + ("&immutable=1" if settled else "")
        return sa.create_engine(url, creator=lambda: sqlite3.connect(name, uri=True, check_same_thread=False))
    engine = sa.create_engine(url, connect_args={"timeout": 30})

    @sa.event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's own type
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 30000")
        if create:  # a reader changes nothing, not even in a file that turns out to be something else
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()

    return engine


def _asked_row(run: str, key: str, usage: Usage, *, fresh: bool) -> dict[str, Any]:
    return {
        "run": run,
        "key": key,
        "fresh": fresh,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "seconds": usage.seconds,
    }


def _run(row: Any) -> RunRecord:  # noqa: ANN401 - a row of whichever SQLAlchemy version
    body = json.loads(row.body)
    return RunRecord(
        id=row.id,
        name=row.name,
        created=row.created,
        status=row.status,
        verdict=row.verdict,
        config=body["config"],
        target=body["target"],
        versions=body["versions"],
        seed=body["seed"],
        policy=body["policy"],
        notes=tuple(body["notes"]),
    )


def _is_contention(error: BaseException) -> bool:
    if isinstance(error, IntegrityError):
        return True
    text = str(error)
    return isinstance(error, OperationalError | DatabaseError) and any(
        sign in text for sign in ("database is locked", "deadlock detected", "already exists", "could not serialize")
    )


def _first_line(error: BaseException | None) -> str:
    return str(getattr(error, "orig", error)).strip().splitlines()[0] if error else "unknown"


def _reason(error: DatabaseError) -> str:
    line = _first_line(error)
    mends = {
        "readonly": "it is read-only; make it writable, or choose another store with --store",
        "disk is full": "the disk is full; what was stored before is intact: free some room and resume the run",
        "unable to open": "it cannot be opened; check the folder and its permissions",
        "not a database": "the file is not a SQLite database; choose another path",
        "malformed": "the file is damaged; restore it from a copy, or choose another store",
    }
    return next((mend for sign, mend in mends.items() if sign in line), line)
