import gzip
import hashlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from itda.cli import main
from itda.hub import fetch
from itda.search.databases.registry import Databases
from tests.hub.servers import Server, serving

Run = Callable[..., tuple[int, str, str]]

_RANDOM = random.Random(3)
FASTA = "".join(
    f">sp|P{number:05}|X OX=9606\n{''.join(_RANDOM.choices('ACDEFGHIKLMNPQRSTVWY', k=80))}\n"
    for number in range(400)
)
PACKED = gzip.compress(FASTA.encode(), mtime=0)
SWISSPROT = "swissprot/uniprot_sprot.fasta.gz"
METALINK = "swissprot/RELEASE.metalink"


def metalink(content: bytes = PACKED, *, md5: str = "", size: int | None = None) -> bytes:
    """Speak of Swiss-Prot as UniProt does, beside another file."""
    md5 = md5 or hashlib.md5(content, usedforsecurity=False).hexdigest()
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/">
  <identity>UniProt</identity>
  <version>2026_05</version>
  <files>
    <file name="uniprot_sprot.dat.gz"><size>7</size>
      <verification><hash type="md5">{"0" * 32}</hash></verification></file>
    <file name="uniprot_sprot.fasta.gz">
      <size>{len(content) if size is None else size}</size>
      <verification><hash type="md5">{md5}</hash></verification>
      <resources><url type="ftp">ftp://ftp.example.org/x</url></resources>
    </file>
  </files>
</metalink>
""".encode()


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits between attempts, which take no time."""
    seconds: list[float] = []
    monkeypatch.setitem(fetch.download.__kwdefaults__, "wait", seconds.append)
    return seconds


@pytest.fixture
def server() -> Iterator[Server]:
    """A mirror with Swiss-Prot."""
    with serving(Server({SWISSPROT: PACKED, METALINK: metalink()})) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> Path:
    """An empty home of Itda, whose fetches go to the mirror."""
    monkeypatch.setenv("ITDA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ITDA_DATABASES", raising=False)
    monkeypatch.setenv("ITDA_MIRROR", server.url)
    for name in ("ITDA_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def databases(home: Path) -> Databases:
    return Databases()


@pytest.fixture
def db(
    home: Path,
    waited: list[float],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run `itda db`; gives status, standard output and standard error."""
    monkeypatch.setitem(main.COMMANDS, "db", "itda.cli.db:app")

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main.run(["db", *map(str, arguments)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run
