"""Answers, addressed by content, and which runs rest on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from audit.store import schema, totals
from audit.store.bodies import body_of
from audit.store.database import Database
from audit.types import Answer, Request, Usage

T = TypeVar("T")


class Answers(Database):
    """The part of a store that holds requests and answers."""

    def answers(self, keys: Sequence[str], *, run: str | None = None) -> dict[str, Answer]:
        """The stored answers among these keys.

        Args:
            keys: content addresses of the questions.
            run: leaves out the errors that other runs met, because the target may have been mended since.
        """
        found: dict[str, Answer] = {}
        usable = sa.true() if run is None else sa.or_(schema.answers.c.outcome != "error", rested_on(run))
        for start in range(0, len(keys), schema.CHUNK):
            chunk = keys[start : start + schema.CHUNK]
            statement = sa.select(schema.answers.c.key, schema.answers.c.body).where(
                schema.answers.c.key.in_(chunk), usable
            )
            for key, body in self._read(statement):
                found[key] = self._understood("answer", body, Answer.from_dict)
        return found

    def put_answers(
        self, run: str, rows: Sequence[tuple[str, Request | str, int, Answer]], *, bodies: bool = True
    ) -> None:
        """Store a batch of answers that this run paid for, in one transaction.

        Args:
            run: id of the run.
            rows: (key, request, repeat, answer) each; of a question whose request is not to be kept its digest.
            bodies: whether the requests themselves are kept, for a person to open; an attack's search asks thousands
                that nobody will.
        """
        if not rows:
            return
        requests = [
            {"digest": r.digest, "body": body_of(r.to_dict())}
            for _, r, _, _ in rows
            if bodies and not isinstance(r, str)
        ]
        answers = [
            {
                "key": key,
                "request": request if isinstance(request, str) else request.digest,
                "repeat": repeat,
                "outcome": answer.outcome,
                "body": body_of(answer.to_dict()),
            }
            for key, request, repeat, answer in rows
        ]
        asked = [_asked_row(run, key, answer.usage, fresh=True) for key, _, _, answer in rows]

        def work(db: sa.Connection) -> None:
            if requests:
                db.execute(self._insert(schema.requests).on_conflict_do_nothing(), requests)
            answer = self._insert(schema.answers)
            mended = {"outcome": answer.excluded.outcome, "body": answer.excluded.body}
            # Another process may have stored the same answer; only an error gives way to a later answer.
            answer = answer.on_conflict_do_update(
                index_elements=[schema.answers.c.key], set_=mended, where=schema.answers.c.outcome == "error"
            )
            db.execute(answer, answers)
            db.execute(self._insert(schema.asked).on_conflict_do_nothing(), asked)
            totals.forget(db, run)

        self._write("write", work)

    def note_reuse(self, run: str, keys: Sequence[str]) -> None:
        """Record that this run relies on answers that were already stored."""
        rows = [_asked_row(run, key, Usage(), fresh=False) for key in keys]

        def work(db: sa.Connection) -> None:
            db.execute(self._insert(schema.asked).on_conflict_do_nothing(), rows)
            totals.forget(db, run)

        if rows:
            self._write("write", work)

    def forget_errors(self, run: str) -> int:
        """Delete the answers of a run that ended in an error, so that resuming asks them again.

        Returns:
            How many were deleted.
        """
        keys = sa.select(schema.asked.c.key).where(schema.asked.c.run == run)

        def work(db: sa.Connection) -> int:
            wrong = sa.select(schema.answers.c.key).where(
                schema.answers.c.key.in_(keys), schema.answers.c.outcome == "error"
            )
            failed = list(db.execute(wrong).scalars())
            totals.forget(db, run)
            for start in range(0, len(failed), schema.CHUNK):
                chunk = failed[start : start + schema.CHUNK]
                db.execute(sa.delete(schema.answers).where(schema.answers.c.key.in_(chunk)))
                db.execute(sa.delete(schema.asked).where(schema.asked.c.run == run, schema.asked.c.key.in_(chunk)))
            return len(failed)

        return self._write("write", work)

    def requests(self, digests: Iterable[str]) -> dict[str, Request]:
        """Stored requests by digest."""
        return self._of_requests(digests, Request.from_dict)

    def askers(self, digests: Iterable[str]) -> dict[str, tuple[str, int]]:
        """Of stored requests by digest: the id of the user, and how many items are wanted.

        Of thousands of requests this takes a third of the time of `requests`.
        """
        return self._of_requests(digests, lambda told: (str(told["user"]["id"]), int(told.get("k", 10))))

    def _of_requests(self, digests: Iterable[str], read: Callable[[Any], T]) -> dict[str, T]:
        wanted = sorted(set(digests))
        found: dict[str, T] = {}
        for start in range(0, len(wanted), schema.CHUNK):
            statement = sa.select(schema.requests).where(
                schema.requests.c.digest.in_(wanted[start : start + schema.CHUNK])
            )
            for digest, body in self._read(statement):
                found[digest] = self._understood("request", body, read)
        return found

    def asked(self, run: str) -> set[tuple[str, int]]:
        """Every (request digest, repeat) that a run rests on."""
        statement = (
            sa.select(schema.answers.c.request, schema.answers.c.repeat)
            .join(schema.asked, schema.asked.c.key == schema.answers.c.key)
            .where(schema.asked.c.run == run)
        )
        return {(digest, int(repeat)) for digest, repeat in self._read(statement)}

    def answers_to(
        self, run: str, digests: Iterable[str], *, repeats: Iterable[int] | None = None
    ) -> dict[tuple[str, int], Answer]:
        """Answers a run rests on, by (request digest, repeat).

        Args:
            run: id of the run.
            digests: of the requests.
            repeats: which repeats of them; None for all, of which a noise floor has many.
        """
        wanted = sorted(set(digests))
        meant = sa.true() if repeats is None else schema.answers.c.repeat.in_(sorted(set(repeats)))
        found: dict[tuple[str, int], Answer] = {}
        for start in range(0, len(wanted), schema.CHUNK):
            statement = sa.select(schema.answers.c.request, schema.answers.c.repeat, schema.answers.c.body).where(
                schema.answers.c.request.in_(wanted[start : start + schema.CHUNK]), meant, rested_on(run)
            )
            for digest, repeat, body in self._read(statement):
                found[(digest, repeat)] = self._understood("answer", body, Answer.from_dict)
        return found


def rested_on(run: str) -> sa.Exists:
    """Whether a run rests on the answer at hand.

    For statements that pick a few answers. Joined instead, SQLite goes through all that the run asked and looks at each
    whether it is one of them.
    """
    return sa.exists().where(schema.asked.c.run == run, schema.asked.c.key == schema.answers.c.key)


def _asked_row(run: str, key: str, usage: Usage, *, fresh: bool) -> dict[str, Any]:
    return {
        "run": run,
        "key": key,
        "fresh": fresh,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "seconds": usage.seconds,
    }
