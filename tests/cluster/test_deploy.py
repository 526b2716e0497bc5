"""Files of `deploy/`: their syntax, what they must hold, and options that the command has."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from itda.cli.main import load_command

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = sorted(DEPLOY.glob("kubernetes/*.yaml"))
SLURM = sorted(DEPLOY.glob("slurm/*.sbatch"))
SYSTEMD = sorted(DEPLOY.glob("systemd/*.service"))

VERSIONS = {
    "PersistentVolumeClaim": "v1",
    "Service": "v1",
    "Deployment": "apps/v1",
    "RayCluster": "ray.io/v1",
    "RayJob": "ray.io/v1",
    "ResourceFlavor": "kueue.x-k8s.io/v1beta2",
    "ClusterQueue": "kueue.x-k8s.io/v1beta2",
    "LocalQueue": "kueue.x-k8s.io/v1beta2",
}
SBATCH_OPTIONS = {
    "job-name", "array", "nodes", "ntasks", "ntasks-per-node", "cpus-per-task", "mem",
    "gpus-per-task", "gpus-per-node", "time", "signal", "requeue", "open-mode", "output",
}  # fmt: skip
SYSTEMD_SECTIONS = ["[Unit]", "[Service]", "[Install]"]


def objects() -> list[dict[str, Any]]:
    return [one for path in KUBERNETES for one in yaml.safe_load_all(path.read_text())]


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [one for one in objects() if one["kind"] == kind]


def pods(value: Any) -> Iterator[dict[str, Any]]:
    """Find the descriptions of pods in an object."""
    if isinstance(value, dict):
        if "containers" in value:
            yield value
        for inner in value.values():
            yield from pods(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from pods(inner)


def check_command(words: list[str]) -> None:
    """Parse a command line of `itda` without running it: an unknown option is an error."""
    command = load_command(words[0])
    with command.make_context(words[0], list(words[1:]), resilient_parsing=False):
        pass


def test_there_are_files():
    assert len(KUBERNETES) == 5
    assert len(SLURM) == len(SYSTEMD) == 2
    assert {one["kind"] for one in objects()} == VERSIONS.keys()


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_objects_have_their_version_a_name_and_the_namespace(path):
    for one in yaml.safe_load_all(path.read_text()):
        assert one["apiVersion"] == VERSIONS[one["kind"]]
        assert one["metadata"].get("name") or one["metadata"].get("generateName")
        cluster_wide = one["kind"] in ("ResourceFlavor", "ClusterQueue")
        assert ("namespace" in one["metadata"]) != cluster_wide
        assert "spec" in one


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_pods_mount_what_they_name_and_say_what_they_need(path):
    for one in yaml.safe_load_all(path.read_text()):
        for pod in pods(one):
            volumes = {volume["name"] for volume in pod.get("volumes", ())}
            for container in pod["containers"]:
                assert container["image"]
                assert container["resources"]["limits"]["memory"]
                assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_selectors_find_their_pods():
    for one in of_kind("Deployment"):
        labels = one["spec"]["template"]["metadata"]["labels"]
        assert one["spec"]["selector"]["matchLabels"].items() <= labels.items()
    (service,) = of_kind("Service")
    servers = [
        one["spec"]["template"]["metadata"]["labels"]
        for one in of_kind("Deployment")
        if service["spec"]["selector"].items()
        <= one["spec"]["template"]["metadata"]["labels"].items()
    ]
    assert len(servers) == 1
    claims = {one["metadata"]["name"] for one in of_kind("PersistentVolumeClaim")}
    for pod in (pod for one in objects() for pod in pods(one)):
        for volume in pod["volumes"]:
            assert volume["persistentVolumeClaim"]["claimName"] in claims


def test_kueue_admits_into_queues_that_are_there():
    (local,), (whole,), (flavor,) = map(of_kind, ("LocalQueue", "ClusterQueue", "ResourceFlavor"))
    assert local["spec"]["clusterQueue"] == whole["metadata"]["name"]
    (group,) = whole["spec"]["resourceGroups"]
    for one in group["flavors"]:
        assert one["name"] == flavor["metadata"]["name"]
        assert [resource["name"] for resource in one["resources"]] == group["coveredResources"]
    queued = [
        one for one in objects() if "kueue.x-k8s.io/queue-name" in one["metadata"].get("labels", {})
    ]
    assert {one["kind"] for one in queued} == {"RayJob", "RayCluster"}
    for one in queued:
        assert one["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == local["metadata"]["name"]
        assert one["metadata"]["namespace"] == local["metadata"]["namespace"]


def test_ray_clusters_ask_for_a_token_and_kueue_gets_its_quota_back():
    clusters = [one["spec"] for one in of_kind("RayCluster")]
    for job in of_kind("RayJob"):
        if "clusterSelector" in job["spec"]:
            name = job["spec"]["clusterSelector"]["ray.io/cluster"]
            assert name in [one["metadata"]["name"] for one in of_kind("RayCluster")]
        else:
            assert job["spec"]["shutdownAfterJobFinishes"] is True
            clusters.append(job["spec"]["rayClusterSpec"])
    assert len(clusters) == 2
    for cluster in clusters:
        assert cluster["authOptions"] == {"mode": "token"}
        assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
        for group in cluster["workerGroupSpecs"]:
            assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_commands_have_the_options_that_they_are_given():
    found = [shlex.split(one["spec"]["entrypoint"])[1:] for one in of_kind("RayJob")]
    for one in of_kind("Deployment"):
        for pod in pods(one):
            found += [container["args"] for container in pod["containers"]]
    for path in SYSTEMD:
        line = re.search(r"^ExecStart=\S+/itda (.*)$", path.read_text(), re.MULTILINE)
        found.append(shlex.split(line[1]))
    for path in SLURM:
        (line,) = re.findall(
            r"(?<![#/])\bitda (worker --.*?)(?: &)?$", path.read_text(), re.MULTILINE
        )
        found.append(shlex.split(line.replace('"$OMP_NUM_THREADS"', "8")))
    assert len(found) == 8
    for words in found:
        check_command(words)
    # Of click's own class or of typer's, by its version.
    with pytest.raises(Exception, match=r"[Nn]o such option"):
        check_command(["worker", "--no-such-option"])


@pytest.mark.parametrize("path", SLURM, ids=lambda path: path.name)
def test_scripts_are_bash_and_their_directives_are_slurms(path):
    subprocess.run(["bash", "-n", path], check=True)
    lines = path.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    directives = [line for line in lines if line.startswith("#SBATCH")]
    # Slurm reads none after the first command.
    assert all(line in lines[:first] for line in directives)
    options = {}
    for line in directives:
        match = re.fullmatch(r"#SBATCH --([a-z-]+)(?:=(\S+))?", line)
        assert match, line
        options[match[1]] = match[2]
    assert options.keys() <= SBATCH_OPTIONS
    assert re.fullmatch(r"\d+:\d\d:\d\d", options["time"])
    to_the_script, seconds = re.fullmatch(r"(B:)?TERM@(\d+)", options["signal"]).groups()
    assert "requeue" in options
    # The worker is given less time than there is between the signal and the end; KillWait is 30 s
    # where Slurm has no other, and a process that does not stop is given 15 s before it is killed.
    grace = int(re.search(r"--grace (\d+)", path.read_text())[1])
    assert grace + 15 < (int(seconds) if to_the_script else 30)


def put(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/usr/bin/env bash\n{script}\n")
    path.chmod(0o755)


def test_ray_script_tells_the_worker_alone_that_the_time_is_nearly_up(tmp_path):
    programs, config = tmp_path / "programs", tmp_path / ".config" / "itda"
    programs.mkdir()
    config.mkdir(parents=True)
    (config / "database").write_text("postgresql://itda@db/itda\n")
    put(programs, "scontrol", "printf '%s\\n' one two")
    # A node that asks for itself is told 127.0.1.1, as on Debian.
    put(programs, "getent", '[[ $NODE == one ]] && echo "127.0.1.1 a" || echo "10.0.0.1 STREAM a"')
    put(
        programs,
        "srun",
        "export NODE=one\n"
        'while [[ $1 == --* ]]; do [[ $1 == --nodelist=* ]] && NODE="${1#*=}"; shift; done\n'
        'exec "$@"',
    )
    put(programs, "ray", 'echo "ray $*"; while [[ $1 != -- ]]; do shift; done; shift; exec "$@"')
    told = "trap 'echo told; exit 7' TERM"
    put(programs, "itda", f'{told}\necho "itda $*"\nfor i in {{1..2000}}; do sleep 0.05; done')
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "ITDA_HOME": str(tmp_path),
        "SLURM_JOB_ID": "20001",
        "SLURM_JOB_NODELIST": "one,two",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_PER_TASK": "4",
    }
    script = DEPLOY / "slurm" / "ray.sbatch"
    with subprocess.Popen(
        ["bash", script], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert "--address 10.0.0.1:20001 " in process.stdout.readline()
            assert "worker --ray 10.0.0.1:20001 " in process.stdout.readline()
            assert len((config / "ray-20001").read_text()) == 64
            process.send_signal(signal.SIGTERM)
            assert process.stdout.read() == "told\n"
            assert process.wait(60) == 7
        finally:
            process.kill()
    assert [path.name for path in config.iterdir()] == ["database"]


@pytest.mark.parametrize("path", SYSTEMD, ids=lambda path: path.name)
def test_units_are_systemds(path, tmp_path):
    text = path.read_text()
    sections = [line for line in text.splitlines() if line.startswith("[")]
    assert sections == SYSTEMD_SECTIONS
    for line in text.splitlines():
        assert not line or line.startswith(("#", "[")) or re.fullmatch(r"[A-Z]\w+=.*", line), line
    grace = re.search(r"--grace (\d+)", text)
    stop = int(re.search(r"TimeoutStopSec=(\d+)", text)[1])
    assert stop > (int(grace[1]) if grace else 20) + 30
    verify = shutil.which("systemd-analyze")
    if verify:
        copy = tmp_path / path.name
        # Neither the program nor the account is on this machine.
        text = re.sub(r"(?m)^ExecStart=.*$", "ExecStart=/bin/true", text)
        copy.write_text(re.sub(r"(?m)^(User|Group)=.*$", r"\1=root", text))
        done = subprocess.run([verify, "verify", copy], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert path.name not in done.stderr
