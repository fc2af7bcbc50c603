"""Secrets that must never be written: known in one place, and taken out of whatever is stored, shown or logged.

A secret becomes known in two ways: a target or a store that uses one registers it, and an environment variable whose
name says that it holds one (`OPENAI_API_KEY`, `DB_PASSWORD`) counts as one. Whoever writes text
for others to read calls `redact` last. That is a second fence: the first is that secrets are named in a configuration,
never written there, and that clients do not quote them.
"""

from __future__ import annotations

import base64
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

MARK = "[secret]"
"""What stands where a secret stood."""

_SHORTEST = 6  # a shorter "secret" would be found in ordinary text
_SHORTEST_NAMED = 8
_NAMES = re.compile(
    r"(?:^|_)(?:API_?KEY|ACCESS_?KEY|SECRET_?KEY|PRIVATE_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PGPASSWORD|PASSPHRASE)"
    r"(?:_\d+)?$",
    re.IGNORECASE,
)
_registered: set[str] = set()
_pattern: re.Pattern[str] | None = None
_lock = threading.Lock()


def register(value: str) -> None:
    """Make a secret known, also the token after a scheme such as `Bearer`; one of under six characters is ignored."""
    with _lock:
        _registered.update(part for part in (value, value.rpartition(" ")[2]) if len(part) >= _SHORTEST)
    look_around()


def look_around() -> None:
    """Read the environment again: what its variables hold now is a secret from here on."""
    global _pattern
    with _lock:
        named = {value for name, value in os.environ.items() if _NAMES.search(name) and is_telling(value)}
        _pattern = _compiled(frozenset(_registered | named))


def is_telling(value: str) -> bool:
    """Whether a value is unlike a word or a path. The password `postgres`, hidden in every text, would tell itself."""
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    is_path = value.startswith(("/", "~", "./", "../"))
    return not is_path and len(value) >= _SHORTEST_NAMED and (mixed or len(value) >= 2 * _SHORTEST_NAMED)


def redact(text: str) -> str:
    """The text with every known secret replaced, also where JSON, a URL or base64 spells it in another way."""
    return text if _pattern is None else _pattern.sub(MARK, text)


def redact_values(value: Any) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """JSON-compatible data with every secret in a text or a key replaced; the data themselves where none is known."""
    if _pattern is None:
        return value
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(key)): redact_values(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [redact_values(part) for part in value]
    return value


@lru_cache(maxsize=8)
def _compiled(secrets: frozenset[str]) -> re.Pattern[str] | None:
    # The longest first: a secret may be the beginning of another.
    spelt = sorted({form for secret in secrets for form in _spellings(secret)}, key=lambda form: (-len(form), form))
    return re.compile("|".join(map(re.escape, spelt))) if spelt else None


def _spellings(secret: str) -> Iterator[str]:
    """As it is, inside JSON (with and without Unicode), inside a URL, and as base64 (of a header `Basic`)."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield json.dumps(secret).replace("/", "\\/")[1:-1]
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield repr(secret)[1:-1]
    yield base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode()
