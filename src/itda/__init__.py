"""Itda: structure prediction on the computer that a laboratory already has.

>>> import itda
>>> result = itda.fold("MKTAYIAKQRQISFVKSHFSRQ", name="peptide")  # doctest: +SKIP
>>> result.save("peptide_itda")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from itda.api import fold
    from itda.remote.client import Client
    from itda.structure.compare_files import compare

    __version__: str

__all__ = ["Client", "__version__", "compare", "fold"]


def __getattr__(name: str) -> object:
    """Import what is asked for only then, so that `import itda` costs nothing."""
    if name == "__version__":
        from itda.version import itda_version

        return itda_version()
    if name == "fold":
        from itda.api import fold

        return fold
    if name == "compare":
        from itda.structure.compare_files import compare

        return compare
    if name == "Client":
        from itda.remote.client import Client

        return Client
    raise AttributeError(f"module 'itda' has no attribute {name!r}")
