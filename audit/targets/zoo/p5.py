"""P5 in small: a T5 that reads an instruction and item tokens, and says the next item's tokens.

Source: Geng et al., "Recommendation as Language Processing (RLP): A Unified Pretrain, Personalized Prompt & Predict
Paradigm (P5)", RecSys 2022. Ships with weights for MovieLens-100K, trained by `recaudit train p5`; how good they are
stands in the model card beside them.

The default form puts the ten most recent items into the decoder's prefix. In the form `encoder`, that of P5 itself, the
same weights read the history as a set: no order of it changes much. That one is kept as a control for order attacks.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from audit.data.dataset import Dataset
from audit.errors import ConfigError
from audit.target import Input, Insight, TargetInfo
from audit.targets.zoo.anchors import ml100k_core
from audit.targets.zoo.p5_prompts import Prompter
from audit.targets.zoo.p5_target import P5Target, trained
from audit.targets.zoo.p5_vocabulary import SEEN, UNSEEN
from audit.types import Catalog, Task

if TYPE_CHECKING:
    from audit.targets.zoo.p5_model import P5Net

Form = Literal["decoder", "encoder"]

SHIPPED = Path(__file__).parent / "weights" / "p5-ml100k"
"""Holds one folder per indexing."""

_TASKS: tuple[Task, ...] = ("rank", "score")


class P5(P5Target):
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
        if form not in get_args(Form):
            raise ConfigError(f"form: {form!r} is not one of {', '.join(get_args(Form))}")
        self.form = form
        near = net.hyper.near if form == "decoder" else 0
        info = TargetInfo(
            name="p5" if form == "decoder" else "p5-order-blind",
            tasks=_TASKS,
            honours=frozenset({Input.INSTRUCTION, Input.HISTORY}),
            reveals=frozenset({Insight.SCORES, Insight.LOGPROBS, Insight.GRADIENTS}),
            instructions=dict.fromkeys(_TASKS, SEEN[0]),
            paraphrases=dict.fromkeys(_TASKS, (*SEEN[1:], UNSEEN)),
        )
        super().__init__(catalog, net, Prompter(catalog, net.vocabulary, net.hyper.far, near), info)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog, form: Form = "decoder") -> P5:
        """Read weights as training saves them; titles come from `catalog`.

        Raises:
            TargetError: the weights cannot be read, or know an item that `catalog` lacks.
        """
        from audit.targets.zoo.p5_model import ARCHITECTURE

        return cls(*trained(folder, catalog, "p5", ARCHITECTURE), form)


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
