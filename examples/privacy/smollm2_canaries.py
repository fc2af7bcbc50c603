"""SmolLM2-135M fine-tuned on watch histories and planted secrets, with and without differential privacy.

`python examples/privacy/smollm2_canaries.py plain reports/canaries-plain` trains without noise, `… private DIR` with
ε = 8 per unit. `audit-plain.yaml` and `audit-private.yaml` beside this file audit what was trained.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audit.config import DatasetConfig
from audit.data.canaries import Canaries, canary_texts, plan_canaries
from audit.data.load import load_dataset
from audit.guarantee import Members
from audit.targets import weights
from audit.targets.hf import HFTarget
from audit.targets.lm import CausalLM
from audit.targets.prompts import Template
from audit.targets.zoo import smollm2
from audit.types import Catalog, Request, User
from defenses.dp.gradients import Row
from defenses.dp.model import train

HISTORY, PEOPLE, CANARIES, REPEATS = 3, 100, 48, (1, 4, 16)
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"epsilon": float("inf"), "peak": 4e-3, "clip": 1.0},
    "private": {"epsilon": 8.0, "peak": 4e-3, "clip": 1.0},
}
TEMPLATE = Template.plain("{{note}}{{?history}}Watched: {{#history|; }}{{title}}{{/history}}. Next:{{/history}}")
"""Bare words, so that a row is short: the note with its secret, or three films and the next."""


def build(catalog: Catalog | None = None, *, adapter: str | None = None) -> HFTarget:
    """The target that is audited: it gives log-probabilities of the next title, and of a secret behind its note."""
    return HFTarget(
        smollm2.folder(),
        catalog=catalog,
        tasks=("answer",),
        templates={"answer": TEMPLATE},
        max_new_tokens=24,
        adapter=adapter,
        dtype="float32",
        name="smollm2-canaries",
    )


def main(kind: str, out: Path) -> None:
    """Train one of the two; the second has the people and the canaries of the first, which drew them."""
    torch.set_num_threads(1)
    data = load_dataset(DatasetConfig(name="ml-100k"), Path.cwd())
    lm = CausalLM.of(weights.load(smollm2.folder(), dtype="float32"))
    target = HFTarget(lm, tasks=("answer",), templates={"answer": TEMPLATE})
    first = None if kind == "plain" else Members.read(out.parent / "canaries-plain")
    if first is not None:
        drawn = Canaries.from_dict(first.canaries)
    elif (own := Members.read(out)) is not None:
        drawn = Canaries.from_dict(own.canaries)  # It goes on from a checkpoint.
    else:
        # From the operating system: whoever knows the seed of the draw knows the secrets and the coins.
        drawn = plan_canaries(data, np.random.default_rng(), count=CANARIES, repeats=REPEATS, form="note")

    def row(request: Request, answer: str) -> Row:
        prompt, told = lm.encode([target.render(request).text, answer])
        return Row(prompt, told)

    people = {}
    for user in sorted(data.user_ids)[:PEOPLE]:
        # The last event stays out, as audits hold it out.
        *before, last = data.events(user)[:-1][-HISTORY - 1 :]
        people[user] = [row(Request(User(user, tuple(before)), task="answer"), f" {last.item.title}")]
    planted = {unit: [row(request, answer)] for unit, request, answer in canary_texts(drawn)}
    train(
        lm,
        people,
        out=out,
        seed=7,
        batch=32,
        epochs=6.0,
        modules=["q_proj", "v_proj"],
        planted=planted,
        canaries=drawn.to_dict(),
        split=None if kind == "plain" else str(out.parent / "canaries-plain"),
        trainings=1 if kind == "plain" else 2,
        progress=lambda step, steps, loss: print(f"step {step} of {steps}: loss {loss:.3f}", flush=True),
        **SETTINGS[kind],
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
