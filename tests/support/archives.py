"""Backups that somebody has taken apart, changed and packed again."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alloc_service.core.canon import canon

Members = dict[str, bytes]

MANIFEST = "MANIFEST.json"


def read_members(path: Path) -> Members:
    """Return the members of an archive, in their order."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(members: Members, compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive of these members, in their order."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, compression)
    return file.getvalue()


def described(members: Members) -> bytes:
    """Return an archive whose manifest names these members as they are now."""
    manifest = json.loads(members[MANIFEST])
    for member in manifest["members"]:
        data = members[member["name"]]
        lines = data.count(b"\n")
        digest = hashlib.sha256(data).hexdigest()
        member |= {"rows": lines, "size": len(data), "sha256": digest}
    return pack({**members, MANIFEST: canon(manifest)})


def with_manifest(path: Path, change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return the archive with its manifest changed, and spelled canonically again."""
    members = read_members(path)
    manifest = json.loads(members[MANIFEST])
    change(manifest)
    return pack({**members, MANIFEST: canon(manifest)})
