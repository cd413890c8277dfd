"""`alloc witness`: a witness on a machine of its own, which needs nothing but a folder."""

import re
from pathlib import Path

import click

from alloc_service.cli import files, screen
from alloc_service.cli.command import as_json, command, refuse
from alloc_service.cli.people import FD, ask_new_password, ask_password
from alloc_service.core.canon import Json
from alloc_service.log.note import Verifier
from alloc_service.log.witness import LONGEST_REQUEST
from alloc_service.sealing.witness import WitnessDesk, WitnessedLog, list_witnessed
from alloc_service.sealing.witness_folder import (
    add_log,
    create_witness,
    is_protected,
    read_public,
)
from alloc_service.services.deps import system_clock

BIND = "127.0.0.1:8700"
_OPTION = "--passphrase-fd N"
_PLACE = re.compile(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", re.ASCII)

folder_of_witness = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
passphrase_fd = click.option(
    "--passphrase-fd",
    type=FD,
    metavar="N",
    help="For scripts: the open file descriptor whose next line is the passphrase of the key.  "
    "Example: --passphrase-fd 3 3</run/secrets/witness",
)


@click.group("witness")
def witness_command() -> None:
    """Be the witness of a trial's log, on a machine of your own.

    A witness remembers how far it has seen a log, and signs that a longer one continues it. So
    nobody can show two readers two histories, nor put the whole service back to yesterday,
    without its being seen. It needs a folder, and neither a database nor this service's settings.
    """


@command(
    "init",
    "alloc witness init /srv/witness --name dmc.example.org/nct01728727 --log 'rac.example.org/…'",
    witness_command,
)
@folder_of_witness
@click.option(
    "--name",
    required=True,
    metavar="NAME",
    help="The witness's name in every signature, without spaces; it never changes.  "
    "Example: --name dmc.example.org/nct01728727",
)
@click.option(
    "--log",
    "logs",
    multiple=True,
    metavar="VKEY",
    help="The public key of a log to cosign, from a source that you trust; further ones with "
    "`add-log`.  Example: --log rac.example.org/NCT01728727/audit+c4c5a2d4+…",
)
@click.option("--protect", is_flag=True, help="Protect the key file with a passphrase.")
@passphrase_fd
def init(
    *, folder: Path, name: str, logs: tuple[str, ...], protect: bool, passphrase_fd: int | None
) -> None:
    """Make a witness's key in a folder, and print its public key for the trial's policy."""
    keys = [Verifier.parse(log) for log in logs]
    passphrase = None
    if protect or passphrase_fd is not None:
        passphrase = ask_new_password(passphrase_fd, _OPTION)
    public = create_witness(folder, name, passphrase)
    for key in keys:
        add_log(folder, key)
    screen.good(f"The witness {name} is made in {folder}.")
    screen.say(public.vkey)
    screen.hint("Give this line to the trial's managers. Never put the folder back from a backup.")


@command(
    "add-log",
    "alloc witness add-log /srv/witness 'rac.example.org/NCT01728727/audit+c4c5a2d4+AYdt8Q…'\n"
    "alloc witness add-log /srv/witness 'rac.example.org/NCT01728727/audit+…' --changed",
    witness_command,
)
@folder_of_witness
@click.argument("vkey")
@click.option(
    "--changed",
    is_flag=True,
    help="The service has changed the key of a log that is followed: from now on cosign what this "
    "key has signed, and nothing that the older one signs.",
)
def add(folder: Path, vkey: str, changed: bool) -> None:
    """Cosign one more log, named by its public key; or the same one under its new key.

    Take the line from two people and compare. What this witness has seen is not forgotten: under
    a new key too it signs only what continues it. A witness that is serving need not be stopped.
    """
    log = Verifier.parse(vkey)
    add_log(folder, log, changed=changed)
    screen.good(f"This witness follows {log.name}.")


@command("serve", "alloc witness serve /srv/witness --bind 127.0.0.1:8700", witness_command)
@folder_of_witness
@click.option(
    "--bind",
    default=BIND,
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen; beyond this machine put a web server with TLS before it.  "
    "Example: --bind 127.0.0.1:8700",
)
@passphrase_fd
def serve(folder: Path, bind: str, passphrase_fd: int | None) -> None:
    """Answer over HTTP until Ctrl-C ends it: POST /add-checkpoint."""
    # Here, for it loads a web server, which no other command of a witness needs.
    from alloc_service.cli.witness_server import serve as serve_http  # noqa: PLC0415

    place = _PLACE.fullmatch(bind)
    if place is None or not 1 <= int(place[2]) <= 65_535:
        raise click.UsageError(f"--bind {bind}: write it as 127.0.0.1:8700.")
    desk = _open(folder, passphrase_fd)
    screen.good(f"The witness {desk.verifier.name} answers at http://{bind} — Ctrl-C ends it.")
    serve_http(desk, bind)


@command(
    "cosign",
    "alloc witness cosign /srv/witness request.txt --out response.txt",
    witness_command,
)
@folder_of_witness
@click.argument("request", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write the response, a new file.  Example: --out response.txt",
)
@passphrase_fd
def cosign(folder: Path, request: Path, out: Path, passphrase_fd: int | None) -> None:
    """Cosign a request that came as a file, by mail or on a stick, and write the response.

    The response is the last note that this witness has cosigned of the log: the one asked for,
    or, where the request does not fit what was seen before, that earlier one; the exit code is 1
    then. Carry the response back in either case.
    """
    files.require_free(out)
    data = files.read_file(request, LONGEST_REQUEST)
    desk = _open(folder, passphrase_fd)
    answer = desk.answer(data, lambda: int(system_clock().timestamp()))
    note = ""
    if answer.status in {200, 409, 422}:
        note = desk.find_note(_origin_of(data))
    if note:
        files.write_file(out, note.encode())
        screen.say(str(out))
    if answer.status == 200:
        screen.good("Cosigned, and kept. Carry the response back.")
        return
    screen.complain(_explain(answer.status, answer.body.strip()))
    screen.hint(f"The request is {request}.")
    refuse()


@command("status", "alloc witness status /srv/witness", witness_command)
@folder_of_witness
@as_json
def status(folder: Path, as_json: bool) -> None:
    """Show this witness's public key, and how far it has seen each log."""
    public, logs = read_public(folder), list_witnessed(folder)
    if as_json:
        screen.emit({"logs": [_to_json(item) for item in logs], "vkey": public.vkey})
        return
    screen.facts((("Witness", public.name), ("Public key", public.vkey)))
    rows = [
        (item.log.name, str(item.checkpoint.size), item.checkpoint.root.hex())
        if item.checkpoint
        else (item.log.name, "nothing yet", "")
        for item in logs
    ]
    if rows:
        screen.table(("Log", "Entries seen", "Root"), rows)
    else:
        screen.say("It follows no log yet: `alloc witness add-log`.")


def _open(folder: Path, fd: int | None) -> WitnessDesk:
    if fd is None and not is_protected(folder):
        return WitnessDesk(folder)
    return WitnessDesk(folder, ask_password(fd, "Passphrase of the witness", _OPTION))


def _origin_of(data: bytes) -> str:
    return data.partition(b"\n\n")[2].partition(b"\n")[0].decode()


def _explain(status: int, told: str) -> str:
    if status != 409:
        return told
    return (
        f"Nothing was signed: this witness has seen {told} entries of the log, and the request "
        f"begins elsewhere. With the response the service asks again from there, or finds out "
        f"that it was put back to an older state."
    )


def _to_json(item: WitnessedLog) -> Json:
    at = item.checkpoint
    return {
        "log": item.log.vkey,
        "note": item.note,
        "root": at.root.hex() if at else "",
        "size": at.size if at else 0,
    }
