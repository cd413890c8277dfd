import os
import pty
import subprocess
from pathlib import Path

import pyrage  # type: ignore[import-untyped]  # the library ships no types
import pytest

from alloc_service.errors import AgeError
from alloc_service.sealing import age

IDENTITY = "AGE-SECRET-KEY-19FEV8HG88RLT9J89EG3ZHR5QSXVXYG9SE45774CFL5SYEWLTXCRSE6S0NX"
RECIPIENT = "age17nzglvhs9q9ghyrj83z4yx4hx7e6jt2f5pf2k07dg263xnzrmp6shv959s"
STRANGER = "AGE-SECRET-KEY-17U78HUDPFULTCPMW7AGF77ZP48JJ79YV8S5TXGSGG9A4HUD0V9QSDX2JMF"
PASSPHRASE = "correct horse bättery staple"

# Bech32 of points with a right checksum: 0 and 1, of small order, and one with its top bit set.
ZERO = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z"
ONE = "age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqj7vrya"
ODD = "age1zwlyl6h27gzv0lfntr7fcqrjrzqazap8sy5zylkxwneh7llf00ksc4vu4j"


def test_a_recipient_has_one_spelling() -> None:
    assert age.read_recipient(f" {RECIPIENT.upper()}\n") == RECIPIENT


@pytest.mark.parametrize("text", ["", "age1", RECIPIENT[:-1] + "q", IDENTITY, "\ud800", "age1\x00"])
def test_what_is_no_recipient_is_refused(text: str) -> None:
    with pytest.raises(AgeError, match="X25519 public key"):
        age.encrypt_to(text, b"text")


@pytest.mark.parametrize("text", [ZERO, ONE])
def test_a_weak_recipient_is_refused_before_the_library_panics(text: str) -> None:
    with pytest.raises(AgeError, match="weak"):
        age.encrypt_to(text, b"text")


def test_a_second_spelling_of_a_recipients_point_is_refused() -> None:
    with pytest.raises(AgeError, match="one spelling"):
        age.read_recipient(ODD)


def test_an_identity_is_read_from_its_line_or_its_file() -> None:
    file = f"# created: 2026-01-02T09:00:00Z\n# public key: {RECIPIENT}\n{IDENTITY}\n"

    assert age.read_identity(IDENTITY) == age.read_identity(file) == IDENTITY


@pytest.mark.parametrize("text", ["", "# only a comment\n", f"{IDENTITY}\n{STRANGER}\n"])
def test_an_identity_file_holds_exactly_one(text: str) -> None:
    with pytest.raises(AgeError, match="must hold one"):
        age.read_identity(text)


@pytest.mark.parametrize("text", [IDENTITY[:-1] + "Q", RECIPIENT, "\udcff"])
def test_what_is_no_identity_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(AgeError, match="no X25519 identity") as caught:
        age.decrypt_with(text, age.MAGIC)
    assert text not in str(caught.value)


def test_a_file_opens_for_its_identity_alone() -> None:
    file = age.encrypt_to(RECIPIENT, b"text")

    assert file.startswith(age.MAGIC)
    assert age.decrypt_with(IDENTITY, file) == b"text"
    with pytest.raises(AgeError, match="another identity"):
        age.decrypt_with(STRANGER, file)


def test_a_changed_file_is_refused() -> None:
    file = age.encrypt_to(RECIPIENT, b"text")

    for cut in range(len(file)):
        with pytest.raises(AgeError):
            age.decrypt_with(IDENTITY, file[:cut])
        with pytest.raises(AgeError):
            age.decrypt_with(IDENTITY, file[:cut] + bytes([file[cut] ^ 1]) + file[cut + 1 :])


def test_an_armoured_file_is_refused() -> None:
    recipient = pyrage.x25519.Recipient.from_str(RECIPIENT)
    armoured = pyrage.encrypt(b"text", [recipient], armored=True)

    with pytest.raises(AgeError, match="binary"):
        age.decrypt_with(IDENTITY, armoured)
    with pytest.raises(AgeError, match="binary"):
        age.unlock(PASSPHRASE, armoured)


def test_a_passphrase_that_is_no_text_is_refused() -> None:
    with pytest.raises(AgeError, match="UTF-8"):
        age.lock("\udcff" * 12, b"text")
    with pytest.raises(AgeError, match="another passphrase"):
        age.unlock("\udcff" * 12, age.MAGIC)


def test_debians_age_opens_what_a_passphrase_protects(age_binary: str, tmp_path: Path) -> None:
    """The tool asks for the passphrase on its terminal, so it gets one."""
    file, opened = tmp_path / "key.age", tmp_path / "key"
    file.write_bytes(age.lock(PASSPHRASE, b"text"))
    with pytest.raises(AgeError, match="another passphrase"):
        age.unlock(PASSPHRASE + ".", file.read_bytes())
    assert age.unlock(PASSPHRASE, file.read_bytes()) == b"text"
    ours, theirs = pty.openpty()

    os.write(ours, f"{PASSPHRASE}\n".encode())
    subprocess.run(
        ["setsid", "--ctty", "--wait", age_binary, "-d", "-o", opened, file],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        check=True,
        timeout=120,
    )

    os.close(theirs)
    os.close(ours)
    assert opened.read_bytes() == b"text"


def test_a_new_identity_opens_what_is_encrypted_to_its_recipient() -> None:
    identity, recipient = age.make_identity()

    assert age.decrypt_with(identity, age.encrypt_to(recipient, b"list")) == b"list"
    assert age.make_identity()[0] != identity
