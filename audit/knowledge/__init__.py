"""Knowledge base: the catalogue and the user's own documents, retrieved by key, by words and by meaning."""

from __future__ import annotations

from audit.knowledge.base import KnowledgeBase
from audit.knowledge.document import Document, item_document
from audit.knowledge.encoder import Encoder, SentenceEncoder
from audit.knowledge.evaluation import Evaluation, RetrievalScore, evaluate
from audit.knowledge.fusion import Hit, fuse
from audit.knowledge.readers import Reading, read_documents
from audit.knowledge.rows import Extended, with_rows

__all__ = [
    "Document",
    "Encoder",
    "Evaluation",
    "Extended",
    "Hit",
    "KnowledgeBase",
    "Reading",
    "RetrievalScore",
    "SentenceEncoder",
    "evaluate",
    "fuse",
    "item_document",
    "read_documents",
    "with_rows",
]
