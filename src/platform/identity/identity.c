/* identity.c - sessions and rights in memory, what the HTTP server asks; live.c has the principals
 * themselves, idem.c the kept answers, start.c the first start.
 *
 * Invariants:
 * 1. A held principal never changes; its references are counted, the table has one.
 * 2. An entry is believed while it was read within IDENTITY_FRESH_MS and its generation is the newest; when
 *    the store is away, a little longer (GRACE_MS), so that people can go on reading alarms. */
#include "platform/identity/internal.h"
#include "base/log.h"
#include "platform/bus/broadcast.h"
#include "platform/identity/identity_sql.h"

#include <stdio.h>
#include <unistd.h>

#define GRACE_MS 300000
#define KEY_PREFIX "bh_"
#define MINUTE_MS INT64_C(60000)

const struct setting IDENTITY_SETTINGS[] = {
    { "identity.session.idle_min", SETTING_I64, 30, 1, 1440, NULL },
    { "identity.session.max_h", SETTING_I64, 12, 1, 720, NULL },
    { "identity.session.single", SETTING_BOOL, 0, 0, 0, NULL },
    { "identity.login.failures", SETTING_I64, 5, 3, 20, NULL },
    { "identity.login.lock_min", SETTING_I64, 15, 1, 1440, NULL },
    { "identity.password.length", SETTING_I64, 10, 8, 64, NULL },
    { "identity.password.classes", SETTING_I64, 3, 1, 4, NULL },
    { "identity.password.history", SETTING_I64, 5, 0, 24, NULL },
    { "identity.password.days", SETTING_I64, 60, 1, 60, NULL },
    { "identity.totp.required", SETTING_BOOL, 0, 0, 0, NULL },
    { 0 },
};

/* ---- making and ending ---- */

enum err_code identity_new(const struct identity_config *config, struct identity **out, struct err *err)
{
    struct identity *identity = mem_alloc(1, sizeof *identity);
    if (!identity)
        return err_nomem(err);
    identity->config = *config;
    (void)pthread_mutex_init(&identity->lock, NULL);
    (void)pthread_mutex_init(&identity->shared_lock, NULL);
    (void)sem_init(&identity->hashers, 0, HASHERS);
    *out = identity;
    return ERR_OK;
}

void identity_free(struct identity *identity)
{
    if (!identity)
        return;
    for (size_t i = 0; i < sizeof identity->table / sizeof *identity->table; i++)
        while (identity->table[i]) {
            struct entry *entry = identity->table[i];
            identity->table[i] = entry->next;
            held_free(entry->held);
            mem_free(entry);
        }
    live_forget_all(identity);
    (void)sem_destroy(&identity->hashers);
    (void)pthread_mutex_destroy(&identity->lock);
    (void)pthread_mutex_destroy(&identity->shared_lock);
    mem_free(identity);
}

void identity_permissions(struct identity *identity, void *ctx,
                          void (*list)(void *ctx, void (*each)(void *arg, struct str permission), void *arg))
{
    identity->list_ctx = ctx;
    identity->list = list;
}

struct reading {
    struct identity *identity;
    enum principal_kind kind;
    const char *sql;
    struct str hash; /* of a token, or */
    int64_t user_id; /* the user */
    struct held *held;
    bool found;
    int64_t seen_ms, ends_ms;
};

static enum err_code read_permissions(struct tx *tx, struct arena *arena, int64_t role_id,
                                      struct grant *grant, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    enum { MOST = 2000 };
    struct str *items = arena_alloc(tx_arena(tx), MOST, sizeof *items);
    if (!items)
        return err_nomem(err);
    enum err_code rc = tx_query(tx, SQL_ROLE_PERMISSIONS, BINDS(bind_i64(role_id)), &stmt, err);
    if (rc)
        return rc;
    bool row = true;
    int count = 0;
    while (count < MOST && !(rc = stmt_step(stmt, &row, err)) && row) {
        items[count] = arena_str(arena, stmt_text(stmt, 0));
        if (!items[count++].ptr)
            return err_nomem(err);
    }
    struct str *exact = arena_alloc(arena, (size_t)count + 1, sizeof *exact);
    if (!exact)
        return err_nomem(err);
    memcpy(exact, items, (size_t)count * sizeof *exact);
    grant->permissions = exact;
    grant->permission_count = count;
    return rc;
}

/* "5,7,9" */
static bool read_subjects(struct arena *arena, struct str text, struct scope *scope)
{
    if (!text.len)
        return true;
    int count = 1;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == ',';
    int64_t *ids = arena_alloc(arena, (size_t)count, sizeof *ids);
    struct str part;
    scope->subjects = ids;
    while (ids && str_cut(&text, ',', &part))
        if (str_i64(part, &ids[scope->subject_count]))
            scope->subject_count++;
    return ids != NULL;
}

static enum err_code read_grants(struct tx *tx, struct held *held, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct grant *grants = arena_alloc(held->arena, GRANTS_MAX, sizeof *grants);
    int64_t roles[GRANTS_MAX];
    int count = 0;
    bool row = true;
    if (!grants)
        return err_nomem(err);
    enum err_code rc = tx_query(tx, SQL_GRANTS, BINDS(bind_i64(held->principal.user_id)), &stmt, err);
    if (rc)
        return rc;
    while (count < GRANTS_MAX && !(rc = stmt_step(stmt, &row, err)) && row) {
        struct scope *scope = &grants[count].scope;
        roles[count++] = stmt_i64(stmt, 0);
        scope->all = stmt_i64(stmt, 1) != 0;
        scope->org_id = stmt_i64(stmt, 2);
        scope->org_path = arena_str(held->arena, stmt_text(stmt, 3));
        scope->grid_id = stmt_i64(stmt, 4);
        scope->grid_path = arena_str(held->arena, stmt_text(stmt, 5));
        scope->own = stmt_i64(stmt, 6) != 0;
        if (!read_subjects(held->arena, stmt_text(stmt, 7), scope))
            return err_nomem(err);
        if (scope->org_id && !scope->org_path.len)
            scope->org_path = STR("//"); /* its organisation is gone: matches nothing */
        if (scope->grid_id && !scope->grid_path.len)
            scope->grid_path = STR("//"); /* nor does a cell that is gone */
    }
    for (int i = 0; i < count && !rc; i++)
        rc = read_permissions(tx, held->arena, roles[i], &grants[i], err);
    held->principal.grants = grants;
    held->principal.grant_count = count;
    return rc;
}

/* What a key was made for takes away from what its user holds. */
static enum err_code read_limits(struct stmt *stmt, struct held *held, struct err *err)
{
    const struct str permissions = arena_str(held->arena, stmt_text(stmt, 14));
    const int64_t org_id = stmt_i64(stmt, 15);
    const struct str path = arena_str(held->arena, stmt_text(stmt, 16));
    if (!permissions.ptr || !path.ptr)
        return err_nomem(err);
    if (!permissions.len && !org_id)
        return ERR_OK;
    /* an organisation that is gone matches nothing */
    return principal_narrow(held->arena, &held->principal, permissions, org_id, path.len ? path : STR("//"),
                            err);
}

static enum err_code read_fn(struct tx *tx, void *arg, struct err *err)
{
    struct reading *reading = arg;
    struct settings *settings = reading->identity->config.settings;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_prepare(tx, reading->sql, &stmt, err);
    if (rc)
        return rc;
    if (reading->hash.ptr)
        stmt_bind_text(stmt, 1, reading->hash);
    else
        stmt_bind_i64(stmt, 1, reading->user_id);
    rc = stmt_step(stmt, &row, err);
    reading->found = false;
    if (rc || !row || !stmt_i64(stmt, 6))
        return rc;
    if (reading->held)
        held_free(reading->held);
    struct held *held = reading->held = held_new();
    if (!held)
        return err_nomem(err);
    struct principal *who = &held->principal;
    who->kind = reading->kind;
    who->user_id = stmt_i64(stmt, 0);
    who->org_id = stmt_i64(stmt, 1);
    who->org_path = arena_str(held->arena, stmt_text(stmt, 2));
    who->login = arena_str(held->arena, stmt_text(stmt, 3));
    who->name = arena_str(held->arena, stmt_text(stmt, 4));
    who->lang = lang_from(stmt_text(stmt, 5));
    who->must_change_password = reading->kind == PRINCIPAL_USER &&
                                (stmt_i64(stmt, 7) || password_expired(reading->identity, stmt_i64(stmt, 8)));
    who->must_enrol = reading->kind == PRINCIPAL_USER && !stmt_i64(stmt, 9) &&
                      settings_bool(settings, "identity.totp.required");
    if (reading->hash.ptr) {
        who->session_id = stmt_i64(stmt, 10);
        const struct str text = arena_str(held->arena, stmt_text(stmt, 11));
        if (reading->kind == PRINCIPAL_KEY)
            who->key_name = text;
        else
            who->csrf = text;
        reading->seen_ms = stmt_i64(stmt, 12);
        reading->ends_ms = stmt_i64(stmt, 13);
    }
    if (!who->org_path.ptr || !who->login.ptr || !who->name.ptr)
        return err_nomem(err);
    reading->found = true;
    rc = read_grants(tx, held, err);
    return rc || reading->kind != PRINCIPAL_KEY ? rc : read_limits(stmt, held, err);
}

enum err_code identity_hold(struct identity *identity, int64_t user_id, const struct principal **out,
                            struct err *err)
{
    struct reading reading = {
        .identity = identity, .kind = PRINCIPAL_USER, .sql = SQL_WHO_USER, .user_id = user_id
    };
    enum err_code rc = store_read(identity->config.store, read_fn, &reading, err);
    if (!rc && !reading.found)
        rc = err_set(err, ERR_NOT_FOUND, "identity.no_user", ARG_INT("id", user_id), ARG_END);
    if (rc)
        held_free(reading.held);
    else
        *out = &reading.held->principal;
    return rc;
}

/* ---- the table of tokens ---- */

void token_hash(struct str token, char out[DIGEST_HEX_SIZE])
{
    unsigned char sum[DIGEST_SIZE];
    digest(DIGEST_SHA256, token, sum);
    hex_put(sum, sizeof sum, out);
}

static struct entry **place_of(struct identity *identity, const char *hash)
{
    const size_t size = sizeof identity->table / sizeof *identity->table;
    struct entry **place = &identity->table[str_hash(str_from(hash)) % size];
    while (*place && strcmp((*place)->hash, hash) != 0)
        place = &(*place)->next;
    return place;
}

static void drop_entry(struct identity *identity, struct entry **place, bool over)
{
    struct entry *entry = *place;
    *place = entry->next;
    identity->entries--;
    if (over)
        live_end(identity, entry->held->principal.session_id, 0);
    held_free(entry->held);
    mem_free(entry);
}

/* Entries nobody used for a while, when the table is full. */
static void sweep(struct identity *identity, int64_t now_mono)
{
    for (size_t i = 0; i < sizeof identity->table / sizeof *identity->table; i++)
        for (struct entry **place = &identity->table[i]; *place;)
            if (now_mono - (*place)->read_mono_ms > 2 * IDENTITY_FRESH_MS)
                drop_entry(identity, place, false);
            else
                place = &(*place)->next;
}

void identity_changed(struct identity *identity)
{
    atomic_fetch_add(&identity->generation, 1);
}

void identity_forget(struct identity *identity, int64_t session_id, int64_t user_id)
{
    live_end(identity, session_id, user_id);
    (void)pthread_mutex_lock(&identity->lock);
    for (size_t i = 0; i < sizeof identity->table / sizeof *identity->table; i++)
        for (struct entry **place = &identity->table[i]; *place;) {
            const struct principal *who = &(*place)->held->principal;
            if ((session_id && who->session_id == session_id) || (user_id && who->user_id == user_id))
                drop_entry(identity, place, false);
            else
                place = &(*place)->next;
        }
    (void)pthread_mutex_unlock(&identity->lock);
}

struct look {
    char hash[DIGEST_HEX_SIZE];
    enum principal_kind kind;
    int64_t now_ms, now_mono, idle_ms;
    struct held *held; /* with a reference for the caller */
    bool fresh;        /* may be believed without asking the store */
    bool write_seen;
    int64_t session_id, read_mono_ms;
};

static void look_up(struct identity *identity, struct look *look)
{
    (void)pthread_mutex_lock(&identity->lock);
    struct entry **place = place_of(identity, look->hash);
    struct entry *entry = *place;
    if (entry) {
        const bool idle = look->idle_ms && look->now_ms - entry->seen_ms > look->idle_ms;
        if (idle || look->now_ms >= entry->ends_ms) {
            drop_entry(identity, place, true);
        } else {
            look->held = entry->held;
            atomic_fetch_add(&entry->held->refs, 1);
            look->read_mono_ms = entry->read_mono_ms;
            look->fresh = look->now_mono - entry->read_mono_ms < IDENTITY_FRESH_MS &&
                          entry->generation == atomic_load(&identity->generation);
            entry->seen_ms = look->now_ms;
            look->write_seen = look->now_ms - entry->written_ms > IDENTITY_SEEN_MS;
            if (look->write_seen)
                entry->written_ms = look->now_ms;
            look->session_id = entry->held->principal.session_id;
        }
    }
    (void)pthread_mutex_unlock(&identity->lock);
}

/* Puts what was read into the table and keeps a reference for the caller. */
static void keep(struct identity *identity, struct look *look, const struct reading *reading,
                 uint64_t generation)
{
    (void)pthread_mutex_lock(&identity->lock);
    struct entry **place = place_of(identity, look->hash);
    int64_t seen = look->now_ms, written = reading->seen_ms;
    live_share(identity, reading->held, reading->ends_ms, generation);
    if (*place) {
        written = (*place)->written_ms;
        drop_entry(identity, place, false);
    }
    if (identity->entries >= HELD_MAX)
        sweep(identity, look->now_mono);
    struct entry *entry = identity->entries < HELD_MAX ? mem_alloc(1, sizeof *entry) : NULL;
    if (entry) {
        memcpy(entry->hash, look->hash, sizeof entry->hash);
        entry->held = reading->held;
        atomic_fetch_add(&entry->held->refs, 1);
        entry->read_mono_ms = look->now_mono;
        entry->seen_ms = seen;
        entry->written_ms = written;
        entry->ends_ms = reading->ends_ms;
        entry->generation = generation;
        place = place_of(identity, look->hash);
        entry->next = *place;
        *place = entry;
        identity->entries++;
    }
    look->write_seen = look->now_ms - written > IDENTITY_SEEN_MS;
    if (entry && look->write_seen)
        entry->written_ms = look->now_ms;
    look->session_id = reading->held->principal.session_id;
    (void)pthread_mutex_unlock(&identity->lock);
}

struct seen {
    const char *sql;
    int64_t id, at;
};

static enum err_code seen_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct seen *seen = arg;
    return tx_run(tx, seen->sql, BINDS(bind_i64(seen->id), bind_i64(seen->at)), NULL, err);
}

static void write_seen(struct identity *identity, const struct look *look)
{
    struct err err;
    struct seen seen = { look->kind == PRINCIPAL_KEY ? SQL_KEY_USED : SQL_SESSION_SEEN, look->session_id,
                         look->now_ms };
    if (store_write(identity->config.store, seen_fn, &seen, &err))
        log_line(LOG_DEBUG, "identity.seen", "last use not written: %s", err.id ? err.id : "");
}

static enum err_code not_valid(struct err *err)
{
    return err_set(err, ERR_NO_LOGIN, "identity.session_over", ARG_END);
}

/* Cookie, else Authorization: Bearer; false when there is neither. */
static bool token_of(struct request *req, struct look *look)
{
    const struct str bearer = request_header(req, "Authorization");
    struct str token = request_cookie(req, "bihuan_session");
    look->kind = PRINCIPAL_USER;
    req->by_cookie = token.len > 0;
    if (str_starts(bearer, STR("Bearer " KEY_PREFIX))) {
        token = str_slice(bearer, 7, bearer.len);
        look->kind = PRINCIPAL_KEY;
        req->by_cookie = false;
    }
    if (!token.len || token.len > 100)
        return false;
    token_hash(token, look->hash);
    return true;
}

static enum err_code ask_store(struct identity *identity, struct look *look, struct err *err)
{
    const uint64_t generation = atomic_load(&identity->generation);
    struct reading reading = { .identity = identity,
                               .kind = look->kind,
                               .sql = look->kind == PRINCIPAL_KEY ? SQL_WHO_KEY : SQL_WHO_SESSION,
                               .hash = str_from(look->hash) };
    const enum err_code rc = store_read(identity->config.store, read_fn, &reading, err);
    struct held *old = look->held;
    if (rc) {
        held_free(reading.held);
        if (old && (rc == ERR_STORE || rc == ERR_BUSY || rc == ERR_TIMEOUT) &&
            look->now_mono - look->read_mono_ms < GRACE_MS)
            return ERR_OK; /* the store is away: who was known a moment ago is still known */
        held_free(old);
        return rc;
    }
    const bool idle = look->idle_ms && !old && look->now_ms - reading.seen_ms > look->idle_ms;
    if (!reading.found || idle || look->now_ms >= reading.ends_ms) {
        held_free(reading.held);
        (void)pthread_mutex_lock(&identity->lock);
        struct entry **place = place_of(identity, look->hash);
        if (*place)
            drop_entry(identity, place, true);
        (void)pthread_mutex_unlock(&identity->lock);
        held_free(old);
        return not_valid(err);
    }
    held_free(old);
    look->held = reading.held;
    keep(identity, look, &reading, generation);
    return ERR_OK;
}

static enum err_code who(void *ctx, struct request *req, const void **out_who, struct err *err)
{
    struct identity *identity = ctx;
    struct look look = { .now_ms = clock_now(identity->config.clock), .now_mono = clock_mono(&CLOCK_SYSTEM) };
    if (!token_of(req, &look))
        return ERR_OK;
    if (look.kind == PRINCIPAL_USER)
        look.idle_ms = settings_i64(identity->config.settings, "identity.session.idle_min") * MINUTE_MS;
    look_up(identity, &look);
    if (!look.held || !look.fresh) {
        const enum err_code rc = ask_store(identity, &look, err);
        if (rc)
            return rc;
    }
    if (look.write_seen)
        write_seen(identity, &look);
    *out_who = look.held;
    req->lang = look.held->principal.lang;
    return ERR_OK;
}

/* ---- the other hooks ---- */

static bool may(void *ctx, const void *one, struct str permission)
{
    (void)ctx;
    return principal_may(one, permission);
}

static bool csrf(void *ctx, const void *one, struct str token)
{
    (void)ctx;
    const struct principal *principal = one;
    return principal->csrf.len && crypto_equal(principal->csrf, token);
}

static enum err_code early(void *ctx, const void *one, struct err *err)
{
    (void)ctx;
    const struct principal *principal = one;
    if (principal->must_change_password)
        return err_set(err, ERR_FORBIDDEN, "identity.must_change_password", ARG_END);
    if (principal->must_enrol)
        return err_set(err, ERR_FORBIDDEN, "identity.must_enrol", ARG_END);
    return ERR_OK;
}

void identity_hooks(struct identity *identity, struct http_hooks *hooks)
{
    hooks->ctx = identity;
    hooks->who = who;
    hooks->who_release = held_release;
    hooks->may = may;
    hooks->csrf = csrf;
    hooks->early = early;
    hooks->alive = live_alive;
    hooks->idem_begin = idem_begin;
    hooks->idem_end = idem_end;
}

/* ---- audit ---- */

enum err_code identity_audit(struct identity *identity, struct tx *tx, const struct request *req,
                             const struct act *act, struct err *err)
{
    const struct principal *principal = req ? req->who : NULL;
    const struct audit_line line = { .action = act->action,
                                     .object_type = str_from(act->type),
                                     .object_id = act->id,
                                     .object_name = act->name,
                                     .before = act->before,
                                     .after = act->after,
                                     .detail = act->detail,
                                     .user_id = principal ? principal->user_id : 0,
                                     .user_name = principal ? principal->login : (struct str) { 0 },
                                     .remote = req ? req->remote : (struct str) { 0 },
                                     .request_id = req ? req->id : (struct str) { 0 } };
    enum err_code rc = identity->config.audit ? audit_write(identity->config.audit, tx, &line, err) : ERR_OK;
    if (!rc && identity->config.broadcast && !act->quiet) {
        const bool settings = strcmp(act->type, "core.settings") == 0;
        const struct bus_event event = {
            .topic = settings ? STR("settings.changed") : STR("identity.changed"),
            .subject_id = act->id,
            .json = arena_printf(tx_arena(tx), "{\"type\":\"%s\"}", act->type),
        };
        rc = broadcast_add(identity->config.broadcast, tx, &event, err);
    }
    return rc;
}
