"""A list as a file: its CSV, which has one spelling, and the allocation table that REDCap reads.

The CSV: UTF-8 without a byte order mark, LF after every line, RFC 4180 quoting only where a
stratum's code needs it, the columns `stratum,slot,arm,stratum_code,nonce`. Stratum and slot count
from 0 as in the openings, and the order of the rows is the order of the list. Whatever is not
spelled so is refused by line number; no refusal repeats an arm. Nothing is escaped for a
spreadsheet: a file that is read back and compared must hold the codes as they are.

Both files are the whole list in clear. Who may have one, and that it is logged, is decided
before anything here is called.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, zip_longest
from types import MappingProxyType
from typing import Protocol, TypeAlias

from alloc_service.core.design import is_stratum_code
from alloc_service.core.generate import GeneratedList
from alloc_service.core.secret import Secret
from alloc_service.errors import ListFileError

HEADER = "stratum,slot,arm,stratum_code,nonce"
STRATUM_COLUMN = "stratum"

_ROW = re.compile(
    r"(0|[1-9][0-9]{0,2}),(0|[1-9][0-9]{0,5}),([A-Za-z0-9._+-]{1,32})"
    r',("(?:[^"]|"")*"|[^",]*),([0-9a-f]{64})',
    re.ASCII,
)
_FACTOR = re.compile(r"([^=;]+)=([^;]+)")
_REDCAP_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*", re.ASCII)
_NO_NAMES: Mapping[str, str] = MappingProxyType({})

Lines: TypeAlias = str | bytes | Iterable[str] | Iterable[bytes]


class Sink(Protocol):
    """Where bytes go: a file opened with `wb`, or standard output's buffer."""

    def write(self, data: bytes, /) -> object:
        """Take some bytes."""
        ...


@dataclass(frozen=True, slots=True)
class ListRow(Secret):
    """One slot as a list file states it; no repr shows its arm or nonce."""

    stratum: int
    slot: int
    arm: str = field(repr=False)
    stratum_code: str
    nonce: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RedcapKey:
    """What the raw codes of an allocation table stand for: public, it holds no order.

    Attributes:
        arms: Arm codes; the raw code of each is its place, from 1.
        factors: For each factor column its name and its levels, coded likewise.
    """

    arms: tuple[str, ...]
    factors: tuple[tuple[str, tuple[str, ...]], ...]

    def rows(self) -> Iterator[tuple[str, int, str]]:
        """Yield (column, raw code, what it stands for)."""
        for column, labels in (("redcap_randomization_group", self.arms), *self.factors):
            for code, label in enumerate(labels, 1):
                yield column, code, label


def csv_lines(generated: GeneratedList) -> Iterator[str]:
    """Yield the lines of a list's CSV, header first, each with its LF; never all at once."""
    yield f"{HEADER}\n"
    codes = [_quote(stratum.code) for stratum in generated.design.strata]
    for slot in generated.openings():
        yield f"{slot.stratum},{slot.slot},{slot.arm},{codes[slot.stratum]},{slot.nonce}\n"


def write_csv(generated: GeneratedList, out: Sink) -> None:
    """Write a list's CSV as bytes, so that no locale or system changes its spelling."""
    for line in csv_lines(generated):
        out.write(line.encode("utf-8"))


def read_csv(source: Lines) -> tuple[ListRow, ...]:
    """Read a list's CSV strictly, and whole before anything of it is used.

    Args:
        source: The text or its bytes, or lines with their ends as an open file gives them: a
            file opened with `rb`, or with `newline=""`, which leaves a CR to be seen.

    Raises:
        ListFileError: The first line that breaks a rule; an arm is never repeated.
    """
    numbered = _read_lines(source)
    if next(numbered, (1, ""))[1] != HEADER:
        raise _refuse(1, f"the header must be {HEADER}")
    rows: list[ListRow] = []
    codes: list[str] = []
    for number, text in numbered:
        row = _read_row(number, text)
        _check_place(number, row, rows[-1] if rows else None, codes)
        rows.append(row)
    if not rows:
        raise _refuse(2, "the list has no slot; take the file again from its source")
    return tuple(rows)


def check_csv(source: Lines, generated: GeneratedList) -> None:
    """Check that a file is, byte for byte, the CSV of this list; streams both.

    Raises:
        ListFileError: The first line that is not the same; an arm is never repeated.
    """
    pairs = zip_longest(_read_lines(source), csv_lines(generated))
    for number, (found, line) in enumerate(pairs, 1):
        if found is None:
            raise _refuse(number, "the file ends before this line, the list does not")
        if line is None:
            raise _refuse(number, "the list ends before this line, the file does not")
        if f"{found[1]}\n" != line:
            raise _refuse(
                number,
                "not as this design and seed give it; either the file was changed, or it "
                "belongs to another design or seed",
            )


def write_redcap(
    generated: GeneratedList, out: Sink, names: Mapping[str, str] = _NO_NAMES
) -> RedcapKey:
    """Write REDCap's allocation table of a list, and return the key to its codes.

    Columns: `redcap_randomization_group`, `redcap_randomization_number`, then the stratification
    fields. Cells are raw choice codes: arms 1..k in design order, the levels of a factor 1..n in
    order of first appearance. Factors are read from stratum codes such as `cp=9-10;meld=<20`;
    where the codes are not all of that form and of the same factors, one column `stratum` stands
    for them. The project's fields need the same codes: `write_redcap_key` lists them.

    REDCap gives out the first unused row of the participant's stratum, so the rows keep the order
    of the list. Such a table gives everything away: whoever holds it, or can see it in the
    project's set-up or in a copy of its database, knows every arm to come and sees where blocks
    end. REDCap keeps it in clear and lets an administrator undo an allocation; nothing of the
    sealing, the log and the proofs of this service protects it. The number R-0001… counts the
    rows, so a number shown to a site tells the place in the list. Use another list, never this
    one, for a project in development: REDCap wants the two tables to differ, and a test trial's
    list does.

    Args:
        generated: The list.
        out: Takes the bytes: UTF-8, LF.
        names: For a factor, the project's variable name, where it is another one.

    Raises:
        ListFileError: A column's name is none that REDCap takes, is taken, or renames no factor.

    Source: the rules of REDCap's own check of an uploaded table.
    """
    factors, cells = _code_strata(generated)
    columns = _name_columns([name for name, _ in factors], names)
    arms = tuple(arm.code for arm in generated.design.arms)
    group = {arm: code for code, arm in enumerate(arms, 1)}
    header = ["redcap_randomization_group", "redcap_randomization_number", *columns]
    out.write(f"{','.join(header)}\n".encode())
    numbers = count(1)
    for stratum, cell in zip(generated.arms, cells, strict=True):
        for arm in stratum:
            out.write(f"{group[arm]},R-{next(numbers):04d},{cell}\n".encode())
    levels = (tuple(level) for _, level in factors)
    return RedcapKey(arms, tuple(zip(columns, levels, strict=True)))


def write_redcap_key(key: RedcapKey, out: Sink) -> None:
    """Write the key to an allocation table as CSV: `column,code,label`, UTF-8, LF.

    It is a list to enter by hand. An uploadable data dictionary would replace every field that
    the project has.
    """
    out.write(b"column,code,label\n")
    for column, code, label in key.rows():
        out.write(f"{column},{code},{_quote(label)}\n".encode())


def _refuse(number: int, rule: str) -> ListFileError:
    return ListFileError(where=f"List file, line {number}", rule=rule)


def _quote(text: str) -> str:
    # No code holds a control character, so a row is always one line.
    return '"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text


def _unquote(cell: str) -> str:
    return cell[1:-1].replace('""', '"') if cell.startswith('"') else cell


def _read_lines(source: Lines) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, text without its LF) of each line."""
    for number, data in enumerate(_split_lines(source), 1):
        if data.startswith(b"\xef\xbb\xbf"):
            raise _refuse(number, "a byte order mark; save the file as UTF-8 without one")
        if b"\r" in data:
            raise _refuse(number, "a CR; save the file with LF line ends")
        if not data.endswith(b"\n"):
            raise _refuse(number, "no LF at its end; the file may have been cut")
        yield number, _decode(number, data[:-1])


def _split_lines(source: Lines) -> Iterator[bytes]:
    whole = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    if isinstance(whole, bytes):
        # Bytes split at LF and CR alone; text would also split at U+2028, which a code may hold.
        yield from whole.splitlines(keepends=True)
        return
    for line in whole:
        yield line.encode("utf-8", "surrogatepass") if isinstance(line, str) else line


def _decode(number: int, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise _refuse(number, "not UTF-8") from None


def _read_row(number: int, text: str) -> ListRow:
    match = _ROW.fullmatch(text)
    if match is None:
        raise _refuse(number, f"not spelled as {HEADER}")
    code = _unquote(match[4])
    if _quote(code) != match[4] or not is_stratum_code(code):
        raise _refuse(number, "the stratum code is no code, or is not quoted as RFC 4180 needs it")
    return ListRow(int(match[1]), int(match[2]), match[3], code, match[5])


def _check_place(number: int, row: ListRow, last: ListRow | None, codes: list[str]) -> None:
    """Check that a row follows the last one, and note the code of a new stratum."""
    if last is not None and row.stratum == last.stratum:
        if row.slot != last.slot + 1:
            raise _refuse(number, f"slot {last.slot + 1} is expected here")
        if row.stratum_code != codes[-1]:
            raise _refuse(number, "the stratum's code has changed within the stratum")
        return
    if row.stratum != len(codes) or row.slot != 0:
        raise _refuse(number, "the strata follow one another, and the slots of each start at 0")
    if row.stratum_code in codes:
        raise _refuse(number, "two strata have the same code")
    codes.append(row.stratum_code)


def _read_factors(codes: Iterable[str]) -> list[list[tuple[str, str]]]:
    """Return (factor, level) pairs for each stratum."""
    codes = list(codes)
    split = [[_FACTOR.fullmatch(part) for part in code.split(";")] for code in codes]
    strata = [[(match[1], match[2]) for match in parts if match] for parts in split]
    factors = [[name for name, _ in pairs] for pairs in strata]
    whole = all(all(parts) for parts in split)
    if not whole or len(set(factors[0])) < len(factors[0]) or any(f != factors[0] for f in factors):
        return [[(STRATUM_COLUMN, code)] for code in codes]
    return strata


def _code_strata(generated: GeneratedList) -> tuple[list[tuple[str, list[str]]], list[str]]:
    """Return each factor with its levels, and each stratum's cells joined by commas."""
    strata = _read_factors(stratum.code for stratum in generated.design.strata)
    factors: list[tuple[str, list[str]]] = [(name, []) for name, _ in strata[0]]
    cells = []
    for pairs in strata:
        row = []
        for (_, levels), (_, level) in zip(factors, pairs, strict=True):
            if level not in levels:
                levels.append(level)
            row.append(str(levels.index(level) + 1))
        cells.append(",".join(row))
    return factors, cells


def _name_columns(factors: list[str], names: Mapping[str, str]) -> list[str]:
    if unknown := sorted(set(names) - set(factors)):
        raise _refuse_name(unknown[0], f"there is no such factor; the list has {factors}")
    columns = [names.get(factor, factor) for factor in factors]
    for factor, column in zip(factors, columns, strict=True):
        named = _REDCAP_NAME.fullmatch(column) and len(column) <= 100
        if not named or column.startswith("redcap_"):
            raise _refuse_name(
                factor,
                f"{column!r} is no variable name for REDCap: at most 100 of a-z, 0-9 and single _, "
                "starting with a letter, not with redcap_; name the project's variable",
            )
        if columns.count(column) > 1:
            raise _refuse_name(factor, f"two factors have the column {column!r}; name them apart")
    return columns


def _refuse_name(factor: str, rule: str) -> ListFileError:
    return ListFileError(where=f"REDCap table, factor {factor!r}", rule=rule)
