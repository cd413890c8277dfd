"""Whom a reader of a log trusts: C2SP `tlog-policy`, a text file that is kept apart from the log.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> <k|any|all> <member>…
    quorum <name|none>

A name is defined above where it is used, once, and is a member of one group at most, so that a
witness counts in one way only; there is one `quorum` line; empty lines and lines that begin with #
say nothing. Lines end in LF alone, and space and tab alone part their words: what another program
reads as one line or one word is not two here. A checkpoint meets the quorum if the named witness
has cosigned it, or at least k members of the named group meet it. Here a key has one name, a log
one key, and a policy at most 100 groups.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from alloc_service.errors import NoteError, PolicyError
from alloc_service.log.note import COSIGNATURE_V1, ED25519, Verifier
from alloc_service.log.state import WitnessPolicy

NO_QUORUM = "none"
MOST_GROUPS = 100

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_WORD = re.compile(r"[^ \t]+")
_COUNT = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses or groups of which some must have cosigned."""

    needed: int
    members: tuple[str, ...]


@dataclass(slots=True)
class Policy:
    """A policy that was read.

    Attributes:
        logs: The logs' keys by origin.
        witnesses: Their keys, by the names that the policy gives them.
        groups: By name.
        quorum: Name of a witness or a group, or `none`.
    """

    logs: dict[str, Verifier] = field(default_factory=dict)
    witnesses: dict[str, Verifier] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    quorum: str = ""

    def key_of(self, origin: str) -> Verifier:
        """Return the key of a log.

        Raises:
            PolicyError: The policy does not know it.
        """
        if origin not in self.logs:
            known = ", ".join(self.logs)
            raise PolicyError(line="", rule=f"it knows the log {known}, and not {origin}")
        return self.logs[origin]

    def is_met_by(self, cosigners: Collection[str]) -> bool:
        """Tell whether the keys of these names are a quorum; where none is asked, they are."""
        return self.quorum == NO_QUORUM or self._is_met(self.quorum, cosigners)

    def _is_met(self, name: str, cosigners: Collection[str]) -> bool:
        if name in self.witnesses:
            return self.witnesses[name].name in cosigners
        group = self.groups[name]
        return sum(self._is_met(member, cosigners) for member in group.members) >= group.needed


def write_policy(log_key: Verifier, policy: WitnessPolicy) -> str:
    """Return the policy file of one log with its trial's witnesses."""
    lines = [f"log {log_key.vkey}"]
    names: dict[str, Verifier] = {}
    for key in policy.witnesses:
        names[_free_name(key.name, names)] = key
    lines += [f"witness {name} {key.vkey}" for name, key in names.items()]
    quorum = NO_QUORUM
    if policy.quorum:
        quorum = _free_name("trial-witnesses", names)
        lines.append(f"group {quorum} {policy.quorum} {' '.join(names)}")
    return "\n".join([*lines, f"quorum {quorum}", ""])


def parse_policy(text: str) -> Policy:
    """Read a policy.

    Raises:
        PolicyError: A line is none that the format has, or names what is not there.
    """
    policy = Policy()
    for number, words in read_words(text):
        try:
            _read_line(policy, words)
        except NoteError as error:
            raise _refusal(number, str(error.facts["rule"])) from None
        except ValueError as error:
            raise _refusal(number, str(error)) from None
    if not policy.quorum:
        raise PolicyError(line="", rule="it has no quorum line; `quorum none` asks for no witness")
    if not policy.logs:
        raise PolicyError(line="", rule="it names no log")
    return policy


def read_words(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield number and words of each line that says something, whoever it is for.

    Raises:
        PolicyError: A line holds a control character, such as the CR of CR LF.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if line.endswith("\r"):
            raise _refusal(number, "it ends in CR LF, not in LF alone")
        if _CONTROL.search(line):
            raise _refusal(number, "it holds a control character")
        words = _WORD.findall(line)
        if words and not words[0].startswith("#"):
            yield number, words


def _read_line(policy: Policy, words: list[str]) -> None:
    kind, count = words[0], len(words)
    if kind == "log" and count in {2, 3}:
        _read_log(policy, words[1])
    elif kind == "witness" and count in {3, 4}:
        _read_witness(policy, words[1], words[2])
    elif kind == "group" and count >= 4:
        _read_group(policy, words[1], words[2], words[3:])
    elif kind == "quorum" and count == 2:
        _require(not policy.quorum, "a second quorum line")
        known = words[1] == NO_QUORUM or words[1] in {*policy.witnesses, *policy.groups}
        _require(known, f"the quorum {words[1]} is not defined above")
        policy.quorum = words[1]
    else:
        raise ValueError("it is no line of a policy: log, witness, group or quorum")


def _read_log(policy: Policy, vkey: str) -> None:
    key = Verifier.parse(vkey)
    _require(key.kind == ED25519, "the log's key is a witness's")
    _require(key.name not in policy.logs, f"a second key of the log {key.name}")
    policy.logs[key.name] = key


def _read_witness(policy: Policy, name: str, vkey: str) -> None:
    key = Verifier.parse(vkey)
    _require(key.kind == COSIGNATURE_V1, "the witness's key is a log's")
    _require_new(policy, name)
    for other in policy.witnesses.values():
        _require(other.name != key.name, f"a second key of the name {key.name}")
        _require(other.public != key.public, f"{name} has the key of another witness")
    policy.witnesses[name] = key


def _read_group(policy: Policy, name: str, needed: str, members: list[str]) -> None:
    _require_new(policy, name)
    _require(len(policy.groups) < MOST_GROUPS, f"there are more than {MOST_GROUPS} groups")
    _require(len(set(members)) == len(members), f"a member of the group {name} stands twice")
    taken = {member for group in policy.groups.values() for member in group.members}
    for member in members:
        known = member in policy.witnesses or member in policy.groups
        _require(known, f"the member {member} is not defined above")
        _require(member not in taken, f"{member} is a member of another group already")
    counts: Mapping[str, int] = {"any": 1, "all": len(members)}
    _require(needed in counts or bool(_COUNT.fullmatch(needed)), "a group needs a number of them")
    count = counts[needed] if needed in counts else int(needed)
    _require(count <= len(members), f"the group {name} needs more than its members")
    policy.groups[name] = Group(count, tuple(members))


def _require_new(policy: Policy, name: str) -> None:
    free = name != NO_QUORUM and name not in policy.witnesses and name not in policy.groups
    _require(free, f"the name {name} is taken")


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(rule)


def _refusal(number: int, rule: str) -> PolicyError:
    return PolicyError(line=f", line {number}", rule=rule)


def _free_name(name: str, taken: Collection[str]) -> str:
    """Return a name that nothing else in the policy has."""
    while name == NO_QUORUM or name in taken:
        name += "-"
    return name
