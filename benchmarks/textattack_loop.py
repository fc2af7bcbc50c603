"""A greedy word-insertion search: ours, and TextAttack's own loop, on the same target and transformation.

Both look for words that, inserted into the instruction, lower the target's belief in its own clean answer. Each round
tries every insertion of a small vocabulary at every place, keeps the best, and goes on from there; both ask the same
number of true queries, counted at the model (TextAttack's own counter includes its cache hits).
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import scoring
from benchmarks.scoring import Row

VOCABULARY = ("never", "instead")
ROUNDS = 2


class _Asked:
    """Yes/no prompts of one person, by instruction; counts what reaches the model."""

    def __init__(self, question: scoring.Question) -> None:
        self.question = question
        self.lm = scoring.smollm2()
        self.answers = [ids[0] for ids in self.lm.encode([" Yes", " No"])]
        self.queries = 0

    def prompts(self, instructions: Sequence[str]) -> list[list[int]]:
        self.queries += len(instructions)
        candidate = self.question.candidates[0]
        return self.lm.encode([self.question.yes_no(candidate, text) for text in instructions])


def insertions(text: str) -> list[str]:
    """Every insertion of one word of the vocabulary before one word of the text."""
    starts = [match.start() for match in re.finditer(r"\S+", text)]
    return [f"{text[:at]}{word} {text[at:]}" for at in starts for word in VOCABULARY]


def ours(asked: _Asked, text: str) -> str:
    """The search on the engine: a round is planned whole and asked in one call."""
    engine = scoring.engine_of(asked.lm)

    def beliefs(texts: Sequence[str]) -> list[float]:
        logits = engine.next_logits([[p] for p in asked.prompts(texts)], only=asked.answers)
        return [float((row[0, 0] - row[0, 1]).sigmoid()) for row in logits]

    sure = beliefs([text])[0]
    for _ in range(ROUNDS):
        variants = insertions(text)
        found = beliefs(variants)
        losses = [(sure - b) if sure > 0.5 else (b - sure) for b in found]
        text = variants[max(range(len(losses)), key=losses.__getitem__)]
    return text


def theirs(asked: _Asked, text: str, rounds: int = ROUNDS) -> str:
    """The same search in TextAttack: its greedy search, its batching (32), transformers behind its model wrapper."""
    from textattack.attack import Attack
    from textattack.goal_functions import UntargetedClassification
    from textattack.models.wrappers import ModelWrapper
    from textattack.search_methods import GreedySearch
    from textattack.transformations import Transformation

    class Wrapper(ModelWrapper):  # type: ignore[misc] - untyped base
        model = object()

        def __call__(self, texts: list[str]) -> list[list[float]]:
            logits = scoring._batched_next(asked.lm, asked.prompts(texts), asked.answers)
            import torch

            return [[1 - p, p] for p in torch.tensor(logits).diff(dim=1)[:, 0].neg().sigmoid().tolist()]

    class Insert(Transformation):  # type: ignore[misc] - untyped base
        def _get_transformations(self, current: Any, indices: Any) -> list[Any]:
            return [type(current)(text) for text in insertions(current.text)]

    class Search(GreedySearch):  # type: ignore[misc] - untyped base
        def perform_search(self, initial: Any) -> Any:
            best = initial
            for _ in range(rounds):
                texts = self.get_transformations(best.attacked_text, original_text=initial.attacked_text)
                results, _ = self.get_goal_results(texts)
                best = max(results, key=lambda r: r.score)
            return best

    wrapper = Wrapper()
    label = max(range(2), key=wrapper([text])[0].__getitem__)
    attack = Attack(UntargetedClassification(wrapper, use_cache=True), [], Insert(), Search())
    return str(attack.attack(text, label).perturbed_result.attacked_text.text)


def _prepare() -> None:
    """What TextAttack needs to be imported without a network: a stop word list, and nowhere to look for more."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    folder = Path(tempfile.mkdtemp(prefix="recaudit-nltk-"))
    (folder / "corpora" / "stopwords").mkdir(parents=True)
    (folder / "corpora" / "stopwords" / "english").write_text("\n".join(sorted(ENGLISH_STOP_WORDS)), encoding="utf-8")
    os.environ.update(NLTK_DATA=str(folder), TA_CACHE_DIR=str(folder), HF_HUB_OFFLINE="1")


def textattack_loop(*, users: int = 3) -> list[Row]:
    """Benchmark (g): seconds per true query of the same search."""
    _prepare()
    asked = scoring.questions(users, history=10, candidates=2, seed=3)
    spent, queries, same = [0.0, 0.0], [0, 0], 0
    scoring.engine_of(scoring.smollm2())  # tried before the clock starts
    for question in asked:
        ends = []
        for side, search in enumerate((ours, theirs)):
            door = _Asked(question)
            started = time.perf_counter()
            ends.append(search(door, scoring.INSTRUCTION))
            spent[side] += time.perf_counter() - started
            queries[side] += door.queries
        same += ends[0] == ends[1]
    own, other = spent[0] / queries[0], spent[1] / queries[1]
    what = (
        f"greedy word insertion, {queries[0] // users} true queries a user against TextAttack's {queries[1] // users}, "
        f"{users} users; {same} of {users} searches end with the same text"
    )
    return [scoring._row("g", what, own, other, other / own, "s/query")]
