"""Canaries: drawn evenly, planted by a coin, and the same wherever they are read."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from part_world import small_world

from audit.data.canaries import (
    Canaries,
    canary_events,
    canary_request,
    canary_texts,
    canary_users,
    plan_canaries,
)
from audit.data.splits import leave_one_out, windows
from audit.errors import ConfigError, DataError
from audit.guarantee import Members


def drawn(seed: int = 0, **options: object) -> Canaries:
    return plan_canaries(small_world(), np.random.default_rng(seed), **options)  # type: ignore[arg-type]


def test_a_fair_coin_each_and_secrets_all_over_the_space() -> None:
    many = drawn(count=4000, space=16)
    planted = len(many.inside)
    # Four standard deviations of a fair coin, and of the count of one secret among 16.
    assert abs(planted - 2000) < 4 * 31.7
    counts = np.bincount([many.space.index(c.secret) for c in many.members], minlength=16)
    assert np.all(np.abs(counts - 250) < 4.5 * 15.4)
    assert {c.times for c in many.members} == {1, 4, 10}
    assert sum(c.times == 1 for c in many.members) == 2000


def test_items_of_one_popularity_and_secrets_apart_from_histories() -> None:
    found = drawn(count=60)
    popularity = small_world().popularity
    used = {item for c in found.members for item in c.history}
    assert not used & set(found.space)
    middle = sorted(popularity.values())
    low, high = middle[18], middle[-19]  # 84 of 120 items
    assert all(low <= popularity[item] <= high for item in used | set(found.space))
    assert all(len(set(c.history)) == 10 for c in found.members)


def test_units_are_as_many_as_the_repeats_and_controls_are_in_no_training() -> None:
    found = drawn(count=40)
    groups = canary_users(found, small_world())
    assert len(groups) == sum(c.times for c in found.inside)
    assert len({g.user for g in groups}) == len(groups)
    outside = {unit for c in found.outside for unit in c.units}
    assert not outside & {g.user for g in groups}
    assert all(sum(g.labels) == 1 and len(g.labels) == 4 and len(g.history) == 10 for g in groups)
    secrets = {unit: c.secret for c in found.inside for unit in c.units}
    assert all(g.targets[g.labels.index(1)].id == secrets[g.user] for g in groups)
    events = canary_events(found, small_world())
    assert set(events) == {g.user for g in groups}


def test_no_split_holds_a_secret_out() -> None:
    found = drawn(count=40)
    data = small_world().with_users(canary_events(found, small_world(), tail=2))
    split, parts = leave_one_out(data), windows(data)
    for canary in found.inside:
        for unit in canary.units:
            assert canary.secret in {data.catalog.items_in_order[i].id for i in split.train[unit]}
            mine = parts[parts["user"] == unit]
            assert set(mine["part"]) == {"train"}
            assert mine["item"].iloc[0] == data.index[canary.secret]


def test_it_goes_through_the_list_of_members(tmp_path: object) -> None:
    for form in ("history", "note"):
        found = drawn(count=20, form=form)
        Members(frozenset("a"), frozenset("b"), found.to_dict()).write(tmp_path)  # type: ignore[arg-type]
        read = Members.read(tmp_path)  # type: ignore[arg-type]
        assert read is not None
        assert Canaries.from_dict(read.canaries).to_dict() == found.to_dict()


def test_a_note_asks_the_same_wherever_it_is_asked() -> None:
    found = drawn(count=20, form="note", digits=5)
    for (unit, request, answer), canary in zip(
        canary_texts(found), [c for c in found.inside for _ in c.units], strict=True
    ):
        assert unit in canary.units
        assert request == canary_request(canary)
        assert answer == f" {canary.secret}"
        assert canary.secret not in request.user.note
    assert found.size == 100_000


def test_secrets_are_not_shown() -> None:
    (one, *_) = drawn(count=20, form="note").members
    assert one.secret not in repr(one)
    assert all(item not in repr(drawn(count=2)) for item in drawn(count=2).space)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"count": 1}, "canaries.count: 1 must be a whole number of at least 2"),
        ({"repeats": (1, 0)}, "canaries.repeats"),
        ({"others": 64}, "canaries.others: 64 must be less than the space of 64"),
        ({"form": "song"}, "canaries.form: 'song' must be one of history, note"),
        ({"digits": 13, "form": "note"}, "canaries.digits"),
    ],
)
def test_options_that_cannot_be(option: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        drawn(**option)


def test_a_catalogue_that_is_too_small() -> None:
    with pytest.raises(DataError, match="520 items are needed and the catalogue of tiny has 120"):
        drawn(space=500)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"form": "song"}, "canaries.form: 'song'"),
        ({"space": ["1"]}, "canaries.space"),
        ({"inside": None}, "canaries.inside: must be a list"),
        ({"inside": [{"id": "c", "times": 0, "secret": "1"}]}, r"canaries.inside\[0\].times: 0 must be"),
        ({"inside": [{"id": "c", "times": 1, "secret": "nowhere"}]}, "the secret of 'c' is not in the space"),
        ({"inside": [{"id": 3, "times": 1, "secret": "1"}]}, r"inside\[0\].id"),
    ],
)
def test_a_list_that_was_tampered_with(change: dict[str, object], message: str) -> None:
    told = json.loads(json.dumps(drawn(count=4).to_dict())) | change
    with pytest.raises(DataError, match=message) as caught:
        Canaries.from_dict(told)
    assert "nowhere" not in str(caught.value)


def test_another_catalogue_is_said() -> None:
    found = drawn(count=4)
    other = replace(found, space=(*found.space, "unheard of"))
    with pytest.raises(DataError, match="1 of their"):
        canary_users(other, small_world())
