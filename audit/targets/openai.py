"""A language model behind an OpenAI-compatible API, asked through the official client.

Works with any server that speaks `POST {base_url}/chat/completions`: hosted APIs, vLLM, llama.cpp, Ollama,
`transformers serve`. The prompt comes from a template, ranked items are parsed from the text, and with `logprobs` a
candidate is scored by the probability of "Yes" against "No" as the first word of the answer.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import openai

from audit.errors import RecAuditError, TargetError, TargetUnavailable
from audit.redaction import redact
from audit.target import Insight, Rendered, TargetInfo
from audit.targets import wire
from audit.targets.chat_reply import NO_USAGE, Reply, events, from_chunks, from_completion, yes_probability
from audit.targets.prompts import Template
from audit.targets.wrap import ItemReader, unparsable, unsupported
from audit.types import Answer, Catalog, Ranked, Request, Task, Usage, canonical_json

OPENAI_URL = "https://api.openai.com/v1"

INSTRUCTIONS: Mapping[Task, str] = {
    "rank": "Recommend what this person will want next, judging from what they chose before.",
    "score": "Will this person like the item below? Judge from what they chose before.",
    "answer": "Explain to this person in a few sentences why these items suit them.",
}
PARAPHRASES: Mapping[Task, tuple[str, ...]] = {
    "rank": (
        "Look at what this person chose before and recommend what they will want next.",
        "Based on their earlier choices, recommend the items this person will want next.",
    ),
    "score": (
        "Judging from what they chose before, will this person like the item below?",
        "Look at this person's earlier choices. Will they like the item below?",
    ),
    "answer": ("In a few sentences, tell this person why these items suit them.",),
}
_CONTEXT = (
    "{{?history}}\n\nChosen before, oldest first:\n"
    "{{#history}}- {{title}}{{?rating}} (rated {{rating}}){{/rating}}\n{{/history}}{{/history}}"
    "{{?note}}\n\nIn their own words: {{note}}{{/note}}"
    "{{?passages}}\n\nBackground:\n{{#passages}}- {{text}}\n{{/passages}}{{/passages}}"
)
_CHOICES = (
    "{{?candidates}}\n\nItems to choose from:\n"
    "{{#candidates}}- {{title}}{{?text}}: {{text}}{{/text}}\n{{/candidates}}{{/candidates}}"
)
TEMPLATES: Mapping[Task, Template] = {
    "rank": Template.of_messages(
        ("turns", ""),
        (
            "user",
            "{{instruction}}"
            + _CONTEXT
            + _CHOICES
            + "\n\nWrite {{k}} titles as a numbered list, best first, exactly as "
            "they are written above if they are given, and nothing else.",
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
    "answer": Template.of_messages(("turns", ""), ("user", "{{instruction}}" + _CONTEXT + _CHOICES)),
}

_TOO_LONG = re.compile(r"context[ _](length|window|size)|too many tokens|maximum.{0,20}tokens", re.IGNORECASE)
_FILTERED = ("content_filter", "content_policy_violation")


class OpenAITarget(wire.Closing):
    """A chat model that recommends from a prompt.

    Args:
        model: name under which the server knows the model.
        base_url: address of the API, usually ending in `/v1`.
        catalog: where titles are looked up.
        api_key_env: environment variable that holds the key; None for a server without keys. For the default address
            it is `OPENAI_API_KEY`.
        templates: your own prompts by task, the first being what the model is used for; a string becomes one user
            message. Only these tasks are offered then.
        temperature: 0 for the most likely answer; None leaves it out of the call, for models that refuse it.
        seed: passed on if given. With a temperature above 0 a fixed seed makes repeats alike, so the noise floor of a
            repeated question can only be measured without one.
        max_tokens: longest answer.
        stream: whether answers are streamed; `auto` starts without and follows a server that streams all the same.
        logprobs: whether the server returns `top_logprobs`; without, the task `score` is not offered.
        top_logprobs: how many alternatives to ask for (OpenAI allows 20).
        extra: further fields of the call, such as `{"max_completion_tokens": 500}`.
        timeout_s: longest time for one call.
        max_response_bytes: longest response that is read.
        name: for reports; the model's name by default.
        version: change it when the server's model changes behind the same name.

    Raises:
        TargetError: the URL, the environment variable or the templates cannot be used.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str = OPENAI_URL,
        catalog: Catalog | None = None,
        api_key_env: str | None = None,
        templates: Mapping[Task, Template | str] | None = None,
        temperature: float | None = 0.0,
        seed: int | None = None,
        max_tokens: int | None = 512,
        stream: Literal["auto"] | bool = "auto",
        logprobs: bool = False,
        top_logprobs: int = 20,
        extra: Mapping[str, Any] | None = None,
        timeout_s: float = 120.0,
        max_response_bytes: int = wire.MAX_RESPONSE_BYTES,
        name: str | None = None,
        version: str | None = None,
    ) -> None:
        self.base_url = wire.check_url(base_url, "target.base_url")
        self.model = model
        self._reader = ItemReader(catalog)
        self._templates = {
            task: Template.of_messages(("user", template)) if isinstance(template, str) else template
            for task, template in (templates or TEMPLATES).items()
            if templates or logprobs or task != "score"
        }
        if "score" in self._templates and not logprobs:
            raise TargetError("target.templates.score: scoring needs a server that returns them; set logprobs: true")
        self._streams = stream is True
        self._follow = stream == "auto"
        self._asks_usage = True
        self._top_logprobs = top_logprobs
        self._timeout_s = timeout_s
        options = {"temperature": temperature, "seed": seed, "max_tokens": max_tokens}
        self._decoding = {key: value for key, value in options.items() if value is not None}
        self._extra = dict(extra or {})

        is_openai = urlsplit(self.base_url).hostname == urlsplit(OPENAI_URL).hostname
        if api_key_env is None and is_openai:
            api_key_env = "OPENAI_API_KEY"
        self._secrets = wire.Secrets({"Authorization": api_key_env} if api_key_env else {})
        self._client = wire.make_client(self.base_url, timeout_s=timeout_s, max_response_bytes=max_response_bytes)
        self._api = openai.OpenAI(
            base_url=self.base_url,
            api_key=self._secrets.headers().get("Authorization", "none"),
            max_retries=0,  # the gateway retries, within the budget
            timeout=timeout_s,
            # At runtime httpx and its fork httpx2 both do; the annotation names the one the release is built on.
            http_client=cast(Any, self._client),
        )
        if not is_openai:  # the client takes these from the environment; they are none of another server's business
            self._api.organization = None
            self._api.project = None

        tasks = tuple(self._templates)
        sources = {task: template.source for task, template in self._templates.items()}
        identity = ["openai", self.base_url, model, sources, self._decoding, self._extra, top_logprobs, version]
        self.info = TargetInfo(
            name=name or model,
            tasks=tasks,
            # Only what every prompt reads: an edit of anything else would not reach some of the tasks.
            honours=frozenset.intersection(*(template.honours for template in self._templates.values())),
            reveals=frozenset({Insight.SCORES}) if logprobs else frozenset(),
            instructions={task: INSTRUCTIONS[task] for task in tasks},
            paraphrases={task: PARAPHRASES[task] for task in tasks},
            fingerprint=hashlib.sha256(canonical_json(identity).encode()).hexdigest(),
            batch_size=1,
            concurrent=True,
            remote=not wire.is_loopback(self.base_url),
        )

    def __repr__(self) -> str:
        return f"OpenAITarget({self.model!r}, base_url={self.base_url!r})"

    def render(self, request: Request) -> Rendered:
        """The messages as one text, each after a line with its role; for `score`, those about the first candidate."""

        def frame(roles: Sequence[str]) -> list[str]:
            return [f"[{roles[0]}]\n", *(f"\n[{role}]\n" for role in roles[1:]), ""]

        return self._templates[request.task].render(request, candidate=0, frame=frame)

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """One call per request, or per candidate for the task `score`."""
        return [self._answer(request) for request in requests]

    def reply(self, messages: Sequence[Mapping[str, str]]) -> Answer:
        """What the model replies to messages of your own (`role`, `content`), as an answer with its text alone.

        For whoever uses the model for something else than recommending; raises what `recommend` raises.
        """
        reply = self._ask([dict(message) for message in messages], {})
        return reply.outcome or Answer(text=reply.text, usage=reply.usage)

    def _answer(self, request: Request) -> Answer:
        if request.task not in self.info.tasks:
            return unsupported(request.task, self.info.tasks)
        if request.task == "score":
            return self._score(request)
        reply = self._ask(self._messages(request, None), {})
        if reply.outcome is not None:
            return reply.outcome
        if request.task == "answer":
            return Answer(text=reply.text, usage=reply.usage)
        answer = self._reader.text(reply.text, request)
        detail = answer.detail
        if answer.outcome == "unparsable" and reply.finish_reason == "length":
            detail += "; the text was cut off at max_tokens"
        return Answer(answer.ranked, reply.text, answer.outcome, detail, reply.usage)

    def _score(self, request: Request) -> Answer:
        ranked: list[Ranked] = []
        usage = NO_USAGE
        options = {"max_tokens": 1, "logprobs": True, "top_logprobs": self._top_logprobs}
        for index, item in enumerate(request.candidates or ()):
            reply = self._ask(self._messages(request, index), options)
            usage += reply.usage
            if reply.outcome is not None:
                return reply.outcome
            if not reply.first_token:
                return unparsable("the server returned no logprobs; set logprobs: false", text=reply.text, usage=usage)
            score = yes_probability(reply.first_token)
            if score is None:
                return unparsable(
                    f"neither Yes nor No is among the {len(reply.first_token)} likeliest first words for {item.id!r}",
                    text=reply.text,
                    usage=usage,
                )
            ranked.append(Ranked(item.id, item.title, score))
        return Answer(tuple(ranked), usage=usage)

    def _messages(self, request: Request, candidate: int | None) -> list[dict[str, str]]:
        roles: list[str] = []
        marks: list[str] = []

        def frame(given: Sequence[str]) -> list[str]:
            roles.extend(given)
            # Marks are found again by identity, so that no text of a request can be taken for one.
            marks.extend(f"[{position}]" for position in range(len(given) + 1))
            return marks

        contents: list[str] = []
        for piece in self._templates[request.task].pieces(request, candidate=candidate, frame=frame):
            if any(piece.text is mark for mark in marks):
                contents.append("")
            else:
                contents[-1] += piece.text
        return [{"role": r, "content": c.strip()} for r, c in zip(roles, contents, strict=False) if c.strip()]

    def _ask(self, messages: list[dict[str, str]], options: Mapping[str, Any]) -> Reply:
        started = time.perf_counter()
        try:
            reply = self._call(messages, {**self._decoding, **options})
        except (openai.OpenAIError, RecAuditError, ValueError, RecursionError) as error:
            failure = self._failure(error)
            if isinstance(failure, RecAuditError):
                # `from None`: the client's errors hold the request, and with it the key.
                raise failure from None
            reply = Reply(outcome=failure)
        usage = Usage(reply.usage.prompt_tokens, reply.usage.completion_tokens, time.perf_counter() - started)
        text, refusal = redact(reply.text), redact(reply.refusal)
        outcome = reply.outcome
        if outcome is None and (refusal or reply.finish_reason == "content_filter"):
            detail = wire.excerpt(refusal) or "the server's content filter stopped the answer"
            outcome = Answer(text=text or refusal, outcome="refused", detail=detail, usage=usage)
        return Reply(text, reply.finish_reason, refusal, usage, reply.first_token, outcome)

    def _call(self, messages: list[dict[str, str]], options: Mapping[str, Any]) -> Reply:
        call: dict[str, Any] = {"model": self.model, "messages": messages, **options, "extra_body": self._extra or None}
        if not self._streams:
            response: Any = self._api.chat.completions.create(**call)
            if isinstance(response, openai.BaseModel):
                return from_completion(response.model_dump(warnings=False))
            response = response if isinstance(response, str) else repr(response)
            # The server streams although it was not asked to: the client hands over the raw event text.
            if not (self._follow and response.lstrip().startswith("data:")):
                raise TargetError(
                    f"{self.base_url}: the response is not a chat completion "
                    f"({wire.excerpt(response)!r}); base_url must be the API's, often ending in /v1"
                )
            self._streams = True
            return from_chunks(events(response), self.base_url)
        if self._asks_usage:
            try:
                return self._stream({**call, "stream_options": {"include_usage": True}})
            except openai.APIStatusError as error:
                if error.status_code not in (400, 422) or "stream_options" not in _said(error):
                    raise
                self._asks_usage = False  # an older server; it will not count tokens for us
        return self._stream(call)

    def _stream(self, call: dict[str, Any]) -> Reply:
        with self._api.chat.completions.create(**call, stream=True) as chunks:
            return from_chunks(
                (chunk.model_dump(warnings=False) for chunk in chunks if isinstance(chunk, openai.BaseModel)),
                self.base_url,
            )

    def _failure(self, error: Exception) -> RecAuditError | Answer:
        """What an error means: the failure to raise, or an answer where only this request is at fault."""
        where = f"POST {self.base_url}/chat/completions"
        cause = error.__cause__
        if isinstance(error, RecAuditError):
            return error
        if isinstance(cause, RecAuditError):  # raised by our own limits, inside the client
            return cause
        if isinstance(error, ValueError | RecursionError):  # the client lets errors of its JSON parser through
            said = wire.excerpt(str(error))
            return TargetError(f"{where}: the response is not JSON ({said}); is base_url that of the API?")
        if isinstance(error, openai.APITimeoutError):
            return wire.timed_out(where, self._timeout_s)
        if isinstance(error, openai.APIStatusError):
            said = _said(error)
            if error.status_code == 400 and (error.code == "context_length_exceeded" or _TOO_LONG.search(said)):
                return Answer(outcome="error", detail=f"the prompt is too long: {wire.excerpt(said)}")
            if error.status_code == 400 and error.code in _FILTERED:
                return Answer(outcome="refused", detail=wire.excerpt(said))
            if error.code == "insufficient_quota":  # a 429 that no waiting mends
                return TargetError(f"{where}: the account's quota is used up: {wire.excerpt(said)}")
            return wire.from_status(
                error.status_code,
                where,
                said=said,
                retry_after=error.response.headers.get("retry-after"),
                secrets=self._secrets,
            )
        if isinstance(error, openai.APIConnectionError):
            return TargetUnavailable(f"{where}: nothing answers at this address; is the server running?")
        return TargetUnavailable(f"{where}: {wire.excerpt(str(error))}")


def _said(error: openai.APIStatusError) -> str:
    message = error.body.get("message") if isinstance(error.body, dict) else None
    return message if isinstance(message, str) and message else error.response.text
