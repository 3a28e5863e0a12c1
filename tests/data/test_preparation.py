"""What is decoded once: found again, made anew where damaged, and never left half-made."""

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from drawing import draw

from jaxmem import InputError, load_dataset
from jaxmem.data import preparation, threads


@pytest.fixture
def decoded(monkeypatch):
    """Names of the images that were decoded."""
    names, decode = [], threads.decode

    def counting(image, *more):
        names.append(image)
        return decode(image, *more)

    monkeypatch.setattr(threads, "decode", counting)
    return names


def contents(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_second_start_maps(pictures, own_cache, decoded):
    data = load_dataset(pictures)
    assert len(decoded) == 13  # the first one twice, since it says what all take on disk
    again = load_dataset(pictures)
    assert len(decoded) == 13 and again.fingerprint == data.fingerprint
    assert again.class_names == data.class_names
    for split, other in ((again.train, data.train), (again.test, data.test)):
        for part, values in split._asdict().items():
            np.testing.assert_array_equal(values, getattr(other, part))
        assert isinstance(split.images, np.memmap)
        assert split.images.ctypes.data % 64 == 0  # devices can borrow it
        assert not split.images.flags.writeable
    (folder,) = own_cache.iterdir()
    assert folder.name.startswith("pets-")


def rename_class(folder):
    for split in ("train", "test"):
        (folder / split / "cat").rename(folder / split / "eel")


CHANGES = {
    "an image": (lambda folder: draw("new").save(folder / "train/cat/1.png"), {}),
    "one more": (lambda folder: draw("new").save(folder / "train/cat/9.png"), {}),
    "one less": (lambda folder: (folder / "train/cat/1.png").unlink(), {}),
    "its class": (
        lambda folder: (folder / "train/cat/1.png").rename(folder / "train/dog/9.png"),
        {},
    ),
    "the size": (None, {"image_size": 3}),
    "the split": (None, {"test_split": "train"}),
    "classes": (None, {"class_names": ["dog", "cat"]}),
}


@pytest.mark.parametrize("case", CHANGES)
def test_other_data_are_decoded(pictures, decoded, case):
    change, options = CHANGES[case]
    data = load_dataset(pictures)
    if change:
        change(pictures)
    before = len(decoded)
    other = load_dataset(pictures, **options)
    assert len(decoded) > before and other.fingerprint != data.fingerprint


def rewrite(name, change):
    def spoil(folder):
        values = np.load(folder / name)
        np.save(folder / name, change(values))

    return spoil


def flip_a_byte(folder):
    path = folder / "train_images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def become_a_file(folder):
    shutil.rmtree(folder)
    folder.write_bytes(b"")


SPOILING = {
    "about.json gone": lambda folder: (folder / "about.json").unlink(),
    "about.json cut": lambda folder: (folder / "about.json").write_text("{"),
    "about.json of another": lambda folder: (folder / "about.json").write_text("{}"),
    "images gone": lambda folder: (folder / "test_images.npy").unlink(),
    "images empty": lambda folder: (folder / "train_images.npy").write_bytes(b""),
    "images cut": lambda folder: os.truncate(folder / "train_images.npy", 300),
    "a pixel": flip_a_byte,
    "fewer images": rewrite("train_images.npy", lambda values: values[:4]),
    "other images": rewrite("test_images.npy", lambda values: values[::-1]),
    "other labels": rewrite("train_labels.npy", lambda values: 1 - values),
    "other names": rewrite("train_names.npy", lambda values: values[::-1]),
    "ids as objects": rewrite("train_ids.npy", lambda values: values.astype(object)),
    "a file": become_a_file,
}


@pytest.mark.parametrize("case", SPOILING)
def test_a_damaged_cache_is_made_anew(pictures, own_cache, decoded, case):
    fingerprint = load_dataset(pictures).fingerprint
    (folder,) = own_cache.iterdir()
    SPOILING[case](folder)
    again = load_dataset(pictures)
    assert len(decoded) == 26 and again.fingerprint == fingerprint
    load_dataset(pictures)
    assert len(decoded) == 26 and contents(own_cache) == [folder.name]


LOAD = """
import sys
import time
import jaxmem
from jaxmem.data import threads

decode = threads.decode

def slowly(*given):
    print("decoding", flush=True)
    time.sleep(float(sys.argv[2]))
    return decode(*given)

threads.decode = slowly
print(jaxmem.load_dataset(sys.argv[1]).fingerprint)
"""


def start(pictures, seconds):
    return subprocess.Popen(
        [sys.executable, "-c", LOAD, str(pictures), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_killed_while_it_decodes(pictures, own_cache):
    with start(pictures, 0.2) as process:
        assert process.stdout.readline() == "decoding\n"
        process.stdout.readline()  # of the first again: the folder is there
        process.send_signal(signal.SIGKILL)
    assert contents(own_cache)  # nobody could tidy up
    load_dataset(pictures)
    (folder,) = own_cache.iterdir()
    assert not folder.name.startswith(".")


def test_interrupted_while_it_decodes(pictures, own_cache):
    with start(pictures, 1) as process:
        process.stdout.readline()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in process.stderr.read()
    assert contents(own_cache) == []


def test_two_processes_at_once(pictures, own_cache):
    with start(pictures, 0.4) as one:
        assert one.stdout.readline() == "decoding\n"
        with start(pictures, 0) as other:
            found = [process.communicate() for process in (one, other)]
    prints = {out.splitlines()[-1] for out, _ in found}
    assert prints == {load_dataset(pictures).fingerprint}
    assert found[1][0].count("decoding") == 0
    assert found[1][1] == "jaxmem: another process is decoding pets; waiting for it\n"
    (folder,) = own_cache.iterdir()
    assert not folder.name.startswith(".")


def test_two_threads_at_once(pictures, own_cache):
    found = []
    both = [
        threading.Thread(target=lambda: found.append(load_dataset(pictures).fingerprint))
        for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert len(found) == 2 and len(set(found)) == 1


def test_too_little_disk(pictures, own_cache, decoded, monkeypatch):
    usage = shutil.disk_usage(pictures)._replace(free=500)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(
        InputError, match=r"take 0.00 GB, but .*/data has 0.00 GB free; mak"
    ):
        load_dataset(pictures)
    assert len(decoded) == 1 and contents(own_cache) == []


def test_a_disk_that_fills_up(pictures, own_cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(preparation, "finish", full)
    with pytest.raises(InputError, match=r"decoded images in .*/data: No space left on de"):
        load_dataset(pictures)
    assert contents(own_cache) == []


def test_a_cache_that_cannot_be_written(pictures, own_cache):
    own_cache.parent.write_text("in the way")
    with pytest.raises(
        InputError, match=r"cannot keep .* Not a directory; .* JAXMEM_CACHE"
    ):
        load_dataset(pictures)


def test_a_folder_that_vanishes(pictures, own_cache, monkeypatch):
    decode, calls = threads.decode, []

    def vanishing(*given):
        calls.append(given)
        if len(calls) == 4:
            shutil.rmtree(pictures)
        return decode(*given)

    monkeypatch.setattr(threads, "decode", vanishing)
    with pytest.raises(InputError, match=r"pets: train/.*png is gone since its folder was"):
        load_dataset(pictures, skip_unreadable=True)  # lost is not unreadable
    assert contents(own_cache) == []


def test_unreadable_images(pictures, own_cache, capsys):
    whole = (pictures / "train/dog/2.png").read_bytes()
    (pictures / "train/cat/0.png").write_bytes(b"")
    (pictures / "train/dog/2.png").write_bytes(whole[:60])
    with pytest.raises(
        InputError, match=r"cat/0.png cannot be read: no image .*skip_unread"
    ):
        load_dataset(pictures)
    assert contents(own_cache) == []
    for _ in range(2):  # the second start says it too
        data = load_dataset(pictures, skip_unreadable=True)
        said = "jaxmem: pets: 2 unreadable images are left out, the first train/cat/0.png: "
        assert capsys.readouterr().err.startswith(said)
    assert data.train.images.shape[0] == data.train.labels.size == 6
    assert "train/dog/2.png" not in data.train.names
    np.testing.assert_array_equal(data.train.images[0], draw("train/cat/1"))
    for file in (pictures / "train").rglob("*.png"):
        file.write_bytes(b"")
    with pytest.raises(InputError, match="none of 8 images can be read"):
        load_dataset(pictures, skip_unreadable=True)


def test_rows_come_in_their_order_and_a_few_ahead(monkeypatch):
    """However long each takes; the reader is never far ahead of the writer."""
    seen, rng = [], np.random.default_rng(0)

    def read(wanted):
        for number in wanted:
            seen.append(number)
            yield threads.Row(np.full((1, 1, 1), number, np.uint8), 0, str(number))

    def slowly(image, *_):
        time.sleep(rng.random() / 500)
        return image

    monkeypatch.setattr(threads, "decode", slowly)
    monkeypatch.setattr(threads, "cores", lambda: 3)
    taken = 0
    for chunk in threads.decode_rows(threads.Rows(250, read), None, 1):
        for row, (pixels, _) in chunk:
            assert row.name == str(taken) == str(pixels.item())
            taken += 1
        assert len(seen) - taken <= (3 * threads.AHEAD + 1) * threads.CHUNK
    assert taken == 250


def test_progress_says_how_fast(pictures, monkeypatch):
    shown = io.StringIO()
    shown.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", shown)
    load_dataset(pictures)
    assert "decoding pets train" in shown.getvalue() and "rows/s" in shown.getvalue()
