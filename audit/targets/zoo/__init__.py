"""Reference recommenders of each paradigm, small enough to be trained on one machine, and honest about what they reach.

Each is found by name through the entry point group `recaudit.targets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.errors import TargetError

if TYPE_CHECKING:
    from audit.data.dataset import Dataset
    from audit.target import Recommender


def fit_anchors(dataset: Dataset) -> dict[str, Recommender]:
    """The trivial recommenders that a target is shown beside, fitted on all but the test items.

    Popularity and EASE are fitted in seconds on any dataset; SASRec joins where its shipped weights know the catalogue.
    """
    from audit.targets.zoo.ease import Ease
    from audit.targets.zoo.popularity import Popularity
    from audit.targets.zoo.sasrec import SHIPPED, SASRec

    anchors: dict[str, Recommender] = {"popularity": Popularity.fit(dataset), "ease": Ease.fit(dataset)}
    try:
        anchors["sasrec"] = SASRec.load(SHIPPED, dataset.catalog)
    except TargetError:
        return anchors
    return anchors
