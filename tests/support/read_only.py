"""A database that can be read and not written, for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from alloc_service.storage.engine import Database
from tests.support.postgres_server import PostgresServer

_HEADER_OF_WRITERS = 18  # the byte of a SQLite file that says who may write it: 1 and 2 so far


@contextmanager
def read_only(database: Database, name: str, server: PostgresServer | None) -> Iterator[None]:
    """Let nobody write, by the header of the file or by the setting of the database.

    Args:
        database: Whose connections are closed, so that it sees the change.
        name: Its name on the server; of no use for a file.
        server: Where it is; none for a file.
    """
    for readable, value in ((True, "on"), (False, "off")):
        database.dispose()
        if server is None:
            assert database.path is not None
            with database.path.open("r+b") as file:
                file.seek(_HEADER_OF_WRITERS)
                file.write(b"\x03" if readable else b"\x02")
        else:
            setting = "default_transaction_read_only"
            server.administer(f"ALTER DATABASE {name} SET {setting} = {value}")
        if readable:
            yield
