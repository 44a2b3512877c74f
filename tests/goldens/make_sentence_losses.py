"""Golden losses of sentence vectors, made by sentence-transformers itself.

Program: `MultipleNegativesRankingLoss` (also as its deprecated alias
`MultipleNegativesSymmetricRankingLoss` sets it up) and `CosineSimilarityLoss` on random vectors,
with their gradients by PyTorch.
Versions: Python 3.11, sentence-transformers 6.2.0, torch 2.13.0 (and, as found when it ran, in
`sentence_losses/golden.json`).
Command, from the root of the repository:

    python tests/goldens/make_sentence_losses.py
"""

from __future__ import annotations

import numpy as np
import tiny_bert
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses

FOLDER = tiny_bert.HERE / "sentence_losses"
EXAMPLES, TEXTS, WIDTH = 6, 4, 5


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    generator = np.random.default_rng(2019)
    vectors = generator.normal(size=(EXAMPLES, TEXTS, WIDTH)).astype("float32")
    scores = generator.uniform(size=EXAMPLES).astype("float32")
    # The losses take vectors here; the network that they hold is not run.
    network = SentenceTransformer(modules=[torch.nn.Identity()], device="cpu")
    ranking = losses.MultipleNegativesRankingLoss
    both = {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"}
    cases = {
        "pairs": (ranking(network), 2),
        "negatives": (ranking(network), TEXTS),
        "scale_5": (ranking(network, scale=5.0), 2),
        "symmetric": (ranking(network, **both), 2),
        "scores": (losses.CosineSimilarityLoss(network), 2),
    }
    arrays = {"vectors": vectors, "scores": scores}
    for name, (loss, texts) in cases.items():
        columns = [torch.tensor(vectors[:, column], requires_grad=True) for column in range(texts)]
        value = loss.compute_loss_from_embeddings(columns, torch.tensor(scores))
        value.backward()
        arrays[f"{name}_loss"] = value.detach().numpy()
        arrays[f"{name}_gradient"] = np.stack([column.grad.numpy() for column in columns], axis=1)
    np.savez_compressed(FOLDER / "expected.npz", **arrays)
    tiny_bert.write_note(
        FOLDER,
        "sentence_transformers.losses on random vectors; PyTorch, float32",
        ["sentence-transformers", "torch", "numpy"],
        meaning={
            "vectors": "(examples, texts, width): first text, second text, two that do not belong",
            "scores": "(examples,): targets of CosineSimilarityLoss",
            "pairs, scale_5": "MultipleNegativesRankingLoss on two texts, scale 20 and 5",
            "negatives": "the same on four texts, scale 20",
            "symmetric": "MultipleNegativesRankingLoss in both directions, scale 20",
            "*_gradient": "of the vectors that the loss reads",
        },
        expected=tiny_bert.describe(arrays),
    )


if __name__ == "__main__":
    main()
