"""`alloc list code`: a stand-alone program that makes one list again, with its design in it.

The programs are those of docs/regenerate, in five languages, each shorter than a hundred lines;
here one line of a program is replaced by the design document, byte for byte. So the result is as
confidential as the design, and is for whoever may read that: with it and the seed, a statistician
makes the list on a machine where nothing of ours is installed. No database is needed where the
design is a file.
"""

import re
import shlex
import sys
from collections.abc import Callable, Mapping
from importlib import resources
from json import dumps
from pathlib import Path
from typing import NamedTuple

import click

from alloc_service.cli import files, screen
from alloc_service.cli.command import command
from alloc_service.cli.opening import open_service
from alloc_service.cli.people import Claim, acts_as, sign_in
from alloc_service.cli.source import FILE, read_design
from alloc_service.core.design import Design
from alloc_service.services import lists

_HEX_LINE = 64


class Template(NamedTuple):
    """A program that reads its design from a file, and how a design is written into it.

    Attributes:
        file: Its name in docs/regenerate.
        line: The start of the one line that the design replaces.
        write: From the design document to the lines that take the place of that line.
        comment: How a comment begins and ends.
        run: How the finished program is run, for the person who asked for it.
    """

    file: str
    line: str
    write: Callable[[str], str]
    comment: tuple[str, str]
    run: str


def _write_python(document: str) -> str:
    return f"DESIGN = {document!a}"


def _write_javascript(document: str) -> str:
    return f"const DESIGN = {dumps(document)};"


def _write_r(document: str) -> str:
    # As a string of JSON is spelled, but for what lies past 16 bits: R knows no pair of halves.
    spelled = "".join(
        char if char.isascii() else f"\\U{ord(char):08x}"
        for char in dumps(document, ensure_ascii=False)
    )
    return f"DESIGN <- {spelled}"


def _write_shell(document: str) -> str:
    return f"DESIGN={shlex.quote(document)}"


def _write_sas(document: str) -> str:
    digits = document.encode("utf-8").hex()
    rows = "\n".join(re.findall(f".{{1,{_HEX_LINE}}}", digits))
    return (
        "filename design temp;\n"
        "data _null_; /* the design document, as hexadecimal digits of its bytes */\n"
        "  infile datalines truncover; input digits $char64.; file design recfm=n;\n"
        "  length bytes $32; bytes = input(digits, $hex64.); n = lengthn(digits) / 2;\n"
        "  put bytes $varying32. n;\n"
        "datalines;\n"
        f"{rows}\n"
        ";\n"
        "run;"
    )


_HASH = ("# ", "")
TEMPLATES: Mapping[str, Template] = {
    "r": Template("regenerate.R", 'DESIGN <- ""', _write_r, _HASH, "Rscript PROGRAM SEED"),
    "python": Template(
        "regenerate.py", 'DESIGN = ""', _write_python, _HASH, "python3 PROGRAM SEED"
    ),
    "javascript": Template(
        "regenerate.js", 'const DESIGN = ""', _write_javascript, ("// ", ""), "node PROGRAM SEED"
    ),
    "sas": Template(
        "regenerate.sas", "filename design ", _write_sas, ("/* ", " */"),
        "sas PROGRAM, beside seed.txt",
    ),
    "shell": Template("regenerate.sh", "DESIGN=''", _write_shell, _HASH, "bash PROGRAM SEED"),
}  # fmt: skip


def write_program(design: Design, language: str) -> bytes:
    """Return the program of a language, with a design in it; confidential.

    Args:
        design: Of the list that the program makes again.
        language: A key of `TEMPLATES`.
    """
    template = TEMPLATES[language]
    place = resources.files("alloc_service.cli").joinpath("regenerate", template.file)
    lines = place.read_text("utf-8").splitlines()
    (at,) = (n for n, line in enumerate(lines) if line.startswith(template.line))
    before, after = template.comment
    lines[at] = (
        f"{before}CONFIDENTIAL: the design of list {design.list} of {design.trial}, "
        f"with its block sizes.{after}\n{template.write(design.to_bytes().decode('utf-8'))}"
    )
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


@command(
    "code",
    "alloc list code NCT01728727 1 --language r --out list-1.R --as zhao.lei\n"
    "alloc list code --design design.json --language python > list-1.py",
)
@click.argument("trial", required=False)
@click.argument("number", metavar="[LIST]", type=click.IntRange(1, 9_999), required=False)
@click.option(
    "--language",
    type=click.Choice(list(TEMPLATES)),
    required=True,
    help="The language of the program; the one in SAS is not run by our tests.  "
    "Example: --language r",
)
@click.option(
    "--design",
    "design_file",
    type=FILE,
    metavar="FILE",
    help="Instead of TRIAL and LIST: a design document, as `alloc design show --out` writes it; "
    "no database is needed.  Example: --design design.json",
)
@click.option(
    "--out",
    type=FILE,
    metavar="FILE",
    help="Write the program to a new file that you alone can read; otherwise it goes to "
    "standard output.  Example: --out list-1.R",
)
@acts_as
def code(
    *,
    trial: str | None,
    number: int | None,
    language: str,
    design_file: Path | None,
    out: Path | None,
    claim: Claim,
) -> None:
    """Write a program that makes a list again without us; you are a statistician of the trial.

    TRIAL and LIST: the look at the design is logged before anything is written. The program holds
    the design and not the seed. It is confidential, for it holds the block sizes: keep it where
    only statisticians can read it. It prints the list, D and the root; compare both with the log.
    """
    if out is not None:
        files.require_free(out)
    if design_file is not None and trial is None:
        design = read_design(design_file)
    elif design_file is None and trial is not None and number is not None:
        deps = open_service()
        design = lists.read_design(deps, sign_in(deps, claim), trial, number)
    else:
        raise click.UsageError("Give TRIAL and LIST, or --design FILE, and not both.")
    program = write_program(design, language)
    screen.banner(design.trial, err=True)
    if out is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(program)
    else:
        files.write_file(out, program)
    screen.hint("Confidential: the program holds the block sizes.")
    screen.hint(f"Run it with the seed's file: {TEMPLATES[language].run}")
