"""The evidence of a pack as JSON Lines: what the store holds goes in as it is, and out as it was.

Every line is plain ASCII without a control character: nothing in it acts on the terminal of whoever looks into it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from audit.errors import StoreError
from audit.store.copies import AnswerRow
from audit.types import Answer, canonical_json

# As they are written below. What another program wrote with other spaces or another order is parsed instead.
_REQUEST = re.compile(r'\{"digest": ?"([0-9a-f]{64})", ?(?=")')
_ANSWER = re.compile(r'\{"request": ?"([0-9a-f]{64})", ?"repeat": ?(\d{1,9}), ?"answer": ?(\{.*\})\}')
# Inside a string of JSON each quotation mark has a backslash before it, so this is never found in a text.
_OUTCOME = re.compile(r'"outcome": ?"([a-z]{1,16})"')


def line(row: Mapping[str, Any]) -> str:
    """One row."""
    return _plain(canonical_json(row)) + "\n"


def evidence(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Lines of pieces of evidence, each with its id."""
    yield from (_with("id", key, body) for key, body in rows)


def requests(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Lines of requests, each with its digest."""
    yield from (_with("digest", digest, body) for digest, body in rows)


def answers(rows: Iterable[AnswerRow]) -> Iterator[str]:
    """Lines of answers, each with the digest of its request and which repeat it is."""
    for row in rows:
        yield f'{{"request":{json.dumps(row.request)},"repeat":{row.repeat},"answer":{_stored(row.body)}}}\n'


def read_requests(lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """Digest and JSON of each request; inverse of `requests`.

    Raises:
        KeyError, TypeError, ValueError: a line is no request.
    """
    for raw in lines:
        text = raw.decode().rstrip("\n")
        if found := _REQUEST.match(text):
            yield found[1], "{" + text[found.end() :]
            continue
        row = json.loads(text)
        yield str(row.pop("digest")), canonical_json(row)


def read_answers(lines: Iterable[bytes]) -> Iterator[AnswerRow]:
    """Inverse of `answers`.

    Raises:
        KeyError, TypeError, ValueError: a line is no answer.
    """
    for raw in lines:
        text = raw.decode().rstrip("\n")
        found = _ANSWER.fullmatch(text)
        outcome = _OUTCOME.search(found[3]) if found else None
        if found and outcome:
            yield AnswerRow(found[1], int(found[2]), outcome[1], found[3])
            continue
        row = json.loads(text)
        answer = Answer.from_dict(row["answer"])
        yield AnswerRow(str(row["request"]), int(row["repeat"]), answer.outcome, canonical_json(answer.to_dict()))


def _with(name: str, key: str, body: str) -> str:
    text = _stored(body)
    return f'{{"{name}":{json.dumps(key)}' + ("}" if text == "{}" else f",{text[1:]}") + "\n"


def _stored(body: str) -> str:
    """A body as it is, where it is one line of plain ASCII, as this program writes it; else written anew."""
    if body.isascii() and body.isprintable() and body.startswith("{") and body.endswith("}"):
        return body
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise StoreError(
            "--store: a stored row of this run is not JSON, so it cannot be packed; it was changed by hand, or written "
            "by another version: restore the store from a copy"
        )
    return _plain(canonical_json(told))


def _plain(text: str) -> str:
    return text.replace("\x7f", "\\u007f")
