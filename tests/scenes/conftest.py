"""Shared by the tests of the scenes."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from scenes.scene import SceneError

# Numbers, what stands in quotes, products; and what is offered instead
FACTS = re.compile(r"\d+(?:\.\d+)?(?:e\d+)?|'[^' ]+'|`[^`]+`|\w+\*\w+", re.ASCII)
OFFERS = re.compile(r"(?:one of|it has|in the formula, expected|did you mean) (\w+(?:, \w+)*)\b", re.ASCII)


@pytest.fixture(scope="session")
def said_in_both() -> Callable[[SceneError], None]:
    """Checks that an error's Japanese sentence is Japanese and tells the same facts as the English one."""

    def check(error: SceneError) -> None:
        english, japanese = error.text["en"], error.text["ja"]
        assert english == str(error)
        assert re.search("[ぁ-ん]", japanese)
        assert "\n" not in japanese
        offers = [offer for offer in OFFERS.findall(english) if offer != "none"]
        for fact in FACTS.findall(english) + offers:
            assert fact in japanese, fact

    return check
