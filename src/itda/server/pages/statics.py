"""Style sheets, scripts and pictures, at addresses that change when any of them does."""

from __future__ import annotations

import functools
import gzip
import hashlib
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"
FOREVER = "public, max-age=31536000, immutable"
PACKED_SUFFIXES = (".css", ".js", ".mjs", ".svg", ".json", ".wasm")
LEAST_PACKED_BYTES = 1400


@functools.cache
def version() -> str:
    """Return the hash of all files there are.

    One hash for all, so that a script may import another by its relative address.
    """
    digest = hashlib.sha256()
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(FOLDER).as_posix().encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def address(name: str) -> str:
    """Return where a browser gets a file, by its path below the folder `static`."""
    return f"/static/{version()}/{name}"


class Files(StaticFiles):
    """Serves `/VERSION/NAME`; for good where the version is this one's, else to be asked again."""

    def __init__(self) -> None:
        # A link leads to the script that the report has too.
        super().__init__(directory=FOLDER, follow_symlink=True)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a file, packed where the browser takes that."""
        asked, _, name = path.replace("\\", "/").partition("/")
        response = await super().get_response(name, scope)
        if response.status_code != 200:
            return response
        headers = {
            "Cache-Control": FOREVER if asked == version() else "no-cache",
            "Vary": "Accept-Encoding",
        }
        packed = _packed(name) if _takes_gzip(scope) else None
        if packed is not None and scope["method"] == "GET":
            headers["Content-Encoding"] = "gzip"
            headers["ETag"] = f'W/"{hashlib.sha256(packed).hexdigest()[:16]}"'
            return Response(packed, headers=headers, media_type=response.headers["content-type"])
        response.headers.update(headers)
        return response


def _takes_gzip(scope: Scope) -> bool:
    return any(
        name == b"accept-encoding" and b"gzip" in value for name, value in scope.get("headers", [])
    )


@functools.lru_cache(maxsize=256)
def _packed(name: str) -> bytes | None:
    path = FOLDER / name
    if path.suffix not in PACKED_SUFFIXES or path.stat().st_size < LEAST_PACKED_BYTES:
        return None
    return gzip.compress(path.read_bytes(), 6, mtime=0)
