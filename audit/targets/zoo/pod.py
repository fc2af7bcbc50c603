"""POD in small: a T5 whose tasks are said by learned vectors, which recommends, picks and explains.

Source: Li et al., "Prompt Distillation for Efficient LLM-based Recommendation" (POD), CIKM 2023, and its released code.
No weights are shipped: `recaudit train pod` trains some, and measures them.

It differs from `p5` in what an audit can reach: the list of candidates is part of the prompt, so its order and its
members can move the answer; and it gives reasons in words, which can be true or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from audit.data.dataset import Dataset
from audit.errors import ConfigError
from audit.target import Input, Insight, TargetInfo
from audit.targets.zoo.anchors import ml100k_core
from audit.targets.zoo.p5_answers import Asked, answers
from audit.targets.zoo.p5_prompts import Prompt
from audit.targets.zoo.p5_target import BATCH, P5Target, trained
from audit.targets.zoo.p5_vocabulary import pieces
from audit.targets.zoo.pod_explanations import LONGEST, written
from audit.targets.zoo.pod_prompts import EXPLAIN, EXPLAIN_UNSEEN, RECOMMEND, RECOMMEND_UNSEEN, PODPrompter
from audit.types import Answer, Catalog, Ranked, Request, Usage

if TYPE_CHECKING:
    from audit.targets.zoo.p5_model import P5Net

ARCHITECTURE = "POD-mini"

_UNKNOWN = "This item is not in the catalogue."
"""Said of an item of which the network can know nothing."""


class POD(P5Target):
    """Ranks, scores and explains.

    `rank` without candidates, and `score`, are those of `p5`: exact log-probabilities of what comes next. `rank` with
    up to 20 candidates reads the list. `answer` writes a numbered list: a sentence for each candidate, in their order,
    or for each of the k items that it would recommend.

    Args:
        catalog: the items, in the order of the network's indices.
        net: the trained network.
    """

    prompts: PODPrompter

    def __init__(self, catalog: Catalog, net: P5Net) -> None:
        info = TargetInfo(
            name="pod",
            tasks=("rank", "score", "answer"),
            honours=frozenset({Input.INSTRUCTION, Input.HISTORY}),
            reveals=frozenset({Insight.SCORES, Insight.LOGPROBS, Insight.GRADIENTS}),
            instructions={"rank": RECOMMEND[0], "score": RECOMMEND[0], "answer": EXPLAIN[0]},
            paraphrases={
                "rank": (*RECOMMEND[1:], RECOMMEND_UNSEEN),
                "score": (*RECOMMEND[1:], RECOMMEND_UNSEEN),
                "answer": (*EXPLAIN[1:], EXPLAIN_UNSEEN),
            },
        )
        super().__init__(catalog, net, PODPrompter(catalog, net.vocabulary, net.hyper.far, net.hyper.near), info)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> POD:
        """Read weights as training saves them; titles come from `catalog`.

        Raises:
            TargetError: the weights cannot be read, or know an item that `catalog` lacks.
        """
        return cls(*trained(folder, catalog, "pod", ARCHITECTURE))

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer each request."""
        found: list[Answer] = []
        for start in range(0, len(requests), BATCH):
            found += self._answered(requests[start : start + BATCH])
        return found

    def count_tokens(self, requests: Sequence[Request]) -> list[int]:
        """Prompt tokens of each request; in free text, of all the prompts that it takes."""
        return [self._length(request) for request in requests]

    def explanations(self, prompts: Sequence[Prompt]) -> list[str]:
        """A sentence for each prompt of `PODPrompter.explain`, word by word the likeliest."""
        import torch

        found = [""] * len(prompts)
        for rows, encoder, _ in self.passes(prompts):
            with torch.inference_mode():
                said = self.scorer.write(self.embed_encoder(encoder), LONGEST)
            for row, tokens in zip(rows, said, strict=True):
                found[row] = written([self.vocabulary.words[token - 3] for token in tokens])
        return found

    def _answered(self, batch: Sequence[Request]) -> list[Answer]:
        # What free text is about is found by ranking, unless it is given.
        ranking = [replace(r, task="rank", instruction="") if r.task == "answer" else r for r in batch if not _given(r)]
        ranked = iter(answers(self, [Asked(request, self.prompts.prompt(request)) for request in ranking]))
        found = [
            Answer(tuple(Ranked(item.id, item.title) for item in request.candidates or ()))
            if _given(request)
            else next(ranked)
            for request in batch
        ]
        spoken = [i for i, request in enumerate(batch) if request.task == "answer"]
        for i, answer in zip(spoken, self._spoken([(batch[i], found[i].ranked) for i in spoken]), strict=True):
            found[i] = answer
        return found

    def _spoken(self, lists: Sequence[tuple[Request, Sequence[Ranked]]]) -> Iterator[Answer]:
        """Answers in words: a sentence for each entry. Equal prompts are written once."""
        index = self.prompts.index
        prompts: list[list[Prompt | None]] = []
        for request, entries in lists:
            history = self.prompts.items(request.user.history)
            known = [index.get(entry.item_id or "") for entry in entries]
            prompts.append(
                [None if i is None else self.prompts.explain(i, history, request.instruction) for i in known]
            )
        wanted = list(dict.fromkeys(prompt for own in prompts for prompt in own if prompt is not None))
        said: dict[Prompt | None, str] = {None: _UNKNOWN}
        said |= dict(zip(wanted, self.explanations(wanted), strict=True))
        for (request, entries), own in zip(lists, prompts, strict=True):
            told = tuple(replace(entry, reason=said[prompt]) for entry, prompt in zip(entries, own, strict=True))
            text = "\n".join(f"{place}. {entry.title}: {entry.reason}" for place, entry in enumerate(told, 1))
            words = sum(len(pieces(entry.reason)) for entry in told)
            yield Answer(told, text, usage=Usage(self._length(request), words))

    def _length(self, request: Request) -> int:
        """Prompt tokens: sentences for the same history take prompts of the same length."""
        if request.task != "answer":
            return self.prompts.length(self.prompts.prompt(request))
        history = self.prompts.items(request.user.history)
        one = self.prompts.length(self.prompts.explain(0, history, request.instruction))
        if request.candidates is not None:
            return one * sum(item.id in self.prompts.index for item in request.candidates)
        left = len(self.catalog) - len({item for item in history if item < len(self.catalog)})
        return self.prompts.length(self.prompts.prompt(request)) + one * min(max(request.k, 0), left)


def _given(request: Request) -> bool:
    """Whether a request in free text says what it is about."""
    return request.task == "answer" and request.candidates is not None


def build(dataset: Dataset | None = None, weights: str | Path | None = None) -> POD:
    """Entry point `pod`: the weights in the folder `weights`, which `recaudit train pod` wrote.

    Args:
        dataset: its catalogue gives the titles; None for the 5-core of MovieLens-100K.
        weights: folder; none are shipped.

    Raises:
        ConfigError: no folder is named.
        TargetError: the weights cannot be used with this catalogue.
    """
    if weights is None:
        raise ConfigError(
            "weights: none are shipped for 'pod'; train them with `recaudit train pod` and pass their folder as "
            "`weights`"
        )
    return POD.load(Path(weights), (ml100k_core() if dataset is None else dataset).catalog)
