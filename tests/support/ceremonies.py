"""A seed ceremony with its parties, each with a share on a machine of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from alloc_service.core.ceremony import Beacon, Share
from alloc_service.core.design import Design
from alloc_service.sealing import age, shares
from alloc_service.sealing.shares import OwnShare
from alloc_service.services import ceremonies, ceremony_lists
from alloc_service.services.ceremonies import Keys
from alloc_service.services.ceremony_lists import Opening
from alloc_service.services.lists import SealedAndLogged
from alloc_service.storage import queries
from tests.support.installation import Installation

# Who acts for which party.
PARTIES: Mapping[str, str] = {"statistician": "stat", "dmc": "dmc", "sponsor": "manager"}


@dataclass
class Held:
    """A ceremony under way.

    Attributes:
        installation: Where it is held.
        design: The list's.
        identity: What the reveals are encrypted to; it stays with the statistician.
        keys: The ceremony's.
        id: Its id.
        own: The parties' shares, by party.
    """

    installation: Installation
    design: Design
    identity: str
    keys: Keys
    id: str = ""
    own: dict[str, OwnShare] = field(default_factory=dict)

    def freeze(self) -> "Held":
        """Have the statistician freeze the design and open the ceremony."""
        here = self.installation
        self.id = ceremonies.freeze(here.deps, here.people["stat"], self.design, self.keys)
        return self

    def open_another(self) -> "Held":
        """Open the next ceremony of the same list."""
        here, number = self.installation, self.design.list
        self.id = ceremonies.open_another(
            here.deps, here.people["stat"], here.trial, number, self.keys
        )
        self.own = {}
        return self

    def draw(self, party: str) -> OwnShare:
        """Draw a party's share, on its own machine."""
        self.own[party] = OwnShare(self.id, self.design.sha256, party, Share.fresh())
        return self.own[party]

    def commit(self, *parties: str) -> "Held":
        """Have parties draw and commit."""
        here = self.installation
        for party in parties or PARTIES:
            ceremonies.commit(
                here.deps, here.people[PARTIES[party]], here.trial, self.id,
                party=party, commitment=self.draw(party).commitment,
            )  # fmt: skip
        return self

    def deposit(self, *parties: str) -> "Held":
        """Have parties deposit."""
        here = self.installation
        for party in parties or self.own:
            ceremonies.deposit(
                here.deps, here.people[PARTIES[party]], here.trial, self.id,
                party=party, files=shares.write_deposit(self.own[party], self.keys.custodians),
            )  # fmt: skip
        return self

    def announce(self, beacon: Beacon | None = None) -> "Held":
        """Have the statistician announce it."""
        here = self.installation
        ceremonies.announce(here.deps, here.people["stat"], here.trial, self.id, beacon)
        return self

    def give_beacon(self, value: str, proof: str = "") -> "Held":
        """Have the DMC type the beacon's value."""
        here = self.installation
        ceremonies.give_beacon(
            here.deps, here.people["dmc"], here.trial, self.id, value=value, proof=proof
        )
        return self

    def reveal(self, *parties: str) -> "Held":
        """Have parties hand in their shares."""
        here = self.installation
        for party in parties or self.own:
            data = shares.write_reveal(self.own[party], self.keys.recipient)
            ceremonies.reveal(
                here.deps, here.people[PARTIES[party]], here.trial, self.id, party=party, data=data
            )
        return self

    def finish(self, *deposits: OwnShare, design: Design | None = None) -> SealedAndLogged:
        """Have the statistician make the list."""
        here, opening = self.installation, Opening(self.identity, deposits)
        return ceremony_lists.finish(
            here.deps, here.people["stat"], here.trial, self.id, opening, design=design
        )

    def file_names(self) -> list[str]:
        """Return the names of the files that the service keeps of it."""
        with self.installation.deps.database.read() as session:
            files = queries.list_ceremony_files(session, self.installation.trial, self.id)
            return [file.name for file in files]

    def until_revealed(self, beacon: Beacon | None = None, value: str = "") -> "Held":
        """Go through all of it up to the reveals."""
        self.freeze().commit().deposit().announce(beacon)
        if beacon is not None:
            self.give_beacon(value)
        return self.reveal()


def begin(installation: Installation, number: int = 1) -> Held:
    """Return a ceremony that is not opened yet, for a list of a trial."""
    identity, recipient = age.make_identity()
    keys = Keys(recipient, installation.custodians)
    return Held(installation, installation.definition.design(number), identity, keys)
