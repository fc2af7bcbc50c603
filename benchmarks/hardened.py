"""What trained defenses buy: each hardened twin beside the plain target, on the same users, under the same attacks.

`dpo` aligns the TALLRec reference on blindly disturbed requests of users who are in no test window, resumable.
`tallrec` compares an adapter with the shipped one: AUC and UAUC, and how many decisions flip under each disturbance;
some kinds of disturbance were in the training, some were not.
`p5` compares weights with the shipped ones: HR@10 and NDCG@10, clean and under searching attacks that see the target
they attack, the true next item known. Differences are paired by user.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attacks.hotflip import HotFlip
from attacks.injection.attacks import Derailing, Injection
from attacks.item_text.stuffing import KeywordStuffing
from attacks.negation import Negation
from attacks.random_items import RandomItems
from attacks.random_words import RandomWords
from attacks.rivals.genetic import Genetic
from attacks.typos import Typos
from audit import stats
from audit.attack import Goal, Objective, Offer, Perturbation, Promotion
from audit.attack.search import Search
from audit.config import DatasetConfig
from audit.data.cases import ranking_cases
from audit.data.dataset import Dataset, FloatArray
from audit.data.load import load_dataset
from audit.data.splits import WindowGroup, window_groups
from audit.edits import Edit, apply
from audit.exchanges import Exchange
from audit.seeds import generator
from audit.target import Recommender, TargetInfo
from audit.targets.zoo import p5 as p5_target
from audit.targets.zoo import tallrec
from audit.targets.zoo.p5_vocabulary import SEEN as WORDINGS
from audit.types import Answer, Catalog, Request
from defenses.training import dpo_tallrec
from defenses.training.adversarial import AdversarialTraining
from defenses.training.alignment import Dpo
from defenses.training.preferences import Perturb, disturbed

K = 10
SEEN = ("typos", "random-words", "negation", "injection")
UNSEEN = ("random-items", "keyword-stuffing", "derail")


def ml100k() -> Dataset:
    """MovieLens-100K, 5-core."""
    return load_dataset(DatasetConfig(name="ml-100k"), Path.cwd())


def blind(attack: Perturbation, info: TargetInfo) -> Perturb:
    """One draw of an attack that asks nothing."""
    return lambda request, rng: attack.craft(request, info, frozenset(), rng)


def written(attack: Promotion) -> Perturb:
    """A text of an attack, in the title of any candidate."""

    def perturb(request: Request, rng: np.random.Generator) -> Sequence[Edit]:
        items, variants = request.candidates or (), [v for v in attack.variants if v.place == "title"]
        variant = variants[int(rng.integers(len(variants)))]
        return attack.rewrite(Offer(items[int(rng.integers(len(items)))], request, (), variant), rng)

    return perturb


def disturbances(catalog: Catalog, info: TargetInfo) -> Mapping[str, Perturb]:
    """All kinds, by name."""
    return {
        "typos": blind(Typos(catalog), info),
        "random-words": blind(RandomWords(catalog), info),
        "negation": blind(Negation(catalog), info),
        "injection": written(Injection(catalog)),
        "random-items": blind(RandomItems(catalog), info),
        "keyword-stuffing": written(KeywordStuffing(catalog)),
        "derail": blind(Derailing(catalog), info),
    }


def questions(groups: Sequence[WindowGroup], rng: np.random.Generator, *, count: int, targets: int) -> list[Request]:
    """One question each of as many users as there are, then a second one, …; no user is asked more than needed."""
    by_user: dict[str, list[WindowGroup]] = {}
    for i in rng.permutation(len(groups)):
        by_user.setdefault(groups[int(i)].user, []).append(groups[int(i)])
    rounds = max(map(len, by_user.values()))
    dealt = [own[turn] for turn in range(rounds) for own in by_user.values() if turn < len(own)]
    return [
        tallrec.question(g.user, g.history, tuple(g.targets[int(i)] for i in rng.permutation(len(g.targets))[:targets]))
        for g in dealt[:count]
    ]


def exchanges_of(dataset: Dataset, target: Any, *, seed: int, count: int, targets: int) -> list[Exchange]:
    """Blindly disturbed requests of users who are in no validation or test window."""
    tested = {g.user for part in ("valid", "test") for g in window_groups(dataset, part)}
    groups = [g for g in window_groups(dataset, "train") if g.user not in tested]
    rng = np.random.default_rng([seed, 0])
    asked = questions(groups, rng, count=count, targets=targets)
    ways = disturbances(dataset.catalog, target.info)
    share = -(-len(asked) // len(SEEN))
    found: list[Exchange] = []
    for n, kind in enumerate(SEEN):
        found += disturbed(target, asked[n * share : (n + 1) * share], ways[kind], rng, title=kind)
    return found


def dpo(options: argparse.Namespace) -> None:
    """Align the adapter."""
    dataset, target = ml100k(), tallrec.build()
    found = exchanges_of(dataset, target, seed=options.seed, count=options.questions, targets=options.targets)
    print(f"{len(found)} exchanges of {len({e.before.user.id for e in found})} users", flush=True)
    del target
    started = time.monotonic()
    metrics = dpo_tallrec.train(
        out=options.out,
        seed=options.seed,
        exchanges=found,
        steps=options.steps,
        beta=options.beta,
        peak=options.peak,
        batch=options.batch,
        progress=lambda step, steps, loss: print(
            f"{step}/{steps} {loss:.4f} {time.monotonic() - started:.0f} s", flush=True
        ),
    )
    print(json.dumps(metrics))


def p5(options: argparse.Namespace) -> None:
    """Clean and attacked HR@10 and NDCG@10 of both weights, each attacked for itself, and paired differences."""
    dataset = ml100k()
    cases = ranking_cases(dataset, users=options.users, k=K, candidates=None, rng=generator(options.seed, "users"))
    requests = [replace(c.request, instruction=WORDINGS[0]) for c in cases]
    relevant = [c.relevant for c in cases]
    plain = p5_target.build(dataset, options.beside)
    hard = AdversarialTraining(weights=options.weights).protect(plain)
    attacks: Mapping[str, Search] = {
        "random-items": RandomItems(dataset.catalog),
        "one random item": RandomItems(dataset.catalog, items=1),
        "hotflip": HotFlip(dataset.catalog),
        "hotflip items": HotFlip(dataset.catalog, edits="items"),
        "hotflip one item": HotFlip(dataset.catalog, edits="items", size=1),
        "genetic": Genetic(dataset.catalog),
        "genetic items": Genetic(dataset.catalog, edits="items"),
    }
    lines: list[dict[str, Any]] = []
    clean = {name: target.recommend(requests) for name, target in (("plain", plain), ("hardened", hard))}
    lines.append(_compared("clean", clean, relevant, options.seed))
    for name in options.attacks or attacks:
        found: dict[str, list[Answer]] = {}
        for side, target in (("plain", plain), ("hardened", hard)):
            rng = generator(options.seed, name)
            attempts = attacks[name].run(
                target, requests, Objective(Goal.DEGRADE, relevant=tuple(relevant)), options.budget, rng
            )
            found[side] = [attempt.after for attempt in attempts]
        lines.append(_compared(name, found, relevant, options.seed))
    if options.json is not None:
        options.json.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


def _compared(
    name: str, answers: Mapping[str, Sequence[Answer]], relevant: Sequence[frozenset[str]], seed: int
) -> dict[str, Any]:
    line: dict[str, Any] = {"attack": name}
    for metric, of in (("hr@10", _hit), ("ndcg@10", _gain)):
        values = {
            side: np.array([of(answer, wanted) for answer, wanted in zip(given, relevant, strict=True)])
            for side, given in answers.items()
        }
        rng = generator(seed, f"bootstrap {name} {metric}")
        for side, per_user in values.items():
            line[f"{metric} {side}"] = _shown(stats.mean_interval(per_user, rng=rng))
        line[f"{metric} difference"] = _shown(stats.paired_difference(values["hardened"], values["plain"], rng=rng))
    print(json.dumps(line), flush=True)
    return line


def _hit(answer: Answer, wanted: frozenset[str]) -> float:
    return float(bool(wanted & set(answer.ids[:K])))


def _gain(answer: Answer, wanted: frozenset[str]) -> float:
    return max((1 / np.log2(2 + n) for n, item in enumerate(answer.ids[:K]) if item in wanted), default=0.0)


def _shown(interval: stats.Interval) -> list[float]:
    return [round(float(x), 4) for x in (interval.estimate, interval.low, interval.high)]


def judge_tallrec(options: argparse.Namespace) -> None:
    """AUC, UAUC and flips of both adapters, on users of the test part, and paired differences."""
    dataset = ml100k()
    plain = tallrec.build()
    hard = Dpo(weights=str(options.weights)).protect(plain)
    groups = window_groups(dataset, "test")
    asked = questions(groups, generator(options.seed, "test"), count=options.questions, targets=options.targets)
    liked = {(g.user, item.id): label for g in groups for item, label in zip(g.targets, g.labels, strict=True)}
    labels = np.array([liked[(r.user.id, i.id)] for r in asked for i in r.candidates or ()])
    users = np.array([r.user.id for r in asked for _ in r.candidates or ()])
    clean = {side: _scores(target, asked) for side, target in (("plain", plain), ("hardened", hard))}
    rng = generator(options.seed, "bootstrap")
    for side, values in clean.items():
        auc, uauc = (
            stats.auc_interval(values, labels, users, rng=rng),
            stats.uauc_interval(values, labels, users, rng=rng),
        )
        print(json.dumps({"side": side, "auc": _shown(auc), "uauc": _shown(uauc), "n": len(labels)}), flush=True)
    gap = stats.paired_auc_difference(clean["hardened"], clean["plain"], labels, users, rng=rng)
    print(json.dumps({"auc difference": _shown(gap)}), flush=True)
    for kind, perturb in disturbances(dataset.catalog, plain.info).items():
        edited = [apply(perturb(r, generator(options.seed, kind, r.digest)), r) for r in asked]
        line: dict[str, Any] = {"disturbance": kind, "in training": kind in SEEN}
        flips = {}
        for side, target in (("plain", plain), ("hardened", hard)):
            flipped = (_scores(target, edited) >= 0.5) != (clean[side] >= 0.5)
            flips[side] = np.array([flipped[users == user].mean() for user in dict.fromkeys(users)])
            line[side] = _shown(stats.mean_interval(flips[side], rng=rng))
        line["difference"] = _shown(stats.paired_difference(flips["hardened"], flips["plain"], rng=rng))
        print(json.dumps(line), flush=True)


def _scores(target: Recommender, asked: Sequence[Request]) -> FloatArray:
    return np.array([s for answer in target.recommend(asked) for s in answer.scores], dtype=np.float64)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("p5")
    command.add_argument("--weights", default=None)
    command.add_argument("--beside", default=None, help="weights to compare with; default: the shipped plain ones")
    command.add_argument("--users", type=int, default=100)
    command.add_argument("--budget", type=int, default=50)
    command.add_argument("--attacks", nargs="*")
    command.add_argument("--json", type=Path, default=None)
    command.set_defaults(work=p5)
    command = commands.add_parser("dpo")
    command.add_argument("--out", type=Path, default=Path("weights/tallrec-dpo"))
    command.add_argument("--questions", type=int, default=160)
    command.add_argument("--targets", type=int, default=2)
    command.add_argument("--steps", type=int, default=80)
    command.add_argument("--batch", type=int, default=4)
    command.add_argument("--beta", type=float, default=0.1)
    command.add_argument("--peak", type=float, default=1e-4)
    command.set_defaults(work=dpo)
    command = commands.add_parser("tallrec")
    command.add_argument("--weights", type=Path, default=Path("weights/tallrec-dpo"))
    command.add_argument("--questions", type=int, default=140)
    command.add_argument("--targets", type=int, default=8)
    command.set_defaults(work=judge_tallrec)
    options = parser.parse_args()
    torch.set_num_threads(1)
    work: Callable[[argparse.Namespace], None] = options.work
    work(options)


if __name__ == "__main__":
    main()
