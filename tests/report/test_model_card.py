"""A model card as the Hub reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import yaml
from hostile import EVERY, acting_in_terminal
from report_world import FLIP, HIT, SKIPPED

from audit.errors import ConfigError
from audit.report import render
from audit.run import Run

MakeRun = Callable[..., Run]


def front_of(text: str) -> dict[str, object]:
    _, front, _ = text.split("---\n", 2)
    return yaml.safe_load(front)


def test_the_hub_reads_its_results(shown: Run) -> None:
    from huggingface_hub.repocard_data import model_index_to_eval_results

    name, results = model_index_to_eval_results(front_of(render([shown], "model-card"))["model-index"])
    assert name == "my-target"
    assert [(r.metric_type, r.metric_value, r.metric_args, r.dataset_name) for r in results] == [
        ("hr", 0.62, {"k": 10}, "ml-100k")
    ]
    assert [r.verified for r in results] == [False]


def test_without_a_quantity_that_the_index_has_room_for_there_is_none(make_run: MakeRun) -> None:
    assert "model-index" not in front_of(render([make_run([FLIP])], "model-card"))
    run = make_run([HIT])
    own = Run(replace(run.record, config={"dataset": {"interactions": "mine.csv"}}), run.store)
    assert "model-index" not in front_of(render([own], "model-card")), "the Hub has no name for files of one's own"


def test_failures_open_questions_and_what_was_not_tested_are_limitations(shown: Run) -> None:
    text = render([shown], "model-card")
    section = text[text.index("## Bias, risks") : text.index("## Training details")]
    for said in ("Typing slips", "Answers that failed", "One inserted not", "the target reads no text"):
        assert said in section
    assert text.count("[More Information Needed]") >= 5, "what only the owner knows is left to the owner"
    assert "Not measured: the module fairness did not run." in text


def test_values_stand_with_their_intervals_and_groups_apart(make_run: MakeRun) -> None:
    group = replace(HIT, module="fairness", metric="quality", title="NDCG of women", params={"group": "F"})
    text = render([make_run([HIT, group, SKIPPED])], "model-card")
    groups = text[text.index("### Results by group") :]
    assert "| NDCG of women | group=F | 0.620 [0.500, 0.700] | 50 user | ○ measured |" in groups
    assert "| HR@10 | k=10 | 0.620 [0.500, 0.700] |" in text[: text.index("### Results by group")]


def test_a_card_is_of_one_model(shown: Run) -> None:
    with pytest.raises(ConfigError, match="a card is of one model"):
        render([shown, shown], "model-card")


def test_hostile_text_opens_nothing(make_run: MakeRun) -> None:
    findings = [replace(HIT, title=t, note=t, params={"k": 10, "x": f"{i}{t}"}) for i, t in enumerate(EVERY)]
    text = render([make_run(findings, name="x")], "model-card")
    assert acting_in_terminal(text) == []
    front_of(text)
    body = text.split("---\n", 2)[2]
    assert "<script" not in body
    assert "](" not in body.replace("\\](", "")
