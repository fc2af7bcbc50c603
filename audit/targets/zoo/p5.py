"""P5 in small: a T5 that reads an instruction and item tokens, and says the next item's tokens.

Source: Geng et al., "Recommendation as Language Processing (RLP): A Unified Pretrain, Personalized Prompt & Predict
Paradigm (P5)", RecSys 2022. Ships with weights for MovieLens-100K, trained by `recaudit train p5`; how good they are
stands in the model card beside them.

The default form puts the ten most recent items into the decoder's prefix. In the form `encoder`, that of P5 itself, the
same weights read the history as a set: no order of it changes much. That one is kept as a control for order attacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from audit.data.dataset import Dataset, FloatArray, IntArray
from audit.errors import ConfigError, TargetError
from audit.target import Input, Insight, Rendered, TargetInfo
from audit.targets.zoo.anchors import fingerprint, ml100k_core
from audit.targets.zoo.p5_answers import Asked, answers
from audit.targets.zoo.p5_gradients import P5Gradients
from audit.targets.zoo.p5_prompts import Encoded, Prompt, Prompter
from audit.targets.zoo.p5_vocabulary import SEEN, UNSEEN
from audit.types import Answer, Catalog, Request, Task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from audit.targets.zoo.p5_model import P5Net

Form = Literal["decoder", "encoder"]

SHIPPED = Path(__file__).parent / "weights" / "p5-ml100k"
"""Holds one folder per indexing."""

BATCH = 512
"""Requests answered at once."""

_ROWS, _CELLS = 64, 64 * 64
"""Prompts in one pass, and tokens: enough to fill the matrix kernels, few enough to stay in the cache."""

_TASKS: tuple[Task, ...] = ("rank", "score")


class P5(P5Gradients):
    """Ranks and scores items by the log-probability of their tokens, exactly, without a beam.

    `rank` without candidates ranks the catalogue without the items of the history; with candidates it ranks exactly
    those. `score` gives each candidate its log-probability in nats, summed over its tokens, from the same prompt. Of
    the history the last 30 items count (`form="encoder"`: 20); an item outside the catalogue is read as the
    unknown-item token, and as a candidate it scores below every known item.

    Args:
        catalog: the items, in the order of the network's indices.
        net: the trained network.
        form: where the history stands; see the module.

    Raises:
        ConfigError: no such form.
    """

    def __init__(self, catalog: Catalog, net: P5Net, form: Form = "decoder") -> None:
        from audit.targets.zoo.p5_scoring import Scorer

        if form not in get_args(Form):
            raise ConfigError(f"form: {form!r} is not one of {', '.join(get_args(Form))}")
        self.catalog, self.net, self.form = catalog, net, form
        self.scorer = Scorer(net)
        self.vocabulary = net.vocabulary
        near = net.hyper.near if form == "decoder" else 0
        self.prompts = Prompter(catalog, self.vocabulary, net.hyper.far, near)
        name = "p5" if form == "decoder" else "p5-order-blind"
        numbers = [value.numpy() for _, value in sorted(net.state_dict().items())]
        scheme = f"{name}/{self.vocabulary.indexing.scheme}/{' '.join(self.vocabulary.words)}"
        self._info = TargetInfo(
            name=name,
            tasks=_TASKS,
            honours=frozenset({Input.INSTRUCTION, Input.HISTORY}),
            reveals=frozenset({Insight.SCORES, Insight.LOGPROBS, Insight.GRADIENTS}),
            instructions=dict.fromkeys(_TASKS, SEEN[0]),
            paraphrases=dict.fromkeys(_TASKS, (*SEEN[1:], UNSEEN)),
            fingerprint=fingerprint(scheme, catalog, self.vocabulary.indexing.codes, *numbers),
            batch_size=BATCH,
        )

    @classmethod
    def load(cls, folder: Path, catalog: Catalog, form: Form = "decoder") -> P5:
        """Read weights as training saves them; titles come from `catalog`.

        Raises:
            TargetError: the weights cannot be read, or know an item that `catalog` lacks.
        """
        from audit.targets.zoo.p5_model import load

        net, ids = load(folder)
        missing = [item_id for item_id in ids if item_id not in catalog]
        if missing:
            raise TargetError(
                f"p5: {folder} was trained on {len(missing)} items that this catalogue lacks, such as "
                f"{missing[0]!r}; run `recaudit train p5` on this dataset"
            )
        return cls(Catalog(catalog[item_id] for item_id in ids), net, form)

    @property
    def info(self) -> TargetInfo:
        """What the target declares about itself."""
        return self._info

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer each request. A task other than `rank` and `score` is an answer with the outcome `error`."""
        found: list[Answer] = []
        for start in range(0, len(requests), BATCH):
            batch = requests[start : start + BATCH]
            found += answers(self, [Asked(request, self.prompts.prompt(request)) for request in batch])
        return found

    def log_probs(self, encoder: Tensor, prefix: Tensor, items: Tensor | None = None) -> Tensor:
        """Log-probabilities of items from embedded prompts; differentiable in both.

        Args:
            encoder: (batch, length, dim) embeddings of the encoder's tokens, from `embed`.
            prefix: (batch, n, dim) embeddings of the decoder's tokens.
            items: (batch, m) item indices; None for the whole catalogue.

        Returns:
            (batch, m or items), float64, in nats.
        """
        if items is None:
            return self.scorer.catalogue(encoder, prefix)
        return self.scorer.chosen(encoder, prefix, items).sum(-1)

    def embed(self, tokens: Tensor) -> Tensor:
        """Token numbers (…) to their input embeddings (…, dim)."""
        return self.scorer.embed(tokens)

    def encode_prompt(self, request: Request) -> Encoded:
        """The tokens of a request's prompt, each with the field that it came from."""
        return self.prompts.encode(request)

    def render(self, request: Request) -> Rendered:
        """The prompt as text: see `Prompter.render`."""
        return self.prompts.render(request)

    def count_tokens(self, requests: Sequence[Request]) -> list[int]:
        """Prompt tokens of each request, in the encoder and in the decoder's prefix."""
        return [self.prompts.length(self.prompts.prompt(request)) for request in requests]

    def logprobs(self, requests: Sequence[Request], continuations: Sequence[str]) -> list[list[float]]:
        """Log-probability of each token of an item, given its request's prompt, in nats.

        Args:
            requests: whose prompts are continued.
            continuations: for each request an item, by its id or as `render` writes it.

        Raises:
            TargetError: a continuation is no item of the catalogue.
        """
        written = {self.prompts.item_text(i): i for i in range(len(self.catalog))} | self.prompts.index
        unknown = [text for text in continuations if text not in written]
        if unknown:
            raise TargetError(f"p5: logprobs: {unknown[0]!r} is no item; give the id of one in the catalogue")
        prompts = [self.prompts.prompt(request) for request in requests]
        chosen = [[written[text]] for text in continuations]
        found: list[list[float]] = [[]] * len(prompts)
        for rows, values in self.chosen(list(zip(prompts, chosen, strict=True))):
            for row, value in zip(rows, values.tolist(), strict=True):
                found[row] = value[0]
        return found

    def score(self, histories: Sequence[IntArray], instruction: str = SEEN[0]) -> FloatArray:
        """Log-probabilities (histories, items) of every item as the next one."""
        words = self.prompts.words(instruction)
        prompts = [(words, *self.prompts.window(np.asarray(history).tolist())) for history in histories]
        scores = np.empty((len(prompts), len(self.catalog)))
        for rows, values in self.catalogue(prompts):
            scores[rows] = values
        return scores

    def catalogue(self, prompts: Sequence[Prompt]) -> Iterator[tuple[list[int], FloatArray]]:
        """Row numbers of some prompts and their log-probabilities (rows, items), until each prompt has had its turn."""
        import torch

        for rows, encoder, prefix in self._passes(prompts):
            with torch.inference_mode():
                yield rows, self.scorer.catalogue(self.embed(encoder), self.embed(prefix)).numpy()

    def chosen(self, asked: Sequence[tuple[Prompt, list[int]]]) -> Iterator[tuple[list[int], FloatArray]]:
        """As `catalogue`, for chosen items of each prompt: (rows, m, depth), where rows of fewer than m repeat one."""
        import torch

        for rows, encoder, prefix in self._passes([prompt for prompt, _ in asked]):
            items = [asked[row][1] for row in rows]
            most = max(map(len, items))
            wanted = torch.tensor([line + line[:1] * (most - len(line)) for line in items])
            with torch.inference_mode():
                yield rows, self.scorer.chosen(self.embed(encoder), self.embed(prefix), wanted).numpy()

    def _passes(self, prompts: Sequence[Prompt]) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """Prompts of equal lengths together: nothing is padded, so no prompt depends on its neighbours."""
        import torch

        groups: dict[tuple[int, int, int], list[int]] = {}
        for row, (w, f, n) in enumerate(tuple(map(len, prompt)) for prompt in prompts):
            groups.setdefault((w, f, n), []).append(row)
        table, depth = self.vocabulary.item_tokens, self.vocabulary.indexing.depth
        for (w, f, n), rows in groups.items():
            size = max(1, min(_ROWS, _CELLS // (w + (f + n) * depth + 2)))
            for start in range(0, len(rows), size):
                part = rows[start : start + size]
                count = len(part)
                words, far, near = (
                    np.array([prompts[row][at] for row in part], dtype=np.int64).reshape(count, -1) for at in range(3)
                )
                first = np.full((count, 1), self.vocabulary.START)
                last = np.full((count, 1), self.vocabulary.END)
                encoder = np.concatenate([words, table[far].reshape(count, f * depth), last], axis=1)
                prefix = np.concatenate([first, table[near].reshape(count, n * depth)], axis=1)
                yield part, torch.from_numpy(encoder), torch.from_numpy(prefix)


def build(
    dataset: Dataset | None = None,
    weights: str | Path | None = None,
    *,
    indexing: str = "iid",
    form: Form = "decoder",
) -> P5:
    """Entry point `p5`: the shipped weights of an indexing, or those in the folder `weights`.

    Args:
        dataset: its catalogue gives the titles; None for the 5-core of MovieLens-100K.
        weights: folder that `recaudit train p5` wrote; `indexing` is then read from it.
        indexing: which shipped weights to use.
        form: where the history stands; see the module.

    Raises:
        ConfigError: no weights of that indexing are shipped, or no such form.
        TargetError: the weights cannot be used with this catalogue.
    """
    shipped = sorted(folder.name for folder in SHIPPED.iterdir() if folder.is_dir())
    if weights is None and indexing not in shipped:
        raise ConfigError(
            f"indexing: no weights are shipped for {indexing!r}, only for {', '.join(shipped)}; "
            f"train them with `recaudit train p5 --option indexing={indexing}` and pass their folder as `weights`"
        )
    catalog = (ml100k_core() if dataset is None else dataset).catalog
    return P5.load(SHIPPED / indexing if weights is None else Path(weights), catalog, form)


def build_order_blind(dataset: Dataset | None = None, weights: str | Path | None = None) -> P5:
    """Entry point `p5-order-blind`: the same weights with the history in the encoder alone, read as a set."""
    return build(dataset, weights, form="encoder")
