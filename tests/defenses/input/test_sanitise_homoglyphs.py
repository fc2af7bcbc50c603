"""The sanitiser against the homoglyph attack; in a file of its own, because that attack imports a large library."""

from __future__ import annotations

import re

from attacks.textattack.homoglyphs import HomoglyphSwap, homoglyphs
from defenses.input.confusables import one_script
from defenses.input.sanitise import Sanitise

TITLES = ("Toy Story (1995)", "GoldenEye (1995)", "The Usual Suspects (1995)", "Twelve Monkeys (1995)")


def test_every_homoglyph_of_the_attack_is_undone_inside_a_latin_word() -> None:
    # Two are other letters to Unicode: palochka is listed as an i, and the Cyrillic Q not at all.
    beyond = {"\u04cf", "\u051a"}
    for latin, alike in homoglyphs().items():
        for letter in alike:
            word = f"Wz{letter}zg"
            assert (one_script(word) == f"Wz{latin}zg") == (letter not in beyond), f"{letter!r} for {latin}"


def test_the_outputs_of_the_homoglyph_attack_on_titles_are_undone() -> None:
    guard = Sanitise()
    tried = undone = 0
    for title in TITLES:
        for word in re.findall(r"[A-Za-z]{2,}", title):
            for swapped in HomoglyphSwap()._get_replacement_words(word):
                tried += 1
                undone += guard.clean(title.replace(word, swapped), "title").text == title
    lookalikes = sum(letter in "lQ" for title in TITLES for letter in title)
    assert tried > 40
    assert tried - undone == lookalikes  # only those two letters, see above
