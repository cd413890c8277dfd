"""A row for each table of outside evidence, where a test needs every table filled."""

from alloc_service.storage import evidence
from tests.support.installation import Installation


def add_evidence(installation: Installation) -> None:
    """Add a row to each table of outside evidence."""
    trial, at = {"trial_id": installation.trial}, installation.clock.now
    ceremony = {**trial, "ceremony": "c/1"}
    with installation.deps.database.write() as tx:
        for row in (
            evidence.FrozenDesign(
                **trial, list_number=2, design_sha256="a" * 64, design_sealed=b"sealed"
            ),
            evidence.CeremonyRecord(
                **ceremony,
                list_number=2,
                recipient="age1",
                custodians={"archive": "age1"},
                document=None,
                beacon_proof=None,
                opened_at=at,
            ),
            evidence.CeremonyFile(
                **ceremony, name="reveal.dmc.age", party="dmc", ciphertext=b"age", received_at=at
            ),
            evidence.WitnessAddress(**trial, name="w.example.org/1", url=""),
            evidence.Cosignature(**trial, size=1, name="w.example.org/1", line="a line"),
        ):
            tx.add(row)
            tx.flush()
