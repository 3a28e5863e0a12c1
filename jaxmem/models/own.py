"""Networks of the user's: found by name, made with options, in whatever library."""

import functools
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax

from jaxmem.errors import InputError
from jaxmem.models.calling import parameters_of
from jaxmem.models.contract import Model, Spec, one_line

Options = dict[str, Any]
TOLD = ("spec", "num_classes", "image_shape", "dtype", "rngs", "key")
WAY = "my_net.py:make or package.module:make"


class Source(NamedTuple):
    """What a name as `my_net.py:make` stands for."""

    file: Path
    sha256: str
    target: Any


def find(name: str) -> Source:
    """What my_net.py:make or package.module:make names; raises InputError if nothing."""
    where, _, attribute = name.rpartition(":")
    if not where or not attribute.isidentifier():
        raise InputError(f"model {name!r} names no network; give {WAY}")
    if where.endswith(".py"):
        path = Path(where).expanduser().resolve()
        if not path.is_file():
            raise InputError(f"model {name}: there is no file {path}")
        module = _load(path, _sha256(path))
    else:
        module = _import(name, where)
        path = Path(module.__file__ or "")
        if not path.is_file():
            raise InputError(f"model {name}: {where} is no Python file; give {WAY}")
    if not hasattr(module, attribute):
        raise InputError(f"model {name}: {path} has no {attribute}")
    return Source(path, _sha256(path), getattr(module, attribute))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def _load(path: Path, sha256: str) -> ModuleType:
    """The module of a file, run once for each of its contents."""
    name = f"jaxmem_own_{path.stem}_{sha256[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # it ends in .py
    module = importlib.util.module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # for what lies beside it
    sys.modules[name] = module  # dataclasses look there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise InputError(f"{path} fails on import: {one_line(error, str(path))}") from error
    return module


def _import(name: str, where: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(where)
    except (Exception, SystemExit) as error:
        lacking = getattr(error, "name", None) or "?"
        if f"{where}.".startswith(f"{lacking}."):
            raise InputError(f"model {name}: there is no module {where}") from None
        raise InputError(f"{where} fails on import: {one_line(error)}") from error


def build(name: str, target: Any, spec: Spec, options: Options) -> Model:
    """The Model of a factory, of a module's class, or of a Linen module itself.

    A factory is given what it asks for, by name: `TOLD`, and the options. Raises InputError
    where it asks for more, or makes no network.
    """
    if isinstance(target, Model) or _is(target, "flax.linen"):
        if options:
            raise InputError(f"model {name} is made already and takes no options")
        return _adapted(name, target, spec)
    if not callable(target):
        raise InputError(f"model {name} is a {type(target).__name__}, not a factory")
    given = _given(name, target, spec, options)
    source = parameters_of(target).keys() & {"rngs", "key"} - given.keys()
    call = functools.partial(_called, name, _with_state(target), given)
    if not source:
        return _adapted(name, call(), spec)

    def make(key):
        return call(**{word: _rngs(key) if word == "rngs" else key for word in source})

    return _by_key(name, make, spec)


def _given(name: str, target: Any, spec: Spec, options: Options) -> Options:
    """The arguments of a factory, but for those that are random."""
    known = dict(
        zip(TOLD, (spec, spec.num_classes, spec.image_shape, spec.dtype), strict=False)
    )
    asked = parameters_of(target)
    if odd := sorted(options.keys() - asked.keys()):
        raise InputError(f"model {name} knows no option {odd[0]}; it takes {_list(asked)}")
    given = {n: value for n, value in known.items() if n in asked} | options
    lacking = [
        n
        for n, p in asked.items()
        if p.default is p.empty and n not in given and n not in TOLD
    ]
    if len(lacking) == 1 and not inspect.isclass(target) and "spec" not in given:
        return {**given, lacking[0]: spec}  # make(spec), by whatever name
    if lacking:
        raise InputError(
            f"model {name} needs {', '.join(lacking)}; it is told {', '.join(TOLD)}; "
            f"give the rest by --model-options={lacking[0]}=…"
        )
    return given


def _list(asked: dict) -> str:
    return ", ".join(n for n in asked if n not in (*TOLD, "parent", "name")) or "none"


def _called(name: str, target: Callable, given: Options, **more) -> Any:
    try:
        return target(**given, **more)
    except InputError:
        raise
    except Exception as error:
        file = inspect.getsourcefile(inspect.unwrap(target))
        raise InputError(f"model {name} fails: {one_line(error, file)}") from error


def _adapted(name: str, made: Any, spec: Spec) -> Model:
    """The Model of what a factory made without a key."""
    if isinstance(made, Model):
        return made
    if _is(made, "flax.linen"):
        from jaxmem.models.linen import draws, from_linen

        return from_linen(made, random=draws(made, spec.image_shape))
    for library, word in (("flax.nnx", "rngs"), ("equinox", "key")):
        if _is(made, library):
            raise InputError(
                f"model {name} makes its own {word}, the same for every trial; let it take "
                f"them, as in make(spec, {word})"
            )
    raise InputError(
        f"model {name} makes a {type(made).__name__}; expected a module of Linen, NNX or "
        "Equinox, or a jaxmem.Model"
    )


def _by_key(name: str, make: Callable[[jax.Array], Any], spec: Spec) -> Model:
    """The Model of what a factory makes of a key."""
    found: list[Any] = []

    def look(key):
        found.append(make(key))

    jax.eval_shape(look, jax.random.key(0))
    made = found[0][0] if isinstance(found[0], tuple) else found[0]
    if _is(made, "flax.nnx"):
        from jaxmem.models.nnx import from_nnx

        return from_nnx(lambda rngs: make(rngs.params()))
    if _is(made, "equinox"):
        from jaxmem.models.equinox import from_equinox

        return from_equinox(make)
    return _adapted(name, make(jax.random.key(0)), spec)


def _is(value: Any, library: str) -> bool:
    """Whether it is a module of a library, which then has been imported."""
    kind = getattr(sys.modules.get(library), "Module", ())
    return isinstance(value, kind)


def _with_state(target: Any) -> Any:
    """A class of Equinox makes its module and its state."""
    equinox = sys.modules.get("equinox")
    if equinox and inspect.isclass(target) and issubclass(target, equinox.Module):
        return equinox.nn.make_with_state(target)
    return target


def _rngs(key: jax.Array) -> Any:
    from flax import nnx

    return nnx.Rngs(key)
