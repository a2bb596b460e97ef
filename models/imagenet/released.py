"""Which networks have ImageNet weights, and where they are. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from models.errors import WeightsError
from models.spec import ModelSpec
from models.zoo import MODELS

IMAGENET = "imagenet"
"""The choice of weights, and the source of weights that come of it."""
CLASS_COUNT = 1000

TRAIN_HERE = "use --weights auto, which trains here"
"""What to do where there are no such weights and any will do."""

SERVER = "https://storage.googleapis.com/tensorflow/keras-applications"
LICENCE = (
    "Apache-2.0 (tensorflow/models); trained on the pictures of ImageNet (ILSVRC 2012), whose own terms allow "
    "non-commercial research"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A file of weights as it was released."""

    url: str
    md5: str | None
    """As Keras knows it; None where Keras knows none."""

    @property
    def file_name(self) -> str:
        """In Keras' cache."""
        return self.url.rpartition("/")[2]


# keras/src/applications/mobilenet_v3.py, WEIGHTS_HASHES. For V1 and V2 Keras has no hashes.
_V3_MD5 = {
    "large_224_0.75": "765b44a33ad4005b3ac83185abf1d0eb",
    "large_224_1.0": "59e551e166be033d707958cf9e29a6a7",
    "large_minimalistic_224_1.0": "675e7b876c45c57e9e63e6d90a36599c",
    "small_224_0.75": "cb65d4e5be93758266aa0a7f2c6708b7",
    "small_224_1.0": "8768d4c2e7dee89b9d02b2d03d65d862",
    "small_minimalistic_224_1.0": "99cd97fb2fcdad2bf028eb838de69e37",
}
_V1_WIDTHS = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}


def _release(spec: ModelSpec) -> Release | None:
    width, side = spec.width, spec.resolution_px
    if spec.family == "mobilenet_v1":
        return Release(url=f"{SERVER}/mobilenet/mobilenet_{_V1_WIDTHS[width]}_{side}_tf.h5", md5=None)
    # Above width 1 the authors released 224 px alone; Keras would ask its server for the others too.
    if spec.family == "mobilenet_v2" and (width <= 1 or side == 224):
        name = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{width}_{side}.h5"
        return Release(url=f"{SERVER}/mobilenet_v2/{name}", md5=None)
    if spec.family.startswith("mobilenet_v3_"):
        name = f"{spec.family.removeprefix('mobilenet_v3_')}_{side}_{width}"
        return Release(url=f"{SERVER}/mobilenet_v3/weights_mobilenet_v3_{name}_float.h5", md5=_V3_MD5[name])
    return None


RELEASES: Mapping[str, Release] = MappingProxyType(
    {name: release for name, spec in MODELS.items() if (release := _release(spec))}
)
"""By name of the network."""


def find_release(spec: ModelSpec, *, otherwise: str = TRAIN_HERE) -> Release:
    """The weights of a network.

    Args:
        spec: The network.
        otherwise: What to do where there are none.

    Raises:
        WeightsError: there are none; the message says which networks have some.
    """
    if spec.name in RELEASES:
        return RELEASES[spec.name]
    raise WeightsError(
        f"no ImageNet weights were released for {spec.name}; there are some for {_networks()} "
        f"(`.venv/bin/python -m models list` marks them); {otherwise}"
    )


def _networks() -> str:
    """What has weights, in words."""
    return (
        "mobilenet_v1 in all widths and resolutions, mobilenet_v2 in all but those of widths 1.3 and 1.4 below 224 px, "
        "and mobilenet_v3"
    )
