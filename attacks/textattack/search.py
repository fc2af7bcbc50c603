"""TextAttack's searches under the harness: one user's search as a generator of questions."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attacks.textattack.dialogue import Ask, dialogue
from attacks.textattack.dice import Dice
from attacks.textattack.fields import Fields, fields_of
from audit.attack import AttackInfo, Probe, Scouting, Search, Steps, ThreatModel
from audit.edits import Zone
from audit.errors import AttackError, RecAuditError
from audit.target import Input

if TYPE_CHECKING:
    from attacks.textattack.goal import RaiseLoss
    from attacks.textattack.wrapper import Query, Target

READS = frozenset({Input.INSTRUCTION, Input.NOTE, Input.ITEM_TEXT})
WRITES = frozenset({Zone.OPERATOR, Zone.USER, Zone.SELLER})


@dataclass(frozen=True)
class Recipe(Search):
    """A recipe of TextAttack, run on the text that an adversary can write and the target reads.

    Attributes:
        words: how many words may change; the papers' own limits are far wider, but attacks compare at one number.
    """

    words: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.words < 1:
            raise ValueError(f"words: {self.words} must be at least 1")

    @abstractmethod
    def build(self, goal: RaiseLoss, guards: Sequence[Any], text: str) -> Any:  # noqa: ANN401 - untyped library
        """The attack, as TextAttack's `Attack`.

        Args:
            goal: what it is after.
            guards: constraints that every recipe is held to.
            text: what is attacked.
        """

    def goal(self, target: Target) -> RaiseLoss:
        """What the search is after: the rise of the loss, unless a recipe wants something else."""
        from attacks.textattack.goal import RaiseLoss

        return RaiseLoss(target)

    def declare(self, **fields: Any) -> AttackInfo:  # noqa: ANN401 - the fields of AttackInfo
        """What all recipes declare alike, with what sets one apart."""
        threat = ThreatModel(WRITES, max_edits=self.words, max_queries=None, sees="scores")
        return AttackInfo(threat_model=threat, needs=READS, tasks=("rank", "score"), **fields)

    def search(self, probe: Probe) -> Steps:
        """Run the recipe on one user; ends with the best perturbed text that was seen, or with no edits.

        Texts that the recipe only learns from (a word left out or masked) are asked, but are no result.
        """
        fields = fields_of(probe.request, probe.info, self.words)
        if fields is None:
            return ()
        found: list[RaiseLoss] = []
        dice = Dice(probe.rng)

        def work(ask: Ask[Query]) -> None:
            self._work(fields, ask, probe, found)

        talk = dialogue(work, lambda: _apart(dice))
        answer: list[float] | None = None
        try:
            while True:
                query = talk.send(answer)
                tried = [fields.edits(text) for text in query.texts]
                answer = yield Scouting(tried) if query.scouting else tried
        except StopIteration:
            pass
        finally:
            talk.close()
        best = found[0].best if found else None
        return fields.edits(best[0]) if best is not None else ()

    def _work(self, fields: Fields, ask: Ask[Query], probe: Probe, found: list[RaiseLoss]) -> None:
        """TextAttack's side of the dialogue."""
        from attacks.textattack.guards import AtMostEdits, Unprotected
        from attacks.textattack.wrapper import BudgetSpent, Target

        goal = self.goal(Target(ask, lambda: probe.left, probe.rng))
        found.append(goal)
        try:
            self.build(goal, [Unprotected(), AtMostEdits(fields)], fields.text).attack(fields.text, 0)
        except BudgetSpent:
            return
        except (RecAuditError, MemoryError):
            raise
        except Exception as error:
            # An attack that broke is no attack that failed: it must not read as robustness.
            raise AttackError(
                f"attack {self.info.id}: TextAttack failed on the text {fields.text[:80]!r} "
                f"({type(error).__name__}: {error}); leave the attack out, or report this text"
            ) from error


@contextmanager
def _apart(dice: Dice) -> Iterator[None]:
    """The search's own random streams; and its library's warnings, on which no user of ours can act, go unheard."""
    with dice.rolled(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
