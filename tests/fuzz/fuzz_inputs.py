"""Inputs for the readers: noise, and valid data with a few things in it made wrong, which reaches deeper than noise.

`RECAUDIT_FUZZ=10000 pytest tests/fuzz` gives each reader that many inputs, drawn anew each time; without it a few,
always the same.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

import hostile
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from audit.errors import RecAuditError

T = TypeVar("T")

COUNT = int(os.environ.get("RECAUDIT_FUZZ", "40"))
SECONDS = 2.0
"""Of processor time, for one input of a few kilobytes. What needs longer grows faster than its input."""

fuzzed = settings(
    max_examples=COUNT,
    deadline=None,
    derandomize="RECAUDIT_FUZZ" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)

_SPECIAL = st.sampled_from(
    [
        *hostile.STORABLE,
        *hostile.BROKEN[:4],
        "nan",
        "1e999",
        "-0",
        "0x10",
        "NULL",
        "..",
        "a" * 3000,
        "9" * 400,
        "[" * 300,
    ]
)
TEXTS = st.text(max_size=60) | _SPECIAL
"""Text of any kind."""

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 2**63, 1e308, 5e-324])
    | st.floats(allow_nan=True, allow_infinity=True)
    | TEXTS
)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=10
)
"""Anything that a JSON parser may hand over."""
# Made once: a strategy that is made anew for each input is checked anew, which took longer than drawing from it.
_WHERE = st.integers(0, 2**16 - 1)
_DEEDS = st.sampled_from(["replace", "replace", "replace", "remove", "add", "wrap"])
_SIGNS = st.sampled_from(list("[]{}:,|>&*!%@`\"'#\n\t -"))
_AGAIN = st.just(None)
"""What stood there, three times."""
_NOISE = TEXTS | _SIGNS | _AGAIN
_CHANGES = st.integers(0, 4)
_RARELY = st.integers(0, 9)


def at(draw: st.DrawFn, length: int) -> int:
    """Some place among `length`."""
    return draw(_WHERE) % length


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside, the whole first."""
    found = [at]
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        found += places(part, (*at, key))
    return found


@st.composite
def mutated(draw: st.DrawFn, *seeds: Any, changes: int = 3) -> Any:
    """One of the seeds, with up to `changes` of its values replaced, removed, renamed or wrapped."""
    value = copy.deepcopy(seeds[at(draw, len(seeds))])
    for _ in range(1 + at(draw, changes)):
        known = places(value)
        path = known[at(draw, len(known))]
        if not path:
            if draw(_RARELY) == 0:
                return draw(JSON)
            continue
        holder = value
        for key in path[:-1]:
            holder = holder[key]
        deed = draw(_DEEDS)
        if deed == "replace":
            holder[path[-1]] = draw(JSON)
        elif deed == "remove":
            del holder[path[-1]]
        elif deed == "wrap":
            holder[path[-1]] = [holder[path[-1]]]
        elif isinstance(holder, dict):
            holder[draw(TEXTS)] = draw(JSON)
        else:
            holder.append(draw(JSON))
    return value


@st.composite
def spoiled(draw: st.DrawFn, *seeds: str) -> str:
    """One of the texts, cut, doubled, or with noise put in."""
    text = seeds[at(draw, len(seeds))]
    for _ in range(draw(_CHANGES)):
        start = at(draw, len(text) + 1)
        end = min(len(text), start + at(draw, 13))
        noise = draw(_NOISE)
        text = text[:start] + (text[start:end] * 3 if noise is None else noise) + text[end:]
        if len(text) > 8000:
            break
    return text


def swiftly(work: Callable[[], T]) -> T:
    """Run it, and mind the processor time."""
    started = time.process_time()
    result = work()
    spent = time.process_time() - started
    assert spent < SECONDS, f"{spent:.1f} s for one input"
    return result


def answered_or_refused(work: Callable[[], T]) -> T | None:
    """What it returns, or None where it raised an error of ours: one line, without a hint of the inside."""
    try:
        return swiftly(work)
    except RecAuditError as error:
        said = str(error)
        assert said
        assert "Traceback" not in said
        assert "object at 0x" not in said
        return None
