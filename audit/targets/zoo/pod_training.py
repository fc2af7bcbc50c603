"""Training of the POD-style reference: three tasks, one at a time, over the shared loop of `p5_training`.

Each batch holds one task, and each sample words it in one of several ways or not at all, so that the task's vectors
come to say what the words say. Two departures from the released code make training from scratch work: a sample of the
sequential task has twenty targets, and the decoder reads the most recent items, as in `p5_training`. Users are known by
their history alone: a user's number is not part of a request.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audit.data.splits import leave_one_out
from audit.targets.zoo.p5_indexing import make
from audit.targets.zoo.p5_model import Hyper, P5Net, save
from audit.targets.zoo.p5_training import (
    Events,
    cuts_of,
    decoder_line,
    encoder_line,
    fit,
    loss_of,
    padded,
    users_of,
)
from audit.targets.zoo.p5_vocabulary import Vocabulary, pieces
from audit.targets.zoo.pod import ARCHITECTURE
from audit.targets.zoo.pod_explanations import Facts
from audit.targets.zoo.pod_prompts import EXPLAIN, LIST, RECOMMEND, VECTORS, Job, soft_tokens
from audit.targets.zoo.training import Progress, Training

if TYPE_CHECKING:
    from audit.data.dataset import Dataset, IntArray

RECIPE = Hyper(epochs=12, soft=VECTORS * len(Job), whole_words=512)
"""The default hyper-parameters; `samples` are those of the sequential task."""

PICKS, EXPLANATIONS = 0.5, 0.5
"""Samples of the two other tasks, for one of the sequential task."""

_WORDLESS = 0.3
"""Share of samples without words, as the target of the paper is asked."""

_SOFT_RANGE = 0.1
"""Task vectors start evenly between minus and plus this, as in the released code."""

Batch = tuple[Tensor, Tensor, Tensor, Job]
"""Encoder tokens, decoder tokens, answers (codes of items, or tokens of words; -100 for none), and the task."""


def train(
    dataset: Dataset,
    *,
    out: Path,
    seed: int,
    indexing: str = "hid",
    epochs: int | None = None,
    hyper: Hyper | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train on all but the last two items of each user, and save weights, configuration and evaluation to `out`.

    Called again with the same arguments, training goes on from the last finished epoch and ends with the weights of a
    run that was never stopped. Nothing is selected on held-out items.

    Args:
        dataset: what to learn.
        out: folder to write to; made if absent.
        seed: of the initial weights, the samples, the dropout and the clustering.
        indexing: how items are spelt; see `audit.targets.zoo.p5_indexing`.
        epochs: training length; None for the recipe's.
        hyper: hyper-parameters; None for `RECIPE`.
        progress: called after each epoch.

    Returns:
        The last epoch's `loss` and the figures of `pod_evaluation.summary`.

    Raises:
        ConfigError: no such indexing.
        TargetError: `out` holds the checkpoint of another training.
        DataError: no user has three events.
    """
    from audit.targets.zoo import pod_evaluation

    hyper = hyper or RECIPE
    hyper = replace(hyper, epochs=hyper.epochs if epochs is None else epochs)
    split = leave_one_out(dataset)
    users, facts = users_of(dataset, split.train), Facts(dataset.catalog)
    settings = {"dataset": dataset.digest, "indexing": indexing, "tasks": [PICKS, EXPLANATIONS], **asdict(hyper)}
    run = Training("pod", out, seed, settings, progress)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        codes = make(indexing, list(split.train.values()), len(dataset.catalog), np.random.default_rng([seed, 0]))
        net = P5Net(Vocabulary(codes, hyper.buckets, words_of(facts), hyper.soft), hyper)
        first = net.vocabulary.first_soft
        nn.init.uniform_(net.t5.shared.weight.data[first : first + hyper.soft], -_SOFT_RANGE, _SOFT_RANGE)
        loss = fit(run, net, lambda rng: batches(net, users, facts, rng), backward)
    save(net, list(dataset.catalog), out, ARCHITECTURE)
    report = pod_evaluation.evaluate(out, dataset, rng=np.random.default_rng([seed, 2]))
    (out / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    run.finished()
    return {"loss": loss} | pod_evaluation.summary(report)


def words_of(facts: Facts) -> tuple[str, ...]:
    """The words of all wordings and of all sentences, each once."""
    asked = (word.casefold() for text in (*RECOMMEND, *EXPLAIN) for word, _ in pieces(text))
    return tuple(dict.fromkeys((*asked, *facts.words())))


def batches(net: P5Net, users: Sequence[Events], facts: Facts, rng: np.random.Generator) -> Iterator[Batch]:
    """The batches of one epoch, the tasks in a random order."""
    size, samples = net.hyper.batch, net.hyper.samples
    makers = {Job.NEXT: _next, Job.PICK: _pick, Job.EXPLAIN: _explain}
    shares = {Job.NEXT: 1.0, Job.PICK: PICKS, Job.EXPLAIN: EXPLANATIONS}
    found: list[Batch] = []
    for job, maker in makers.items():
        cuts = cuts_of(users, round(samples * shares[job]), rng)
        for start in range(0, len(cuts), size):
            lines = [maker(net, items, at, facts, rng) for items, at in cuts[start : start + size]]
            inputs, prefix, answer = zip(*lines, strict=True)
            found.append((padded(inputs, 0), padded(prefix, 0), padded(answer, -100), job))
    for i in rng.permutation(len(found)):
        yield found[i]


_Line = tuple[list[int], list[int], list[int]]
"""Encoder tokens, decoder tokens and answers of one sample."""


def _next(net: P5Net, items: IntArray, at: int, facts: Facts, rng: np.random.Generator) -> _Line:
    """What comes after a cut: up to twenty items."""
    hyper = net.hyper
    lead = _lead(net.vocabulary, Job.NEXT, RECOMMEND, rng)
    inputs = encoder_line(net, lead, items[max(0, at - hyper.far) : at], rng)
    return (inputs, *decoder_line(net, items[at : at + hyper.targets], 0, rng))


def _pick(net: P5Net, items: IntArray, at: int, facts: Facts, rng: np.random.Generator) -> _Line:
    """Which of some items comes next: the right one among up to nineteen that the user never had in training."""
    others = np.setdiff1d(np.arange(len(net.vocabulary.indexing.codes)), items)
    count = min(int(rng.integers(2, LIST + 1)) - 1, len(others))
    offered = rng.permutation([items[at], *rng.choice(others, size=count, replace=False)])
    inputs = encoder_line(net, _lead(net.vocabulary, Job.PICK, RECOMMEND, rng), offered, rng)
    recent = items[max(0, at - net.hyper.near) : at + 1]
    return (inputs, *decoder_line(net, recent, len(recent) - 1, rng))


def _explain(net: P5Net, items: IntArray, at: int, facts: Facts, rng: np.random.Generator) -> _Line:
    """Why an item: half of the time the one that comes next, half of the time any."""
    history = items[max(0, at - net.hyper.far) : at]
    item = int(items[at]) if rng.random() < 0.5 else int(rng.integers(len(facts.genres)))
    sentence = facts.sentence(history.tolist(), item, int(rng.integers(2**16)))
    vocabulary = net.vocabulary
    said = [*(vocabulary.word(word) for word, _ in pieces(sentence)), vocabulary.END]
    inputs = encoder_line(net, _lead(vocabulary, Job.EXPLAIN, EXPLAIN, rng), np.array([item, *history]), rng)
    return inputs, [vocabulary.START, *said[:-1]], said


def _lead(vocabulary: Vocabulary, job: Job, wordings: Sequence[str], rng: np.random.Generator) -> list[int]:
    """The vectors of a task, and one of its wordings or none."""
    text = "" if rng.random() < _WORDLESS else wordings[int(rng.integers(len(wordings)))]
    return [*soft_tokens(vocabulary, job), *(vocabulary.word(word) for word, _ in pieces(text))]


def backward(net: P5Net, inputs: Tensor, prefix: Tensor, answer: Tensor, job: Job) -> float:
    """Gradients of one batch: the loss of items as in `p5_training`, that of sentences per word."""
    if job is Job.EXPLAIN:
        loss = words_loss(net, inputs, prefix, answer)
    else:
        loss = loss_of(net, inputs, prefix, answer)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item()


def words_loss(net: P5Net, inputs: Tensor, prefix: Tensor, answer: Tensor) -> Tensor:
    """Mean negative log-probability of a word in nats, among all words."""
    told = answer >= 0
    logits = net(inputs, prefix)[told] @ net.t5.lm_head.weight[: net.vocabulary.first_bucket].T
    return functional.cross_entropy(logits, answer[told])
