"""Every quantity of the hallucination audit is explained, and read in the group of its part."""

from __future__ import annotations

import pytest

from audit.findings import Finding
from audit.modules.hallucination.module import INFO, PLACES
from audit.report import hallucination_words, words
from audit.report.view import section


@pytest.mark.parametrize("metric", INFO.metrics)
def test_every_metric_has_a_meaning(metric: str) -> None:
    said = words.meaning(Finding("hallucination", metric, "the title"))
    assert said != "the title"
    assert said.endswith(".")


def test_nothing_is_explained_that_is_not_measured() -> None:
    assert set(hallucination_words.MEANINGS) <= set(INFO.metrics)
    assert set(hallucination_words.SHORT) <= set(INFO.metrics)


def test_unverifiable_is_never_called_made_up() -> None:
    assert "neither true nor made up" in hallucination_words.MEANINGS["unverifiable_rate"]


@pytest.mark.parametrize("part", PLACES)
def test_findings_are_read_by_part(part: str) -> None:
    key, title, _ = section(Finding("hallucination", PLACES[part].metric, "t", {"part": part}))
    assert key == f"made:{part}:0"
    assert title == PLACES[part].title


def test_findings_that_do_not_name_their_part_are_read_with_it() -> None:
    key, title, _ = section(Finding("hallucination", "consumed_item_rate", "t", {"task": "rank"}))
    assert key == "made:items:rank"
    assert title.endswith(": lists")


def test_a_count_does_not_flatten_the_shares() -> None:
    shares = section(Finding("hallucination", "supported_rate", "t", {"part": "claims"}))
    length = section(Finding("hallucination", "claims_per_answer", "t", {"part": "claims"}))
    assert shares[0] != length[0]


def test_groups_stand_in_the_order_of_reading() -> None:
    keys = ["made:claims:0", "made:items:rank", "made:checker:1", "made:checker:0", "made:grounding:0", "made:claims:3"]
    ordered = sorted(keys, key=hallucination_words.place)
    assert ordered == [
        "made:checker:0", "made:checker:1", "made:items:rank", "made:claims:0", "made:claims:3", "made:grounding:0",
    ]  # fmt: skip
