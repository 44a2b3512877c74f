"""Variables -> checkpoint: the same map, read backward, gives the original names and layout."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from keras_pretrained.weights.report import Problems, WeightsError
from keras_pretrained.weights.weight_map import NameMap


def save_weights(
    variables: Mapping[str, np.ndarray],
    weight_map: NameMap,
    dims: Mapping[str, int],
    names: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint in the map's dialect: original names, shapes and bits.

    Args:
        variables: path below the layer -> values.
        weight_map: the dialect's rules.
        dims: sizes of the architecture that patterns and transforms refer to by name.
        names: variable path -> the names to use where the dialect has several spellings, as a
            `LoadReport` gives them; otherwise the map's first.

    Returns:
        Name in the checkpoint -> array, C-contiguous.

    Raises:
        WeightsError: a variable has no rule, or one that needs a variable which is not given.
    """
    tensors: dict[str, np.ndarray] = {}
    written: set[str] = set()
    problems = Problems()
    for path in variables:
        if path in written:
            continue
        rules = list(weight_map.candidates(path, dims))
        spelled = [rule for rule in rules if names and names.get(path) == rule.sources]
        rule = next(iter(spelled or rules), None)
        if rule is None:
            problems.missing[path] = "no rule of this dialect writes it"
            continue
        absent = [target for target in rule.targets if target not in variables]
        if absent:
            problems.missing[path] = f"is written together with {', '.join(absent)}"
            continue
        arrays = rule.transform.backward([variables[target] for target in rule.targets], dims)
        written.update(rule.targets)
        for name, array in zip(rule.sources, arrays, strict=True):
            tensors[name] = np.ascontiguousarray(array).reshape(array.shape)
    if problems:
        lines = [f"  {path}: {text}" for path, text in problems.missing.items()]
        raise WeightsError(
            f"These variables cannot be written in dialect {weight_map.dialect!r}:\n"
            + "\n".join(lines)
        )
    return tensors
