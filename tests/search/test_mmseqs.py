from pathlib import Path

import numpy as np
import pytest

from itda.chem.residues import RESTYPES
from itda.errors import DataError, DependencyError
from itda.search.mmseqs import (
    ProgressReader,
    cluster_sequences,
    find_mmseqs,
    gpu_is_usable,
    is_padded,
    mmseqs_version,
    run_mmseqs,
    search_sequences,
)
from tests.sequences import needs_mmseqs, relative


@pytest.fixture
def sequences() -> list[str]:
    random = np.random.default_rng(1)
    first, second = ("".join(random.choice(list(RESTYPES), 90)) for _ in range(2))
    return [first, second, relative(first, 0.5, random)]


@needs_mmseqs
def test_relatives_cluster(sequences: list[str]) -> None:
    clusters = cluster_sequences(sequences, identity=0.3, sensitivity=1.0)
    assert clusters[0] == clusters[2] != clusters[1]


@needs_mmseqs
def test_identity_of_a_hit(sequences: list[str]) -> None:
    (hit,) = search_sequences(sequences[2:], sequences[:2])
    assert (hit.query, hit.target) == (0, 0)
    same = sum(one == other for one, other in zip(sequences[0], sequences[2], strict=True))
    assert hit.identity == pytest.approx(same / 90, abs=0.06)
    assert hit.query_coverage > 0.9
    assert hit.e_value < 1e-10


def test_nothing_to_compare() -> None:
    assert cluster_sequences(["ACDEF"], identity=0.3).tolist() == [0]
    assert search_sequences([], ["ACDEF"]) == search_sequences(["ACDEF"], []) == []


def test_program_that_cannot_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITDA_MMSEQS", "/nowhere/mmseqs")
    with pytest.raises(DependencyError, match="/nowhere/mmseqs"):
        find_mmseqs()


def test_failure_gives_status_and_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mmseqs"
    program.write_text("#!/bin/sh\necho out of disk >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("ITDA_MMSEQS", str(program))
    with pytest.raises(DataError, match="version failed with status 3: out of disk"):
        mmseqs_version()


def test_program_named_by_a_relative_path_runs_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    program = tmp_path / "mmseqs"
    program.write_text("#!/bin/sh\npwd -P\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ITDA_MMSEQS", "./mmseqs")
    where = run_mmseqs(["version"], folder=tmp_path / "elsewhere")
    assert where.strip() == str((tmp_path / "elsewhere").resolve())


# What `mmseqs search` prints, parameter lists taken out.
PRINTED = (
    "Create directory tmp\nsearch q db res tmp -s 8 \n\n"
    "prefilter q db tmp/1/pref_0 -s 8 \n\nQuery database size: 1 type: Aminoacid\n"
    "Index table: counting k-mers\n[" + "=" * 65 + "] 20.90K 0s 236ms\n"
    "Index table: fill\n[" + "=" * 65 + "] 20.90K 0s 462ms\n"
    "Target db start 1 to 20895\n[" + "=" * 65 + "] 1 0s 1ms\n"
    "align q db tmp/1/pref_0 tmp/1/aln_0 \n\n[" + "=" * 65 + "] 1 0s 1ms\n"
    "rmdb tmp/1/pref_0 \n\nTime for processing: 0h 0m 0s 0ms\n"
)


@pytest.mark.parametrize("size", [1, 7, 100, len(PRINTED)])
def test_progress_is_read_from_bars_in_pieces_of_any_size(size: int) -> None:
    reader = ProgressReader(["prefilter", "align"])
    seen = []
    for start in range(0, len(PRINTED), size):
        reader.feed(PRINTED[start : start + size])
        seen.append(reader.fraction)
    assert seen == sorted(seen)
    assert reader.fraction == 1.0 and reader.module == "align"


def test_progress_within_a_bar_and_within_a_module() -> None:
    reader = ProgressReader(["prefilter", "align"])
    before, _, after = PRINTED.partition("[" + "=" * 65)
    reader.feed(before)
    assert (reader.fraction, reader.module) == (0.0, "prefilter")
    reader.feed("[" + "=" * 13)
    # A prefilter is 20 of 28 parts and has three bars, of which a fifth of one is done.
    assert reader.fraction == pytest.approx(20 / 28 / 3 / 5)
    reader.feed("=" * 52 + after[: after.index("align")])
    assert reader.fraction == pytest.approx(20 / 28)


def test_a_module_that_is_left_out_counts_as_done() -> None:
    reader = ProgressReader(["prefilter", "subtractdbs", "align"])
    reader.feed("prefilter a b\n[" + "=" * 65 + "] 1 0s\nalign a b\n[=")
    assert reader.module == "align"
    assert reader.fraction > 21 / 29


def test_modules_that_repeat_are_told_apart() -> None:
    reader = ProgressReader(["prefilter", "align", "prefilter", "align"])
    bar = "[" + "=" * 65 + "] 1 0s\n"
    reader.feed(f"prefilter a\n{bar * 3}align a\n{bar}")
    assert reader.fraction == pytest.approx(0.5)
    reader.feed(f"prefilter a\n{bar * 3}")
    assert reader.fraction == pytest.approx(0.5 + 20 / 56)


@needs_mmseqs
def test_real_progress_rises_to_the_end(tmp_path: Path, sequences: list[str]) -> None:
    fasta = tmp_path / "in.fasta"
    fasta.write_text("".join(f">{number}\n{text}\n" for number, text in enumerate(sequences)))
    seen: list[float] = []
    run_mmseqs(["createdb", "in.fasta", "db"], folder=tmp_path)
    run_mmseqs(
        ["search", "db", "db", "found", "temporary", "--threads", "1"],
        folder=tmp_path,
        modules=["prefilter", "align"],
        progress=lambda fraction, module: seen.append(fraction),
    )
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert any(0 < fraction < 1 for fraction in seen)


@needs_mmseqs
def test_databases_for_a_gpu_are_told_apart(tmp_path: Path, sequences: list[str]) -> None:
    (tmp_path / "in.fasta").write_text(f">0\n{sequences[0]}\n")
    run_mmseqs(["createdb", "in.fasta", "plain"], folder=tmp_path)
    run_mmseqs(["makepaddedseqdb", "plain", "padded"], folder=tmp_path)
    assert is_padded(tmp_path / "padded")
    assert not is_padded(tmp_path / "plain")
    assert not is_padded(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"... --gpu-server ...", True),
        (b"... --gpu-server ... MMseqs2 was compiled without CUDA support", False),
        (b"an old one", False),
    ],
)
def test_gpu_needs_a_program_built_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, expected: bool
) -> None:
    program = tmp_path / "mmseqs"
    program.write_bytes(content)
    program.chmod(0o755)
    monkeypatch.setenv("ITDA_MMSEQS", str(program))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    device = tmp_path / "nvidia0"
    monkeypatch.setattr("itda.search.mmseqs.GPU_DEVICES", (device,))
    assert not gpu_is_usable()
    device.touch()
    assert gpu_is_usable() is expected
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not gpu_is_usable()
