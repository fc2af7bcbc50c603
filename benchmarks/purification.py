"""`python -m benchmarks.purification`: what profile defenses find, cost and save; writes `docs/defenses/profile.md`.

One target (`p5`), the 100 users of MovieLens-100K that the audit `p5` draws, histories of 30. The log of the graph
holds nobody of them; norms and thresholds come from 300 others. Replay: the items were chosen against the bare target,
if against any. Adaptive: the same search was run against the defended one.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from attacks.places import insertable, insertion, item_places
from attacks.profile.pollution import PopularPollution, SearchedPollution, UnrelatedPollution
from attacks.random_items import RandomItems
from audit import stats
from audit.attack import AttackInfo, Edits, Goal, Objective, Perturbation, Search
from audit.data.cases import ranking_cases
from audit.data.dataset import Dataset
from audit.edits import apply
from audit.metrics import hit_rate, ndcg
from audit.seeds import generator
from audit.stats import Interval
from audit.target import Randomised, Recommender, TargetInfo, describe
from audit.targets.zoo import p5
from audit.targets.zoo.anchors import ml100k_core
from audit.types import Answer, Case, Request
from defenses.profile.consistency import ConsistencyFilter
from defenses.profile.graph import ItemGraph
from defenses.profile.judge import Judgement
from defenses.profile.purification import ReturnPurification

SEED, USERS, VALIDATION, HISTORY, K, BUDGET = 7, 100, 300, 30, 10, 50
RERUNS, DRAWS = 5, 5
"""Fresh draws on which edits against a defense that draws are judged, and over which an adaptive search averages."""

PAGE = Path(__file__).parents[1] / "docs" / "defenses" / "profile.md"
_START, _END = "<!-- written by `python -m benchmarks.purification` -->", "<!-- end -->"

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class NeighbourItems(Perturbation):
    """An adversary who has the graph: items that go best with the history, so that nothing stands out.

    Attributes:
        graph: of the defense.
        items: how many are inserted.
        pool: how many of the best they are drawn from; `items` for the very best.
    """

    graph: ItemGraph | None = None
    items: int = 3
    pool: int = 3

    @property
    def info(self) -> AttackInfo:
        """That of the random items it takes the place of."""
        return replace(RandomItems(self.catalog, items=self.items).info, id="neighbour-items")

    def craft(self, request: Request, target: TargetInfo, avoid: frozenset[str], rng: np.random.Generator) -> Edits:
        """Items with the highest mean affinity to the history, at random places."""
        assert self.graph is not None
        index = self.graph.index
        history = [index[e.item.id] for e in request.user.history]
        fit = np.asarray(self.graph.edges[history].sum(axis=0), dtype=np.float64)
        free = insertable(self.catalog, avoid, request)
        best = sorted(free, key=lambda item: -fit[index[item.id]])[: self.pool]
        places = item_places(request, target)
        edits = [(places[int(rng.integers(len(places)))], best[i]) for i in rng.permutation(len(best))[: self.items]]
        edits.sort(key=lambda pair: -pair[0].start)
        return tuple(insertion(place, item, request) for place, item in edits)


@dataclass(frozen=True)
class World:
    """The users, the bare target and what the defenses may learn from."""

    cases: Sequence[Case]
    validation: Sequence[Request]
    log: Dataset
    target: Recommender

    @classmethod
    def load(cls) -> World:
        """Draw the users as `examples/audits/p5.yaml` does."""
        dataset, target = ml100k_core(), p5.build()
        rng = generator(SEED, "cases")
        drawn = ranking_cases(dataset, users=None, k=K, candidates=None, rng=rng, history=HISTORY)
        wording = target.info.instructions["rank"]
        drawn = [replace(case, request=replace(case.request, instruction=wording)) for case in drawn]
        log = dataset.without_users([case.unit for case in drawn[:USERS]])
        return cls(drawn[:USERS], [c.request for c in drawn[USERS : USERS + VALIDATION]], log, target)

    @cached_property
    def requests(self) -> list[Request]:
        """The clean requests."""
        return [case.request for case in self.cases]

    @cached_property
    def objective(self) -> Objective:
        """The true next item is to fall."""
        return Objective(Goal.DEGRADE, tuple(case.relevant for case in self.cases))

    def crafted(self, attack: Search, budget: int, target: Recommender, draws: int = 1) -> list[Edits]:
        """What an attack does to each user."""
        objective = replace(self.objective, draws=draws)
        rng = generator(SEED, "purification", attack.info.id, str(budget))
        return [a.edits for a in attack.run(target, self.requests, objective, budget, rng)]

    def utility(self, target: Recommender, requests: Sequence[Request]) -> dict[str, Floats]:
        """HR@k and NDCG@k per user; of a target that draws, the mean over fresh draws."""
        draws = range(1, 1 + RERUNS) if isinstance(target, Randomised) and describe(target).randomised else range(1)
        found: dict[str, list[Floats]] = {"HR": [], "NDCG": []}
        for draw in draws:
            answers: Sequence[Answer] = (
                target.recommend_draws(requests, [draw] * len(requests))
                if isinstance(target, Randomised)
                else target.recommend(requests)
            )
            for name, metric in (("HR", hit_rate), ("NDCG", ndcg)):
                values = [metric(a.ids, c.relevant, K) for a, c in zip(answers, self.cases, strict=True)]
                found[name].append(np.array(values))
        return {name: np.mean(values, axis=0) for name, values in found.items()}


def _rng(*names: str) -> np.random.Generator:
    return generator(SEED, "purification", "intervals", *names)


def _head(columns: str) -> str:
    return f"| {columns} |\n|{'---|' * (columns.count(' | ') + 1)}"


def _show(interval: Interval, digits: int = 3) -> str:
    low, high = (f"{x:.{digits}f}" for x in (interval.low, interval.high))
    return f"{interval.estimate:.{digits}f} [{low}, {high}]"


@dataclass(frozen=True)
class Attacked:
    """Edited requests, and which events of each were put in."""

    name: str
    requests: Sequence[Request]
    planted: Sequence[frozenset[int]]

    @classmethod
    def of(cls, name: str, clean: Sequence[Request], edits: Sequence[Edits]) -> Attacked:
        """Apply the edits. A planted item is one that the clean history does not hold."""
        requests = [apply(e, r) for e, r in zip(edits, clean, strict=True)]
        planted = []
        for before, after in zip(clean, requests, strict=True):
            own = {event.item.id for event in before.user.history}
            planted.append(frozenset(i for i, e in enumerate(after.user.history) if e.item.id not in own))
        return cls(name, requests, planted)


# What is found -------------------------------------------------------------------------------------------------------


def detection(world: World, attacked: Sequence[Attacked], detectors: Mapping[str, Any]) -> Iterator[str]:
    """Items and requests told apart, per detector and attack."""
    yield _head(
        "detector | items put in | AUROC of items | AP of items (chance) | planted dropped | own dropped | "
        "AUROC of requests | alarms"
    )
    for name, detector in detectors.items():
        clean = detector.judgements(world.requests)
        alarms = sum(found.suspicion > detector.threshold for found in clean)
        flagged, judged = _flags(world.requests, clean, [frozenset[int]()] * len(clean))[1]
        fpr = stats.cluster_rate(flagged, judged, rng=_rng(name, "clean"))
        yield f"| {name} | none | – | – | – | {_show(fpr)} | – | {_show(stats.wilson(alarms, len(clean)))} |"
        for attack in attacked:
            yield _detected(name, detector, attack, clean, world)


def _flags(
    requests: Sequence[Request], found: Sequence[Judgement], planted: Sequence[frozenset[int]]
) -> tuple[tuple[list[int], list[int]], tuple[list[int], list[int]]]:
    """(dropped, all) counts per user, of planted and of own items."""
    bad = [len(p & frozenset(j.flagged)) for p, j in zip(planted, found, strict=True)]
    own = [len(frozenset(j.flagged) - p) for p, j in zip(planted, found, strict=True)]
    sizes = [len(r.user.history) - len(p) for r, p in zip(requests, planted, strict=True)]
    return (bad, [len(p) for p in planted]), (own, sizes)


def _detected(name: str, detector: Any, attack: Attacked, clean: Sequence[Judgement], world: World) -> str:
    found = detector.judgements(attack.requests)
    scores, labels, users = [], [], []
    for request, judgement, planted in zip(attack.requests, found, attack.planted, strict=True):
        z = dict(zip(judgement.positions, judgement.z.tolist(), strict=True))
        # An item that cannot be judged is never flagged: it counts as the least suspicious of all.
        scores += [-z[i] if i in z else -1e6 for i in range(len(request.user.history))]
        labels += [int(i in planted) for i in range(len(request.user.history))]
        users += [request.user.id] * len(request.user.history)
    area = stats.auc_interval(scores, labels, users, rng=_rng(name, attack.name, "auc"))
    pure = stats.average_precision_interval(scores, labels, users, rng=_rng(name, attack.name, "ap"))
    (bad, put), (own, had) = _flags(attack.requests, found, attack.planted)
    caught = stats.cluster_rate(bad, put, rng=_rng(name, attack.name, "caught"))
    lost = stats.cluster_rate(own, had, rng=_rng(name, attack.name, "lost"))
    suspicion = [j.suspicion for j in (*found, *clean)]
    sides = [1] * len(found) + [0] * len(clean)
    whose = [r.user.id for r in world.requests] * 2
    requests = stats.auc_interval(suspicion, sides, whose, rng=_rng(name, attack.name, "requests"))
    alarms = stats.wilson(sum(j.suspicion > detector.threshold for j in found), len(found))
    share = sum(put) / (sum(put) + sum(had))
    cells = (_show(area), f"{_show(pure)} ({share:.2f})", _show(caught), _show(lost), _show(requests), _show(alarms))
    return f"| {name} | {attack.name} | {' | '.join(cells)} |"


# What it costs and saves ---------------------------------------------------------------------------------------------


def utility(
    world: World,
    attacked: Sequence[Attacked],
    defended: Mapping[str, Recommender],
    adaptive: Mapping[tuple[str, str], Attacked],
) -> Iterator[str]:
    """HR and NDCG with and without, clean and attacked, and what of the loss is made good."""
    yield _head(
        f"defense | items put in | row | HR@{K} | NDCG@{K} | change of HR by the defense | change of NDCG | "
        "HR recovered | NDCG recovered"
    )
    clean = world.utility(world.target, world.requests)
    yield f"| none | none | clean | {_means('none', 'clean', clean)} | – | – | – | – |"
    bare = {attack.name: world.utility(world.target, attack.requests) for attack in attacked}
    for name, values in bare.items():
        yield f"| none | {name} | undefended | {_means('none', name, values)} | – | – | – | – |"
    for defense, target in defended.items():
        values = world.utility(target, world.requests)
        cells = (_means(defense, "clean", values), _changes(defense, "clean", values, clean))
        yield f"| {defense} | none | clean | {' | '.join(cells)} | – | – |"
        rows = [("replay", attack) for attack in attacked]
        rows += [("adaptive", found) for (against, _), found in adaptive.items() if against == defense]
        for row, attack in rows:
            values, without = world.utility(target, attack.requests), bare[attack.name]
            key = attack.name + row
            saved = [_recovery(values[m], without[m], clean[m], _rng(defense, key, m)) for m in ("HR", "NDCG")]
            cells = (_means(defense, key, values), _changes(defense, key, values, without), *saved)
            yield f"| {defense} | {attack.name} | {row} | {' | '.join(cells)} |"


def _means(defense: str, row: str, values: Mapping[str, Floats]) -> str:
    shown = (
        _show(stats.mean_interval(v, rng=_rng(defense, row, m, "mean"), bounds=(0.0, 1.0))) for m, v in values.items()
    )
    return " | ".join(shown)


def _changes(defense: str, row: str, ours: Mapping[str, Floats], theirs: Mapping[str, Floats]) -> str:
    shown = (
        _show(stats.paired_difference(v, theirs[m], rng=_rng(defense, row, m, "change"), bounds=(-1.0, 1.0)))
        for m, v in ours.items()
    )
    return " | ".join(shown)


def _recovery(defended: Floats, attacked: Floats, clean: Floats, rng: np.random.Generator) -> str:
    """(defended − attacked) / (clean − attacked), where the loss it is a share of is more than noise."""
    lost = stats.paired_difference(clean, attacked, rng=rng, bounds=(-1.0, 1.0))
    if lost.low <= 0:
        return "within noise"
    return _show(stats.ratio_interval(defended - attacked, clean - attacked, rng=rng), 2)


# Whom it hits --------------------------------------------------------------------------------------------------------


def subgroups(world: World, detectors: Mapping[str, Any]) -> Iterator[str]:
    """Clean items dropped, by what they are and whose."""
    popularity = world.log.popularity
    yield _head(f"clean items dropped | {' | '.join(detectors)}")

    def line(title: str, requests: Sequence[Request], counts: Callable[[Request, int], bool]) -> str:
        cells = []
        for name, detector in detectors.items():
            hits, sizes = [], []
            for request, found in zip(requests, detector.judgements(requests), strict=True):
                mine = [i for i in range(len(request.user.history)) if counts(request, i)]
                hits.append(len(set(found.flagged) & set(mine)))
                sizes.append(len(mine))
            rate = stats.cluster_rate(hits, sizes, rng=_rng(name, title))
            cells.append(f"{_show(rate)}, n = {sum(sizes):,}")
        return f"| {title} | {' | '.join(cells)} |"

    def people(request: Request, i: int) -> int:
        return popularity[request.user.history[i].item.id]

    yield line("all", world.requests, lambda r, i: True)
    for length in (3, 5, 10, 20):
        short = [replace(r, user=replace(r.user, history=r.user.history[-length:])) for r in world.requests]
        yield line(f"the latest {length} events only", short, lambda r, i: True)
    for low, high in ((0, 20), (20, 100), (100, 250), (250, 10_000)):
        title = f"had by {low} to {high - 1} people" if high < 10_000 else f"had by {low} people or more"
        yield line(title, world.requests, lambda r, i, low=low, high=high: low <= people(r, i) < high)  # type: ignore[misc]
    breadth = {r.user.id: _breadth(r) for r in world.requests}
    cuts = np.quantile(list(breadth.values()), [1 / 3, 2 / 3])
    for title, low, high in (
        ("users of few genres (lowest third of entropy)", -1.0, cuts[0]),
        ("users of many genres (highest third)", cuts[1], math.inf),
    ):
        group = [r for r in world.requests if low < breadth[r.user.id] <= high]
        yield line(title, group, lambda r, i: True)


def _breadth(request: Request) -> float:
    """Entropy of the genres of a history, in nats."""
    counts: dict[str, int] = {}
    for event in request.user.history:
        genres = event.item.attributes.get("genres", ())
        for genre in genres if isinstance(genres, tuple) else ():
            counts[genre] = counts.get(genre, 0) + 1
    shares = np.array(list(counts.values())) / max(sum(counts.values()), 1)
    return float(-(shares * np.log(shares)).sum())


# All together --------------------------------------------------------------------------------------------------------


def speed(world: World, detector: Any) -> float:
    """Requests judged per second, all of them new, on one thread; the best of three."""
    many = [replace(r, user=replace(r.user, id=f"{r.user.id}-{n}")) for n in range(20) for r in world.requests]
    best = math.inf
    for _ in range(3):
        start = time.perf_counter()
        detector.edits(many)
        best = min(best, time.perf_counter() - start)
    return len(many) / best


def tables(world: World) -> Iterator[str]:
    """All tables as Markdown."""
    log, validation = world.log, world.validation
    catalog = log.catalog
    plain = ConsistencyFilter(log, validation)
    kinds: dict[str, Any] = {
        "`consistency-filter`": plain,
        "…, `when: alarm`": ConsistencyFilter(log, validation, when="alarm"),
        "`return`": ReturnPurification(log, validation),
        "…, `how: replace`": ReturnPurification(log, validation, how="replace"),
    }
    defended = {name: kind.protect(world.target) for name, kind in kinds.items()}
    detectors = {
        "PMI⁺ (`consistency-filter`)": defended["`consistency-filter`"],
        "cosine (`measure: cosine`)": ConsistencyFilter(log, validation, measure="cosine").protect(world.target),
        "retrieved support (`return`)": defended["`return`"],
    }
    searches: tuple[tuple[str, Search], ...] = (
        (f"3 random, best of {BUDGET}", RandomItems(catalog)),
        (f"3 searched, {BUDGET} queries", SearchedPollution(catalog)),
        (f"3 of the 100 nearest, best of {BUDGET}", NeighbourItems(catalog, graph=plain.graph, pool=100)),
    )
    blind: tuple[tuple[str, Search], ...] = (
        ("3 random", RandomItems(catalog)),
        ("3 popular", PopularPollution(catalog, popularity=log.popularity)),
        ("3 unrelated", UnrelatedPollution(catalog)),
        ("3 nearest", NeighbourItems(catalog, graph=plain.graph)),
    )
    found = []
    for name, attack in (*blind, *searches):
        print(name, file=sys.stderr, flush=True)
        budget = BUDGET if (name, attack) in searches else 0
        found.append(Attacked.of(name, world.requests, world.crafted(attack, budget, world.target)))
    adaptive = {}
    for defense, target in defended.items():
        draws = DRAWS if describe(target).randomised else 1
        for name, attack in searches[1:]:
            print(defense, name, file=sys.stderr, flush=True)
            edits = world.crafted(attack, BUDGET, target, draws)
            adaptive[defense, name] = Attacked.of(name, world.requests, edits)
    yield "### What is found"
    yield ""
    yield from detection(world, found, detectors)
    yield ""
    yield "### What it costs, and what it saves"
    yield ""
    yield from utility(world, found, defended, adaptive)
    yield ""
    yield "### Whom it hits"
    yield ""
    yield from subgroups(world, detectors)
    yield ""
    yield (
        f"Speed: {speed(world, defended['`consistency-filter`']):,.0f} histories of {HISTORY} judged per second on one "
        "thread of the machine that wrote this page."
    )


def main() -> int:
    """Measure, and write the page."""
    import torch

    torch.set_num_threads(1)
    start = time.perf_counter()
    lines = list(tables(World.load()))
    lines.append(f"All of it took {(time.perf_counter() - start) / 60:.0f} minutes.")
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(_START)
    after = rest.split(_END)[1]
    PAGE.write_text(f"{before}{_START}\n\n" + "\n".join(lines) + f"\n\n{_END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
