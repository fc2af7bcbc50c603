"""The user's own documents: CSV, TSV and Parquet rows, Markdown sections, PDF pages, plain text.

HTML and Markdown stay as they are written: they are text to a model, and whoever shows them escapes them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from audit.errors import DataError
from audit.knowledge.document import Document, facts_in_words
from audit.text import count, listed
from audit.types import Attributes

if TYPE_CHECKING:
    import pandas as pd

_FENCE = re.compile(r"^\s{0,3}(```|~~~)")
_HEADING = re.compile(r"^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$")


@dataclass(frozen=True)
class Reading:
    """What was read.

    Attributes:
        documents: in the order of the files and inside them.
        notes: what was left out, one sentence each.
    """

    documents: tuple[Document, ...]
    notes: tuple[str, ...] = ()


def read_documents(path: Path | str) -> Reading:
    """Read a file, or every file of a folder and its subfolders that can be read.

    | ending | one document is | its id |
    |---|---|---|
    | .csv, .tsv, .parquet | a row: columns `id`, `item_id`, `title`, `text`; every other one is a fact | `file:id` |
    | .md, .markdown | a section, from one heading to the next | `file#heading` |
    | .pdf | a page | `file#page-2` |
    | .txt | the file | `file` |

    Where a table has no column `id`, its `item_id` is taken if no two rows share one, else the number of the row.

    Args:
        path: a file or a folder; `file` in an id is the path from that folder.

    Raises:
        DataError: there is no such file, its ending is unknown, or it cannot be read. In a folder, files with unknown
            endings and files that are empty are noted; one that is damaged is an error there too.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: the ending {path.suffix!r} is unknown; use {listed(sorted(_READERS))}")
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    return _one(path, path.name, reader)


def _folder(folder: Path) -> Reading:
    documents: list[Document] = []
    notes: list[str] = []
    unknown: list[str] = []
    # Hidden files are no documents: editors and version control keep their own there.
    inside = ((path, path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file())
    for path, name in inside:
        if any(part.startswith(".") for part in name.parts):
            continue
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            unknown.append(name.as_posix())
            continue
        if path.stat().st_size == 0:
            notes.append(f"{name.as_posix()} is empty")
            continue
        reading = _one(path, name.as_posix(), reader)
        documents += reading.documents
        notes += reading.notes
    if unknown:
        notes.append(f"{count(len(unknown), 'file')} of other kinds left out, such as {unknown[0]}")
    if not documents:
        raise DataError(f"{folder}: no file in it holds a document; put {listed(sorted(_READERS))} files there")
    return Reading(tuple(documents), tuple(notes))


def _one(path: Path, name: str, reader: Callable[[Path, str], Iterator[Document]]) -> Reading:
    read = list(reader(path, name))
    documents = tuple(document for document in read if document.text.strip())
    empty = len(read) - len(documents)
    if not read:
        return Reading((), (f"{name} holds no text",))
    return Reading(documents, (f"{name}: {count(empty, 'part')} without any text left out",) if empty else ())


def _rows(path: Path, name: str) -> Iterator[Document]:
    from audit.data.files import read_table, row_attributes  # here, because pandas takes a while

    table = read_table(path)
    columns = {str(column) for column in table.columns}
    roles = {"id", "item_id", "title", "text"}
    items, titles, texts = (
        [str(value).strip() for value in table[role]] if role in columns else [""] * len(table)
        for role in ("item_id", "title", "text")
    )
    for row, (key, facts) in enumerate(zip(_row_keys(path, table), row_attributes(table, roles), strict=True)):
        yield Document(
            id=f"{name}:{key}",
            text=_row_text(titles[row], texts[row], facts),
            item_id=items[row] or None,
            title=titles[row],
            source=name,
            meta=facts,
        )


def _row_text(title: str, text: str, facts: Attributes) -> str:
    sentences = [*facts_in_words(facts), text]
    body = " ".join(s if s.endswith((".", "!", "?")) else f"{s}." for s in sentences if s)
    # A title alone says nothing about its item.
    return f"{title}. {body}" if title and body else body


def _row_keys(path: Path, table: pd.DataFrame) -> list[str]:
    if "id" in table.columns:
        keys = [str(value).strip() for value in table["id"]]
        twice = [key for key, times in Counter(keys).items() if times > 1]
        if twice or "" in keys:
            problem = f"holds {twice[0]!r} twice" if twice and twice[0] else "is empty in some rows"
            raise DataError(f"{path}: column 'id' {problem}; give every row its own id, or leave the column out")
        return keys
    if "item_id" in table.columns:
        keys = [str(value).strip() for value in table["item_id"]]
        if len(set(keys)) == len(keys) and "" not in keys:
            return keys
    return [f"row-{row}" for row in range(1, len(table) + 1)]


def _sections(path: Path, name: str) -> Iterator[Document]:
    names: Counter[str] = Counter()
    for headings, body in _by_heading(_text_of(path)):
        slug = "-".join(re.findall(r"\w+", headings[-1].casefold())) if headings else ""
        place = f"{name}#{slug}" if slug else name
        names[place] += 1
        yield Document(
            id=place if names[place] == 1 else f"{place}-{names[place]}",
            text=body,
            title=" › ".join(headings),
            source=name,
        )


def _by_heading(text: str) -> Iterator[tuple[list[str], str]]:
    """Sections with the headings above them, outermost first. A heading inside a fence of code is code."""
    headings: list[tuple[int, str]] = []
    body: list[str] = []
    fence = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if mark is not None and fence in ("", mark[1]):
            fence = "" if fence else mark[1]
        found = None if fence else _HEADING.match(line)
        if found is None:
            body.append(line)
            continue
        if "".join(body).strip():
            yield [title for _, title in headings], "\n".join(body).strip()
        body = []
        level = len(found[1])
        headings = [*(h for h in headings if h[0] < level), (level, found[2])]
    if "".join(body).strip():
        yield [title for _, title in headings], "\n".join(body).strip()


def _pages(path: Path, name: str) -> Iterator[Document]:
    import logging

    from pypdf import PdfReader
    from pypdf.errors import DependencyError, PyPdfError

    # It logs every blemish that it mends; what it cannot read is an exception all the same.
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    try:
        reader = PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise DataError(f"{path}: the PDF is locked by a password; save a copy without one")
        texts = [_clean(page.extract_text()) for page in reader.pages]
        title = _clean(str((reader.metadata.title if reader.metadata else None) or "")) or Path(name).stem
    except DataError:
        raise
    except DependencyError:  # a lock that pypdf opens only with further packages
        raise DataError(f"{path}: the PDF is encrypted; save a copy without encryption") from None
    except (
        PyPdfError,
        ArithmeticError,
        AttributeError,
        LookupError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        # A damaged PDF breaks its parser in all these ways.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path}: cannot be read as PDF ({reason}); save it anew") from None
    if not any(texts):
        raise DataError(f"{path}: none of its {count(len(texts), 'page')} holds text; run it through OCR first")
    for number, text in enumerate(texts, start=1):
        yield Document(id=f"{name}#page-{number}", text=text, title=title, source=name)


def _plain(path: Path, name: str) -> Iterator[Document]:
    yield Document(id=name, text=_clean(_text_of(path)), title=Path(name).stem, source=name)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8 (`iconv -f latin1 -t utf-8`)"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _clean(text: str) -> str:
    """Without the zero bytes and half characters that a PDF's fonts can give."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode().strip()


_READERS: Mapping[str, Callable[[Path, str], Iterator[Document]]] = {
    ".csv": _rows,
    ".tsv": _rows,
    ".parquet": _rows,
    ".md": _sections,
    ".markdown": _sections,
    ".pdf": _pages,
    ".txt": _plain,
}
