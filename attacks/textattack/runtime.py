"""Load TextAttack without letting it change the rest of the process, the user's home, or ask the network.

As released (0.3.11) its import needs NLTK's stop words, tries to download six NLTK packages and remembers for ever that
it did, redirects four cache folders of other libraries, sets up logging, and reseeds Python's generator. What it needs
is put into the asset store; everything else is put back as it was.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attacks.textattack.dice import kept_streams
from audit.data import assets
from audit.errors import AssetError

_STOPWORDS_VERSION = "1"
_MARKER = "post_install_check_3"
"""The file that tells TextAttack 0.3.11 that its downloads were done."""
_CAPTURED = ("transformers", "datasets", "nltk")
"""Libraries that read cache folders from the environment when they are first imported: they must see the user's own."""
_LOGGERS = ("textattack", "textattack.shared.utils.install", "flair", "jieba")


def load() -> None:
    """Import TextAttack, once per process.

    Raises:
        AssetError: it is not installed, or cannot be imported.
    """
    if "textattack" in sys.modules and hasattr(sys.modules["textattack"], "Attack"):
        _add_data(_stopwords())
        return
    if importlib.util.find_spec("textattack") is None:
        raise AssetError("the package textattack is not installed; run `pip install 'textattack>=0.3.11'`")
    try:
        with warnings.catch_warnings(), kept_streams():
            warnings.simplefilter("ignore")  # of its dependencies, on which no user of ours can act
            for name in _CAPTURED:
                importlib.import_module(name)
            _add_data(_stopwords())
            with _own_folders(), _kept_logging():
                importlib.import_module("textattack")
                install: Any = importlib.import_module("textattack.shared.utils.install")
        install.TEXTATTACK_CACHE_DIR = str(assets.cache_dir() / "textattack")
    except (ImportError, LookupError, OSError, RuntimeError) as error:
        for name in [m for m in sys.modules if m == "textattack" or m.startswith("textattack.")]:
            del sys.modules[name]  # half a package would be taken for a whole one next time
        reason = " ".join(str(error).split())[:200]
        raise AssetError(
            f"textattack cannot be imported ({type(error).__name__}: {reason}); reinstall it with "
            "`pip install --force-reinstall --no-deps textattack`"
        ) from error
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)


def load_wordnet() -> None:
    """Put WordNet where NLTK looks; fetched first when it is not in the cache.

    Raises:
        AssetError: no source has it.
    """
    load()
    _add_data(assets.path("wordnet"))
    wordnet = importlib.import_module("nltk.corpus").wordnet
    try:
        wordnet.synsets("film")
    except (LookupError, OSError) as error:
        raise AssetError(
            f"WordNet cannot be read ({type(error).__name__}); run `recaudit assets fetch wordnet --force`"
        ) from error


def _stopwords() -> Path:
    """A folder of NLTK data with the English stop words, scikit-learn's list of 318."""

    def write(folder: Path) -> None:
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        file = folder / "corpora" / "stopwords" / "english"
        file.parent.mkdir(parents=True)
        file.write_text("\n".join(sorted(ENGLISH_STOP_WORDS)) + "\n", encoding="utf-8")

    return assets.derived("nltk-stopwords", _STOPWORDS_VERSION, write)


def _add_data(folder: Path) -> None:
    path: list[str] = importlib.import_module("nltk.data").path
    if str(folder) not in path:
        path.insert(0, str(folder))


@contextmanager
def _own_folders() -> Iterator[None]:
    """Environment variables for the import alone; those that it sets itself are taken back too."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="recaudit-textattack-") as folder:
        (Path(folder) / _MARKER).touch()
        os.environ["TA_CACHE_DIR"] = folder
        os.environ.setdefault("MPLCONFIGDIR", str(assets.cache_dir() / "matplotlib"))
        try:
            yield
        finally:
            for name in {*before, *os.environ}:
                if name not in before:
                    del os.environ[name]
                elif os.environ.get(name) != before[name]:
                    os.environ[name] = before[name]


@contextmanager
def _kept_logging() -> Iterator[None]:
    """Loggers that exist stay as they are: logging set up by a library may switch off those of others."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    switched = {name: logger.disabled for name, logger in _loggers()}
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, logger in _loggers():
            logger.disabled = switched.get(name, False)


def _loggers() -> Sequence[tuple[str, logging.Logger]]:
    known = logging.root.manager.loggerDict
    return [(name, logger) for name, logger in list(known.items()) if isinstance(logger, logging.Logger)]
