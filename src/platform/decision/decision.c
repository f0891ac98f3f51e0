/* decision.c - the life of decisions and their versions; see the diagram in decision.h. */
#include "platform/decision/decision_sql.h"
#include "platform/decision/internal.h"

#include <stdlib.h>

struct decisions *decisions_new(const struct decisions_config *config)
{
    struct decisions *decisions = mem_alloc(1, sizeof(*decisions));
    if (!decisions)
        return NULL;
    decisions->config = *config;
    (void)pthread_mutex_init(&decisions->lock, NULL);
    return decisions;
}

static void held_free(struct held *held)
{
    dmn_free(held->model);
    mem_free(held);
}

void decisions_free(struct decisions *decisions)
{
    if (!decisions)
        return;
    while (decisions->held) {
        struct held *held = decisions->held;
        decisions->held = held->next;
        held_free(held);
    }
    (void)pthread_mutex_destroy(&decisions->lock);
    mem_free(decisions);
}

/* -- reading rows -------------------------------------------------------------------------------------- */

static bool copy_text(struct arena *arena, struct str from, struct str *out)
{
    *out = arena_str(arena, from);
    return out->ptr != NULL;
}

static bool read_decision(struct arena *arena, struct stmt *stmt, struct decision_row *out)
{
    *out = (struct decision_row) { .id = stmt_i64(stmt, 0),
                                   .published = stmt_i64(stmt, 3),
                                   .version = stmt_i64(stmt, 4),
                                   .created_at = stmt_i64(stmt, 5),
                                   .created_by = stmt_i64(stmt, 6),
                                   .updated_at = stmt_i64(stmt, 7),
                                   .updated_by = stmt_i64(stmt, 8) };
    return copy_text(arena, stmt_text(stmt, 1), &out->code) &&
           copy_text(arena, stmt_text(stmt, 2), &out->title);
}

static bool read_version(struct arena *arena, struct stmt *stmt, bool with_model,
                         struct decision_version_row *out)
{
    *out = (struct decision_version_row) { .id = stmt_i64(stmt, 0),
                                           .decision_id = stmt_i64(stmt, 1),
                                           .number = stmt_i64(stmt, 2),
                                           .state = (enum decision_state)stmt_i64(stmt, 3),
                                           .tested_at = stmt_i64(stmt, 5),
                                           .published_at = stmt_i64(stmt, 6),
                                           .published_by = stmt_i64(stmt, 7),
                                           .retired_at = stmt_i64(stmt, 8),
                                           .version = stmt_i64(stmt, 9),
                                           .created_at = stmt_i64(stmt, 10),
                                           .created_by = stmt_i64(stmt, 11),
                                           .updated_at = stmt_i64(stmt, 12),
                                           .updated_by = stmt_i64(stmt, 13) };
    return copy_text(arena, stmt_text(stmt, 4), &out->comment) &&
           (!with_model || copy_text(arena, stmt_text(stmt, 14), &out->model));
}

static bool read_case(struct arena *arena, struct stmt *stmt, struct decision_case_row *out)
{
    *out = (struct decision_case_row) { .id = stmt_i64(stmt, 0),
                                        .decision_id = stmt_i64(stmt, 1),
                                        .version = stmt_i64(stmt, 6),
                                        .updated_at = stmt_i64(stmt, 7),
                                        .updated_by = stmt_i64(stmt, 8) };
    return copy_text(arena, stmt_text(stmt, 2), &out->name) &&
           copy_text(arena, stmt_text(stmt, 3), &out->target) &&
           copy_text(arena, stmt_text(stmt, 4), &out->input) &&
           copy_text(arena, stmt_text(stmt, 5), &out->expected);
}

static enum err_code none(int64_t id, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "decision.none", ARG_INT("id", id), ARG_END);
}

static enum err_code decision_row_find(struct tx *tx, struct arena *arena, int64_t id,
                                       struct decision_row *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, SQL_DECISION_GET, BINDS(bind_i64(id)), &stmt, &row, err);
    if (rc == ERR_OK && !row)
        rc = none(id, err);
    if (rc == ERR_OK && !read_decision(arena, stmt, out))
        rc = err_nomem(err);
    return rc;
}

static enum err_code version_find(struct tx *tx, struct arena *arena, int64_t id, int64_t number,
                                  struct decision_version_row *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc =
        tx_query_row(tx, SQL_VERSION_GET, BINDS(bind_i64(id), bind_i64(number)), &stmt, &row, err);
    if (rc == ERR_OK && !row)
        rc = err_set(err, ERR_NOT_FOUND, "decision.no_version", ARG_INT("number", number), ARG_END);
    if (rc == ERR_OK && !read_version(arena, stmt, true, out))
        rc = err_nomem(err);
    return rc;
}

struct reading {
    struct arena *arena;
    int64_t id, number;
    struct str pattern, after, code;
    int limit, count;
    struct decision_row row, *rows;
    struct decision_version_row version, *versions;
    struct decision_case_row *cases;
    int64_t cases_mark[3]; /* SQL_CASES_CHANGED: the cases as they were */
};

static enum err_code list_fn(struct tx *tx, void *arg, struct err *err)
{
    struct reading *reading = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    reading->count = 0;
    enum err_code rc = tx_query(
        tx, SQL_DECISION_LIST,
        BINDS(bind_text(reading->pattern), bind_text(reading->after), bind_i64(reading->limit)), &stmt, err);
    if (rc)
        return rc;
    while ((rc = stmt_step(stmt, &row, err)) == ERR_OK && row && reading->count < reading->limit)
        if (!read_decision(reading->arena, stmt, &reading->rows[reading->count++]))
            return err_nomem(err);
    return rc;
}

enum err_code decision_list(struct decisions *decisions, struct arena *arena, struct str pattern,
                            struct str after, int limit, struct decision_row **out, int *out_count,
                            struct err *err)
{
    struct reading reading = { .arena = arena, .pattern = pattern, .after = after, .limit = limit };
    reading.rows = arena_alloc(arena, (size_t)limit + 1, sizeof(*reading.rows));
    if (!reading.rows)
        return err_nomem(err);
    const enum err_code rc = store_read(decisions->config.store, list_fn, &reading, err);
    *out = reading.rows;
    *out_count = reading.count;
    return rc;
}

#define VERSIONS_MAX 1000 /* of one decision, shown */

static enum err_code read_fn(struct tx *tx, void *arg, struct err *err)
{
    struct reading *reading = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    reading->count = 0;
    enum err_code rc = decision_row_find(tx, reading->arena, reading->id, &reading->row, err);
    if (rc == ERR_OK)
        rc = tx_prepare(tx, SQL_VERSION_LIST, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, reading->id);
    while ((rc = stmt_step(stmt, &row, err)) == ERR_OK && row && reading->count < VERSIONS_MAX)
        if (!read_version(reading->arena, stmt, false, &reading->versions[reading->count++]))
            return err_nomem(err);
    return rc;
}

enum err_code decision_read(struct decisions *decisions, struct arena *arena, int64_t id,
                            struct decision_row *out, struct decision_version_row **out_versions,
                            int *out_count, struct err *err)
{
    struct reading reading = { .arena = arena, .id = id };
    reading.versions = arena_alloc(arena, VERSIONS_MAX, sizeof(*reading.versions));
    if (!reading.versions)
        return err_nomem(err);
    const enum err_code rc = store_read(decisions->config.store, read_fn, &reading, err);
    if (rc)
        return rc;
    *out = reading.row;
    *out_versions = reading.versions;
    *out_count = reading.count;
    return ERR_OK;
}

static enum err_code version_fn(struct tx *tx, void *arg, struct err *err)
{
    struct reading *reading = arg;
    return version_find(tx, reading->arena, reading->id, reading->number, &reading->version, err);
}

enum err_code decision_version_read(struct decisions *decisions, struct arena *arena, int64_t id,
                                    int64_t number, struct decision_version_row *out, struct err *err)
{
    struct reading reading = { .arena = arena, .id = id, .number = number };
    const enum err_code rc = store_read(decisions->config.store, version_fn, &reading, err);
    if (rc == ERR_OK)
        *out = reading.version;
    return rc;
}

static enum err_code cases_mark(struct tx *tx, int64_t id, int64_t out[3], struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, SQL_CASES_CHANGED, BINDS(bind_i64(id)), &stmt, &row, err);
    for (int i = 0; i < 3 && rc == ERR_OK; i++)
        out[i] = stmt_i64(stmt, i);
    return rc;
}

static enum err_code cases_fn(struct tx *tx, void *arg, struct err *err)
{
    struct reading *reading = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    reading->count = 0;
    enum err_code rc = cases_mark(tx, reading->id, reading->cases_mark, err);
    if (rc == ERR_OK)
        rc = tx_prepare(tx, SQL_CASE_LIST, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, reading->id);
    while ((rc = stmt_step(stmt, &row, err)) == ERR_OK && row && reading->count < DECISION_CASES_MAX)
        if (!read_case(reading->arena, stmt, &reading->cases[reading->count++]))
            return err_nomem(err);
    return rc;
}

enum err_code decision_cases(struct decisions *decisions, struct arena *arena, int64_t id,
                             struct decision_case_row **out, int *out_count, struct err *err)
{
    struct reading reading = { .arena = arena, .id = id };
    reading.cases = arena_alloc(arena, DECISION_CASES_MAX, sizeof(*reading.cases));
    if (!reading.cases)
        return err_nomem(err);
    const enum err_code rc = store_read(decisions->config.store, cases_fn, &reading, err);
    *out = reading.cases;
    *out_count = reading.count;
    return rc;
}

/* -- acts ---------------------------------------------------------------------------------------------- */

struct acting {
    struct decisions *decisions;
    const struct decision_act *act;
    const char *action;
    int64_t id, number, version, from, new_id, row_id, now;
    struct str code, title, model, comment, name;
    const struct decision_case_row *one;
    bool remove;
    const struct imports *imports; /* of a version that becomes tested, or is shipped */
    int64_t out;
    int64_t cases_mark[3];
};

static struct acting begin(struct decisions *decisions, const struct decision_act *act, const char *action,
                           int64_t id, int64_t number)
{
    return (struct acting) { .decisions = decisions,
                             .act = act,
                             .action = action,
                             .id = id,
                             .number = number,
                             .version = -1,
                             .new_id = ids_next(decisions->config.ids),
                             .row_id = ids_next(decisions->config.ids),
                             .now = clock_now(decisions->config.clock) };
}

static int64_t user_of(const struct acting *acting)
{
    return acting->act && acting->act->who ? acting->act->who->user_id : 0;
}

/* The line of the audit, and the news for all nodes. */
static enum err_code tell(struct acting *acting, struct tx *tx, struct str detail, struct err *err)
{
    const struct decisions_config *config = &acting->decisions->config;
    const struct principal *who = acting->act ? acting->act->who : NULL;
    struct decision_row row = { .code = acting->code };
    enum err_code rc = ERR_OK;
    if (!acting->code.ptr)
        rc = decision_row_find(tx, tx_arena(tx), acting->id, &row, err);
    const struct audit_line line = { .action = acting->action,
                                     .object_type = STR("core.decision"),
                                     .object_id = acting->id,
                                     .object_name = row.code,
                                     .detail = detail,
                                     .user_id = user_of(acting),
                                     .user_name = who ? who->login : (struct str) { 0 },
                                     .remote = acting->act ? acting->act->remote : (struct str) { 0 },
                                     .request_id =
                                         acting->act ? acting->act->request_id : (struct str) { 0 } };
    if (rc == ERR_OK && config->audit)
        rc = audit_write(config->audit, tx, &line, err);
    const struct bus_event event = { .topic = STR("decision.changed"), .subject_id = acting->id };
    if (rc == ERR_OK && config->broadcast)
        rc = broadcast_add(config->broadcast, tx, &event, err);
    return rc;
}

static struct str number_detail(struct tx *tx, int64_t number)
{
    const struct str text = arena_printf(tx_arena(tx), "{\"number\":%lld}", (long long)number);
    return text.ptr ? text : STR("");
}

static enum err_code query_of(struct tx *tx, const char *sql, int64_t id, int64_t *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_query_row(tx, sql, BINDS(bind_i64(id)), &stmt, &row, err);
    *out = rc == ERR_OK && row ? stmt_i64(stmt, 0) : 0;
    return rc;
}

static enum err_code add_version(struct acting *acting, struct tx *tx, int64_t number, struct str model,
                                 struct err *err)
{
    return tx_run(tx, SQL_VERSION_ADD,
                  BINDS(bind_i64(acting->row_id), bind_i64(acting->id), bind_i64(number), bind_text(model),
                        bind_text(acting->comment), bind_i64(acting->now), bind_i64(user_of(acting))),
                  NULL, err);
}

static enum err_code set_published(struct acting *acting, struct tx *tx, int64_t number, struct err *err)
{
    return tx_run(
        tx, SQL_DECISION_PUBLISHED,
        BINDS(bind_i64(acting->id), bind_i64(number), bind_i64(acting->now), bind_i64(user_of(acting))), NULL,
        err);
}

/* The first version of a model that comes with a pack is the published one. */
static enum err_code ship(struct acting *acting, struct tx *tx, struct err *err)
{
    enum err_code rc =
        tx_run(tx, SQL_VERSION_SHIPPED, BINDS(bind_i64(acting->id), bind_i64(acting->now)), NULL, err);
    if (rc == ERR_OK)
        rc = imports_pin(tx, acting->id, 1, acting->imports, err);
    return rc ? rc : set_published(acting, tx, 1, err);
}

static enum err_code create_fn(struct tx *tx, void *arg, struct err *err)
{
    struct acting *acting = arg;
    enum err_code rc = tx_run(tx, SQL_DECISION_ADD,
                              BINDS(bind_i64(acting->id), bind_text(acting->code), bind_text(acting->title),
                                    bind_i64(acting->now), bind_i64(user_of(acting))),
                              NULL, err);
    if (rc == ERR_OK)
        rc = add_version(acting, tx, 1, acting->model, err);
    if (rc == ERR_OK && acting->imports)
        rc = ship(acting, tx, err);
    return rc ? rc : tell(acting, tx, STR(""), err);
}

static bool code_fits(struct str code)
{
    for (size_t i = 0; i < code.len; i++) {
        const char c = code.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'))
            return false;
    }
    return code.len > 0 && code.len <= DECISION_CODE_MAX;
}

static enum err_code create(struct decisions *decisions, const struct decision_act *act,
                            const struct imports *shipped, struct str code, struct str title,
                            struct str model, int64_t *out_id, struct err *err)
{
    struct acting acting = begin(decisions, act, "create", 0, 1);
    if (!code_fits(code)) {
        (void)err_set(err, ERR_INVALID, "decision.code", ARG_INT("max", DECISION_CODE_MAX), ARG_END);
        return err_pointer(err, STR("/code"));
    }
    if (model.len > DMN_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", (int64_t)DMN_BYTES_MAX), ARG_END);
    acting.id = acting.new_id;
    acting.code = code;
    acting.title = title;
    acting.model = model;
    acting.imports = shipped;
    const enum err_code rc = store_write(decisions->config.store, create_fn, &acting, err);
    if (rc == ERR_OK)
        *out_id = acting.id;
    return rc;
}

enum err_code decision_create(struct decisions *decisions, const struct decision_act *act, struct str code,
                              struct str title, struct str model, int64_t *out_id, struct err *err)
{
    return create(decisions, act, NULL, code, title, model, out_id, err);
}

enum err_code decision_ship(struct decisions *decisions, struct str code, struct str title,
                            const struct imports *imports, int64_t *out_id, struct err *err)
{
    return create(decisions, NULL, imports, code, title, imports->sources[0].text, out_id, err);
}

static enum err_code draft_fn(struct tx *tx, void *arg, struct err *err)
{
    struct acting *acting = arg;
    struct decision_version_row from;
    int64_t open = 0;
    enum err_code rc = version_find(tx, tx_arena(tx), acting->id, acting->from, &from, err);
    if (rc == ERR_OK)
        rc = query_of(tx, SQL_VERSION_OPEN, acting->id, &open, err);
    if (rc == ERR_OK && open > 0)
        rc = err_set(err, ERR_CONFLICT, "decision.has_draft", ARG_END);
    if (rc == ERR_OK)
        rc = query_of(tx, SQL_VERSION_NEXT, acting->id, &acting->out, err);
    if (rc == ERR_OK)
        rc = add_version(acting, tx, acting->out, from.model, err);
    return rc ? rc : tell(acting, tx, number_detail(tx, acting->out), err);
}

enum err_code decision_draft(struct decisions *decisions, const struct decision_act *act, int64_t id,
                             int64_t from, int64_t *out_number, struct err *err)
{
    struct acting acting = begin(decisions, act, "draft", id, 0);
    acting.from = from;
    const enum err_code rc = store_write(decisions->config.store, draft_fn, &acting, err);
    if (rc == ERR_OK)
        *out_number = acting.out;
    return rc;
}

/* The row as it is now: an open one of the version that the caller knows. */
static enum err_code check_open(struct acting *acting, struct tx *tx, struct err *err)
{
    struct decision_version_row row;
    const enum err_code rc = version_find(tx, tx_arena(tx), acting->id, acting->number, &row, err);
    if (rc)
        return rc;
    if (row.state == DECISION_PUBLISHED || row.state == DECISION_RETIRED)
        return err_set(err, ERR_CONFLICT, "decision.fixed", ARG_INT("number", acting->number), ARG_END);
    if (acting->version != -1 && acting->version != row.version)
        return err_set(err, ERR_STALE, "store.changed_meanwhile", ARG_END);
    acting->out = row.version + 1;
    return ERR_OK;
}

/* Runs an UPDATE or DELETE over (decision, number); it must hit one row. */
static enum err_code change_one(struct acting *acting, struct stmt *stmt, struct err *err)
{
    int64_t changes = 0;
    const enum err_code rc = stmt_run(stmt, &changes, err);
    if (rc == ERR_OK && changes != 1)
        return err_set(err, ERR_CONFLICT, "decision.fixed", ARG_INT("number", acting->number), ARG_END);
    return rc;
}

static enum err_code save_fn(struct tx *tx, void *arg, struct err *err)
{
    struct acting *acting = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    enum err_code rc = check_open(acting, tx, err);
    if (rc == ERR_OK)
        rc = tx_prepare(tx, SQL_VERSION_SAVE, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, acting->id);
    stmt_bind_i64(stmt, 2, acting->number);
    stmt_bind_text(stmt, 3, acting->model);
    stmt_bind_text(stmt, 4, acting->comment);
    stmt_bind_i64(stmt, 5, acting->now);
    stmt_bind_i64(stmt, 6, user_of(acting));
    rc = change_one(acting, stmt, err);
    if (rc == ERR_OK)
        rc = imports_unpin(tx, acting->id, err);
    return rc ? rc : tell(acting, tx, number_detail(tx, acting->number), err);
}

enum err_code decision_save(struct decisions *decisions, const struct decision_act *act, int64_t id,
                            int64_t number, int64_t version, struct str model, struct str comment,
                            int64_t *out_version, struct err *err)
{
    struct acting acting = begin(decisions, act, "update", id, number);
    acting.version = version;
    acting.model = model;
    acting.comment = comment;
    if (model.len > DMN_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", (int64_t)DMN_BYTES_MAX), ARG_END);
    const enum err_code rc = store_write(decisions->config.store, save_fn, &acting, err);
    if (rc == ERR_OK)
        *out_version = acting.out;
    return rc;
}

static enum err_code discard_fn(struct tx *tx, void *arg, struct err *err)
{
    struct acting *acting = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    enum err_code rc = check_open(acting, tx, err);
    if (rc == ERR_OK)
        rc = tx_prepare(tx, SQL_VERSION_DISCARD, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, acting->id);
    stmt_bind_i64(stmt, 2, acting->number);
    rc = change_one(acting, stmt, err);
    if (rc == ERR_OK)
        rc = imports_unpin(tx, acting->id, err);
    return rc ? rc : tell(acting, tx, number_detail(tx, acting->number), err);
}

enum err_code decision_discard(struct decisions *decisions, const struct decision_act *act, int64_t id,
                               int64_t number, struct err *err)
{
    struct acting acting = begin(decisions, act, "delete", id, number);
    return store_write(decisions->config.store, discard_fn, &acting, err);
}

static enum err_code retire_in(struct acting *acting, struct tx *tx, int64_t number, int64_t *out_changes,
                               struct err *err)
{
    return tx_run(tx, SQL_VERSION_RETIRE,
                  BINDS(bind_i64(acting->id), bind_i64(number), bind_i64(acting->now)), out_changes, err);
}

static enum err_code publish_fn(struct tx *tx, void *arg, struct err *err)
{
    struct acting *acting = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct decision_version_row row;
    int64_t changes = 0;
    enum err_code rc = version_find(tx, tx_arena(tx), acting->id, acting->number, &row, err);
    if (rc == ERR_OK && row.state != DECISION_TESTED)
        rc = err_set(err, ERR_CONFLICT, "decision.not_tested", ARG_INT("number", acting->number), ARG_END);
    if (rc == ERR_OK)
        rc = retire_in(acting, tx, 0, NULL, err);
    if (rc == ERR_OK)
        rc = tx_prepare(tx, SQL_VERSION_PUBLISH, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, acting->id);
    stmt_bind_i64(stmt, 2, acting->number);
    stmt_bind_i64(stmt, 3, acting->now);
    stmt_bind_i64(stmt, 4, user_of(acting));
    rc = stmt_run(stmt, &changes, err);
    if (rc == ERR_OK && changes != 1)
        rc = err_set(err, ERR_CONFLICT, "decision.not_tested", ARG_INT("number", acting->number), ARG_END);
    if (rc == ERR_OK)
        rc = set_published(acting, tx, acting->number, err);
    return rc ? rc : tell(acting, tx, number_detail(tx, acting->number), err);
}

enum err_code decision_publish(struct decisions *decisions, const struct decision_act *act, int64_t id,
                               int64_t number, struct err *err)
{
    struct acting acting = begin(decisions, act, "publish", id, number);
    return store_write(decisions->config.store, publish_fn, &acting, err);
}

static enum err_code retire_fn(struct tx *tx, void *arg, struct err *err)
{
    struct acting *acting = arg;
    int64_t changes = 0;
    enum err_code rc = retire_in(acting, tx, acting->number, &changes, err);
    if (rc == ERR_OK && changes != 1)
        rc = err_set(err, ERR_CONFLICT, "decision.not_published", ARG_INT("number", acting->number), ARG_END);
    if (rc == ERR_OK)
        rc = set_published(acting, tx, 0, err);
    return rc ? rc : tell(acting, tx, number_detail(tx, acting->number), err);
}

enum err_code decision_retire(struct decisions *decisions, const struct decision_act *act, int64_t id,
                              int64_t number, struct err *err)
{
    struct acting acting = begin(decisions, act, "retire", id, number);
    return store_write(decisions->config.store, retire_fn, &acting, err);
}

/* -- cases --------------------------------------------------------------------------------------------- */

static enum err_code untest(struct acting *acting, struct tx *tx, struct err *err)
{
    const enum err_code rc = tx_run(tx, SQL_VERSION_UNTEST, BINDS(bind_i64(acting->id)), NULL, err);
    return rc ? rc : imports_unpin(tx, acting->id, err);
}

static enum err_code write_case(struct acting *acting, struct tx *tx, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    const struct decision_case_row *one = acting->one;
    const bool add = one->id == 0;
    int64_t changes = 0;
    enum err_code rc = tx_prepare(tx,
                                  acting->remove ? SQL_CASE_REMOVE
                                  : add          ? SQL_CASE_ADD
                                                 : SQL_CASE_SAVE,
                                  &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, add ? acting->new_id : one->id);
    stmt_bind_i64(stmt, 2, acting->id);
    if (!acting->remove) {
        stmt_bind_text(stmt, 3, one->name);
        stmt_bind_text(stmt, 4, one->target);
        stmt_bind_text(stmt, 5, one->input);
        stmt_bind_text(stmt, 6, one->expected);
        stmt_bind_i64(stmt, 7, acting->now);
        stmt_bind_i64(stmt, 8, user_of(acting));
        if (!add)
            stmt_bind_i64(stmt, 9, one->version);
    }
    rc = stmt_run(stmt, &changes, err);
    if (rc == ERR_OK && changes != 1)
        return err_set(err, acting->remove ? ERR_NOT_FOUND : ERR_STALE,
                       acting->remove ? "decision.no_case" : "store.changed_meanwhile", ARG_END);
    acting->out = add ? acting->new_id : one->id;
    return rc;
}

static enum err_code case_fn(struct tx *tx, void *arg, struct err *err)
{
    struct acting *acting = arg;
    struct decision_row row;
    int64_t count = 0;
    enum err_code rc = decision_row_find(tx, tx_arena(tx), acting->id, &row, err);
    if (rc == ERR_OK)
        rc = query_of(tx, SQL_CASE_COUNT, acting->id, &count, err);
    if (rc == ERR_OK && acting->one->id == 0 && count >= DECISION_CASES_MAX)
        rc = err_set(err, ERR_LIMIT, "decision.cases", ARG_INT("max", DECISION_CASES_MAX), ARG_END);
    if (rc == ERR_OK)
        rc = write_case(acting, tx, err);
    if (rc == ERR_OK)
        rc = untest(acting, tx, err);
    return rc ? rc : tell(acting, tx, acting->one->name, err);
}

enum err_code decision_case_save(struct decisions *decisions, const struct decision_act *act,
                                 const struct decision_case_row *row, bool remove, int64_t *out_id,
                                 struct err *err)
{
    struct acting acting = begin(decisions, act, remove ? "case_delete" : "case_save", row->decision_id, 0);
    acting.one = row;
    acting.remove = remove;
    const enum err_code rc = store_write(decisions->config.store, case_fn, &acting, err);
    if (rc == ERR_OK)
        *out_id = acting.out;
    return rc;
}

/* -- testing ------------------------------------------------------------------------------------------- */

/* The version becomes tested if neither it nor the cases changed while they ran. */
static enum err_code tested_fn(struct tx *tx, void *arg, struct err *err)
{
    struct acting *acting = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    int64_t mark[3] = { 0 }, changes = 0;
    enum err_code rc = cases_mark(tx, acting->id, mark, err);
    if (rc == ERR_OK && memcmp(mark, acting->cases_mark, sizeof mark) != 0)
        rc = err_set(err, ERR_STALE, "store.changed_meanwhile", ARG_END);
    if (rc == ERR_OK)
        rc = tx_prepare(tx, SQL_VERSION_TESTED, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, acting->id);
    stmt_bind_i64(stmt, 2, acting->number);
    stmt_bind_i64(stmt, 3, acting->version);
    stmt_bind_i64(stmt, 4, acting->now);
    rc = stmt_run(stmt, &changes, err);
    if (rc == ERR_OK && changes != 1)
        rc = err_set(err, ERR_STALE, "store.changed_meanwhile", ARG_END);
    if (rc == ERR_OK)
        rc = imports_pin(tx, acting->id, acting->number, acting->imports, err);
    return rc ? rc : tell(acting, tx, number_detail(tx, acting->number), err);
}

static enum err_code run_cases(struct decisions *decisions, struct arena *arena, struct reading *reading,
                               const struct imports *imports, enum lang lang, struct decision_test *out,
                               struct err *err)
{
    AUTO(dmn_free_auto) struct dmn_model *model = NULL;
    struct err why = { 0 };
    enum err_code rc = decision_load(imports, &model, &why, err);
    if (rc)
        return rc;
    if (!model) {
        if (err)
            *err = why;
        return why.code;
    }
    for (int i = 0; i < dmn_findings(model)->count; i++)
        out->errors += dmn_findings(model)->items[i].is_error;
    for (int i = 0; i < reading->count && rc == ERR_OK; i++) {
        rc = decision_run_case(decisions, model, arena, &reading->cases[i], lang, &out->results[i], err);
        out->failed += rc == ERR_OK && !out->results[i].passed;
    }
    return rc;
}

enum err_code decision_test(struct decisions *decisions, const struct decision_act *act, struct arena *arena,
                            int64_t id, int64_t number, enum lang lang, struct decision_test *out,
                            struct err *err)
{
    struct reading reading = { .arena = arena, .id = id, .number = number };
    struct decision_test test = { 0 };
    struct imports imports;
    reading.cases = arena_alloc(arena, DECISION_CASES_MAX, sizeof(*reading.cases));
    test.results = arena_alloc(arena, DECISION_CASES_MAX, sizeof(*test.results));
    if (!reading.cases || !test.results)
        return err_nomem(err);
    enum err_code rc = store_read(decisions->config.store, version_fn, &reading, err);
    if (rc == ERR_OK)
        rc = store_read(decisions->config.store, cases_fn, &reading, err);
    test.count = reading.count;
    if (rc == ERR_OK)
        rc = imports_of_version(decisions, arena, &reading.version, &imports, err);
    if (rc == ERR_OK)
        rc = run_cases(decisions, arena, &reading, &imports, lang, &test, err);
    if (rc)
        return rc;
    if (reading.version.state == DECISION_DRAFT && test.count > 0 && test.failed == 0 && test.errors == 0) {
        struct acting acting = begin(decisions, act, "test", id, number);
        acting.version = reading.version.version;
        acting.imports = &imports;
        memcpy(acting.cases_mark, reading.cases_mark, sizeof acting.cases_mark);
        rc = store_write(decisions->config.store, tested_fn, &acting, err);
        test.tested = rc == ERR_OK;
    } else {
        test.tested = reading.version.state == DECISION_TESTED;
    }
    if (rc == ERR_OK)
        *out = test;
    return rc;
}

/* -- for the rooms that decide ------------------------------------------------------------------------- */

static enum err_code published_fn(struct tx *tx, void *arg, struct err *err)
{
    struct reading *reading = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc =
        tx_query_row(tx, SQL_DECISION_BY_CODE, BINDS(bind_text(reading->code)), &stmt, &row, err);
    if (rc == ERR_OK && !row)
        rc = err_set(err, ERR_NOT_FOUND, "decision.none", ARG_STR("id", reading->code), ARG_END);
    if (rc == ERR_OK && !read_decision(reading->arena, stmt, &reading->row))
        rc = err_nomem(err);
    if (rc)
        return rc;
    reading->id = reading->row.id;
    if (reading->number == 0)
        reading->number = reading->row.published;
    if (reading->number == 0)
        return err_set(err, ERR_NOT_FOUND, "decision.not_published", ARG_INT("number", 0), ARG_END);
    return ERR_OK;
}

/* Under the lock. */
static struct held *find_held(struct decisions *decisions, int64_t id, int64_t number)
{
    for (struct held *held = decisions->held; held; held = held->next)
        if (held->public.decision_id == id && held->public.number == number) {
            held->refs++;
            held->used = ++decisions->uses;
            return held;
        }
    return NULL;
}

/* Under the lock: the one that was not used for longest goes. */
static void drop_one(struct decisions *decisions)
{
    struct held **least = NULL;
    for (struct held **at = &decisions->held; *at; at = &(*at)->next)
        if ((*at)->refs == 0 && (!least || (*at)->used < (*least)->used))
            least = at;
    if (!least)
        return;
    struct held *gone = *least;
    *least = gone->next;
    decisions->held_count--;
    held_free(gone);
}

static enum err_code compile_held(struct decisions *decisions, const struct decision_version_row *version,
                                  const struct imports *imports, struct held **out, struct err *err)
{
    struct err why = { 0 };
    struct held *held = mem_alloc(1, sizeof(*held));
    if (!held)
        return err_nomem(err);
    enum err_code rc = decision_load(imports, &held->model, &why, err);
    if (rc == ERR_OK && !held->model) {
        rc = why.code;
        if (err)
            *err = why;
    }
    if (rc) {
        mem_free(held);
        return rc;
    }
    held->public = (struct decision_held) { held->model, version->decision_id, version->number };
    held->refs = 1;
    (void)pthread_mutex_lock(&decisions->lock);
    struct held *other = find_held(decisions, version->decision_id, version->number);
    if (!other) { /* another thread may have been faster */
        if (decisions->held_count >= HELD_MAX)
            drop_one(decisions);
        held->used = ++decisions->uses;
        held->next = decisions->held;
        decisions->held = held;
        decisions->held_count++;
    }
    (void)pthread_mutex_unlock(&decisions->lock);
    if (other)
        held_free(held);
    *out = other ? other : held;
    return ERR_OK;
}

enum err_code decision_get(struct decisions *decisions, struct str code, int64_t number,
                           const struct decision_held **out, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(DMN_MODEL_BYTES_MAX);
    struct reading reading = { .arena = arena, .code = code, .number = number };
    struct imports imports;
    if (!arena)
        return err_nomem(err);
    enum err_code rc = store_read(decisions->config.store, published_fn, &reading, err);
    if (rc)
        return rc;
    (void)pthread_mutex_lock(&decisions->lock);
    struct held *held = find_held(decisions, reading.id, reading.number);
    (void)pthread_mutex_unlock(&decisions->lock);
    if (!held) {
        rc = store_read(decisions->config.store, version_fn, &reading, err);
        if (rc == ERR_OK && reading.version.state != DECISION_PUBLISHED &&
            reading.version.state != DECISION_RETIRED)
            rc = err_set(err, ERR_NOT_FOUND, "decision.not_published", ARG_INT("number", number), ARG_END);
        if (rc == ERR_OK)
            rc = imports_of_version(decisions, arena, &reading.version, &imports, err);
        if (rc == ERR_OK)
            rc = compile_held(decisions, &reading.version, &imports, &held, err);
    }
    if (rc == ERR_OK)
        *out = &held->public;
    return rc;
}

void decision_release(struct decisions *decisions, const struct decision_held *held)
{
    if (!held)
        return;
    (void)pthread_mutex_lock(&decisions->lock);
    for (struct held *at = decisions->held; at; at = at->next)
        if (&at->public == held)
            at->refs--;
    (void)pthread_mutex_unlock(&decisions->lock);
}
