"""`alloc enrol` and `alloc amend`: every problem at once, and nothing that was typed is lost."""

import json
import re
from pathlib import Path

import pytest

from alloc_service.cli.form import read_form
from tests.support.shell import (
    ANSWERS,
    CONSENT,
    FACTS,
    SITE,
    TRIAL,
    Golden,
    Outcome,
    Shell,
)

TOML = "\n".join(
    [
        'participant = "P-001"',
        "[consent]",
        f'time = "{CONSENT}"',
        'version = "1"',
        "[facts]",
        *(f'{code} = "{text}"' for code, text in FACTS.items()),
        "[answers]",
        *(f'{code} = "{text}"' for code, text in ANSWERS.items()),
        "",
    ]
)


def options(participant: str = "P-001", consent: str = CONSENT, **facts: str) -> list[str]:
    given = ["--participant", participant, "--consent-time", consent, "--consent-version", "1"]
    for code, text in {**FACTS, **facts}.items():
        given += ["--fact", f"{code}={text}"]
    for code, text in ANSWERS.items():
        given += ["--answer", f"{code}={text}"]
    return given


def kept_file(err: str) -> Path:
    found = re.search(r"What you typed is in (\S+): to try again, mend it there", err)
    assert found
    return Path(found[1])


def enrol(shell: Shell, *given: object, by: str = "doc") -> Outcome:
    return shell("enrol", TRIAL, *given, by=by)


@pytest.mark.usefixtures("active")
def test_a_record_is_shown_with_the_stratum_that_was_derived(shell: Shell, golden: Golden) -> None:
    outcome = enrol(shell, *options())

    assert outcome.code == 0
    golden("enrol", outcome.out)
    assert outcome.err == ""


@pytest.mark.usefixtures("active")
def test_a_record_from_a_file_is_the_same(shell: Shell) -> None:
    Path("p.toml").write_text(TOML, "utf-8")

    outcome = enrol(shell, "p.toml", "--site", SITE, "--json")

    assert outcome.code == 0
    record = json.loads(outcome.out)
    assert record["stratum"]["code"] == "cp=11-15;meld=<20"
    assert record["facts"]["bilirubin"] == {"confirmed": False, "typed": "3.5", "unit": "mg/dL"}
    assert record["obstacle"] == ""
    assert record["allocated"] is False


@pytest.mark.usefixtures("active")
def test_options_count_before_the_file(shell: Shell) -> None:
    Path("p.toml").write_text(TOML, "utf-8")

    outcome = enrol(shell, "p.toml", "--fact", "age=46", "--participant", "P-002", "--json")

    record = json.loads(outcome.out)
    assert record["participant"] == "P-002"
    assert record["facts"]["age"]["typed"] == "46"


@pytest.mark.usefixtures("active")
def test_an_incomplete_record_is_kept_and_says_what_is_missing(
    shell: Shell, golden: Golden
) -> None:
    outcome = enrol(
        shell, "--participant", "P-001", "--consent-time", CONSENT, "--consent-version", "1"
    )

    assert outcome.code == 0
    golden("enrol-incomplete", outcome.out + outcome.err)


@pytest.mark.usefixtures("active")
def test_every_problem_of_every_part_is_told_at_once(shell: Shell) -> None:
    outcome = enrol(
        shell, *options(
            participant="Zhang San", consent="yesterday", bilirubin="3,5 mg/dL", albumin="2.5",
            inr="1e3", age="５２", creatinine="1.1 mmol/L", ascites="some",
        ), "--answer", "age=yes",
    )  # fmt: skip

    assert outcome.code == 1
    assert outcome.out == ""
    told = [line.split(":")[0].strip() for line in outcome.err.splitlines()[2:]]
    assert told == [
        "participant", "consent", "age", "bilirubin", "albumin", "inr", "creatinine", "ascites",
        "age",
    ]  # fmt: skip
    assert "Zhang" not in outcome.err.replace("alloc_service", "")


@pytest.mark.usefixtures("active")
def test_what_was_typed_in_options_is_kept_in_a_file_to_hand_in_again(shell: Shell) -> None:
    refused = enrol(shell, *options(bilirubin="3,5 mg/dL"))
    kept = kept_file(refused.err)
    form = read_form(kept)
    kept.write_text(kept.read_text().replace("3,5", "3.5"))

    assert "remove it when you are done" in refused.err
    assert form.facts["bilirubin"] == "3,5 mg/dL"
    assert form.facts["age"] == FACTS["age"]
    assert enrol(shell, kept).code == 0


@pytest.mark.usefixtures("active")
def test_a_file_that_was_refused_stays_and_is_named(shell: Shell) -> None:
    Path("p.toml").write_text(TOML.replace('age = "45"', 'age = "450"'), "utf-8")

    outcome = enrol(shell, "p.toml")

    assert outcome.code == 1
    assert kept_file(outcome.err) == Path("p.toml")
    assert "remove it" not in outcome.err
    assert "age: it must be 0 to 120 years; check value and unit [impossible]" in outcome.err
    assert list(Path().glob("enrolment-*.json")) == []


@pytest.mark.usefixtures("active")
def test_options_over_a_refused_file_are_kept_in_a_file_of_their_own(shell: Shell) -> None:
    Path("p.toml").write_text(TOML, "utf-8")

    outcome = enrol(shell, "p.toml", "--fact", "age=450")

    assert read_form(kept_file(outcome.err)).facts["age"] == "450"


@pytest.mark.usefixtures("active")
def test_an_unlikely_value_is_refused_until_it_is_confirmed_and_the_record_says_so(
    shell: Shell,
) -> None:
    given = options(bilirubin="45 mg/dL")

    refused = enrol(shell, *given)
    confirmed = enrol(shell, *given, "--confirm", "bilirubin", "--json")

    assert refused.code == 1
    assert "if it is right: --confirm bilirubin [unlikely]" in refused.err
    assert json.loads(confirmed.out)["facts"]["bilirubin"]["confirmed"] is True


@pytest.mark.usefixtures("active")
def test_a_confirmed_value_is_shown_as_confirmed(shell: Shell) -> None:
    outcome = enrol(shell, *options(bilirubin="45 mg/dL"), "--confirm", "bilirubin")

    assert "45 mg/dL  (unlikely, and confirmed)" in outcome.out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"age": "450"}, "age: it must be 0 to 120 years"),
        ({"age": "-1"}, "age: "),
        ({"age": "17.5"}, "age: write a whole number"),
        ({"bilirubin": "0.05 mg/dL"}, "bilirubin: it must be 0.1 to 80 mg/dL"),
        ({"bilirubin": "3.5 mg/dL\x07"}, "bilirubin: "),
        ({"inr": "x" * 10_000}, "inr: at most 64 characters"),
        ({"participant": "110101199003070011"}, "participant: this looks like"),
        ({"participant": "13912345678"}, "participant: this looks like"),
        ({"participant": "x" * 10_000}, "participant: it must be 1-32 of"),
        ({"participant": "P\x1b[2J"}, "participant: "),
        ({"participant": ""}, "participant: "),
        ({"consent": "2020-02-30 09:15"}, "consent: write its date and time"),
        ({"consent": ""}, "consent: "),
    ],
)
@pytest.mark.usefixtures("active")
def test_bad_input_is_told_by_field_and_rule_and_never_repeated(
    shell: Shell, change: dict[str, str], told: str
) -> None:
    outcome = enrol(shell, *options(**change))

    assert outcome.code == 1
    assert f"  {told}" in outcome.err
    assert "[bad-form]" in outcome.err
    value = next(iter(change.values()))
    assert len(value) < 3 or value not in outcome.err
    assert "Traceback" not in outcome.err
    assert "\x1b" not in outcome.err


@pytest.mark.usefixtures("active")
def test_an_identity_number_is_not_written_to_the_kept_file(shell: Shell) -> None:
    outcome = enrol(shell, *options(participant="110101199003070011"))

    assert "110101199003070011" not in kept_file(outcome.err).read_text()


@pytest.mark.usefixtures("active")
def test_another_version_of_the_consent_is_refused(shell: Shell) -> None:
    outcome = enrol(shell, *options(), "--consent-version", "2")

    assert outcome.code == 1
    assert "consent: the trial asks for version 1 of its wording" in outcome.err
    assert "[consent-version]" in outcome.err


@pytest.mark.usefixtures("active")
def test_a_consent_in_the_future_is_kept_and_warned_of(shell: Shell) -> None:
    outcome = enrol(shell, *options(consent="2999-01-02 09:15"))

    assert outcome.code == 0
    assert "Consent: its time lies in the future" in outcome.err


@pytest.mark.usefixtures("active")
def test_an_ineligible_participant_is_kept_and_warned_of(shell: Shell) -> None:
    outcome = enrol(shell, *options(age="66"))

    assert outcome.code == 0
    assert "DOES NOT HOLD  Inclusion: Aged 18–65 years." in outcome.out
    assert "It cannot be allocated as it stands. Not eligible" in outcome.err


@pytest.mark.usefixtures("active")
def test_a_participant_number_that_was_used_is_refused_and_nothing_is_lost(shell: Shell) -> None:
    enrol(shell, *options())

    outcome = enrol(shell, *options())

    assert outcome.code == 1
    assert "[participant-used]" in outcome.err
    assert read_form(kept_file(outcome.err)).participant == "P-001"


@pytest.mark.usefixtures("active")
def test_nobody_but_a_physician_of_the_site_enrols(shell: Shell) -> None:
    for user in ("manager", "stat", "dmc", "ada"):
        outcome = enrol(shell, *options(), by=user)
        assert outcome.code == 1
        assert "[not-allowed]" in outcome.err


@pytest.mark.parametrize(
    "given", [["--fact", "age"], ["--fact", "age=1", "--fact", "age=2"], ["--answer", "x"]]
)
@pytest.mark.usefixtures("active")
def test_an_option_that_is_no_pair_is_wrong_use(shell: Shell, given: list[str]) -> None:
    assert enrol(shell, *given).code == 2


@pytest.mark.usefixtures("active")
def test_an_unknown_trial_and_an_unknown_site_are_refused(shell: Shell) -> None:
    trial = shell("enrol", "TEST-OTHER", *options(), by="doc")
    site = enrol(shell, *options(), "--site", "ZZ99")

    assert "[not-found]" in trial.err
    assert "[unknown-site]" in site.err


@pytest.mark.usefixtures("active")
def test_a_draft_is_amended_in_part_and_the_rest_stays(shell: Shell) -> None:
    enrol(shell, *options())

    outcome = shell("amend", TRIAL, "P-001", "--fact", "albumin=36 g/L", "--json", by="doc")

    record = json.loads(outcome.out)
    assert record["facts"]["albumin"] == {"confirmed": False, "typed": "36", "unit": "g/L"}
    assert record["facts"]["bilirubin"]["typed"] == "3.5"
    assert record["stratum"]["code"] == "cp=9-10;meld=<20"


@pytest.mark.usefixtures("active")
def test_the_number_of_a_draft_is_corrected(shell: Shell) -> None:
    enrol(shell, *options())

    outcome = shell("amend", TRIAL, "P-001", "--participant", "P-002", "--json", by="doc")

    assert json.loads(outcome.out)["participant"] == "P-002"
    assert "[not-found]" in shell("amend", TRIAL, "P-001", "--fact", "age=45", by="doc").err


@pytest.mark.usefixtures("active")
def test_a_refused_amendment_leaves_the_draft_as_it_was(shell: Shell) -> None:
    enrol(shell, *options())

    refused = shell("amend", TRIAL, "P-001", "--fact", "age=450", by="doc")
    again = shell("amend", TRIAL, "P-001", "--fact", "inr=1.9", "--json", by="doc")

    assert refused.code == 1
    assert json.loads(again.out)["facts"]["age"]["typed"] == "45"


@pytest.mark.usefixtures("active")
def test_an_amendment_without_a_change_is_wrong_use(shell: Shell) -> None:
    assert shell("amend", TRIAL, "P-001", by="doc").code == 2


@pytest.mark.usefixtures("active")
def test_an_unknown_participant_cannot_be_amended(shell: Shell) -> None:
    outcome = shell("amend", TRIAL, "P-404", "--fact", "age=45", by="doc")

    assert outcome.code == 1
    assert "[not-found]" in outcome.err


@pytest.mark.usefixtures("active")
def test_a_record_that_was_allocated_is_never_amended(shell: Shell) -> None:
    enrol(shell, *options())
    assert shell("allocate", TRIAL, "P-001", by="doc").code == 0

    outcome = shell("amend", TRIAL, "P-001", "--fact", "age=46", by="doc")

    assert outcome.code == 1
    assert "[allocated-already]" in outcome.err
