"""What must not leave by accident: no repr, no pickle and no copy holds an arm or a seed."""

import copy
import dataclasses
import pickle
import traceback
from collections.abc import Callable
from functools import partial

import pytest

from alloc_service.core.design import Arm, BlockSize, Design, Stratum
from alloc_service.core.generate import GeneratedList, Opening, generate
from alloc_service.core.listfile import ListRow, csv_lines, read_csv
from alloc_service.core.secret import Secret
from alloc_service.core.seed import Seed
from alloc_service.errors import ListFileError

DIGITS = "c0ffee" + "0123456789abcdef" * 3 + "0123456789"
SALT = "5a17" * 16
ARMS = ("ZEBRA-ARM", "OKAPI-ARM")
DESIGN = Design(
    "NCT01728727",
    1,
    (Arm(ARMS[0], 1), Arm(ARMS[1], 1)),
    (BlockSize(94, 717), BlockSize(86, 919)),
    (Stratum("all", 30),),
    SALT,
)
LIST = generate(DESIGN, Seed(DIGITS))
OPENING = LIST.opening(0, 7)
ROW = read_csv(csv_lines(LIST))[7]
SECRETS = (Seed(DIGITS), OPENING, LIST, ROW)


def spell(value: object) -> str:
    return "\n".join([repr(value), str(value), f"{value}", f"{[value]}", f"{(value,)!r}"])


def every_nonce() -> list[str]:
    return [opening.nonce for opening in LIST.openings()]


@pytest.mark.parametrize("value", SECRETS, ids=lambda value: type(value).__name__)
def test_no_spelling_of_a_secret_shows_digits_arms_or_nonces(value: Secret) -> None:
    shown = spell(value)

    assert DIGITS not in shown
    assert not any(arm in shown for arm in ARMS)
    assert not any(nonce in shown for nonce in every_nonce())


@pytest.mark.parametrize(
    "value", [DESIGN, DESIGN.blocks, LIST], ids=["design", "blocks", "generated list"]
)
def test_no_spelling_of_a_design_shows_block_sizes_weights_or_salt(value: object) -> None:
    shown = spell(value)

    assert not any(number in shown for number in ("94", "86", "717", "919"))
    assert SALT not in shown


def test_a_place_is_shown_so_that_an_error_can_be_found() -> None:
    assert "stratum=0, slot=7" in repr(OPENING)
    assert "stratum=0, slot=7" in repr(ROW)
    assert repr(LIST) == "GeneratedList(…)"
    assert repr(Seed(DIGITS)) == "Seed(…)"
    assert repr(DESIGN.blocks[0]) == "BlockSize(…)"


LEAKS: dict[str, Callable[[object], object]] = {
    **{
        f"pickle, protocol {number}": partial(pickle.dumps, protocol=number)
        for number in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "pickle within a list": lambda value: pickle.dumps([value]),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("value", SECRETS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS.keys())
def test_a_secret_is_neither_pickled_nor_copied(
    value: Secret, leak: Callable[[object], object]
) -> None:
    with pytest.raises(TypeError, match=f"a {type(value).__name__} is secret") as refusal:
        leak(value)

    assert DIGITS not in str(refusal.value)
    assert not any(arm in str(refusal.value) for arm in ARMS)


def test_a_record_that_carries_a_seed_is_not_pickled_either() -> None:
    with pytest.raises(TypeError, match="is secret"):
        pickle.dumps({"design": DESIGN, "seed": Seed(DIGITS)})


def test_a_generated_list_does_not_become_a_dict() -> None:
    with pytest.raises(TypeError):
        dataclasses.asdict(LIST)


@pytest.mark.parametrize("kind", [Seed, Opening, GeneratedList, ListRow])
def test_a_secret_has_no_dict_that_a_debugger_could_show_whole(kind: type[Secret]) -> None:
    assert issubclass(kind, Secret)
    assert not any("__dict__" in vars(base) for base in kind.__mro__)


@pytest.mark.parametrize("value", SECRETS, ids=lambda value: type(value).__name__)
def test_a_secret_is_not_changed(value: Secret) -> None:
    name = dataclasses.fields(value)[0].name  # type: ignore[arg-type]  # each is a dataclass
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, "x")


def test_a_trace_through_a_secret_shows_none_of_it() -> None:
    with pytest.raises(ListFileError) as refusal:
        Opening.parse(OPENING.text + "x")
    shown = "".join(traceback.format_exception(refusal.value)) + repr(refusal.value.facts)

    assert OPENING.nonce not in shown
    assert not any(arm in shown for arm in ARMS)
