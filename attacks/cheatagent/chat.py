"""A chat API as the agent: no weights, no gradient, so it reflects by text.

A random title takes the place of a random prefix, and a list of what was tried, with its labels, that of a tuned one.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from attacks.cheatagent import prompts
from attacks.cheatagent.agent import Candidate, Propose, Question, Reflect, Task
from audit.errors import ConfigError, TargetUnavailable
from audit.types import Answer, Catalog, Item

if TYPE_CHECKING:
    import numpy as np

_REMEMBERED = 40
"""Earlier answers that are told again: what is older was said by a policy that is no more."""
_AT_ONCE = 8
_ATTEMPTS = 4


@dataclass(frozen=True)
class Told:
    """A policy in words.

    Attributes:
        hint: a random title.
        tried: earlier answers with their labels, oldest first.
    """

    hint: str = ""
    tried: tuple[tuple[str, float], ...] = ()


class ChatAgent:
    """Asks a chat model through the client of `audit.targets.openai`.

    Args:
        catalog: the items it may name.
        model: name under which the server knows the model.
        base_url: address of the API; None for OpenAI's.
        api_key_env: environment variable that holds the key.
        temperature: of its answers; 0 repeats itself, which makes runs alike.
        max_tokens: longest answer.
        timeout_s: longest time for one call.

    Attributes:
        replies: how many came.
        unreadable: how many of them held nothing that could be inserted.

    Raises:
        ConfigError: there is no model's name.
        TargetError: address or key cannot be used.
    """

    def __init__(
        self,
        catalog: Catalog,
        model: str = "",
        *,
        base_url: str | None = None,
        api_key_env: str | None = None,
        temperature: float | None = 0.0,
        max_tokens: int | None = 300,
        timeout_s: float = 120.0,
    ) -> None:
        from audit.grounding import Grounder
        from audit.targets.openai import OPENAI_URL, OpenAITarget

        if not model:
            raise ConfigError("agent.model: missing; give the name under which the server knows the model")
        self._api = OpenAITarget(
            model,
            base_url=base_url or OPENAI_URL,
            api_key_env=api_key_env,
            temperature=temperature,
            max_tokens=max_tokens,
            timeout_s=timeout_s,
        )
        self._catalog = catalog
        self._grounder = Grounder(catalog)
        self.replies = 0
        self.unreadable = 0

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Told, ...]:
        """Random hints."""
        items = self._catalog.items_in_order
        if not items:
            return (Told(),) * count
        return tuple(Told(items[i].title) for i in rng.integers(len(items), size=count))

    def reflect(self, tasks: Sequence[Reflect]) -> Told:
        """What was said, with its labels, becomes part of the next prompt."""
        policy: Told = tasks[0].policy
        new = [
            (c.what.title if isinstance(c.what, Item) else c.what, weight)
            for task in tasks
            for c, weight in zip(task.candidates, task.weights, strict=True)
        ]
        known = dict(policy.tried)
        known.update(new)
        return replace(policy, tried=tuple(known.items())[-_REMEMBERED:])

    def together(self, jobs: Sequence[Sequence[Task]]) -> list[list[Any]]:
        """See `Agent`; calls of all users are under way at the same time."""
        asks = [
            (task.question, policy, task.count)
            for tasks in jobs
            for task in tasks
            if isinstance(task, Propose)
            for policy in task.policies
        ]
        distinct = list(dict.fromkeys(asks))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            said = dict(zip(distinct, pool.map(self._ask, distinct), strict=True))
        self.replies += len(said)
        self.unreadable += sum(not found for found in said.values())
        return [
            [
                self.reflect([task])
                if isinstance(task, Reflect)
                else [said[task.question, policy, task.count] for policy in task.policies]
                for task in tasks
            ]
            for tasks in jobs
        ]

    def _ask(self, asked: tuple[Question, Told, int]) -> list[Candidate]:
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

        question, policy, count = asked
        prompt = prompts.for_chat(question.prompt, question.kind, count, policy.hint, policy.tried)
        messages = [{"role": "system", "content": prompts.CHAT_SYSTEM}, {"role": "user", "content": prompt}]
        again = Retrying(
            retry=retry_if_exception_type(TargetUnavailable),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(max=20),
            reraise=True,
        )
        return self._read(again(self._api.reply, messages), question)[:count]

    def _read(self, answer: Answer, question: Question) -> list[Candidate]:
        """What a reply offers for insertion: ids of the catalogue that may be named, or words."""
        if answer.outcome != "ok" or not answer.text:
            return []
        if question.kind == "item":
            listed = self._grounder.ground_list(answer.text).ranked
            ids = dict.fromkeys(r.item_id for r in listed if r.item_id is not None and r.item_id not in question.banned)
            return [Candidate(self._catalog[i]) for i in ids]
        from audit.grounding import parse_list

        texts = [entry.title for entry in parse_list(answer.text, lambda _: False).entries] or [answer.text]
        words = [text.split()[0].strip("\"'“”‘’.,;:") for text in texts if len(text.split()) in (1, 2)]
        return [Candidate(word) for word in dict.fromkeys(words) if word and word.isprintable()]
