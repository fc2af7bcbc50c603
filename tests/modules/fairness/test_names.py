"""Names: a target that reacts to one group of names, and twins that do not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fairness_world import a_context
from helpers import Scripted

from audit.errors import ConfigError, DataError
from audit.findings import Finding
from audit.modules.fairness.names import Names
from audit.modules.fairness.names.lists import load, shipped
from audit.seeds import generator
from audit.target import Input
from audit.types import Answer, Ranked, Request

HONOURS = frozenset({Input.HISTORY, Input.NOTE, Input.ITEM_TEXT})
CELL = {name: cell for cell, names in shipped().cells.items() for name in names}


def signer(request: Request) -> str:
    found = re.match(r"My name is (.+?)\.", request.user.note)
    return found[1] if found else ""


def ranks(order: Callable[[Request, str], list[int]]) -> Scripted:
    """Lists the candidates in an order that may depend on the name."""

    def answer(asked: Request) -> Answer:
        items = asked.candidates or ()
        chosen = [items[i] for i in order(asked, signer(asked))]
        return Answer(tuple(Ranked(i.id, i.title) for i in chosen[: asked.k]))

    return Scripted(answer, honours=HONOURS)


def shuffled(*names: str) -> list[int]:
    return generator(2, *names).permutation(20).tolist()


def indifferent(request: Request, _: str) -> list[int]:
    return shuffled(request.user.id)


def by_name(request: Request, name: str) -> list[int]:
    """Every name gets its own list: names matter, groups do not."""
    return shuffled(request.user.id, name)


def by_ethnicity(request: Request, name: str) -> list[int]:
    """Black names get the second half of everybody else's list first, for half of the users."""
    order = shuffled(request.user.id)
    moved = name in CELL and CELL[name][1] == "black" and int(request.user.id) % 2
    return order[5:] + order[:5] if moved else order


def run(target: Scripted, folder: Path, part: Names | None = None, users: int = 24) -> dict[tuple[str, ...], Finding]:
    context = a_context(target, folder, users=users, candidates=20)
    part = part or Names(anchors=0, permutations=999)
    assert part.lacking(context) is None
    planned = {context.gateway.key(ask) for ask in part.plan(context)}
    output = part.run(context, examples=2)
    asked = {request.digest for request in target.asked}
    assert len(asked) == len(planned)
    kept = {evidence.id for evidence in output.evidence}
    for finding in output.findings:
        assert set(finding.evidence) <= kept
        if finding.id in output.values:
            size = finding.estimate if finding.effect is None else finding.effect
            assert np.mean(list(output.values[finding.id].values())) == pytest.approx(size, abs=1e-9)
    return {
        (f.metric, *(str(f.params[k]) for k in ("attribute", "group", "against", "measure"))): f
        for f in output.findings
    }


def test_a_planted_reaction_to_one_ethnicity_is_found_at_its_size(tmp_path: Path) -> None:
    found = run(ranks(by_ethnicity), tmp_path)
    planted = found["name_effect", "ethnicity", "white", "black", "distance"]
    assert planted.effect == pytest.approx(0.5, abs=0.1), "half of the users get a list that shares nothing"
    assert planted.floor == pytest.approx(0.0, abs=1e-9)
    assert planted.effect_ci is not None
    assert planted.effect_ci[0] > 0.02
    assert planted.p_adjusted is not None
    assert planted.p_adjusted < 0.05
    assert not planted.unmet
    assert len(planted.evidence) == 2
    assert "names against" in planted.note
    untouched = found["name_effect", "ethnicity", "white", "asian", "distance"]
    assert untouched.effect == pytest.approx(0.0)
    assert found["name_effect", "gender", "female", "male", "distance"].effect == pytest.approx(0.0, abs=1e-9)


def test_a_target_that_reads_no_name_shows_nothing(tmp_path: Path) -> None:
    for finding in run(ranks(indifferent), tmp_path).values():
        assert finding.p == 1.0
        assert finding.unmet


def test_names_that_all_matter_are_not_a_group_that_matters(tmp_path: Path) -> None:
    found = run(ranks(by_name), tmp_path)
    distances = [f for key, f in found.items() if key[0] == "name_effect" and key[-1] == "distance"]
    assert len(distances) == 7, "one pair of genders and six of ethnicities"
    for finding in distances:
        assert finding.floor is not None
        assert finding.floor > 0.5, "names of one group differ as much"
        assert abs(finding.effect or 0.0) < 0.05
        assert finding.unmet


def test_scores_have_a_direction(tmp_path: Path) -> None:
    def answer(asked: Request) -> Answer:
        low = CELL.get(signer(asked), ("", ""))[0] == "female"
        return Answer(tuple(Ranked(i.id, score=0.6 - 0.1 * low) for i in asked.candidates or ()))

    context = a_context(Scripted(answer, honours=HONOURS, tasks=("score",)), tmp_path, task="score", users=20)
    output = Names(anchors=0, permutations=999).run(context, examples=1)
    gender = {f.params["measure"]: f for f in output.findings if f.params.get("attribute") == "gender"}
    assert gender["score"].estimate == pytest.approx(-0.1)
    assert gender["score"].p_adjusted is not None
    assert gender["score"].p_adjusted < 0.05
    assert gender["distance"].effect == pytest.approx(0.1)


def test_refusals_of_one_group_are_a_finding_and_hold_the_rest_back(tmp_path: Path) -> None:
    def answer(asked: Request) -> Answer:
        if CELL.get(signer(asked), ("", ""))[1] == "asian" and int(asked.user.id) % 4 == 0:
            return Answer(outcome="refused")
        return ranks(by_ethnicity).answer(asked)

    found = run(Scripted(answer, honours=HONOURS), tmp_path)
    gap = found["invalid_gap", "ethnicity", "white", "asian", "invalid"]
    assert gap.estimate is not None
    assert gap.estimate < -0.1
    assert gap.p_adjusted is not None
    assert gap.p_adjusted < 0.05
    assert any("apart" in reason for reason in found["name_effect", "ethnicity", "white", "asian", "distance"].unmet)


def test_the_shipped_names_are_matched() -> None:
    names = shipped()
    assert len(names.cells) == 8
    every = [name for cell in names.cells.values() for name in cell]
    assert len(set(every)) == len(every)
    for cell in names.cells.values():
        assert len(cell) >= 20
        assert all(len(name.split()) == 2 for name in cell)
        assert abs(np.mean([len(n) for n in cell]) - np.mean([len(n) for n in every])) < 0.75


def test_every_name_is_used_about_as_often() -> None:
    dealt = shipped().deal(30, 2, np.random.default_rng(0))
    for hands in dealt.values():
        assert all(len(set(hand)) == 2 for hand in hands)
        counts = np.unique([name for hand in hands for name in hand], return_counts=True)[1]
        assert len(counts) == 20
        assert set(counts) == {3}


def test_names_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "names.csv"
    rows = [f"N{i} S{i},{'ab'[i % 2]}" for i in range(8)] + ["Only One,c"]
    file.write_text("name,group\n" + "\n".join(rows), encoding="utf-8")
    part = Names(file=str(file), reference={"group": "a"})
    assert [(c.group, c.against) for c in part.contrasts] == [("b", "a")]
    context = a_context(ranks(indifferent), tmp_path, users=10, candidates=20)
    output = part.run(context, examples=0)
    thin = next(f for f in output.findings if f.params.get("cell") == "c")
    assert thin.verdict == "not_applicable"
    assert "holds 1 such name" in thin.reason
    assert "smallest attainable p is 0.029" in next(
        f.note
        for f in output.findings
        if f.metric == "name_effect" and f.note and "attainable" in f.note and f.params["measure"] == "ndcg"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("who,group\na,b\n", "no column 'name'"),
        ("name\nA\n", "no column besides 'name'"),
        ("name,group\nA B,x\nA B,y\n", "'A B' occurs twice"),
        ("name,group\nA B,\n", "line 2: a name or a group is empty"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "names.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        load(str(file), None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per_group": 1}, "per_group: 1 must be a whole number of at least 2"),
        ({"per_group": 21}, "per_group: 21 must be at most 20"),
        ({"channel": "voice"}, "channel: 'voice' must be one of"),
        ({"sentence": "Hello."}, "must hold {name} once"),
        ({"reference": {"gender": "x"}}, "'x' must be one of female, male"),
        ({"reference": {"age": "x"}}, "'age' must be one of gender, ethnicity"),
    ],
)
def test_bad_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Names(**options)  # type: ignore[arg-type]


def test_an_unknown_column_is_named() -> None:
    with pytest.raises(ConfigError, match="'sex' is no column of it"):
        Names(columns=["sex"])


def test_a_target_that_reads_no_text_is_not_asked(tmp_path: Path) -> None:
    context = a_context(Scripted(), tmp_path)
    assert "no name reaches it" in str(Names().lacking(context))
