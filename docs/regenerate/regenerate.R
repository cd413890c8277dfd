# Make a rac-gen/1 list again from its design and its seed. R 4.0 or newer, and the package digest.
#     Rscript regenerate.R DESIGN SEED [DESIGN SEED ...]
# DESIGN is the design document, SEED a file of 64 hexadecimal digits. Written are a line a slot
# (stratum, slot, code of the stratum, arm), then trial, list, D and root: compare D and root with
# the log, and keep the rest secret. (1) to (7) are the rules of rac-gen/1 in docs/formats.md.
library(digest)
DESIGN <- ""  # `alloc list code` writes a design here; then SEED alone is given

# The one spelling of a design document. The order of arms, blocks and strata matters.
ARM <- r"[\{"code":"([A-Za-z0-9._+-]{1,32})","ratio":([1-9]|1[0-6])\}]"
BLOCK <- r"[\{"size":([1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-6]),"weight":([1-9][0-9]{0,2}|1000)\}]"
STRATUM <- r"[\{"code":"((?:[^"\\\p{Cc}]|\\["\\])++)","slots":([1-9][0-9]{0,5}|1000000)\}]"
some <- function(row) sprintf("%s(?:,%s)*+", row, row)
DOCUMENT <- paste0(
  r"[^\{"alg":"rac-gen/1","arms":\[]", some(ARM), r"[\],"blocks":\[]", some(BLOCK),
  r"[\],"list":[1-9][0-9]{0,3},"salt":"[0-9a-f]{64}","strata":\[]", some(STRATUM),
  r"[\],"trial":"[A-Za-z0-9._/-]{1,64}"\}\z]")

sha256 <- function(...) digest(c(...), "sha256", serialize = FALSE, raw = TRUE)
mac <- function(key, message) hmac(key, message, "sha256")  # MAC(k, m), keyed with 64 characters

words <- function(key, s, b, c) {  # (2) a code is eight words of 32 bits. R's integers end at
  code <- mac(key, sprintf("rac-gen/1|block|%d|%d|%d", s, b, c))  # 2^31, its doubles are exact
  half <- strtoi(substring(code, 4 * 0:15 + 1, 4 * 1:16), 16)  # to 2^53: words are doubles here
  half[c(TRUE, FALSE)] * 65536 + half[c(FALSE, TRUE)]
}
draw_block <- function(arms, blocks, key, s, b) {
  count <- -1; held <- NULL
  below <- function(m) {  # (3) uniform from 0 to m - 1; 1 takes no word
    word <- if (m == 1) 0 else 2^32
    while (word >= 2^32 - 2^32 %% m) {
      if (length(held) == 0) held <<- words(key, s, b, count <<- count + 1)
      word <- held[1]; held <<- held[-1]
    }
    word %% m
  }
  n <- as.numeric(blocks$left[cumsum(blocks$right) > below(sum(blocks$right))][1])  # (4)
  x <- rep(arms$left, arms$right * n / sum(arms$right))
  for (i in seq(n, 2)) {  # (5) R counts places from 1; no block is smaller than 2
    j <- below(i) + 1
    x[c(i, j)] <- x[c(j, i)]
  }
  x
}
root_of <- function(level) {  # RFC 6962: in pairs; an odd last one rises as it is
  while (length(level) > 1) {
    pair <- function(at) sha256(as.raw(1), level[[at]], level[[at + 1]])
    level <- c(lapply(seq(1, length(level) - 1, 2), pair), tail(level, length(level) %% 2))
  }
  paste(level[[1]], collapse = "")
}

rows <- function(row, text, least, most) {
  found <- regmatches(text, gregexpr(row, text, perl = TRUE))[[1]]
  left <- sub(row, "\\1", found, perl = TRUE)
  stopifnot("an arm, a block's size or a stratum is there twice" = !anyDuplicated(left),
            "too few or too many arms, blocks or strata" = least <= length(left) && length(left) <= most)
  list(left = left, right = as.numeric(sub(row, "\\2", found, perl = TRUE)))
}

regenerate <- function(data, seed) {
  text <- rawToChar(data)
  Encoding(text) <- "UTF-8"
  stopifnot("the design's alg is not rac-gen/1" = startsWith(text, '{"alg":"rac-gen/1",'),
            "the design is no text in UTF-8" = validUTF8(text),
            "the design is no canonical document of rac-gen/1" = grepl(DOCUMENT, text, perl = TRUE))
  arms <- rows(ARM, text, 2, 16); blocks <- rows(BLOCK, text, 1, 16)
  strata <- rows(STRATUM, text, 1, 1000)
  codes <- gsub("\\\\(.)", "\\1", strata$left)
  stopifnot("a stratum's code is longer than 200 characters" = nchar(codes) <= 200,
            "a block does not fit the ratios" = as.numeric(blocks$left) %% sum(arms$right) == 0,
            "a list has at most 2,000,000 slots" = sum(strata$right) <= 2e6,
            "the seed is not exactly 64 of 0-9 and a-f" = grepl("^[0-9a-f]{64}$", seed),
            "the seed is one digit repeated" = !grepl("^(.)\\1*$", seed))
  d <- digest(data, "sha256", serialize = FALSE)
  keys <- lapply(paste0("rac-gen/1|", c("list|", "nonce|"), d), function(use) mac(seed, use))  # (1)
  leaves <- list()
  for (s in seq_along(strata$left) - 1) {
    i <- seq_len(strata$right[s + 1]) - 1
    enough <- seq_len(ceiling(length(i) / min(as.numeric(blocks$left)))) - 1
    drawn <- lapply(enough, function(b) draw_block(arms, blocks, keys[[1]], s, b))
    arm <- unlist(drawn)[i + 1]  # (6) no block depends on another, so that more do no harm
    nonce <- vapply(sprintf("rac-gen/1|nonce|%d|%d", s, i), function(m) mac(keys[[2]], m), "")
    opening <- sprintf("rac-slot/1|%s|%d|%d|%s|%s", d, s, i, arm, nonce)  # (7)
    leaves <- c(leaves, lapply(opening, function(text) sha256(as.raw(0), charToRaw(text))))
    writeLines(paste(sprintf("%d\t%d", s, i), codes[s + 1], arm, sep = "\t"), useBytes = TRUE)
  }
  names <- sub('.*\\],"list":([0-9]+),"salt".*"trial":"(.*)"\\}$', "trial\t\\2\nlist\t\\1", text)
  writeLines(c(names, paste0("D\t", d), paste0("root\t", root_of(leaves))), useBytes = TRUE)
}

paths <- commandArgs(trailingOnly = TRUE)
each <- if (nzchar(DESIGN)) 1 else 2
stopifnot("give DESIGN and SEED" = length(paths) > 0 && length(paths) %% each == 0)
for (at in seq(each, length(paths), each)) {
  data <- if (each == 1) charToRaw(DESIGN) else readBin(paths[at - 1], "raw", 1e7)
  if (tail(data, 1) == 0x0a) data <- head(data, -1)  # an editor's line end is no part of it
  regenerate(data, trimws(readChar(paths[at], 1000, useBytes = TRUE)))
}
