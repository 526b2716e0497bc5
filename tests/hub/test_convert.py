import struct
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from itda.errors import WeightsError
from itda.hub import weights
from itda.hub.convert import Converted, StateReader, write_converted


def state() -> dict[str, torch.Tensor]:
    return {name: torch.full((2,), float(i)) for i, name in enumerate(["a", "b.0", "b.1", "c"])}


def test_books_balance() -> None:
    reader = StateReader(state(), source="x.pt")
    assert reader.take("a")[0] == 0
    assert reader.take("c")[0] == 3
    reader.skip("b.*", "never read")
    reader.skip("absent", "some copies have it")
    assert reader.finish() == {"b.0": "never read", "b.1": "never read"}


def test_what_is_left_is_named() -> None:
    reader = StateReader(state(), source="x.pt")
    reader.take("a")
    reader.skip("b.0", "never read")
    with pytest.raises(WeightsError, match=r"x\.pt: 2 of 4 tensors are not known: b\.1, c"):
        reader.finish()


@pytest.mark.parametrize("name", ["d", "a", "c"])
def test_missing_and_taken_twice(name: str) -> None:
    reader = StateReader(state(), source="x.pt")
    reader.take("a")
    reader.skip("c", "never read")
    with pytest.raises(WeightsError, match=rf"x\.pt: the tensor {name} is"):
        reader.take(name)


def test_file_as_safetensors_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    tensors = {
        "z.half": torch.randn(3, 7).half(),
        "flag": torch.tensor([True, False, True]),
        "z": torch.randn(2, 3, 5),
        "empty": torch.zeros(0, 4),
        "a": torch.randn(4, 6).T,
        "number": torch.tensor(3.5),
        "brain": torch.randn(5).bfloat16(),
        "count": torch.arange(3),
    }
    written = write_converted(path, Converted(tensors, {"width": 2}), family="f", name="n")
    found = load_file(path)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    assert weights.verify(path) == written
    with safe_open(path, framework="pt") as file:
        order = list(file.offset_keys())
    # Wider numbers first, otherwise as given.
    assert order == ["count", "z", "empty", "a", "number", "z.half", "brain", "flag"]


def test_order_is_the_converters(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    names = ["layer.10", "layer.9", "b", "a"]
    tensors = {name: torch.full((2,), float(i)) for i, name in enumerate(names)}
    write_converted(path, Converted(tensors, {}), family="f", name="n")
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    numbers = torch.frombuffer(bytearray(content[8 + length :]), dtype=torch.float32)
    assert numbers.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_kind_of_number_that_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(
        WeightsError, match=r"the tensor odd has numbers of the kind torch\.complex"
    ):
        write_converted(
            path,
            Converted({"odd": torch.zeros(2, dtype=torch.complex64)}, {}),
            family="f",
            name="n",
        )
    assert not list(tmp_path.iterdir())
