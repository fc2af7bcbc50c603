"""Matched guises: a target that minds one variety, and twins that mind every change or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fairness_world import a_context
from helpers import Scripted

from audit.errors import DataError
from audit.findings import Finding
from audit.modules.fairness.dialect import Dialect
from audit.modules.fairness.dialect.guises import edit_distance, load, misspelt, shipped
from audit.seeds import generator
from audit.target import Input
from audit.types import Answer, Ranked, Request

HONOURS = frozenset({Input.HISTORY, Input.NOTE, Input.ITEM_TEXT})
STANDARD = {guise.standard for guise in shipped()}
AAE = {guise.dialect for guise in shipped() if guise.form == "aae"}


def ranks(order: Callable[[Request], list[int]]) -> Scripted:
    def answer(asked: Request) -> Answer:
        items = asked.candidates or ()
        return Answer(tuple(Ranked(items[i].id, items[i].title) for i in order(asked)[: asked.k]))

    return Scripted(answer, honours=HONOURS)


def shuffled(*names: str) -> list[int]:
    order: list[int] = generator(4, *names).permutation(20).tolist()
    return order


def blind(request: Request) -> list[int]:
    return shuffled(request.user.id)


def minds_aae(request: Request) -> list[int]:
    order = shuffled(request.user.id)
    return order[10:] + order[:10] if request.user.note in AAE else order


def minds_every_slip(request: Request) -> list[int]:
    order = shuffled(request.user.id)
    return order if request.user.note in STANDARD else order[10:] + order[:10]


def run(target: Scripted, folder: Path, part: Dialect) -> dict[tuple[str, ...], Finding]:
    context = a_context(target, folder, users=20, candidates=20)
    assert part.lacking(context) is None
    planned = {context.gateway.key(ask) for ask in part.plan(context)}
    output = part.run(context, examples=2)
    assert len({request.digest for request in target.asked}) == len(planned)
    for finding in output.findings:
        if finding.id in output.values:
            size = finding.estimate if finding.effect is None else finding.effect
            assert np.mean(list(output.values[finding.id].values())) == pytest.approx(size, abs=1e-9)
    keys = [(f.metric, *(str(f.params[k]) for k in ("form", "against", "measure"))) for f in output.findings]
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, output.findings, strict=True))


def a_file(folder: Path, rows: int = 24) -> str:
    """The shipped requests as a file of one's own, which findings may rest on."""
    guises = [g for g in shipped() if g.form == "aae"][:rows]
    lines = [f'{g.pair},"{g.standard}","{g.dialect}","{g.control}",s{i % 6}' for i, g in enumerate(guises)]
    path = folder / "guises.csv"
    path.write_text("\n".join(["pair,standard,dialect,control,speaker", *lines]), encoding="utf-8")
    return str(path)


def test_a_planted_reaction_to_one_variety_is_found_at_its_size(tmp_path: Path) -> None:
    found = run(ranks(minds_aae), tmp_path, Dialect(file=a_file(tmp_path)))
    for against in ("informal", "typos"):
        planted = found["dialect_effect", "dialect", against, "distance"]
        assert planted.effect == pytest.approx(1.0), "the two lists share nothing"
        assert planted.effect_ci is not None
        assert planted.effect_ci[0] > 0.02
        assert planted.n == 24
        assert planted.unit == "pair"
        assert planted.p_adjusted is not None
        assert planted.p_adjusted < 0.001
        assert not planted.unmet
        assert len(planted.evidence) == 2


def test_the_shipped_set_alone_decides_nothing(tmp_path: Path) -> None:
    found = run(ranks(minds_aae), tmp_path, Dialect())
    planted = found["dialect_effect", "aae", "informal", "distance"]
    assert planted.effect == pytest.approx(1.0)
    assert any("not checked by speakers" in reason for reason in planted.unmet)
    assert found["dialect_effect", "l2", "informal", "distance"].effect == 0.0


def test_a_target_that_minds_every_slip_has_no_dialect_effect(tmp_path: Path) -> None:
    found = run(ranks(minds_every_slip), tmp_path, Dialect(file=a_file(tmp_path)))
    finding = found["dialect_effect", "dialect", "typos", "distance"]
    assert finding.estimate == pytest.approx(1.0)
    assert finding.floor == pytest.approx(1.0)
    assert finding.effect == pytest.approx(0.0)
    assert finding.unmet


def test_a_target_that_does_not_mind_shows_nothing(tmp_path: Path) -> None:
    for finding in run(ranks(blind), tmp_path, Dialect(file=a_file(tmp_path))).values():
        assert finding.p == 1.0
        assert finding.estimate == 0.0


def test_refusals_of_a_variety_are_a_finding(tmp_path: Path) -> None:
    def answer(asked: Request) -> Answer:
        refuses = asked.user.note in AAE and int(asked.user.id) % 2
        return Answer(outcome="refused") if refuses else ranks(blind).answer(asked)

    found = run(Scripted(answer, honours=HONOURS), tmp_path, Dialect(file=a_file(tmp_path)))
    gap = found["invalid_gap", "dialect", "typos", "invalid"]
    assert gap.estimate is not None
    assert gap.estimate > 0.3
    assert gap.p_adjusted is not None
    assert gap.p_adjusted < 0.05


def test_less_popular_items_for_a_variety(tmp_path: Path) -> None:
    context = a_context(ranks(blind), tmp_path / "x", users=20, candidates=20)
    popularity = context.dataset.popularity

    def order(request: Request) -> list[int]:
        items = request.candidates or ()
        best = sorted(range(20), key=lambda i: -popularity[items[i].id])
        return best[::-1] if request.user.note in AAE else best

    found = run(ranks(order), tmp_path, Dialect(file=a_file(tmp_path)))
    shift = found["dialect_effect", "dialect", "informal", "log_popularity"]
    assert shift.estimate is not None
    assert shift.estimate < -0.3
    assert shift.p_adjusted is not None
    assert shift.p_adjusted < 0.05


def test_speakers_can_be_the_unit(tmp_path: Path) -> None:
    found = run(ranks(minds_aae), tmp_path, Dialect(file=a_file(tmp_path), cluster="speaker"))
    finding = found["dialect_effect", "dialect", "typos", "distance"]
    assert finding.n == 6
    assert finding.unit == "speaker"


def test_slips_are_as_many_as_were_wanted() -> None:
    rng = np.random.default_rng(0)
    text = "I am looking for a film to watch tonight."
    for edits in (1, 3, 6):
        assert edit_distance(text, misspelt(text, edits, rng)) == pytest.approx(edits, abs=1)
    assert edit_distance(text, misspelt(text, 100, rng)) <= len(text) / 5 + 1
    assert edit_distance("kitten", "sitting") == 3


def test_the_shipped_guises_are_complete() -> None:
    guises = shipped()
    assert len(guises) == 48
    assert all(g.standard and g.dialect and g.control for g in guises)
    assert all(len({g.standard, g.dialect, g.control}) == 3 for g in guises)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pair,standard\na,b\n", "no column 'dialect'"),
        ("pair,standard,dialect\na,b,\nb,b,c\n", "line 2: dialect is empty"),
        ("pair,standard,dialect\na,b,c\n", "has 1 pairs"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "g.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        load(str(file))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per_pair": 0}, "per_pair: 0 must be"),
        ({"cluster": "room"}, "must be 'pair' or 'speaker'"),
        ({"cluster": "speaker"}, "must go with a file"),
        ({"channel": "attributes"}, "must be 'note' or 'instruction'"),
        ({"forms": ["scots"]}, "'scots' must be one of aae, l2"),
    ],
)
def test_bad_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Dialect(**options)  # type: ignore[arg-type]


def test_a_file_without_a_control_keeps_the_slips(tmp_path: Path) -> None:
    file = tmp_path / "g.csv"
    rows = [f'{g.pair},"{g.standard}","{g.dialect}"' for g in shipped() if g.form == "l2"]
    file.write_text("\n".join(["pair,standard,dialect", *rows]), encoding="utf-8")
    found = run(ranks(blind), tmp_path, Dialect(file=str(file)))
    assert "no column 'control'" in found["dialect_effect", "dialect", "informal", "distance"].reason
    assert ("dialect_effect", "dialect", "typos", "distance") in found
    context = a_context(Scripted(), tmp_path / "y")
    assert "no words reach it" in str(Dialect().lacking(context))
