import hashlib
import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

import huggingface_hub
import pytest

from itda.errors import OutputError, WeightsError
from itda.hub import fetch
from itda.hub import pull as pull_module
from itda.hub.fetch import DownloadError, Transferred, partial_path
from itda.hub.folders import download_folder, source_folder
from itda.hub.installed import state_of
from itda.hub.pull import pull
from itda.hub.source import read_received
from tests.hub.laboratory import CONFIG, MODEL, model_bytes, start_worker
from tests.hub.servers import REPO, REVISION, Server, serving
from tests.patience import PATIENCE_SECONDS


def paths_of(server: Server, name: str) -> str:
    return next(path for path in server.files if path.endswith(name))


def test_brought_verified_and_written_down(published, content) -> None:
    server, weight_set = published
    seen: list[Transferred] = []
    assert state_of(weight_set) == "not here"
    assert pull(weight_set, on_transfer=seen.append) == (MODEL, CONFIG)
    for name, data in content.items():
        assert (source_folder("lab") / name).read_bytes() == data
    assert not download_folder("lab").exists()
    assert seen[-1].file == CONFIG
    totals = {event.total for event in seen if event.file == MODEL}
    assert totals == {len(content[MODEL])}
    received = read_received(weight_set)
    assert received["files"].keys() == content.keys()
    assert state_of(weight_set) == "can be converted"
    requests = len(server.requests)
    assert pull(weight_set) == ()
    assert len(server.requests) == requests


def test_cut_in_the_middle_and_resumed_by_the_next_command(published, content, waits) -> None:
    server, weight_set = published
    size = len(content[MODEL])
    server.cut_after = [70_000, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match="70,000 bytes are here after") as caught:
        pull(weight_set)
    assert "the same command goes on" in caught.value.hint
    assert partial_path(download_folder("lab"), MODEL).stat().st_size == 70_000
    assert not (source_folder("lab") / MODEL).exists()
    assert waits == sorted(waits)
    server.cut_after, server.sent = [], []
    pull(weight_set)
    assert server.sent[0] == size - 70_000
    assert (source_folder("lab") / MODEL).read_bytes() == content[MODEL]


def test_cut_in_the_middle_and_gone_on_with_at_once(published, content, waits) -> None:
    server, weight_set = published
    # Each attempt brings something, so there may be more of them than ATTEMPTS.
    server.cut_after = [20_000] * 7
    notes: list[str] = []
    pull(weight_set, on_transfer=lambda event: notes.append(event.note))
    assert sum(server.sent) == sum(len(data) for data in content.values())
    assert sum("trying again" in note for note in notes) == 7
    assert server.gets()[1] == "bytes=20000-"


def test_half_of_another_version_is_not_gone_on_with(published, content, waits) -> None:
    server, weight_set = published
    server.cut_after = [70_000, 0, 0, 0, 0]
    server.etag = "older"
    with pytest.raises(DownloadError):
        pull(weight_set)
    server.cut_after, server.sent, server.etag = [], [], ""
    pull(weight_set)
    assert server.sent[0] == len(content[MODEL])
    assert (source_folder("lab") / MODEL).read_bytes() == content[MODEL]


def test_server_that_ignores_ranges_sends_all_again(published, content, waits) -> None:
    server, weight_set = published
    server.cut_after, server.ranges = [70_000], False
    notes: list[str] = []
    pull(weight_set, on_transfer=lambda event: notes.append(event.note))
    assert (source_folder("lab") / MODEL).read_bytes() == content[MODEL]
    assert "the server sends the whole again; 70,000 bytes are dropped" in notes


def test_wrong_digest_is_removed_and_both_are_named(published, content) -> None:
    server, weight_set = published
    altered = bytearray(content[MODEL])
    altered[5000] ^= 1
    server.files[paths_of(server, MODEL)] = bytes(altered)
    with pytest.raises(DownloadError, match=weight_set.files[0].sha256) as caught:
        pull(weight_set)
    assert "it was removed" in caught.value.problem
    assert not list(download_folder("lab").iterdir())
    assert not source_folder("lab").exists()


def test_wrong_size_is_refused(published, content) -> None:
    server, weight_set = published
    server.files[paths_of(server, MODEL)] = content[MODEL] + b"more"
    with pytest.raises(DownloadError, match=r"bytes, not|has SHA-256"):
        pull(weight_set)
    assert not source_folder("lab").exists()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, "not there"),
        (401, "not give this file to everybody"),
        (403, "not give this file to everybody"),
        (451, "refused"),
    ],
)
def test_refusals_are_named(published, status: int, said: str) -> None:
    server, weight_set = published
    path = paths_of(server, MODEL)
    server.statuses[path] = [status]
    with pytest.raises(DownloadError) as caught:
        pull(weight_set)
    # The library takes a 401 of the hub for a repository that is kept private.
    assert said in caught.value.problem or "keeps it private" in caught.value.problem
    assert path in caught.value.problem
    assert caught.value.hint


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (404, "RepoNotFound", f"no repository {REPO}"),
        (404, "RevisionNotFound", f"no revision {REVISION}"),
        (404, "EntryNotFound", f"{MODEL} is not there"),
        (403, "GatedRepo", "agree to its terms"),
    ],
)
def test_what_the_hub_says_is_named(
    content, make_set, monkeypatch, status: int, code: str, said: str
) -> None:
    source = {"kind": "huggingface", "repo": REPO, "revision": REVISION}
    path = f"{REPO}/resolve/{REVISION}/{MODEL}"
    server = Server({}, hub=True, statuses={path: [status]}, codes={path: code})
    with serving(server), pytest.raises(DownloadError, match=said):
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        pull(make_set(content, source))


def test_busy_server_is_asked_again(published, content, waits) -> None:
    server, weight_set = published
    path = paths_of(server, MODEL)
    if server.hub:
        # The question before the file is answered, the file is not, and then it is.
        server.statuses[path] = [0, 503, 0]
    else:
        server.statuses[path] = [503, 503, 0]
    pull(weight_set)
    assert waits == ([2.0] if server.hub else [2.0, 4.0])
    assert (source_folder("lab") / MODEL).read_bytes() == content[MODEL]


def test_nobody_there(make_set, content, waits) -> None:
    with serving(Server({})) as server:
        url = server.url
    weight_set = make_set(content, {"kind": "http", "url": url})
    with pytest.raises(DownloadError, match="connection refused") as caught:
        pull(weight_set)
    assert "--mirror" in caught.value.hint
    source = {"kind": "huggingface", "repo": REPO, "revision": REVISION}
    with pytest.raises(DownloadError, match="cannot be reached"):
        pull(make_set(content, source, name="hub"), mirror=url)


def test_silent_server_times_out(make_set, content, waits, monkeypatch) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = {"kind": "http", "url": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        with pytest.raises(DownloadError, match="did not answer in time"):
            pull(make_set(content, source))


def test_mirror_gets_no_token_and_the_hub_does(content, make_set, monkeypatch) -> None:
    files = {f"{REPO}/resolve/{REVISION}/{name}": data for name, data in content.items()}
    source = {"kind": "huggingface", "repo": REPO, "revision": REVISION}
    with serving(Server(files, hub=True)) as hub, serving(Server(files, hub=True)) as mirror:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        pull(make_set(content, source, name="by-option"), mirror=mirror.url)
        monkeypatch.setenv("ITDA_MIRROR", mirror.url + "/")
        pull(make_set(content, source, name="by-variable"))
        assert not hub.requests
        assert {secret for *_, secret in mirror.requests} == {""}
        monkeypatch.delenv("ITDA_MIRROR")
        pull(make_set(content, source, name="from-hub"))
        assert {secret for *_, secret in hub.requests} == {"Bearer secret-token"}


def test_mirror_of_a_plain_server(content, make_set) -> None:
    with serving(Server({f"lab/{name}": data for name, data in content.items()})) as mirror:
        weight_set = make_set(content, {"kind": "http", "url": "http://nowhere.invalid/x"})
        pull(weight_set, mirror=mirror.url)
        assert (source_folder("lab") / MODEL).read_bytes() == content[MODEL]
        with pytest.raises(WeightsError, match="no http address"):
            pull(make_set(content, {"kind": "http", "url": mirror.url}, name="b"), mirror="host")


def test_redirected_to_another_host_without_the_token(content, make_set, monkeypatch) -> None:
    files = {f"{REPO}/resolve/{REVISION}/{name}": data for name, data in content.items()}
    source = {"kind": "huggingface", "repo": REPO, "revision": REVISION}
    with serving(Server(files)) as store:
        # The same machine under another name is another host.
        elsewhere = store.url.replace("127.0.0.1", "localhost")
        with serving(Server(files, hub=True, redirect_to=elsewhere)) as hub:
            monkeypatch.setenv("HF_ENDPOINT", hub.url)
            pull(make_set(content, source, published=False))
            assert {secret for *_, secret in hub.requests} == {"Bearer secret-token"}
            assert {secret for *_, secret in store.requests} == {""}
    assert (source_folder("lab") / MODEL).read_bytes() == content[MODEL]


def test_other_revision_and_other_document_are_refused(content, make_set) -> None:
    files = {f"{REPO}/resolve/{REVISION}/{name}": data for name, data in content.items()}
    source = {"kind": "huggingface", "repo": REPO, "revision": REVISION}
    other = "f" * 40
    with (
        serving(Server(files, hub=True, revision=other)) as hub,
        pytest.raises(DownloadError, match=f"gives revision {other}, not {REVISION}"),
    ):
        pull(make_set(content, source), mirror=hub.url)
    # The hub's mark of a small file is the name of its git blob.
    small = {CONFIG: content[CONFIG]}
    blob, wrong = _git_blob(content[CONFIG]), "0" * 40
    with (
        serving(Server(files, hub=True, etag=wrong)) as hub,
        pytest.raises(DownloadError, match=f"has digest {blob}, not {wrong}; it was removed"),
    ):
        pull(make_set(small, source), mirror=hub.url)
    with serving(Server(files, hub=True, etag=blob)) as hub:
        assert pull(make_set(small, source), mirror=hub.url) == (CONFIG,)


def _git_blob(data: bytes) -> str:
    done = subprocess.run(
        ["git", "hash-object", "--stdin"], input=data, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


@pytest.mark.parametrize("how", ["option", "ITDA_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_fails_at_once_and_says_what_to_bring(published, monkeypatch, how: str) -> None:
    server, weight_set = published
    if how != "option":
        monkeypatch.setenv(how, "1")
    with pytest.raises(DownloadError) as caught:
        pull(weight_set, offline=how == "option")
    assert not server.requests
    assert f"{server.url}/{paths_of(server, MODEL)}" in caught.value.problem
    assert "itda weights import lab" in caught.value.hint
    assert str(source_folder("lab")) in caught.value.hint


def test_no_room_is_said_before_anything_is_brought(make_set, content) -> None:
    with serving(Server({})) as server:
        weight_set = make_set(content, {"kind": "http", "url": server.url})
        vast = shutil.disk_usage("/").total * 2
        big = weight_set.files[0].model_copy(update={"bytes": vast})
        weight_set = weight_set.model_copy(update={"files": (big, weight_set.files[1])})
        with pytest.raises(OutputError, match=r"needs .* GB in .* are free"):
            pull(weight_set)
        assert not server.gets()


def test_disk_that_fills_up_is_named_and_the_next_pull_goes_on(published, content) -> None:
    server, weight_set = published
    with start_worker("little-room+pull", weight_set) as process:
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert "OutputError" in errors
    assert "has no room left" in errors
    assert "ITDA_WEIGHTS" in errors
    assert not source_folder("lab").exists()
    server.sent.clear()
    pull(weight_set)
    assert server.sent[0] < len(content[MODEL])
    assert (source_folder("lab") / MODEL).read_bytes() == content[MODEL]


def test_folder_that_may_not_be_written(published, tmp_path: Path, monkeypatch) -> None:
    _, weight_set = published
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ITDA_WEIGHTS", str(tmp_path / "file" / "weights"))
    with pytest.raises(OutputError, match="cannot be written"):
        pull(weight_set)


def test_two_processes_at_once_give_one_good_file(published, content) -> None:
    server, weight_set = published
    processes = [start_worker("pull+ensure", weight_set) for _ in range(2)]
    found = set()
    for process in processes:
        said, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, errors
        found.add(said.strip())
    assert len(found) == 1
    assert Path(found.pop()).is_file()
    # The second waited and found everything there.
    assert sum(server.sent) == sum(len(data) for data in content.values())


def test_what_came_while_this_one_waited_is_not_brought_again(published, monkeypatch) -> None:
    server, weight_set = published
    lock, waited = pull_module.set_lock, []

    def late(*arguments):
        if not waited:
            waited.append(True)
            pull(weight_set)
            server.requests.clear()
        return lock(*arguments)

    monkeypatch.setattr(pull_module, "set_lock", late)
    assert pull(weight_set) == ()
    assert waited and not server.requests


def test_stopped_by_its_user_and_gone_on_with(published, content) -> None:
    server, weight_set = published

    def stop(event: Transferred) -> None:
        if event.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(weight_set, on_transfer=stop)
    have = partial_path(download_folder("lab"), MODEL).stat().st_size
    assert have > 0
    # The server notes what it sent when it has sent it, which may be after its client has gone.
    end = time.monotonic() + PATIENCE_SECONDS
    while not server.sent:
        assert time.monotonic() < end
        time.sleep(0.01)
    server.sent.clear()
    pull(weight_set)
    assert sum(server.sent) == sum(len(data) for data in content.values()) - have
    assert json.loads((source_folder("lab") / CONFIG).read_text()) == {"width": 5}


def test_size_is_asked_where_it_is_not_published(content, make_set) -> None:
    with serving(Server(dict(content))) as server:
        weight_set = make_set(content, {"kind": "http", "url": server.url}, published=False)
        pull(weight_set)
        assert [method for method, *_ in server.requests] == ["HEAD", "HEAD", "GET", "GET"]
        assert (source_folder("lab") / MODEL).read_bytes() == model_bytes(50_000)


@pytest.mark.parametrize("kind", ["http", "huggingface"])
def test_proxy_of_the_environment(content, make_set, monkeypatch, kind: str) -> None:
    # What a proxy is asked for is the whole address.
    start = "http://host.invalid/"
    source = {"kind": "http", "url": "http://host.invalid"}
    if kind == "huggingface":
        start += f"{REPO}/resolve/{REVISION}/"
        source = {"kind": "huggingface", "repo": REPO, "revision": REVISION}
        monkeypatch.setenv("HF_ENDPOINT", "http://host.invalid")
    files = {start + name: data for name, data in content.items()}
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    # The hub's library reads the environment when it makes its first connection.
    huggingface_hub.close_session()
    with serving(Server(files, hub=True)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        pull(make_set(content, source))
    huggingface_hub.close_session()
    assert (source_folder("lab") / MODEL).read_bytes() == content[MODEL]
    assert {path for _, path, *_ in proxy.requests} == set(files)


def test_server_that_answers_no_questions_about_files(content, make_set) -> None:
    server = Server(dict(content), statuses={name: [405, 0] for name in content})
    with serving(server):
        weight_set = make_set(content, {"kind": "http", "url": server.url}, published=False)
        pull(weight_set)
    assert (source_folder("lab") / MODEL).read_bytes() == content[MODEL]


def test_a_part_that_is_no_part_begins_anew(published, content, waits) -> None:
    _, weight_set = published
    partial = partial_path(download_folder("lab"), MODEL)
    partial.parent.mkdir(parents=True)
    # As long as the file or longer: there is nothing to ask for.
    partial.write_bytes(content[MODEL] + b"more")
    digest = hashlib.sha256(content[MODEL]).hexdigest()
    partial.with_name(f"{partial.name}.json").write_text(json.dumps({"mark": f'"{digest}"'}))
    pull(weight_set)
    assert (source_folder("lab") / MODEL).read_bytes() == content[MODEL]
