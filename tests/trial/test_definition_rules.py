"""Each rule of a trial definition, broken once: the refusal names file, place and rule."""

from collections.abc import Callable
from importlib import resources
from typing import TypeAlias

import pytest

from alloc_service.errors import DefinitionError
from alloc_service.trial.definition import SHIPPED, parse_definition

Break: TypeAlias = Callable[[str, str], tuple[tuple[str, str], ...]]
TEXT = resources.files("alloc_service.trial").joinpath(SHIPPED).read_text("utf-8")
UNIT_A = 'code = "a", label = "years", per_base = 1, possible = [0, 120], likely = [16, 85]'
BLOCKS = "  { size = 4, weight = 1 },\n  { size = 6, weight = 1 },"
SITE = TEXT[TEXT.index("[[sites]]") : TEXT.index("# --- The facts")]
MSC = TEXT[TEXT.index('[[arms]]\ncode = "MSC"') : TEXT.index("[[sites]]")]
ASCITES = '  { code = "mild", label = "Mild, or controlled by drugs" },'


BROKEN = [
    # the top
    ('format = "rac-trial/1"', 'format = "rac-trial/2"', "format", "must be 'rac-trial/1'"),
    ('format = "rac-trial/1"', "", "format", "is missing and must be given"),
    ('id = "NCT01728727"', 'id = "NCT 01728727"', "id", "must be 1-64 of"),
    ('id = "NCT01728727"', f'id = "{"N" * 65}"', "id", "must be 1-64 of"),
    ('id = "NCT01728727"', 'id = " NCT01728727"', "id", "must be 1-64 of"),
    ('id = "NCT01728727"', "id = 1728727", "id", "must be a text in quotes"),
    ("cap = 240", "cap = 0", "cap", "must be at least 1"),
    ("cap = 240", "cap = 2_000_000", "cap", "must be at most 1000000"),
    ("cap = 240", 'cap = "240"', "cap", "must be a whole number"),
    ("cap = 240", "cap = 240.0", "cap", "must be a whole number"),
    ("cap = 240", "cap = true", "cap", "must be a whole number"),
    ("cap = 240", 'cap = 240\n"a\\nb" = 1', "(a quoted key)", "is not a key of this table"),
    ("cap = 240", "cap = 240\ncapp = 1", "capp", "is not a key of this table"),
    ("title = ", 'title = ""\n#', "title", "must be a text of 1 to 300 characters"),
    ("title = ", 'title = "   "\n#', "title", "must be a text of 1 to 300 characters"),
    ("title = ", f'title = "{"x" * 301}"\n#', "title", "must be a text of 1 to 300 characters"),
    ("title = ", 'title = "a\\u0000b"\n#', "title", "must not hold a control character"),
    ("title = ", 'title = "a\\nb"\n#', "title", "must not hold a control character"),
    ("title = ", 'title = "e\\u0301"\n#', "title", "must not hold a decomposed character"),
    ("title = ", 'title = "\\u202Eb"\n#', "title", "must not hold a character that turns"),
    ("title = ", "title = 2012-09-01\n#", "title", "must be a text in quotes"),
    ('"[A-Za-z0-9._-]{1,32}"', '"(a+)+"', "participant_number", "must be up to 16 letters"),
    (
        '"[A-Za-z0-9._-]{1,32}"',
        '"[0-9]{1,9}[0-9]{1,9}[0-9]{1,9}[0-9]{1,9}"',
        "participant_number",
        "at most three of them open",
    ),
    ('"[A-Za-z0-9._-]{1,32}"', '"[z-a]"', "participant_number", "run upwards"),
    ('"[A-Za-z0-9._-]{1,32}"', '"[0-9]{9,1}"', "participant_number", "run upwards"),
    ('{ path = "arms",', '{ path = "weather",', "to_be_confirmed[0].path", "must begin with a key"),
    ("[record]", "[records]", "record", "is missing and must be given"),
    ('start = "2012-09"', 'start = "2012-13"', "record.start", "must be a month"),
    (
        "healthy_volunteers = false",
        'healthy_volunteers = "no way"',
        "record.healthy_volunteers",
        "must be true or false",
    ),
    # arms
    ("ratio = 1", "ratio = 0", "arms[0].ratio", "must be at least 1"),
    ("ratio = 1", "ratio = 17", "arms[0].ratio", "must be at most 16"),
    ("ratio = 1", "ratio = 1.5", "arms[0].ratio", "must be a whole number"),
    ("ratio = 1", "ratio = -1", "arms[0].ratio", "must be at least 1"),
    ("ratio = 1", "", "arms[0].ratio", "is missing and must be given"),
    ("ratio = 1", "ratios = 1", "arms[0].ratio", "is missing and must be given"),
    ('code = "MSC"', 'code = "CONV"', "arms[1].code", "is given twice"),
    ('code = "MSC"', 'code = "M|C"', "arms[1].code", "must be 1-32 of A-Z a-z 0-9 . _ + -"),
    (MSC, "", "arms", "must hold at least 2"),
    (
        'instruction = "Conv',
        'instruction = "\\u0007Conv',
        "arms[0].instruction",
        "must not hold a control character",
    ),
    # sites
    ('code = "XA01"', 'code = "Xi\'an"', "sites[0].code", "must be 1-32 of A-Z a-z 0-9 . _ -"),
    (SITE, SITE + SITE, "sites[1].code", "is given twice"),
    (SITE, "", "sites", "is missing and must be given"),
    ('"Asia/Shanghai"', '"Asia/Xian"', "sites[0].time_zone", "must be an IANA time zone"),
    ('"Asia/Shanghai"', '"Asia"', "sites[0].time_zone", "must be an IANA time zone"),
    ('"Asia/Shanghai"', '"+08:00"', "sites[0].time_zone", "must be an IANA time zone"),
    ('"Asia/Shanghai"', '"localtime"', "sites[0].time_zone", "must be an IANA time zone"),
    ('"Asia/Shanghai"', '"../../etc/passwd"', "sites[0].time_zone", "must be an IANA time zone"),
    ('"Asia/Shanghai"', '"posix/Asia/Shanghai"', "sites[0].time_zone", "must be an IANA"),
    # facts
    ('kind = "integer"', 'kind = "float"', "facts[0].kind", "must be one of 'integer', 'decimal'"),
    ('kind = "integer"', "", "facts[0].kind", "is missing and must be given"),
    ('code = "age"\nkind', 'code = "Age"\nkind', "facts[0].code", "must be 1-48 of a-z 0-9 -"),
    ('code = "age"\nkind', 'code = "inr"\nkind', "facts[3].code", "is given twice"),
    ('code = "age"\nkind', 'code = "meld"\nkind', "facts[0].code", "is the name of a score"),
    (
        UNIT_A,
        UNIT_A.replace("per_base = 1", "per_base = 2"),
        "facts[0].units[0].per_base",
        "must be 1 for the first unit",
    ),
    (
        UNIT_A,
        UNIT_A + " },\n { " + UNIT_A.replace('"a"', '"mo"'),
        "facts[0].units",
        "must hold one unit",
    ),
    ("units = [\n  { " + UNIT_A + " },\n]", "units = []", "facts[0].units", "must hold at least 1"),
    ("units = [\n  { " + UNIT_A + " },\n]", "units = 3", "facts[0].units", "must be an array"),
    ("units = [\n  { " + UNIT_A + " },\n]", "units = [3]", "facts[0].units[0]", "must be a table"),
    (
        "possible = [0, 120]",
        "possible = [120, 0]",
        "facts[0].units[0].possible",
        "must run from the smaller to the larger",
    ),
    ("possible = [0, 120]", "possible = [0]", "facts[0].units[0].possible[1]", "is missing"),
    (
        "possible = [0, 120]",
        "possible = [0, 1, 2]",
        "facts[0].units[0].possible",
        "must hold at most 2",
    ),
    (
        "likely = [16, 85]",
        "likely = [85, 16]",
        "facts[0].units[0].likely",
        "must run from the smaller to the larger",
    ),
    (
        "likely = [16, 85]",
        "likely = [16, 121]",
        "facts[0].units[0].likely",
        "must lie within what is possible",
    ),
    ("likely = [16, 85]", "likely = [16, inf]", "facts[0].units[0].likely[1]", "must be a number"),
    ("likely = [16, 85]", "likely = [nan, 85]", "facts[0].units[0].likely[0]", "must be a number"),
    (
        "likely = [16, 85]",
        "likely = [16, 1e999999999]",
        "facts[0].units[0].likely[1]",
        "must be a number of up to 12 digits",
    ),
    ("likely = [16, 85]", "likely = [true, 85]", "facts[0].units[0].likely[0]", "must be a number"),
    (
        "likely = [16, 85]",
        'likely = ["1e1", 85]',
        "facts[0].units[0].likely[0]",
        "must be a number",
    ),
    (
        '{ code = "umol/L", label = "µmol/L", per_base = 17.1',
        '{ code = "mg/dL", label = "µmol/L", per_base = 17.1',
        "facts[1].units[1].code",
        "is given twice",
    ),
    ("per_base = 17.1", "per_base = -17.1", "facts[1].units[1].per_base", "must be above 0"),
    (
        "per_base = 17.1",
        "per_base = 17.10000000000000001",
        "facts[1].units[1].per_base",
        "must be a number",
    ),
    (ASCITES, ASCITES + ASCITES, "facts[6].choices[2].code", "is given twice"),
    # scores
    (
        'code = "meld"\nlabel',
        'code = "meld-na"\nlabel',
        "scores[1].code",
        "must be one of 'child-pugh', 'meld'",
    ),
    ('albumin = "albumin"', "", "scores[0].albumin", "is missing and must be given"),
    ('albumin = "albumin"', 'albumin = "protein"', "scores[0].albumin", "must name a fact of this"),
    (
        'albumin = "albumin"',
        'albumin = "ascites"',
        "scores[0].albumin",
        "must name a fact that is a",
    ),
    ('albumin = "albumin"', 'albumin = "bilirubin"', "scores[0].albumin", "mg/dL is not a unit of"),
    (
        'albumin = "albumin"',
        'albumin = "albumin"\nsodium = "inr"',
        "scores[0].sodium",
        "is not a key of this table",
    ),
    (
        'ascites = "ascites"',
        'ascites = "encephalopathy"',
        "scores[0].ascites",
        "must name a choice of none, mild, moderate-severe, in order",
    ),
    ('ascites = "ascites"', 'ascites = "inr"', "scores[0].ascites", "must name a choice of none"),
    (
        'dialysis = "dialysis"',
        'dialysis = "ascites"',
        "scores[1].dialysis",
        "must name a choice of yes, no",
    ),
    ("per_base = 17.1", "per_base = 17.2", "scores[0].bilirubin", "exact conversion of umol/L"),
    ("possible = [0.5, 20]", "possible = [0, 20]", "scores[0].inr", "possible values lie above 0"),
    # criteria
    ('how = "checked"', 'how = "guessed"', "criteria[0].how", "must be one of 'asked', 'checked'"),
    ('kind = "inclusion"', 'kind = "illusion"', "criteria[0].kind", "must be 'inclusion' or"),
    ('source = "age"', 'source = "weight"', "criteria[0].source", "must name a number among"),
    ('source = "age"', 'source = "ascites"', "criteria[0].source", "must name a number among"),
    ("at_least = 18", "at_least = 66", "criteria[0]", "must begin below its end"),
    ("at_least = 18\nat_most = 65", "", "criteria[0]", "must have an end"),
    ('code = "malignancy"', 'code = "age"', "criteria[4].code", "is given twice"),
    # consent and visits
    ('version = "1"\nwording', "wording", "consent.version", "is missing and must be given"),
    ("weeks = 1\n", "weeks = 1\ndays = 1\n", "visits[0]", "must give exactly one of days"),
    ("weeks = 1\n", "", "visits[0]", "must give exactly one of days"),
    ("weeks = 1\n", "weeks = 0\n", "visits[0].weeks", "must be at least 1"),
    ("weeks = 1\n", "weeks = 1.5\n", "visits[0].weeks", "must be a whole number"),
    ("weeks = 1\n", "weeks = 5\n", "visits[1]", "must come later than the visit before it"),
    ("years = 1", "months = 9", "visits[5]", "must come later than the visit before it"),
    ('code = "week-4"', 'code = "week-1"', "visits[1].code", "is given twice"),
    # the design table
    ("size = 4", "size = 5", "design.blocks[0].size", "must be a multiple of 2, the sum of the"),
    ("size = 4", "size = 6", "design.blocks[1].size", "is given twice"),
    ("size = 4", "size = 0", "design.blocks[0].size", "must be at least 1"),
    ("size = 4", "size = 258", "design.blocks[0].size", "must be at most 256"),
    ("size = 4, weight = 1", "size = 4, weight = 0", "design.blocks[0].weight", "must be at least"),
    (BLOCKS, "", "design.blocks", "must hold at least 1"),
    ("slots = 240", "slots = 0", "design.slots", "must be at least 1"),
    ("slots = 240", "slots = 600_000", "design.slots", "must not make more than 2,000,000 slots"),
    ("list_number = 1", "list_number = 10_000", "design.list_number", "must be at most 9999"),
    ("ratio = 1", "ratio = 2", "design.blocks[0].size", "must be a multiple of 3"),
    ("\n[design]", "\n[design]\nseed = 7", "design.seed", "is not a key of this table"),
    ("\n[design]", "\ndesign = 7\n[designs]", "visits[5].design", "is not a key of this table"),
]


@pytest.mark.parametrize(("old", "new", "path", "rule"), BROKEN)
def test_a_broken_rule_is_refused_with_its_place(
    *, break_shipped: Break, old: str, new: str, path: str, rule: str
) -> None:
    problems = break_shipped(old, new)

    assert problems[0][0] == path
    assert rule in problems[0][1]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("cap = 240", "cap =", "line 13, column 6"),
        ("cap = 240", "cap = 240\ncap = 241", "line 14, column 10"),
        ("cap = 240", "cap = 240 mg", "line 13, column 11"),
        ("cap = 240", 'cap = "240', "line 13, column 11"),
        ("[consent]", "[record]", "line "),
        ("]\n", "", "line "),
    ],
)
def test_a_fault_of_syntax_is_named_by_its_line(
    break_shipped: Break, old: str, new: str, place: str
) -> None:
    ((path, rule),) = break_shipped(old, new)

    assert path.startswith(place)
    assert rule.startswith("is not TOML: ")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a = 1\na = 2\n", "a key or a table is given twice"),
        ("[a]\n[a]\n", "a table is given twice"),
        ("a = {b = 1}\n[a.c]\n", "a table is given twice"),
        ("a = {b = 1}\na.c = 2\n", "a table in braces cannot be added to later"),
    ],
)
def test_what_is_given_twice_is_told_in_plain_words(text: str, rule: str) -> None:
    with pytest.raises(DefinitionError) as refusal:
        parse_definition(text, "x.toml")

    ((_, told),) = refusal.value.problems
    assert told == f"is not TOML: {rule}"


@pytest.mark.parametrize("text", ["a = [", "a = {", "a = '''"])
def test_a_file_that_ends_too_early_says_so(text: str) -> None:
    with pytest.raises(DefinitionError, match="end of document: is not TOML: "):
        parse_definition(text, "x.toml")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f"a = {'9' * 5_000}", "holds a number or a key that TOML cannot read"),
        ("a = 1e99999999999999999999", "holds a number or a key that TOML cannot read"),
        (f"a = {'[' * 100_000}", "nests its tables too deeply"),
        ("#" * 1_048_577, "must be smaller than 1 MiB"),
    ],
)
def test_a_file_made_to_break_the_reader_is_refused(text: str, rule: str) -> None:
    with pytest.raises(DefinitionError) as refusal:
        parse_definition(text, "x.toml")

    assert refusal.value.problems == (("the file", rule),)


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("ratio = 1", "ratio = 0", "arms[0].ratio"),
        ('time_zone = "Asia/Shanghai"', 'time_zone = "Asia/Xian"', "sites[0].time_zone"),
        ("size = 4", "size = 0", "design.blocks[0].size"),
    ],
)
def test_a_broken_row_is_not_told_as_a_missing_one_too(
    break_shipped: Break, old: str, new: str, path: str
) -> None:
    assert [where for where, _ in break_shipped(old, new)] == [path]


def test_rows_that_are_missing_are_told_beside_a_broken_one() -> None:
    text = (
        TEXT[: TEXT.index("[[arms]]", TEXT.index("[[arms]]") + 1)] + TEXT[TEXT.index("[[sites]]") :]
    )

    with pytest.raises(DefinitionError) as refusal:
        parse_definition(text.replace("ratio = 1", "ratio = 0", 1), "x.toml")

    assert ("arms", "must hold at least 2") in refusal.value.problems


def test_every_fault_of_a_file_is_told_at_once() -> None:
    text = TEXT.replace('code = "MSC"', 'code = "CONV"').replace(
        'source = "age"', 'source = "ages"'
    )

    with pytest.raises(DefinitionError) as refusal:
        parse_definition(text, "two.toml")

    assert [path for path, _ in refusal.value.problems] == ["arms[1].code", "criteria[0].source"]
    assert "Also criteria[0].source: must name a number" in str(refusal.value)


def test_an_empty_file_names_all_that_it_lacks() -> None:
    with pytest.raises(DefinitionError) as refusal:
        parse_definition("", "empty.toml")

    assert {"id", "arms", "sites", "criteria", "consent"} <= {p for p, _ in refusal.value.problems}


def test_no_refusal_tells_a_block_size(break_shipped: Break) -> None:
    for old, new in (
        ("size = 6", "size = 77"),
        ("size = 6", "size = 777"),
        ("size = 6", 'size = "77"'),
        ("size = 6", "size = 77.7"),
        ("size = 4", "size = 6"),
    ):
        for _, rule in break_shipped(old, new):
            assert "77" not in rule
            assert "6 " not in rule


def test_a_text_of_several_lines_is_taken_where_there_is_room_for_it() -> None:
    text = TEXT.replace(
        'instruction = "Conventional treatment and antiviral treatment."',
        'instruction = """\nConventional treatment\r\nand antiviral treatment.\n"""',
    )

    definition = parse_definition(text, "x.toml")

    assert definition.arms[0].instruction == "Conventional treatment\nand antiviral treatment."
    with pytest.raises(DefinitionError, match=r"arms\[0\]\.instruction: must not hold a"):
        parse_definition(text.replace("and antiviral", "and\\tantiviral"), "x.toml")
