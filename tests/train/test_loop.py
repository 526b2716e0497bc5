import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from itda.errors import DataError
from itda.models.family import predict
from itda.models.mini import FAMILY
from itda.train.checkpoint import Checkpoints
from itda.train.export import export_weights
from itda.train.loop import Trainer
from itda.train.metrics import MetricsLog
from itda.train.recipe import read_recipe
from tests.patience import PATIENCE_SECONDS


def trainer(recipe_path, data_folder, run, **options):
    return Trainer(
        read_recipe(recipe_path), data=data_folder, run=run, accelerator="cpu", **options
    )


def losses(run: Path) -> dict[int, float]:
    rows = MetricsLog(run / "metrics.jsonl", write=False).rows()
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    return {row["step"]: row["loss"] for row in rows}


def command(recipe_path, data_folder, run, *more):
    return [
        *(sys.executable, "-m", "itda", "train", str(recipe_path), "--data", str(data_folder)),
        *("--out", str(run), "--device", "cpu", "--checkpoint-minutes", "0", *more),
    ]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, data_folder):
    from tests.train.conftest import RECIPE

    folder = tmp_path_factory.mktemp("whole")
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    run = trainer(path, data_folder, folder / "run")
    assert run.train()
    run.metrics.flush()
    return folder / "run", run


def test_killed_and_resumed_equals_uninterrupted(recipe_path, data_folder, tmp_path, uninterrupted):
    run = tmp_path / "killed"
    kills = 0
    for wanted in (3, 10):
        arguments = command(recipe_path, data_folder, run)
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if list((run / "checkpoints").glob(f"step-{wanted:08d}.pt")):
                process.send_signal(signal.SIGKILL)
            time.sleep(0.005)
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 1
    finished = subprocess.run(
        command(recipe_path, data_folder, run), capture_output=True, text=True, check=True
    )
    assert "going on at step" in finished.stdout
    whole, resumed = losses(uninterrupted[0]), losses(run)
    assert resumed.keys() == whole.keys()
    for step, value in whole.items():
        assert resumed[step] == pytest.approx(value, rel=1e-5), step
    assert (run / "tiny.safetensors").is_file()
    assert (run / "metrics.csv").is_file()
    assert (run / "metrics.png").is_file()


def test_sigterm_leaves_a_checkpoint_and_exit_status_2(recipe_path, data_folder, tmp_path):
    text = yaml.safe_load(recipe_path.read_text())
    text["stages"][0]["steps"] = 5000
    recipe_path.write_text(yaml.safe_dump(text))
    run = tmp_path / "stopped"
    process = subprocess.Popen(
        command(recipe_path, data_folder, run), stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not list((run / "checkpoints").glob("*.pt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 2
    assert "the same call goes on" in output
    assert Checkpoints(run / "checkpoints").latest()["step"] == len(losses(run))


def test_a_seed_changes_the_run(recipe_path, data_folder, tmp_path, uninterrupted):
    text = yaml.safe_load(recipe_path.read_text())
    text["seed"] = 4
    recipe_path.write_text(yaml.safe_dump(text))
    run = trainer(recipe_path, data_folder, tmp_path / "other")
    run.train(minutes=0)
    run.metrics.flush()
    assert losses(tmp_path / "other")[1] != pytest.approx(losses(uninterrupted[0])[1], rel=1e-5)


def test_two_processes_see_the_batches_of_one(recipe_path, data_folder):
    from itda.structure.chains.dataset import ChainDataset
    from itda.train.sampler import StepDataset
    from itda.train.split import Split

    recipe = read_recipe(recipe_path)
    datasets = [ChainDataset.open(data_folder / "chains")]
    split = Split.read(data_folder / "split")
    whole = StepDataset.from_recipe(recipe, datasets, split)
    shares = [
        StepDataset.from_recipe(recipe, datasets, split, rank=rank, processes=2)
        for rank in range(2)
    ]
    for step in (0, 5, 9):
        for place, share in enumerate(shares):
            alone, together = share[step], whole[step]
            length = int(alone.features.tokens.mask.sum())
            assert length == int(together.features.tokens.mask[place].sum())
            torch.testing.assert_close(
                alone.targets.atoms[0, :length], together.targets.atoms[place, :length]
            )
    with pytest.raises(DataError, match="cannot be shared by 3"):
        StepDataset.from_recipe(recipe, datasets, split, processes=3)


def test_only_training_chains_are_drawn(recipe_path, data_folder):
    from itda.structure.chains.dataset import ChainDataset
    from itda.train.sampler import StepDataset
    from itda.train.split import Split

    datasets = [ChainDataset.open(data_folder / "chains")]
    split = Split.read(data_folder / "split")
    steps = StepDataset.from_recipe(read_recipe(recipe_path), datasets, split)
    drawn = {datasets[which].ids[index] for c in steps.every.clusters for which, index in c}
    assert drawn == {i for i in datasets[0].ids if split.part(i) == "train"}


def test_torchrun_with_two_processes(recipe_path, data_folder, tmp_path, uninterrupted):
    run = tmp_path / "two"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
            *("--master-port", "0", "--standalone"),
            *command(recipe_path, data_folder, run, "--devices", "2")[1:],
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    two, one = losses(run), losses(uninterrupted[0])
    assert two.keys() == one.keys()
    # Dropout draws differ between processes, the crops do not.
    assert two[1] == pytest.approx(one[1], rel=0.1)


@pytest.mark.parametrize(
    ("how", "failing", "said"),
    [
        ("loss", 1, "the loss is nan at step 2"),
        ("batch", 1, "a chain cannot be read"),
        ("save", 0, "No space left on device"),
    ],
)
def test_what_one_process_fails_of_ends_all(recipe_path, data_folder, tmp_path, how, failing, said):
    """None of them waits for the other at a step that never comes."""
    run = tmp_path / "run"
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
            *("--master-port", "0", "--standalone", str(Path(__file__).parent / "one_fails.py")),
            *(how, str(recipe_path), str(data_folder), str(run)),
        ],
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    reasons = [Path(f"{run}-{rank}").read_text() for rank in range(2)]
    assert said in reasons[failing]
    assert "another process of this training failed" in reasons[1 - failing]


def test_another_recipe_does_not_go_on_in_the_same_folder(recipe_path, data_folder, uninterrupted):
    text = yaml.safe_load(recipe_path.read_text())
    text["schedule"]["peak"] = 0.001
    recipe_path.write_text(yaml.safe_dump(text))
    with pytest.raises(DataError, match="trained by another recipe"):
        trainer(recipe_path, data_folder, uninterrupted[0])


def test_exported_weights_fold(uninterrupted, tmp_path):
    from itda.job.model import Job

    _, trained = uninterrupted
    card = export_weights(trained, tmp_path / "tiny.safetensors")
    assert card.training["steps"] == 14
    assert card.training["training_clusters"] == 8
    model = FAMILY.load(tmp_path / "tiny.safetensors", "cpu")
    (prediction,) = predict(model, Job.from_sequence("tiny", "MKTAYIAKQRQISF"))
    assert prediction.atoms.array_length() > 80


def test_training_lowers_the_loss(uninterrupted):
    values = list(losses(uninterrupted[0]).values())
    assert sum(values[5:8]) < sum(values[:3])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "version"),
        ({"colour": "red"}, "colour"),
        ({"stages": []}, "stages"),
        ({"schedule": {"peak": -1, "warmup": 0}}, r"schedule\.peak"),
    ],
)
def test_recipes_are_checked(recipe_path, change, said):
    recipe_path.write_text(yaml.safe_dump({**yaml.safe_load(recipe_path.read_text()), **change}))
    with pytest.raises(DataError, match=said):
        read_recipe(recipe_path)


def test_unknown_losses_and_missing_recipes_are_named(recipe_path, tmp_path):
    text = yaml.safe_load(recipe_path.read_text())
    text["stages"][0]["losses"] = {"backbones": 1.0}
    recipe_path.write_text(yaml.safe_dump(text))
    with pytest.raises(DataError, match="unknown loss 'backbones'"):
        read_recipe(recipe_path)
    with pytest.raises(DataError, match="no recipe"):
        read_recipe(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", ["mini.yaml", "mini-cpu.yaml"])
def test_packaged_recipes_are_valid_and_of_the_promised_size(name):
    from itda.models.mini.modeling import Mini

    recipe = read_recipe(name)
    parameters = sum(p.numel() for p in Mini(recipe.model).parameters())
    assert 5e6 <= parameters <= 20e6
    assert recipe.name == name.removesuffix(".yaml")


def test_a_damaged_checkpoint_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"step": 1})
    checkpoints.save(2, {"step": 2})
    path = checkpoints.save(3, {"step": 3})
    assert len(list(tmp_path.glob("*.pt"))) == 2
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match="cannot be read"):
        checkpoints.latest()
    path.unlink()
    assert checkpoints.latest() == {"step": 2}


def test_metrics_forget_what_a_checkpoint_does_not_hold(tmp_path):
    log = MetricsLog(tmp_path / "m.jsonl", write=True)
    for step in range(1, 6):
        log.add(step, float(step), {"backbone": 1.0}, 0.1, None)
    log.flush()
    with log.path.open("a") as stream:
        stream.write(json.dumps({"step": 6})[:5])
    log.truncate(3)
    assert [row["step"] for row in log.rows()] == [1, 2, 3]
