"""Published files as tensors and documents; nothing in them is ever run."""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itda.errors import DependencyError, WeightsError
from itda.language import Message

if TYPE_CHECKING:
    from torch import Tensor

PICKLES = (".pt", ".pth", ".bin", ".ckpt")
DOCUMENTS = (".json", ".yaml", ".yml")
_AGAIN = Message("take the file from its publisher again")
_GLOBAL = re.compile(r"(?:GLOBAL|global:?|Global)\s+([\w.]*\w)")


def read_published(
    paths: Mapping[str, Path],
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Read the files of a set.

    Tensors stay in their files and are read when they are used. Nested ones are named with dots.

    Args:
        paths: Where each file is, by its published name.

    Returns:
        Tensors by file and name; documents by file. What a file of tensors holds beside them, such
        as a step number, is the document of its name.

    Raises:
        WeightsError: A file cannot be read, or holds more than numbers and text.
        DependencyError: PyTorch is not installed.
    """
    states: dict[str, dict[str, Tensor]] = {}
    documents: dict[str, Any] = {}
    for name, path in paths.items():
        suffix = path.suffix.lower()
        if suffix in DOCUMENTS:
            documents[name] = _read_document(path)
        elif suffix in PICKLES or suffix == ".safetensors":
            states[name], rest = _read_tensors(path)
            if rest:
                documents[name] = rest
        else:
            raise WeightsError(
                Message("{path} is of a kind that is not read", path=path),
                hint=Message("known: {value:,}", value=(*PICKLES, ".safetensors", *DOCUMENTS)),
            )
    return states, documents


def _read_document(path: Path) -> Any:
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        problem = " ".join(str(error).split())
        raise WeightsError(
            Message("{path}: cannot be read: {problem}", path=path, problem=problem)
        ) from error


def _read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise DependencyError(
            Message("PyTorch is not installed"), hint=Message('pip install "itda[engine]"')
        ) from error
    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(path), {}
        # Files of before PyTorch 1.6 are no zip archives and cannot be mapped into memory.
        content = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except pickle.UnpicklingError as error:
        found = _GLOBAL.search(str(error))
        what = (
            Message("it asks for {group}", group=found.group(1))
            if found
            else Message("it is no file of tensors")
        )
        raise WeightsError(
            Message(
                "{path} holds more than numbers and text: {what}; nothing of it was run",
                path=path,
                what=what,
            ),
            hint=Message("such a file can run any program; take the file from its publisher again"),
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, SafetensorError) as error:
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            Message("{path}: cannot be read: {problem}", path=path, problem=problem), hint=_AGAIN
        ) from error
    tensors: dict[str, Tensor] = {}
    rest: dict[str, Any] = {}
    _sort_out(content, "", tensors, rest)
    if not tensors:
        raise WeightsError(Message("{path} holds no tensors", path=path), hint=_AGAIN)
    return tensors, rest


def _sort_out(content: Any, start: str, tensors: dict[str, Tensor], rest: dict[str, Any]) -> None:
    from torch import Tensor as TensorType

    if isinstance(content, TensorType):
        tensors[start] = content
    elif isinstance(content, Mapping) and content:
        for key, value in content.items():
            _sort_out(value, f"{start}.{key}" if start else str(key), tensors, rest)
    else:
        rest[start] = content
