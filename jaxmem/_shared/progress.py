"""Progress bars with the time left; quiet where nobody watches."""

import sys

from tqdm.auto import tqdm

FORMAT = "{desc} {n_fmt}/{total_fmt}{unit} |{bar}| {elapsed}, {remaining} left{postfix}"


def _in_notebook() -> bool:
    """Whether this process is a notebook's kernel; imported, ipykernel is not yet one."""
    kernels = getattr(sys.modules.get("ipykernel.kernelapp"), "IPKernelApp", None)
    return kernels is not None and kernels.initialized()


def watched() -> bool:
    """Whether standard error is a terminal or a notebook."""
    return sys.stderr.isatty() or _in_notebook()


def progress(what: str, total: int | None, unit: str, done: int = 0) -> tqdm:
    """A bar on standard error, off where that is neither a terminal nor a notebook."""
    return tqdm(
        desc=what,
        total=total,
        initial=done,
        unit=f" {unit}",
        disable=not watched(),
        bar_format=FORMAT if total else "{desc} {n_fmt}{unit}, {elapsed}",
        dynamic_ncols=True,
        leave=False,
    )


def say(text: str) -> None:
    """A line on standard error, above the bar if there is one."""
    tqdm.write(f"jaxmem: {text}", file=sys.stderr)
