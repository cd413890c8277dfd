"""The bytes of the audit log: entries, rules, notes and receipts; no database."""
