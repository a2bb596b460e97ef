"""A network that learns: its weights, its optimizer and their averages, one step at a time. Imports TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.training.augment import Batch
from models.training.devices import Devices, Share
from models.training.settings import Method
from models.training.together import Step, make_step, synchronize_norms

Arrays = dict[str, NDArray[Any]]


def make_optimizer(method: Method, ema_momentum: float) -> keras.optimizers.Optimizer:
    """Keras' optimizer of a method; its learning rate is set before every step."""
    common: dict[str, Any] = {"learning_rate": 1e-3}
    if method.weight_decay:
        common["weight_decay"] = method.weight_decay
    if ema_momentum:
        common |= {"use_ema": True, "ema_momentum": ema_momentum}
    match method.optimizer:
        case "sgd":
            return keras.optimizers.SGD(momentum=method.momentum, nesterov=True, **common)
        case "rmsprop":
            return keras.optimizers.RMSprop(rho=0.9, momentum=method.momentum, epsilon=method.epsilon, **common)
        case "adamw":
            # Its own default is 0.004.
            common.setdefault("weight_decay", 0.0)
            return keras.optimizers.AdamW(beta_1=method.momentum, epsilon=method.epsilon, **common)
    return keras.optimizers.Adam(beta_1=method.momentum, epsilon=method.epsilon, **common)


def make_loss(method: Method, reduction: str = "sum_over_batch_size") -> keras.losses.Loss:
    """Cross-entropy of logits with the targets that a method's batches have."""
    if method.mixup or method.label_smoothing:
        smoothing = method.label_smoothing
        return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing, reduction=reduction)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)


class Learner:
    """One network in training."""

    def __init__(
        self,
        model: keras.Model,
        method: Method,
        *,
        steps: int,
        keeps_norms: bool = False,
        devices: Devices | None = None,
    ) -> None:
        """Takes a network that gives logits.

        Args:
            model: The network.
            method: How it learns.
            steps: Of the whole training: an average of weights that reached further back than a twentieth of it would
                still hold the first ones.
            keeps_norms: Whether batch normalization stays as it is: statistics, scale and offset.
            devices: That learn together, and the model was made on; one, if not given.
        """
        self.devices = devices or Devices()
        if not self.devices.alone:
            synchronize_norms(model)
        self._together: Step | None = None
        self.model, self.method, self.keeps_norms = model, method, keeps_norms
        self.ema_momentum = min(method.ema_momentum, max(0.0, 1 - 20 / max(1, steps)))
        self.frozen: bool | None = None
        self.averages: list[tf.Variable] = []
        self._average: Any = None

    @property
    def optimizer(self) -> Any:
        """Keras' optimizer, without what scales the loss for float16."""
        optimizer = self.model.optimizer
        return getattr(optimizer, "inner_optimizer", optimizer)

    def freeze(self, frozen: bool) -> None:
        """Lets the classifier alone learn, or all; a change starts a new optimizer."""
        if frozen is self.frozen:
            return
        self.frozen = frozen
        for layer in self.model.layers:
            is_norm = isinstance(layer, keras.layers.BatchNormalization)
            layer.trainable = layer.name == "classifier" if frozen else not (self.keeps_norms and is_norm)
        with self.devices.scope():
            self._compile()

    def _compile(self) -> None:
        optimizer = make_optimizer(self.method, self.ema_momentum)
        if self.method.weight_decay:
            optimizer.exclude_from_weight_decay([w for w in self.model.trainable_weights if len(w.shape) < 2])
        self.model.compile(
            optimizer=optimizer,
            loss=make_loss(self.method),
            metrics=["accuracy"],
            # XLA computes on one core when there is no GPU.
            jit_compile=bool(tf.config.list_physical_devices("GPU")),
        )
        # Now, so that all that a checkpoint holds exists before the first step.
        self.model.optimizer.build(self.model.trainable_variables)
        if self.ema_momentum:
            self._average_statistics()
        if not self.devices.alone:
            self._together = make_step(self.devices, self.model, make_loss(self.method, reduction="sum"))

    def _average_statistics(self) -> None:
        """Averages batch normalization's statistics beside the weights, which is all that Keras' optimizer averages."""
        statistics = [weight.value for weight in self.model.non_trainable_weights]
        self.averages = [tf.Variable(value) for value in statistics]
        pairs = list(zip(self.averages, statistics, strict=True))
        momentum = self.ema_momentum

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def average() -> None:
            for mean, value in pairs:
                mean.assign(momentum * mean + (1 - momentum) * value)

        self._average = average

    def step(self, batch: Batch, learning_rate: float, share: Share | None = None) -> tuple[float, float]:
        """Learns from a batch, or from this worker's share of one; returns the whole batch's mean loss and top-1."""
        self.optimizer.learning_rate = learning_rate
        if self._together:
            share = share or self.devices.share(np.arange(len(batch.targets)))
            loss, top1 = self._together(batch.images, batch.targets, batch.weights, share)
        else:
            metrics = self.model.train_on_batch(
                batch.images, batch.targets, sample_weight=batch.weights, return_dict=True
            )
            loss, top1 = float(metrics["loss"]), float(metrics["accuracy"])
        if self.averages:
            self._average()
        return loss, top1

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it the network has its average weights, if the method averages."""
        if not self.ema_momentum:
            yield
            return
        before = [np.array(weight) for weight in self.model.weights]
        trained = {weight.path: mean for weight, mean in self._averaged_weights()}
        for weight in self.model.weights:
            if weight.path in trained:
                weight.assign(trained[weight.path])
        try:
            yield
        finally:
            for weight, value in zip(self.model.weights, before, strict=True):
                weight.assign(value)

    def _averaged_weights(self) -> Iterator[tuple[Any, Any]]:
        means = self.optimizer._model_variables_moving_average  # noqa: SLF001 - Keras has no other way to read them
        yield from zip(self.model.trainable_weights, means, strict=True)
        yield from zip(self.model.non_trainable_weights, self.averages, strict=True)

    def state(self) -> Arrays:
        """Everything a further step depends on, by name."""
        return {name: np.array(variable) for name, variable in self._variables().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Goes back to a state of a network of the same kind, frozen in the same way.

        Raises:
            ValueError: it is of another kind.
        """
        variables = self._variables()
        if variables.keys() != state.keys() or any(tuple(v.shape) != state[k].shape for k, v in variables.items()):
            raise ValueError("it holds other variables")
        for name, variable in variables.items():
            variable.assign(state[name])

    def _variables(self) -> dict[str, Any]:
        groups = {"model": self.model.variables, "optimizer": self.model.optimizer.variables, "mean": self.averages}
        # By number: names of optimizer variables need not be unique.
        return {f"{group}/{n}": variable for group, members in groups.items() for n, variable in enumerate(members)}
