"""WordNet 3.0 in the layout in which NLTK reads it, put together from what a machine has.

No package index carries the data, but Debian and its descendants do (package `wordnet-base`), and many machines have a
copy: an installed WordNet, or NLTK's own. Debian's files lack two that NLTK wants: the names of the 45 lexicographer
files, which are below, and the index of senses, of which NLTK's reader needs no line.

Mirrors move and builds differ in white space, so no checksum is pinned. apt holds the package to its signed index, and
whatever the source, the files are counted: WordNet 3.0 has 117,659 synsets (wnstats(7WN) of WordNet 3.0).
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from audit.errors import AssetError

VERSION = "3.0"
LICENCE = "WordNet 3.0 licence (Princeton University): free use and redistribution with its notice."
SOURCES = ("system", "debian")
PLACE = "corpora/wordnet"
"""Where NLTK looks, inside a folder of its data path."""

SYNSETS = {"noun": 82_115, "verb": 13_767, "adj": 18_156, "adv": 3_621}
WORDS = {"noun": 117_798, "verb": 11_529, "adj": 21_479, "adv": 4_481}
"""Synsets and unique strings by part of speech, from wnstats(7WN)."""

_PACKAGE = "wordnet-base"
_SECONDS = 600
_NEEDED = tuple(f"{kind}.{part}" for part in SYNSETS for kind in ("data", "index"))
_EXCEPTIONS = tuple(f"{part}.exc" for part in SYNSETS)
_COPIED = (*_NEEDED, *_EXCEPTIONS, "cntlist.rev")
_NAMES = (
    "adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute noun.body noun.cognition "
    "noun.communication noun.event noun.feeling noun.food noun.group noun.location noun.motive noun.object noun.person "
    "noun.phenomenon noun.plant noun.possession noun.process noun.quantity noun.relation noun.shape noun.state "
    "noun.substance noun.time verb.body verb.change verb.cognition verb.communication verb.competition "
    "verb.consumption verb.contact verb.creation verb.emotion verb.motion verb.perception verb.possession verb.social "
    "verb.stative verb.weather adj.ppl"
).split()
_CATEGORY = {"noun": 1, "verb": 2, "adj": 3, "adv": 4}
"""Lexicographer files in the order of their numbers, and the numbers of the parts of speech: lexnames(5WN)."""


def gather(folder: Path, from_dir: Path | None = None, source: str | None = None) -> None:
    """Write WordNet into `folder/corpora/wordnet`.

    Args:
        folder: an empty folder.
        from_dir: a folder that holds Debian's package or WordNet's files; then nothing else is looked at.
        source: `system` for a copy on this machine, `debian` for the package; None tries one after the other.

    Raises:
        AssetError: no source has it, or what it has is not WordNet 3.0.
    """
    place = folder / PLACE
    place.mkdir(parents=True)
    if from_dir is not None:
        _from_folder(from_dir, place)
    elif found := None if source == "debian" else installed():
        _copy(found, place)
    elif source == "system":
        raise AssetError(
            f"asset wordnet: this machine has no WordNet {VERSION} (looked in NLTK_DATA, NLTK's usual folders, "
            "WNSEARCHDIR, WNHOME and /usr/share/wordnet); fetch it from the source debian, or with --from-dir"
        )
    else:
        with tempfile.TemporaryDirectory(prefix="download.", dir=folder) as temporary:
            _unpack(_download(Path(temporary)), place)
    if wrong := problems(folder):
        raise AssetError(f"asset wordnet: {wrong[0]}; fetch it from another source, or with --from-dir")
    _complete(place)


def problems(folder: Path) -> list[str]:
    """What keeps `folder/corpora/wordnet` from being WordNet 3.0, one clause each."""
    place = folder / PLACE
    wrong = [f"{name} is missing" for name in _COPIED if not (place / name).is_file()]
    if wrong:
        return wrong
    for kind, expected in (("data", SYNSETS), ("index", WORDS)):
        for part, count in expected.items():
            with (place / f"{kind}.{part}").open("rb") as stream:
                found = sum(not line.startswith(b"  ") for line in stream)  # lines of the licence are indented
            if found != count:
                wrong.append(f"{kind}.{part} holds {found:,} entries instead of the {count:,} of WordNet {VERSION}")
    return wrong


def installed() -> Path | None:
    """A folder or zip file on this machine that holds WordNet's files; None when there is none."""
    for candidate in _candidates():
        if candidate.suffix == ".zip" and candidate.is_file():
            return candidate
        if all((candidate / name).is_file() for name in _COPIED):
            return candidate
    return None


def _candidates() -> Iterator[Path]:
    roots = [Path(part) for part in os.environ.get("NLTK_DATA", "").split(os.pathsep) if part]
    home = Path.home()
    roots += [home / "nltk_data", Path("/usr/share/nltk_data"), Path("/usr/local/share/nltk_data")]
    for root in roots:
        yield root / PLACE
        yield root / f"{PLACE}.zip"
    if chosen := os.environ.get("WNSEARCHDIR"):
        yield Path(chosen)
    if chosen := os.environ.get("WNHOME"):
        yield Path(chosen) / "dict"
    yield Path("/usr/share/wordnet")
    yield Path("/usr/local/WordNet-3.0/dict")


def _from_folder(given: Path, place: Path) -> None:
    if not given.is_dir():
        raise AssetError(f"asset wordnet: {given} is not a folder; name one that holds {_PACKAGE} or WordNet's files")
    packages = sorted(given.glob(f"{_PACKAGE}_*.deb"))
    for inner in (given, given / PLACE, given / "dict", given / "wordnet"):
        if all((inner / name).is_file() for name in _NEEDED):
            _copy(inner, place)
            return
    if not packages:
        raise AssetError(
            f"asset wordnet: {given} holds neither Debian's package {_PACKAGE} nor WordNet's data.noun; "
            f"put there what `apt-get download {_PACKAGE}` fetches"
        )
    _unpack(packages[-1], place)


def _copy(found: Path, place: Path) -> None:
    """Take the files that NLTK reads, as they are."""
    if found.suffix == ".zip":
        with zipfile.ZipFile(found) as archive:
            members = {name.rpartition("/")[2]: name for name in archive.namelist()}
            for name in _COPIED:
                if name in members:
                    with archive.open(members[name]) as source, (place / name).open("wb") as target:
                        shutil.copyfileobj(source, target)
        return
    for name in _COPIED:
        if (found / name).is_file():
            shutil.copyfile(found / name, place / name)


def _download(folder: Path) -> Path:
    """Debian's package, by the machine's own apt, which holds it to the signed index of its mirror."""
    if shutil.which("apt-get") is None:
        raise AssetError(
            f"asset wordnet: this machine has neither WordNet {VERSION} nor apt; put Debian's package {_PACKAGE} or "
            "WordNet's data files into a folder and fetch with --from-dir"
        )
    strict = ["-o", "Acquire::AllowInsecureRepositories=false", "-o", "APT::Get::AllowUnauthenticated=false"]
    download = ["apt-get", "-qq", *strict, "download", _PACKAGE]
    done = _run(download, folder)
    if done.returncode != 0:
        # The machine's package lists may be empty or old. Private ones need no root and leave the machine as it was.
        for inner in ("lists/partial", "cache/archives/partial"):
            (folder / inner).mkdir(parents=True)
        private = ["-o", f"Dir::State::Lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}"]
        done = _run(["apt-get", "-qq", *strict, *private, "-o", "Acquire::Languages=none", "update"], folder)
        if done.returncode == 0:
            done = _run([*download[:2], *private, *download[2:]], folder)
    packages = sorted(folder.glob(f"{_PACKAGE}_*.deb"))
    if done.returncode != 0 or not packages:
        raise AssetError(
            f"asset wordnet: `apt-get download {_PACKAGE}` failed ({_reason(done.stderr)}); "
            "check the network and apt's sources, or fetch with --from-dir"
        )
    return packages[-1]


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - fixed command, no shell
            command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False, env=_plain()
        )
    except subprocess.TimeoutExpired:
        raise AssetError(f"asset wordnet: apt-get took over {_SECONDS // 60} minutes; try again") from None


def _plain() -> dict[str, str]:
    """The environment, with messages in English: they are quoted in errors."""
    return {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


def _reason(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E:")]
    return (errors or lines or ["no message"])[-1]


def _unpack(package: Path, place: Path) -> None:
    """Take WordNet's files out of a Debian package: an ar archive that holds a tar file (deb(5))."""
    try:
        with tarfile.open(fileobj=io.BytesIO(_data_member(package.read_bytes()))) as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                # The name alone is used, so no member can be written outside the folder.
                if name in _COPIED and member.isfile() and (source := archive.extractfile(member)) is not None:
                    with source, (place / name).open("wb") as target:
                        shutil.copyfileobj(source, target)
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise AssetError(f"asset wordnet: {package.name} cannot be unpacked ({error}); fetch it again") from None


def _data_member(content: bytes) -> bytes:
    if not content.startswith(b"!<arch>\n"):
        raise ValueError("it is not a Debian package")
    at = 8
    while at + 60 <= len(content):
        name, size = content[at : at + 16].decode("ascii", "replace").strip(), int(content[at + 48 : at + 58])
        at += 60
        if name.startswith("data.tar"):
            if at + size > len(content):
                raise ValueError("it was cut short")
            return content[at : at + size]
        at += size + size % 2
    raise ValueError("it holds no data")


def _complete(place: Path) -> None:
    """Write the two files that NLTK wants and Debian leaves out."""
    lines = [f"{number:02d}\t{name}\t{_CATEGORY[name.partition('.')[0]]}\n" for number, name in enumerate(_NAMES)]
    (place / "lexnames").write_text("".join(lines), encoding="ascii")
    (place / "index.sense").touch()
