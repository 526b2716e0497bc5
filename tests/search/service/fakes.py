"""A source that finds two made-up relatives of anything, and a running service over it."""

import contextlib
import threading

from itda.errors import InputError
from itda.search.alignments.alignment import Alignment
from itda.search.service.http import SearchServer
from itda.search.service.service import SearchService


class FakeSource:
    def __init__(self, version=1):
        self.version = version
        self.searched = []
        self.error = None
        self.gate = None
        self.broken = None
        self.names = ("UniRef100_A0A249P6L0_9606/\t12", "sp|P04637|P53_MOUSE OX=10090")

    @property
    def title(self):
        return "fake in tiny (2 sequences)"

    def key(self):
        if self.broken:
            raise self.broken
        return {"source": "fake", "version": self.version}

    def search(self, query, *, work, progress):
        self.searched.append(query)
        (work / "step").write_text("half")
        while self.gate is not None and not self.gate.wait(0.01):
            progress(0.5, "searching")
        progress(0.9, "searching")
        if self.error:
            raise self.error
        rows = [query[:-1] + "aa-", "-" + query[1:]]
        return Alignment.from_aligned(query, self.names, rows, source="tiny")


class FakeManySource(FakeSource):
    """Takes up to three queries at once; those in `failing` fail, each for itself."""

    most_at_once = 3

    def __init__(self, version=1):
        super().__init__(version)
        self.calls = []
        self.failing = set()

    def search_many(self, queries, *, works, progress):
        self.calls.append(list(queries))
        for number, (query, work) in enumerate(zip(queries, works, strict=True)):
            if query in self.failing:
                yield number, InputError(f"cannot search {query}")
            else:
                yield number, self.search(query, work=work, progress=progress)


@contextlib.contextmanager
def serving(source, data, *, log=None, **options):
    """Give a service and the address it is served at."""
    server_options = {
        name: options.pop(name) for name in ("token", "behind_proxy") if name in options
    }
    service = SearchService(source, data, log=log or (lambda line: None), **options)
    server = SearchServer(service, "127.0.0.1", 0, **server_options)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    service.start()
    try:
        yield service, server.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        service.stop()
