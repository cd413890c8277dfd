"""The folder of a witness: how it is made, who may look in, which logs it follows."""

from pathlib import Path

import pytest

from alloc_service.errors import (
    KeyFileError,
    KeysLinkError,
    KeysLooseError,
    KeysPassphraseError,
    NoteError,
    WitnessFolderError,
)
from alloc_service.log.note import ED25519
from alloc_service.sealing.witness_folder import (
    KEY,
    POLICY,
    PROTECTED_KEY,
    VKEY,
    add_log,
    create_witness,
    is_protected,
    note_path,
    open_key,
    read_logs,
    read_public,
)
from tests.support.witnesses import NAME, ORIGIN, GrowingLog, make_witness

LOG = GrowingLog()
pytestmark = pytest.mark.usefixtures("locking_cheaply")

PASSPHRASE = "a long passphrase of the committee"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "witness"


def test_a_witness_is_made_in_a_private_folder(folder: Path) -> None:
    public = create_witness(folder, NAME)

    assert folder.stat().st_mode & 0o777 == 0o700
    assert {(path.name, path.stat().st_mode & 0o777) for path in folder.iterdir()} == {
        (KEY, 0o600),
        (VKEY, 0o600),
        (POLICY, 0o600),
    }
    assert open_key(folder).verifier == read_public(folder) == public
    assert public.name == NAME
    assert not is_protected(folder)
    assert read_logs(folder) == {}


def test_a_passphrase_protects_the_key(folder: Path) -> None:
    public = create_witness(folder, NAME, PASSPHRASE)

    assert is_protected(folder)
    assert (folder / PROTECTED_KEY).read_bytes().startswith(b"age-encryption.org/v1\n")
    assert open_key(folder, PASSPHRASE).verifier == public
    for wrong in (None, "another passphrase"):
        with pytest.raises(KeysPassphraseError):
            open_key(folder, wrong)


def test_a_short_passphrase_makes_nothing(folder: Path) -> None:
    with pytest.raises(KeysPassphraseError, match="at least 12"):
        create_witness(folder, NAME, "short")

    assert not folder.exists()


def test_a_name_with_a_space_makes_nothing(folder: Path) -> None:
    with pytest.raises(NoteError):
        create_witness(folder, "the dmc")

    assert not folder.exists()


def test_a_witness_is_never_made_over_another_one(folder: Path) -> None:
    public = create_witness(folder, NAME)

    with pytest.raises(WitnessFolderError, match="a witness here already"):
        create_witness(folder, "another")

    assert read_public(folder) == public


def test_a_witness_is_not_made_among_other_files(folder: Path) -> None:
    folder.mkdir(0o700)
    (folder / "letters.txt").write_text("dear committee")

    with pytest.raises(WitnessFolderError, match="other files"):
        create_witness(folder, NAME)


def test_a_making_that_was_interrupted_is_made_anew(folder: Path) -> None:
    create_witness(folder, NAME)
    (folder / VKEY).rename(folder / ".unfinished-witness.vkey")

    with pytest.raises(WitnessFolderError, match="no witness here"):
        open_key(folder)
    public = create_witness(folder, NAME)

    assert open_key(folder).verifier == public


@pytest.mark.parametrize("missing", ["folder", "file"])
def test_where_there_is_no_witness_nothing_is_opened_and_nothing_is_made(
    folder: Path, missing: str
) -> None:
    if missing == "file":
        folder.mkdir(0o700)
    for act in (open_key, read_public, read_logs, lambda path: add_log(path, LOG.key)):
        with pytest.raises(WitnessFolderError, match="no witness here"):
            act(folder)

    assert folder.exists() == (missing == "file")


def test_a_folder_or_key_that_others_can_read_is_refused(folder: Path) -> None:
    create_witness(folder, NAME)
    (folder / KEY).chmod(0o640)
    with pytest.raises(KeysLooseError):
        open_key(folder)
    (folder / KEY).chmod(0o600)
    folder.chmod(0o755)
    with pytest.raises(KeysLooseError):
        open_key(folder)


def test_a_link_in_the_place_of_a_key_is_refused(folder: Path, tmp_path: Path) -> None:
    create_witness(folder, NAME)
    (folder / KEY).rename(tmp_path / "elsewhere")
    (folder / KEY).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(KeysLinkError):
        open_key(folder)


@pytest.mark.parametrize("data", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_key_file_that_holds_no_key_is_refused(folder: Path, data: bytes) -> None:
    create_witness(folder, NAME)
    (folder / KEY).write_bytes(data)

    with pytest.raises(WitnessFolderError, match=r"witness\.key: this is no Ed25519 key"):
        open_key(folder)


def test_the_key_of_another_witness_is_refused(folder: Path, tmp_path: Path) -> None:
    create_witness(folder, NAME)
    create_witness(tmp_path / "other", NAME)
    (folder / KEY).write_bytes((tmp_path / "other" / KEY).read_bytes())

    with pytest.raises(WitnessFolderError, match="not the one"):
        open_key(folder)


@pytest.mark.parametrize("data", [b"", b"\xff", f"{LOG.key.vkey}\n".encode()])
def test_a_public_key_that_is_no_witnesss_is_refused(folder: Path, data: bytes) -> None:
    create_witness(folder, NAME)
    (folder / VKEY).write_bytes(data)

    with pytest.raises(WitnessFolderError, match="no witness's key"):
        read_public(folder)


def test_a_log_is_followed_from_nothing_on_and_stays_followed(folder: Path) -> None:
    public = make_witness(folder, LOG.key)
    note_path(folder, ORIGIN).write_text("what was seen")
    add_log(folder, LOG.key)
    add_log(folder, GrowingLog("other.example.org/T/audit").key)

    assert sorted(read_logs(folder)) == ["other.example.org/T/audit", ORIGIN]
    assert note_path(folder, ORIGIN).read_text() == "what was seen"
    assert (folder / POLICY).read_text() == (
        f"log {LOG.key.vkey}\nlog {read_logs(folder)['other.example.org/T/audit'][-1].vkey}\n"
        "quorum none\n"
    )
    assert read_public(folder) == public


def test_what_was_seen_outlives_an_interrupted_adding(folder: Path) -> None:
    make_witness(folder)
    note_path(folder, ORIGIN).write_text("what was seen")
    note_path(folder, ORIGIN).chmod(0o600)
    add_log(folder, LOG.key)

    assert note_path(folder, ORIGIN).read_text() == "what was seen"


def test_a_logs_key_is_not_exchanged_unsaid_and_is_no_witnesss(folder: Path) -> None:
    public = make_witness(folder, LOG.key)

    with pytest.raises(WitnessFolderError, match=r"with another key.*compare the two.*--changed"):
        add_log(folder, GrowingLog(label="next").key)
    with pytest.raises(WitnessFolderError, match="a witness's, not a log's"):
        add_log(folder, public, changed=True)

    assert read_logs(folder) == {ORIGIN: (LOG.key,)}


def test_a_changed_key_takes_the_place_of_the_one_before_and_none_comes_back(folder: Path) -> None:
    make_witness(folder, LOG.key)
    other, newer = GrowingLog("other.example.org/T/audit").key, GrowingLog(label="next").key
    add_log(folder, other)
    note_path(folder, ORIGIN).write_text("what was seen")

    for _ in range(2):
        add_log(folder, newer, changed=True)

    assert read_logs(folder) == {ORIGIN: (LOG.key, newer), other.name: (other,)}
    assert note_path(folder, ORIGIN).read_text() == "what was seen"
    for changed in (False, True):
        with pytest.raises(WitnessFolderError, match="an older key of"):
            add_log(folder, LOG.key, changed=changed)
    with pytest.raises(WitnessFolderError, match="is not followed here yet"):
        add_log(folder, GrowingLog("third.example.org/T/audit").key, changed=True)
    assert read_logs(folder) == {ORIGIN: (LOG.key, newer), other.name: (other,)}


def test_a_policy_may_hold_comments_witnesses_and_addresses(folder: Path) -> None:
    public = make_witness(folder)
    (folder / POLICY).write_text(
        f"# ours\n\n  log\t{LOG.key.vkey} https://rac.example.org/\n"
        f"witness w {public.vkey}\nquorum w\n"
    )

    assert read_logs(folder) == {ORIGIN: (LOG.key,)}
    assert LOG.key.kind == ED25519


def test_a_comment_hides_no_log_from_whoever_reads_the_policy(folder: Path) -> None:
    make_witness(folder)
    for parting in "\u2028\x85":
        (folder / POLICY).write_text(f"# ours{parting}log {LOG.key.vkey}\nquorum none\n")
        assert read_logs(folder) == {}


@pytest.mark.parametrize(
    "text",
    [
        "log x\n",
        f"log {LOG.key.vkey}\nlog {LOG.key.vkey}\n",
        "log {witness}\n",
        "\udcff",
        f"# ours\x0clog {LOG.key.vkey}\n",
        "quorum none\r\n",
    ],
)
def test_a_policy_that_is_none_is_refused(folder: Path, text: str) -> None:
    public = make_witness(folder)
    text = text.replace("{witness}", public.vkey)
    (folder / POLICY).write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(WitnessFolderError, match=r"policy\.txt"):
        read_logs(folder)


def test_a_policy_that_is_too_large_is_refused_and_not_cut(folder: Path) -> None:
    make_witness(folder, LOG.key)
    with (folder / POLICY).open("ab") as file:
        file.write(b"# ours\n" * 2**18)

    with pytest.raises(WitnessFolderError, match=r"policy\.txt: it is larger than 1,048,576 bytes"):
        read_logs(folder)


def test_what_the_system_refuses_is_a_refusal(folder: Path) -> None:
    make_witness(folder)
    (folder / POLICY).unlink()

    with pytest.raises(KeyFileError):
        read_logs(folder)
