"""Shared by the tests of the model."""

import numpy as np
import pytest

from explorer.model.session import State
from scenes import SCENES


@pytest.fixture
def state():
    """What a user may have changed, for tests that keep it somewhere."""
    return State(scene="bptt", parameters=SCENES["bptt"].defaults(), edits={"W": np.eye(3)})
