import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.errors import FreeTextError, ParticipantNumberError, PersonalIdentifierError
from alloc_service.trial.definition import TrialDefinition, shipped_definition
from alloc_service.trial.identifiers import check_participant_number, refuse_personal_identifiers

SHIPPED = shipped_definition()
FULL_WIDTH = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


@pytest.mark.parametrize(
    "text",
    [
        "110101199003077758",
        "11010119900307775X",
        "11010119900307775x",
        "participant 110101199003077758, seen today",
        "ID:110101199003077758.",
        "身份证110101199003077758号",
        "110101 19900307 7758",
        "110101-19900307-775X",
        "110101 – 19900307 – 7758",
        "1 1 0 1 0 1 1 9 9 0 0 3 0 7 7 7 5 8",
        "bed 5 110101199003077758",
        "110101\u00a019900307\u20117758",
        "1101\u200b0119900307\u200b7758",
        "110101199003077758".translate(FULL_WIDTH),
        "11010119900307775X".translate(FULL_WIDTH),
        "110101199003077758".translate(ARABIC),
        "000000000000000000",
    ],
)
def test_a_resident_number_is_refused(text: str) -> None:
    with pytest.raises(PersonalIdentifierError, match="reason: this looks like a resident") as no:
        refuse_personal_identifiers(text, "reason")

    assert "7758" not in str(no.value)
    assert "0307" not in str(no.value)


@pytest.mark.parametrize(
    "text",
    [
        "13812345678",
        "call 13812345678 after five",
        "电话13812345678。",
        "+8613812345678",
        "+86 138 1234 5678",
        "+86-138-1234-5678",
        "0086 138 1234 5678",
        "008613812345678",
        "8613812345678",
        "013812345678",
        "138-1234-5678",
        "138 1234 5678",
        "138 - 1234 - 5678",
        "(+86)19912345678",
        "15012345678/home",
        "138\u20131234\u20135678",
        "138−1234−5678",
        "13812345678".translate(FULL_WIDTH),
        "13812345678".translate(ARABIC),
        "bed 4, 13812345678",
    ],
)
def test_a_mobile_number_is_refused(text: str) -> None:
    with pytest.raises(PersonalIdentifierError, match="reason: this looks like a mobile") as no:
        refuse_personal_identifiers(text, "reason")

    assert "5678" not in str(no.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The form was signed on 2026-03-02 at 09:15 and checked on 2026-03-03.",
        "Bilirubin 2.4 mg/dL, albumin 30 g/L, INR 1.5, creatinine 70 µmol/L",
        "12812345678",
        "1381234567",
        "138123456789",
        "11010119900307775",
        "1101011990030777581",
        "participant XA01-0007, protocol 20120912-3, NCT01728727",
        "患者于三月二日签署知情同意书",
        "AFP 13 14 15 16 17 18 ng/mL",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    refuse_personal_identifiers(text, "reason")


@given(
    st.text("abc ,.:;", max_size=20),
    st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True),
    st.lists(st.sampled_from(["", " ", "-", " - "]), min_size=10, max_size=10),
    st.text("xyz ,.:;", max_size=20),
)
def test_no_spacing_hides_a_mobile_number(
    before: str, number: str, gaps: list[str], after: str
) -> None:
    spaced = number[0] + "".join(gap + digit for gap, digit in zip(gaps, number[1:], strict=True))

    with pytest.raises(PersonalIdentifierError):
        refuse_personal_identifiers(before + spaced + after, "reason")


@pytest.mark.parametrize(
    "text", ["a\x00b", "a\nb", "a\r\nb", "a\tb", "\x1b[2J", "\x7f", "\x85", "a\u2028b", "a\u2029b"]
)
def test_control_characters_and_line_breaks_are_refused(text: str) -> None:
    with pytest.raises(FreeTextError, match=r"reason: it holds .*; write it anew, in one line"):
        refuse_personal_identifiers(text, "reason")


@pytest.mark.parametrize("text", ["\u202eabc", "a\u2066b", "a\ud800", "e\u0301"])
def test_text_that_cannot_be_kept_as_it_reads_is_refused(text: str) -> None:
    with pytest.raises(FreeTextError):
        refuse_personal_identifiers(text, "reason")


def test_text_of_ten_thousand_characters_is_refused_and_a_thousand_is_not() -> None:
    refuse_personal_identifiers("a" * 1_000, "reason")
    for text in ("a" * 1_001, "1" * 10_240, "1 " * 5_120):
        with pytest.raises(FreeTextError, match="at most 1,000 characters"):
            refuse_personal_identifiers(text, "reason")


@pytest.mark.parametrize("number", ["1", "XA01-0001", "p_7", "A" * 32, "2026.0001", "1234567890"])
def test_a_participant_number_of_the_default_form_is_taken(
    definition: TrialDefinition, number: str
) -> None:
    check_participant_number(definition, number)


@pytest.mark.parametrize(
    "number",
    ["", " ", "XA01 0001", "A" * 33, "ＸＡ01", "零一", "a/b", "a\x00", "a\n", "1" * 10_240, "<b>"],
)
def test_a_participant_number_of_another_form_is_refused(
    definition: TrialDefinition, number: str
) -> None:
    with pytest.raises(ParticipantNumberError, match="it must be 1-32 of"):
        check_participant_number(definition, number)


@pytest.mark.parametrize(
    "number",
    [
        "110101199003077758",
        "11010119900307775X",
        "110101-19900307-7758",
        "110101_19900307_7758",
        "110101.19900307.7758",
        "13812345678",
        "138-1234-5678",
        "138.1234.5678",
        "138_1234_5678",
        "8613812345678",
        "XA01-13812345678",
    ],
)
def test_a_personal_number_is_no_participant_number(
    definition: TrialDefinition, number: str
) -> None:
    with pytest.raises(PersonalIdentifierError, match="use the participant number") as refusal:
        check_participant_number(definition, number)

    assert number not in str(refusal.value)


def test_a_trial_may_narrow_the_form(definition: TrialDefinition) -> None:
    document = definition.model_dump(by_alias=True, exclude_none=True)
    document["participant_number"] = "XA[0-9]{2}-[0-9]{4}"
    narrow = TrialDefinition.model_validate(document)

    check_participant_number(narrow, "XA01-0001")
    for number in ("XA01-001", "XA01-00011", "BJ01-0001"):
        with pytest.raises(ParticipantNumberError, match=r"the form XA\[0-9\]\{2\}-\[0-9\]\{4\}"):
            check_participant_number(narrow, number)


@given(st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,8}", fullmatch=True))
def test_short_numbers_that_begin_with_a_letter_are_always_taken(number: str) -> None:
    check_participant_number(SHIPPED, number)
