"""An anchor never gets smaller, whatever honest and dishonest callers show in whatever order."""

import contextlib
import functools
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from alloc_service.errors import (
    AnchorWriteError,
    BlockedError,
    CanonError,
    EntryError,
    FrozenError,
    ProtocolError,
)
from alloc_service.sealing.anchor import Register
from alloc_service.sealing.keys import ServerKeys, create_keys
from tests.support.broken_disk import break_fsync
from tests.support.sealed_trial import ORIGIN, ListInHand, SealedTrial, seal_small_list


@functools.cache
def keys_and_list() -> tuple[ServerKeys, ListInHand]:
    with tempfile.TemporaryDirectory() as directory:
        keys = create_keys(Path(directory) / "keys")
    return keys, seal_small_list(keys)


class FollowedLog(RuleBasedStateMachine):
    """Two workers, an honest log, and whoever else can call the sealer or pull the plug.

    Attributes:
        kept: Every entry that was ever seen in the anchor.
        frozen: A contradiction was shown and no recovery made since.
        blocked: A refused entry was shown in the place after the anchor's last one.
    """

    @initialize()
    def begin(self) -> None:
        keys, hand = keys_and_list()
        # In memory where there is such a place: what a disk does is the matter of other tests.
        memory = Path("/dev/shm")  # noqa: S108 - a directory of its own is made in it
        self.folder = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        anchors = Path(self.folder.name) / "anchors"
        Register.create(anchors, keys.kid)
        self.trial = SealedTrial(keys, anchors, hand)
        self.trial.begin()
        self.workers = [self.trial.sealer, self.trial.another_sealer()]
        self.kept: list[bytes] = []
        self.frozen = self.blocked = False

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    @property
    def size(self) -> int:
        return self.trial.status.size

    def show(self, worker: int, since: int, entries: list[bytes]) -> None:
        """Follow, and check that the answer is the one that the trial's state asks for."""
        news = since - 1 + len(entries) > self.size
        try:
            note = self.workers[worker].follow(ORIGIN, since, entries)
        except FrozenError:
            assert self.frozen
        except BlockedError:
            assert self.blocked
            assert news
        else:
            assert not self.frozen
            assert not (self.blocked and news)
            assert note.startswith(f"{ORIGIN}\n{self.size}\n")

    @rule(count=st.integers(1, 3))
    def the_service_appends(self, count: int) -> None:
        for _ in range(count):
            self.trial.log.add_site()

    @rule(worker=st.integers(0, 1), data=st.data())
    def a_worker_shows_an_honest_read(self, worker: int, data: st.DataObject) -> None:
        since = data.draw(st.integers(1, self.size))
        end = data.draw(st.integers(since, len(self.trial.log.entries)))
        self.show(worker, since, self.trial.log.entries[since - 1 : end])

    @rule(worker=st.integers(0, 1), at=st.integers(0, 5))
    def an_fsync_fails(self, worker: int, at: int) -> None:
        since = self.size
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(AnchorWriteError):
            break_fsync(patch, {at, at + 1})
            self.show(worker, since, self.trial.log.entries[since - 1 :])

    @rule(data=st.data())
    def a_writer_is_killed_inside_a_line(self, data: st.DataObject) -> None:
        if self.size == len(self.trial.log.entries):
            self.trial.log.add_site()
        line = self.trial.log.entries[self.size] + b"\n"
        end = data.draw(st.integers(1, len(line) - 1))
        with self.trial.anchor_path.open("ab") as file:
            file.write(line[:end])
        # The next process cuts it; until then nobody else may write after it.
        self.trial.another_sealer().followed(ORIGIN)

    @rule(worker=st.integers(0, 1))
    def a_worker_restarts(self, worker: int) -> None:
        self.workers[worker] = self.trial.another_sealer()

    @rule(worker=st.integers(0, 1), beyond=st.integers(1, 9))
    def somebody_names_a_size_that_was_never_given(self, worker: int, beyond: int) -> None:
        with pytest.raises((ProtocolError, FrozenError)):
            self.workers[worker].follow(ORIGIN, self.size + beyond, self.trial.log.entries)
        with pytest.raises((ProtocolError, FrozenError)):
            self.workers[worker].follow(ORIGIN, 0, self.trial.log.entries[:1])

    @rule(worker=st.integers(0, 1), data=st.data())
    def somebody_shows_malformed_input(self, worker: int, data: st.DataObject) -> None:
        since = data.draw(st.integers(1, self.size))
        garbage = data.draw(st.binary(max_size=20))
        with pytest.raises((CanonError, EntryError, FrozenError)):
            self.workers[worker].follow(ORIGIN, since, [garbage])

    @rule(worker=st.integers(0, 1))
    def somebody_shows_an_entry_that_the_rules_refuse(self, worker: int) -> None:
        log = self.trial.log.restored(self.size)
        refused = log.write("site.paused", {"site": "never-activated"}).data
        self.blocked = self.blocked or not self.frozen
        self.show(worker, self.size, [log.entries[-1], refused])

    @precondition(lambda self: self.size > 1)
    @rule(worker=st.integers(0, 1), data=st.data())
    def the_log_is_rolled_back(self, worker: int, data: st.DataObject) -> None:
        size = self.size
        older = self.trial.log.restored(data.draw(st.integers(1, size - 1)))
        for number in range(data.draw(st.integers(0, 4))):
            older.add("site.activated", {"site": f"rewritten-{number}"})
        since = data.draw(st.integers(len(older.entries) + 1, size)) if (
            len(older.entries) < size and data.draw(st.booleans())
        ) else size  # fmt: skip
        self.frozen = True
        self.show(worker, since, older.entries[since - 1 :])

    @rule(worker=st.integers(0, 1), retire=st.booleans())
    def two_people_recover_the_trial(self, worker: int, *, retire: bool) -> None:
        entries = self.workers[worker].followed(ORIGIN)
        recovered = self.trial.log.restored(len(entries))
        assert recovered.entries == entries
        recovered.recover([1] if retire and 1 in recovered.state.lists else [])
        self.workers[worker].resume(ORIGIN, recovered.entries[-2:])
        self.trial.log = recovered
        self.frozen = self.blocked = False

    @invariant()
    def the_anchor_holds_all_that_it_ever_held_and_nothing_but_the_log(self) -> None:
        anchored = self.trial.anchored
        assert anchored[: len(self.kept)] == self.kept
        assert anchored == self.trial.log.entries[: len(anchored)]
        self.kept = anchored
        for sealer in self.workers:  # and status tells every worker the same
            status = sealer.status(ORIGIN)
            assert status.size == len(anchored)
            assert bool(status.frozen) == self.frozen
            assert bool(status.blocked) == self.blocked


FollowedLog.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
)
test_an_anchor_never_gets_smaller = FollowedLog.TestCase
