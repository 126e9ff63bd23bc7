"""Settings of all tests."""

import jaxtyping
import pytest
import torch
from hypothesis import settings

# The same examples in every run: a failure is a failure for everybody, and can be repeated.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, max_examples=40)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture
def without_shape_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what goes through torch.compile or torch.export: neither can trace the checks."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
