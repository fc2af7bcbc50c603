"""Free text to catalogue ids: one parser and one matcher for everybody.

- `normalise`: what two spellings of one title have in common.
- `parse_list`: the entries of a written list, with their place in the raw text; `is_refusal`.
- `Matcher`: whether a title is an item, by a rule that never lets a loose score decide existence.
- `Grounder`: the two joined, for whole answers, for lists of titles or ids, and for mentions in prose.
- `Tally`, `tally`: duplicates, foreign ids, repeats of the history, wrong lengths …, each counted apart.
"""

from audit.grounding.grounder import GroundedList, Grounder
from audit.grounding.matcher import Match, Matcher, MatchStatus
from audit.grounding.mentions import Mention
from audit.grounding.parser import Entry, ParsedList, Style, is_refusal, parse_list
from audit.grounding.tally import Tally, tally
from audit.grounding.titles import NormalisedTitle, normalise

__all__ = [
    "Entry",
    "GroundedList",
    "Grounder",
    "Match",
    "MatchStatus",
    "Matcher",
    "Mention",
    "NormalisedTitle",
    "ParsedList",
    "Style",
    "Tally",
    "is_refusal",
    "normalise",
    "parse_list",
    "tally",
]
