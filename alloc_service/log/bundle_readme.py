"""The README of a bundle: how to check it with the verifier, and each step by hand."""

README_TEXT = """\
This archive (rac-bundle/1) holds the evidence of one trial's randomization: its audit log, the
signed checkpoints, and what the log has committed to. docs/formats.md of the service spells
every byte of it.

By program
  python3 verify_bundle.py BUNDLE.zip --policy POLICY

Python 3.9 or newer is enough; nothing is installed and nothing is sent anywhere. POLICY is the
file that you were given when the trial began (`alloc log policy TRIAL`), not the policy.txt in
here: who could forge this archive could forge that file too. For the same reason take
verify_bundle.py from a place that you trust, not from here. Exit code 0: everything that is here
is good. 1: it names the first thing that is wrong. What was not there to check is listed.

By hand
  Unpack:            unzip BUNDLE.zip -d bundle && cd bundle
  A file's hash:     sha256sum audit/entries.ndjson        (compare with MANIFEST.json)
  An entry's leaf:   entry N, from 0, stands in line N+1
                     { printf '\\0'; sed -n 'LINEp' audit/entries.ndjson | tr -d '\\n'; } \\
                       | sha256sum
                     The next entry's "prev" is this hash.
  An opening's leaf: { printf '\\0'; printf %s 'rac-slot/1|...'; } | sha256sum
                     It stands in leaves.bin, 32 bytes a slot, at the index of its line:
                     tail -c +$((32*INDEX+1)) lists/1/leaves.bin | head -c 32 | od -An -v -tx1
                     and in the "leaf" of the slot.assigned entry that spent the slot.
  A design's hash:   sha256sum lists/1/design.json         (compare with design.frozen)
  A ceremony's hash: sha256sum lists/1/ceremony.json       (compare with seed.announced)
  A commitment:      printf %s 'rac-commit/1|D|CEREMONY|PARTY|REVEAL' | sha256sum
  The seed:          printf %s 'rac-seed/1|REVEAL|REVEAL|BEACON' | \\
                       openssl dgst -sha256 -hmac DOC_SHA256
                     with the reveals in the order of the document, and - without a beacon
  The list anew:     alloc list regenerate --design lists/1/design.json --seed-file SEED --root ROOT
  A signature:       audit/checkpoint is a C2SP signed note; any tool that reads those checks it.
"""
