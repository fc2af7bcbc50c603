"""Lists in free text without the entries that the catalogue does not have."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import groupby

from audit.grounding import Grounder
from audit.types import Answer, Request

_CUTTABLE = ("numbered", "bulleted", "lines")
"""Styles with an entry to a line. In JSON, in tables and in running text a cut could change what is said."""
_NUMBER = re.compile(r"^(\s*)\d{1,3}([.)])")


def without_strangers(answer: Answer, request: Request, grounder: Grounder) -> Answer:
    """The answer without the lines whose only titles the catalogue does not have, and numbered anew.

    What stands behind a title up to the next entry goes with it. Where nothing is left the answer is a refusal: there
    was nothing in it that could be had.

    Args:
        answer: free text.
        request: what was asked.
        grounder: of the catalogue.
    """
    text = answer.text or ""
    read = grounder.ground_list(
        text, candidates=request.candidates, history=[event.item for event in request.user.history]
    )
    if read.style not in _CUTTABLE:
        return answer
    pairs = list(zip(read.entries, read.matches, strict=True))
    lines = {
        start: [match.status == "absent" for _, match in some]
        for start, some in groupby(pairs, key=lambda pair: text.rfind("\n", 0, pair[0].start) + 1)
    }
    dropped = {start for start, absent in lines.items() if all(absent)}
    if not dropped:
        return answer
    if len(dropped) == len(lines):
        detail = "every title named is absent from the catalogue"
        return replace(answer, ranked=(), text="", outcome="refused", detail=detail)
    starts = list(lines)
    last = text.find("\n\n", starts[-1])
    ends = [*starts[1:], len(text) if last < 0 else last]
    kept = [text[start:end] for start, end in zip(starts, ends, strict=True) if start not in dropped]
    if read.style == "numbered":
        kept = [_NUMBER.sub(rf"\g<1>{number}\g<2>", entry, count=1) for number, entry in enumerate(kept, start=1)]
    gone = {entry.title for entry, _ in pairs if text.rfind("\n", 0, entry.start) + 1 in dropped}
    return replace(
        answer,
        text=(text[: starts[0]] + "".join(kept) + text[ends[-1] :]).rstrip(),
        ranked=tuple(entry for entry in answer.ranked if entry.item_id is not None or entry.title not in gone),
    )
