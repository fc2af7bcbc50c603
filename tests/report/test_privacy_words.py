"""Every quantity of the privacy audit is explained, and read in the group of its part."""

from __future__ import annotations

import pytest

from audit.findings import Finding
from audit.modules.privacy.module import INFO, PLACES
from audit.report import privacy_words, words
from audit.report.view import section


@pytest.mark.parametrize("metric", INFO.metrics)
def test_every_metric_has_a_meaning(metric: str) -> None:
    said = words.meaning(Finding("privacy", metric, "the title"))
    assert said != "the title"
    assert said.endswith(".")


def test_nothing_is_explained_that_is_not_measured() -> None:
    assert set(privacy_words.MEANINGS) <= set(INFO.metrics)
    assert set(privacy_words.SHORT) <= set(INFO.metrics)


def test_neither_a_low_bound_nor_a_low_auc_is_called_safe() -> None:
    assert "Below it nothing is proven" in privacy_words.MEANINGS["epsilon_lower_bound"]
    assert "does not mean safe" in privacy_words.MEANINGS["mia_auc"]


@pytest.mark.parametrize("part", PLACES)
def test_findings_are_read_by_part(part: str) -> None:
    key, title, _ = section(Finding("privacy", PLACES[part].metric, "t", {"part": part}))
    assert key.startswith(f"privacy:{part}:")
    assert title.startswith(PLACES[part].title)


def test_findings_that_do_not_name_their_part_are_read_with_it() -> None:
    key, _, _ = section(Finding("privacy", "extraction_uplift", "t", {"task": "rank"}))
    assert key == "privacy:extraction:1"
    key, title, _ = section(Finding("privacy", "mitigation_change", "t", {"defense": "dp"}))
    assert (key, title) == ("mitigation:dp", "Behind dp")


def test_quantities_of_different_scales_do_not_share_a_group() -> None:
    keys = {section(Finding("privacy", m, "t", {"part": "membership"}))[0] for m in ("mia_auc", "tpr_at_1pct_fpr")}
    assert len(keys) == 2


def test_groups_stand_in_the_order_of_reading() -> None:
    keys = ["privacy:leakage:1", "privacy:guarantee:0", "privacy:membership:1", "privacy:membership:0"]
    assert sorted(keys, key=privacy_words.place) == [keys[1], keys[3], keys[2], keys[0]]


def test_rates_at_few_accused_are_said_in_percent_and_the_gdpr_by_its_name() -> None:
    assert words.is_rate("tpr_at_1pct_fpr")
    assert words.control("gdpr:2016:art5") == "GDPR (2016), art5"
