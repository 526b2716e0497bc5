import json
from dataclasses import replace

import numpy as np
import pytest

from itda.search.templates.codec import (
    DESCRIPTION,
    decode_templates,
    encode_templates,
    templates_digest,
)
from itda.search.templates.template import Template
from itda.structure.chains.chain import Chain


@pytest.fixture
def templates(family: list[Chain]) -> tuple[Template, ...]:
    return tuple(
        Template(
            name=chain.id,
            sequence=chain.sequence,
            coordinates=chain.coordinates,
            atom_mask=chain.atom_mask,
            query_index=np.arange(3, 40, dtype=np.int32),
            template_index=np.arange(5, 42, dtype=np.int32),
            identity=1 / 3,
            release_date=chain.release_date,
            e_value=e_value,
            source="made",
        )
        for chain, e_value in zip(family[2:4], (1e-300, float("nan")), strict=True)
    )


def test_all_comes_back(templates: tuple[Template, ...]) -> None:
    back = decode_templates(encode_templates(templates))
    assert len(back) == 2
    for one, other in zip(templates, back, strict=True):
        for name in ("coordinates", "atom_mask", "query_index", "template_index"):
            first, second = getattr(one, name), getattr(other, name)
            assert first.dtype == second.dtype
            np.testing.assert_array_equal(first, second)
        for name in ("name", "sequence", "identity", "release_date", "source"):
            assert getattr(one, name) == getattr(other, name)
    assert back[0].e_value == 1e-300
    assert np.isnan(back[1].e_value)
    assert templates_digest(back) == templates_digest(templates)


def test_no_template() -> None:
    assert decode_templates(encode_templates(())) == ()


def test_equal_templates_give_equal_bytes(templates: tuple[Template, ...]) -> None:
    assert encode_templates(templates) == encode_templates(templates)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"identity": 0.4},
        {"e_value": 1.0},
        {"source": "elsewhere"},
        {"query_index": np.arange(4, 41, dtype=np.int32)},
        {"template_index": np.arange(6, 43, dtype=np.int32)},
    ],
)
def test_digest_sees_every_field(
    templates: tuple[Template, ...], change: dict[str, object]
) -> None:
    changed = replace(templates[0], **change)  # type: ignore[arg-type]
    assert templates_digest([changed]) != templates_digest(templates[:1])


def test_digest_sees_atoms_and_order(templates: tuple[Template, ...]) -> None:
    moved = templates[0].coordinates.copy()
    moved[7, 1, 2] += 1e-3
    assert templates_digest([replace(templates[0], coordinates=moved)]) != templates_digest(
        templates[:1]
    )
    assert templates_digest(templates) != templates_digest(templates[::-1])


def test_files_that_do_not_fit(templates: tuple[Template, ...]) -> None:
    files = encode_templates(templates)
    with pytest.raises(KeyError):
        decode_templates({DESCRIPTION: files[DESCRIPTION]})
    with pytest.raises(ValueError, match="atoms do not fit"):
        decode_templates({**files, "template_1.npz": files["template_0.npz"]})
    described = json.loads(files[DESCRIPTION])
    with pytest.raises(ValueError, match="format 99"):
        decode_templates({**files, DESCRIPTION: json.dumps({**described, "format": 99}).encode()})
    short = {**described["templates"][0], "sequence": described["templates"][0]["sequence"][:-1]}
    described["templates"][0] = short
    with pytest.raises(ValueError, match="119 residues"):
        decode_templates({**files, DESCRIPTION: json.dumps(described).encode()})
