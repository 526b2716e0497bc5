from itda.search.sources.none import NoSource
from tests.search.sources.family import silent


def test_the_query_alone_and_nothing_on_the_disk(work):
    alignment = NoSource().search("MKTAY", work=work, progress=silent)
    assert alignment.texts == ("MKTAY",)
    assert not work.exists()
    assert NoSource().key() == {"source": "none"}
