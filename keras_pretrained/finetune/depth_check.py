"""Whether a compiled model still trains what its depths say."""

from __future__ import annotations

from typing import Any

import keras

from keras_pretrained.finetune.backbones import backbones


def check(model: keras.Model) -> None:
    """Raises an error if the depth of a pretrained network has changed after `compile`.

    Keras holds the list of what it trains from the first step on. `fit` and `train_on_batch`
    refuse a model whose `trainable_from` was set since then; in a training loop of one's own,
    or where a layer inside of a stage was frozen by hand, this call tells.

    Args:
        model: a model with pretrained networks. One that was never compiled, or that has not
            trained yet, has no list that could be old.

    Raises:
        ValueError: the depth has changed; the message names the networks.

    Example:

    ```python
    encoder.trainable_from = 4
    finetune.check(model)  # ValueError: compile again
    model.compile("adamw", "mse")
    finetune.check(model)
    ```
    """
    networks = backbones(model)
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return
    changed = [network for network in networks if _is_stale(network, optimizer)]
    if changed or not model.compiled:
        # A change that was taken back leaves no trace but in the model.
        depths = [f"{x.name!r} (trainable_from={x.trainable_from!r})" for x in changed or networks]
        raise ValueError(
            f"The depth of {', '.join(depths)} has changed since model {model.name!r} was "
            "compiled. Call `compile()` again, with a new optimizer: the old one holds the state "
            "of other variables."
        )


def _is_stale(network: Any, optimizer: Any) -> bool:
    """Whether an optimizer that has begun holds other variables of a network than train now."""
    if not optimizer.built:
        return False
    held = {id(variable) for variable in optimizer._trainable_variables}
    trained = {id(variable) for variable in network.trainable_variables}
    return trained != held & {id(variable) for variable in network.weights}
