"""What a stored run keeps of single cases: a request before and after an edit, and what came back for both.

It is what a target can be trained on afterwards, so that it withstands what an audit found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit.store import Store
from audit.types import Answer, Request


@dataclass(frozen=True)
class Exchange:
    """One case of an attack.

    Attributes:
        before: the clean request.
        clean: the answer to it.
        after: the edited request.
        attacked: the answer to it; None where none is known.
        title: what was done.
    """

    before: Request
    clean: Answer
    after: Request
    attacked: Answer | None = None
    title: str = ""


def exchanges(store: Store, run: str) -> list[Exchange]:
    """All pieces of evidence of a run that show a changed request, with their answers, in the order of their ids.

    A clean request is read from the same door as the edited one: evidence behind a defense shows the defended answers.

    Args:
        store: holds the run.
        run: id, unique prefix of an id, or `latest`.

    Raises:
        StoreError: there is no such run.
    """
    record = store.run(run)
    pieces = [e for e in store.evidence(record.id).values() if e.before and e.after and e.before != e.after]
    digests = {digest for e in pieces for digest in (e.before, e.after) if digest is not None}
    requests, answers = store.requests(digests), store.answers_to(record.id, digests)
    found: dict[tuple[str, str], Exchange] = {}
    for piece in pieces:
        before, after = str(piece.before), str(piece.after)
        clean = answers.get((before, piece.before_repeat))
        if before in requests and after in requests and clean is not None:
            attacked = answers.get((after, piece.after_repeat))
            found.setdefault((before, after), Exchange(requests[before], clean, requests[after], attacked, piece.title))
    return list(found.values())


def users(found: Sequence[Exchange]) -> frozenset[str]:
    """Ids of the users of some exchanges: whoever trained on them must be judged on others."""
    return frozenset(exchange.before.user.id for exchange in found)
