/* gram.h - full-text search of Chinese: one normal form, one gram function, one rule of what is found.
 *
 * A text becomes its normal form: NFKC with case folded, cut into runs - of Chinese (Han, kana, hangul)
 * or of other letters and digits; runs are separated by one blank, everything else is dropped.
 *     "GZ-2026号：网络 故障" -> "gz 2026 号 网络 故障"
 * Its grams are, for each Chinese run, its pairs of neighbours and its last character alone; each other
 * run is one gram.
 *
 * A query is cut at white space into words, each normalised like a text.  A word is found where its
 * normal form stands in the text's, beginning at a run if it begins with a letter or digit; so
 * "故" finds 故障, "nginx" finds nginx01 but not mynginx.  All words must be found.
 *   SQLite      the FTS5 phrase of the word's grams, the last one as a prefix where needed, is exactly
 *               that rule.
 *   PostgreSQL  the grams ANDed find candidates, then position() in the stored normal form decides.
 * Threads: values only.  Layer: platform/entity. */
#pragma once
#include "base/buf.h"

#define GRAM_WORDS_MAX 16                   /* words of a query that count; more is ERR_LIMIT */
#define GRAM_QUERY_MAX 200                  /* bytes of a query */
#define GRAM_FIELD_SEPARATOR "\xee\x80\x80" /* U+E000, a run of its own between two fields */

/* Appends the normal form of `text`, with a blank before when `out` is not empty.  ERR_NOMEM, ERR_LIMIT. */
MUST_CHECK enum err_code gram_normal(struct str text, struct buf *out, struct err *err);

/* Appends the grams of a normal form, separated by blanks. */
void gram_text(struct str normal, struct buf *out);

struct gram_word {
    struct str normal; /* to be found in " " + normal form of the text + " " */
    bool at_run;       /* begins with a letter or digit: look for " " + normal */
    struct str grams;  /* separated by blanks */
    bool prefix;       /* the last gram stands for all that begin with it */
};
struct gram_query {
    struct gram_word words[GRAM_WORDS_MAX];
    int count; /* 0: the query holds nothing that could be found */
};

/* Reads a query; everything lives in the arena.  ERR_LIMIT "entity.search_too_long", ERR_NOMEM. */
MUST_CHECK enum err_code gram_query(struct str text, struct arena *arena, struct gram_query *out,
                                    struct err *err);

/* The FTS5 expression of a query: {text} : "网络 络故" + ... */
void gram_fts5(const struct gram_query *query, struct buf *out);
/* The tsquery of a query: '网络' & '络故' & '障':* */
void gram_tsquery(const struct gram_query *query, struct buf *out);
/* The rule itself, over a normal form: the oracle of tests, and of stores that only find candidates. */
bool gram_found(const struct gram_query *query, struct str normal);
