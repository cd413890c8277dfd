"""Seed ceremonies, witnesses, and what the witnesses signed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "frozen_design",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("list_number", sa.Integer(), nullable=False),
        sa.Column("design_sha256", sa.String(), nullable=False),
        sa.Column("design_sealed", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("list_number BETWEEN 1 AND 9999", name="frozen_list_is_1_to_9999"),
        sa.CheckConstraint("length(design_sha256) = 64", name="frozen_design_sha256_is_hex32"),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name="frozen_design_trial_id_fkey"),
        sa.PrimaryKeyConstraint("trial_id", "list_number", name="frozen_design_pkey"),
    )
    op.create_table(
        "ceremony",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("ceremony", sa.String(), nullable=False),
        sa.Column("list_number", sa.Integer(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("custodians", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=True),
        sa.Column("beacon_proof", sa.String(), nullable=True),
        sa.Column("opened_at", TIME, nullable=False),
        sa.CheckConstraint(
            "length(ceremony) BETWEEN 1 AND 64", name="ceremony_has_1_to_64_letters"
        ),
        sa.ForeignKeyConstraint(
            ["trial_id", "list_number"],
            ["frozen_design.trial_id", "frozen_design.list_number"],
            name="ceremony_trial_id_list_number_fkey",
        ),
        sa.PrimaryKeyConstraint("trial_id", "ceremony", name="ceremony_pkey"),
    )
    op.create_table(
        "ceremony_file",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("ceremony", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("party", sa.String(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id", "ceremony"],
            ["ceremony.trial_id", "ceremony.ceremony"],
            name="ceremony_file_trial_id_ceremony_fkey",
        ),
        sa.PrimaryKeyConstraint("trial_id", "ceremony", "name", name="ceremony_file_pkey"),
    )
    op.create_table(
        "witness_address",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name="witness_address_trial_id_fkey"),
        sa.PrimaryKeyConstraint("trial_id", "name", name="witness_address_pkey"),
    )
    op.create_table(
        "cosignature",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.CheckConstraint("size > 0", name="cosignature_covers_an_entry"),
        sa.PrimaryKeyConstraint("trial_id", "size", "name", name="cosignature_pkey"),
    )
