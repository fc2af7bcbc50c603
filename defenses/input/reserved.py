"""Characters that mean something to a prompt or a chat template, made harmless and left readable.

Step 7 of the sanitiser. Nothing here makes a text longer, and nothing that it writes is reserved itself; so repeating
it ends, and what it has ended with stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html.entities import html5

ROLES = ("system", "assistant", "user", "human")
_ANSWERING = ("answer", "response", "instruction", "instructions", "end of")
_NAMES = (
    *("INST", "SYS", "SYSTEM", "USER", "ASSISTANT", "BOS", "EOS", "PAD", "UNK", "CLS", "SEP", "MASK", "IMG", "DATA"),
    *("TOOL_CALLS", "AVAILABLE_TOOLS", "TOOL_RESULTS"),
)
_BARS = re.compile(r"<\||\|>")
_TAG = re.compile(r"<([/!?]?[A-Za-z_][^<>\n]{0,200}|/?\|[^<>\n]{0,200})>")
_COMMENT = re.compile(r"<!--|-->")
_BRACKETED = re.compile(rf"\[(/?(?:{'|'.join(_NAMES)}))\]", re.IGNORECASE)
_RULE = re.compile(r"""([#=~`"'_*-])\1{2,}""")
_HEADING = re.compile(rf"(?m)^([ ]*)#+[ ]*(?=(?:{'|'.join((*ROLES, *_ANSWERING))})\b)", re.IGNORECASE)
_ROLE = re.compile(rf"(?m)^([ ]*(?:{'|'.join(ROLES)})[ ]?):", re.IGNORECASE)
_ANSWER = re.compile(rf"(?<=\n)([ ]*(?:{'|'.join(_ANSWERING)})[ ]?):", re.IGNORECASE)
_ENTITY = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


def neutralised(text: str, extra: Iterable[str] = ()) -> str:
    """The text without anything reserved.

    - Tags and special tokens (`</list>`, `<|im_start|>`, `[INST]`) keep their words and lose their brackets to round
      ones.
    - A role at the start of a line (`System:`) loses its colon, a heading that names one its marks; so does, behind a
      line break, what pretends that the answer begins.
    - Rules and fences (`---`, `###`, three quotes or backquotes) shrink to one character.
    - What still reads as an HTML entity after the one decoding loses its `&` and `;`.
    - The strings of `extra` are taken out.
    """
    for token in extra:
        text = text.replace(token, "")
    text = _COMMENT.sub(lambda found: found[0].replace("<", "(").replace(">", ")"), text)
    text = _BARS.sub(lambda found: "(|" if found[0] == "<|" else "|)", text)
    text = _TAG.sub(r"(\1)", text)
    text = _BRACKETED.sub(r"(\1)", text)
    text = _HEADING.sub(r"\1", text)
    text = _RULE.sub(r"\1", text)
    text = _ROLE.sub(r"\1,", text)
    text = _ANSWER.sub(r"\1,", text)
    return _ENTITY.sub(lambda found: f"({found[1]})" if _means_something(found[1]) else found[0], text)


def decoded(text: str) -> str:
    """HTML entities decoded once. Only those that end in a semicolon: `AT&T` and `R&B` stay."""
    if "&" not in text:
        return text
    return _ENTITY.sub(lambda found: _character(found[1]) if _means_something(found[1]) else found[0], text)


def _means_something(name: str) -> bool:
    return name.startswith("#") or f"{name};" in html5


def _character(name: str) -> str:
    if not name.startswith("#"):
        return html5[f"{name};"]
    code = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
    # Half a surrogate pair is no character, and neither is what lies beyond the last one.
    return chr(code) if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else ""
