"""A PostgreSQL server of its own that can crash: the whole of it, or one session."""

import os
import signal
import subprocess
import time
from typing import Self, cast

import psycopg

from tests.support.postgres_server import PostgresServer

_LIMIT_SECONDS = 60


class CrashingPostgres(PostgresServer):
    """Crashes and starts again on the same files, which it then has to recover."""

    def __enter__(self) -> Self:
        super().__enter__()
        self._command = cast("list[str]", self._server.args)
        return self

    def crash(self) -> None:
        """End at once, as in a power cut: no session ends in order, nothing more is flushed."""
        process = self._server
        process.send_signal(signal.SIGQUIT)
        process.wait(_LIMIT_SECONDS)

    def start_again(self, *settings: str) -> None:
        """Start on the files that the crash left, with further settings until the next crash."""
        options = [word for setting in settings for word in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **self._as_user,
            )
        self._wait_until_ready()

    def kill_session(self, database: str, doing: str) -> None:
        """Kill the session of a database that does this, once one does; all others go with it.

        Args:
            database: Its name.
            doing: A condition on `pg_stat_activity`.
        """
        asked = (
            f"SELECT pid FROM pg_stat_activity WHERE datname = '{database}' AND {doing} "
            "AND backend_type = 'client backend'"
        )
        until = time.monotonic() + _LIMIT_SECONDS
        while not (found := self.administer(asked)):
            assert time.monotonic() < until, f"no session of {database}: {doing}"
        ((process,),) = found
        where = f"host={self.folder} dbname=postgres user=postgres"
        with psycopg.connect(where, autocommit=True) as bystander:
            os.kill(process, signal.SIGKILL)
            try:
                bystander.execute(f"SELECT pg_sleep({_LIMIT_SECONDS})")
            except psycopg.OperationalError:  # the server ends every session and recovers
                self._wait_until_ready()
                return
        raise AssertionError("the server did not notice that a session was killed")

    @property
    def _server(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process
