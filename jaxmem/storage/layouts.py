"""How a workdir's trials are laid out, on each kind of device: plan.json.

Rounding depends on the kind of device, the version of jax and the width, and may depend on
the machine, but not on which process trains. So a width is settled once for each kind, and
each trial stores the number of the layout that it was trained with.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from jaxmem._shared.devices import device_kind, hardware, rounding
from jaxmem._shared.files import reason, refusals
from jaxmem._shared.updating import update
from jaxmem.errors import InputError

PLAN = "plan.json"


class Layout(NamedTuple):
    """What the rounding of a trial depends on."""

    kind: str  # of device, and the version of jax: `devices.device_kind`
    machine: str  # `devices.rounding`
    width: int  # models side by side on one device

    @classmethod
    def here(cls, width: int) -> "Layout":
        """On this machine."""
        return cls(device_kind(), rounding(), width)


class Layouts(NamedTuple):
    """What a workdir remembers."""

    layouts: tuple[Layout, ...]  # the newest of a timed kind is the one in use
    rounds: dict[str, int]  # ensembles in a block, by hardware and width
    untimed: tuple[str, ...] = ()  # kinds whose few trials needed no width to be chosen

    def width(self, kind: str) -> int | None:
        """The width in use for a kind of device, or None."""
        if kind in self.untimed:
            return None
        widths = [layout.width for layout in self.layouts if layout.kind == kind]
        return widths[-1] if widths else None

    def number(self, layout: Layout) -> int:
        """What a trial of this layout stores: 1, 2, …; it must be there."""
        return len(self.layouts) - self.layouts[::-1].index(layout)

    def using(self, layout: Layout) -> "Layouts":
        """With this one, in use for its kind."""
        others = tuple(kind for kind in self.untimed if kind != layout.kind)
        if others != self.untimed:
            return self._replace(untimed=others).using(layout)
        if layout in self.layouts and self.width(layout.kind) == layout.width:
            return self
        return self._replace(layouts=(*self.layouts, layout))

    def holding(self, layout: Layout) -> "Layouts":
        """With this one, though no width is chosen for its kind yet."""
        if layout in self.layouts:
            return self
        others = (kind for kind in self.untimed if kind != layout.kind)
        untimed = (*others, layout.kind)
        return self._replace(layouts=(*self.layouts, layout), untimed=untimed)


def read_layouts(workdir: Path) -> Layouts:
    """What plan.json says; nothing where there is none. Raises InputError if damaged."""
    path = workdir / PLAN
    try:
        return _loaded(path.read_bytes(), path)
    except FileNotFoundError:
        return Layouts((), {})
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def settle(
    workdir: Path,
    layout: Layout,
    rounds: int | None = None,
    replace: bool = True,
    timed: bool = True,
) -> Layouts:
    """Write down a layout for its kind of device, and how many rounds a block takes here.

    replace: whether it takes the place of one that another process wrote down meanwhile.
    timed: else it is only that of some trials, where no width is chosen yet.
    Raises InputError where it cannot be written, or is damaged.
    """
    path = workdir / PLAN

    def change(old: bytes | None) -> bytes:
        found = Layouts((), {}) if old is None else _loaded(old, path)
        chosen = found.width(layout.kind) is not None
        if timed and (replace or not chosen):
            found = found.using(layout)
        elif not chosen:
            found = found.holding(layout)
        if rounds is not None and found.width(layout.kind) == layout.width:
            key = rounds_key(layout.width)
            found = found._replace(rounds={**found.rounds, key: rounds})
        values = {
            "layouts": [each._asdict() for each in found.layouts],
            "rounds": found.rounds,
            **({"untimed": found.untimed} if found.untimed else {}),
        }
        return (json.dumps(values, indent=2) + "\n").encode()

    with refusals(workdir):
        return _loaded(update(path, change), path)


def with_layout(workdir: Path, known: Layouts, layout: Layout) -> Layouts:
    """What the workdir remembers, a layout that a trial was trained with among it."""
    if layout in known.layouts:
        return known
    known = read_layouts(workdir)
    return known if layout in known.layouts else settle(workdir, layout)


def rounds_key(width: int) -> str:
    """Which entry of `rounds` is this machine's."""
    return f"{hardware()}, width {width}"


def _damaged(path: Path, why: str) -> InputError:
    # Taken for empty, it would number layouts anew, and stored numbers name wrong ones.
    return InputError(
        f"{path} is damaged ({why}); put back a copy of it, or remove it: then it is lost "
        "on which machines the trials were trained, and widths are timed anew"
    )


def _loaded(text: bytes, path: Path) -> Layouts:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise _damaged(path, reason(error)) from None
    return _parsed(values, path)


def _parsed(values: Any, path: Path) -> Layouts:
    """From JSON, also of earlier workdirs, which had a plan for each number of devices."""
    try:
        if "layouts" in values:
            layouts = (Layout(**layout) for layout in values["layouts"])
            untimed = tuple(values.get("untimed", []))
            if isinstance(values.get("untimed"), str):
                raise TypeError("untimed is no list")
            return Layouts(tuple(layouts), dict(values["rounds"]), untimed)
        found, here = Layouts((), {}), hardware()
        for where, plan in sorted(values.items(), key=lambda item: item[0] == here):
            kind = where.partition(" x ")[2]
            found = found.using(Layout(kind, where, int(plan["width"])))
        return found
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"{type(error).__name__}: {reason(error)}") from None
