"""A YAML file with limits, to read and to be refused."""

from pathlib import Path

import pytest

from aibridge.limits.rules import read_limits
from aibridge.limits.written import Written
from aibridge.options import OptionError


class File:
    """A YAML file with limits."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, text: str) -> Written:
        self.path.write_text(text)
        return read_limits(self.path)

    def refusal(self, text: str) -> str:
        with pytest.raises(OptionError) as caught:
            self.read(text)
        message = str(caught.value)
        assert "\n" not in message
        return message.replace(str(self.path), "FILE")
