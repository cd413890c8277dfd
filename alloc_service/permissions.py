"""Who may do what: the roles, one table of permissions, and the roles that exclude each other.

Whoever has made or approved a list knows it, or could: that person can never enrol in the
trial, nor the reverse, over all time and not just now. An administrator has no part in the
trial: neither its list nor its participants. Accounts carry a person id, so that a second
account does not get round this.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from alloc_service.errors import DisjointRolesError, NotAllowedError


class Role(StrEnum):
    """A role in a trial, as it is written in the audit log."""

    PHYSICIAN = "physician"
    STATISTICIAN = "statistician"
    SECOND_STATISTICIAN = "second-statistician"
    DMC = "dmc"
    MANAGER = "manager"
    ADMINISTRATOR = "administrator"


class Action(StrEnum):
    """What somebody may want to do in a trial."""

    CREATE_TRIAL = "create a trial"
    CHANGE_TRIAL_STATE = "pause, resume or close a trial, or change its cap"
    CHANGE_SITE_STATE = "activate or pause a site"
    GENERATE_LIST = "generate, import or re-seal a list"
    JOIN_CEREMONY = "be a party of a seed ceremony"
    READ_CEREMONY = "see how a seed ceremony stands"
    APPROVE_LIST = "approve a list"
    ACTIVATE_LIST = "activate a list"
    READ_DESIGN = "read the restricted design"
    ENROL = "enrol a participant"
    REQUEST_ALLOCATION = "sign and request an allocation"
    READ_ARMS = "read the arms of many participants"
    READ_LOG = "read the whole audit log"
    READ_OWN_ENTRIES = "read the audit log, be it one's own entries alone"
    READ_TOTALS = "read totals without arms"
    CHANGE_USERS = "add users and change roles"
    LOG_DRILL = "log a drill of the escrow"
    RECOVER = "recover a trial from the sealer's anchor"
    CHANGE_WITNESSES = "set a trial's witnesses, or let allocations go on without them"
    CORRECT_CLOCK = "correct the log's clock"
    ROTATE_KEYS = "change the keys of the service"
    BACK_UP = "make a backup"


_MAKERS = frozenset({Role.STATISTICIAN, Role.SECOND_STATISTICIAN})
_PARTIES = _MAKERS | {Role.DMC, Role.MANAGER}
_OVERSIGHT = _MAKERS | {Role.DMC, Role.ADMINISTRATOR}

ALLOWED: dict[Action, frozenset[Role]] = {
    Action.CREATE_TRIAL: frozenset({Role.ADMINISTRATOR}),
    Action.CHANGE_TRIAL_STATE: frozenset({Role.MANAGER}),
    Action.CHANGE_SITE_STATE: frozenset({Role.MANAGER}),
    Action.GENERATE_LIST: frozenset({Role.STATISTICIAN}),
    Action.JOIN_CEREMONY: _PARTIES,
    Action.READ_CEREMONY: _PARTIES | {Role.ADMINISTRATOR},
    Action.APPROVE_LIST: _MAKERS,
    Action.ACTIVATE_LIST: frozenset({Role.MANAGER}),
    Action.READ_DESIGN: _MAKERS,
    Action.ENROL: frozenset({Role.PHYSICIAN}),
    Action.REQUEST_ALLOCATION: frozenset({Role.PHYSICIAN}),
    Action.READ_ARMS: _MAKERS | {Role.DMC},
    Action.READ_LOG: _OVERSIGHT,
    Action.READ_OWN_ENTRIES: _OVERSIGHT | {Role.PHYSICIAN},
    Action.READ_TOTALS: _OVERSIGHT | {Role.MANAGER},
    Action.CHANGE_USERS: frozenset({Role.ADMINISTRATOR}),
    Action.LOG_DRILL: _OVERSIGHT | {Role.MANAGER},
    Action.RECOVER: frozenset({Role.ADMINISTRATOR, Role.MANAGER, Role.DMC}),
    Action.CHANGE_WITNESSES: frozenset({Role.ADMINISTRATOR, Role.MANAGER, Role.DMC}),
    Action.CORRECT_CLOCK: frozenset({Role.ADMINISTRATOR}),
    Action.ROTATE_KEYS: frozenset({Role.ADMINISTRATOR}),
    Action.BACK_UP: frozenset({Role.ADMINISTRATOR}),
}

DISJOINT: tuple[frozenset[Role], ...] = (
    *(frozenset({maker, Role.PHYSICIAN}) for maker in sorted(_MAKERS)),
    *(frozenset({maker, Role.ADMINISTRATOR}) for maker in sorted(_MAKERS)),
    frozenset({Role.PHYSICIAN, Role.ADMINISTRATOR}),
    frozenset({Role.PHYSICIAN, Role.DMC}),
    frozenset({Role.ADMINISTRATOR, Role.DMC}),
)

AT_A_SITE = frozenset({Role.PHYSICIAN})


@dataclass(frozen=True, slots=True)
class Grant:
    """A role that somebody holds: everywhere in the trial, or at one site."""

    role: Role
    site: str = ""

    def covers(self, site: str) -> bool:
        """Tell whether this grant reaches a site, or with "" what belongs to no site.

        A role that is held at a site is never held everywhere, whatever was stored.
        """
        if self.role in AT_A_SITE:
            return bool(site) and self.site == site
        return not self.site or self.site == site


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, as of this moment: account id, organization, and the grants held now.

    Attributes:
        id: Account id, as logged.
        org: Organization, as logged.
        grants: Current grants in the trial at hand.
    """

    id: str
    org: str
    grants: tuple[Grant, ...]

    def role_for(self, action: Action, site: str = "") -> Role:
        """Return the role in which this actor may do this.

        Raises:
            NotAllowedError: No current grant allows it, or only at another site.
        """
        for grant in self.grants:
            if grant.role in ALLOWED[action] and grant.covers(site):
                return grant.role
        raise NotAllowedError(action=str(action), roles=_names(ALLOWED[action]))


def require_disjoint(held: Collection[Role], added: Role) -> None:
    """Check that a person who ever held `held` may be given `added`.

    Raises:
        DisjointRolesError: The two roles exclude each other in one trial, over all time.
    """
    for role in sorted(held):
        if frozenset({role, added}) in DISJOINT:
            raise DisjointRolesError(held=str(role), added=str(added))


def _names(roles: Collection[Role]) -> str:
    return " or ".join(sorted(roles))
