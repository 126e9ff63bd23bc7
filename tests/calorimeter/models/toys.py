"""Small showers with a known structure, for models of any geometry."""

import numpy as np


def toy_showers(sizes, n, seed=0, empty=0.3):
    """Incident energies (n,) and voxels (n, V) in MeV: exponential profiles, empty voxels and layers."""
    random = np.random.default_rng(seed)
    incident = 10 ** random.uniform(3, 5, n)
    depth = random.dirichlet(np.linspace(4, 1, len(sizes)), n)
    parts = []
    for layer, size in enumerate(sizes):
        profile = np.exp(-3 * np.arange(size) / size)
        voxels = profile * random.gamma(2.0, 1.0, (n, size)) * (random.random((n, size)) > empty)
        total = np.maximum(voxels.sum(1, keepdims=True), 1e-9)
        parts.append(voxels / total * (0.95 * incident * depth[:, layer])[:, None])
    voxels = np.concatenate(parts, 1)
    voxels[: n // 50, -sizes[-1] :] = 0  # some showers do not reach the last layer
    return incident, voxels.astype(np.float32)
