"""Small showers with a known structure, for models of any geometry."""

import numpy as np

SHAPES = ((2, 4), (2, 2))
"""Of two layers of 2 x 4 and 2 x 2 cells, which cover the same square."""


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


def correlated_showers(n, seed=0):
    """Hits of neighbours that come together, and energies that rise with the incident one."""
    random = np.random.default_rng(seed)
    incident = random.uniform(1e4, 1e5, 2 * n)
    parts = []
    for a, b in SHAPES:
        common = random.normal(size=(2 * n, 1, 1))
        hit = random.normal(size=(2 * n, a, b)) + common > 0.5 - 0.5 * (incident[:, None, None] / 1e5)
        parts.append((hit * np.exp(random.normal(3, 0.5, (2 * n, a, b)) + 0.5 * common)).reshape(2 * n, -1))
    voxels = np.concatenate(parts, 1)
    kept = np.flatnonzero((voxels[:, :8].sum(1) > 0) & (voxels[:, 8:].sum(1) > 0))[:n]  # no layer is empty
    incident, voxels = incident[kept], voxels[kept]
    share = np.where(np.arange(12) < 8, 0.3, 0.6)
    sums = np.repeat([voxels[:, :8].sum(1), voxels[:, 8:].sum(1)], [8, 4], axis=0).T
    return incident, voxels / sums * share * incident[:, None]
