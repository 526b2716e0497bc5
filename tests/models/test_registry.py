from __future__ import annotations

import subprocess
import sys

import pytest

from itda.errors import CapabilityError
from itda.models.family import Capabilities, Family
from itda.models.registry import FAMILIES, get_family


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_registered_family_keeps_the_protocol(name: str) -> None:
    family = get_family(name)
    assert isinstance(family, Family)
    assert family.name == name
    assert isinstance(family.capabilities, Capabilities)
    assert family.licence
    assert family.citation
    assert family.title


@pytest.mark.parametrize(
    ("name", "hint"), [("mni", "did you mean mini?"), ("alphafold9", "known: mini"), ("", "known")]
)
def test_an_unknown_family_is_refused_with_the_known_ones(name: str, hint: str) -> None:
    with pytest.raises(CapabilityError, match=f"no model family '{name}'") as caught:
        get_family(name)
    assert hint in caught.value.hint


def test_naming_the_families_imports_none_of_them() -> None:
    code = (
        "import sys\nfrom itda.models.registry import FAMILIES, get_family\n"
        "print([n for n in ('torch', 'itda.models.mini', 'biotite') if n in sys.modules])\n"
        "get_family('mini')\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "False"]
