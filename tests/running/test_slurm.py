"""A real SLURM on loopback: an array of shares, one of which is queued again.

apt-get install slurm-wlm && python -m pytest -m slow tests/running/test_slurm.py
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from runs import assert_same

import jaxmem
from jaxmem import InputError

SCRIPT = Path(__file__).parents[2] / "experiments" / "cluster" / "slurm_array.sh"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("slurmctld") is None or os.geteuid() != 0,
        reason="needs root, and apt-get install slurm-wlm",
    ),
]
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/none
CredType=cred/none
SlurmctldPort=16817
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdSpoolDir={folder}/%n
StateSaveLocation={folder}/state
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
KillWait=5
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[17001-17002] CPUs=1
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def slurm(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def nodes(tmp_path, monkeypatch):
    """A controller, and two nodes of one core."""
    folder = tmp_path / "slurm"
    (folder / "state").mkdir(parents=True)
    path, host = folder / "slurm.conf", socket.gethostname()
    path.write_text(CONFIGURATION.format(folder=folder, host=host))
    monkeypatch.setenv("SLURM_CONF", str(path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    daemons = []
    for words in (
        ("slurmctld", "-D"),
        ("slurmd", "-D", "-N", "n1"),
        ("slurmd", "-D", "-N", "n2"),
    ):
        with open(folder / f"{'-'.join(words)}.log", "w") as log:
            daemons.append(subprocess.Popen(words, stdout=log, stderr=log))
        time.sleep(1)
    try:
        while "idle n[1-2]" not in " ".join(slurm("sinfo").split()):
            assert all(daemon.poll() is None for daemon in daemons)
            time.sleep(0.5)
        yield
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait()


def finished(workdir):
    try:
        return jaxmem.open_run(workdir).trials
    except InputError:
        return []


def test_an_array_with_a_task_that_is_queued_again(nodes, digits, tmp_path):
    """Together the tasks give what one process gives; the estimates follow."""
    workdir, logs = tmp_path / "run", tmp_path / "task-%a.log"
    flags = {"trials": 512, "width": 1}
    words = [f"--{key}={value}" for key, value in flags.items()]
    command = ["sbatch", "--parsable", "--array=3-4", f"--output={logs}", str(SCRIPT)]
    job = slurm(*command, str(workdir), *words).strip()
    after = [f"--dependency=afterany:{job}", "--wait", f"--output={tmp_path / 'after.log'}"]
    while not any(trial // 64 % 2 == 1 for trial in finished(workdir)):
        assert job in slurm("squeue", "--noheader", "--format=%A"), logs
        time.sleep(0.2)
    slurm("scontrol", "requeue", f"{job}_4")
    before = len(finished(workdir))
    slurm("sbatch", *after, f"--wrap=python -m jaxmem.estimate {workdir}")
    said = (tmp_path / "after.log").read_text()
    found = jaxmem.open_run(workdir)
    assert before < found.trials.size == 512, (tmp_path / "task-4.log").read_text()
    assert "512 (0 diverged)" in said
    assert_same(found, jaxmem.run_trials(digits, workdir=tmp_path / "whole", **flags))
