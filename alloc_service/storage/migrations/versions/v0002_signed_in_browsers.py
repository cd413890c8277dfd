"""Who is signed in with a browser, how often it was tried, and what is asked beside a password."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "web_session",
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("browser", sa.String(), nullable=False),
        sa.Column("proved", sa.Boolean(), nullable=False),
        sa.Column("began_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.CheckConstraint("length(token_sha256) = 32", name="session_token_hash_has_32_bytes"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="web_session_account_id_fkey"),
        sa.PrimaryKeyConstraint("token_sha256", name="web_session_pkey"),
    )
    op.create_index("web_session_by_account_id", "web_session", ["account_id"])
    op.create_table(
        "sign_in_try",
        sa.Column("name_sha256", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("began_at", TIME, nullable=False),
        sa.CheckConstraint("length(name_sha256) = 64", name="name_sha256_is_hex32"),
        sa.CheckConstraint("tries > 0", name="tries_count_from_one"),
        sa.PrimaryKeyConstraint("name_sha256", "address", name="sign_in_try_pkey"),
    )
    op.create_table(
        "second_factor",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("confirmed_at", TIME, nullable=True),
        sa.Column("last_step", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="second_factor_account_id_fkey"
        ),
        sa.PrimaryKeyConstraint("account_id", name="second_factor_pkey"),
    )
    op.create_table(
        "recovery_code",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("code_sha256", sa.String(), nullable=False),
        sa.Column("used_at", TIME, nullable=True),
        sa.CheckConstraint("length(code_sha256) = 64", name="code_sha256_is_hex32"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="recovery_code_account_id_fkey"
        ),
        sa.PrimaryKeyConstraint("account_id", "code_sha256", name="recovery_code_pkey"),
    )
    op.create_table(
        "escrow_confirmation",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("list_number", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("confirmed_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id", "list_number"],
            ["randomization_list.trial_id", "randomization_list.number"],
            name="escrow_confirmation_trial_id_list_number_fkey",
        ),
        sa.PrimaryKeyConstraint(
            "trial_id", "list_number", "person_id", name="escrow_confirmation_pkey"
        ),
    )
