"""The first tables and their append-only triggers."""

import sqlalchemy as sa
from alembic import op

from alloc_service.storage import triggers

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make every table, then the triggers."""
    _make_trials()
    _make_log()
    _make_lists()
    _make_accounts()
    _make_enrolments()
    _make_forks()
    triggers.install(op.get_bind())


def _make_trials() -> None:
    op.create_table(
        "trial",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("definition", sa.LargeBinary(), nullable=False),
        sa.Column("definition_sha256", sa.String(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.CheckConstraint("length(definition_sha256) = 64", name="definition_sha256_is_hex32"),
        sa.CheckConstraint("length(id) BETWEEN 1 AND 64", name="trial_id_has_1_to_64_letters"),
        sa.PrimaryKeyConstraint("id", name="trial_pkey"),
        sa.UniqueConstraint("origin", name="origin_names_one_log"),
    )


def _make_log() -> None:
    op.create_table(
        "log_head",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("last_leaf", sa.String(), nullable=False),
        sa.CheckConstraint("(size = 0) = (last_leaf = '')", name="only_an_empty_log_has_no_leaf"),
        sa.CheckConstraint("length(last_leaf) = 64 OR last_leaf = ''", name="last_leaf_is_hex32"),
        sa.CheckConstraint("size >= 0", name="log_size_counts_from_zero"),
        sa.PrimaryKeyConstraint("trial_id", name="log_head_pkey"),
    )
    op.create_table(
        "log_entry",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("prev", sa.String(), nullable=False),
        sa.Column("leaf", sa.String(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("(seq = 0) = (prev = '')", name="only_the_first_entry_has_no_prev"),
        sa.CheckConstraint("length(prev) = 64 OR prev = ''", name="prev_is_hex32"),
        sa.CheckConstraint("length(data) < 65536", name="entry_is_under_64_kib"),
        sa.CheckConstraint("length(leaf) = 64", name="leaf_is_hex32"),
        sa.CheckConstraint("seq >= 0", name="seq_counts_from_zero"),
        sa.PrimaryKeyConstraint("trial_id", "seq", name="log_entry_pkey"),
        sa.UniqueConstraint("trial_id", "leaf", name="leaf_is_logged_once"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "log_node",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("length(hash) = 32", name="log_node_has_32_bytes"),
        sa.CheckConstraint("level BETWEEN 1 AND 62 AND position >= 0", name="log_node_has_a_place"),
        sa.PrimaryKeyConstraint("trial_id", "level", "position", name="log_node_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "checkpoint",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.CheckConstraint("size > 0", name="checkpoint_covers_an_entry"),
        sa.PrimaryKeyConstraint("trial_id", "size", name="checkpoint_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reason",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("entry_seq", sa.Integer(), nullable=False),
        sa.Column("salt", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("trial_id", "entry_seq", name="reason_pkey"),
    )


def _make_lists() -> None:
    op.create_table(
        "randomization_list",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("design_sha256", sa.String(), nullable=False),
        sa.Column("design_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("slots", sa.Text(), nullable=False),
        sa.Column("strata", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.CheckConstraint("length(design_sha256) = 64", name="design_sha256_is_hex32"),
        sa.CheckConstraint("length(root) = 64", name="root_is_hex32"),
        sa.CheckConstraint("number BETWEEN 1 AND 9999", name="list_number_is_1_to_9999"),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["trial.id"], name="randomization_list_trial_id_fkey"
        ),
        sa.PrimaryKeyConstraint("trial_id", "number", name="randomization_list_pkey"),
    )
    op.create_table(
        "list_sealing",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("list_number", sa.Integer(), nullable=False),
        sa.Column("sealing", sa.Integer(), nullable=False),
        sa.Column("kid", sa.String(), nullable=False),
        sa.Column("wrap", sa.LargeBinary(), nullable=False),
        sa.Column("wrap_sha256", sa.String(), nullable=False),
        sa.CheckConstraint("length(wrap_sha256) = 64", name="wrap_sha256_is_hex32"),
        sa.CheckConstraint("sealing >= 0", name="sealing_counts_from_zero"),
        sa.ForeignKeyConstraint(
            ["trial_id", "list_number"],
            ["randomization_list.trial_id", "randomization_list.number"],
            name="list_sealing_trial_id_list_number_fkey",
        ),
        sa.PrimaryKeyConstraint("trial_id", "list_number", "sealing", name="list_sealing_pkey"),
    )
    op.create_table(
        "list_node",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("list_number", sa.Integer(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("length(hash) = 32", name="list_node_has_32_bytes"),
        sa.CheckConstraint(
            "level BETWEEN 1 AND 62 AND position >= 0", name="list_node_has_a_place"
        ),
        sa.ForeignKeyConstraint(
            ["trial_id", "list_number"],
            ["randomization_list.trial_id", "randomization_list.number"],
            name="list_node_trial_id_list_number_fkey",
        ),
        sa.PrimaryKeyConstraint(
            "trial_id", "list_number", "level", "position", name="list_node_pkey"
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sealed_slot",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("list_number", sa.Integer(), nullable=False),
        sa.Column("sealing", sa.Integer(), nullable=False),
        sa.Column("stratum", sa.Integer(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("length(blob) = 285", name="every_blob_has_the_same_length"),
        sa.CheckConstraint("length(leaf) = 32", name="sealed_slot_has_a_leaf_of_32_bytes"),
        sa.CheckConstraint("stratum >= 0 AND slot >= 0", name="sealed_slot_counts_from_zero"),
        sa.ForeignKeyConstraint(
            ["trial_id", "list_number", "sealing"],
            ["list_sealing.trial_id", "list_sealing.list_number", "list_sealing.sealing"],
            name="sealed_slot_trial_id_list_number_sealing_fkey",
        ),
        sa.PrimaryKeyConstraint(
            "trial_id", "list_number", "sealing", "stratum", "slot", name="sealed_slot_pkey"
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "escrow_file",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("list_number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id", "list_number"],
            ["randomization_list.trial_id", "randomization_list.number"],
            name="escrow_file_trial_id_list_number_fkey",
        ),
        sa.PrimaryKeyConstraint("trial_id", "list_number", "name", name="escrow_file_pkey"),
    )


def _make_accounts() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("organization", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        sa.Column("disabled_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="account_pkey"),
        sa.UniqueConstraint("username", name="username_is_used_once"),
    )
    op.create_index("account_by_person_id", "account", ["person_id"])
    op.create_table(
        "role_grant",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("trial_id", sa.String(), nullable=True),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("site", sa.String(), nullable=True),
        sa.Column("granted_at", TIME, nullable=False),
        sa.Column("granted_by", sa.Uuid(), nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="role_grant_account_id_fkey"),
        sa.ForeignKeyConstraint(["granted_by"], ["account.id"], name="role_grant_granted_by_fkey"),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name="role_grant_trial_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="role_grant_pkey"),
    )
    op.create_index("role_grant_by_account_id", "role_grant", ["account_id"])
    op.create_index("role_grant_by_trial_id", "role_grant", ["trial_id"])


def _make_enrolments() -> None:
    op.create_table(
        "enrolment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("participant", sa.String(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=True),
        sa.Column("draft", sa.LargeBinary(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"], name="enrolment_created_by_fkey"),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name="enrolment_trial_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="enrolment_pkey"),
        sa.UniqueConstraint("trial_id", "site", "participant", name="participant_is_enrolled_once"),
    )
    op.create_table(
        "assignment",
        sa.Column("enrolment_id", sa.Uuid(), nullable=False),
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("list_number", sa.Integer(), nullable=False),
        sa.Column("stratum", sa.Integer(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("leaf", sa.String(), nullable=False),
        sa.Column("entry_seq", sa.Integer(), nullable=False),
        sa.Column("assigned_at", TIME, nullable=False),
        sa.CheckConstraint("length(leaf) = 64", name="assigned_leaf_is_hex32"),
        sa.CheckConstraint("stratum >= 0 AND slot >= 0", name="slot_counts_from_zero"),
        sa.PrimaryKeyConstraint("enrolment_id", name="assignment_pkey"),
        sa.UniqueConstraint("trial_id", "entry_seq", name="entry_assigns_one_slot"),
        sa.UniqueConstraint(
            "trial_id", "list_number", "stratum", "slot", name="slot_is_spent_once"
        ),
        sqlite_with_rowid=False,
    )


def _make_forks() -> None:
    op.create_table(
        "fork",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("fork", sa.Integer(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("fork_sha256", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("trial_id", "fork", name="fork_pkey"),
    )
    op.create_table(
        "fork_entry",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("fork", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id", "fork"],
            ["fork.trial_id", "fork.fork"],
            name="fork_entry_trial_id_fork_fkey",
        ),
        sa.PrimaryKeyConstraint("trial_id", "fork", "seq", name="fork_entry_pkey"),
    )
    op.create_table(
        "fork_assignment",
        sa.Column("trial_id", sa.String(), nullable=False),
        sa.Column("fork", sa.Integer(), nullable=False),
        sa.Column("enrolment_id", sa.Uuid(), nullable=False),
        sa.Column("list_number", sa.Integer(), nullable=False),
        sa.Column("stratum", sa.Integer(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("entry_seq", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id", "fork"],
            ["fork.trial_id", "fork.fork"],
            name="fork_assignment_trial_id_fork_fkey",
        ),
        sa.PrimaryKeyConstraint("trial_id", "fork", "enrolment_id", name="fork_assignment_pkey"),
    )
