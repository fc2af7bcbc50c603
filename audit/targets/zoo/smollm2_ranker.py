"""SmolLM2-135M-Instruct as a zero-shot recommender: listwise by labels, and in free text.

The way of Hou et al., "Large Language Models are Zero-Shot Rankers for Recommender Systems", ECIR 2024: history and
candidates go into the prompt and nothing is trained. A model this small ranks little better than chance and invents
films freely: it is a target with real flaws to find, not a good recommender.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.targets.prompts import Template
from audit.types import Task

if TYPE_CHECKING:
    from audit.targets.hf import HFTarget
    from audit.types import Catalog

INSTRUCTIONS: dict[Task, str] = {
    "rank": "Here are the movies a person has watched. Choose the movie that this person should watch next.",
    "answer": "Recommend movies to someone who has watched and liked the movies below.",
}
PARAPHRASES: dict[Task, tuple[str, ...]] = {
    "rank": (
        "Below are the movies someone has watched. Pick the movie they should watch next.",
        "A person has watched the movies listed here. Which movie should this person watch next?",
        "Given the movies this person has watched, select the one they should see next.",
    ),
    "answer": (
        "Someone has watched and liked the movies below. Recommend movies to this person.",
        "Suggest movies for a person who has watched and liked the following ones.",
    ),
}
TEMPLATES: dict[Task, Template] = {
    "rank": Template.of_messages(
        (
            "user",
            "{{instruction}}"
            "{{?history}}\n\nWatched, oldest first:{{#history}}\n- {{title}}{{/history}}{{/history}}"
            "\n\nMovies to choose from:{{#candidates}}\n{{label}}. {{title}}{{/candidates}}"
            "\n\nAnswer with the letter of the best movie.",
        ),
        ("assistant", "The best movie is"),
    ),
    "answer": Template.of_messages(
        (
            "user",
            "{{instruction}}"
            "{{?liked}}\n\nLiked: {{#liked|; }}{{title}}{{/liked}}{{/liked}}"
            "{{?candidates}}\n\nMovies to choose from: {{#candidates|; }}{{title}}{{/candidates}}{{/candidates}}"
            "\n\nWrite {{k}} new titles as a numbered list.",
        ),
        # Without these words the model writes prose, or one line, about every third time.
        ("assistant", "Here are {{k}} movies that you have not seen yet:\n\n1."),
    ),
}


def build(
    catalog: Catalog | None = None,
    *,
    max_new_tokens: int = 80,
    temperature: float = 0.0,
    top_p: float = 1.0,
    batch_size: int = 32,
    dtype: str | None = None,
) -> HFTarget:
    """The zero-shot ranker.

    Args:
        catalog: where the titles it writes are looked up; None for the items of the request alone.
        max_new_tokens: longest free text; 80 hold about seven titles.
        temperature: of free text; 0 for the likeliest token each time.
        top_p: share of the probability that tokens of free text are drawn from; 1 for all of it.
        batch_size: requests taken, and texts written, at once.
        dtype: of weights and activations; by default bfloat16 where the processor is fast at it.

    Raises:
        AssetError: the model cannot be fetched.
    """
    from audit.targets.hf import HFTarget
    from audit.targets.zoo import smollm2

    return HFTarget(
        smollm2.folder(),
        catalog=catalog,
        tasks=("rank", "answer"),
        rank_mode="labels",
        templates=TEMPLATES,
        instructions=INSTRUCTIONS,
        paraphrases=PARAPHRASES,
        expect_list=True,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        batch_size=batch_size,
        dtype=dtype,
        name="smollm2-ranker",
    )
