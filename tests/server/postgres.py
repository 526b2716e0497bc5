"""A PostgreSQL server of the tests' own, on a socket in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

PROGRAMS = ("/usr/lib/postgresql", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql/bin")


def find_programs() -> Path | None:
    """Return the folder of `initdb`, or None where PostgreSQL is not installed."""
    for root in map(Path, PROGRAMS):
        for program in sorted(root.glob("**/bin/initdb"), reverse=True):
            return program.parent
    found = shutil.which("initdb")
    return Path(found).parent if found else None


class Postgres:
    """Started when made; `stop` ends it and removes its folder."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="itda-pg-"))
        self._count = 0
        self._as_user = []
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(self._folder, user.pw_uid, user.pw_gid)
            self._as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}"]
            self._as_user += ["--clear-groups", "--"]
        data = self._folder / "data"
        self._run("initdb", "-D", data, "-U", "itda", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = (
            f"-k {self._folder} -c listen_addresses='' -c fsync=off -c max_connections=200 "
            "-c synchronous_commit=off -c full_page_writes=off"
        )
        log = self._folder / "log"
        self._run("pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start")

    def new_database(self) -> str:
        """Return the URL of an empty database."""
        self._count += 1
        name = f"itda_{os.getpid()}_{self._count}"
        self._run("createdb", "-h", self._folder, "-U", "itda", name)
        return f"postgresql+psycopg://itda@/{name}?host={self._folder}"

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._folder / "data", "-m", "immediate", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: object) -> None:
        command = [*self._as_user, str(self._programs / program), *map(str, arguments)]
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/"
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")
