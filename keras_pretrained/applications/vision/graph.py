"""`Graph`: the vocabulary in which image networks are written.

A network is a function that takes a graph and a tensor. Names are those of the checkpoint, with
dots in place of slashes; `scope` puts one before the names inside. `stage` says which layers are
frozen together, and `end` names a result that users and tests look at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras

from keras_pretrained.applications.vision.parts import (
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    ZeroBorder,
)

DEPTHWISE, POINTWISE = "of_depth", "of_points"
"""The two halves of what checkpoints have as one separable convolution."""

Size = int | tuple[int, int]
Padding = int | str
"""`"same"` and `"valid"` as TensorFlow has them; a number: so many pixels on every side."""


@dataclass(frozen=True)
class Style:
    """What the layers of a family have in common.

    Attributes:
        epsilon, gamma: of batch normalisations; `gamma`: whether they scale.
        activation: behind a normalised convolution: `"relu"` or `"relu6"`.
        norm: what the name of a normalisation adds to that of its convolution.
        norm_bias: whether normalised convolutions have biases too.
    """

    epsilon: float = 1e-3
    gamma: bool = True
    activation: str = "relu"
    norm: str = ".BatchNorm"
    norm_bias: bool = False


class Graph:
    """A functional Keras graph that is being written.

    Args:
        style: see `Style`.
        momentum: of the statistics of batch normalisations.
        keep_statistics: whether batch normalisations never update their statistics.
        folded: whether convolutions are to be made without the normalisations behind them, which
            then are in their kernels and biases.

    Attributes:
        norms: name of a convolution -> name of the normalisation behind it.
        layers: name -> layer, in the order of their making.
        stages: name -> names of its layers.
        heads: the stages behind the last feature map.
        ends: name -> tensor, of every end point.
    """

    def __init__(
        self,
        style: Style,
        momentum: float = 0.99,
        keep_statistics: bool = False,
        folded: bool = False,
    ) -> None:
        self.style = style
        self.momentum = momentum
        self.keep_statistics = keep_statistics
        self.folded = folded
        self.norms: dict[str, str] = {}
        self.layers: dict[str, keras.layers.Layer] = {}
        self.stages: dict[str, list[str]] = {}
        self.heads: set[str] = set()
        self.ends: dict[str, Any] = {}
        self._stage = "stem"
        self._scopes: list[str] = []

    @contextmanager
    def stage(self, name: str, head: bool = False) -> Iterator[None]:
        """The layers made inside belong to this stage."""
        before, self._stage = self._stage, name
        if head:
            self.heads.add(name)
        yield
        self._stage = before

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """The names inside begin with this one."""
        self._scopes.append(name)
        yield
        self._scopes.pop()

    def end(self, name: str, x: Any) -> Any:
        """Names a result."""
        self.ends[name] = x
        return x

    def add(
        self, make: Callable[..., keras.layers.Layer], name: str, x: Any, **options: Any
    ) -> Any:
        """Makes a layer of this name and applies it."""
        full = self._full(name)
        layer = make(name=full, **options)
        self.layers[full] = layer
        self.stages.setdefault(self._stage, []).append(full)
        return layer(x)

    # --- layers with weights ----------------------------------------------------------------

    def conv(
        self,
        x: Any,
        name: str,
        filters: int,
        size: Size,
        stride: int = 1,
        padding: Padding = "same",
        norm: bool | str = True,
        activation: str | bool = True,
        bias: bool | None = None,
    ) -> Any:
        """A convolution, by default with batch normalisation and the family's activation.

        Args:
            norm: whether it is normalised, or the name of the normalisation; without, it has
                biases.
            activation: True: the family's; False: none; or its name.
            bias: in place of the rule above.
        """
        x, padding = self._padded(x, name, padding, size, stride)
        bias = (not norm or self.style.norm_bias) if bias is None else bias
        bias = bias or (bool(norm) and self.folded)
        x = self.add(
            Conv2D,
            name,
            x,
            filters=filters,
            kernel_size=size,
            strides=stride,
            padding=padding,
            use_bias=bias,
        )
        return self._finished(x, name, norm, activation)

    def depthwise(
        self,
        x: Any,
        name: str,
        size: Size,
        stride: int = 1,
        padding: Padding = "same",
        multiplier: int = 1,
        norm: bool | str = True,
        activation: str | bool = True,
    ) -> Any:
        """A depthwise convolution without biases."""
        x, padding = self._padded(x, name, padding, size, stride)
        x = self.add(
            DepthwiseConv2D,
            name,
            x,
            kernel_size=size,
            strides=stride,
            padding=padding,
            depth_multiplier=multiplier,
            use_bias=bool(norm) and self.folded,
        )
        return self._finished(x, name, norm, activation)

    def separable(
        self,
        x: Any,
        name: str,
        filters: int,
        size: Size,
        stride: int = 1,
        multiplier: int = 1,
        norm: bool | str = False,
        bias: bool = False,
    ) -> Any:
        """A depthwise and a pointwise convolution, with nothing between them.

        Args:
            norm: whether the result is normalised, or the name of the normalisation.
        """
        x = self.depthwise(
            x, f"{name}.{DEPTHWISE}", size, stride, "same", multiplier, norm=False, activation=False
        )
        return self.conv(
            x, f"{name}.{POINTWISE}", filters, 1, norm=norm, activation=False, bias=bias
        )

    def norm(self, x: Any, name: str) -> Any:
        """A batch normalisation."""
        style = self.style
        return self.add(
            BatchNormalization,
            name,
            x,
            epsilon=style.epsilon,
            momentum=self.momentum,
            scale=style.gamma,
            keep_statistics=self.keep_statistics,
        )

    # --- layers without -----------------------------------------------------------------------

    def activation(self, x: Any, name: str, kind: str | None = None) -> Any:
        """The family's activation, or the one that is named."""
        kind = kind or self.style.activation
        limit = 6.0 if kind == "relu6" else None
        return self.add(keras.layers.ReLU, name, x, max_value=limit)

    def max_pool(
        self, x: Any, name: str, size: int = 3, stride: int = 2, padding: Padding = "same"
    ) -> Any:
        """The largest value of a window.

        `padding`: a number pads with zeros, which equals ignoring the border behind a ReLU;
        `"ceil"`: a last window that lies partly outside counts, likewise; `"zeros"`: `"same"`
        whose border counts, as zeros.
        """
        if padding == "ceil":
            # One row and column more makes every size divide as rounding up would.
            x, padding = self.pad_end(x, f"{name}.pad"), "valid"
        if padding == "zeros":
            x, padding = self.zero_border(x, f"{name}.pad", size, stride), "valid"
        x, padding = self._padded(x, name, padding, size, stride)
        return self.add(
            keras.layers.MaxPooling2D, name, x, pool_size=size, strides=stride, padding=padding
        )

    def pad_end(self, x: Any, name: str) -> Any:
        """A row of zeros below and a column to the right."""
        return self._zero_pad(x, name, ((0, 1), (0, 1)))

    def crop_start(self, x: Any, name: str) -> Any:
        """Without the first row and the first column."""
        return self.add(keras.layers.Cropping2D, name, x, cropping=((1, 0), (1, 0)))

    def zero_border(self, x: Any, name: str, size: int, stride: int) -> Any:
        """With the zeros that `"same"` thinks of for this window; see `ZeroBorder`."""
        return self.add(ZeroBorder, name, x, size=size, stride=stride)

    def avg_pool(
        self, x: Any, name: str, size: int = 3, stride: int = 1, padding: Padding = "same"
    ) -> Any:
        """The mean of a window. Of `"same"` the border does not count.

        `padding`: a number pads with zeros, which count; `"zeros"`: `"same"` whose border counts,
        as zeros.
        """
        if padding == "zeros":
            x, padding = self.zero_border(x, f"{name}.pad", size, stride), "valid"
        x, padding = self._padded(x, name, padding, size, 0)
        return self.add(
            keras.layers.AveragePooling2D, name, x, pool_size=size, strides=stride, padding=padding
        )

    def global_pool(self, x: Any, name: str, keep: bool = True) -> Any:
        """The mean over height and width."""
        return self.add(keras.layers.GlobalAveragePooling2D, name, x, keepdims=keep)

    def flat(self, x: Any, name: str) -> Any:
        """All of an image in one row."""
        return self.add(keras.layers.Flatten, name, x)

    def dropout(self, x: Any, name: str, rate: float) -> Any:
        """Dropout that is off where its stage is frozen."""
        return self.add(Dropout, name, x, rate=rate)

    def concat(self, xs: list[Any], name: str) -> Any:
        """Channels side by side."""
        return self.add(keras.layers.Concatenate, name, xs)

    def sum(self, xs: list[Any], name: str) -> Any:
        """Element by element."""
        return self.add(keras.layers.Add, name, xs)

    # --- inside ---------------------------------------------------------------------------------

    def _full(self, name: str) -> str:
        return ".".join([*self._scopes, name])

    def _finished(self, x: Any, name: str, norm: bool | str, activation: str | bool) -> Any:
        if norm:
            behind = norm if isinstance(norm, str) else f"{name}{self.style.norm}"
            self.norms[self._full(name)] = self._full(behind)
            x = x if self.folded else self.norm(x, behind)
        if activation:
            kind = activation if isinstance(activation, str) else None
            x = self.activation(x, f"{name}.relu", kind)
        return x

    def _padded(
        self, x: Any, name: str, padding: Padding, size: Size, stride: int
    ) -> tuple[Any, str]:
        if isinstance(padding, str):
            return x, padding
        if padding == 0:
            return x, "valid"
        if stride == 1 and size == 2 * padding + 1:
            return x, "same"
        return self._zero_pad(x, f"{name}.pad", padding), "valid"

    def _zero_pad(self, x: Any, name: str, padding: Any) -> Any:
        return self.add(keras.layers.ZeroPadding2D, name, x, padding=padding)
