"""Progress with the time left: a bar where somebody watches, else a line now and then."""

import sys
from typing import ClassVar
from weakref import WeakSet

from tqdm.auto import tqdm
from tqdm.std import tqdm as plain

BAR = "{desc} {n_fmt}/{total_fmt}{unit} |{bar}| {elapsed}, {remaining} left{postfix}"
LINE = "{desc} {n_fmt}/{total_fmt}{unit}, {elapsed}, {remaining} left{postfix}"
LINE_SECONDS = 120  # between two lines of a job's log, and before the first


class _Lines(plain):
    """Writes a whole line where a bar would move; nothing of what is short."""

    # Not among the bars that `say` clears and draws again.
    _instances: ClassVar[WeakSet] = WeakSet()

    def set_postfix_str(self, s="", refresh=True):
        """What follows the counts, in the next line."""
        super().set_postfix_str(s, refresh=False)

    def display(self, msg=None, pos=None):
        """What tqdm calls whenever the bar should change."""
        if msg is None:  # "" would clear the bar
            print(f"jaxmem: {self}", file=sys.stderr, flush=True)


def _in_notebook() -> bool:
    """Whether this process is a notebook's kernel; imported, ipykernel is not yet one."""
    kernels = getattr(sys.modules.get("ipykernel.kernelapp"), "IPKernelApp", None)
    return kernels is not None and kernels.initialized()


def watched() -> bool:
    """Whether standard error is a terminal or a notebook."""
    return sys.stderr.isatty() or _in_notebook()


def progress(
    what: str, total: int | None, unit: str, done: int = 0, delay: float = 0.0
) -> plain:
    """A bar on standard error, or lines where that is neither a terminal nor a notebook.

    delay: seconds before it is shown at all.
    """
    arguments = {"desc": what, "total": total, "initial": done, "unit": f" {unit}"}
    if watched():
        form = BAR if total else "{desc} {n_fmt}{unit}, {elapsed}"
        return tqdm(
            **arguments, bar_format=form, dynamic_ncols=True, leave=False, delay=delay
        )
    return _Lines(
        **arguments,
        bar_format=LINE if total else "{desc} {n_fmt}{unit}, {elapsed}",
        mininterval=LINE_SECONDS,
        maxinterval=LINE_SECONDS,
        miniters=1,
        delay=LINE_SECONDS,
        leave=False,
    )


def say(text: str) -> None:
    """A line on standard error, above the bar if there is one."""
    plain.write(f"jaxmem: {text}", file=sys.stderr)
