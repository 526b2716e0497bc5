import pytest
import torch
from safetensors.torch import save_file

from itda.errors import WeightsError
from itda.hub.tensor_file import TensorFile

SIZES = [(3,), (7, 5), (513, 1025), ()]


@pytest.mark.parametrize("stored", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("wanted", [torch.float32, torch.float16, torch.bfloat16])
def test_numbers_are_those_of_the_file_in_the_wanted_format(stored, wanted, tmp_path):
    tensors = {f"t{number}": torch.randn(size).to(stored) for number, size in enumerate(SIZES)}
    save_file(tensors, tmp_path / "a.safetensors")
    file = TensorFile(tmp_path / "a.safetensors")
    targets = {name: torch.empty(file.shapes[name], dtype=wanted) for name in tensors}
    file.read_into(targets)
    for name, tensor in tensors.items():
        assert torch.equal(targets[name], tensor.to(wanted)), name


def test_a_file_cut_short_is_named(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"t": torch.randn(100)}, path)
    file = TensorFile(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"a\.safetensors ends before"):
        file.read_into({"t": torch.empty(100)})


@pytest.mark.parametrize("content", [b"", b"no safetensors", b"\xff" * 64])
def test_another_file_is_refused_by_name(content, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"a\.safetensors is no safetensors file"):
        TensorFile(path)


def test_other_numbers_are_refused(tmp_path):
    save_file({"t": torch.arange(4)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="floating-point"):
        TensorFile(tmp_path / "a.safetensors")
