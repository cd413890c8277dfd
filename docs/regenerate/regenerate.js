// Make a rac-gen/1 list again from its design and its seed. Node 14 or newer, no package.
//
//     node regenerate.js DESIGN SEED [DESIGN SEED ...]
//
// DESIGN is the design document, SEED a file of 64 hexadecimal digits. Written are a line a slot
// (stratum, slot, code of the stratum, arm), then trial, list, D and root: compare D and root with
// the log, and keep the rest secret. (1) to (7) are the rules of rac-gen/1 in docs/formats.md.
"use strict";
const { createHash, createHmac } = require("crypto");
const { readFileSync } = require("fs"), { raw } = String;

const DESIGN = ""; // `alloc list code` writes a design here; then SEED alone is given

// The one spelling of a design document. The order of arms, blocks and strata matters.
const ARM = raw`\{"code":"([A-Za-z0-9._+-]{1,32})","ratio":([1-9]|1[0-6])\}`;
const BLOCK = raw`\{"size":([1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-6]),"weight":([1-9][0-9]{0,2}|1000)\}`;
const CODE = raw`(?:[^"\\\p{Cc}\p{Cs}]|\\["\\]){1,200}`;
const STRATUM = raw`\{"code":"(${CODE})","slots":([1-9][0-9]{0,5}|1000000)\}`;
const DOCUMENT = raw`^\{"alg":"rac-gen/1","arms":\[${ARM}(?:,${ARM}){1,15}\],` +
  raw`"blocks":\[${BLOCK}(?:,${BLOCK}){0,15}\],"list":(?<list>[1-9][0-9]{0,3}),` +
  raw`"salt":"[0-9a-f]{64}","strata":\[${STRATUM}(?:,${STRATUM}){0,999}\],` +
  raw`"trial":"(?<trial>[A-Za-z0-9._\/-]{1,64})"\}$`;

const sum = (rows) => rows.reduce((total, [, number]) => total + number, 0);
const sha256 = (data) => createHash("sha256").update(data).digest();
const mac = (key, message) => createHmac("sha256", key).update(message).digest("hex"); // MAC(k, m)

function* words(key, s, b) { // (2) a code is eight words of 32 bits
  for (let c = 0; ; c++) {
    const code = mac(key, `rac-gen/1|block|${s}|${b}|${c}`);
    for (let at = 0; at < 64; at += 8) yield parseInt(code.slice(at, at + 8), 16);
  }
}

function below(m, stream) { // (3) uniform from 0 to m - 1; 1 takes no word
  let word = 0;
  if (m > 1) do word = stream.next().value; while (word >= 2 ** 32 - (2 ** 32 % m));
  return word % m;
}

function drawBlock(arms, blocks, stream) {
  let r = below(sum(blocks), stream);
  const [n] = blocks.find(([, weight]) => (r -= weight) < 0); // (4)
  const x = arms.flatMap(([code, ratio]) => Array((ratio * n) / sum(arms)).fill(code));
  for (let i = n - 1; i > 0; i--) { // (5)
    const j = below(i + 1, stream);
    [x[i], x[j]] = [x[j], x[i]];
  }
  return x;
}

function rootOf(level) { // RFC 6962: in pairs; an odd last one rises as it is
  if (level.length === 1) return level[0].toString("hex");
  const pair = (at) => sha256(Buffer.concat([Buffer.of(1), ...level.slice(at, at + 2)]));
  return rootOf(level.flatMap((hash, at) => at % 2 ? [] : at + 1 < level.length ? pair(at) : hash));
}

const refuseUnless = (holds, rule) => { if (!holds) throw Error(rule); };

function regenerate(data, seed) {
  const text = data.toString("utf8"), canonical = text.normalize("NFC") === text;
  refuseUnless(text.startsWith('{"alg":"rac-gen/1",'), "the design's alg is not rac-gen/1");
  const design = canonical && Buffer.from(text).equals(data) && text.match(RegExp(DOCUMENT, "u"));
  refuseUnless(design, "the design is no canonical document of rac-gen/1");
  const [arms, blocks, strata] = [ARM, BLOCK, STRATUM].map((row) =>
    Array.from(text.matchAll(RegExp(row, "gu")), ([, left, right]) => [left, Number(right)]));
  for (const rows of [arms, blocks, strata])
    refuseUnless(new Map(rows).size === rows.length, "a code or a size is there twice");
  refuseUnless(blocks.every(([n]) => n % sum(arms) === 0), "a block does not fit the ratios");
  refuseUnless(sum(strata) <= 2000000, "a list has at most 2,000,000 slots");
  refuseUnless(/^[0-9a-f]{64}$/.test(seed), "the seed is not exactly 64 of 0-9 and a-f");
  refuseUnless(new Set(seed).size > 1, "the seed is one digit repeated");
  const d = sha256(data).toString("hex"), leaves = [];
  const [listKey, nonceKey] = ["list", "nonce"].map((use) => mac(seed, `rac-gen/1|${use}|${d}`)); // (1)
  strata.forEach(([code, slots], s) => {
    const drawn = [], plain = code.replace(/\\(.)/g, "$1");
    for (let b = 0; drawn.length < slots; b++) drawn.push(...drawBlock(arms, blocks, words(listKey, s, b)));
    process.stdout.write(drawn.slice(0, slots).map((arm, i) => { // (6)
      const nonce = mac(nonceKey, `rac-gen/1|nonce|${s}|${i}`);
      leaves.push(sha256(`\0rac-slot/1|${d}|${s}|${i}|${arm}|${nonce}`)); // (7)
      return `${s}\t${i}\t${plain}\t${arm}\n`;
    }).join(""));
  });
  process.stdout.write(`trial\t${design.groups.trial}\nlist\t${design.groups.list}\nD\t${d}\n`);
  process.stdout.write(`root\t${rootOf(leaves)}\n`);
}

try {
  const each = DESIGN ? 1 : 2, paths = process.argv.slice(2);
  refuseUnless(paths.length && paths.length % each === 0, "give DESIGN and SEED");
  for (let at = 0; at < paths.length; at += each) {
    const data = DESIGN ? Buffer.from(DESIGN) : readFileSync(paths[at]);
    const end = data.length - (data[data.length - 1] === 10); // an editor's line end is none of it
    regenerate(data.subarray(0, end), readFileSync(paths[at + each - 1], "utf8").trim());
  }
} catch (error) {
  process.stderr.write(`regenerate.js: ${error.message}\n`);
  process.exitCode = 1;
}
