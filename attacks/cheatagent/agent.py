"""The agent of CheatAgent: what it is asked, and the language model that answers behind a trainable soft prefix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

from attacks.cheatagent.trie import Allowed, Path, TitleTrie, words
from audit.types import Catalog, Item

if TYPE_CHECKING:
    import numpy as np
    import torch

    from attacks.cheatagent.reader import Reader

Policy = Any
"""What an agent has learned; only the agent knows what it is."""


@dataclass(frozen=True)
class Question:
    """What is wanted for one place.

    Attributes:
        prompt: the instruction 𝒫 to the agent.
        kind: what is to be inserted.
        banned: ids, or words, that must not be named.
    """

    prompt: str
    kind: Literal["word", "item"]
    banned: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Candidate:
    """Something to insert.

    Attributes:
        what: a word, or an item.
        tokens: as the agent wrote it.
    """

    what: str | Item
    tokens: Path = ()

    @property
    def name(self) -> str:
        """The word, or the item's id."""
        return self.what if isinstance(self.what, str) else self.what.id


@dataclass(frozen=True)
class Rule:
    """How a policy follows its gradient.

    Attributes:
        rate: γ.
        adamw: AdamW instead of a plain step.
        mean: the mean over the candidates instead of their sum.
    """

    rate: float
    adamw: bool = False
    mean: bool = False


@dataclass(frozen=True)
class Propose:
    """Ask for up to `count` candidates from each of several policies, the likeliest first: B_j = A(F_j ⊕ 𝒫).

    Attributes:
        question: what is wanted.
        policies: who is asked.
        count: n.
        apart: whether each policy leaves out what those before it have proposed.
    """

    question: Question
    policies: tuple[Policy, ...]
    count: int
    apart: bool = False


@dataclass(frozen=True)
class Reflect:
    """Learn from the target's feedback.

    Attributes:
        question: what was asked.
        policy: who answered.
        candidates: the answers.
        weights: their labels T(δ_i): positive for what should be said more often, negative for less.
        rule: of the step.
    """

    question: Question
    policy: Policy
    candidates: tuple[Candidate, ...]
    weights: tuple[float, ...]
    rule: Rule


Task = Propose | Reflect


class Agent(Protocol):
    """Proposes insertions and learns from what came of them."""

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Policy, ...]:
        """Random policies."""
        ...

    def reflect(self, tasks: Sequence[Reflect]) -> Policy:
        """The policy after one step on what one or several users gave it; they share policy and rule."""
        ...

    def together(self, jobs: Sequence[Sequence[Task]]) -> list[list[Any]]:
        """Per task of each job, candidates per policy (`Propose`) or the new policy (`Reflect`)."""
        ...


@dataclass(frozen=True)
class Soft:
    """A soft prefix F ∈ R^{1×d} before the embedded prompt.

    Attributes:
        prefix: float32, (width,).
        moments: of AdamW: the running means of gradient and squared gradient, and the number of steps.
    """

    prefix: torch.Tensor
    moments: tuple[torch.Tensor, torch.Tensor, int] | None = None


class LMAgent:
    """A frozen language model with a soft prefix of one virtual token.

    A pass holds all prefixes of one question, which have the same length, and never those of another: numbers do not
    depend on who else is attacked, and on a processor larger passes gain little.

    Args:
        reader: the model.
        catalog: the items it may name.
    """

    def __init__(self, reader: Reader, catalog: Catalog) -> None:
        self.reader = reader
        self._catalog = catalog

    @cached_property
    def titles(self) -> TitleTrie:
        """The catalogue's titles as the model writes them."""
        items = self._catalog.items_in_order
        tokens = self.reader.answers([" ".join(item.title.split()) for item in items])
        return TitleTrie({item.id: t for item, t in zip(items, tokens, strict=True)}, self.reader.end)

    @cached_property
    def words(self) -> dict[int, str]:
        """The vocabulary's words by token."""
        return words(self.reader.pieces(), self.reader.special)

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Soft, ...]:
        """Random prefixes: per dimension normal, with mean and deviation of the rows of the embedding."""
        import torch

        mean, deviation = self.reader.embedding_moments
        noise = torch.from_numpy(rng.standard_normal((count, len(mean)))).float().to(mean.device)
        return tuple(Soft(row) for row in noise * deviation + mean)

    def together(self, jobs: Sequence[Sequence[Task]]) -> list[list[Any]]:
        """See `Agent`. What several tasks of a job ask in the same words is computed once."""
        results = []
        for tasks in jobs:
            known: dict[tuple[Any, ...], list[list[Candidate]]] = {}
            done: list[Any] = []
            for task in tasks:
                if isinstance(task, Reflect):
                    done.append(self.reflect([task]))
                    continue
                key = task.question, tuple(map(id, task.policies)), task.count, task.apart
                if key not in known:
                    known[key] = self.propose(task)
                done.append(known[key])
            results.append(done)
        return results

    def propose(self, task: Propose) -> list[list[Candidate]]:
        """Constrained beam search with `count` beams: hypotheses are compared by their mean log-probability."""
        import torch

        prompt = self.reader.prompt(task.question.prompt)
        prefixes = torch.stack([policy.prefix for policy in task.policies])
        with torch.inference_mode():
            if task.question.kind == "word":
                return self._likeliest_words(self.reader.open(prefixes, prompt)[1], task)
            if not task.apart:
                state, logprobs = self.reader.open(prefixes, prompt)
                return self._beams(state, logprobs, self.titles.without(task.question.banned), task.count)
            said = set(task.question.banned)
            found: list[list[Candidate]] = []
            for prefix in prefixes:
                state, logprobs = self.reader.open(prefix[None], prompt)
                found += self._beams(state, logprobs, self.titles.without(said), task.count)
                said.update(candidate.name for candidate in found[-1])
            return found

    def _likeliest_words(self, logprobs: torch.Tensor, task: Propose) -> list[list[Candidate]]:
        # A word is one entry of the vocabulary, so the beams are the head of one distribution.
        said = set(task.question.banned)
        free = [token for token, word in self.words.items() if word not in said]
        most = min(task.count * (len(logprobs) if task.apart else 1), len(free))
        found = []
        for best in logprobs[:, free].topk(most, dim=1).indices.tolist():
            beam = [(free[n], self.words[free[n]]) for n in best]
            beam = [(token, word) for token, word in beam if not task.apart or word not in said][: task.count]
            said.update(word for _, word in beam)
            found.append([Candidate(word, (token,)) for token, word in beam])
        return found

    def _beams(self, state: Any, first: torch.Tensor, allowed: Allowed, count: int) -> list[list[Candidate]]:  # noqa: ANN401
        """Beams of every prefix side by side."""
        rows = range(len(first))
        done: list[list[tuple[float, Path, str]]] = [[] for _ in rows]
        live: list[tuple[int, float, Path]] = [(row, 0.0, ()) for row in rows]
        logprobs = first
        while live:
            grown: list[list[tuple[float, Path, str | None]]] = [[] for _ in rows]
            for (row, so_far, path), behind in zip(live, logprobs, strict=True):
                children = allowed.after(path)
                scores = behind[list(children)].tolist()
                for (token, node), score in zip(children.items(), scores, strict=True):
                    grown[row].append((so_far + score, (*path, token), node.item))
            live = []
            for row in rows:
                # As in the usual beam search: of twice as many beginnings, those that end are put aside.
                chosen = sorted(grown[row], key=lambda g: (-g[0], g[1]))[: 2 * count]
                done[row] += [(total / len(path), path, item) for total, path, item in chosen if item is not None]
                done[row] = sorted(done[row], key=lambda d: (-d[0], d[1]))[:count]
                going = [(row, total, path) for total, path, item in chosen if item is None][:count]
                settled = len(done[row]) == count
                if going and not (settled and done[row][-1][0] >= going[0][1] / len(going[0][2])):
                    live += going
            if live:
                logprobs = self.reader.extend(state, [(row, path) for row, _, path in live])
        return [[Candidate(self._catalog[item], path) for _, path, item in found] for found in done]

    def gradient(self, task: Reflect) -> torch.Tensor:
        """∇_F of L_F = Σ_i T(δ_i)·L_A(F ⊕ 𝒫, δ_i), eq. 3 and 4, where L_A is the mean negative log-likelihood."""
        import torch

        prefix = task.policy.prefix.detach().clone().requires_grad_()
        weights = torch.tensor(task.weights, device=prefix.device)
        with torch.enable_grad():
            prompt = self.reader.prompt(task.question.prompt)
            nll = self.reader.nll(prefix, prompt, [c.tokens for c in task.candidates])
            terms = weights * nll
            loss = terms.mean() if task.rule.mean else terms.sum()
        gradient: torch.Tensor = torch.autograd.grad(loss, prefix)[0]
        return gradient

    def reflect(self, tasks: Sequence[Reflect]) -> Soft:
        """See `Agent`; the gradients of several users are averaged."""
        import torch

        policy: Soft = tasks[0].policy
        tasks = [task for task in tasks if task.candidates]
        if not tasks:
            return policy
        gradient = torch.stack([self.gradient(task) for task in tasks]).mean(0)
        return step(policy, gradient, tasks[0].rule)


def step(policy: Soft, gradient: torch.Tensor, rule: Rule) -> Soft:
    """F ← F − γ∇L_F; with AdamW, one of its steps with the usual settings."""
    import torch

    if not rule.adamw:
        return Soft(policy.prefix - rule.rate * gradient)
    zeros = torch.zeros_like(gradient)
    mean, square, count = policy.moments or (zeros, zeros, 0)
    mean, square, count = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2, count + 1
    move = (mean / (1 - 0.9**count)) / ((square / (1 - 0.999**count)).sqrt() + 1e-8)
    return Soft(policy.prefix * (1 - 0.01 * rule.rate) - rule.rate * move, (mean, square, count))
