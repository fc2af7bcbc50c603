"""Every quantity of the fairness audit is explained, and read in the group of its part."""

from __future__ import annotations

import pytest

from audit.findings import Finding
from audit.modules.fairness.module import INFO, PLACES
from audit.report import fairness_words, words
from audit.report.view import section


@pytest.mark.parametrize("metric", INFO.metrics)
def test_every_metric_has_a_meaning(metric: str) -> None:
    said = words.meaning(Finding("fairness", metric, "the title"))
    assert said != "the title"
    assert said.endswith(".")


def test_nothing_is_explained_that_is_not_measured() -> None:
    assert set(fairness_words.MEANINGS) <= set(INFO.metrics)
    assert set(fairness_words.SHORT) <= set(INFO.metrics)


@pytest.mark.parametrize("part", PLACES)
def test_findings_are_read_by_part_and_attribute(part: str) -> None:
    found = Finding("fairness", PLACES[part].metric, "t", {"part": part, "attribute": "gender"})
    key, title, _ = section(found)
    assert key == f"part:{part}:gender"
    assert title == f"{PLACES[part].title}: gender"


def test_what_a_mitigation_changes_has_its_own_group() -> None:
    changed = Finding("fairness", "mitigation_change", "t", {"part": "sweep", "defense": "marginalise"})
    assert section(changed)[0] == "mitigation:marginalise"
