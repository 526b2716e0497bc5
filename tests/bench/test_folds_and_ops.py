import pytest

from itda.bench import fold as folding
from itda.bench import ops
from itda.bench.fold import FoldError
from itda.bench.ops import BLOCKS, cases, measure
from itda.errors import InputError
from itda.ops import routing


def test_folds_are_interleaved_and_fitted(monkeypatch):
    asked = []

    def fold(family, sequence, weights, told):
        asked.append((len(sequence), told))
        size = len(sequence)
        return {"seconds": (2.0 if told else 1.0) * (1 + size**2 / 100), "bytes": 1000 * size}

    monkeypatch.setattr(folding, "_fold", fold)
    found = folding.measure(
        "mini", tokens=[10, 20, 40], repeats=2, weights=None, report=lambda _: None
    )
    assert asked[:4] == [(10, ""), (10, "reference")] * 2
    assert [row["tokens"] for row in found["rows"]] == [10, 20, 40]
    assert all(row["ratios"] == {"seconds": 2.0, "peak_bytes": 1.0} for row in found["rows"])
    assert found["growth"]["ours"]["seconds"]["coefficients"] == pytest.approx([1, 0, 0.01, 0])


def test_a_random_protein_is_the_same_each_time():
    assert folding._sequence(30) == folding._sequence(30)
    assert len(folding._sequence(31)) == 31
    with pytest.raises(InputError, match="too few"):
        folding._sequence(3)


def test_a_command_that_fails_is_told():
    with pytest.raises(FoldError, match="no-such-family"):
        folding._fold("no-such-family", "MKTAYIAK", None, "")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(ops, "device_peaks", lambda *_: {"flops": 1e11, "bytes": 1e10})


def test_every_op_and_backend_is_measured_beside_the_reference(quick):
    found = measure(
        tokens=[7], device="cpu", dtype="float32", repeats=1, compile_reference=False,
        report=lambda _: None,
    )  # fmt: skip
    assert {row["op"] for row in found["rows"]} == set(routing.BACKENDS)
    for row in found["rows"]:
        assert row["auto_takes"] in row["measured"]
        assert row["reference_over"]["reference"]["seconds"] == 1
        assert max(row["largest_difference"].values()) < 1e-5
    assert [row["block"] for row in found["blocks"]] == list(BLOCKS)
    assert "ours, bfloat16" in found["blocks"][0]["measured"]


def test_a_wrong_backend_shows_as_a_difference(quick, monkeypatch):
    monkeypatch.setattr(ops, "layer_norm", lambda x, *_, backend: x if backend == "torch" else -x)
    case = next(case for case in cases(7, "cpu", ops.torch.float32) if case.op == "layer_norm")
    row = ops._row(
        case, 7, "cpu", "float32", {"flops": 1.0, "bytes": 1.0}, 1, False, lambda _: None
    )
    assert row["largest_difference"]["torch"] > 0.1
