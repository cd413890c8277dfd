/* Make a rac-gen/1 list again from its design and its seed. SAS 9.4M6 or newer, in a UTF-8 session.
   NOT RUN BY US: we have no SAS. Compare what it gives with one of the other programs first.
       sas regenerate.sas
   design.json is the design document, seed.txt a file of 64 hexadecimal digits. The list goes to
   the data set LIST (stratum, slot, code of the stratum, arm); trial, list, D and root go to the
   log: compare D and root with the trial's log, and keep the rest secret. (1) to (7) are the rules
   of rac-gen/1 in docs/formats.md. A refusal ends a batch run with the exit code 1. */
filename seed "seed.txt";
filename design "design.json"; /* `alloc list code` writes the document itself here */
libname document json fileref=design;

data list(keep=stratum slot code arm);
  length alg arm x1 left right $32 d list_key nonce_key digits node $64 line m $400 code $800;
  array arm_of[16] $32 _temporary_;    array ratio[16] _temporary_;
  array size[16] _temporary_;          array weight[16] _temporary_;
  array x[0:255] $32 _temporary_;      array edge[0:31] $64 _temporary_;

  set document.root(keep=alg trial list);
  if alg ne 'rac-gen/1' then do; m = "the design's alg is not rac-gen/1"; link refuse; end;
  infile seed truncover; input line $char400.;
  if not prxmatch('/^[0-9a-f]{64}\s*$/', line) then do;
    m = 'the seed is not exactly 64 of 0-9 and a-f'; link refuse;
  end;
  if verify(substr(line, 1, 64), char(line, 1)) = 0 then do;
    m = 'the seed is one digit repeated'; link refuse;
  end;
  do until (last_arm); /* the order of arms, blocks and strata matters */
    set document.arms(keep=code ratio rename=(code=arm_code ratio=arm_ratio)) end=last_arm;
    arms + 1; arm_of[arms] = arm_code; ratio[arms] = arm_ratio; unit + arm_ratio;
  end;
  do until (last_block);
    set document.blocks(keep=size weight rename=(size=block_size weight=block_weight)) end=last_block;
    blocks + 1; size[blocks] = block_size; weight[blocks] = block_weight; weights + block_weight;
    if mod(block_size, unit) or block_size > 256 then do;
      m = 'a block does not fit the ratios'; link refuse;
    end;
  end;

  d = lowcase(hashing_file('sha256', trim(pathname('design')), 0));
  list_key = lowcase(hashing_hmac('sha256', substr(line, 1, 64), 'rac-gen/1|list|' || d)); /* (1) */
  nonce_key = lowcase(hashing_hmac('sha256', substr(line, 1, 64), 'rac-gen/1|nonce|' || d));
  stratum = -1; size_of_tree = 0;
  do until (last_stratum);
    set document.strata(keep=code slots rename=(code=stratum_code)) end=last_stratum;
    code = stratum_code; stratum + 1; slot = 0;
    do b = 0 by 1 while (slot < slots);
      c = -1; at = 8; bound = weights; link below; /* (4) the type of the block, by weight */
      do k = 1 by 1 while (j >= weight[k]); j = j - weight[k]; end;
      n = 0;
      do a = 1 to arms; do i = 1 to ratio[a] * size[k] / unit; x[n] = arm_of[a]; n + 1; end; end;
      do i = n - 1 to 1 by -1; /* (5) */
        bound = i + 1; link below; x1 = x[i]; x[i] = x[j]; x[j] = x1;
      end;
      do i = 0 to n - 1 while (slot < slots); /* (6) */
        arm = x[i];
        m = cats('rac-gen/1|nonce|', stratum, '|', slot);
        m = cats('rac-slot/1|', d, '|', stratum, '|', slot, '|', arm, '|',
                 lowcase(hashing_hmac('sha256', trim(nonce_key), trim(m)))); /* (7) */
        node = hashing('sha256', '00'x || trim(m));
        output;
        slot + 1;
        link grow;
      end;
    end;
  end;
  node = ''; /* the root: the complete subtrees of the tree, joined from the smallest */
  do level = 0 to 31;
    if mod(floor(size_of_tree / 2 ** level), 2) then do;
      if node = '' then node = edge[level];
      else link pair;
    end;
  end;
  node = lowcase(node);
  put trial= / list= / 'D=' d / 'root=' node;
  stop;

  below: /* (2) words of 32 bits, eight a code; (3) j is uniform from 0 to bound - 1; 1 takes none */
    word = 0;
    if bound > 1 then do until (word < 2 ** 32 - mod(2 ** 32, bound));
      if at = 8 then do;
        c + 1; at = 0; m = cats('rac-gen/1|block|', stratum, '|', b, '|', c);
        digits = hashing_hmac('sha256', trim(list_key), trim(m));
      end;
      word = input(substr(digits, 8 * at + 1, 4), hex4.) * 65536 + input(substr(digits, 8 * at + 5, 4), hex4.);
      at + 1;
    end;
    j = mod(word, bound);
  return;
  grow: /* RFC 6962: one leaf more; each complete pair of subtrees becomes one */
    level = 0;
    do while (mod(floor(size_of_tree / 2 ** level), 2)); link pair; level + 1; end;
    edge[level] = node; size_of_tree + 1;
  return;
  pair: left = input(edge[level], $hex64.); right = input(node, $hex64.); /* 32 bytes each */
    node = hashing('sha256', '01'x || left || right);
  return;
  refuse: put 'ERROR: ' m; abort return 1;
run;
