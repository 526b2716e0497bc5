import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from biotite.structure import info

from itda.chem.component_file import components_folder, fetched_components
from itda.chem.residues import RESTYPE_1_TO_3
from itda.errors import DataError, InputError, OutputError
from itda.hub.fetch import Transferred
from itda.published.components import blocks_of, fetch_folder, get_components, read_components
from itda.published.entries import get_entry
from itda.published.plan import plan_fetch
from tests.hub.servers import Server
from tests.published.conftest import Run
from tests.published.dictionaries import component_texts, texts

FILE = "ccd/components.cif.gz"
CODES = [*RESTYPE_1_TO_3.values(), "MSE", "ZN", "ATP", "001", "HOH"]
ASK = """
import json
from itda.chem.component_file import components_in_use
from itda.chem.dictionary import dictionary_atoms, dictionary_entry, heavy_atoms
found = dictionary_entry("XYZQ9")
own = components_in_use()
print(json.dumps([
    found and [found.name, found.link_type, found.parent],
    dictionary_entry("MSE").parent, heavy_atoms("ZN"), len(heavy_atoms("ATP")),
    dictionary_atoms("001")[:2], dictionary_entry("SEP") is not None, own and own.date,
]))
"""
NEW = """data_XYZQ9
_chem_comp.id XYZQ9
_chem_comp.name
;a component of
data_to_come
;
_chem_comp.type 'L-peptide linking'
_chem_comp.one_letter_code K
_chem_comp.pdbx_modified_date 2026-11-28
_chem_comp.pdbx_replaced_by ?
_chem_comp.brand_new_column yes
loop_
_chem_comp_atom.comp_id
_chem_comp_atom.atom_id
_chem_comp_atom.type_symbol
_chem_comp_atom.model_Cartn_x
XYZQ9 "C1'" C 1.5
XYZQ9 H1 H ?
"""


@pytest.fixture(scope="module")
def published() -> str:
    return "".join(component_texts(CODES)) + NEW


def said_by_a_process() -> list[object]:
    done = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, check=True, cwd="/"
    )
    answer: list[object] = json.loads(done.stdout)
    return answer


def test_the_fetched_dictionary_is_read_first(db: Run, server: Server, published: str) -> None:
    atp = [None, "M", ["ZN"], 31]
    assert said_by_a_process()[:4] == atp
    assert "components: of biotite" in db("list")[1]
    server.files[FILE] = gzip.compress(published.encode())
    status, out, err = db("get", "ccd")
    assert status == 0, err
    assert f"source: {server.url}/{FILE}" in out
    assert "its publisher gives no digest" in out
    assert f"ccd: {len(CODES) + 1} components" in out
    new = ["a component of\ndata_to_come", "L-PEPTIDE LINKING", "K"]
    first = list(map(str, info.residue("001").atom_name[:2]))
    # SEP is in biotite's and not in this one.
    assert said_by_a_process() == [new, "M", ["ZN"], 31, first, False, "2026-11-28"]
    assert f"components: {len(CODES) + 1}, of 2026-11-28, fetched" in db("list")[1]
    assert "  yes  " in db("get", "--list", "ccd")[1].splitlines()[1]
    assert not fetch_folder().exists()
    assert db("remove", "ccd")[0] == 0
    assert fetched_components() is None
    assert said_by_a_process()[5:] == [True, None]
    status, _, err = db("remove", "ccd")
    assert (status, "there is no database ccd" in err) == (1, True)


def test_what_is_written_is_what_biotite_writes(db: Run, server: Server) -> None:
    from biotite.structure.io.pdbx import BinaryCIFFile

    codes = [*RESTYPE_1_TO_3.values(), "ATP", "HEM"]
    server.files[FILE] = gzip.compress("".join(component_texts(codes)).encode())
    assert db("get", "ccd")[0] == 0
    found = fetched_components()
    assert found is not None
    block = BinaryCIFFile.read(found.path).block
    for category, own in block.items():
        key = own["id" if category == "chem_comp" else "comp_id"].as_array(str)
        for code in codes:
            theirs = info.get_from_ccd(category, code)
            for name in theirs:
                # Each with its marks of what is unknown.
                mine = np.array(texts(own[name]))[key == code].tolist()
                assert mine == texts(theirs[name]), (code, name)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>not found</html>", "is no component dictionary"),
        (b"data_x\n_chem_comp.id x\n", "it has no ALA"),
        (b"", "is no component dictionary"),
    ],
)
def test_what_is_no_dictionary_is_refused_and_fetched_anew(
    db: Run, server: Server, published: str, content: bytes, said: str
) -> None:
    server.files[FILE] = gzip.compress(content)
    status, _, err = db("get", "ccd")
    assert (status, said in err) == (1, True), err
    assert fetched_components() is None
    server.files[FILE] = gzip.compress(published.encode())
    assert db("get", "ccd")[0] == 0


def test_a_cut_dictionary_leaves_the_one_before(db: Run, server: Server, published: str) -> None:
    server.files[FILE] = gzip.compress(published.encode())
    assert db("get", "ccd")[0] == 0
    before = fetched_components()
    server.files[FILE] = server.files[FILE][:-30]
    status, _, err = db("get", "ccd")
    assert (status, "ends in the middle of its compressed data" in err) == (1, True)
    assert fetched_components() == before


def test_half_a_dictionary_is_none(db: Run, server: Server, published: str) -> None:
    server.files[FILE] = gzip.compress(published.encode())
    assert db("get", "ccd")[0] == 0
    found = fetched_components()
    assert found is not None
    found.path.write_bytes(found.path.read_bytes()[:-1])
    assert fetched_components() is None
    (components_folder() / "components.json").write_text("[]")
    assert fetched_components() is None


def test_two_fetches_at_once(home: Path, server: Server, published: str) -> None:
    server.files[FILE] = gzip.compress(published.encode())
    planned = plan_fetch(get_entry("ccd"), fetch_folder())
    refused = []

    def meanwhile(event: Transferred) -> None:
        if not refused:
            with pytest.raises(OutputError, match="is being fetched by process") as caught:
                get_components(planned, on_transfer=lambda one: None, progress=lambda *_: None)
            refused.append(caught)

    get_components(planned, on_transfer=meanwhile, progress=lambda *_: None)
    assert refused
    assert fetched_components() is not None


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_blocks_are_cut_outside_of_text(published: str, size: int) -> None:
    content = ("# a comment\n" + published).encode()
    pieces = (content[start : start + size] for start in range(0, len(content), size))
    blocks = list(blocks_of(pieces))
    assert len(blocks) == len(CODES) + 1
    assert "data_to_come" in blocks[-1]
    assert "".join(blocks).encode() in content


def test_a_date_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "components.cif"
    path.write_text("".join(f"data_{c}\n_chem_comp.id {c}\n" for c in RESTYPE_1_TO_3.values()))
    with pytest.raises(DataError, match="have no pdbx_modified_date"):
        read_components(path, lambda fraction, step: None)
    path.write_bytes(gzip.compress(path.read_bytes())[:-4])
    with pytest.raises(InputError, match="ends in the middle"):
        read_components(path, lambda fraction, step: None)


def test_a_damaged_dictionary_says_what_mends_it(db: Run, server: Server, published: str) -> None:
    server.files[FILE] = gzip.compress(published.encode())
    assert db("get", "ccd")[0] == 0
    found = fetched_components()
    assert found is not None
    size = found.path.stat().st_size
    for content in (b"\xc1" * size, b"\x80" + bytes(size - 1), found.path.read_bytes()[::-1]):
        found.path.write_bytes(content)
        done = subprocess.run(
            [sys.executable, "-c", ASK], capture_output=True, text=True, check=False, cwd="/"
        )
        assert "is damaged" in done.stderr.splitlines()[-2], done.stderr
        assert "itda db remove ccd" in done.stderr
