"""What every target behind a network shares: limits on size and time, secrets, and which failures may mend themselves.

A server is not trusted. It may be slow, huge, compressed into a bomb, or echo our key back: a client built here stops
reading at a limit, never follows a redirect, and no secret leaves through a `repr`, an error or an answer.
"""

from __future__ import annotations

import ipaddress
import math
import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from audit.errors import RecAuditError, TargetError, TargetUnavailable
from audit.redaction import redact, register

MAX_RESPONSE_BYTES = 8 * 2**20
"""Default limit on one response: about a thousand times a normal answer."""


class Secrets:
    """Header values read from the environment: used, never shown.

    Args:
        env_by_header: name of the environment variable that holds the whole value of each header.

    Raises:
        TargetError: a variable is unset, empty, or holds characters that no header may carry.
    """

    def __init__(self, env_by_header: Mapping[str, str]) -> None:
        self.env_by_header = dict(env_by_header)
        self._headers = {header: read_secret(env, header) for header, env in self.env_by_header.items()}

    def headers(self) -> dict[str, str]:
        """The headers with their values, for the client and for nobody else."""
        return dict(self._headers)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(f'{h} from ${e}' for h, e in self.env_by_header.items())})"


def read_secret(env: str, header: str) -> str:
    """The value of an environment variable that goes into a header; a secret from here on (`audit.redaction`).

    Raises:
        TargetError: it is unset, empty, or not printable ASCII. The value is never part of the message.
    """
    value = os.environ.get(env, "").strip()
    if not value:
        raise TargetError(f"target: the environment variable {env} (for the header {header}) is not set; export it")
    if not (value.isascii() and value.isprintable()):
        raise TargetError(
            f"target: the environment variable {env} (for the header {header}) holds characters that no header may "
            "carry; it must be one line of printable ASCII"
        )
    register(value)
    return value


def check_url(url: str, field: str) -> str:
    """The URL without a trailing slash.

    Raises:
        TargetError: it is not http(s), has no host, or carries credentials, a query or a fragment.
    """
    not_a_url = f"{field}: {url!r} is not a URL; write it like http://127.0.0.1:8000"
    if set("@?#") & set(url):
        # The value is withheld: this is where people put keys. Looked for in the text, because a key with a slash
        # would make another part of the URL out of what follows.
        raise TargetError(
            f"{field}: the URL carries credentials, a query or a fragment; put secrets into an environment variable "
            "and name it in the configuration"
        )
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise TargetError(not_a_url) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TargetError(not_a_url)
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_client(
    url: str, *, timeout_s: float, max_response_bytes: int, headers: Mapping[str, str] | None = None
) -> httpx.Client:
    """A client that stops reading after `max_response_bytes` or `timeout_s` seconds and follows no redirect.

    `timeout_s` bounds the connection, each wait for the server, and the whole body. Loopback addresses never go through
    a proxy; others use the proxy of the environment, if there is one.
    """

    def limit(response: httpx.Response) -> None:
        encoding = response.headers.get("content-encoding", "identity")
        if encoding.lower() not in ("", "identity"):
            raise TargetError(
                f"{url}: the server compressed its answer ({excerpt(encoding)!r}) although it was asked not to; a "
                "compressed answer has no known size and is not read"
            )
        declared = response.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > max_response_bytes:
            raise _too_large(url, max_response_bytes)
        if isinstance(response.stream, httpx.SyncByteStream):
            response.stream = _LimitedStream(response.stream, url, max_response_bytes, timeout_s)

    return httpx.Client(
        headers={**(headers or {}), "Accept-Encoding": "identity"},
        timeout=timeout_s,
        follow_redirects=False,
        trust_env=not is_loopback(url),
        event_hooks={"response": [limit]},
    )


class _LimitedStream(httpx.SyncByteStream):
    """A body that raises once it grew too long or took too long."""

    def __init__(self, inner: httpx.SyncByteStream, url: str, max_bytes: int, timeout_s: float) -> None:
        self._inner = inner
        self._url = url
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._deadline = time.monotonic() + timeout_s

    def __iter__(self) -> Iterator[bytes]:
        seen = 0
        for chunk in self._inner:
            seen += len(chunk)
            if seen > self._max_bytes:
                raise _too_large(self._url, self._max_bytes)
            # A read time-out starts again with every byte; this catches the server that sends one a second.
            if time.monotonic() > self._deadline:
                raise timed_out(self._url, self._timeout_s)
            yield chunk

    def close(self) -> None:
        self._inner.close()


def _too_large(url: str, limit: int) -> TargetError:
    return TargetError(f"{url}: the answer is larger than {limit:,} bytes; raise max_response_bytes if that is meant")


def timed_out(where: str, timeout_s: float) -> TargetUnavailable:
    """The failure of a call that took too long."""
    return TargetUnavailable(f"{where}: no complete answer within {timeout_s:g} s; raise timeout_s if it needs longer")


def from_network_error(error: httpx.HTTPError | httpx.InvalidURL, where: str, timeout_s: float) -> RecAuditError:
    """The failure of a call that got no response."""
    if isinstance(error, httpx.TimeoutException):
        return timed_out(where, timeout_s)
    if isinstance(error, httpx.ConnectError):
        return TargetUnavailable(f"{where}: nothing answers at this address; is the service running?")
    return TargetUnavailable(f"{where}: the connection broke ({type(error).__name__})")


def from_status(
    status: int, where: str, *, said: str = "", retry_after: str | None = None, secrets: Secrets | None = None
) -> RecAuditError:
    """The failure that a status code means.

    Args:
        status: HTTP status, anything but a 2xx.
        where: what was asked, such as `POST http://…/recommend`.
        said: the body, of which the start is quoted.
        retry_after: the header `Retry-After`.
        secrets: which variables to check on 401 and 403.

    Returns:
        `TargetUnavailable` where asking again may help (408, 425, 429, 5xx), else `TargetError`.
    """
    try:
        phrase = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = str(status)
    said = excerpt(said)
    told = f"{where}: {phrase}" + (f": {said}" if said else "")
    if status in (408, 425, 429) or status >= 500:
        return TargetUnavailable(told, retry_after=parse_retry_after(retry_after), throttled=status == 429)
    if status in (401, 403):
        names = (
            ", ".join(f"{env} (header {header})" for header, env in secrets.env_by_header.items()) if secrets else ""
        )
        mend = f"check the environment variable {names}" if names else "name the variable that holds the key"
        return TargetError(f"{told}; {mend}")
    if 300 <= status < 400:
        return TargetError(f"{told}; redirects are not followed: configure the address it leads to")
    return TargetError(told)


MOST_TOKENS = 2**31 - 1
"""Of one answer: what an integer column of a store holds. A server that claims more has not counted."""


def parse_retry_after(value: str | None) -> float | None:
    """Seconds to wait, from a `Retry-After` in seconds or as an HTTP date (RFC 9110, 10.2.3); None if unreadable."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def excerpt(text: str, length: int = 160) -> str:
    """The start of a foreign text on one line, without secrets and without control characters."""
    text = redact(text)
    text = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * length]).split())
    return text if len(text) <= length else text[: length - 1] + "…"


class Closing:
    """Context manager over an `httpx.Client`."""

    _client: httpx.Client

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
