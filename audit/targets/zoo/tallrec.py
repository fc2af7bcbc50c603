"""TALLRec in small: SmolLM2-135M-Instruct with a LoRA adapter that says whether a user will like a film.

Source: Bao et al., "TALLRec: An Effective and Efficient Tuning Framework to Align Large Language Model with
Recommendation", RecSys 2023. The score is P(Yes), the softmax over the two first-token logits of "Yes" and "No" at the
position after the prompt. How the shipped adapter was trained, and how good it is, stands in the model card beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from audit.targets.prompts import Template
from audit.types import Event, Item, Request, Task, User

if TYPE_CHECKING:
    from audit.targets.hf import HFTarget

ADAPTER = Path(__file__).parent / "weights" / "tallrec-ml100k"
ANSWERS = ("Yes", "No")
INSTRUCTION = (
    "Given the movies a user liked and disliked, say whether the user will like the next movie. Answer Yes or No."
)
PARAPHRASES = (
    "Here are the movies someone liked and disliked. Will this person like the movie below? Answer Yes or No.",
    "From the user's liked and disliked movies, decide if they will enjoy the next one. Reply with Yes or No.",
    "Predict whether the user will like the movie named last, given which movies they liked and disliked. "
    "Answer Yes or No.",
)
TEMPLATE = Template.plain(
    "{{instruction}}\n\n"
    "Liked: {{#liked|; }}{{title}}{{/liked}}{{^liked}}none{{/liked}}\n"
    "Disliked: {{#disliked|; }}{{title}}{{/disliked}}{{^disliked}}none{{/disliked}}\n"
    "Movie: {{#candidate}}{{title}}{{/candidate}}\n"
    "Answer:"
)


def question(user: str, history: tuple[Event, ...], targets: tuple[Item, ...]) -> Request:
    """The request that asks about each of the targets, in the wording the adapter was trained with."""
    return Request(User(user, history), task="score", instruction=INSTRUCTION, candidates=targets)


def build(adapter: str | Path | None = None, *, dtype: str | None = None) -> HFTarget:
    """The yes/no recommender.

    Args:
        adapter: folder of another adapter, such as one that `recaudit train tallrec` wrote; None for the shipped one.
        dtype: of weights and activations; by default bfloat16 where the processor is fast at it.

    Raises:
        AssetError: the base model cannot be fetched.
        TargetError: the adapter cannot be loaded.
    """
    from audit.targets.hf import HFTarget
    from audit.targets.zoo import smollm2

    tasks: tuple[Task, ...] = ("score", "rank")
    return HFTarget(
        smollm2.folder(),
        adapter=ADAPTER if adapter is None else adapter,
        tasks=tasks,
        rank_mode="score",
        templates=dict.fromkeys(tasks, TEMPLATE),
        instructions=dict.fromkeys(tasks, INSTRUCTION),
        paraphrases=dict.fromkeys(tasks, PARAPHRASES),
        answers=ANSWERS,
        dtype=dtype,
        name="tallrec",
    )
