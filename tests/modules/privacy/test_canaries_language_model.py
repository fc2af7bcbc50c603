"""A yes/no language model that learnt canaries by heart, and its twin that never read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from memory_targets import members_with
from part_world import a_context, small_world
from tiny_lms import tiny_model, tiny_tokenizer

from audit.data.canaries import canary_users, plan_canaries
from audit.modules.base import Output
from audit.modules.privacy.canaries import Canaries
from audit.stats.exposure import expected_exposure
from audit.targets.hf import HFTarget
from audit.targets.lm import CausalLM
from audit.targets.zoo import tallrec, tallrec_training

STEPS = 40


def output_of(lm: CausalLM, members: Path, folder: Path) -> Output:
    target = HFTarget(
        lm,
        tasks=("score",),
        templates={"score": tallrec.TEMPLATE},
        instructions={"score": tallrec.INSTRUCTION},
        answers=tallrec.ANSWERS,
    )
    folder.mkdir()
    context = a_context(target, folder, task="score", users=4)
    part = Canaries(members=str(members))
    assert part.lacking(context) is None
    return part.run(context, examples=0)


def test_what_a_yes_no_model_learnt_by_heart_is_found(tmp_path: Path) -> None:
    world = small_world()
    found = plan_canaries(world, np.random.default_rng(1), count=20, repeats=(1,), history=1, space=8)
    members_with(found).write(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        lm = CausalLM(tiny_model(), tiny_tokenizer(), identity="tiny")
        clean = once(output_of(lm, tmp_path, tmp_path / "clean"))
        groups = canary_users(found, world)
        packed = tallrec_training.encode(lm, groups)
        direction = tallrec_training.answer_direction(lm)
        body = [p for name, p in lm.model.named_parameters() if "embed" not in name]
        step = torch.optim.Adam(body, lr=1e-2)
        for _ in range(STEPS):
            step.zero_grad()
            scores = lm.hidden(packed).float() @ direction
            width = len(groups[0].labels)
            loss = sum(
                tallrec_training.group_loss(scores[n * width : (n + 1) * width], g.labels, 1 / len(groups), 1.0)
                for n, g in enumerate(groups)
            )
            loss.backward()
            step.step()
        learnt = once(output_of(lm, tmp_path, tmp_path / "learnt"))
    finally:
        torch.set_num_threads(threads)
    assert clean.p > 0.05
    assert clean.ci[0] < expected_exposure(8) < clean.ci[1]
    assert clean.params["by"] == "scores"
    assert learnt.p < 0.01
    assert learnt.estimate > clean.estimate + 0.5


def once(output: Output) -> Any:
    (finding,) = [f for f in output.findings if f.metric == "exposure" and f.params["group"] == "planted"]
    return finding
