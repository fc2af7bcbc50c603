"""A fairness statement, where the target takes its orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files

import yaml

from audit.defense import Defended, DefenseInfo
from audit.edits import TextEdit, Zone, apply
from audit.errors import ConfigError
from audit.target import Input, Recommender, describe
from audit.types import Answer, Request, Turn


@cache
def statements() -> Mapping[str, str]:
    """The shipped statements by name; their sources stand beside them in `statements.yaml`."""
    held = yaml.safe_load(files("defenses.fairness").joinpath("statements.yaml").read_text("utf-8"))
    return {name: str(entry["text"]) for name, entry in held.items()}


class FairnessInstruction:
    """Tells the model not to use who asks: as a system turn where the target reads turns, else before the instruction.

    Args:
        wording: a shipped statement by name: `recommender` (ours), `unbiased` or `equal-treatment` (published).
        statement: words of one's own, in place of a shipped one.

    Raises:
        ConfigError: there is no such wording, or the statement is empty.
    """

    def __init__(self, *, wording: str = "recommender", statement: str | None = None) -> None:
        if wording not in statements():
            raise ConfigError(
                f"defenses.fairness-instruction.wording: {wording!r} must be one of {', '.join(statements())}"
            )
        if statement is not None and not statement.strip():
            raise ConfigError("defenses.fairness-instruction.statement: it is empty; give the words")
        self.statement = statements()[wording] if statement is None else statement

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="fairness-instruction",
            title="Told to treat all alike",
            why="The cheapest thing to try; whether it does anything is for the audit to say.",
            reference="Studied for recommenders by Deldjoo 2024 (arXiv 2401.10545); system role over prompt",
            family="prompt",
            guards=frozenset({Zone.USER}),
            needs=frozenset({Input.TURNS, Input.INSTRUCTION}),
            limits="A model that does not follow it, or follows it by recommending worse to everybody.",
            controls=("eu-ai-act:2024:art10",),
        )

    def protect(self, target: Recommender) -> Instructed:
        """The target, told so."""
        return Instructed(target, self)


class Instructed(Defended):
    """A target that is told to treat all alike."""

    def __init__(self, target: Recommender, defense: FairnessInstruction) -> None:
        super().__init__(target, defense.info, {"statement": defense.statement})
        self._statement = defense.statement
        self._by_turn = Input.TURNS in describe(target).honours

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> Sequence[Answer]:
        """Tell, then ask."""
        return self.ask([self.told(request) for request in requests], draws)

    def told(self, request: Request) -> Request:
        """The request with the statement, once."""
        if self._by_turn:
            turn = Turn("system", self._statement)
            return request if turn in request.turns else replace(request, turns=(turn, *request.turns))
        if request.instruction.startswith(self._statement):
            return request
        return apply([TextEdit("instruction", 0, 0, f"{self._statement} ")], request)
