"""Which databases of this user a search goes through."""

from __future__ import annotations

from collections.abc import Sequence

from itda.errors import DataError
from itda.language import Message
from itda.search.databases.database import Database
from itda.search.databases.registry import Databases


def sequence_databases(names: Sequence[str], *, program: str) -> list[Database]:
    """Give the databases that a user names with --db, or the only one of sequences.

    Args:
        names: As written; a name twice counts once.
        program: What searches them, as the user wrote it after --msa.

    Raises:
        DataError: A database is missing or damaged, or none is named and there are several or none.
    """
    databases = Databases()
    if names:
        return [databases.get(name) for name in dict.fromkeys(names)]
    found = [database for database in databases.list() if database.kind == "sequences"]
    if not found:
        raise DataError(
            Message(
                "{--msa:{program}}: there is no sequence database in {folder}",
                program=program,
                folder=databases.folder,
            ),
            hint=[
                Message("fetch one with `itda db get`, or make one with `itda db add NAME FASTA`"),
                Message("or search a server: {--msa:server:URL}"),
            ],
        )
    if len(found) > 1:
        listed = ", ".join(database.name for database in found)
        raise DataError(
            Message(
                "{--msa:{program}}: there are several sequence databases: {listed}",
                program=program,
                listed=listed,
            ),
            hint=Message(
                "say which with {--db:{found}}; {--db:may} be given more than once",
                found=found[0].name,
            ),
        )
    return found
