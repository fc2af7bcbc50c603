"""The whole way with a real model: an adapter that was trained on some users by heart, and one that never was."""

from pathlib import Path

import pytest
from membership_world import coin
from part_world import a_context
from tiny_lms import tiny_model, tiny_tokenizer
from world import make_world

from audit.modules.privacy.known import split_of
from audit.modules.privacy.membership import Membership
from audit.modules.privacy.rows import Shape, draw_questions
from audit.modules.privacy.signals import continuations
from audit.targets.hf import HFTarget
from audit.targets.prompts import Template

PART = Membership(history=2, rows=1, neighbours=2)
TEMPLATE = Template.plain("Liked: {{#liked|; }}{{title}}{{/liked}}\nNext:")


def target(folder: Path) -> HFTarget:
    return HFTarget(
        folder / "base",
        adapter=folder / "adapter",
        tasks=("rank",),
        rank_mode="likelihood",
        templates={"rank": TEMPLATE},
        dtype="float32",
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):
    """A base, an adapter as it is before training, and the same learnt by heart; with the data they are asked about."""
    import torch
    from peft import LoraConfig, get_peft_model

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    data = make_world(seed=5, users=60)
    members = coin(data, 3)
    folders = {name: tmp_path_factory.mktemp(name) for name in ("before", "after")}
    for folder in folders.values():
        tiny_model(initializer_range=0.1).save_pretrained(folder / "base")
        tiny_tokenizer().save_pretrained(folder / "base")
    torch.manual_seed(0)
    config = LoraConfig(r=8, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(tiny_model(initializer_range=0.1), config)
    for name in ("before", "after"):
        place = folders[name] / "adapter"
        if name == "after":
            _learn(model, target(folders["before"]), data, members, folders["before"])
        model.save_pretrained(place, save_embedding_layers=False)
        members.write(place)
    yield data, folders
    torch.set_num_threads(threads)


def _learn(model, asked, data, members, folder) -> None:
    """Full batches of the very rows that the part asks about, until they are known."""
    import torch

    run = a_context(asked, folder, dataset=data)
    rows = draw_questions(run, split_of(run), Shape("rank", 1, 2, 0, 20), ranked=False)
    rows = [row for row in rows if row.member]
    prompts = asked.lm.encode([asked.render(row.request).text for row in rows])
    told = asked.lm.encode(continuations(asked, rows))
    longest = max(len(p) + len(t) for p, t in zip(prompts, told, strict=True))
    ids, labels = torch.zeros((2, len(rows), longest), dtype=torch.long)
    labels -= 100
    for i, (prompt, title) in enumerate(zip(prompts, told, strict=True)):
        end = len(prompt) + len(title)
        ids[i, :end] = torch.tensor([*prompt, *title])
        labels[i, len(prompt) : end] = torch.tensor(title)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    model.train()
    for _ in range(60):
        optimizer.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
    model.eval()


@pytest.mark.parametrize("name", ["before", "after"])
def test_an_adapter_learnt_by_heart_and_one_that_never_was(trained, tmp_path: Path, name: str) -> None:
    data, folders = trained
    run = a_context(target(folders[name]), tmp_path, dataset=data)
    assert PART.lacking(run) is None
    planned = PART.plan(run)
    assert all(ask.text for ask in planned)
    output = PART.run(run, examples=1)
    # All that was asked was planned, once; none of it can be opened, for it holds who was trained on.
    assert run.gateway.usage().queries == len({run.gateway.key(ask) for ask in planned})
    assert not run.gateway.store.requests([ask.request.digest for ask in planned])
    areas = {f.params["score"]: f for f in output.findings if f.metric == "mia_auc"}
    blind = {f.params["score"]: f for f in output.findings if f.metric == "blind_auc"}
    assert set(areas) == {"loss", "min_k", "min_k_pp", "zlib", "neighbourhood", "reference"}
    assert set(blind) == {"base", "words"}
    for finding in blind.values():
        assert finding.ci[0] <= 0.5 <= finding.ci[1]
    if name == "after":
        assert areas["loss"].estimate > 0.9
        assert areas["reference"].estimate > 0.9
        assert all(f.p_adjusted < 0.05 for s, f in areas.items() if s != "neighbourhood")
    else:
        # An untrained adapter changes nothing, so that the reference sees no difference at all.
        assert areas["reference"].verdict == "not_applicable"
        for score in ("loss", "min_k", "min_k_pp", "zlib", "neighbourhood"):
            assert areas[score].ci[0] <= 0.5 <= areas[score].ci[1]
            assert areas[score].p_adjusted > 0.05
