"""Fair decisions on a target's scores, by fairlearn: thresholds per group, or a randomised classifier on the score.

Both are fitted once, on users who are not under audit, and stay as they are: a yardstick that moves with what it
measures would flatter any mitigation.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from audit.defense import Defended, DefenseInfo
from audit.edits import Zone
from audit.errors import ConfigError, DataError
from audit.seeds import generator
from audit.target import Input, Insight, Recommender, describe
from audit.types import Answer, Request

if TYPE_CHECKING:
    from audit.data.dataset import Dataset

ThresholdGoal = Literal[
    "demographic_parity",
    "true_positive_rate_parity",
    "false_positive_rate_parity",
    "equalized_odds",
]
ReductionGoal = Literal["demographic_parity", "equalized_odds", "true_positive_rate_parity"]
_EDGE = 1e-9
"""By how much a yes lies above one half at least."""

_FEWEST = 20
"""Labelled decisions of a group below which nothing can be fitted for it."""


class _Fair(ABC):
    """What both share: where the labelled decisions come from."""

    name: str

    def __init__(self, dataset: Dataset, *, attribute: str, users: int, targets: int, history: int, seed: int) -> None:
        for option, value in (("users", users), ("targets", targets), ("history", history)):
            if value < 1:
                raise ConfigError(f"defenses.{self.name}.{option}: {value} must be at least 1")
        if not any(attribute in known for known in dataset.users.values()):
            raise ConfigError(f"defenses.{self.name}.attribute: the users have no column {attribute!r}")
        self.dataset = dataset
        self.attribute = attribute
        self.users = users
        self.targets = targets
        self.history = history
        self.seed = seed

    def _labelled(self, target: Recommender) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], list[str]]:
        """Scores, labels and groups of users who are not under audit, asked of the target once.

        Raises:
            ConfigError: too few, or scores that are no probabilities.
        """
        from audit.data.cases import scoring_cases

        info = describe(target)
        wording = info.instructions.get("score", "") if Input.INSTRUCTION in info.honours else ""
        try:
            cases = scoring_cases(
                self.dataset,
                users=self.users,
                targets=self.targets,
                history=self.history,
                rng=generator(self.seed, self.name),
                part="train",  # of other users: all of it may be learned from, and it is most of the log
            )
        except DataError as error:
            raise ConfigError(f"defenses.{self.name}: there is nothing to fit it on: {error}") from error
        answers = target.recommend([replace(c.request, instruction=wording) for c in cases])
        scores: list[float] = []
        labels: list[int] = []
        groups: list[str] = []
        for case, answer in zip(cases, answers, strict=True):
            group = self.dataset.users.get(case.unit, {}).get(self.attribute)
            if group is None or answer.outcome != "ok":
                continue
            given = {entry.item_id: entry.score for entry in answer.ranked}
            for item, label in zip(case.request.candidates or (), case.labels, strict=True):
                score = given.get(item.id)
                if score is not None:
                    scores.append(score)
                    labels.append(label)
                    groups.append(str(group))
        found = np.array(scores)
        if len(found) and (found.min() < 0.0 or found.max() > 1.0):
            raise ConfigError(
                f"defenses.{self.name}: scores from {found.min():.3g} to {found.max():.3g} are no chances"
            )
        for group in sorted(set(groups)) or ["anybody"]:
            count = groups.count(group)
            both = {label for label, g in zip(labels, groups, strict=True) if g == group}
            if count < _FEWEST or len(both) < 2:
                raise ConfigError(
                    f"defenses.{self.name}: {count} labelled decisions of {group} are too few to fit it; raise users"
                )
        return found, np.array(labels, dtype=np.int64), groups

    def _info(self, title: str, why: str, reference: str, limits: str) -> DefenseInfo:
        return DefenseInfo(
            id=self.name,
            title=title,
            why=why,
            reference=reference,
            family="output",
            guards=frozenset({Zone.PLATFORM}),
            randomised=True,
            sees=frozenset({Insight.SCORES}),
            tasks=("score",),
            limits=limits,
            controls=("eu-ai-act:2024:art10",),
        )


def check_goal(name: str, goal: str, known: Sequence[str]) -> None:
    """Raise ConfigError unless the goal is known."""
    if goal not in known:
        raise ConfigError(f"defenses.{name}.goal: {goal!r} must be one of {', '.join(known)}")


class FairThresholds(_Fair):
    """A threshold per group, at random between two where that is needed: fairlearn's ThresholdOptimizer.

    The group must be known at prediction. A user whose group was not among those it was fitted on gets a refusal with
    the reason; fairlearn itself would silently say no. Thresholds that differ by group can be unlawful disparate
    treatment in hiring in the United States.

    Args:
        dataset: the log without the users under audit.
        attribute: of the user, whose values are the groups.
        goal: what is to be equal between groups.
        users: how many users it is fitted on.
        targets: decisions per user.
        history: events shown.
        seed: of the sample and the lots.

    Raises:
        ConfigError: an option that cannot be used.
    """

    name = "fair-thresholds"

    def __init__(
        self,
        dataset: Dataset,
        *,
        attribute: str = "gender",
        goal: ThresholdGoal = "demographic_parity",
        users: int = 200,
        targets: int = 5,
        history: int = 10,
        seed: int = 0,
    ) -> None:
        check_goal(self.name, goal, get_args(ThresholdGoal))
        super().__init__(dataset, attribute=attribute, users=users, targets=targets, history=history, seed=seed)
        self.goal: ThresholdGoal = goal

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return self._info(
            f"Thresholds per {self.attribute}",
            "Groups are said yes to alike, by thresholds of their own.",
            "Hardt, Price & Srebro, NeurIPS 2016 (arXiv 1610.02413); fairlearn ThresholdOptimizer",
            "Groups it was not fitted on; law that forbids thresholds by group; lists, which it does not rank.",
        )

    def protect(self, target: Recommender) -> Decided:
        """The target, with thresholds of each group; asks it about the users it is fitted on."""
        from fairlearn.postprocessing import ThresholdOptimizer

        scores, labels, groups = self._labelled(target)
        rule = ThresholdOptimizer(estimator=_score(), constraints=self.goal, prefit=True, predict_method="predict")
        rule.fit(scores.reshape(-1, 1), labels, sensitive_features=groups)
        return Thresholded(target, self, {"goal": self.goal}, rule, frozenset(groups))


class FairReduction(_Fair):
    """A mixture of classifiers on the score under a constraint between groups: fairlearn's ExponentiatedGradient.

    The group is needed for fitting only. What the score alone cannot balance, this cannot either.

    Args:
        dataset: the log without the users under audit.
        attribute: of the user, whose values are the groups.
        goal: what is to be equal between groups.
        slack: how far it may be from equal.
        users: how many users it is fitted on.
        targets: decisions per user.
        history: events shown.
        seed: of the sample and the lots.

    Raises:
        ConfigError: an option that cannot be used.
    """

    name = "fair-reduction"

    def __init__(
        self,
        dataset: Dataset,
        *,
        attribute: str = "gender",
        goal: ReductionGoal = "demographic_parity",
        slack: float = 0.02,
        users: int = 200,
        targets: int = 5,
        history: int = 10,
        seed: int = 0,
    ) -> None:
        check_goal(self.name, goal, get_args(ReductionGoal))
        if not 0.0 < slack < 1.0:
            raise ConfigError(f"defenses.{self.name}.slack: {slack} must be between 0 and 1")
        super().__init__(dataset, attribute=attribute, users=users, targets=targets, history=history, seed=seed)
        self.goal: ReductionGoal = goal
        self.slack = slack

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return self._info(
            f"Decisions balanced by {self.attribute}",
            "Groups are said yes to alike, without asking at prediction who belongs where.",
            "Agarwal et al., ICML 2018 (arXiv 1803.02453); fairlearn ExponentiatedGradient",
            "Gaps that the score alone cannot balance; lists, which it does not rank.",
        )

    def protect(self, target: Recommender) -> Decided:
        """The target, with its decisions balanced; asks it about the users it is fitted on."""
        from fairlearn import reductions
        from sklearn.linear_model import LogisticRegression

        goals = {
            "demographic_parity": reductions.DemographicParity,
            "equalized_odds": reductions.EqualizedOdds,
            "true_positive_rate_parity": reductions.TruePositiveRateParity,
        }
        scores, labels, groups = self._labelled(target)
        rule = reductions.ExponentiatedGradient(
            LogisticRegression(), goals[self.goal](difference_bound=self.slack), max_iter=50
        )
        with warnings.catch_warnings():
            # fairlearn 0.15 writes into Series in ways that pandas will drop with its version 4, which we stay below.
            warnings.simplefilter("ignore", DeprecationWarning)
            rule.fit(_features(scores), labels, sensitive_features=groups)
        return Balanced(target, self, {"goal": self.goal, "slack": self.slack}, rule)


class Decided(Defended):
    """A target whose scores come to lie on the side that a fair rule decides: yes above one half, no below."""

    def __init__(self, target: Recommender, defense: FairThresholds | FairReduction, options: dict[str, Any]) -> None:
        common = {
            "attribute": defense.attribute,
            "users": defense.users,
            "targets": defense.targets,
            "history": defense.history,
            "seed": defense.seed,
            "dataset": defense.dataset.digest,
        }
        super().__init__(target, defense.info, {**common, **options})
        self._attribute, self._seed = defense.attribute, defense.seed

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> Sequence[Answer]:
        """Ask, and decide."""
        answers = self.ask(requests, draws)
        return [self._decided(r, a, d) for r, a, d in zip(requests, answers, draws, strict=True)]

    @abstractmethod
    def decide(self, scores: npt.NDArray[np.float64], group: str, seed: int) -> npt.NDArray[np.int64] | str:
        """Yes (1) or no (0) for each score of one user; or why not, as a sentence."""

    def _decided(self, request: Request, answer: Answer, draw: int) -> Answer:
        scores = [entry.score for entry in answer.ranked]
        if answer.outcome != "ok" or request.task != "score" or not scores:
            return answer
        if any(s is None or not 0.0 <= s <= 1.0 for s in scores):
            # Passed on as it is, it would be read as a decision that nobody made.
            detail = "a score is missing or lies outside 0 to 1, so nothing can be decided"
            return Answer(outcome="refused", detail=detail, usage=answer.usage)
        # fairlearn takes an integer for its lots; which draw of which request it is decides them, and nothing else.
        seed = int(generator(self._seed, "decisions", request.digest, str(draw)).integers(2**31))
        found = self.decide(
            np.array(scores, dtype=np.float64), str(request.user.attributes.get(self._attribute, "")), seed
        )
        if isinstance(found, str):
            return Answer(outcome="refused", detail=found, usage=answer.usage)
        # The order within yes and within no stays the target's own.
        ranked = [
            replace(entry, score=float(entry.score or 0.0) * (0.5 - _EDGE) + (0.5 + _EDGE if yes else 0.0))
            for entry, yes in zip(answer.ranked, found.tolist(), strict=True)
        ]
        return replace(answer, ranked=tuple(ranked))


class Thresholded(Decided):
    """By thresholds per group."""

    def __init__(
        self,
        target: Recommender,
        defense: FairThresholds,
        options: dict[str, Any],
        rule: Any,  # noqa: ANN401 - fairlearn is untyped
        groups: frozenset[str],
    ) -> None:
        super().__init__(target, defense, options)
        self._rule, self._groups = rule, groups

    def decide(self, scores: npt.NDArray[np.float64], group: str, seed: int) -> npt.NDArray[np.int64] | str:
        """By the group's own threshold."""
        if group not in self._groups:
            known = ", ".join(sorted(self._groups))
            said = repr(group) if group else "not known"
            return f"the user's {self._attribute} is {said}; thresholds were fitted for {known}"
        found = self._rule.predict(scores.reshape(-1, 1), sensitive_features=[group] * len(scores), random_state=seed)
        return np.asarray(found, dtype=np.int64)


class Balanced(Decided):
    """By a mixture of classifiers."""

    def __init__(self, target: Recommender, defense: FairReduction, options: dict[str, Any], rule: Any) -> None:  # noqa: ANN401 - fairlearn is untyped
        super().__init__(target, defense, options)
        self._rule = rule

    def decide(self, scores: npt.NDArray[np.float64], group: str, seed: int) -> npt.NDArray[np.int64] | str:
        """Whatever the group."""
        return np.asarray(self._rule.predict(_features(scores), random_state=seed), dtype=np.int64)


def _features(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n, 1) the logits of the scores: a logistic model on them can put its threshold anywhere."""
    clipped = np.clip(scores, 1e-4, 1 - 1e-4)
    result: npt.NDArray[np.float64] = np.log(clipped / (1 - clipped)).reshape(-1, 1)
    return result


def _score() -> Any:  # noqa: ANN401 - a scikit-learn estimator
    """An estimator whose prediction is its one feature."""
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Score(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        def fit(self, X: Any, y: Any) -> Score:  # noqa: ANN401
            self.classes_ = np.unique(y)
            return self

        def predict(self, X: Any) -> Any:  # noqa: ANN401
            return np.asarray(X)[:, 0]

    made = Score()
    made.classes_ = np.array([0, 1])
    return made
