"""`python -m benchmarks.privacy_curve`: what privacy costs a small recommender, and what its members then give away.

A causal model of about a million parameters over items is taught by some users of ML-100K who count as public. Then an
adapter is trained on the others, each in the training by a fair coin, for several ε. Whoever was left out is what
members are told from. Each training is stored when it is done, and one that was killed goes on from its last
checkpoint: the command can be stopped and given again. Writes `docs/privacy/curve.md`.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audit import stats
from audit.data.dataset import Dataset
from audit.seeds import generator
from audit.stats.membership import tpr_at_fpr
from audit.targets.lm import CausalLM
from benchmarks.stored_audits import ROOT, rewrite
from defenses.dp.gradients import Row
from defenses.dp.model import train
from defenses.dp.secret import Secret

Floats = npt.NDArray[np.float64]
STORED = ROOT / "reports" / "privacy-curve.jsonl"
PAGE = ROOT / "docs" / "privacy" / "curve.md"
COMMAND = "python -m benchmarks.privacy_curve"
SEEDS = (1, 2, 3)
PAD, BOS, FIRST = 0, 1, 2
"""Tokens before the first item's."""


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        name: in the table.
        options: of the training; None for an adapter that was never trained.
    """

    name: str
    options: Mapping[str, Any] | None

    def key(self, seed: int) -> str:
        """What a stored result must agree in."""
        return json.dumps([self.name, self.options, seed], sort_keys=True)


# The learning rate was chosen once, at ε = 8 on a seed that is not among those reported.
_PRIVATE: Mapping[str, Any] = {"epochs": 20, "batch": 64, "clip": 0.5, "rank": 8, "peak": 3e-3, "physical": 64}
ARMS = (
    Arm("untrained", None),
    *(Arm(f"{epsilon:g}".replace("inf", "∞"), {**_PRIVATE, "epsilon": epsilon}) for epsilon in (1.0, 3.0, 8.0)),
    Arm("∞", {**_PRIVATE, "epsilon": math.inf}),
    Arm("∞, overfitted", {**_PRIVATE, "epsilon": math.inf, "epochs": 40, "batch": 16}),
)


@dataclass(frozen=True)
class World:
    """People as sequences of items.

    Attributes:
        items: how many there are.
        public: sequences that teach the base; nobody's privacy is measured on them.
        people: sequences by user, oldest first; the last item of each is held out of every training.
        length: the most items of one sequence that are learnt.
    """

    items: int
    public: tuple[tuple[int, ...], ...]
    people: Mapping[str, tuple[int, ...]]
    length: int

    @classmethod
    def of(cls, dataset: Dataset, *, public: int, length: int = 40) -> World:
        """The users of a dataset, a random part of whom is public."""
        users = list(dataset.user_ids)
        order = [users[i] for i in generator(0, "privacy-curve", "public").permutation(len(users))]
        told = {u: tuple(int(FIRST + i) for i in dataset.sequences[u]) for u in order}
        told = {u: sequence for u, sequence in told.items() if len(sequence) >= 3}
        people = {u: told[u] for u in sorted(set(order[public:]) & set(told))}
        return cls(len(dataset.catalog), tuple(told[u] for u in order[:public] if u in told), people, length)

    def learnt(self, user: str) -> list[int]:
        """What is trained on of a user: all but the last item."""
        return list(self.people[user][-self.length - 1 : -1])

    @property
    def rows(self) -> dict[str, list[Row]]:
        """One sequence per user, so that a unit of the training is a person."""
        return {user: [Row([BOS], self.learnt(user))] for user in self.people}


@dataclass
class Bench:
    """A world and its base model.

    Attributes:
        world: people.
        folder: for trainings under way.
        size: of the model.
        epochs: over the public sequences.
    """

    world: World
    folder: Path
    size: Mapping[str, int] = field(default_factory=lambda: {"hidden_size": 160, "num_hidden_layers": 3})
    epochs: int = 8

    def base(self) -> CausalLM:
        """The base, taught by the public sequences once, and then read from its folder."""
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        place = self.folder / "base"
        if not (place / "config.json").exists():
            config = LlamaConfig(
                vocab_size=FIRST + self.world.items,
                intermediate_size=2 * self.size["hidden_size"],
                num_attention_heads=4,
                max_position_embeddings=self.world.length + 2,
                tie_word_embeddings=True,
                pad_token_id=PAD,
                bos_token_id=BOS,
                eos_token_id=None,
                **self.size,
            )
            with torch.random.fork_rng():
                torch.manual_seed(0)
                model = LlamaForCausalLM(config)
            self._teach(model)
            model.save_pretrained(place)
        return CausalLM(LlamaForCausalLM.from_pretrained(place), _tokenizer(self.world.items), identity="public users")

    def _teach(self, model: Any) -> None:
        import torch

        rng, steps = generator(0, "privacy-curve", "base"), torch.optim.AdamW(model.parameters(), lr=2e-3)
        sequences = [list(s[-self.world.length :]) for s in self.world.public]
        for _ in range(self.epochs):
            order = rng.permutation(len(sequences))
            for start in range(0, len(order), 16):
                tokens, kept = _told(model, [sequences[i] for i in order[start : start + 16]])
                steps.zero_grad()
                (-(tokens * kept).sum() / kept.sum()).backward()
                steps.step()

    def run(self, arm: Arm, seed: int) -> dict[str, Any]:
        """Train one adapter and measure it; the folder of a finished training is removed."""
        base = self.base()
        parameters = sum(p.numel() for p in base.model.parameters())
        users = list(self.world.people)
        bare = self.likelihoods(base.model, users)
        # A known secret: anybody can repeat the figures. For a model that is handed on it would void the guarantee.
        secret = Secret.of(seed)
        inside, outside = map(set, secret.split(users, 0.5))
        told: dict[str, Any] = {"epsilon": 0.0, "delta": None, "noise": None, "units": len(inside), "steps": 0}
        if arm.options is not None:
            out = self.folder / f"{arm.name}-{seed}".replace(", ", "-")
            if (out / "guarantee.json").exists():
                # Killed between its end and its measurement: with a known secret it is run again as it was.
                shutil.rmtree(out)
            told = train(
                base, self.world.rows, out=out, seed=seed, secret=secret, progress=_say(arm, seed), **arm.options
            )
            shutil.rmtree(out)
            base.model.eval()
        after = self.likelihoods(base.model, users)
        row = {name: told.get(name) for name in ("epsilon", "epsilon_prv", "epsilon_rdp", "delta", "noise", "steps")}
        row = {name: None if value == math.inf else value for name, value in row.items()}
        return row | {
            "key": arm.key(seed),
            "arm": arm.name,
            "seed": seed,
            "units": len(inside),
            "left_out": len(outside),
            "parameters": parameters,
            "seconds": told.get("seconds", 0),
            "loss": -float(np.mean([after[i] for i, user in enumerate(users) if user in outside])),
            **self.utility(base.model, users),
            **leaks(after, bare, np.array([user in inside for user in users]), told.get("delta") or 0.0),
        }

    def likelihoods(self, model: Any, users: Sequence[str]) -> Floats:
        """Mean log-probability of what was learnt of each user, (users,)."""
        import torch

        found: list[float] = []
        with torch.no_grad():
            for part in _parts(users):
                tokens, kept = _told(model, [self.world.learnt(user) for user in part])
                found += ((tokens * kept).sum(1) / kept.sum(1)).tolist()
        return np.array(found)

    def utility(self, model: Any, users: Sequence[str]) -> dict[str, float]:
        """AUC and HR@10 of the item that each user chose last, among all that they did not have before."""
        import torch

        hits, areas = [], []
        with torch.no_grad():
            for part in _parts(users):
                prompts = [[BOS, *self.world.learnt(user)] for user in part]
                ids, mask = _padded(prompts)
                logits = model(input_ids=ids, attention_mask=mask).logits
                for n, user in enumerate(part):
                    scores = logits[n, len(prompts[n]) - 1, FIRST:].double().numpy()
                    *had, last = (item - FIRST for item in self.world.people[user])
                    others = np.ones(len(scores), dtype=bool)
                    others[[*had, last]] = False
                    above = int((scores[others] > scores[last]).sum())
                    hits.append(above < 10)
                    areas.append(1 - above / int(others.sum()))
        return {"hr": float(np.mean(hits)), "auc": float(np.mean(areas))}


def leaks(after: Floats, bare: Floats, member: npt.NDArray[np.bool_], delta: float) -> dict[str, Any]:
    """What scores tell of who was trained on, each with its interval; and what the base alone tells of it.

    Args:
        after: mean log-probability of each user by the trained model, (users,).
        bare: by the base, (users,).
        member: who was trained on, by a fair coin each, (users,).
        delta: δ for the lower bound of ε.
    """
    gain = after - bare
    found: dict[str, Any] = {}
    for name, values in (("by_loss", after), ("by_reference", gain), ("blind", bare)):
        area = stats.membership_auc(values[member], values[~member])
        found[name] = [area.estimate, area.low, area.high]
    rate = tpr_at_fpr(gain[member], gain[~member], 0.01)
    found["tpr"] = None if rate is None else [rate.interval.estimate, rate.interval.low, rate.interval.high]
    bound = stats.one_run_bound(gain, member.astype(float), delta=delta)
    return found | {"epsilon_lb": bound.epsilon, "ceiling": bound.ceiling}


def _tokenizer(items: int) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": PAD, "<bos>": BOS} | {f"i{n}": FIRST + n for n in range(items)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))  # noqa: S106 - a token of text
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>")  # noqa: S106


def _padded(sequences: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    import torch

    ids = torch.full((len(sequences), max(map(len, sequences))), PAD)
    mask = torch.zeros_like(ids)
    for n, sequence in enumerate(sequences):
        ids[n, : len(sequence)] = torch.tensor(sequence)
        mask[n, : len(sequence)] = 1
    return ids, mask


def _told(model: Any, sequences: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    """Log-probability of each token (sequences, tokens) behind the first, and which are there."""
    ids, mask = _padded([[BOS, *sequence] for sequence in sequences])
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].log_softmax(-1)
    return logits.gather(2, ids[:, 1:, None])[..., 0], mask[:, 1:]


def _parts(users: Sequence[str], size: int = 64) -> Iterable[Sequence[str]]:
    return (users[start : start + size] for start in range(0, len(users), size))


def _say(arm: Arm, seed: int) -> Any:
    def progress(step: int, steps: int, loss: float) -> None:
        if step == 1 or step % 25 == 0 or step == steps:
            print(f"ε {arm.name}, seed {seed}: step {step}/{steps}, loss {loss:.3f}", file=sys.stderr, flush=True)

    return progress


# The page -----------------------------------------------------------------------------------------------------------


def page(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The tables: what is kept, and what is given away, by ε."""
    by_arm = {arm.name: [r for r in rows if r["arm"] == arm.name] for arm in ARMS}
    by_arm = {name: sorted(found, key=lambda r: r["seed"]) for name, found in by_arm.items() if found}
    first = rows[0]
    lines = [
        f"ML-100K; a causal model of {first['parameters']:,} parameters over items. Numbers are means over "
        f"{len({r['seed'] for r in rows})} seeds, and the lowest and highest of them where they differ. A seed draws "
        "who is trained on, the first weights, the people of each step, and the noise.",
        "",
        "| ε | σ | steps | people | HR@10 | AUC | loss of others | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in by_arm.items():
        sigma = "none" if not found[0]["noise"] else _mean(found, "noise", 2)
        cells = (_mean(found, "hr", 3), _mean(found, "auc", 3), _mean(found, "loss", 2))
        people, took = _mean(found, "units", 0), _mean(found, "seconds", 0)
        lines.append(f"| {name} | {sigma} | {found[0]['steps']} | {people} | {' | '.join(cells)} | {took} |")
    lines += [
        "",
        "Membership, one line per training. A 95 % interval that holds .5 shows nothing; of twenty such, one misses it "
        "by chance.",
        "",
        "| ε | seed | AUC by loss | AUC by reference | blind (base alone) | TPR at 1 % FPR | ε proven | most that "
        "could be proven |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in by_arm.items():
        for r in found:
            tpr = "not resolvable" if r["tpr"] is None else _span(r["tpr"])
            reference = "the base itself" if r["steps"] == 0 else _span(r["by_reference"])
            proven = "—" if r["steps"] == 0 else f"{r['epsilon_lb']:.2f}"
            tpr = "—" if r["steps"] == 0 else tpr
            lines.append(
                f"| {name} | {r['seed']} | {_span(r['by_loss'])} | {reference} | {_span(r['blind'])} | {tpr} | "
                f"{proven} | {r['ceiling']:.2f} |"
            )
    return lines


def _mean(rows: Sequence[Mapping[str, Any]], name: str, digits: int) -> str:
    values = [float(r[name]) for r in rows]
    low, high = (f"{value:.{digits}f}" for value in (min(values), max(values)))
    middle = f"{np.mean(values):.{digits}f}"
    return middle if low == high else f"{middle} ({low}–{high})"


def _span(interval: Sequence[float]) -> str:
    estimate, low, high = (f"{value:.2f}".removeprefix("0") for value in interval)
    return f"{estimate} [{low}, {high}]"


def read() -> list[dict[str, Any]]:
    """Results of this setting that are stored."""
    if not STORED.exists():
        return []
    wanted = {arm.key(seed) for arm in ARMS for seed in SEEDS}
    rows = [json.loads(line) for line in STORED.read_text(encoding="utf-8").splitlines() if line]
    return [row for row in rows if row["key"] in wanted]


def main() -> int:
    """Run what is missing; `--page` only writes the page from what is stored."""
    from audit.data.movielens import load_ml100k

    STORED.parent.mkdir(parents=True, exist_ok=True)
    if "--page" not in sys.argv:
        bench = Bench(World.of(load_ml100k(), public=143), STORED.parent / "privacy-curve")
        for seed in SEEDS:
            for arm in ARMS:
                if arm.key(seed) in {row["key"] for row in read()}:
                    continue
                started = time.monotonic()
                row = bench.run(arm, seed)
                with STORED.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(f"ε {arm.name}, seed {seed}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    rows = read()
    if rows:
        rewrite(PAGE, COMMAND, page(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
