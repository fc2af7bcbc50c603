"""A recommender behind HTTP: `GET {url}/info` (optional) and `POST {url}/recommend`, JSON both ways.

The contract is written down as a JSON Schema in `http_contract.json` beside this file and explained in
`docs/targets/http.md`. In short:

    POST /recommend  {"schema": 1, "requests": [Request, …]}
    200              {"answers": [Answer, …]}            one per request, in order

An entry of `ranked` is an object (`item_id`, `title`, `score`, `reason`) or just a string, a title or an id.
What a single answer gets wrong is counted as `unparsable`; what makes all of them unreadable (HTML, a wrong number of
answers) is a `TargetError`; what may mend itself (429, 5xx, a time-out) is a `TargetUnavailable`.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from audit.errors import RecAuditError, TargetError
from audit.redaction import redact_values
from audit.target import Input, Insight, TargetInfo
from audit.targets import wire
from audit.targets.wrap import ItemReader, check_answers, shown_kind, unparsable
from audit.types import OUTCOMES, TASKS, Answer, Catalog, Ranked, Request, ToolCall, Usage, canonical_json

SCHEMA = 1
"""Version of the contract, sent with every request."""

_T = TypeVar("_T")


class HttpTarget(wire.Closing):
    """A service that implements the contract.

    Args:
        url: base address; `/info` and `/recommend` are appended.
        catalog: where plain strings and titles without an id are looked up.
        headers_from_env: environment variable that holds the whole value of a header, such as
            `{"Authorization": "MY_TOKEN"}` with `MY_TOKEN="Bearer …"`. Values are never shown or stored.
        timeout_s: longest time for one call.
        batch_size: most requests in one call; `/info` may lower it.
        max_response_bytes: longest response that is read.
        name: for reports; by default what `/info` says, else the host.
        version: of the service. With it (or with a `version` in `/info`), answers are reused between runs.

    Raises:
        TargetError: the URL or an environment variable cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        catalog: Catalog | None = None,
        headers_from_env: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
        batch_size: int = 16,
        max_response_bytes: int = wire.MAX_RESPONSE_BYTES,
        name: str | None = None,
        version: str | None = None,
    ) -> None:
        self.url = wire.check_url(url, "target.url")
        self._reader = ItemReader(catalog)
        self._secrets = wire.Secrets(headers_from_env or {})
        self._timeout_s = timeout_s
        self._batch_size = batch_size
        self._name = name
        self._version = version
        self._info: TargetInfo | None = None
        self._client = wire.make_client(
            self.url, timeout_s=timeout_s, max_response_bytes=max_response_bytes, headers=self._secrets.headers()
        )

    def __repr__(self) -> str:
        return f"HttpTarget({self.url!r}, {self._secrets!r})"

    @property
    def info(self) -> TargetInfo:
        """The declaration of `GET /info`, asked once; the defaults where the service has no such page (404, 405).

        Raises:
            TargetUnavailable, TargetError: the service cannot be reached, or declares something unknown.
        """
        if self._info is None:
            where = f"GET {self.url}/info"
            response = self._send("GET", "/info", None)
            data: Any = {}
            if response.status_code not in (404, 405):
                data = self._json(response, where)
            self._info = self._declared(data, where)
        return self._info

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """Send the requests, at most `batch_size` per call."""
        size = self.info.batch_size or len(requests)
        answers: list[Answer] = []
        for start in range(0, len(requests), size):
            answers += self._call(requests[start : start + size])
        return answers

    def _call(self, requests: Sequence[Request]) -> list[Answer]:
        where = f"POST {self.url}/recommend"
        started = time.perf_counter()
        response = self._send("POST", "/recommend", {"schema": SCHEMA, "requests": [r.to_dict() for r in requests]})
        data = self._json(response, where)
        given = data.get("answers") if isinstance(data, dict) else None
        if not isinstance(given, list):
            raise TargetError(f"{where}: the response has no list 'answers'; see docs/targets/http.md")
        if len(given) != len(requests):
            raise TargetError(
                f"{where}: {len(given)} answers to {len(requests)} requests; there must be one for each, in order"
            )
        share = Usage(seconds=(time.perf_counter() - started) / len(requests))
        answers = [self._answer(entry, request, share) for entry, request in zip(given, requests, strict=True)]
        return check_answers(requests, answers, name=self.url)

    def _send(self, method: str, path: str, body: object) -> httpx.Response:
        try:
            if body is None:
                return self._client.request(method, self.url + path)
            content = canonical_json(body).encode()
            return self._client.request(
                method, self.url + path, content=content, headers={"Content-Type": "application/json"}
            )
        except RecAuditError:
            raise
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # `from None`: a chained error of the HTTP library holds the request, and with it the secret headers.
            raise wire.from_network_error(error, f"{method} {self.url}{path}", self._timeout_s) from None

    def _json(self, response: httpx.Response, where: str) -> Any:  # noqa: ANN401 - JSON has no narrower type
        text = response.content.decode("utf-8", errors="replace")
        if response.status_code != httpx.codes.OK:
            raise wire.from_status(
                response.status_code,
                where,
                said=text,
                retry_after=response.headers.get("retry-after"),
                secrets=self._secrets,
            )
        try:
            # After reading: a number may hold the digits of a secret, and JSON has many spellings for one text.
            return redact_values(json.loads(text))
        except (ValueError, RecursionError):
            kind = wire.excerpt(response.headers.get("content-type", "no content type"))
            raise TargetError(f"{where}: the response is not JSON ({kind}): {wire.excerpt(text)!r}") from None

    def _answer(self, data: object, request: Request, share: Usage) -> Answer:
        """One entry of `answers`; whatever is wrong with it makes this answer unparsable and no other."""
        try:
            fields = _typed(data, dict, "the answer", "an object")
            text = fields.get("text")
            if text is not None:
                _typed(text, str, "text", "a string")
            ranked = self._ranked(_typed(fields.get("ranked", []), list, "ranked", "a list"), request)
            outcome = fields.get("outcome", "ok")
            if outcome not in OUTCOMES:
                raise _Malformed(f"outcome {shown_kind(outcome)} is none of {', '.join(OUTCOMES)}")
            return Answer(
                ranked=ranked,
                text=text,
                outcome=outcome,
                detail=_typed(fields.get("detail", ""), str, "detail", "a string"),
                usage=_usage(fields.get("usage", {}), share),
                tool_calls=tuple(
                    _tool_call(c) for c in _typed(fields.get("tool_calls", []), list, "tool_calls", "a list")
                ),
            )
        except _Malformed as flaw:
            return unparsable(str(flaw), usage=share)

    def _ranked(self, entries: Sequence[object], request: Request) -> tuple[Ranked, ...]:
        ranked: list[Ranked] = []
        unread: list[int] = []
        for place, entry in enumerate(entries):
            if isinstance(entry, str):
                ranked.append(Ranked(None, entry))
            else:
                fields = _typed(entry, dict, f"entry {place + 1} of ranked", "an object or a string")
                title = _typed(fields.get("title", ""), str, f"title of entry {place + 1}", "a string")
                item_id = fields.get("item_id")
                if item_id is not None:
                    _typed(item_id, str, f"item_id of entry {place + 1}", "a string")
                elif not title:
                    raise _Malformed(f"entry {place + 1} of ranked has neither item_id nor title")
                reason = _typed(fields.get("reason", ""), str, f"reason of entry {place + 1}", "a string")
                # The score's type and value are checked with those of every other target.
                ranked.append(Ranked(item_id, title, fields.get("score"), reason))
            if ranked[-1].item_id is None:
                unread.append(place)
        for place, found in zip(unread, self._reader.titles([ranked[p].title for p in unread], request), strict=True):
            ranked[place] = replace(ranked[place], item_id=found.item_id)
        return tuple(ranked)

    def _declared(self, data: object, where: str) -> TargetInfo:
        try:
            fields = _typed(data, dict, "the response", "an object")
            tasks = _names(fields.get("tasks", ["rank"]), "tasks", TASKS)
            honours = _names(fields.get("honours", [Input.HISTORY]), "honours", list(Input))
            reveals = _names(fields.get("reveals", []), "reveals", list(Insight))
            instructions = _typed(fields.get("instructions", {}), dict, "instructions", "an object")
            paraphrases = _typed(fields.get("paraphrases", {}), dict, "paraphrases", "an object")
            _names([*instructions, *paraphrases], "instructions and paraphrases", TASKS)
            declared_size = _count(fields.get("batch_size"), "batch_size")
            version = self._version or _typed(fields.get("version", ""), str, "version", "a string")
            needs_candidates = fields.get("needs_candidates", False)
            if not isinstance(needs_candidates, bool):
                raise _Malformed(f"needs_candidates is {shown_kind(needs_candidates)}, not true or false")
            identity = canonical_json(["http", self.url, version, instructions])
            return TargetInfo(
                name=self._name or _typed(fields.get("name", urlsplit(self.url).netloc), str, "name", "a string"),
                tasks=tuple(tasks),
                honours=frozenset(Input(name) for name in honours),
                reveals=frozenset(Insight(name) for name in reveals),
                instructions={t: _typed(v, str, f"instructions.{t}", "a string") for t, v in instructions.items()},
                paraphrases={t: _texts(v, f"paraphrases.{t}") for t, v in paraphrases.items()},
                fingerprint=hashlib.sha256(identity.encode()).hexdigest() if version else None,
                needs_candidates=needs_candidates,
                max_candidates=_count(fields.get("max_candidates"), "max_candidates"),
                batch_size=min(self._batch_size, declared_size or self._batch_size),
                concurrent=True,
                remote=not wire.is_loopback(self.url),
            )
        except _Malformed as flaw:
            raise TargetError(f"{where}: {flaw}; see docs/targets/http.md") from None


class _Malformed(Exception):
    """JSON that is not what the contract says."""


def _typed(value: object, kind: type[_T], name: str, expected: str) -> _T:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _Malformed(f"{name} is {shown_kind(value)}, not {expected}")
    return value


def _names(value: object, name: str, known: Sequence[str]) -> list[Any]:
    names = _typed(value, list, name, "a list")
    for given in names:
        if given not in known:
            raise _Malformed(f"{name} has {shown_kind(given)}; known: {', '.join(known)}")
    return names


def _texts(value: object, name: str) -> tuple[str, ...]:
    texts = _typed(value, list, name, "a list of strings")
    return tuple(_typed(text, str, f"an entry of {name}", "a string") for text in texts)


def _count(value: object, name: str) -> int | None:
    if value is None:
        return None
    if _typed(value, int, name, "a whole number") < 1:
        raise _Malformed(f"{name} is {value}; it must be at least 1")
    return _typed(value, int, name, "a whole number")


def _usage(data: object, share: Usage) -> Usage:
    fields = _typed(data, dict, "usage", "an object")
    tokens = []
    for name in ("prompt_tokens", "completion_tokens"):
        count = _typed(fields.get(name, 0), int, f"usage.{name}", "a whole number")
        if count < 0:
            raise _Malformed(f"usage.{name} is {count}; it must not be negative")
        if count > wire.MOST_TOKENS:
            raise _Malformed(f"usage.{name} is more than {wire.MOST_TOKENS}, which no answer takes")
        tokens.append(count)
    # Seconds are measured here: what the service claims about itself is not what the audit waited.
    return Usage(tokens[0], tokens[1], share.seconds)


def _tool_call(data: object) -> ToolCall:
    fields = _typed(data, dict, "an entry of tool_calls", "an object")
    if "name" not in fields:
        raise _Malformed("an entry of tool_calls has no name")
    values = (_typed(fields.get(n, ""), str, f"tool_calls.{n}", "a string") for n in ("name", "arguments", "result"))
    return ToolCall(*values)
