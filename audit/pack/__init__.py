"""Evidence packs: one run in one zip file that says of itself what was changed since.

A pack holds the reports, the findings as measured, the evidence with its requests and answers, the configuration, the
policy, and a manifest with the SHA-256 of each file. The SHA-256 of the manifest is the digest of the pack: whoever
kept it elsewhere, or has the public key of a signature, can tell whether anything was changed. Hashes inside a file
prove nothing by themselves, since whoever changes the file can change them, too.
"""

from __future__ import annotations

from audit.pack.manifest import FORMAT, MANIFEST, Limits, Manifest
from audit.pack.read import open_pack
from audit.pack.verify import Checked, verify
from audit.pack.write import Packed, write_pack

__all__ = [
    "FORMAT",
    "MANIFEST",
    "Checked",
    "Limits",
    "Manifest",
    "Packed",
    "open_pack",
    "verify",
    "write_pack",
]
