#!/usr/bin/env bash
# Make a rac-gen/1 list again from its design and its seed. bash 4.4 or newer, openssl, coreutils, sed.
#     bash regenerate.sh DESIGN SEED [DESIGN SEED ...]
# DESIGN is the design document, SEED a file of 64 hexadecimal digits. Written are a line a slot
# (stratum, slot, code of the stratum, arm), then trial, list, D and root: compare D and root with
# the log, and keep the rest secret. (1) to (7) are the rules of rac-gen/1 in docs/formats.md.
# openssl gets its keys as arguments: run this where nobody else can list the processes.
set -euo pipefail
umask 077; export LC_ALL=C # bytes, not characters
DESIGN='' # `alloc list code` writes a design here; then SEED alone is given
ARM='\{"code":"([A-Za-z0-9._+-]{1,32})","ratio":([1-9]|1[0-6])\}'
BLOCK='\{"size":([1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-6]),"weight":([1-9][0-9]{0,2}|1000)\}'
STRATUM='\{"code":"(([^"\[:cntrl:]]|\\["\])+)","slots":([1-9][0-9]{0,5}|1000000)\}'
work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d); trap 'rm -rf "$work"' EXIT # memory, not a disk
FILES=("$work"/{0..999}) # one process of openssl hashes as many messages
refuse() { printf 'regenerate.sh: %s\n' "$1" >&2; exit 1; }
take() { # take REGEX: so the document must go on; what the groups hold is in BASH_REMATCH
  [[ $rest =~ ^$1 ]] || refuse "the design is no canonical document of rac-gen/1"
  rest=${rest:${#BASH_REMATCH[0]}}
}
table() { # table ROW LEAST MOST: the rows of an array; what its groups hold into LEFT and RIGHT
  local -A seen=(); LEFT=() RIGHT=(); local end=,
  while [[ $end == , ]]; do
    take "$1([],])"
    LEFT+=("${BASH_REMATCH[1]}") RIGHT+=("${BASH_REMATCH[-2]}") end=${BASH_REMATCH[-1]}
    [[ -z ${seen[=${LEFT[-1]}]-} ]] || refuse "an arm, a block's size or a stratum is there twice"
    seen[=${LEFT[-1]}]=yes
  done
  ((${#LEFT[@]} >= $2 && ${#LEFT[@]} <= $3)) || refuse "too few or too many arms, blocks or strata"
}
digest() { # digest PROGRAM...: what it gives for each message of the array M, into H
  local at n message; H=()
  for ((at = 0; at < ${#M[@]}; at += n)); do
    n=0; for message in "${M[@]:at:1000}"; do printf "$message" >"${FILES[n++]}"; done
    mapfile -t -O "$at" H < <("$@" "${FILES[@]:0:n}")
  done
  H=("${H[@]%% *}"); ((${#H[@]} == ${#M[@]})) || refuse "$1 did not hash every message"
}
mac() { digest openssl dgst -sha256 -r -hmac "$1"; } # MAC(k, m) of each message of M
below() { # (2) words of 32 bits, eight a code; (3) J is uniform from 0 to m - 1; 1 takes no word
  local m=$1 word=0
  while ((m > 1)); do
    if ((at == ${#digits})); then M=("rac-gen/1|block|$s|$b|$((at / 64))"); mac "$KL"; digits+=$H; fi
    word=$((16#${digits:at:8})) at=$((at + 8))
    ((word >= 4294967296 - 4294967296 % m)) || break
  done
  J=$((word % m))
}
draw_block() { # block b of stratum s, added to here; digits begins with the words of code 0
  local k=0 i j x=(); at=0
  below "$weights"; while ((J >= weight[k])); do J=$((J - weight[k++])); done # (4)
  M=(); for ((i = 1; 8 * i < size[k]; i++)); do M+=("rac-gen/1|block|$s|$b|$i"); done
  mac "$KL"; printf -v digits %s "$digits" "${H[@]}"
  for ((j = 0; j < size[k]; j++)); do x+=("${smallest[j * unit / size[k]]}"); done
  for ((i = size[k] - 1; i > 0; i--)); do below $((i + 1)); j=${x[i]} x[i]=${x[J]} x[J]=$j; done # (5)
  here+=("${x[@]}")
}
regenerate() { # regenerate DOCUMENT SEED
  local rest=$1 smallest=(); [[ $1 == '{"alg":"rac-gen/1",'* ]] || refuse "the design's alg is not rac-gen/1"
  take '\{"alg":"rac-gen/1","arms":\['; table "$ARM" 2 16; arms=("${LEFT[@]}") ratio=("${RIGHT[@]}")
  take ',"blocks":\['; table "$BLOCK" 1 16; size=("${LEFT[@]}") weight=("${RIGHT[@]}")
  take ',"list":([1-9][0-9]{0,3}),"salt":"[0-9a-f]{64}","strata":\['; list=${BASH_REMATCH[1]}
  table "$STRATUM" 1 1000; codes=("${LEFT[@]//\\\"/\"}") slots=("${RIGHT[@]}")
  take ',"trial":"([A-Za-z0-9._/-]{1,64})"\}$'; trial=${BASH_REMATCH[1]}
  for n in "${!arms[@]}"; do for ((i = 0; i < ratio[n]; i++)); do smallest+=("${arms[n]}"); done; done
  codes=("${codes[@]//\\\\/\\}") unit=${#smallest[@]} weights=$((${weight[*]/%/+}0)) least=256
  for n in "${size[@]}"; do ((n % unit)) && refuse "a block does not fit the ratios"; ((n >= least)) || least=$n; done
  for code in "${codes[@]}"; do # a character of UTF-8 is one byte, and more from 80 to bf
    [[ $code != *$'\xc2'[$'\x80'-$'\x9f']* ]] || refuse "a stratum's code holds a control character"
    n=${code//[$'\x80'-$'\xbf']/}; ((${#n} <= 200)) || refuse "a stratum's code has over 200 characters"
  done
  ((${slots[*]/%/+}0 <= 2000000)) || refuse "a list has at most 2,000,000 slots"
  [[ $2 =~ ^[0-9a-f]{64}$ && -n ${2//${2:0:1}/} ]] || refuse "the seed is not 64 of 0-9 and a-f, or one digit alone"
  D=$(printf %s "$1" | sha256sum); D=${D%% *}
  M=("rac-gen/1|list|$D" "rac-gen/1|nonce|$D"); mac "$2"; KL=${H[0]} KN=${H[1]} # (1)
  M=(); for s in "${!codes[@]}"; do for ((b = 0; b * least < slots[s]; b++)); do M+=("rac-gen/1|block|$s|$b|0"); done; done
  mac "$KL"; first=("${H[@]}") drawn=() n=0 # the first code of every block that can be needed
  for s in "${!codes[@]}"; do here=()
    for ((b = 0; ${#here[@]} < slots[s]; b++)); do digits=${first[n + b]}; draw_block; done
    for ((i = 0; i < slots[s]; i++)); do drawn+=("$s|$i|${here[i]}"); done; n=$((n + (i + least - 1) / least)) # (6)
  done
  M=("${drawn[@]%|*}"); M=("${M[@]/#/rac-gen/1|nonce|}"); mac "$KN"; M=()
  for i in "${!drawn[@]}"; do
    M+=("\\0rac-slot/1|$D|${drawn[i]}|${H[i]}") # (7)
    arm=${drawn[i]##*|} slot=${drawn[i]%|*}; printf '%s\t%s\t%s\t%s\n' "${slot%|*}" "${slot#*|}" "${codes[${slot%|*}]}" "$arm"
  done; digest sha256sum; L=("${H[@]}")
  while ((${#L[@]} > 1)); do # RFC 6962: in pairs; an odd last one rises as it is
    odd=("${L[@]:${#L[@]} / 2 * 2}")
    mapfile -t M < <(printf '%s%s\n' "${L[@]:0:${#L[@]} - ${#odd[@]}}" | sed 's/../\\x&/g; s/^/\\x01/')
    digest sha256sum; L=("${H[@]}" "${odd[@]}")
  done
  printf '%s\t%s\n' trial "$trial" list "$list" D "$D" root "${L[0]}"
}
each=$((${#DESIGN} > 0 ? 1 : 2)); (($# > 0 && $# % each == 0)) || refuse "give DESIGN and SEED"
for (( ; $# > 0; )); do # `read` succeeds where a zero byte ends what it takes
  document=$DESIGN; ((each == 1)) || ! IFS= read -r -d '' document <"$1" || refuse "there is a zero byte"
  ! read -r -d '' seed <"${!each}" || refuse "there is a zero byte"
  regenerate "${document%$'\n'}" "$seed"; shift "$each"
done
