"""What kept models say of images, which lie on the devices or on the host."""

from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxmem._shared.devices import AXIS, everywhere, make_mesh
from jaxmem.models import Model
from jaxmem.models.contract import PyTree
from jaxmem.training import fitting
from jaxmem.training.chunks import in_order
from jaxmem.training.ensemble import Placement
from jaxmem.training.fitting import TrainState, evaluation_pieces


def predict_models(
    model: Model, images: np.ndarray, labels: np.ndarray, placement: Placement
) -> Callable[[PyTree], np.ndarray]:
    """f(kept_part with a leading M) -> bool [M, R], correct on images [R, H, W, C].

    The models are shared out among the devices.
    """
    mesh = make_mesh()
    many, shared = PartitionSpec(AXIS), PartitionSpec()

    def spread(of_one: Callable, *specs: PartitionSpec) -> Callable:
        def local(kept, *args):
            return jax.lax.map(lambda kept: of_one(_state(kept), *args), kept)

        specs = many, *specs
        return jax.jit(
            jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=many, check_vma=False)
        )

    def all_rows(state, images, labels):
        return fitting.predict(model, state, images, labels).correct

    def some_rows(state, images, labels):
        def piece(args):
            return fitting.predict_piece(model, state, *args).correct

        return jax.lax.map(piece, (images, labels))

    def on_devices(kept):
        return np.asarray(whole(kept, *placed))

    def from_host(kept):
        pieces = evaluation_pieces(labels.size, images.shape[1:])
        correct = np.zeros((len(jax.tree.leaves(kept)[0]), labels.size), bool)
        for chunk in in_order(images, pieces, mesh):
            starts, fresh = np.asarray(chunk.start), np.asarray(chunk.fresh)
            label = labels[starts[:, None] + np.arange(pieces.size)]
            found = np.asarray(part(kept, chunk.images, label))
            for q, (start, new) in enumerate(zip(starts, fresh, strict=True)):
                correct[:, new : start + pieces.size] = found[:, q, new - start :]
        return correct

    if placement == "device":
        whole, placed = spread(all_rows, shared, shared), everywhere((images, labels), mesh)
    else:
        part = spread(some_rows, shared, shared)
    program = on_devices if placement == "device" else from_host

    def call(kept):
        count = len(jax.tree.leaves(kept)[0])
        fill = -count % mesh.size

        def filled(a):
            return np.concatenate([a, np.repeat(a[-1:], fill, axis=0)])

        kept = jax.device_put(jax.tree.map(filled, kept), NamedSharding(mesh, many))
        return program(kept)[:count]

    return call


def _state(kept: PyTree) -> TrainState:
    return TrainState(**kept, opt_state=None)
