"""The card of a guarantee and the list of members, beside the weights."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from audit.errors import TargetError
from audit.guarantee import Guarantee, Members

CARD = Guarantee(
    unit="user", cap=20, epsilon=8.0, delta=1e-4, epsilon_by={"prv": 7.99, "rdp": 8.9}, target_epsilon=8.0,
    noise_multiplier=0.601, clip=1.0, sample_rate=0.034, steps=147, expected_batch=32.0, units=943,
    outside=("the tokenizer",),
)  # fmt: skip


def test_a_card_is_read_as_it_was_written(tmp_path: Path) -> None:
    CARD.write(tmp_path)
    assert Guarantee.read(tmp_path) == CARD
    assert Guarantee.read(tmp_path / "nothing") is None


def test_no_noise_is_no_guarantee(tmp_path: Path) -> None:
    without = replace(CARD, epsilon=math.inf, target_epsilon=math.inf, noise_multiplier=0.0)
    without.write(tmp_path)
    assert json.loads((tmp_path / "guarantee.json").read_text())["epsilon"] is None
    read = Guarantee.read(tmp_path)
    assert read == without
    assert not without.holds
    assert CARD.holds
    assert not replace(CARD, void=("batches were shuffled, not drawn",)).holds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "one JSON object"),
        ("{", "cannot be read"),
        ('{"unit": "user"}', "delta, epsilon, noise_multiplier, sample_rate, steps missing"),
        ('{"unit":"user","epsilon":"x","delta":1,"noise_multiplier":1,"sample_rate":1,"steps":1}', "as a guarantee"),
    ],
)
def test_a_card_that_cannot_be_read_is_said(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "guarantee.json").write_text(text)
    with pytest.raises(TargetError, match=said):
        Guarantee.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epsilon", 10**400), ("target_epsilon", -(10**400)), ("delta", "small"), ("delta", None), ("steps", 1.5),
        ("units", "many"), ("epsilon_by", [7.9]), ("outside", "tokenizer"), ("unit", "household"), ("clip", {}),
    ],
)  # fmt: skip
def test_a_card_with_one_thing_wrong_names_it(tmp_path: Path, name: str, value: object) -> None:
    CARD.write(tmp_path)
    told = json.loads((tmp_path / "guarantee.json").read_text())
    (tmp_path / "guarantee.json").write_text(json.dumps(told | {name: value}))
    with pytest.raises(TargetError, match=f"guarantee.json: cannot be read as a guarantee: {name}") as caught:
        Guarantee.read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_card_nested_too_deeply_is_said(tmp_path: Path) -> None:
    (tmp_path / "guarantee.json").write_text("[" * 100_000)
    with pytest.raises(TargetError, match="cannot be read"):
        Guarantee.read(tmp_path)


def test_members_are_read_as_they_were_written(tmp_path: Path) -> None:
    members = Members(frozenset({"1", "2"}), frozenset({"3"}), {"form": "x"})
    members.write(tmp_path)
    assert Members.read(tmp_path) == members == Members.read(tmp_path / "members.json")
    assert Members.read(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("told", "said"),
    [({"inside": ["1"], "outside": ["1"]}, "both inside and outside"), ({"inside": [1], "outside": []}, "as strings")],
)
def test_members_that_cannot_be_right_are_said(tmp_path: Path, told: object, said: str) -> None:
    (tmp_path / "members.json").write_text(json.dumps(told))
    with pytest.raises(TargetError, match=said):
        Members.read(tmp_path)
