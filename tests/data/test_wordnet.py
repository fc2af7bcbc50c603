from __future__ import annotations

import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_wordnet

from audit.data import assets, wordnet
from audit.errors import AssetError

APT = "/usr/bin/apt-get"


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without WordNet and without apt; the real counts are replaced by those of the tiny WordNet."""
    tiny_wordnet.count(monkeypatch)
    monkeypatch.setenv("RECAUDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(wordnet, "_candidates", lambda: iter([tmp_path / "installed"]))
    monkeypatch.setattr(shutil, "which", lambda name: None)


def give_apt(monkeypatch: pytest.MonkeyPatch, run: Callable[[list[str], Path], tuple[int, str]]) -> list[list[str]]:
    calls: list[list[str]] = []

    def fake(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        code, stderr = run(command, folder)
        return subprocess.CompletedProcess(command, code, "", stderr)

    monkeypatch.setattr(shutil, "which", lambda name: APT)
    monkeypatch.setattr(wordnet, "_run", fake)
    return calls


def cached(tmp_path: Path) -> list[str]:
    cache = tmp_path / "cache"
    return sorted(p.name for p in cache.iterdir()) if cache.exists() else []


def test_nltk_reads_what_was_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk.data
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    tiny_wordnet.write(tmp_path / "installed")
    folder = assets.path("wordnet")
    assert assets.verify("wordnet") == []
    monkeypatch.setattr(nltk.data, "path", [str(folder)])  # NLTK reads nothing from outside its data path
    with pytest.warns(UserWarning, match="multilingual"):
        reader = WordNetCorpusReader(str(folder / wordnet.PLACE), None)
    assert sorted(reader.synsets("film")[0].lemma_names()) == ["film", "movie"]
    assert reader.synsets("rank")[0].lexname() == "noun.Tops"  # number 03 of lexnames(5WN)
    for stream in reader._data_file_map.values():
        stream.close()
    assert cached(tmp_path) == ["wordnet-3.0"]


def test_the_names_of_the_lexicographer_files(tmp_path: Path) -> None:
    tiny_wordnet.write(tmp_path / "installed")
    lines = (assets.path("wordnet") / wordnet.PLACE / "lexnames").read_text(encoding="ascii").splitlines()
    # First, last and some others of the table in lexnames(5WN).
    assert len(lines) == 45
    assert [lines[i] for i in (0, 3, 18, 29, 44)] == [
        "00\tadj.all\t3",
        "03\tnoun.Tops\t1",
        "18\tnoun.person\t1",
        "29\tverb.body\t2",
        "44\tadj.ppl\t3",
    ]


def test_from_debian_s_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny_wordnet.package(tmp_path / "mirror", tiny_wordnet.write(tmp_path / "files"))

    def download(command: list[str], folder: Path) -> tuple[int, str]:
        shutil.copy(made, folder)
        return 0, ""

    calls = give_apt(monkeypatch, download)
    assets.path("wordnet")
    assets.path("wordnet")
    assert assets.verify("wordnet") == []
    assert len(calls) == 1
    assert calls[0][-2:] == ["download", "wordnet-base"]
    assert "APT::Get::AllowUnauthenticated=false" in calls[0]
    assert not list(tmp_path.rglob("outside.txt"))
    assert not list((tmp_path / "cache").rglob("*.deb"))


def test_a_machine_with_empty_package_lists_gets_private_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny_wordnet.package(tmp_path / "mirror", tiny_wordnet.write(tmp_path / "files"))

    def run(command: list[str], folder: Path) -> tuple[int, str]:
        private = [part for part in command if part.startswith("Dir::State::Lists=")]
        if command[-1] == "update":
            assert private
            assert Path(private[0].partition("=")[2]).is_dir()
            return 0, ""
        if not private:
            return 100, "E: Unable to locate package wordnet-base\n"
        shutil.copy(made, folder)
        return 0, ""

    calls = give_apt(monkeypatch, run)
    assets.path("wordnet")
    assert assets.verify("wordnet") == []
    assert len(calls) == 3


def test_apt_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give_apt(monkeypatch, lambda command, folder: (100, "W: noise\nE: Failed to fetch x\n"))
    with pytest.raises(AssetError, match=r"failed \(E: Failed to fetch x\); check the network and apt's sources"):
        assets.path("wordnet")
    assert cached(tmp_path) == []


def test_a_machine_with_neither_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        AssetError, match=r"neither WordNet 3\.0 nor apt; put .* into a folder and fetch with --from-dir"
    ):
        assets.path("wordnet")
    with pytest.raises(AssetError, match=r"this machine has no WordNet 3\.0 .*; fetch it from the source debian"):
        assets.fetch("wordnet", source="system")
    assert cached(tmp_path) == []


@pytest.mark.parametrize("kind", ["files", "package", "nltk"])
def test_from_a_folder(tmp_path: Path, kind: str) -> None:
    given = tmp_path / "given"
    files = tiny_wordnet.write(given / wordnet.PLACE if kind == "nltk" else tmp_path / "files")
    if kind == "package":
        tiny_wordnet.package(given, files)
    elif kind == "files":
        given = files
    assets.fetch("wordnet", from_dir=given)
    assert assets.verify("wordnet") == []


def test_a_folder_without_it_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"holds neither Debian's package wordnet-base nor WordNet's data\.noun"):
        assets.fetch("wordnet", from_dir=tmp_path)
    with pytest.raises(AssetError, match="is not a folder"):
        assets.fetch("wordnet", from_dir=tmp_path / "none")


def test_nltk_s_own_copy_is_a_zip_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = tiny_wordnet.write(tmp_path / "files")
    zipped = tmp_path / "nltk_data" / "corpora" / "wordnet.zip"
    zipped.parent.mkdir(parents=True)
    with zipfile.ZipFile(zipped, "w") as archive:
        for file in files.iterdir():
            archive.write(file, f"wordnet/{file.name}")
    monkeypatch.undo()
    monkeypatch.setenv("NLTK_DATA", str(zipped.parents[1]))
    assert wordnet.installed() == zipped
    tiny_wordnet.count(monkeypatch)
    wordnet.gather(tmp_path / "out")
    assert wordnet.problems(tmp_path / "out") == []


def test_another_version_is_refused(tmp_path: Path) -> None:
    tiny_wordnet.write(tmp_path / "installed", {**tiny_wordnet.SYNSETS, "noun": [("movie", "film")]})
    with pytest.raises(AssetError, match=r"data\.noun holds 1 entries instead of the 2 of WordNet 3\.0; fetch it from"):
        assets.path("wordnet")
    assert cached(tmp_path) == []


@pytest.mark.parametrize("length", [4, 40, -30])
def test_a_package_that_is_cut_never_becomes_visible(tmp_path: Path, length: int) -> None:
    made = tiny_wordnet.package(tmp_path / "given", tiny_wordnet.write(tmp_path / "files"))
    made.write_bytes(made.read_bytes()[:length])
    with pytest.raises(AssetError, match=r"wordnet-base.*deb cannot be unpacked \(.*\); fetch it again"):
        assets.fetch("wordnet", from_dir=made.parent)
    assert cached(tmp_path) == []


def test_verify_and_fetch_mend_what_was_altered(tmp_path: Path) -> None:
    tiny_wordnet.write(tmp_path / "installed")
    folder = assets.path("wordnet")
    with (folder / wordnet.PLACE / "data.verb").open("a", encoding="ascii") as stream:
        stream.write("more\n")
    assert "data.verb has SHA-256" in assets.verify("wordnet")[0]
    (folder / wordnet.PLACE / "lexnames").unlink()
    assert {s.name: s.state for s in assets.status()}["wordnet"] == "broken"
    assets.path("wordnet")
    assert assets.verify("wordnet") == []
