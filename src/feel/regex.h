/* regex.h - regular expressions of XPath 3.1 (as FEEL wants them) on PCRE2.
 *
 * A compiled expression lives in its arena and never changes; matching takes its memory from the evaluation.
 * Layer: feel, inside. */
#pragma once
#include "feel/node.h"

struct regex;

/* ERR_OK, ERR_INVALID (the pattern or the flags are not in the grammar), ERR_NOMEM. */
enum err_code regex_compile(struct arena *arena, struct str pattern, struct str flags, struct regex **out);
bool regex_literal(const struct regex *regex); /* flag q */

struct regex_match {
    size_t from, to; /* bytes */
    const size_t
        *groups; /* pairs of offsets, (size_t)-1 where a group took no part; valid until the next call */
    uint32_t groups_count;
};
/* The next match at or after `at`; false when there is none or the evaluation stopped. */
bool regex_next(struct feel_eval *ev, const struct regex *regex, struct str text, size_t at,
                struct regex_match *out);
uint32_t regex_groups(const struct regex *regex);

/* matches, replace and split with an expression that is compiled already. */
void regex_call(struct feel_eval *ev, const struct regex *regex, const struct builtin *builtin,
                const struct feel_value *args, size_t count, struct feel_value *out);
/* The expression of a call whose pattern and flags are constants; NULL when they are not, or invalid. */
const struct regex *regex_of_call(struct arena *arena, const struct node *call);
