"""Letters of other scripts that are drawn alike, written in the script of their word.

Step 4 of the sanitiser: Unicode Technical Standard 39, word by word, and only in words that mix scripts. The plain
skeleton of that standard is meant for comparing and not for reading: it turns every m into rn and every I into l. Here
a mixed word becomes the word *of one script* that has the same skeleton: letters of the other scripts are replaced by
letters of the word's main script out of the same class of confusables; letters without such a twin stay.

What counts as mixed follows the level "highly restrictive" of the same standard: Latin beside Japanese, Chinese or
Korean is common and stays. The table of confusables is that of the package `confusable-homoglyphs` (data of Unicode).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import cache

import regex
from confusable_homoglyphs import confusables

_WORD = regex.compile(r"[\p{L}\p{M}\p{N}_\u200C\u200D]+")
_EAST_ASIAN = ("Han", "Hiragana", "Katakana", "Bopomofo", "Hangul")
_SCRIPT = regex.compile(
    "|".join(
        rf"(?P<{name}>\p{{Script={name}}})"
        for name in (
            *("Latin", "Cyrillic", "Greek", "Armenian", "Hebrew", "Arabic", "Devanagari", "Georgian", "Cherokee"),
            *("Coptic", "Lisu", "Canadian_Aboriginal", "Glagolitic", "Thai", "Lao", "Ethiopic", "Tifinagh", "Vai"),
            *("Bamum", "Deseret", "Osage", "Gothic", "Runic", "Old_Italic", "Warang_Citi", "Myanmar", "Malayalam"),
            *("Kannada", "Telugu", "Tamil", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Sinhala", "Khmer", "Nko"),
            *_EAST_ASIAN,
        )
    )
)

_ORDINARY = {
    "Latin": regex.compile("[A-Za-z]"),
    "Greek": regex.compile("[\u0391-\u03c9]"),
    "Cyrillic": regex.compile("[\u0400-\u045f]"),
}
"""Letters that a word may be given. The others, those of phoneticians and of old books, are what nobody meant."""
_ANY = regex.compile("")


def one_script(text: str) -> str:
    """The text with every word that mixes scripts written in one, where its look allows that."""
    if text.isascii():
        return text
    result: str = _WORD.sub(lambda found: _word(found[0]), text)
    return result


def skeleton_class(character: str) -> frozenset[str]:
    """The single characters that Unicode counts as confusable with this one, itself included.

    Every character has one prototype, and those with the same prototype are a class.
    """
    near = _neighbours(character)
    return frozenset({character, *near, *(other for one in near for other in _neighbours(one))})


def _word(word: str) -> str:
    if word.isascii():
        return word
    letters = unicodedata.normalize("NFD", word)
    scripts = Counter(script for letter in letters if (script := script_of(letter)) is not None)
    if len(scripts) < 2 or _usual(scripts):
        return word
    main = _main(letters, scripts)
    folded = "".join(_twin(letter, main) for letter in letters)
    return unicodedata.normalize("NFC", folded)


def _main(letters: str, scripts: Counter[str]) -> str:
    """The script that can write the whole word, Latin before others; where none can, the one of most letters."""
    whole = [s for s in scripts if all(script_of(_twin(letter, s)) in {None, s} for letter in letters)]
    return "Latin" if "Latin" in whole else max(whole or scripts, key=lambda s: scripts[s])


def _usual(scripts: Counter[str]) -> bool:
    """Whether these scripts are written together by everybody: Latin with Japanese, Chinese or Korean."""
    east = set(scripts) & set(_EAST_ASIAN)
    return bool(east) and set(scripts) <= {"Latin", *_EAST_ASIAN}


@cache
def script_of(character: str) -> str | None:
    """The script of a letter; None for what all scripts share, and for scripts that nobody mistakes for another."""
    if not character.isalpha():
        return None
    found = _SCRIPT.match(character)
    return None if found is None else found.lastgroup


@cache
def _twin(letter: str, script: str) -> str:
    """The letter of `script` that looks like this one: of the same kind (case) if there is one, else itself."""
    if script_of(letter) in {None, script}:
        return letter
    kind = unicodedata.category(letter)
    twins = [
        other
        for other in skeleton_class(letter)
        if script_of(other) == script
        and unicodedata.category(other) == kind
        and _ORDINARY.get(script, _ANY).match(other)
    ]
    return min(twins, key=ord) if twins else letter


@cache
def _neighbours(character: str) -> tuple[str, ...]:
    listed = confusables.confusables_data.get(character, ())
    return tuple(entry["c"] for entry in listed if len(entry["c"]) == 1)
