"""Scoring and generation with a local model: the prefix-sharing engine against transformers, in one run.

All questions are about people and films of MovieLens-100K, asked of SmolLM2-135M-Instruct in its fast number type. The
other side is what a careful user of transformers writes: padded batches of similar length, and the language head on the
positions that are needed and nowhere else (`logits_to_keep`). Times are the best of the passes of each side, taken in
turns, so that a busy machine slows both.

Every function returns rows `{id, what, ours, other, ratio, unit}`; a ratio above 1 means that ours is faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from audit.targets.engine.causal import PrefixEngine
from audit.targets.engine.plan import Path, grow, total
from audit.targets.lm import CausalLM

Row = dict[str, Any]
Tokens = list[int]

INSTRUCTION = (
    "Here are the movies a person has watched, oldest first. Judging from these, tell which movie this person should "
    "watch next."
)
WORDS = "honestly really perhaps surely kindly maybe simply clearly now please indeed often gladly also still".split()


@dataclass(frozen=True)
class Question:
    """One person's request.

    Attributes:
        history: titles watched, oldest first.
        candidates: titles asked about.
    """

    history: list[str]
    candidates: list[str]

    def watched(self, instruction: str = INSTRUCTION) -> str:
        """Instruction and history."""
        return instruction + "\n\nWatched:" + "".join(f"\n- {title}" for title in self.history)

    def next_title(self) -> str:
        """A prompt that a candidate's title goes on from."""
        return self.watched() + "\n\nThe next movie is"

    def yes_no(self, candidate: str, instruction: str = INSTRUCTION) -> str:
        """A prompt that is answered with Yes or No."""
        return f"{self.watched(instruction)}\n\nWill this person like {candidate}? Answer Yes or No.\nAnswer:"


def questions(users: int, *, history: int, candidates: int, seed: int = 0) -> list[Question]:
    """Requests of real people."""
    from audit.data.cases import ranking_cases
    from audit.data.movielens import load_ml100k

    cases = ranking_cases(
        load_ml100k(), users=users, k=1, candidates=candidates, history=history, rng=np.random.default_rng(seed)
    )
    return [
        Question(
            [event.item.title for event in case.request.user.history],
            [item.title for item in case.request.candidates or ()],
        )
        for case in cases
    ]


@cache
def smollm2() -> CausalLM:
    """The real model, in the number type that this processor is fast at."""
    from audit.targets import weights
    from audit.targets.zoo import smollm2 as zoo

    return CausalLM.of(weights.load(zoo.folder()))


def engine_of(lm: CausalLM) -> PrefixEngine:
    """A cold engine that has been tried on the model already."""
    engine = PrefixEngine(lm.model, pad=lm.pad)
    if not engine.works:
        raise RuntimeError(engine.note)
    return engine


def clock(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turns(*works: Callable[[], object], passes: int) -> list[float]:
    """Best seconds of each; the first pass warms up."""
    return [min(times) for times in zip(*([clock(work) for work in works] for _ in range(passes)), strict=True)]


def matmul_peak(size: int = 2048, passes: int = 5) -> float:
    """Floating point operations per second of a large product in the model's number type."""
    import torch

    a = torch.randn(size, size).to(smollm2().dtype)
    return 2 * size**3 / in_turns(lambda: a @ a, passes=passes)[0]


def scoring(*, users: int = 50, candidates: int = 32, others: int = 4, passes: int = 2) -> list[Row]:
    """Benchmark (a): log-probabilities of many titles behind one prompt of about 200 tokens.

    Args:
        users: asked by the engine.
        candidates: titles each.
        others: users asked by the other two, which take minutes for all; their time per user is compared.
        passes: best of.
    """
    lm = smollm2()
    asked = questions(users, history=14, candidates=candidates)
    prompts = lm.encode([q.next_title() for q in asked])
    titles = [lm.encode([f" {title}" for title in q.candidates]) for q in asked]
    trees = [
        t
        for p, group in zip(prompts, titles, strict=True)
        for t in grow([Path([*p, *c[:-1]], len(p) - 1) for c in group])
    ]

    def ours() -> list[list[float]]:
        # Cold each time: an instruction is shared by the users of one pass, a history by nothing.
        return [[s.sum for s in group] for group in engine_of_model.score_continuations(prompts, titles)]

    def fresh() -> None:
        engine_of_model.runner.cache.clear()
        ours()

    def batched() -> list[list[float]]:
        return [_batched_sums(lm, p, group) for p, group in zip(prompts[:others], titles[:others], strict=True)]

    def singly() -> list[list[float]]:
        return [
            [_batched_sums(lm, p, [c])[0] for c in group]
            for p, group in zip(prompts[:others], titles[:others], strict=True)
        ]

    engine_of_model = engine_of(lm)
    gap = max(abs(a - b) for x, y in zip(ours(), batched(), strict=False) for a, b in zip(x, y, strict=True))
    peak = matmul_peak()
    best = in_turns(fresh, batched, singly, passes=passes)
    own, batch, single = best[0] / users, best[1] / others, best[2] / others
    peak = max(peak, matmul_peak())
    share = _operations(lm, trees) / users / own / peak
    length = sum(map(len, prompts)) / users
    what = f"{candidates} candidates x {users} users, prefix {length:.0f} tokens: "
    return [
        _row("a", what + "engine against padded batches of transformers", own, batch, batch / own, "s/user"),
        _row("a1", what + "engine against one candidate at a time", own, single, single / own, "s/user"),
        _row(
            "a-peak",
            f"share of the matmul peak ({peak / 1e9:.0f} GFLOP/s) that (a) reaches",
            share,
            1.0,
            share,
            "share",
        ),
        _row("a-gap", "largest difference of a title's log-probability between the two", gap, 0.0, 1.0, "nats"),
    ]


def word_insertion(
    *, users: int = 10, variants: int = 20, slate: int = 10, others: int = 2, passes: int = 2
) -> list[Row]:
    """Benchmark (b): an attack inserts one word at a random place of the instruction and asks again.

    Every variant is a yes/no question about each item of the user's slate, as TALLRec asks it. The second row has a
    slate of one: there only what stands before the inserted word is shared.

    Args:
        users: attacked.
        variants: of each user's prompt.
        slate: items that every variant is asked about.
        others: users whose variants the other side is asked, as it takes minutes for all; compared is time per variant.
        passes: best of.
    """
    lm = smollm2()
    asked = questions(users, history=10, candidates=max(slate, 2), seed=1)
    rng = np.random.default_rng(1)
    edited = [(q, _insert(INSTRUCTION, rng)) for q in asked for _ in range(variants)]
    answers = [ids[0] for ids in lm.encode([" Yes", " No"])]
    rows = []
    for name, size in (("b", slate), ("b1", 1)):
        groups = [lm.encode([q.yes_no(c, text) for c in q.candidates[:size]]) for q, text in edited]
        flat = [p for group in groups[: others * variants] for p in group]
        engine = engine_of(lm)

        def ours(groups: Sequence[Sequence[Tokens]] = groups, engine: PrefixEngine = engine) -> None:
            engine.runner.cache.clear()
            # As an attack does: user by user, each round of variants in one call.
            for start in range(0, len(groups), variants):
                engine.next_logits(groups[start : start + variants], only=answers)

        def batched(flat: Sequence[Tokens] = flat) -> None:
            _batched_next(lm, flat, answers)

        own, other = in_turns(ours, batched, passes=passes)
        what = (
            f"{len(edited)} variants of {users} users' prompts, a word inserted into the instruction, slate of {size}"
        )
        n = len(edited)
        own, other = own / n, other / (others * variants)
        rows.append(_row(name, what, own, other, other / own, "s/variant"))
    return rows


def generation(*, users: int = 64, max_new_tokens: int = 80, sizes: Sequence[int] = (16, 32, 64)) -> list[Row]:
    """Benchmark (h): written lists for users who share an instruction, against `generate` at its best batch size."""
    from audit.targets.zoo.smollm2_ranker import INSTRUCTIONS, TEMPLATES
    from audit.types import Event, Item, Request, User

    lm = smollm2()
    requests = [
        Request(
            User(str(i), tuple(Event(Item(str(n), title), rating=5) for n, title in enumerate(q.history))),
            task="answer",
            instruction=INSTRUCTIONS["answer"],
            k=5,
        )
        for i, q in enumerate(questions(users, history=10, candidates=2, seed=2))
    ]
    prompts = lm.encode([TEMPLATES["answer"].render(r, frame=lm.frame).text for r in requests])
    engine = engine_of(lm)

    def ours() -> int:
        engine.runner.cache.clear()
        return sum(map(len, engine.generate(prompts, max_new_tokens=max_new_tokens, ends={lm.tokenizer.eos_token_id})))

    def theirs(size: int) -> int:
        return sum(_generated(lm, prompts[at : at + size], max_new_tokens) for at in range(0, len(prompts), size))

    own = _rate(ours)
    rates = {size: _rate(lambda size=size: theirs(size)) for size in sizes}
    own = max(own, _rate(ours))
    best = max(rates, key=lambda size: rates[size])
    what = (
        f"lists for {users} users, up to {max_new_tokens} tokens; "
        f"`generate` at batch size {best}, the best of {list(sizes)}"
    )
    return [_row("h", what, own, rates[best], own / rates[best], "tokens/s")]


def _rate(work: Callable[[], int]) -> float:
    started = time.perf_counter()
    tokens = work()
    return tokens / (time.perf_counter() - started)


def _row(name: str, what: str, ours: float, other: float, ratio: float, unit: str) -> Row:
    return {"id": name, "what": what, "ours": ours, "other": other, "ratio": ratio, "unit": unit}


def _insert(text: str, rng: np.random.Generator) -> str:
    words = text.split(" ")
    words.insert(int(rng.integers(len(words) + 1)), str(rng.choice(WORDS)))
    return " ".join(words)


def _operations(lm: CausalLM, trees: Sequence[Any]) -> float:
    """Floating point operations of the weights that the trees cannot do without; attention is not counted."""
    model = lm.model
    head = model.get_output_embeddings().weight.numel()
    inner = sum(p.numel() for p in model.parameters()) - head  # the head is tied to the embedding
    return 2.0 * (inner * total(trees) + head * sum(len(t.nodes) for t in trees))


def _batched_sums(lm: CausalLM, prompt: Tokens, titles: Sequence[Tokens]) -> list[float]:
    """Log-probability of each title, all in one padded batch."""
    import torch

    longest = max(map(len, titles))
    ids = torch.full((len(titles), len(prompt) + longest), lm.pad)
    for row, title in enumerate(titles):
        ids[row, : len(prompt) + len(title)] = torch.tensor([*prompt, *title])
    mask = torch.arange(ids.shape[1])[None] < torch.tensor([len(prompt) + len(t) for t in titles])[:, None]
    with torch.inference_mode():
        out = lm.model(input_ids=ids, attention_mask=mask.long(), use_cache=False, logits_to_keep=longest + 1)
        logprobs = out.logits[:, :-1].float().log_softmax(-1)
        told = logprobs.gather(2, ids[:, len(prompt) :, None])[:, :, 0]
        sums: list[float] = (told * mask[:, len(prompt) :]).sum(1).tolist()
    return sums


def _left_padded(lm: CausalLM, prompts: Sequence[Tokens]) -> tuple[Any, Any]:
    import torch

    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), lm.pad)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    return ids, mask


def _batched_next(lm: CausalLM, prompts: Sequence[Tokens], columns: Sequence[int], size: int = 32) -> list[list[float]]:
    """Logits of the next token, in padded batches of prompts of similar length."""
    import torch

    found: dict[int, list[float]] = {}
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    with torch.inference_mode():
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            ids, mask = _left_padded(lm, [prompts[i] for i in batch])
            places = (mask.cumsum(1) - 1).clamp(min=0)
            out = lm.model(input_ids=ids, attention_mask=mask, position_ids=places, use_cache=False, logits_to_keep=1)
            found.update(zip(batch, out.logits[:, -1, list(columns)].float().tolist(), strict=True))
    return [found[i] for i in range(len(prompts))]


def _generated(lm: CausalLM, prompts: Sequence[Tokens], max_new_tokens: int) -> int:
    """Tokens that `generate` wrote before each end token."""
    import torch

    ids, mask = _left_padded(lm, prompts)
    with torch.inference_mode():
        out = lm.model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=max_new_tokens, do_sample=False, pad_token_id=lm.pad
        )[:, ids.shape[1] :]
    end = lm.tokenizer.eos_token_id
    return sum(next((i for i, t in enumerate(row) if t == end), len(row)) for row in out.tolist())


if __name__ == "__main__":
    for benchmark in (scoring, word_insertion, generation):
        for row in benchmark():
            numbers = f"{row['ours']:10.4g} {row['other']:10.4g} {row['unit']:9} x{row['ratio']:.2f}"
            print(f"{row['id']:7} {numbers}  {row['what']}")
