/* inbox_sql.h - lists over many cases: tasks of a person, clocks that break next.  Layer: handle/inbox. */
#pragma once
#include "handle/flow/case_sql.h"
#include "platform/identity/principal.h"

struct inbox_query {
    const struct principal *who;
    bool mine; /* else all that they may see */
    enum task_state state;
    int64_t after_due, after_id; /* keyset; 0, 0 = from the start */
    int limit;
};
struct inbox_item {
    struct task_row task;
    bool claimable;
    struct str type, number, title, case_state, level, service_name;
    int64_t service;
    int64_t order; /* what the list is sorted by */
};
#define INBOX_MAX 200
/* Rows in the order: open ones by due instant (those without last), done ones newest first. */
MUST_CHECK enum err_code inbox_list(struct tx *tx, const struct inbox_query *query, struct inbox_item *out,
                                    int *out_count, struct err *err);
/* Exact up to 10,000, else 10,000 and *out_exact false. */
MUST_CHECK enum err_code inbox_count(struct tx *tx, const struct inbox_query *query, int64_t *out_count,
                                     bool *out_exact, struct err *err);

struct due_row {
    int64_t case_id, due_ms, warn_ms, limit_ms;
    struct str clock, clock_state, type, number, title, case_state, level, service_name;
};
/* Running and breached clocks of open cases within the reader's scope, due in [from_ms, to_ms), next due
 * first; with `backwards` the last due first. */
struct due_query {
    const struct principal *who;
    int64_t from_ms, to_ms;
    bool backwards;
    int limit;
};
MUST_CHECK enum err_code inbox_due(struct tx *tx, const struct due_query *query, struct due_row *out,
                                   int *out_count, struct err *err);
