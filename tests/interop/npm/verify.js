// Checks signed checkpoints and inclusion proofs with the code that npm trusts for its own packages,
// @sigstore/verify, which knows nothing of this project. Standard input is a JSON array of cases;
// standard output is a JSON array with the reason of each refusal, empty where the case holds.
"use strict";
const { createPublicKey } = require("crypto");
const { readFileSync } = require("fs");
const { verifyTLogInclusion } = require("@sigstore/verify/dist/tlog");

function verify({ checkpoint, proof, index, entry, key, keyId, origin }) {
  const log = {
    baseURL: origin,
    logID: Buffer.from(keyId, "hex"),
    publicKey: createPublicKey({ key: Buffer.from(key, "base64"), format: "der", type: "spki" }),
  };
  const inclusionProof = {
    logIndex: String(index),
    hashes: proof.map((hash) => Buffer.from(hash, "base64")),
    checkpoint: { envelope: checkpoint },
  };
  verifyTLogInclusion({ canonicalizedBody: Buffer.from(entry, "base64"), inclusionProof }, [log]);
}

const reasons = JSON.parse(readFileSync(0, "utf8")).map((given) => {
  try {
    verify(given);
    return "";
  } catch (error) {
    if (error.name !== "VerificationError" && !error.code) throw error;
    return error.message;
  }
});
process.stdout.write(JSON.stringify(reasons));
