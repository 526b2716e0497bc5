"""Where the files of a set are on the network."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager

from itda.errors import DependencyError, WeightsError
from itda.hub.fetch import DownloadError, Remote, ask_size, explain
from itda.hub.registry import Http, HuggingFace, PublishedFile, WeightSet
from itda.language import Message

MIRROR_VARIABLE = "ITDA_MIRROR"
OFFLINE_VARIABLES = ("ITDA_OFFLINE", "HF_HUB_OFFLINE")
PUBLIC_HUB = "https://huggingface.co"

_TRUE = ("1", "on", "yes", "true")


def is_offline() -> bool:
    """Whether the environment says that the network is not to be used."""
    return any(os.environ.get(name, "").lower() in _TRUE for name in OFFLINE_VARIABLES)


def file_url(weight_set: WeightSet, file: PublishedFile, mirror: str = "") -> str:
    """Return the address of a file.

    Args:
        weight_set: From the hub or a web server.
        file: Of the set.
        mirror: A server in place of the publisher's; `$ITDA_MIRROR` where it is empty, and for the
            Hugging Face hub then `$HF_ENDPOINT`. For other sets the files are at MIRROR/SET/FILE.

    Raises:
        WeightsError: The mirror is no http address.
    """
    source = weight_set.source
    chosen = _mirror(mirror)
    name = urllib.parse.quote(file.name)
    if isinstance(source, HuggingFace):
        endpoint = chosen or os.environ.get("HF_ENDPOINT", "").rstrip("/") or PUBLIC_HUB
        return f"{endpoint}/{source.repo}/resolve/{source.revision}/{name}"
    assert isinstance(source, Http), f"{weight_set.name} is on no server"
    return f"{chosen}/{weight_set.name}/{name}" if chosen else f"{source.url.rstrip('/')}/{name}"


def look_up(weight_set: WeightSet, file: PublishedFile, mirror: str = "") -> Remote:
    """Ask a server for a file's size and digest.

    Args:
        weight_set: From the hub or a web server.
        file: Of the set.
        mirror: As for `file_url`.

    Raises:
        DownloadError: The server refuses, or is not there.
        WeightsError: The mirror is no http address.
        DependencyError: huggingface_hub is not installed.
    """
    url = file_url(weight_set, file, mirror)
    if isinstance(weight_set.source, HuggingFace):
        # A mirror that was named for Itda alone is not told who asks.
        return _look_up_in_hub(file, url, weight_set.source, secret=not _mirror(mirror))
    remote = Remote(file.name, url, size=file.bytes)
    return remote if file.bytes is not None else Remote(file.name, url, size=ask_size(remote))


def _look_up_in_hub(file: PublishedFile, url: str, source: HuggingFace, *, secret: bool) -> Remote:
    try:
        from huggingface_hub import get_hf_file_metadata
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]
    except ImportError as error:
        raise DependencyError(
            Message("huggingface_hub is not installed"), hint=Message('pip install "itda[engine]"')
        ) from error
    # None: the token of HF_TOKEN or of `hf auth login`, where there is one.
    headers = build_hf_headers(token=None if secret else False, library_name="itda")
    bare = Remote(file.name, url)
    with _explained(bare, source):
        found = get_hf_file_metadata(url, headers=headers, token=None if secret else False)
    if found.commit_hash not in (None, source.revision):
        raise DownloadError(
            Message(
                "{file}: {shown} gives revision {commit_hash}, not {revision}",
                file=file.name,
                shown=bare.shown,
                commit_hash=found.commit_hash,
                revision=source.revision,
            ),
            hint=Message("the mirror is not one of this revision; choose another with {--mirror}"),
        )
    size = file.bytes if file.bytes is not None else found.size
    return Remote(file.name, url, headers, size, found.etag or "")


@contextmanager
def _explained(remote: Remote, source: HuggingFace) -> Iterator[None]:
    """Turn the hub library's errors into ours."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    start = f"{remote.name}: {remote.shown}"
    try:
        yield
    except GatedRepoError as error:
        raise DownloadError(
            Message(
                "{start}: {repo} is given only to those who agree to its terms",
                start=start,
                repo=source.repo,
            ),
            hint=Message(
                "agree at {public_hub}/{repo}, then set HF_TOKEN to your token",
                public_hub=PUBLIC_HUB,
                repo=source.repo,
            ),
        ) from error
    except RepositoryNotFoundError as error:
        raise DownloadError(
            Message(
                "{start}: this server has no repository {repo}, or keeps it private",
                start=start,
                repo=source.repo,
            ),
            hint=Message(
                "check {--mirror}, ITDA_MIRROR and HF_ENDPOINT; for a private one set HF_TOKEN"
            ),
        ) from error
    except RevisionNotFoundError as error:
        raise DownloadError(
            Message(
                "{start}: {repo} has no revision {revision} on this server",
                start=start,
                repo=source.repo,
                revision=source.revision,
            ),
            hint=Message("a mirror may be older; choose another with {--mirror}"),
        ) from error
    except HfHubHTTPError as error:
        explained = explain(remote, error.response.status_code, dict(error.response.headers))
        if isinstance(explained, WeightsError):
            raise explained from error
        raise DownloadError(
            Message("{start} {explained}", start=start, explained=explained),
            hint=Message("give the same command again"),
        ) from error
    except OfflineModeIsEnabled as error:
        raise DownloadError(
            Message("{start}: HF_HUB_OFFLINE is set", start=start),
            hint=Message("unset it, or import the file"),
        ) from error
    except Exception as error:
        # The library brings httpx in some versions and a successor in others; both name it alike.
        if not any(kind.__name__ == "TransportError" for kind in type(error).__mro__):
            raise
        raise DownloadError(
            Message(
                "{start} cannot be reached: {error}",
                start=start,
                error=error or type(error).__name__,
            ),
            hint=Message(
                "check the network and proxy, and give the same command again; or {--mirror:URL}"
            ),
        ) from error


def _mirror(given: str) -> str:
    chosen = (given or os.environ.get(MIRROR_VARIABLE, "")).strip().rstrip("/")
    if chosen and not chosen.startswith(("http://", "https://")):
        raise WeightsError(
            Message("the mirror {chosen!r} is no http address", chosen=chosen),
            hint=Message("give the whole address, such as https://hf-mirror.example.org"),
        )
    return chosen
