"""Other histories of a trial: yesterday's database, and one that went on elsewhere from there.

A database is put in another one's place as somebody would who restores a backup (SQLite: another
file under the same name) or who doctors one (PostgreSQL: all rows exchanged, with the triggers
off). The service that uses it is not asked.
"""

from pathlib import Path

from sqlalchemy import delete, insert, select

from alloc_service.storage import triggers
from alloc_service.storage.engine import Database
from alloc_service.storage.tables import METADATA
from tests.faults.life import Home, Life, replace_sqlite


def clone(life: Life, folder: Path, url: str = "") -> Life:
    """Copy a life, anchors and all, to another machine: it may go on there by itself.

    Args:
        life: What is copied.
        folder: Of the copy.
        url: An empty, migrated PostgreSQL database; none for SQLite.
    """
    copied = life.moved(life.home.copy_to(folder, url))
    if url:
        exchange_rows(life.home, copied.home)
    return copied


def put_back(source: Life, target: Life) -> None:
    """Put the database of one life in the place of another's."""
    if target.home.url.startswith("sqlite"):
        replace_sqlite(source.home.database_file, target.home.database_file)
    else:
        exchange_rows(source.home, target.home)


def exchange_rows(source: Home, target: Home) -> None:
    """Replace every row of a database by another one's, past all triggers."""
    tables = METADATA.sorted_tables
    one, other = Database(source.url), Database(target.url)
    with one.read() as session:
        rows = {
            table.name: [dict(row._mapping) for row in session.execute(select(table))]
            for table in tables
        }
    with other.write() as transaction, triggers.lifted(transaction.connection()):
        for table in reversed(tables):
            transaction.execute(delete(table))
        for table in tables:
            if rows[table.name]:
                transaction.execute(insert(table), rows[table.name])
    one.dispose()
    other.dispose()
