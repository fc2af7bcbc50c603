"""The payload library: complete, safe to fill, and mistakes in a file of one's own are named."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers import ODD_TITLES, items, request

from attacks.injection.attacks import Derailing, Injection, Planted, PromptLeak
from attacks.injection.library import FIELDS, Payload, load
from audit.attack import Goal, Offer
from audit.attack.promotion import PLANTED, READ_AS
from audit.edits import Zone, apply, from_dict, to_dict, zone_of
from audit.errors import ConfigError
from audit.target import Input, TargetInfo
from audit.types import Catalog, Item, Passage, Request

PAYLOADS = load()
FAMILIES = {
    "override",
    "format",
    "optimised",
    "fluent",
    "preference",
    "persuasion",
    "hidden",
    "multilingual",
    "review",
    "tool",
}
ZONES = {"title": Zone.SELLER, "description": Zone.SELLER, "review": Zone.SELLER, "note": Zone.USER}
CATALOG = Catalog(items(20))


def test_the_library_has_what_it_should() -> None:
    promote = [p for p in PAYLOADS if p.goal == "promote"]
    assert len(promote) >= 30
    assert {p.family for p in promote} == FAMILIES
    assert {p.goal for p in PAYLOADS} == {"promote", "leak", "derail"}
    assert {p.channel for p in promote} == {"direct", "indirect"}
    assert len({p.language for p in promote}) >= 6
    assert Counter(p.id for p in PAYLOADS).most_common(1)[0][1] == 1
    for payload in PAYLOADS:
        assert set(payload.fields) <= set(FIELDS[payload.channel])
        assert payload.reference
    assert {place for p in promote for place in p.fields} == set(READ_AS)


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda p: p.id)
@pytest.mark.parametrize("title", [*ODD_TITLES, "{rival}", "{k}", "\\u0041 \\1 \\g<0>", 'a"b\\c'])
def test_titles_are_copied_and_never_read(payload: Payload, title: str) -> None:
    text = payload.render({"title": title, "rival": "Rival {title}", "k": "5"})
    if payload.carrier:
        assert text
        return
    shown = json.dumps(title, ensure_ascii=False)[1:-1] if payload.escape == "json" else title
    rival = "Rival {title}"
    expected = payload.text
    # By hand, each placeholder at the places where the payload itself has it.
    pieces = []
    at = 0
    for mark, value in sorted(
        (i, m) for m in ("{title}", "{rival}", "{k}") for i in range(len(expected)) if expected.startswith(m, i)
    ):
        pieces += [expected[at:mark], {"{title}": shown, "{rival}": rival, "{k}": "5"}[value]]
        at = mark + len(value)
    assert text == "".join([*pieces, expected[at:]])


def strings(data: object) -> list[str]:
    """Every text in some JSON."""
    if isinstance(data, dict):
        return [text for value in data.values() for text in strings(value)]
    if isinstance(data, list):
        return [text for value in data for text in strings(value)]
    return [data] if isinstance(data, str) else []


def test_json_payloads_stay_json_for_any_title() -> None:
    payloads = [p for p in PAYLOADS if p.escape == "json" and p.text.startswith("{")]
    assert payloads
    for payload in payloads:
        for title in ODD_TITLES:
            assert title in strings(json.loads(payload.render({"title": title, "rival": "", "k": "5"})))


@pytest.mark.parametrize("kind", [Injection, PromptLeak])
@pytest.mark.parametrize("title", ODD_TITLES)
def test_every_payload_goes_into_every_field_and_round_trips(kind: type[Planted], title: str) -> None:
    attack = kind(CATALOG)  # type: ignore[abstract]
    item = Item("odd", title, "What the seller says.")
    asked = Request(
        request().user, instruction="Rank.", candidates=(item, *items(2, start=9)), passages=(Passage("p", "Old."),)
    )
    assert {v.params["position"] for v in attack.variants} == {"start", "end"}
    for variant in attack.variants:
        edits = attack.rewrite(Offer(item, asked, items(3, start=12), variant), np.random.default_rng(0))
        assert len(edits) == 1
        attack.info.threat_model.check(edits)
        assert tuple(from_dict(to_dict(e)) for e in edits) == edits
        if variant.place == "passage":
            passages = apply(edits, asked).passages
            assert passages[0 if variant.params["position"] == "start" else -1].id == PLANTED
            assert edits[0].zone == Zone.RETRIEVED
        else:
            assert edits[0].zone == ZONES[variant.place]
            old, new = asked, apply(edits, asked)
            texts = [(r.user.note, r.candidates[0].title, r.candidates[0].text) for r in (old, new) if r.candidates]
            (changed,) = [(a, b) for a, b in zip(*texts, strict=True) if a != b]
            assert changed[1].startswith(changed[0]) if variant.params["position"] == "end" else True
            assert changed[0] in changed[1]
    assert zone_of("note") == Zone.USER


def test_one_can_choose_families_fields_and_positions() -> None:
    attack = Injection(CATALOG, families=["override", "tool"], fields=["title"], positions=["end"])
    assert {v.params["family"] for v in attack.variants} == {"override", "tool"}
    assert {(v.place, v.params["position"]) for v in attack.variants} == {("title", "end")}
    with pytest.raises(ValueError, match="families: 'overide' is not a family of the library; did you mean 'override'"):
        Injection(CATALOG, families=["overide"])
    with pytest.raises(ValueError, match="fields: 'titel' is not a field"):
        Injection(CATALOG, fields=["titel"])
    with pytest.raises(ValueError, match="positions: \\['middle'\\]"):
        Injection(CATALOG, positions=["middle"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="leave no payload"):
        Injection(CATALOG, families=["hidden"], fields=["note"])


def test_only_fields_that_the_target_reads_are_used() -> None:
    reads = TargetInfo("t", honours=frozenset({Input.NOTE}))
    assert {v.place for v in Injection(CATALOG).able(reads)} == {"note"}
    assert Injection(CATALOG).info.lacking(TargetInfo("t", honours=frozenset({Input.HISTORY})), "rank")


def test_derailing_payloads_upset_one_item_in_a_place_that_is_read() -> None:
    attack = Derailing(CATALOG)
    assert attack.info.threat_model.goal == Goal.DEGRADE
    texts, notes = (TargetInfo("t", honours=frozenset({i})) for i in (Input.ITEM_TEXT, Input.NOTE))
    asked = request(candidates=4)
    seen = set()
    for seed in range(60):
        (edit,) = attack.craft(asked, texts, frozenset(), np.random.default_rng(seed))
        assert edit.zone == Zone.SELLER
        seen.add(edit.field)  # type: ignore[union-attr]
        (edit,) = attack.craft(asked, notes, frozenset(), np.random.default_rng(seed))
        assert edit.field == "note"  # type: ignore[union-attr]
    assert len(seen) == 8  # title and text of four candidates
    none = TargetInfo("t", honours=frozenset({Input.HISTORY}))
    assert attack.craft(asked, none, frozenset(), np.random.default_rng(0)) == ()


def entry(**change: object) -> dict[str, object]:
    good = {
        "id": "own",
        "family": "mine",
        "goal": "promote",
        "channel": "indirect",
        "language": "en",
        "reference": "Own, 2026",
        "text": "{title} first",
    }
    return {key: value for key, value in {**good, **change}.items() if value is not None}


def test_a_library_of_ones_own_is_used(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(json.dumps({"payloads": [entry()]}), encoding="utf-8")
    attack = Injection(CATALOG, library=str(path))
    assert {v.params["family"] for v in attack.variants} == {"mine"}
    with pytest.raises(ValueError, match="goal leak"):
        PromptLeak(CATALOG, library=str(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"goal": "destroy"}, "goal: 'destroy' must be one of promote, leak, derail"),
        ({"channel": "post"}, "channel: 'post' must be one of"),
        ({"text": "{titel} first"}, "placeholder: 'titel' must be one of title, rival, k"),
        ({"text": " "}, "text: ' ' must be a text that is not empty"),
        ({"reference": None}, "reference is missing"),
        ({"fields": ["note"]}, "fields: 'note' must be one of title"),
        ({"fields": []}, "fields: \\[\\] must be a list of"),
        ({"carrier": "smoke"}, "carrier: 'smoke' must be one of"),
        ({"escape": "xml"}, "escape: 'xml' must be one of json"),
        ({"langauge": "en"}, "langauge: no such key; did you mean 'language'"),
    ],
)
def test_mistakes_in_a_library_are_named(change: dict[str, object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(json.dumps({"payloads": [entry(**change)]}), encoding="utf-8")
    with pytest.raises(ConfigError, match=f"own.yaml: payloads.0.*{message}"):
        load(path)


def test_files_that_are_no_library_are_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.yaml")
    for text, message in (
        ("a: [", "is not YAML"),
        ("[]", "holds no list `payloads:`"),
        ("payloads: [3]", "3 is not a payload"),
        (json.dumps({"payloads": [entry(), entry()]}), "'own' occurs twice"),
    ):
        path = tmp_path / "wrong.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=message):
            load(path)
