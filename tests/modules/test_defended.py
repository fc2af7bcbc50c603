"""The matrix of attacks and defenses, from configuration to findings: planted defenses whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from helpers import Scripted, write_world
from world import make_world

from audit import registry
from audit.defense import Certificate, Claim, Defended, DefenseInfo, Rewriting
from audit.edits import Edit, HistoryDrop, Zone
from audit.errors import ConfigError, TargetError
from audit.findings import Finding
from audit.run import Run
from audit.runner import dry_run, prepare, resume, run_audit
from audit.seeds import generator
from audit.store import Store
from audit.target import Input, Insight, Recommender
from audit.types import Answer, Ranked, Request

BRITTLE = 17
"""Every seventeenth item upsets the planted target, unless it was in the history from the start."""


def number(name: str) -> int:
    return int("".join(c for c in name if c.isdigit()) or 1)


def brittle(name: str) -> bool:
    return number(name) % BRITTLE == 0


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    block = write_world(make_world(users=60), tmp_path_factory.mktemp("files"))
    return {"dataset": {**block, "candidates": 10, "sample": 24, "k": 5, "history": 6}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "runs.sqlite") as opened:
        yield opened


class Planted(Scripted):
    """Knows the truth, until a brittle item stands in the history."""

    def __init__(self, config: dict[str, Any], fail_after: int | None = None) -> None:
        self.truth: dict[str, str] = {}
        self.fail_after = fail_after
        super().__init__(
            self._rank,
            honours=frozenset({Input.HISTORY}),
            reveals=frozenset({Insight.SCORES, Insight.LOGPROBS}),
            fingerprint="planted",
        )
        self.had: dict[str, set[str]] = {}
        for case in prepare(config, target=self).cases:
            self.truth[case.unit] = next(iter(case.relevant))
            self.had[case.unit] = {e.item.id for e in case.request.user.history}

    def recommend(self, requests: Any) -> list[Answer]:
        if self.fail_after is not None and len(self.asked) + len(requests) > self.fail_after:
            raise TargetError("target: gone")
        return super().recommend(requests)

    def _rank(self, asked: Request) -> Answer:
        items = asked.candidates or ()
        right = self.truth.get(asked.user.id, "")
        new = {e.item.id for e in asked.user.history} - self.had.get(asked.user.id, set())
        upset = any(map(brittle, new))
        scores = {i.id: (5.0 if i.id == right else 0.0) * (-1 if upset else 1) - n / 100 for n, i in enumerate(items)}
        order = sorted(items, key=lambda i: -scores[i.id])[: asked.k]
        return Answer(tuple(Ranked(i.id, i.title, scores[i.id]) for i in order))


def declared(name: str, **fields: Any) -> DefenseInfo:
    return DefenseInfo(
        id=name,
        title=name.capitalize(),
        why="A test needs it.",
        reference="none",
        family="profile",
        guards=frozenset({Zone.PLATFORM}),
        **fields,
    )


class _Nothing(Rewriting):
    def edits(self, requests: Sequence[Request]) -> list[tuple[Edit, ...]]:
        return [() for _ in requests]


class _Dropping(Rewriting):
    """Takes away the items whose number is divisible by `divisor`, and says how many there were."""

    divisor = BRITTLE
    threshold = 0.5

    def edits(self, requests: Sequence[Request]) -> list[tuple[Edit, ...]]:
        edited = []
        for request in requests:
            at = [i for i, e in enumerate(request.user.history) if number(e.item.id) % self.divisor == 0]
            edited.append(tuple(HistoryDrop(i) for i in reversed(at)))
        return edited

    def suspicion(self, requests: Sequence[Request]) -> list[float]:
        return [float(len(edits)) for edits in self.edits(requests)]


class _HalfBlind(_Dropping):
    """Misses half of the brittle items: an adversary who may ask it finds the others."""

    divisor = 2 * BRITTLE


class _OtherHalf(_Dropping):
    """Stops what `_HalfBlind` misses."""

    def edits(self, requests: Sequence[Request]) -> list[tuple[Edit, ...]]:
        edited = []
        for request in requests:
            odd = [i for i, e in enumerate(request.user.history) if number(e.item.id) % (2 * BRITTLE) == BRITTLE]
            edited.append(tuple(HistoryDrop(i) for i in reversed(odd)))
        return edited


class _Refusing(Defended):
    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> list[Answer]:
        return [Answer(outcome="refused", detail="everything is suspicious") for _ in requests]


class _Coin(Defended):
    """Answers like the target in seven draws of ten, and backwards in the others; asks it twice each time."""

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> list[Answer]:
        answers = []
        asked = self.ask([*requests, *requests], [*draws, *draws])
        for request, draw, answer in zip(requests, draws, asked, strict=False):
            heads = generator(7, "coin", request.digest, str(draw)).random() < 0.7
            ranked = answer.ranked if heads else answer.ranked[::-1]
            answers.append(replace(answer, ranked=ranked, usage=answer.usage + answer.usage))
        return answers


class _Boasting(_Nothing):
    """Certifies the first place against any two insertions, which is false of this target."""

    radius = 3

    def certify(self, request: Request) -> Certificate:
        (certificate,) = self.certify_all([request])
        return certificate

    def certify_all(self, requests: Sequence[Request]) -> list[Certificate]:
        answers = self.recommend(requests)
        made = []
        for request, answer in zip(requests, answers, strict=True):
            first = answer.ids[0] or ""
            claims = (Claim(first, "in_top_k", {"insertion": self.radius, "substitution": 0}, 1, 1.0),)
            made.append(Certificate(request.digest, answer, claims, units=6, kept=6, samples=1))
        return made


class _Modest(_Boasting):
    radius = 0


@dataclass(frozen=True)
class Plugin:
    """A defense that wraps the target in one of the classes above."""

    kind: type[Defended]
    info: DefenseInfo

    def protect(self, target: Recommender) -> Recommender:
        return self.kind(target, self.info, {})


DEFENSES = {
    "nothing": Plugin(_Nothing, declared("nothing")),
    "dropping": Plugin(_Dropping, declared("dropping")),
    "half-blind": Plugin(_HalfBlind, declared("half-blind")),
    "other-half": Plugin(_OtherHalf, declared("other-half")),
    "refusing": Plugin(_Refusing, declared("refusing")),
    "coin": Plugin(_Coin, declared("coin", randomised=True, calls=2)),
    "boasting": Plugin(_Boasting, declared("boasting")),
    "modest": Plugin(_Modest, declared("modest")),
    "reader": Plugin(_Nothing, declared("reader", needs=frozenset({Input.NOTE}))),
}


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    real = registry.load

    def load(kind: Any, name: str, *, where: str) -> Any:
        if kind == "defenses" and name in DEFENSES:
            return lambda: DEFENSES[name]
        return real(kind, name, where=where)

    monkeypatch.setattr(registry, "load", load)


def audited(config: dict[str, Any], target: Planted, store: Store, *defenses: str, **options: Any) -> Run:
    block = {
        "sequential": False,
        "champion": None,
        "attacks": {"random-items": {"budgets": [30]}},
        "defenses": list(defenses),
        **options,
    }
    return run_audit({**config, "modules": {"robustness": block}}, target=target, store=store)


def of(run: Run, metric: str, **params: Any) -> Finding:
    (found,) = [f for f in run.findings if f.metric == metric and all(f.params.get(k) == v for k, v in params.items())]
    return found


def timeless(run: Run) -> list[dict[str, Any]]:
    return [f.to_dict() for f in run.findings if f.metric != "latency_multiplier"]


def left(run: Run, defense: str | None, row: str) -> float:
    found = of(run, "attacked_utility", defense=defense, row=row).estimate
    assert found is not None
    return found


def test_a_defense_that_does_nothing_changes_nothing(config: dict[str, Any], store: Store) -> None:
    run = audited(config, Planted(config), store, "nothing")
    assert left(run, "nothing", "replay") == left(run, None, "undefended") < 0.2
    assert left(run, "nothing", "adaptive") == left(run, None, "undefended")  # the same search finds the same
    assert of(run, "utility_cost", defense="nothing").estimate == 0
    gain = of(run, "defense_gain", defense="nothing")
    assert gain.estimate == 0
    assert gain.p == 1
    assert of(run, "false_alarm_rate", defense="nothing").estimate == 0
    assert of(run, "calls_per_answer", defense="nothing").estimate == 1


def test_replay_flatters_a_defense_that_an_adversary_can_get_around(config: dict[str, Any], store: Store) -> None:
    # One item is inserted at a time, so that the search settles on one that is even or odd by chance.
    run = audited(config, Planted(config), store, "dropping", "half-blind", matrix={"users": 20})
    bare = left(run, None, "undefended")
    assert left(run, "dropping", "replay") > 0.9
    assert left(run, "dropping", "adaptive") > 0.9  # nothing brittle gets through, whatever is tried
    assert left(run, "dropping", "worst") > 0.9
    assert left(run, "half-blind", "replay") > bare
    assert left(run, "half-blind", "adaptive") < left(run, "half-blind", "replay")
    assert left(run, "half-blind", "worst") <= left(run, "half-blind", "adaptive")
    assert of(run, "robust_utility", defense="dropping").effect == pytest.approx(
        of(run, "defense_gain", defense="dropping").estimate
    )
    gain = of(run, "robust_utility", defense="dropping")
    assert gain.p is not None
    assert gain.p < 0.01
    assert of(run, "broken_rate", defense="dropping").estimate == 0
    assert (of(run, "broken_rate", defense="half-blind").estimate or 0) > 0.5


def test_a_detector_is_judged_against_clean_requests(config: dict[str, Any], store: Store) -> None:
    run = audited(config, Planted(config), store, "dropping", "half-blind")
    sure, unsure = (
        of(run, "detector_auroc", defense=name, row="replay").estimate or 0 for name in ("dropping", "half-blind")
    )
    assert sure > unsure > 0.5
    caught = of(run, "detector_tpr", defense="dropping", row="replay", fpr=0.01)
    assert "cannot promise" in caught.note  # 36 other users cannot tell one false alarm in a hundred
    alarms = of(run, "detector_fpr", defense="dropping", fpr=0.01)
    assert alarms.n == 24


def test_refusing_everything_is_no_robustness(config: dict[str, Any], store: Store) -> None:
    run = audited(config, Planted(config), store, "refusing")
    assert left(run, "refusing", "worst") == 0
    assert of(run, "false_alarm_rate", defense="refusing").estimate == 1
    assert (of(run, "utility_cost", defense="refusing").estimate or 0) > 0.9
    assert of(run, "broken_rate", defense="refusing").verdict == "not_applicable"
    assert (of(run, "defense_gain", defense="refusing").estimate or 0) <= 0


def test_a_defense_that_draws_is_judged_on_fresh_draws(config: dict[str, Any], store: Store) -> None:
    target = Planted(config)
    run = audited(config, target, store, "coin", matrix={"users": 12, "draws": 3, "reruns": 4})
    broken = of(run, "broken_rate", defense="coin")
    assert broken.params["draws"] == 4
    assert "8 runs" in broken.note  # two rows, four draws each
    assert of(run, "calls_per_answer", defense="coin").estimate == 2
    with store:
        numbers = {repeat for _, repeat in store.asked(run.record.id)}
    # Behind the first door: the search in draws 0 to 2, what it found in draws 1 to 4.
    assert {10_000 + draw for draw in range(5)} <= numbers
    assert max(numbers) == 10_004


def test_a_false_certificate_is_found_out(config: dict[str, Any], store: Store) -> None:
    run = audited(config, Planted(config), store, "boasting", "modest", matrix={"radius": 2})
    false = of(run, "certificate_violations", defense="boasting")
    assert (false.estimate or 0) > 0.5
    assert false.evidence
    assert of(run, "certificate_violations", defense="modest").verdict == "not_applicable"
    assert of(run, "certified_hr", defense="boasting", edit="insertion", r=2).estimate == 1
    assert of(run, "certified_hr", defense="modest", edit="insertion", r=1).estimate == 0
    assert of(run, "certified_overlap", defense="boasting", edit="insertion", r=0).estimate == pytest.approx(0.2)
    assert of(run, "certificate_coverage", defense="boasting").estimate == 1


def test_a_defense_without_anything_to_work_on_says_so(config: dict[str, Any], store: Store) -> None:
    run = audited(config, Planted(config), store, "reader", "nothing")
    told = of(run, "robust_utility", defense="reader")
    assert told.verdict == "not_applicable"
    assert "note" in told.reason
    assert of(run, "robust_utility", defense="nothing").estimate is not None


def test_a_stack_is_one_system(config: dict[str, Any], store: Store) -> None:
    stacked = {"both": {"stack": ["half-blind", "other-half"]}, "half-blind": {}}
    run = audited(config, Planted(config), store, defenses=stacked)
    # Each half lets through what the other stops: multiplied, the two would seem to leave a quarter.
    assert left(run, "half-blind", "worst") < 0.2
    assert left(run, "both", "worst") > 0.9
    assert of(run, "robust_utility", defense="both").title.startswith("Half-blind behind other-half")
    run = audited(config, Planted(config), store, defenses={"both": {"stack": ["half-blind", "reader"]}})
    assert "note" in of(run, "robust_utility", defense="both").reason


def test_a_run_that_was_killed_ends_with_the_same_findings(
    config: dict[str, Any], store: Store, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"matrix": {"users": 10, "draws": 2, "reruns": 2}}
    whole = audited(config, Planted(config), store, "half-blind", "coin", **options)
    target = Planted(config)
    with Store(tmp_path / "counted.sqlite") as counted:
        audited(config, target, counted, "half-blind", "coin", **options)
    for share in (0.3, 0.6, 0.9):
        with Store(tmp_path / f"killed-{share}.sqlite") as killed:
            broken = Planted(config, fail_after=int(share * len(target.asked)))
            with pytest.raises(TargetError):
                audited(config, broken, killed, "half-blind", "coin", **options)
            again = resume("latest", target=Planted(config), store=killed)
            assert timeless(again) == timeless(whole)


def test_what_it_costs_is_planned(config: dict[str, Any], store: Store) -> None:
    target = Planted(config)

    def planned(**options: Any) -> int:
        block = {"champion": None, "attacks": ["random-items"], **options}
        return dry_run(prepare({**config, "modules": {"robustness": block}}, target=target), store).queries

    assert planned(defenses=["nothing", "dropping"]) > planned(defenses=["nothing"]) > planned()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"defenses": ["nothin"]}, "modules.robustness.defenses: 'nothin' is not a known defense"),
        ({"defenses": {"s": {"stack": ["nothing"]}}}, "defenses.s.stack: a stack needs at least two defenses"),
        ({"defenses": {"s": {"stack": ["nothing"], "k": 1}}}, "defenses.s.k: a stack has no options of its own"),
        ({"defenses": {"s": {"stack": ["nothin", "dropping"]}}}, "'nothin' is not a known defense"),
        ({"matrix": {"usrs": 3}}, "matrix.usrs: no option has this name; did you mean 'users'?"),
        ({"matrix": {"users": 0}}, "matrix.users: 0 must be a whole number of at least 1"),
        ({"matrix": {"attacks": ["typos"]}}, "matrix.attacks: 'typos' is not among the attacks of the module"),
        ({"matrix": {"attacks": "random-items"}}, "matrix.attacks: 'random-items' must be a list of names"),
    ],
)
def test_bad_terms_get_one_clear_sentence(config: dict[str, Any], store: Store, options: Any, said: str) -> None:
    target = Planted(config)
    with pytest.raises(ConfigError, match=said.replace("(", r"\(").replace("?", r"\?")):
        audited(config, target, store, **options)
    assert not store.runs()  # a run that cannot start leaves no trace
    assert not target.asked
