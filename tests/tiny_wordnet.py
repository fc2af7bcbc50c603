"""WordNet with a handful of synsets, in the files and the format of the real one (wndb(5WN))."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from audit.data import wordnet

_LETTER = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
_LICENCE = "  1 This is a licence, every line of which is indented.  \n"
Synsets = Mapping[str, Sequence[tuple[str, ...]]]
SYNSETS: Synsets = {
    "noun": [("movie", "film"), ("user", "drug_user")],
    "verb": [("recommend", "commend"), ("rank", "grade", "order")],
    "adj": [("good", "well")],
    "adv": [("well", "good")],
}


def write(folder: Path, synsets: Synsets = SYNSETS) -> Path:
    """The files as Debian ships them: without `lexnames` and `index.sense`."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, letter in _LETTER.items():
        data = _LICENCE
        where: dict[str, list[int]] = {}
        for words in synsets.get(part, ()):
            offset = len(data.encode())
            names = " ".join(f"{word} 0" for word in words)
            data += (
                f"{offset:08d} 03 {letter} {len(words):02x} {names} 000 {'00 ' if part == 'verb' else ''}| a gloss  \n"
            )
            for word in words:
                where.setdefault(word.lower(), []).append(offset)
        index = "".join(
            f"{word} {letter} {len(at)} 0 {len(at)} 0 {' '.join(f'{o:08d}' for o in at)}  \n"
            for word, at in sorted(where.items())
        )
        (folder / f"data.{part}").write_text(data, encoding="utf-8")
        (folder / f"index.{part}").write_text(_LICENCE + index, encoding="utf-8")
        (folder / f"{part}.exc").write_text("", encoding="utf-8")
    (folder / "cntlist.rev").write_text("", encoding="utf-8")
    return folder


def count(monkeypatch: pytest.MonkeyPatch, synsets: Synsets = SYNSETS) -> None:
    """Let the asset store expect these synsets instead of the 117,659 of the real one."""
    monkeypatch.setattr(wordnet, "SYNSETS", {part: len(synsets.get(part, ())) for part in _LETTER})
    words = {part: len({word for words in synsets.get(part, ()) for word in words}) for part in _LETTER}
    monkeypatch.setattr(wordnet, "WORDS", words)


def package(folder: Path, files: Path) -> Path:
    """A Debian package that holds the files: an ar archive of a tar archive (deb(5))."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:xz") as archive:
        for file in sorted(files.iterdir()):
            archive.add(file, f"./usr/share/wordnet/{file.name}")
        evil = tarfile.TarInfo("../../outside.txt")
        archive.addfile(evil, io.BytesIO(b""))
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / "wordnet-base_1%3a3.0-37_all.deb"
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": tar.getvalue()}
    content = b"!<arch>\n"
    for name, data in members.items():
        content += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
        )
    made.write_bytes(content)
    return made
