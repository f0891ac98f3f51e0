/* case_sql.c - the SQL of cases. */
#include "handle/flow/case_sql.h"

#define CASE_COLUMNS                                                                                         \
    "id, type, flow_version, sla_version, state, service, level, opened_ms, closed_ms, prior_id, "           \
    "starter_id, warned, breached"
#define EVENT_COLUMNS                                                                                        \
    "id, case_id, at_ms, made_ms, by_id, by_name, kind, what, clocks, workaround, service, level, voids, "   \
    "task_id, node, action, text, data"
#define TASK_COLUMNS                                                                                         \
    "id, case_id, token, node, name, state, may, assignee, assignee_name, opened_ms, due_ms, done_ms, "      \
    "action"

static const char *const TASK_STATES[TASK_STATE__COUNT] = { "open", "done", "cancelled" };

static enum err_code list_ids(struct tx *tx, const char *sql, int64_t a, int64_t b, int64_t *out_ids,
                              int *out_count, int max, struct err *err);
static enum err_code task_read(struct tx *tx, struct stmt *stmt, struct task_row *out, struct err *err);
static enum err_code event_read(struct tx *tx, struct stmt *stmt, struct event_row *out, struct err *err);

const char *task_state_name(enum task_state state)
{
    return TASK_STATES[state];
}

/* ---- cases ---- */

enum err_code case_row_load(struct tx *tx, int64_t id, struct case_row *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, "SELECT " CASE_COLUMNS " FROM case_run WHERE id = ?1",
                                    BINDS(bind_i64(id)), &stmt, &row, err);
    if (rc)
        return rc;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "case.not_found", ARG_END);
    *out = (struct case_row) {
        .id = stmt_i64(stmt, 0),
        .type = stmt_keep(stmt, 1),
        .flow_version = stmt_i64(stmt, 2),
        .sla_version = stmt_i64(stmt, 3),
        .state = stmt_keep(stmt, 4),
        .service = stmt_keep(stmt, 5),
        .level = stmt_keep(stmt, 6),
        .opened_ms = stmt_i64(stmt, 7),
        .closed_ms = stmt_i64(stmt, 8),
        .prior_id = stmt_i64(stmt, 9),
        .starter_id = stmt_i64(stmt, 10),
        .warned = stmt_i64(stmt, 11),
        .breached = stmt_i64(stmt, 12),
    };
    return tx_failed(tx, err);
}

enum err_code case_row_insert(struct tx *tx, const struct case_row *row, struct err *err)
{
    return tx_run(tx,
                  "INSERT INTO case_run (" CASE_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, "
                  "?8, ?9, ?10, ?11, ?12, ?13)",
                  BINDS(bind_i64(row->id), bind_text(row->type), bind_i64(row->flow_version),
                        bind_i64(row->sla_version), bind_text(row->state), bind_text(row->service),
                        bind_text(row->level), bind_i64(row->opened_ms), bind_i64_or_null(row->closed_ms),
                        bind_i64_or_null(row->prior_id), bind_i64(row->starter_id), bind_i64(row->warned),
                        bind_i64(row->breached)),
                  NULL, err);
}

enum err_code case_row_update(struct tx *tx, const struct case_row *row, struct err *err)
{
    return tx_run(tx,
                  "UPDATE case_run SET state = ?2, service = ?3, level = ?4, closed_ms = ?5, "
                  "warned = ?6, breached = ?7 WHERE id = ?1",
                  BINDS(bind_i64(row->id), bind_text(row->state), bind_text(row->service),
                        bind_text(row->level), bind_i64_or_null(row->closed_ms), bind_i64(row->warned),
                        bind_i64(row->breached)),
                  NULL, err);
}

/* A closed case whose report is still owed has a row in case_due and counts as open here. */
enum err_code case_open_ids(struct tx *tx, int64_t after, int max, int64_t *out_ids, int *out_count,
                            struct err *err)
{
    return list_ids(tx,
                    "SELECT id FROM case_run WHERE id > ?1 AND (closed_ms IS NULL OR EXISTS (SELECT 1 FROM "
                    "case_due d WHERE d.case_id = case_run.id)) ORDER BY id LIMIT ?2",
                    after, max, out_ids, out_count, max, err);
}

/* ---- events ---- */

enum err_code event_insert(struct tx *tx, const struct event_row *row, struct err *err)
{
    return tx_run(
        tx,
        "INSERT INTO case_event (" EVENT_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
        "?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        BINDS(bind_i64(row->id), bind_i64(row->case_id), bind_i64(row->at_ms), bind_i64(row->made_ms),
              bind_i64(row->by_id), bind_text(row->by_name), bind_text(str_from(sla_event_name(row->kind))),
              bind_text(row->what), bind_i64(row->clocks), bind_i64(row->workaround), bind_text(row->service),
              bind_text(row->level), bind_i64(row->voids), bind_i64(row->task_id), bind_text(row->node),
              bind_text(row->action), bind_text(row->text), bind_text_or_null(row->data)),
        NULL, err);
}

enum err_code event_list(struct tx *tx, int64_t case_id, struct event_row **out, int *out_count,
                         struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct event_row *list = NULL;
    int count = 0, size = 0;
    enum err_code rc =
        tx_query(tx, "SELECT " EVENT_COLUMNS " FROM case_event WHERE case_id = ?1 ORDER BY id LIMIT ?2",
                 BINDS(bind_i64(case_id), bind_i64(SLA_EVENTS_MAX)), &stmt, err);
    if (rc)
        return rc;
    for (bool row = false; !(rc = stmt_step(stmt, &row, err)) && row;) {
        list = arena_grow(tx_arena(tx), list, count, &size, sizeof(*list));
        if (!list)
            return err_nomem(err);
        rc = event_read(tx, stmt, &list[count++], err);
        if (rc)
            return rc;
    }
    if (rc)
        return rc;
    *out = list;
    *out_count = count;
    return ERR_OK;
}

/* ---- tokens ---- */

enum err_code token_list(struct tx *tx, int64_t case_id, const struct flow_model *model, struct flow_run *run,
                         struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    enum err_code rc = tx_query(tx, "SELECT id, node, scope FROM flow_token WHERE case_id = ?1 ORDER BY id",
                                BINDS(bind_i64(case_id)), &stmt, err);
    flow_run_init(run, model);
    if (rc)
        return rc;
    for (;;) {
        bool row = false;
        int node;
        rc = stmt_step(stmt, &row, err);
        if (rc || !row)
            return rc;
        node = flow_node_find(model, stmt_text(stmt, 1));
        if (node < 0 || run->tokens_count == FLOW_TOKENS_MAX)
            return err_set(err, ERR_CORRUPT, "flow.token_lost", ARG_STR("node", stmt_text(stmt, 1)), ARG_END);
        run->tokens[run->tokens_count++] = (struct flow_token) { stmt_i64(stmt, 0), node, stmt_i64(stmt, 2) };
    }
}

enum err_code token_store(struct tx *tx, int64_t case_id, const struct flow_run *run, struct err *err)
{
    enum err_code rc =
        tx_run(tx, "DELETE FROM flow_token WHERE case_id = ?1", BINDS(bind_i64(case_id)), NULL, err);
    for (int i = 0; !rc && i < run->tokens_count; i++)
        rc = tx_run(tx, "INSERT INTO flow_token (id, case_id, node, scope) VALUES (?1, ?2, ?3, ?4)",
                    BINDS(bind_i64(run->tokens[i].id), bind_i64(case_id),
                          bind_text(run->model->nodes[run->tokens[i].node].id),
                          bind_i64(run->tokens[i].scope)),
                    NULL, err);
    return rc;
}

/* ---- tasks ---- */

enum err_code task_insert(struct tx *tx, const struct task_row *row, struct err *err)
{
    return tx_run(tx,
                  "INSERT INTO task (" TASK_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "
                  "?9, ?10, ?11, ?12, ?13)",
                  BINDS(bind_i64(row->id), bind_i64(row->case_id), bind_i64(row->token), bind_text(row->node),
                        bind_text(row->name), bind_text(str_from(TASK_STATES[row->state])),
                        bind_text(row->may), bind_i64(row->assignee), bind_text(row->assignee_name),
                        bind_i64(row->opened_ms), bind_i64(row->due_ms), bind_i64(row->done_ms),
                        bind_text(row->action)),
                  NULL, err);
}

enum err_code task_update(struct tx *tx, const struct task_row *row, struct err *err)
{
    return tx_run(tx,
                  "UPDATE task SET state = ?2, assignee = ?3, assignee_name = ?4, due_ms = ?5, "
                  "done_ms = ?6, action = ?7 WHERE id = ?1",
                  BINDS(bind_i64(row->id), bind_text(str_from(TASK_STATES[row->state])),
                        bind_i64(row->assignee), bind_text(row->assignee_name), bind_i64(row->due_ms),
                        bind_i64(row->done_ms), bind_text(row->action)),
                  NULL, err);
}

enum err_code task_load(struct tx *tx, int64_t id, struct task_row *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, "SELECT " TASK_COLUMNS " FROM task WHERE id = ?1",
                                    BINDS(bind_i64(id)), &stmt, &row, err);
    if (rc)
        return rc;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "task.not_found", ARG_END);
    return task_read(tx, stmt, out, err);
}

enum err_code task_list(struct tx *tx, int64_t case_id, struct task_row **out, int *out_count,
                        struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct task_row *list = NULL;
    int count = 0, size = 0;
    enum err_code rc =
        tx_query(tx, "SELECT " TASK_COLUMNS " FROM task WHERE case_id = ?1 ORDER BY id LIMIT ?2",
                 BINDS(bind_i64(case_id), bind_i64(CASE_TASKS_MAX)), &stmt, err);
    if (rc)
        return rc;
    for (bool row = false; !(rc = stmt_step(stmt, &row, err)) && row;) {
        list = arena_grow(tx_arena(tx), list, count, &size, sizeof(*list));
        if (!list)
            return err_nomem(err);
        rc = task_read(tx, stmt, &list[count++], err);
        if (rc)
            return rc;
    }
    if (rc)
        return rc;
    *out = list;
    *out_count = count;
    return ERR_OK;
}

enum err_code task_user_add(struct tx *tx, int64_t task, int64_t user, struct err *err)
{
    return tx_run(tx, "INSERT INTO task_user (task_id, user_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                  BINDS(bind_i64(task), bind_i64(user)), NULL, err);
}

enum err_code task_user_has(struct tx *tx, int64_t task, int64_t user, bool *out_has, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    enum err_code rc = tx_query(tx, "SELECT 1 FROM task_user WHERE task_id = ?1 AND user_id = ?2",
                                BINDS(bind_i64(task), bind_i64(user)), &stmt, err);
    if (rc)
        return rc;
    return stmt_step(stmt, out_has, err);
}

enum err_code task_users(struct tx *tx, int64_t task, int64_t *out_users, int *out_count, int max,
                         struct err *err)
{
    return list_ids(tx, "SELECT user_id FROM task_user WHERE task_id = ?1 ORDER BY user_id LIMIT ?2", task,
                    max, out_users, out_count, max, err);
}

/* ---- timers ---- */

enum err_code flow_timer_insert(struct tx *tx, const struct timer_row *row, struct err *err)
{
    return tx_run(tx, "INSERT INTO flow_timer (id, case_id, token, node, due_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
                  BINDS(bind_i64(row->id), bind_i64(row->case_id), bind_i64(row->token), bind_text(row->node),
                        bind_i64(row->due_ms)),
                  NULL, err);
}

enum err_code flow_timer_delete(struct tx *tx, int64_t id, struct err *err)
{
    return tx_run(tx, "DELETE FROM flow_timer WHERE id = ?1", BINDS(bind_i64(id)), NULL, err);
}

enum err_code flow_timer_delete_token(struct tx *tx, int64_t token, struct err *err)
{
    return tx_run(tx, "DELETE FROM flow_timer WHERE token = ?1", BINDS(bind_i64(token)), NULL, err);
}

enum err_code flow_timer_load(struct tx *tx, int64_t id, bool *out_found, struct timer_row *out,
                              struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc =
        tx_query_row(tx, "SELECT id, case_id, token, node, due_ms FROM flow_timer WHERE id = ?1",
                     BINDS(bind_i64(id)), &stmt, &row, err);
    if (rc)
        return rc;
    *out_found = row;
    if (row)
        *out = (struct timer_row) { stmt_i64(stmt, 0), stmt_i64(stmt, 1), stmt_i64(stmt, 2),
                                    stmt_keep(stmt, 3), stmt_i64(stmt, 4) };
    return tx_failed(tx, err);
}

enum err_code flow_timer_due(struct tx *tx, int64_t now_ms, int max, int64_t *out_ids, int *out_count,
                             struct err *err)
{
    return list_ids(tx, "SELECT id FROM flow_timer WHERE due_ms <= ?1 ORDER BY due_ms, id LIMIT ?2", now_ms,
                    max, out_ids, out_count, max, err);
}

/* ---- clocks ---- */

struct str clock_text_of(struct arena *arena, const struct sla_clock_state *clock)
{
    if (clock->state == SLA_STATE_NONE)
        return STR("");
    return arena_printf(arena, "%s %s %.*s %lld %lld %lld %lld %lld %d", sla_state_name(clock->state),
                        sla_source_name(clock->term.source), STR_ARG(clock->term.calendar_name),
                        (long long)clock->term.row_id, (long long)clock->term.limit_ms,
                        (long long)clock->due_ms, (long long)clock->warn_ms, (long long)clock->reached_ms,
                        clock->workaround);
}

enum err_code clock_store(struct tx *tx, int64_t case_id, const struct sla_result *result, struct err *err)
{
    enum err_code rc =
        tx_run(tx, "DELETE FROM case_clock WHERE case_id = ?1", BINDS(bind_i64(case_id)), NULL, err);
    for (int c = 0; !rc && c < SLA_CLOCK__COUNT; c++) {
        const struct sla_clock_state *clock = &result->clocks[c];
        if (clock->state != SLA_STATE_NONE)
            rc = tx_run(
                tx,
                "INSERT INTO case_clock (case_id, clock, state, source, calendar, row_id, limit_ms, "
                "used_ms, due_ms, warn_ms, reached_ms, workaround) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, "
                "?8, ?9, ?10, ?11, ?12)",
                BINDS(bind_i64(case_id), bind_text(str_from(sla_clock_name((enum sla_clock)c))),
                      bind_text(str_from(sla_state_name(clock->state))),
                      bind_text(str_from(sla_source_name(clock->term.source))),
                      bind_text(clock->term.calendar_name), bind_i64(clock->term.row_id),
                      bind_i64(clock->term.limit_ms), bind_i64(clock->used_ms), bind_i64(clock->due_ms),
                      bind_i64(clock->warn_ms), bind_i64(clock->reached_ms), bind_i64(clock->workaround)),
                NULL, err);
    }
    return rc;
}

enum err_code clock_texts(struct tx *tx, int64_t case_id, struct str out[SLA_CLOCK__COUNT], struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    enum err_code rc = tx_prepare(tx,
                                  "SELECT clock, state, source, calendar, row_id, limit_ms, due_ms, warn_ms, "
                                  "reached_ms, workaround FROM case_clock WHERE case_id = ?1",
                                  &stmt, err);
    if (rc)
        return rc;
    for (int c = 0; c < SLA_CLOCK__COUNT; c++)
        out[c] = STR("");
    stmt_bind_i64(stmt, 1, case_id);
    for (;;) {
        bool row = false;
        enum sla_clock clock;
        rc = stmt_step(stmt, &row, err);
        if (rc || !row)
            return rc;
        if (!sla_clock_from(stmt_text(stmt, 0), &clock))
            continue;
        out[clock] = arena_printf(
            tx_arena(tx), "%.*s %.*s %.*s %lld %lld %lld %lld %lld %d", STR_ARG(stmt_text(stmt, 1)),
            STR_ARG(stmt_text(stmt, 2)), STR_ARG(stmt_text(stmt, 3)), (long long)stmt_i64(stmt, 4),
            (long long)stmt_i64(stmt, 5), (long long)stmt_i64(stmt, 6), (long long)stmt_i64(stmt, 7),
            (long long)stmt_i64(stmt, 8), (int)stmt_i64(stmt, 9));
        if (!out[clock].ptr)
            return err_nomem(err);
    }
}

/* ---- what is due ---- */

enum err_code due_store(struct tx *tx, int64_t case_id, int64_t due_ms, struct err *err)
{
    if (!due_ms)
        return tx_run(tx, "DELETE FROM case_due WHERE case_id = ?1", BINDS(bind_i64(case_id)), NULL, err);
    return tx_run(
        tx,
        "INSERT INTO case_due (case_id, due_ms) VALUES (?1, ?2) ON CONFLICT (case_id) DO UPDATE SET "
        "due_ms = excluded.due_ms",
        BINDS(bind_i64(case_id), bind_i64(due_ms)), NULL, err);
}

enum err_code due_load(struct tx *tx, int64_t case_id, int64_t *out_due_ms, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, "SELECT due_ms FROM case_due WHERE case_id = ?1",
                                    BINDS(bind_i64(case_id)), &stmt, &row, err);
    if (!rc)
        *out_due_ms = row ? stmt_i64(stmt, 0) : 0;
    return rc;
}

enum err_code due_list(struct tx *tx, int64_t now_ms, int max, int64_t *out_ids, int *out_count,
                       struct err *err)
{
    return list_ids(tx, "SELECT case_id FROM case_due WHERE due_ms < ?1 ORDER BY due_ms, case_id LIMIT ?2",
                    now_ms, max, out_ids, out_count, max, err);
}

enum err_code due_next(struct tx *tx, int64_t *out_ms, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_prepare(
        tx, "SELECT (SELECT MIN(due_ms) FROM case_due), (SELECT MIN(due_ms) FROM flow_timer)", &stmt, err);
    if (!rc)
        rc = stmt_step(stmt, &row, err);
    if (rc)
        return rc;
    *out_ms = INT64_MAX;
    for (int i = 0; row && i < 2; i++)
        if (!stmt_is_null(stmt, i) && stmt_i64(stmt, i) < *out_ms)
            *out_ms = stmt_i64(stmt, i);
    return ERR_OK;
}

/* ---- versions ---- */

enum err_code flow_version_put(struct tx *tx, struct str flow, struct str checksum, struct str xml,
                               int64_t new_id, int64_t now_ms, int64_t *out_id, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *find = NULL;
    AUTO(stmt_free_auto) struct stmt *add = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, "SELECT id FROM flow_version WHERE flow = ?1 AND checksum = ?2",
                                    BINDS(bind_text(flow), bind_text(checksum)), &find, &row, err);
    if (rc)
        return rc;
    if (row) {
        *out_id = stmt_i64(find, 0);
        return ERR_OK;
    }
    rc = tx_prepare(tx,
                    "INSERT INTO flow_version (id, flow, checksum, xml, made_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
                    &add, err);
    if (rc)
        return rc;
    stmt_bind_i64(add, 1, new_id);
    stmt_bind_text(add, 2, flow);
    stmt_bind_text(add, 3, checksum);
    stmt_bind_text(add, 4, xml);
    stmt_bind_i64(add, 5, now_ms);
    *out_id = new_id;
    return stmt_run(add, NULL, err);
}

enum err_code flow_version_get(struct tx *tx, int64_t id, struct str *out_flow, struct str *out_xml,
                               struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, "SELECT flow, xml FROM flow_version WHERE id = ?1",
                                    BINDS(bind_i64(id)), &stmt, &row, err);
    if (rc)
        return rc;
    if (!row)
        return err_set(err, ERR_CORRUPT, "flow.version_lost", ARG_END);
    *out_flow = stmt_keep(stmt, 0);
    *out_xml = stmt_keep(stmt, 1);
    return tx_failed(tx, err);
}

enum err_code sla_version_put(struct tx *tx, struct str checksum, struct str snapshot, int64_t new_id,
                              int64_t now_ms, int64_t *out_id, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *find = NULL;
    AUTO(stmt_free_auto) struct stmt *add = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, "SELECT id FROM sla_version WHERE checksum = ?1",
                                    BINDS(bind_text(checksum)), &find, &row, err);
    if (rc)
        return rc;
    if (row) {
        *out_id = stmt_i64(find, 0);
        return ERR_OK;
    }
    rc = tx_prepare(tx, "INSERT INTO sla_version (id, checksum, snapshot, made_ms) VALUES (?1, ?2, ?3, ?4)",
                    &add, err);
    if (rc)
        return rc;
    stmt_bind_i64(add, 1, new_id);
    stmt_bind_text(add, 2, checksum);
    stmt_bind_text(add, 3, snapshot);
    stmt_bind_i64(add, 4, now_ms);
    *out_id = new_id;
    return stmt_run(add, NULL, err);
}

enum err_code sla_version_get(struct tx *tx, int64_t id, struct str *out_snapshot, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, "SELECT snapshot FROM sla_version WHERE id = ?1", BINDS(bind_i64(id)),
                                    &stmt, &row, err);
    if (rc)
        return rc;
    if (!row)
        return err_set(err, ERR_CORRUPT, "flow.version_lost", ARG_END);
    *out_snapshot = stmt_keep(stmt, 0);
    return tx_failed(tx, err);
}

/* ---- alarms ---- */

enum err_code alarm_case(struct tx *tx, int64_t alarm, int64_t *out_case, bool *out_open, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(
        tx,
        "SELECT a.case_id, r.closed_ms FROM case_alarm a JOIN case_run r ON r.id = a.case_id WHERE "
        "a.alarm_id = ?1 ORDER BY a.case_id DESC LIMIT 1",
        BINDS(bind_i64(alarm)), &stmt, &row, err);
    if (!rc)
        *out_case = row ? stmt_i64(stmt, 0) : 0;
    if (!rc)
        *out_open = row && stmt_is_null(stmt, 1);
    return rc;
}

enum err_code alarm_source_case(struct tx *tx, struct str source, int64_t *out_case, bool *out_open,
                                struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc =
        tx_query_row(tx,
                     "SELECT a.case_id, r.closed_ms FROM case_alarm a JOIN case_run r ON r.id = "
                     "a.case_id WHERE a.source = ?1 ORDER BY CASE WHEN r.closed_ms IS NULL THEN 0 "
                     "ELSE 1 END, a.alarm_id DESC LIMIT 1",
                     BINDS(bind_text(source)), &stmt, &row, err);
    if (rc)
        return rc;
    *out_case = row ? stmt_i64(stmt, 0) : 0;
    *out_open = row && stmt_is_null(stmt, 1);
    return ERR_OK;
}

enum err_code alarm_insert(struct tx *tx, int64_t alarm, int64_t case_id, struct str source, int64_t now_ms,
                           struct err *err)
{
    return tx_run(tx, "INSERT INTO case_alarm (alarm_id, case_id, source, joined_ms) VALUES (?1, ?2, ?3, ?4)",
                  BINDS(bind_i64(alarm), bind_i64(case_id), bind_text(source), bind_i64(now_ms)), NULL, err);
}

/* ---- helpers ---- */

static enum err_code list_ids(struct tx *tx, const char *sql, int64_t a, int64_t b, int64_t *out_ids,
                              int *out_count, int max, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    enum err_code rc = tx_query(tx, sql, BINDS(bind_i64(a), bind_i64(b)), &stmt, err);
    int count = 0;
    for (bool row = false; !rc && count < max && !(rc = stmt_step(stmt, &row, err)) && row;)
        out_ids[count++] = stmt_i64(stmt, 0);
    if (!rc)
        *out_count = count;
    return rc;
}

static enum err_code task_read(struct tx *tx, struct stmt *stmt, struct task_row *out, struct err *err)
{
    *out = (struct task_row) {
        .id = stmt_i64(stmt, 0),
        .case_id = stmt_i64(stmt, 1),
        .token = stmt_i64(stmt, 2),
        .node = stmt_keep(stmt, 3),
        .name = stmt_keep(stmt, 4),
        .may = stmt_keep(stmt, 6),
        .assignee = stmt_i64(stmt, 7),
        .assignee_name = stmt_keep(stmt, 8),
        .opened_ms = stmt_i64(stmt, 9),
        .due_ms = stmt_i64(stmt, 10),
        .done_ms = stmt_i64(stmt, 11),
        .action = stmt_keep(stmt, 12),
    };
    for (int s = 0; s < TASK_STATE__COUNT; s++)
        if (str_eq(stmt_text(stmt, 5), str_from(TASK_STATES[s])))
            out->state = (enum task_state)s;
    return tx_failed(tx, err);
}

static enum err_code event_read(struct tx *tx, struct stmt *stmt, struct event_row *out, struct err *err)
{
    *out = (struct event_row) {
        .id = stmt_i64(stmt, 0),
        .case_id = stmt_i64(stmt, 1),
        .at_ms = stmt_i64(stmt, 2),
        .made_ms = stmt_i64(stmt, 3),
        .by_id = stmt_i64(stmt, 4),
        .by_name = stmt_keep(stmt, 5),
        .what = stmt_keep(stmt, 7),
        .clocks = (unsigned)stmt_i64(stmt, 8),
        .workaround = stmt_i64(stmt, 9) != 0,
        .service = stmt_keep(stmt, 10),
        .level = stmt_keep(stmt, 11),
        .voids = stmt_i64(stmt, 12),
        .task_id = stmt_i64(stmt, 13),
        .node = stmt_keep(stmt, 14),
        .action = stmt_keep(stmt, 15),
        .text = stmt_keep(stmt, 16),
        .data = stmt_keep(stmt, 17),
    };
    if (!sla_event_from(stmt_text(stmt, 6), &out->kind))
        return err_set(err, ERR_CORRUPT, "flow.version_lost", ARG_END);
    return tx_failed(tx, err);
}
