"""What an OpenAI-compatible server replies, whole or streamed, read without trust in its shape."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from audit.errors import TargetError, TargetUnavailable
from audit.targets import wire
from audit.targets.wrap import unparsable
from audit.types import Answer, Usage

NO_USAGE = Usage()

_EDGE = " \t\r\n▁Ġ\"'*.,"  # what tokenizers and models put around a word


@dataclass(frozen=True)
class Reply:
    """What one call returned; `outcome` is set where there is nothing to read, `first_token` if logprobs came."""

    text: str = ""
    finish_reason: str = ""
    refusal: str = ""
    usage: Usage = NO_USAGE
    first_token: tuple[tuple[str, float], ...] = ()
    outcome: Answer | None = None


def yes_probability(alternatives: Iterable[tuple[str, float]]) -> float | None:
    """P(Yes) / (P(Yes) + P(No)) for the first token of an answer.

    Args:
        alternatives: (token, log-probability in nats) of the likeliest tokens. Spellings (`yes`, ` Yes`) add up.

    Returns:
        A number strictly between 0 and 1. Where one of the words is not listed, it is at most as likely as the last
        listed token, and that bound is used. None where neither is listed.
    """
    listed = [(token.strip(_EDGE).casefold(), math.exp(min(0.0, logprob))) for token, logprob in alternatives]
    yes = sum(p for word, p in listed if word == "yes")
    no = sum(p for word, p in listed if word == "no")
    if yes == no == 0:
        return None
    bound = min(p for _, p in listed)
    yes, no = yes or bound, no or bound
    return yes / (yes + no) if yes + no > 0 else None


def from_completion(data: Mapping[str, Any]) -> Reply:
    """Read a whole completion."""
    choice = _first(data.get("choices"))
    message = _object(choice.get("message"))
    if not message:
        return Reply(outcome=unparsable("the completion holds no message"))
    return Reply(
        text=_text(message.get("content")),
        finish_reason=_text(choice.get("finish_reason")),
        refusal=_text(message.get("refusal")),
        usage=_usage(data.get("usage")),
        first_token=_first_token(choice),
    )


def from_chunks(chunks: Iterable[Mapping[str, Any]], where: str) -> Reply:
    """Join a streamed completion.

    Raises:
        TargetUnavailable: the server broke off with an error.
        TargetError: it sent no event at all.
    """
    texts: list[str] = []
    refusals: list[str] = []
    finish_reason: str = ""
    usage = NO_USAGE
    first_token: tuple[tuple[str, float], ...] = ()
    seen = False
    for chunk in chunks:
        if chunk.get("error"):
            raise TargetUnavailable(f"{where}: the server broke off its stream: {wire.excerpt(str(chunk['error']))}")
        seen = True
        usage = _usage(chunk["usage"]) if chunk.get("usage") else usage
        choice = _first(chunk.get("choices"))
        delta = _object(choice.get("delta"))
        texts.append(_text(delta.get("content")))
        refusals.append(_text(delta.get("refusal")))
        finish_reason = _text(choice.get("finish_reason")) or finish_reason
        first_token = first_token or _first_token(choice)
    if not seen:
        raise TargetError(f"{where}: the server streamed no event; check that base_url is that of the API")
    return Reply("".join(texts), finish_reason, "".join(refusals), usage, first_token)


def events(text: str) -> Iterator[Mapping[str, Any]]:
    """The JSON objects of an event stream that was read as one text."""
    for line in text.splitlines():
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or data == "[DONE]":
            continue
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            event = {"error": f"an event that is not JSON: {data}"}
        if isinstance(event, dict):
            yield event


def _first_token(choice: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    listed = _first(_object(choice.get("logprobs")).get("content")).get("top_logprobs")
    entries = [_object(entry) for entry in listed] if isinstance(listed, list) else []
    return tuple(
        (_text(entry.get("token")), float(entry["logprob"]))
        for entry in entries
        # Compared, not converted: JSON has whole numbers that no float holds. Not a number compares false.
        if isinstance(given := entry.get("logprob"), int | float)
        and (abs(given) <= sys.float_info.max or given == -math.inf)
    )


def _usage(data: object) -> Usage:
    counts = [_object(data).get(name) for name in ("prompt_tokens", "completion_tokens")]
    prompt, completion = (count if isinstance(count, int) and 0 < count <= wire.MOST_TOKENS else 0 for count in counts)
    return Usage(prompt, completion)


# The client does not check what a server sends: any field may be missing or of another type.
def _first(value: object) -> Mapping[str, Any]:
    return _object(value[0]) if isinstance(value, list) and value else {}


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
