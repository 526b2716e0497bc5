import pytest

from itda.errors import InputError
from itda.job.given_templates import parse_given_template

FILES = {
    "1ubq.cif", "a:b.pdb", "A=x.cif", "y=z.cif", "C:\\data\\x.pdb", "dir/h:l/x.bcif.gz", "x:A",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "ids", "path", "chain"),
    [
        ("1ubq.cif", (), "1ubq.cif", None),
        ("1ubq.cif:A", (), "1ubq.cif", "A"),
        ("1ubq.cif:AAA", (), "1ubq.cif", "AAA"),
        ("H=1ubq.cif", ("H",), "1ubq.cif", None),
        ("H=1ubq.cif:heavy", ("H",), "1ubq.cif", "heavy"),
        ("H,L=1ubq.cif:B", ("H", "L"), "1ubq.cif", "B"),
        # Names that hold the marks themselves.
        ("a:b.pdb", (), "a:b.pdb", None),
        ("a:b.pdb:A", (), "a:b.pdb", "A"),
        ("H=a:b.pdb:A", ("H",), "a:b.pdb", "A"),
        ("A=x.cif", (), "A=x.cif", None),
        ("A=x.cif:B", (), "A=x.cif", "B"),
        ("H=A=x.cif:B", ("H",), "A=x.cif", "B"),
        ("y=z.cif:1", (), "y=z.cif", "1"),
        ("x:A", (), "x:A", None),
        ("x:A:A", (), "x:A", "A"),
        ("C:\\data\\x.pdb", (), "C:\\data\\x.pdb", None),
        ("C:\\data\\x.pdb:A", (), "C:\\data\\x.pdb", "A"),
        ("L=C:\\data\\x.pdb:A", ("L",), "C:\\data\\x.pdb", "A"),
        ("dir/h:l/x.bcif.gz:B", (), "dir/h:l/x.bcif.gz", "B"),
    ],
)
def test_what_is_written_is_taken_apart(text, ids, path, chain) -> None:
    found = parse_given_template(text, FILES.__contains__)
    assert (found.ids, str(found.path), found.chain) == (ids, path, chain)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2ubq.cif:A", "there is no file '2ubq.cif'"),
        ("H=2ubq.cif:A", "there is no file '2ubq.cif'"),
        ("", "there is no file ''"),
        (":A", "there is no file ''"),
        ("known-folds", "there is no file 'known-folds'"),
        ("1ubq.cif:", "chain id ''"),
        ("=1ubq.cif", "there is no file"),
        ("H,,L=1ubq.cif", "chain id ''"),
        ("1ubq.cif:A B", "chain id 'A B'"),
        ("C:\\other\\x.pdb", "there is no file"),
        ("x\0.cif", "there is no file"),
    ],
)
def test_what_names_no_file_or_chain_is_refused(text, problem) -> None:
    with pytest.raises(InputError) as caught:
        parse_given_template(text, FILES.__contains__)
    assert problem in caught.value.problem and caught.value.hint


def test_files_are_looked_for_where_the_user_is(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b:c.pdb").write_text("")
    assert str(parse_given_template("a=b:c.pdb:D").path) == "a=b:c.pdb"
    with pytest.raises(InputError):  # a folder is none
        parse_given_template(str(tmp_path))
