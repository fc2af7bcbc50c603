"""The prompts a local language model is asked with, unless the user brings others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast, get_args

from audit.errors import ConfigError
from audit.targets.prompts import Role, Template
from audit.types import TASKS, Task

RankMode = Literal["labels", "generate", "score", "likelihood"]
"""How a ranking is read from the model: see `audit.targets.hf`."""

TemplateSource = Template | str | Sequence[Mapping[str, str]] | Mapping[str, Any]
"""A template; its text (one user message of a chat); its messages as `{role: …, content: …}`; or a mapping of
`messages`, or of `plain` (text for a model without a chat template), with `like_above` if 3 is not the threshold."""

INSTRUCTIONS: Mapping[Task, str] = {
    "rank": "Recommend what this person will want next, judging from what they chose before.",
    "score": "Will this person like the item below? Judge from what they chose before.",
    "answer": "Explain to this person in a few sentences why these items suit them.",
}
PARAPHRASES: Mapping[Task, tuple[str, ...]] = {
    "rank": (
        "Look at what this person chose before and recommend what they will want next.",
        "Based on their earlier choices, recommend what this person will want next.",
    ),
    "score": (
        "Judging from what they chose before, will this person like the item below?",
        "Look at this person's earlier choices. Will they like the item below?",
    ),
    "answer": ("In a few sentences, tell this person why these items suit them.",),
}
_CONTEXT = (
    "{{?history}}\n\nChosen before, oldest first:"
    "{{#history}}\n- {{title}}{{?rating}} (rated {{rating}}){{/rating}}{{/history}}{{/history}}"
    "{{?note}}\n\nIn their own words: {{note}}{{/note}}"
    "{{?passages}}\n\nBackground:{{#passages}}\n- {{text}}{{/passages}}{{/passages}}"
)
_CHOICES = (
    "{{?candidates}}\n\nItems to choose from:{{#candidates}}\n%s{{title}}{{?text}}: {{text}}{{/text}}{{/candidates}}"
    "{{/candidates}}"
)
TEMPLATES: Mapping[Task | RankMode, Template] = {
    "labels": Template.of_messages(
        ("turns", ""),
        (
            "user",
            "{{instruction}}" + _CONTEXT + _CHOICES % "{{label}}. " + "\n\nAnswer with the letter of the best item.",
        ),
        ("assistant", "The best item is"),
    ),
    "likelihood": Template.of_messages(
        ("turns", ""),
        ("user", "{{instruction}}" + _CONTEXT + "\n\nAnswer with the title of the best item."),
        ("assistant", "The best item is"),
    ),
    "generate": Template.of_messages(
        ("turns", ""),
        (
            "user",
            "{{instruction}}" + _CONTEXT + _CHOICES % "- " + "\n\nWrite {{k}} titles as a numbered list, best first.",
        ),
    ),
    "score": Template.of_messages(
        ("turns", ""),
        (
            "user",
            "{{instruction}}" + _CONTEXT + "\n\nItem: {{#candidate}}{{title}}{{?text}}: {{text}}{{/text}}{{/candidate}}"
            "\n\nAnswer with one word, Yes or No.",
        ),
    ),
    "answer": Template.of_messages(("turns", ""), ("user", "{{instruction}}" + _CONTEXT + _CHOICES % "- ")),
}


def choose(tasks: Sequence[Task], rank_mode: RankMode, given: Mapping[Task, TemplateSource]) -> dict[Task, Template]:
    """The template of each task: the user's, or the default.

    Args:
        tasks: what the target offers.
        rank_mode: decides the default of `rank`.
        given: the user's, by task.

    Raises:
        ConfigError: an unknown task, a malformed message or a malformed tag.
    """
    unknown = set(given) - set(TASKS)
    if unknown:
        raise ConfigError(f"target.templates: {min(unknown)!r} is not a task; use {', '.join(TASKS)}")
    return {
        task: _template(given[task], f"target.templates.{task}")
        if task in given
        else TEMPLATES[rank_mode if task == "rank" else task]
        for task in tasks
    }


def _template(source: TemplateSource, where: str) -> Template:
    if isinstance(source, Template):
        return source
    if not isinstance(source, Mapping):
        return _chat(source, 3.0, where)
    like_above = source.get("like_above", 3.0)
    if set(source) - {"like_above"} == {"plain"}:
        return Template.plain(str(source["plain"]), like_above=like_above)
    if set(source) - {"like_above"} == {"messages"}:
        return _chat(source["messages"], like_above, where)
    raise ConfigError(f"{where}: it needs either `messages:` or `plain:`, and nothing else but `like_above:`")


def _chat(source: str | Sequence[Mapping[str, str]], like_above: float, where: str) -> Template:
    if isinstance(source, str):
        return Template.of_messages(("user", source), like_above=like_above)
    try:
        messages = [(cast(Role, m["role"]), m["content"]) for m in source]
    except (KeyError, TypeError):
        raise ConfigError(f"{where}: each message needs `role:` and `content:`") from None
    for role, _ in messages:
        if role not in get_args(Role):
            raise ConfigError(f"{where}: role {role!r} must be one of {', '.join(get_args(Role))}")
    return Template.of_messages(*messages, like_above=like_above)
