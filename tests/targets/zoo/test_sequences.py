"""What holds of every recommender that reads a history as a sequence."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from audit import registry
from audit.data.dataset import Dataset
from audit.errors import TargetError
from audit.targets.zoo import bert4rec_model, mamba4rec_model, s3rec_model, sasrec_model
from audit.targets.zoo.sequences import SequenceAnchor
from audit.types import Catalog, Event, Item, Request, User

SMALL = {
    "sasrec": sasrec_model.Hyper(dim=8, layers=1, length=8, epochs=2),
    "bert4rec": bert4rec_model.Hyper(dim=8, layers=1, length=8, epochs=2),
    "s3rec": s3rec_model.Hyper(dim=8, layers=1, length=8, epochs=2, pretraining=1),
    "mamba4rec": mamba4rec_model.Hyper(dim=8, state=4, length=8, epochs=2),
}
NETS: dict[str, ModuleType] = {
    "sasrec": sasrec_model,
    "bert4rec": bert4rec_model,
    "s3rec": s3rec_model,
    "mamba4rec": mamba4rec_model,
}


@pytest.fixture(scope="module")
def shelf() -> Dataset:
    """Three items whose titles are numbers; users with one event, with three, and with six."""
    catalog = Catalog(Item(str(n), str(1984 + n)) for n in range(3))
    rows = [
        (f"u{user}", str((user + n) % 3), 1.0, float(n))
        for user, length in enumerate((1, 3, 6, 6, 1, 4))
        for n in range(length)
    ]
    return Dataset("shelf", catalog, pd.DataFrame(rows, columns=["user", "item", "rating", "time"]))


def target(name: str, weights: Path, dataset: Dataset) -> SequenceAnchor:
    built = registry.load("targets", name, where="test")(dataset, weights=weights)
    assert isinstance(built, SequenceAnchor)
    return built


@pytest.mark.parametrize("name", SMALL)
def test_three_items_with_numbers_for_titles_are_learned_and_recommended(
    name: str, shelf: Dataset, tmp_path: Path
) -> None:
    metrics = NETS[name].train(shelf, seed=0, out=tmp_path, hyper=SMALL[name])
    assert metrics["test_hr@10"] == 1.0  # there are three items
    built = target(name, tmp_path, shelf)
    assert built.info.name == name
    items = shelf.catalog.items_in_order
    histories = ((), (items[1],), items, items * 9)
    answers = built.recommend([Request(User("u", tuple(map(Event, history))), k=10) for history in histories])
    assert [len(answer.ids) for answer in answers] == [3, 2, 0, 0]
    assert set(answers[1].ids) == {"0", "2"}
    assert {entry.title for entry in answers[0].ranked} == {"1984", "1985", "1986"}


@pytest.mark.parametrize("name", ["bert4rec", "mamba4rec"])  # the others' tests stop them elsewhere
def test_a_stopped_training_goes_on_and_ends_the_same(name: str, shelf: Dataset, tmp_path: Path) -> None:
    whole = NETS[name].train(shelf, seed=1, out=tmp_path / "whole", hyper=SMALL[name])

    def stop(epoch: int, *_: object) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        NETS[name].train(shelf, seed=1, out=tmp_path / "cut", hyper=SMALL[name], progress=stop)
    with pytest.raises(TargetError, match=f"train {name}: .* belongs to another training; delete it"):
        NETS[name].train(shelf, seed=2, out=tmp_path / "cut", hyper=SMALL[name])
    epochs: list[int] = []
    cut = NETS[name].train(
        shelf, seed=1, out=tmp_path / "cut", hyper=SMALL[name], progress=lambda epoch, *_: epochs.append(epoch)
    )
    assert epochs == [2]
    assert cut == whole
    files = ["config.json", "evaluation.json", "model.safetensors"]
    assert sorted(file.name for file in (tmp_path / "cut").iterdir()) == files
    for file in files:
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


@pytest.mark.parametrize("name", SMALL)
def test_weights_of_another_are_refused(name: str, shelf: Dataset, world: Dataset, tmp_path: Path) -> None:
    other = "sasrec" if name != "sasrec" else "s3rec"  # the same network under another name
    NETS[other].train(shelf, seed=0, out=tmp_path / other, hyper=SMALL[other])
    with pytest.raises(TargetError, match=f"^{name}: .* holds weights of .* not of .*; name another folder"):
        target(name, tmp_path / other, shelf)
    with pytest.raises(TargetError, match=f"{name}: there is no folder .*nowhere; run `recaudit train {name}`"):
        target(name, tmp_path / "nowhere", shelf)
    with pytest.raises(TargetError, match=f"{name}: .* does not hold usable weights .* train them again"):
        target(name, tmp_path, shelf)
    NETS[name].train(shelf, seed=0, out=tmp_path / name, hyper=SMALL[name])
    with pytest.raises(TargetError, match=f"3 items that this catalogue lacks.* run `recaudit train {name}`"):
        target(name, tmp_path / name, world)


@pytest.mark.parametrize("name", SMALL)
def test_the_command_line_trains_it(name: str) -> None:
    from audit.cli.train import trainer

    assert trainer(name) is importlib.import_module(f"audit.targets.zoo.{name}").train
