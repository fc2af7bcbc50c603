"""Characters that nobody sees: dropped, except where a script or an emoji needs them.

Step 3 of the sanitiser. What goes: controls and format characters (Unicode categories Cc and Cf, among them zero-width
and bidirectional ones, tags U+E0000 to U+E007F and U+FEFF), variation selectors, Hangul and Khmer fillers and
everything else that Unicode calls default-ignorable, and lone surrogates, which are no text.

What stays: line breaks; emoji with their joiners, selectors and skin tones; the flags of England, Scotland and Wales,
which are spelled in tags; ZERO WIDTH JOINER and NON-JOINER between two letters of a script that uses them (Persian,
Hindi, Sinhala and others); the number signs of Arabic and Syriac, which are format characters that can be seen; and
the selectors of Mongolian. White space that is a control becomes a blank or a line break, so that words do not grow
together.
"""

from __future__ import annotations

import regex

_JOINING = "".join(
    rf"\p{{Script={name}}}"
    for name in (
        *("Arabic", "Syriac", "Nko", "Mandaic", "Mongolian", "Adlam", "Phags_Pa"),
        *("Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil", "Telugu", "Kannada", "Malayalam"),
        *("Sinhala", "Khmer", "Myanmar", "Tibetan", "Balinese", "Javanese"),
    )
)
_LETTER = rf"[[\p{{L}}\p{{M}}]&&[{_JOINING}]]"
_PICTURE = r"\p{Extended_Pictographic}(?:\p{Emoji_Modifier}\uFE0F?|[\uFE0E\uFE0F])?"
_FLAGS = "|".join(
    "\U0001f3f4" + "".join(chr(0xE0000 + ord(c)) for c in code) + "\U000e007f" for code in ("gbeng", "gbsct", "gbwls")
)
_PATTERN = regex.compile(
    rf"""
    (?P<keep> {_FLAGS}
      | {_PICTURE}(?:\u200D{_PICTURE})*
      | [0-9#*]\uFE0F\u20E3
      | (?<={_LETTER})[\u200C\u200D](?={_LETTER})
      | (?<=\p{{Script=Mongolian}})[\u180B-\u180D\u180F]
      | \p{{Prepended_Concatenation_Mark}}
      | \n )
    | (?P<break> \r\n? | [\u0085\u2028\u2029] )
    | (?P<blank> [\t\v\f\x1C-\x1F] )
    | (?P<drop> [\p{{Cf}}\p{{Cc}}\p{{Cs}}\p{{Default_Ignorable_Code_Point}}] )
    """,
    regex.VERBOSE | regex.VERSION1,
)


def visible_only(text: str) -> str:
    """The text without characters that nobody sees; see the module's text."""
    if text.isascii() and text.isprintable():
        return text
    result: str = _PATTERN.sub(_kept, text)
    return result


def _kept(found: regex.Match[str]) -> str:
    if found.lastgroup == "keep":
        return str(found[0])
    return {"break": "\n", "blank": " "}.get(found.lastgroup or "", "")
