"""A causal language model on this machine as a recommender.

Four ways to read a recommendation from it, by task and mode:

- *yes/no* (`score`, or `rank` in the mode `score`): one prompt per candidate; the score is P(Yes), the softmax over the
  first-token logits of the two answers at the position after the prompt. The position is counted, never searched: a
  title may hold the word "Yes".
- *labels* (`rank` in the mode `labels`): the candidates are listed as A, B, …; the next-token logits of the labels, at
  one position, rank them all in one forward pass. The score is the log-probability among the labels.
- *titles* (`rank` in the mode `likelihood`): the log-probability of each candidate's title as the answer, all titles in
  one pass. `likelihood` says once per target whether tokens are summed, which favours short titles, or averaged, which
  favours long ones.
- *text* (`rank` in the mode `generate`, and `answer`): the likeliest text, or one drawn at random
  (`temperature`, `top_p`), read back into items by `audit.grounding`. Repeats of a question then differ.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from audit.errors import ConfigError, TargetError
from audit.target import Input, Insight, Rendered, TargetInfo, TokenMoments
from audit.targets import weights
from audit.targets.gradients import PromptGradients
from audit.targets.hf_templates import INSTRUCTIONS, PARAPHRASES, RankMode, TemplateSource, choose
from audit.targets.language_model import LanguageModel
from audit.targets.lm import CausalLM
from audit.targets.packing import Group
from audit.targets.promised import promised
from audit.targets.prompts import Piece, join, label
from audit.targets.sampling import Sampling
from audit.targets.seq2seq import Seq2SeqLM
from audit.targets.wrap import unparsable, unsupported
from audit.types import TASKS, Answer, Catalog, Ranked, Request, Task, Usage, User, canonical_json

if TYPE_CHECKING:
    import torch

    from audit.grounding import Grounder

_Mode = Literal["labels", "text", "yes-no", "titles"]
_RANK_MODES: Mapping[RankMode, _Mode] = {
    "labels": "labels",
    "generate": "text",
    "score": "yes-no",
    "likelihood": "titles",
}
_LABELS = 100
"""Labels that are tried; few vocabularies hold more of them as one token."""


@dataclass(frozen=True)
class _Asked:
    """The prompts of one request.

    Attributes:
        prompts: token ids: one prompt per candidate where the answer is yes or no, else one.
        lead: what stands before the answer's first word: nothing after white space, else a space.
    """

    prompts: Sequence[Sequence[int]]
    lead: str

    @property
    def tokens(self) -> int:
        """Tokens that are read; what the prompts share counts once."""
        return len(Group.of(self.prompts)) if all(self.prompts) else 0


class HFTarget(PromptGradients):
    """A local language model, asked through templates.

    A causal model, or an encoder-decoder model such as T5, for which `plain` templates are right. What the adapter's
    folder says about its training (`guarantee.json`, `members.json`) is declared, see `audit.guarantee.Promises`.

    Args:
        model: folder or hub name of the weights (safetensors, or GGUF with `gguf_file`), or a loaded model.
        catalog: where generated titles are looked up; None for the items of the request alone.
        tasks: what to offer, the main one first.
        rank_mode: how `rank` is read (see the module's text).
        likelihood: `mean` or `sum` of a title's log-probabilities, for the rank mode `likelihood`.
        templates: other prompts by task.
        instructions: default wording by task.
        paraphrases: other wordings of the same instructions.
        answers: the two words whose first tokens decide a yes/no prompt.
        expect_list: whether the text of `answer` should hold a list; then one without is `unparsable`.
        max_new_tokens: longest generated text.
        temperature: of generated text; 0 for the likeliest token each time. Above 0 the target is
            `audit.target.Randomised`. Scores are not drawn, so tasks that are read from scores never differ.
        top_p: share of the probability that tokens are drawn from, the likeliest first; 1 for all of it.
        batch_size: requests taken, and texts generated, at once.
        gguf_file: name of a GGUF file in `model`.
        adapter: folder of a PEFT adapter.
        revision: of the hub's repository.
        dtype: `float32`, `bfloat16` or `float16`; by default bfloat16 where the processor is fast at it.
        max_cache_bytes: bound of the cache of what prompts share; by default 512 MiB.
        name: for reports.

    Raises:
        TargetError: the model or adapter cannot be loaded, or cannot tell the answers apart.
        ConfigError: an option that cannot be used.
    """

    def __init__(
        self,
        model: str | Path | LanguageModel,
        *,
        catalog: Catalog | None = None,
        tasks: Sequence[Task] = TASKS,
        rank_mode: RankMode = "labels",
        likelihood: Literal["mean", "sum"] = "mean",
        templates: Mapping[Task, TemplateSource] | None = None,
        instructions: Mapping[Task, str] | None = None,
        paraphrases: Mapping[Task, Sequence[str]] | None = None,
        answers: Sequence[str] = ("Yes", "No"),
        expect_list: bool = False,
        max_new_tokens: int = 160,
        temperature: float = 0.0,
        top_p: float = 1.0,
        batch_size: int = 32,
        gguf_file: str | None = None,
        adapter: str | Path | None = None,
        revision: str | None = None,
        dtype: str | None = None,
        max_cache_bytes: int | None = None,
        name: str | None = None,
    ) -> None:
        self._given = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        _check_options(tasks, rank_mode, likelihood, answers, max_new_tokens, batch_size)
        self._templates = choose(tasks, rank_mode, templates or {})
        by_task: dict[Task, _Mode] = {"rank": _RANK_MODES[rank_mode], "score": "yes-no", "answer": "text"}
        self._modes = {task: by_task[task] for task in tasks}
        self._catalog = catalog
        self._answers = tuple(answers)
        self._expect_list = expect_list
        self._max_new_tokens = max_new_tokens
        # The range of top_p is checked even where it is not used: a mistake should not wait for a temperature.
        sampling = Sampling(temperature or 1.0, top_p)
        self._sampling = sampling if temperature and "text" in self._modes.values() else None
        self._batch_size = batch_size
        self._likelihood = likelihood
        if isinstance(model, LanguageModel):
            self.lm: LanguageModel = model
        else:
            source = {"gguf_file": gguf_file, "adapter": adapter, "revision": revision, "dtype": dtype}
            self.lm = language_model(weights.load(model, **cast(Any, source)), max_cache_bytes=max_cache_bytes)
        base = self.lm.identity.partition("+")[0]
        self.guarantee, self.members = (None, None) if adapter is None else promised(Path(adapter), base)
        self._first_tokens: dict[tuple[tuple[str, ...], str], tuple[int, ...]] = {}
        # Our paraphrases say what our instructions say, and not what somebody else's do.
        wordings = paraphrases or {t: p for t, p in PARAPHRASES.items() if t not in (instructions or {})}
        self.info = TargetInfo(
            # The last part of a path: where a folder lies on this machine does not belong into a report.
            name=name or (type(self).__name__ if isinstance(model, LanguageModel) else Path(model).name),
            tasks=tuple(tasks),
            honours=frozenset[Input]().union(*(t.honours for t in self._templates.values())),
            reveals=frozenset(
                {Insight.LOGPROBS}
                | ({Insight.SCORES} if set(self._modes.values()) - {"text"} else set())
                | ({Insight.GRADIENTS} if self._differentiable else set())
            ),
            instructions={task: (instructions or INSTRUCTIONS).get(task, INSTRUCTIONS[task]) for task in tasks},
            paraphrases={task: tuple(wordings.get(task, ())) for task in tasks},
            fingerprint=self._fingerprint(),
            needs_candidates="rank" in tasks and self._modes["rank"] != "text",
            max_candidates=self._most_labels() if "labels" in self._modes.values() else None,
            # Answers are stored batch by batch, so a small batch is what a kill can cost.
            batch_size=batch_size,
            randomised=self._sampling is not None,
        )

    def __repr__(self) -> str:
        return f"HFTarget({self.info.name!r}, tasks={self.info.tasks})"

    @property
    def notes(self) -> tuple[str, ...]:
        """What a report should say about how this model is asked, one sentence each."""
        titles = f"a title's score is the {self._likelihood} of its tokens' log-probabilities"
        said = [titles if "titles" in self._modes.values() else "", self.lm.note]
        return tuple(sentence for sentence in said if sentence)

    def _fingerprint(self) -> str | None:
        """Of weights files, templates, reading of answers, decoding, number type, and catalogue (where it is used)."""
        if not self.lm.identity:
            return None
        sources = {task: [mode, self._templates[task].source] for task, mode in self._modes.items()}
        # Written so that a target that draws nothing keeps the address under which its answers are stored.
        way = "greedy" if self._sampling is None else ["drawn", self._sampling.temperature, self._sampling.top_p]
        decoding = [way, self._max_new_tokens, self._expect_list, list(self._answers)]
        if "titles" in self._modes.values():
            decoding.append(self._likelihood)
        catalog = self._catalog.digest if self._catalog is not None and "text" in self._modes.values() else None
        parts = ["hf", self.lm.identity, sources, decoding, str(self.lm.dtype), catalog]
        return hashlib.sha256(canonical_json(parts).encode()).hexdigest()

    def render(self, request: Request) -> Rendered:
        """The prompt of a request.

        A yes/no request has one prompt per candidate: shown are the part they share, then what each adds behind it.
        """
        if self._modes.get(request.task) != "yes-no" or not request.candidates:
            return join(self._pieces(request, None))
        prompts = [self._pieces(request, i) for i in range(len(request.candidates))]
        shared = 0
        while all(shared < len(p) - 1 and p[shared] == prompts[0][shared] for p in prompts):
            shared += 1
        return join([*prompts[0][:shared], *(piece for p in prompts for piece in p[shared:])])

    def count_tokens(self, requests: Sequence[Request]) -> list[int]:
        """Prompt tokens of each request; what the prompts of one request share counts once."""
        return [asked.tokens for asked in self._encode(requests)]

    def logprobs(self, requests: Sequence[Request], continuations: Sequence[str]) -> list[list[float]]:
        """Log-probability in nats of each token of each continuation, given its request's prompt.

        Prompt and continuation are split into tokens apart. A yes/no request is asked about its first candidate.
        """
        prompts = [asked.prompts[0] for asked in self._encode(requests)]
        if not all(prompts):
            raise TargetError(f"{self.info.name}: a request has no prompt; it does: {', '.join(self.info.tasks)}")
        # Texts behind one prompt are one group, whose prompt is read once: a canary has dozens.
        groups: dict[tuple[int, ...], list[int]] = {}
        for i, prompt in enumerate(prompts):
            groups.setdefault(tuple(prompt), []).append(i)
        told = self.lm.encode(continuations)
        scores = self.lm.score_continuations(list(groups), [[told[i] for i in group] for group in groups.values()])
        found: dict[int, list[float]] = {}
        for group, row in zip(groups.values(), scores, strict=True):
            found.update(zip(group, (list(one.tokens) for one in row), strict=True))
        return [found[i] for i in range(len(prompts))]

    def token_moments(self, requests: Sequence[Request], continuations: Sequence[str]) -> list[TokenMoments]:
        """As `logprobs`, with the mean and spread over the vocabulary; see `audit.target.GivesTokenMoments`."""
        prompts = [asked.prompts[0] for asked in self._encode(requests)]
        if not all(prompts):
            raise TargetError(f"{self.info.name}: a request has no prompt; it does: {', '.join(self.info.tasks)}")
        return self.lm.token_moments(prompts, self.lm.encode(continuations))

    def with_adapter(self, adapter: Path | None) -> HFTarget | None:
        """The same target with another adapter or none, loaded anew; see `audit.target.Adapted`."""
        if self._given["adapter"] is None or isinstance(self._given["model"], LanguageModel):
            return None
        return HFTarget(**cast(Any, self._given | {"adapter": adapter}))

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer each request; one that cannot be asked (no candidates, too long) has the outcome `error`."""
        return self.recommend_draws(requests, [0] * len(requests))

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> list[Answer]:
        """Answer each request; see `audit.target.Randomised`. Without a temperature all draws are alike."""
        answers: dict[int, Answer] = {}
        open_by_mode: dict[_Mode, list[int]] = {}
        asked = self._encode(requests)
        for i, request in enumerate(requests):
            flaw = self._flaw(request, asked[i])
            if flaw is not None:
                answers[i] = flaw
            else:
                open_by_mode.setdefault(self._modes[request.task], []).append(i)
        ask = {"yes-no": self._yes_no, "labels": self._by_label, "titles": self._by_title}
        for mode, chosen in open_by_mode.items():
            started = time.perf_counter()
            theirs, prompts = [requests[i] for i in chosen], [asked[i] for i in chosen]
            if mode == "text":
                found = self._in_words(theirs, prompts, [draws[i] for i in chosen])
            else:
                found = ask[mode](theirs, prompts)
            seconds = time.perf_counter() - started
            total = sum(asked[i].tokens for i in chosen)
            for i, (answer, written) in zip(chosen, found, strict=True):
                n = asked[i].tokens
                answers[i] = replace(answer, usage=Usage(n, written, seconds * n / total))
        return [answers[i] for i in range(len(requests))]

    def _pieces(self, request: Request, candidate: int | None) -> list[Piece]:
        template = self._templates.get(request.task)
        if template is None:
            raise TargetError(f"{self.info.name}: there is no prompt for the task {request.task!r}")
        return template.pieces(request, candidate=candidate, frame=self.lm.frame)

    def _encode(self, requests: Sequence[Request]) -> list[_Asked]:
        texts: list[list[str]] = []
        for request in requests:
            numbers: Iterable[int | None] = [None]
            if self._modes.get(request.task) == "yes-no" and request.candidates:
                numbers = range(len(request.candidates))
            known = request.task in self._modes
            texts.append([join(self._pieces(request, i)).text if known else "" for i in numbers])
        ids = iter(self.lm.encode([text for group in texts for text in group]))
        return [_Asked([next(ids) for _ in group], self.lm.lead(group[0])) for group in texts]

    def _flaw(self, request: Request, asked: _Asked) -> Answer | None:
        """The answer to a request that cannot be asked; None for one that can."""
        info = self.info
        if request.task not in info.tasks:
            return unsupported(request.task, info.tasks)
        mode = self._modes[request.task]
        count = len(request.candidates or ())
        if mode != "text" and not count:
            return Answer(outcome="error", detail=f"{info.name}: {request.task} needs candidates; the request has none")
        if mode == "labels" and info.max_candidates is not None and count > info.max_candidates:
            return Answer(
                outcome="error",
                detail=f"{info.name}: {count} candidates; this model has one-token labels for {info.max_candidates}",
            )
        longest = max(map(len, asked.prompts))
        limit = self.lm.limit
        room = self._max_new_tokens if mode == "text" else 0
        if mode == "titles":
            room = max(map(len, self._titles(request, asked)))
        if limit is not None and longest + room > limit:
            return Answer(
                outcome="error",
                detail=f"{info.name}: the prompt has {longest} tokens and its answer {room}; the model takes {limit}",
            )
        if not all(asked.prompts):
            return Answer(outcome="error", detail=f"{info.name}: the prompt is empty")
        return None

    def _yes_no(self, requests: Sequence[Request], asked: Sequence[_Asked]) -> list[tuple[Answer, int]]:
        pairs = [self._tokens_of(self._answers, a.lead) for a in asked]
        columns = sorted({token for pair in pairs for token in pair})
        found = []
        for request, pair, logits in zip(requests, pairs, self._logits(asked, columns), strict=True):
            yes, no = (columns.index(token) for token in pair)
            scores = (logits[:, yes] - logits[:, no]).sigmoid().tolist()
            found.append((self._scored(request, scores, ties_by_id=True), 0))
        return found

    def _by_label(self, requests: Sequence[Request], asked: Sequence[_Asked]) -> list[tuple[Answer, int]]:
        labels = [
            self._tokens_of(tuple(map(label, range(len(request.candidates or ())))), a.lead)
            for request, a in zip(requests, asked, strict=True)
        ]
        columns = sorted({token for tokens in labels for token in tokens})
        place = {token: i for i, token in enumerate(columns)}
        found = []
        for request, tokens, logits in zip(requests, labels, self._logits(asked, columns), strict=True):
            scores = logits[0, [place[token] for token in tokens]].log_softmax(0).tolist()
            found.append((self._scored(request, scores, ties_by_id=False), 0))
        return found

    def _titles(self, request: Request, asked: _Asked) -> list[list[int]]:
        return self.lm.encode([asked.lead + item.title for item in request.candidates or ()])

    def _by_title(self, requests: Sequence[Request], asked: Sequence[_Asked]) -> list[tuple[Answer, int]]:
        titles = [self._titles(request, a) for request, a in zip(requests, asked, strict=True)]
        scored = self.lm.score_continuations([a.prompts[0] for a in asked], titles)
        found = []
        for request, scores in zip(requests, scored, strict=True):
            values = [s.mean if self._likelihood == "mean" else s.sum for s in scores]
            found.append((self._scored(request, values, ties_by_id=True), 0))
        return found

    def _logits(self, asked: Sequence[_Asked], columns: Sequence[int]) -> list[torch.Tensor]:
        """Per request (prompts, columns) in float64: a softmax of float32 logits loses the digits of sure answers."""
        return [logits.double() for logits in self.lm.next_logits([a.prompts for a in asked], only=columns)]

    def _scored(self, request: Request, scores: Sequence[float], *, ties_by_id: bool) -> Answer:
        """The answer of scored candidates; equal scores go by id, or by the order in which the model saw them."""
        if not all(map(math.isfinite, scores)):
            return Answer(outcome="error", detail=f"{self.info.name}: the model returned scores that are not finite")
        entries = [Ranked(item.id, item.title, s) for item, s in zip(request.candidates or (), scores, strict=True)]
        if request.task == "score":
            return Answer(tuple(entries))
        entries.sort(key=lambda e: (-(e.score or 0.0), (e.item_id or "") if ties_by_id else ""))
        return Answer(tuple(entries[: request.k]))

    def _in_words(
        self, requests: Sequence[Request], asked: Sequence[_Asked], numbers: Sequence[int]
    ) -> list[tuple[Answer, int]]:
        prompts = [a.prompts[0] for a in asked]
        most, sampling = self._max_new_tokens, self._sampling
        # Only where something is drawn: a language model of somebody's own need not know of draws.
        drawn: dict[str, Any] = {}
        if sampling is not None:
            drawn["draws"] = [sampling.draw(p, number, most) for p, number in zip(prompts, numbers, strict=True)]
        written = self.lm.generate(prompts, max_new_tokens=most, batch_size=self._batch_size, **drawn)
        return [
            (self._read(request, self._templates[request.task].opening(request) + self.lm.decode(tokens)), len(tokens))
            for request, tokens in zip(requests, written, strict=True)
        ]

    def _read(self, request: Request, text: str) -> Answer:
        if not text.strip():
            return unparsable("the model wrote nothing", text=text)
        read = self._grounder(request).ground_list(
            text,
            candidates=request.candidates,
            history=[event.item for event in request.user.history],
            k=request.k,
        )
        if read.outcome == "unparsable" and request.task == "answer" and not self._expect_list:
            return Answer(text=text)
        return Answer(read.ranked, text, read.outcome, read.detail)

    def _grounder(self, request: Request) -> Grounder:
        from audit.grounding import Grounder

        if self._catalog_grounder is not None:
            return self._catalog_grounder
        shown = (*(request.candidates or ()), *(event.item for event in request.user.history))
        return Grounder(Catalog({item.id: item for item in shown}.values()))

    @cached_property
    def _catalog_grounder(self) -> Grounder | None:
        from audit.grounding import Grounder

        return None if self._catalog is None else Grounder(self._catalog)

    def _tokens_of(self, words: tuple[str, ...], lead: str) -> tuple[int, ...]:
        key = (words, lead)
        if key not in self._first_tokens:
            tokens = tuple(ids[0] if ids else -1 for ids in self.lm.encode([lead + word for word in words]))
            if len(set(tokens)) < len(words) or -1 in tokens:
                raise TargetError(
                    f"hf: the answers {', '.join(words)} do not begin with different tokens of this model; "
                    "choose other answers"
                )
            self._first_tokens[key] = tokens
        return self._first_tokens[key]

    def _most_labels(self) -> int:
        """How many leading labels are one token each."""
        lead = self.lm.lead(join(self._pieces(Request(User(""), task="rank"), None)).text)
        taken: set[int] = set()
        for ids in self.lm.encode([lead + label(i) for i in range(_LABELS)]):
            if len(ids) != 1 or ids[0] in taken:
                break
            taken.add(ids[0])
        return len(taken)


def language_model(loaded: weights.Loaded, *, max_cache_bytes: int | None = None) -> LanguageModel:
    """A loaded model as what it is: causal, or an encoder with a decoder."""
    kind: type[LanguageModel] = Seq2SeqLM if getattr(loaded.model.config, "is_encoder_decoder", False) else CausalLM
    return kind.of(loaded, max_cache_bytes=max_cache_bytes)


def _check_options(
    tasks: Sequence[Task],
    rank_mode: str,
    likelihood: str,
    answers: Sequence[str],
    max_new_tokens: int,
    batch_size: int,
) -> None:
    for task in tasks:
        if task not in TASKS:
            raise ConfigError(f"target.tasks: {task!r} is not a task; use {', '.join(TASKS)}")
    if not tasks:
        raise ConfigError(f"target.tasks is empty; use some of {', '.join(TASKS)}")
    if rank_mode not in _RANK_MODES:
        raise ConfigError(f"target.rank_mode: {rank_mode!r} must be one of {', '.join(_RANK_MODES)}")
    if likelihood not in ("mean", "sum"):
        raise ConfigError(f"target.likelihood: {likelihood!r} must be mean or sum")
    if len(answers) != 2 or not all(answers):
        raise ConfigError(f"target.answers: {list(answers)} must be two words, the positive one first")
    if max_new_tokens < 1 or batch_size < 1:
        raise ConfigError("target: max_new_tokens and batch_size must be at least 1")
