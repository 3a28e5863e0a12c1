"""The report: a page of a run's examples, to look at, click through, and decide on."""

import base64
import hashlib
import html
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from jaxmem._shared.files import location, refusals, replacing
from jaxmem.data import Dataset
from jaxmem.data.neighbours import Neighbours
from jaxmem.errors import InputError
from jaxmem.estimates.overview import TOP, overview
from jaxmem.estimates.results import Run
from jaxmem.estimates.search import MEMORY
from jaxmem.reporting.contents import Contents, Thresholds, check_data
from jaxmem.reporting.decisions import Decision
from jaxmem.reporting.parts import as_text
from jaxmem.reporting.summary import Summary, summarize
from jaxmem.version import __version__

LARGEST = 60e6  # bytes of a page; a larger one becomes a folder
HARMFUL = 200_000 * 10_000  # pairs, up to which harmful influences are searched for too
GENERATOR = '<meta name="generator" content="jaxmem '  # in what we wrote
CALL = "jaxmemPart"  # of the page, in each file of data
NOTEBOOK = 800  # pixels that a report is high in a notebook


class Report(NamedTuple):
    """A report, ready to be written: `save`; in a notebook it shows itself."""

    title: str
    parts: tuple[tuple[str, bytes], ...]  # what the page carries, "core" first

    def save(self, path: str | Path) -> Path:
        """Write it to path, and return where it is: a page, or a folder's index.html.

        path ends in .html: one file with all in it, which needs no network; where that
        would be larger than LARGEST bytes, and where path has another ending, a folder of
        that name (without .html), whose data the page loads when it needs them. Raises
        InputError where it cannot be written, or a folder of something else is in the way.
        """
        path = location(path)
        with refusals(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".html" and self._size() <= LARGEST:
                with replacing(path) as partial, open(partial, "w", encoding="utf-8") as f:
                    f.writelines(self._page(self.parts[1:]))
                return path
            return self._save_folder(
                path.with_suffix("") if path.suffix == ".html" else path
            )

    def _repr_html_(self) -> str:
        """The page in a frame of its own, whose scripts reach nothing of the notebook."""
        page = "".join(self._page(self.parts[1:]))
        return (
            f'<iframe srcdoc="{html.escape(page)}" title="{html.escape(self.title)}" '
            f'sandbox="allow-scripts allow-downloads allow-modals" width="100%" '
            f'height="{NOTEBOOK}" style="border: 0"></iframe>'
        )

    def __repr__(self) -> str:
        return f"<Report {self.title!r}, {self._size() / 1e6:.1f} MB>"

    def _size(self) -> int:
        return sum(len(part) for _, part in self.parts) * 4 // 3

    def _page(self, carried: tuple[tuple[str, bytes], ...], own: str = "") -> Iterator[str]:
        """The page, with the parts that it carries beside "core"; own: its own files."""
        template, style, app = map(read_page, ("index.html", "style.css", "app.js"))
        policy = (
            f"default-src 'none'; script-src {_hash(app)}{own}; style-src {_hash(style)}; "
            "img-src blob:; base-uri 'none'; form-action 'none'"
        )
        filled = {
            "policy": policy,
            "version": __version__,
            "title": html.escape(self.title),
            "style": style,
            "core": _element(*self.parts[0]),
            "app": app,
        }
        head, _, tail = template.partition("{{parts}}")
        for name, text in filled.items():
            before, _, after = head.partition("{{" + name + "}}")
            yield before + text
            head = after
        yield head
        yield from (_element(*part) for part in carried)
        yield tail

    def _save_folder(self, folder: Path) -> Path:
        index, data = folder / "index.html", folder / "data"
        ours = index.is_file() and GENERATOR in index.read_text(encoding="utf-8")[:4096]
        if folder.is_dir() and any(folder.iterdir()) and not ours:
            raise InputError(
                f"{folder} is a folder of something else; give another --output"
            )
        data.mkdir(parents=True, exist_ok=True)
        for old in data.glob("*.js"):
            if old.read_text(encoding="utf-8").startswith(CALL):
                old.unlink()
        for name, part in self.parts[1:]:
            text = f'{CALL}("{name}","{as_text(part)}")\n'
            (data / f"{name}.js").write_text(text, encoding="utf-8")
        with replacing(folder / "index.html") as partial:
            partial.write_text("".join(self._page((), " 'self'")), encoding="utf-8")
        return folder / "index.html"


def make_report(
    run: Run,
    data: Dataset | None = None,
    mem: float = 0.25,
    infl: float = 0.15,
    top: int = TOP,
    memory: float = MEMORY,
    other: Run | None = None,
    decisions: tuple[Decision, ...] = (),
    notes: tuple[str, ...] = (),
    summary: Summary | None = None,
    near: dict[str, Neighbours] | None = None,
) -> Report:
    """The report of a run.

    Args:
        run: at least one trial must be finished.
        data: the run's own, for pictures or values; None: it comes without.
        mem, infl: from where on an example is memorized, and a pair of high influence.
        top: the influences shown of each example.
        memory: GiB that the searches may take.
        other: a run of the same data to compare with.
        decisions: on labels, made in an earlier report.
        notes: warnings that the report shall show beside its own.
        summary: where it is known already.
        near: `neighbours.alike` of the data, likewise.

    Raises:
        InputError: if no trial is finished, for data that are not the run's, for a run of
            other data to compare with, and as `Run.search`.
    """
    for checked in (run, other):
        if checked is not None and not checked.trials.size:
            raise InputError(f"{checked.workdir} has no finished trials yet")
    if data is not None:
        check_data(run, data)
    harmful = run.tr_labels.size * run.tt_labels.size <= HARMFUL
    shown = overview(run, infl, mem, top, harmful, memory)
    if summary is None:
        pairs = run.pairs(infl, mem)
        summary = summarize(run, pairs, mem, memory, level=shown.pairs_level)
    thresholds = Thresholds(mem, infl)
    contents = Contents(
        shown, summary, thresholds, data, tuple(notes), other, decisions, near
    )
    try:
        parts = tuple(contents.parts())
    except OSError as error:  # images on a disk that is gone
        note = f"the pictures cannot be read ({error.strerror}): the report has none"
        contents = contents._replace(data=None, notes=(*notes, note))
        parts = tuple(contents.parts())
    return Report(f"{run.config.dataset}, {run.config.model} – jaxmem", parts)


def read_page(name: str) -> str:
    """A file of the page."""
    return (files("jaxmem.reporting") / "page" / name).read_text(encoding="utf-8")


def _element(name: str, part: bytes) -> str:
    """A part as an element of the page; base64 needs no escaping."""
    return f'<script type="text/plain" id="part-{name}">{as_text(part)}</script>\n'


def _hash(text: str) -> str:
    """How a Content-Security-Policy names the one script or style that it allows."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
