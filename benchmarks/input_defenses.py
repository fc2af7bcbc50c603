"""`python -m benchmarks.input_defenses`: what the sanitiser and the perplexity filter do to clean MovieLens-100K.

Prints the titles that the sanitiser changes; the words of ordinary English that spelling would change if it were let
loose on every text; and for the perplexity filter false alarms on clean requests of users on whom its threshold was not
set, beside the alarms for one planted payload of each family (a few minutes).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from attacks.injection.library import load
from audit import stats
from audit.data import assets
from audit.data.cases import ranking_cases
from audit.data.dataset import Dataset
from audit.data.movielens import load_ml100k
from audit.target import Input, TargetInfo
from audit.types import Answer, Item, Request
from defenses.input.perplexity import PerplexityFilter
from defenses.input.sanitise import Sanitise
from defenses.input.spelling import Spelling

SEED = 7
VALIDATION, HELD_OUT, ATTACKED = 200, 400, 100
RATES = (0.01, 0.05)


class Reads:
    """A target that reads the titles it is given and is never asked."""

    info = TargetInfo("reads", honours=frozenset({Input.ITEM_TEXT}))

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """Nothing."""
        return [Answer() for _ in requests]


def sanitiser(dataset: Dataset) -> Iterator[str]:
    """Clean titles and ordinary words that are changed."""
    guard = Sanitise(dataset.catalog)
    titles = [item.title for item in dataset.catalog.items_in_order]
    changed = [title for title in titles if guard.clean(title, "title").changes]
    yield f"sanitise: {len(changed)} of {len(titles)} titles changed {changed}"
    if not any(s.name == "wordnet" and s.state == "ready" for s in assets.status()):
        return
    spelling = Spelling(titles, 4)
    glosses = [
        line.partition("| ")[2].split(";")[0]
        for file in sorted(assets.path("wordnet").rglob("data.noun"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if "| " in line
    ]
    words = [word for gloss in glosses[::20] for word in gloss.split()]
    wrong = sum(spelling.corrected(word) != word for word in words)
    yield f"spelling: {wrong} of {len(words)} words of WordNet's definitions changed ({wrong / len(words):.2%})"


def planted(request: Request, text: str) -> Request:
    """The request with a text behind the title of its first candidate."""
    first, *others = request.candidates or ()
    written: Item = replace(first, title=f"{first.title} {text}")
    return replace(request, candidates=(written, *others))


def perplexity(dataset: Dataset) -> Iterator[str]:
    """False alarms, and alarms for payloads."""
    cases = ranking_cases(
        dataset,
        users=VALIDATION + HELD_OUT,
        k=10,
        candidates=20,
        history=10,
        rng=np.random.default_rng(SEED),
    )
    requests = [case.request for case in cases]
    validation, fresh = requests[:VALIDATION], requests[VALIDATION:]
    library = [p for p in load() if p.goal == "promote" and "title" in p.fields]
    rng = np.random.default_rng(SEED)
    attacked: dict[str, list[Request]] = {}
    for family in sorted({p.family for p in library}):
        own = [p for p in library if p.family == family]
        for request in fresh[:ATTACKED]:
            first, second = (request.candidates or ())[:2]
            values = {"title": first.title, "rival": second.title, "k": "10"}
            text = own[int(rng.integers(len(own)))].render(values)
            attacked.setdefault(family, []).append(planted(request, text))
    for window in (10, None):
        guards = {r: PerplexityFilter(validation, fpr=r, window=window).protect(Reads()) for r in RATES}
        clean = np.array(guards[RATES[0]].suspicion(fresh))
        for rate, guard in guards.items():
            alarms = int((clean > guard.threshold).sum())
            share = stats.wilson(alarms, len(clean), 0.95)
            yield (
                f"window {window}, fpr {rate:g}: threshold {guard.threshold:.2f}; {alarms} of {len(clean)} clean "
                f"requests raise an alarm, {share.estimate:.1%} [{share.low:.1%}, {share.high:.1%}]"
            )
        guard = guards[0.05]
        for family, requests in attacked.items():
            scores = np.array(guard.suspicion(requests))
            caught = int((scores > guard.threshold).sum())
            labels = np.repeat([0, 1], ATTACKED)
            area = stats.auc(np.concatenate([clean[:ATTACKED], scores]), labels)
            yield f"  {family}: {caught} of {ATTACKED} raise an alarm; AUROC {area:.2f}"


def main() -> None:
    """Print everything."""
    dataset = load_ml100k()
    for line in (*sanitiser(dataset),):
        print(line, flush=True)
    for line in perplexity(dataset):
        print(line, flush=True)


if __name__ == "__main__":
    main()
