"""Where passwords are read: a line of a descriptor, and nothing beyond it."""

import os

import click
import pytest

from alloc_service.cli.people import LONGEST_LINE, Claim, Credentials, read_line
from tests.support.shell import (
    giving,
)


def test_one_line_is_read_and_the_next_is_left() -> None:
    with giving("first one\nsecond one\n") as fd:
        assert read_line(fd, "--password-fd") == "first one"
        assert read_line(fd, "--password-fd") == "second one"


def test_a_line_needs_no_end() -> None:
    with giving("only one") as fd:
        assert read_line(fd, "--password-fd") == "only one"


def test_a_password_beyond_ascii_is_read() -> None:
    with giving("随机分配的长密码 yes\n") as fd:
        assert read_line(fd, "--password-fd") == "随机分配的长密码 yes"


@pytest.mark.parametrize("text", ["", "\n"])
def test_nothing_is_no_password(text: str) -> None:
    with giving(text) as fd, pytest.raises(click.UsageError, match="gives no password"):
        read_line(fd, "--password-fd")


def test_bytes_that_are_no_text_are_refused() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"\xff\xfe\n")
    os.close(writer)
    with pytest.raises(click.UsageError, match="no text in UTF-8"):
        read_line(reader, "--password-fd")
    os.close(reader)


def test_an_endless_line_is_not_read_to_its_end() -> None:
    with giving("x" * (LONGEST_LINE * 2)) as fd:
        assert len(read_line(fd, "--password-fd")) == LONGEST_LINE + 1


def test_a_closed_descriptor_is_wrong_use() -> None:
    with pytest.raises(click.UsageError, match="cannot be read"):
        read_line(10_000, "--password-fd")


def test_credentials_and_claims_show_no_password() -> None:
    assert "secret" not in repr(Credentials("ada", "secret words"))
    assert repr(Claim("ada", 3)).startswith("Claim(username='ada'")
