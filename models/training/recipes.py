"""`--recipe`: how the authors of the networks trained them, and how it is done here. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from models.training.settings import PLAIN, Decay, Method, Phase

GARDEN = "tensorflow/models, official/vision/configs/experiments/image_classification"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A way to train, for any network of the zoo."""

    name: str
    source: str
    """Where the numbers come from."""
    summary: str
    epochs: int | None
    """At the network's own picture size; None where the network decides."""
    batch: int
    learning_rate: float
    """For that batch."""
    batch_of_rate: int = 0
    """The batch that the rate is printed for; it is scaled to the batch in use. 0: it holds for any."""
    rate_scaling: Literal["linear", "root"] = "linear"
    """How the rate grows with the batch: in proportion (arXiv:1706.02677), or as its square root, as for Adam."""
    warmup_epochs: float = 0.0
    """At most; a tenth of the epochs, if that is less."""
    decay: Decay = "cosine"
    final_share: float = 0.0
    shift: float = 0.0
    grows: bool = False
    """Whether epochs on smaller pictures come first."""
    method: Method = PLAIN

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)

    def phase(self, resolution_px: int, epochs: int, batch: int) -> Phase:
        """So many epochs by this recipe."""
        rate = self.learning_rate
        if self.batch_of_rate:
            rate *= (batch / self.batch_of_rate) ** (1.0 if self.rate_scaling == "linear" else 0.5)
        return Phase(
            resolution_px=resolution_px,
            epochs=epochs,
            learning_rate=rate,
            batch=batch,
            shift=self.shift,
            warmup_epochs=min(self.warmup_epochs, epochs / 10),
            decay=self.decay,
            final_share=self.final_share,
        )


_RMSPROP = Method(
    optimizer="rmsprop", momentum=0.9, epsilon=0.002, weight_decay=1e-5, label_smoothing=0.1, flip=True
)  # fmt: skip

_ROWS = (
    Recipe(
        name="progressive",
        source="own; progressive resizing as in fast.ai's entry to DAWNBench (2018)",
        summary="many cheap epochs on small pictures, few on large ones: minutes on two cores for a thousand pictures",
        epochs=None,
        batch=16,
        learning_rate=7e-4,
        final_share=0.02,
        grows=True,
    ),
    Recipe(
        name="scratch",
        source="own; tried on shapes: 90.6 % top-1 with V1-0.25 at 128 px",
        summary="from random weights on thousands of pictures: small pictures first, then the network's own size",
        epochs=14,
        batch=32,
        learning_rate=3e-3,
        final_share=0.02,
        shift=1 / 8,
        grows=True,
    ),
    Recipe(
        name="steady",
        source="own; tried on shapes: 74.4 % top-1 with V3-small at 96 px",
        summary="from random weights on thousands of pictures, all at the network's own size",
        epochs=16,
        batch=32,
        learning_rate=3e-3,
        warmup_epochs=1,
        final_share=0.02,
        shift=1 / 8,
    ),
    Recipe(
        name="fine_tune",
        source="own rates; the procedure is Keras' guide to transfer learning (keras.io/guides/transfer_learning)",
        summary="what --fine-tune does: the new classifier alone, then all kernels at a tenth of the rate",
        epochs=10,
        batch=32,
        learning_rate=1e-3,
        final_share=0.01,
        shift=1 / 16,
        method=Method(flip=True),
    ),
    Recipe(
        name="qat",
        source="own; the gradients of ranges are those of arXiv:1902.08153 and arXiv:2004.09576",
        summary="what --qat does: kernels and ranges of activations, for a tenth of the float epochs at a small rate",
        epochs=None,
        batch=32,
        learning_rate=5e-4,
        final_share=0.01,
        shift=1 / 16,
    ),
    Recipe(
        name="bag_of_tricks",
        source="arXiv:1812.01187, sections 2.1, 3.1 and 5; momentum and weight decay of its authors' train_imagenet.py",
        summary="SGD with warm-up, cosine decay, label smoothing and mixup: a sound choice where there is a GPU",
        epochs=200,
        batch=256,
        learning_rate=0.1,
        batch_of_rate=256,
        warmup_epochs=5,
        method=Method(
            optimizer="sgd", weight_decay=1e-4, label_smoothing=0.1, flip=True, colour=0.4, mixup=0.2
        ),
    ),
    Recipe(
        name="mobilenet_v1",
        source=f"{GARDEN}/imagenet_mobilenetv1_tpu.yaml (72.33 % top-1 with V1-1.0)",
        summary="RMSprop, exponential decay",
        epochs=500,
        batch=128,
        learning_rate=0.008,
        batch_of_rate=128,
        warmup_epochs=5,
        decay="exponential",
        # 0.94 every 2.5 epochs.
        final_share=0.94 ** (500 / 2.5),
        method=_RMSPROP,
    ),
    Recipe(
        name="mobilenet_v2",
        source=f"{GARDEN}/imagenet_mobilenetv2_gpu.yaml (71.0 % top-1 with V2-1.0)",
        summary="RMSprop, exponential decay",
        epochs=500,
        batch=128,
        learning_rate=0.008,
        batch_of_rate=128,
        warmup_epochs=5,
        decay="exponential",
        final_share=0.96 ** (500 / 2.5),
        method=_RMSPROP,
    ),
    Recipe(
        name="mobilenet_v3",
        source=f"{GARDEN}/imagenet_mobilenetv3small_tpu.yaml (67.5 % top-1 with V3 small)",
        summary="RMSprop, exponential decay, averaged weights",
        epochs=1000,
        batch=128,
        learning_rate=0.01,
        batch_of_rate=4096,
        warmup_epochs=5,
        decay="exponential",
        final_share=0.99 ** (1000 / 3),
        method=replace(_RMSPROP, ema_momentum=0.9999),
    ),
    Recipe(
        name="mobilenet_v4",
        source=f"{GARDEN}/imagenet_mobilenetv4_conv_small_tpu.yaml (73.8 % top-1 with V4 conv small)",
        summary="AdamW, cosine decay, RandAugment, averaged weights",
        epochs=9600,
        batch=128,
        learning_rate=0.002,
        batch_of_rate=4096,
        rate_scaling="root",
        warmup_epochs=5,
        method=Method(
            optimizer="adamw", momentum=0.6, epsilon=1e-6, weight_decay=0.01, label_smoothing=0.1,
            ema_momentum=0.9999, flip=True, rand_augment=0.45,
        ),
    ),
    Recipe(
        name="vgg",
        source="arXiv:1409.1556, section 3.1, its three steps of a tenth drawn out to one exponential decay",
        summary="SGD with momentum",
        epochs=74,
        batch=256,
        learning_rate=0.01,
        batch_of_rate=256,
        decay="exponential",
        final_share=1e-3,
        method=Method(optimizer="sgd", weight_decay=5e-4, flip=True, colour=0.1),
    ),
)  # fmt: skip

RECIPES: Mapping[str, Recipe] = MappingProxyType({row.name: row for row in _ROWS})
FINE_TUNE, QAT, IMAGENET = "fine_tune", "qat", "imagenet"
