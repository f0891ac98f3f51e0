/* nodes_sql.c - see nodes.h */
#include "base/json.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/secret.h"
#include "observe/probe/nodes.h"
#include "platform/audit/audit.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define NODES_MAX 10000
#define SILENT_MS 60000

static const char SQL_LOAD[] = "SELECT id, name, token_digest, token_expires, key_digest, registered_at, "
                               "version, address FROM probe_node "
                               "WHERE id > 1 ORDER BY id"; /* 1 is this server */
static const char SQL_INSERT[] =
    "INSERT INTO probe_node (id, name, token_digest, token_expires, created_at, created_by) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
static const char SQL_TOKEN[] =
    "UPDATE probe_node SET token_digest = ?2, token_expires = ?3 WHERE id = ?1 AND id > 1";
static const char SQL_DELETE[] = "DELETE FROM probe_node WHERE id = ?1 AND id > 1";
static const char SQL_REGISTER[] =
    "UPDATE probe_node SET token_digest = NULL, token_expires = NULL, key_digest = ?3, registered_at = ?4, "
    "version = ?5, address = ?6 WHERE id = ?1 AND token_digest = ?2";

static const char SQL_GAP_ADD[] =
    "INSERT INTO probe_gap (id, node_id, noticed_at, epoch, first, count, from_at, until_at) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULLIF(?7, 0), ?8)";
static const char SQL_GAPS_CUT[] = "DELETE FROM probe_gap WHERE node_id = ?1 AND id NOT IN "
                                   "(SELECT id FROM probe_gap WHERE node_id = ?1 ORDER BY id DESC LIMIT ?2)";
static const char SQL_GAPS[] =
    "SELECT noticed_at, count, from_at, until_at FROM probe_gap WHERE node_id = ?1 ORDER BY id DESC";
static const char SQL_GAPS_DELETE[] = "DELETE FROM probe_gap WHERE node_id = ?1";

struct row {
    int64_t id;
    char name[NODE_NAME_MAX * 4 + 1];
    char token[DIGEST_HEX_SIZE], key[DIGEST_HEX_SIZE]; /* digests; "" = none */
    int64_t token_expires, registered_ms;
    char version[32], address[64];
    /* in memory only */
    int64_t seen_ms, skew_ms, buffered, dropped, results, newest_ms;
};

struct waiting_gap {
    int64_t id, node, noticed_ms, from_ms;
    struct node_gap gap;
};
#define GAPS_WAITING_MAX 1000 /* while SQL is away; more are only logged */

struct nodes {
    struct store *store;
    struct ids *ids;
    const struct clock *clock;
    struct audit *audit;
    pthread_mutex_t lock;
    struct row *rows;
    size_t count, room;
    struct waiting_gap *gaps; /* owned; not in SQL yet */
    size_t gaps_count;
};

static void digest_text(struct str text, char out[DIGEST_HEX_SIZE])
{
    unsigned char bytes[DIGEST_SIZE];
    digest(DIGEST_SHA256, text, bytes);
    hex_put(bytes, sizeof bytes, out);
}

static struct row *row_of(struct nodes *nodes, int64_t id)
{
    for (size_t i = 0; i < nodes->count; i++)
        if (nodes->rows[i].id == id)
            return &nodes->rows[i];
    return NULL;
}

static void copy_text(char *out, size_t size, struct str text)
{
    size_t len = text.len < size ? text.len : size - 1;
    while (len && len < text.len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--;
    if (len)
        memcpy(out, text.ptr, len);
    out[len] = 0;
}

/* ---- loading ---- */

struct loading {
    struct row *rows;
    size_t count, room;
};

static enum err_code load_fn(struct tx *tx, void *arg, struct err *err)
{
    struct loading *loading = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    loading->count = 0;
    enum err_code rc = tx_prepare(tx, SQL_LOAD, &stmt, err);
    while (!rc && !(rc = stmt_step(stmt, &row, err)) && row) {
        if (loading->count == loading->room) {
            const size_t room = loading->room ? loading->room * 2 : 16;
            struct row *grown = mem_realloc(loading->rows, room * sizeof *grown);
            if (!grown)
                return err_nomem(err);
            loading->rows = grown;
            loading->room = room;
        }
        struct row *to = &loading->rows[loading->count++];
        memset(to, 0, sizeof *to);
        to->id = stmt_i64(stmt, 0);
        copy_text(to->name, sizeof to->name, stmt_text(stmt, 1));
        copy_text(to->token, sizeof to->token, stmt_text(stmt, 2));
        to->token_expires = stmt_i64(stmt, 3);
        copy_text(to->key, sizeof to->key, stmt_text(stmt, 4));
        to->registered_ms = stmt_i64(stmt, 5);
        copy_text(to->version, sizeof to->version, stmt_text(stmt, 6));
        copy_text(to->address, sizeof to->address, stmt_text(stmt, 7));
    }
    return rc;
}

enum err_code nodes_reload(struct nodes *nodes, struct err *err)
{
    struct loading loading = { 0 };
    const enum err_code rc = store_read(nodes->store, load_fn, &loading, err);
    if (rc) {
        mem_free(loading.rows);
        return err_in(err, "nodes.load");
    }
    (void)pthread_mutex_lock(&nodes->lock);
    for (size_t i = 0; i < loading.count; i++) { /* what was only in memory stays */
        const struct row *old = row_of(nodes, loading.rows[i].id);
        if (!old)
            continue;
        loading.rows[i].seen_ms = old->seen_ms;
        loading.rows[i].skew_ms = old->skew_ms;
        loading.rows[i].buffered = old->buffered;
        loading.rows[i].dropped = old->dropped;
        loading.rows[i].results = old->results;
        loading.rows[i].newest_ms = old->newest_ms;
    }
    struct row *gone = nodes->rows;
    nodes->rows = loading.rows;
    nodes->count = loading.count;
    nodes->room = loading.room;
    (void)pthread_mutex_unlock(&nodes->lock);
    mem_free(gone);
    return ERR_OK;
}

enum err_code nodes_open(struct store *store, struct ids *ids, const struct clock *clock, struct audit *audit,
                         struct nodes **out, struct err *err)
{
    struct nodes *nodes = mem_alloc(1, sizeof *nodes);
    if (!nodes)
        return err_nomem(err);
    nodes->store = store;
    nodes->ids = ids;
    nodes->clock = clock;
    nodes->audit = audit;
    (void)pthread_mutex_init(&nodes->lock, NULL);
    const enum err_code rc = nodes_reload(nodes, err);
    if (rc) {
        nodes_close(nodes);
        return rc;
    }
    *out = nodes;
    return ERR_OK;
}

void nodes_close(struct nodes *nodes)
{
    if (!nodes)
        return;
    mem_free(nodes->rows);
    mem_free(nodes->gaps);
    (void)pthread_mutex_destroy(&nodes->lock);
    mem_free(nodes);
}

/* ---- changes ---- */

struct change {
    struct nodes *nodes;
    const char *action;
    const struct node_actor *actor;
    int64_t id, now_ms, changed;
    struct str name, token, key, version, address; /* token and key are digests */
};

static enum err_code audit_change(struct tx *tx, const struct change *change, struct err *err)
{
    if (!change->nodes->audit || !change->actor)
        return ERR_OK;
    const struct audit_line line = { .action = change->action,
                                     .object_type = STR("core.probe"),
                                     .object_id = change->id,
                                     .object_name = change->name,
                                     .user_id = change->actor->user_id,
                                     .user_name = change->actor->user_name,
                                     .remote = change->actor->remote,
                                     .request_id = change->actor->request_id };
    return audit_write(change->nodes->audit, tx, &line, err);
}

static enum err_code insert_fn(struct tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    return tx_run(tx, SQL_INSERT,
                  BINDS(bind_i64(change->id), bind_text(change->name), bind_text(change->token),
                        bind_i64(change->now_ms + NODE_TOKEN_MS), bind_i64(change->now_ms),
                        bind_i64(change->actor ? change->actor->user_id : 0)),
                  NULL, err)
               ? err->code
               : audit_change(tx, change, err);
}

static enum err_code token_fn(struct tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    return tx_run(tx, SQL_TOKEN,
                  BINDS(bind_i64(change->id), bind_text(change->token),
                        bind_i64(change->now_ms + NODE_TOKEN_MS)),
                  &change->changed, err)
               ? err->code
               : audit_change(tx, change, err);
}

static enum err_code delete_fn(struct tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    return tx_run(tx, SQL_GAPS_DELETE, BINDS(bind_i64(change->id)), NULL, err) ||
                   tx_run(tx, SQL_DELETE, BINDS(bind_i64(change->id)), &change->changed, err)
               ? err->code
               : audit_change(tx, change, err);
}

static enum err_code register_fn(struct tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    return tx_run(tx, SQL_REGISTER,
                  BINDS(bind_i64(change->id), bind_text(change->token), bind_text(change->key),
                        bind_i64(change->now_ms), bind_text(change->version), bind_text(change->address)),
                  &change->changed, err)
               ? err->code
               : audit_change(tx, change, err);
}

enum err_code nodes_create(struct nodes *nodes, struct str name, const struct node_actor *actor,
                           int64_t *out_id, char out_token[NODE_TOKEN_SIZE], struct err *err)
{
    char token[NODE_TOKEN_SIZE], token_digest[DIGEST_HEX_SIZE];
    name = str_trim(name);
    if (name.len == 0 || !utf8_valid(name) || utf8_len(name) > NODE_NAME_MAX) {
        (void)err_set(err, ERR_INVALID, "probe.name", ARG_INT("max", NODE_NAME_MAX), ARG_END);
        return err_pointer(err, STR("/name"));
    }
    if (nodes->count >= NODES_MAX)
        return err_set(err, ERR_LIMIT, "series.limit", ARG_INT("max", NODES_MAX), ARG_END);
    enum err_code rc = token_make(token, err);
    if (rc)
        return rc;
    digest_text(str_from(token), token_digest);
    struct change change = { .nodes = nodes,
                             .action = "create",
                             .actor = actor,
                             .id = ids_next(nodes->ids),
                             .now_ms = clock_now(nodes->clock),
                             .name = name,
                             .token = str_from(token_digest) };
    rc = store_write(nodes->store, insert_fn, &change, err);
    if (!rc)
        rc = nodes_reload(nodes, err);
    if (rc)
        return err_in(err, "nodes.create");
    *out_id = change.id;
    memcpy(out_token, token, sizeof token);
    return ERR_OK;
}

enum err_code nodes_token(struct nodes *nodes, int64_t id, const struct node_actor *actor,
                          char out_token[NODE_TOKEN_SIZE], struct err *err)
{
    char token[NODE_TOKEN_SIZE], token_digest[DIGEST_HEX_SIZE];
    enum err_code rc = token_make(token, err);
    if (rc)
        return rc;
    digest_text(str_from(token), token_digest);
    struct change change = { .nodes = nodes,
                             .action = "token",
                             .actor = actor,
                             .id = id,
                             .now_ms = clock_now(nodes->clock),
                             .token = str_from(token_digest) };
    rc = store_write(nodes->store, token_fn, &change, err);
    if (!rc && change.changed == 0)
        rc = err_set(err, ERR_NOT_FOUND, "probe.no_node", ARG_END);
    if (!rc)
        rc = nodes_reload(nodes, err);
    if (rc)
        return err_in(err, "nodes.token");
    memcpy(out_token, token, sizeof token);
    return ERR_OK;
}

enum err_code nodes_remove(struct nodes *nodes, int64_t id, const struct node_actor *actor, struct err *err)
{
    struct change change = { .nodes = nodes, .action = "delete", .actor = actor, .id = id };
    enum err_code rc = store_write(nodes->store, delete_fn, &change, err);
    if (!rc && change.changed == 0)
        rc = err_set(err, ERR_NOT_FOUND, "probe.no_node", ARG_END);
    if (!rc)
        rc = nodes_reload(nodes, err);
    return rc ? err_in(err, "nodes.remove") : ERR_OK;
}

enum err_code nodes_register(struct nodes *nodes, struct str token, struct str version, struct str address,
                             int64_t *out_id, char out_key[NODE_KEY_SIZE], struct err *err)
{
    char token_digest[DIGEST_HEX_SIZE], key[NODE_TOKEN_SIZE], key_digest[DIGEST_HEX_SIZE];
    int64_t id = 0;
    if (token.len != NODE_TOKEN_SIZE - 1)
        return err_set(err, ERR_NO_LOGIN, "probe.token", ARG_END);
    digest_text(token, token_digest);
    (void)pthread_mutex_lock(&nodes->lock);
    for (size_t i = 0; i < nodes->count; i++)
        if (crypto_equal(str_from(nodes->rows[i].token), str_from(token_digest)) &&
            nodes->rows[i].token_expires > clock_now(nodes->clock))
            id = nodes->rows[i].id;
    (void)pthread_mutex_unlock(&nodes->lock);
    if (!id)
        return err_set(err, ERR_NO_LOGIN, "probe.token", ARG_END);
    enum err_code rc = token_make(key, err);
    if (rc)
        return rc;
    digest_text(str_from(key), key_digest);
    const struct node_actor self = { .user_name = STR("probe"), .remote = address };
    struct change change = { .nodes = nodes,
                             .action = "register",
                             .actor = &self,
                             .id = id,
                             .now_ms = clock_now(nodes->clock),
                             .token = str_from(token_digest),
                             .key = str_from(key_digest),
                             .version = str_slice(version, 0, 31),
                             .address = str_slice(address, 0, 63) };
    rc = store_write(nodes->store, register_fn, &change, err);
    if (!rc && change.changed == 0) /* somebody else was faster */
        rc = err_set(err, ERR_NO_LOGIN, "probe.token", ARG_END);
    if (!rc)
        rc = nodes_reload(nodes, err);
    if (rc)
        return err_in(err, "nodes.register");
    *out_id = id;
    (void)snprintf(out_key, NODE_KEY_SIZE, "%lld.%s", (long long)id, key);
    return ERR_OK;
}

enum err_code nodes_check(struct nodes *nodes, struct str key, int64_t *out_id, struct err *err)
{
    char key_digest[DIGEST_HEX_SIZE];
    int64_t id = 0;
    const ptrdiff_t dot = str_find(key, STR("."));
    bool good = false;
    if (dot > 0 && str_i64(str_slice(key, 0, (size_t)dot), &id)) {
        digest_text(str_slice(key, (size_t)dot + 1, key.len), key_digest);
        (void)pthread_mutex_lock(&nodes->lock);
        const struct row *row = row_of(nodes, id);
        good = row && row->key[0] && crypto_equal(str_from(row->key), str_from(key_digest));
        (void)pthread_mutex_unlock(&nodes->lock);
    }
    if (!good)
        return err_set(err, ERR_NO_LOGIN, "probe.key", ARG_END);
    *out_id = id;
    return ERR_OK;
}

/* ---- what they tell ---- */

int64_t nodes_seen(struct nodes *nodes, int64_t id, int64_t node_clock_ms, struct str address,
                   int64_t buffered_bytes, int64_t dropped)
{
    const int64_t now = clock_now(nodes->clock);
    int64_t skew = 0;
    (void)pthread_mutex_lock(&nodes->lock);
    struct row *row = row_of(nodes, id);
    if (row) {
        row->seen_ms = now;
        if (node_clock_ms)
            row->skew_ms = node_clock_ms - now;
        if (buffered_bytes >= 0)
            row->buffered = buffered_bytes;
        if (dropped >= 0)
            row->dropped = dropped;
        copy_text(row->address, sizeof row->address, address);
        skew = row->skew_ms;
    }
    (void)pthread_mutex_unlock(&nodes->lock);
    return skew > NODE_SKEW_MS || skew < -NODE_SKEW_MS ? -skew : 0;
}

void nodes_acknowledged(struct nodes *nodes, int64_t id, int64_t results, int64_t newest_ms)
{
    (void)pthread_mutex_lock(&nodes->lock);
    struct row *row = row_of(nodes, id);
    if (row) {
        row->results += results;
        row->newest_ms = newest_ms;
    }
    (void)pthread_mutex_unlock(&nodes->lock);
}

/* ---- what never came ---- */

static enum err_code gap_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct waiting_gap *one = arg;
    const struct node_gap *gap = &one->gap;
    return tx_run(tx, SQL_GAP_ADD,
                  BINDS(bind_i64(one->id), bind_i64(one->node), bind_i64(one->noticed_ms),
                        bind_i64(gap->epoch), bind_i64(gap->first), bind_i64(gap->count),
                        bind_i64(one->from_ms), bind_i64(gap->until_ms)),
                  NULL, err)
               ? err->code
               : tx_run(tx, SQL_GAPS_CUT, BINDS(bind_i64(one->node), bind_i64(NODE_GAPS_KEPT)), NULL, err);
}

/* Under the lock: room for one more, or NULL. */
static struct waiting_gap *waiting_gap_new(struct nodes *nodes)
{
    if (!nodes->gaps)
        nodes->gaps = mem_alloc(GAPS_WAITING_MAX, sizeof *nodes->gaps);
    return nodes->gaps && nodes->gaps_count < GAPS_WAITING_MAX ? &nodes->gaps[nodes->gaps_count++] : NULL;
}

/* Writes those that wait, oldest first, until one cannot be written. */
static void write_gaps(struct nodes *nodes)
{
    for (;;) {
        struct err err = { 0 };
        (void)pthread_mutex_lock(&nodes->lock);
        const bool any = nodes->gaps_count > 0;
        struct waiting_gap one = any ? nodes->gaps[0] : (struct waiting_gap) { 0 };
        (void)pthread_mutex_unlock(&nodes->lock);
        if (!any)
            return;
        const enum err_code rc = store_write(nodes->store, gap_fn, &one, &err);
        if (rc && rc != ERR_CONFLICT) { /* that: another thread has just written it */
            log_err(&err, "probe.gap", "waits in memory");
            return;
        }
        (void)pthread_mutex_lock(&nodes->lock);
        if (nodes->gaps_count && nodes->gaps[0].id == one.id)
            memmove(nodes->gaps, nodes->gaps + 1, --nodes->gaps_count * sizeof *nodes->gaps);
        (void)pthread_mutex_unlock(&nodes->lock);
    }
}

void nodes_gap(struct nodes *nodes, int64_t id, const struct node_gap *gap)
{
    (void)pthread_mutex_lock(&nodes->lock);
    const struct row *row = row_of(nodes, id);
    struct waiting_gap *one = waiting_gap_new(nodes);
    if (one)
        *one = (struct waiting_gap) { ids_next(nodes->ids), id, clock_now(nodes->clock),
                                      row ? row->newest_ms : 0, *gap };
    (void)pthread_mutex_unlock(&nodes->lock);
    log_line(LOG_WARN, "probe.gap",
             "node %" PRId64 ": %" PRId64 " results from number %" PRId64 " never came", id, gap->count,
             gap->first);
    write_gaps(nodes);
}

struct listing {
    int64_t id;
    json_t *items;
};

static enum err_code gaps_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct listing *listing = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    enum err_code rc = tx_prepare(tx, SQL_GAPS, &stmt, err);
    if (rc)
        return rc;
    stmt_bind_i64(stmt, 1, listing->id);
    json_array_clear(listing->items);
    while ((rc = stmt_step(stmt, &row, err)) == ERR_OK && row)
        (void)json_array_append_new(listing->items, json_pack("{s:o, s:I, s:o, s:o}", "noticed_at",
                                                              json_instant(stmt_i64(stmt, 0)), "count",
                                                              (json_int_t)stmt_i64(stmt, 1), "from",
                                                              json_instant(stmt_i64(stmt, 2)), "until",
                                                              json_instant(stmt_i64(stmt, 3))));
    return rc;
}

enum err_code nodes_gaps_json(struct nodes *nodes, int64_t id, json_t **out, struct err *err)
{
    struct listing listing = { id, json_array() };
    enum err_code rc = nodes_has(nodes, id) ? ERR_OK : err_set(err, ERR_NOT_FOUND, "probe.no_node", ARG_END);
    write_gaps(nodes);
    if (!rc)
        rc = store_read(nodes->store, gaps_fn, &listing, err);
    *out = rc ? NULL : json_pack("{s:o}", "items", listing.items);
    if (rc)
        json_decref(listing.items);
    return rc || *out ? rc : err_nomem(err);
}

bool nodes_has(struct nodes *nodes, int64_t id)
{
    (void)pthread_mutex_lock(&nodes->lock);
    const bool has = row_of(nodes, id) != NULL;
    (void)pthread_mutex_unlock(&nodes->lock);
    return has;
}

enum err_code nodes_json(struct nodes *nodes, json_t **out, struct err *err)
{
    json_t *list = json_array();
    int failed = !list;
    (void)pthread_mutex_lock(&nodes->lock);
    const int64_t now = clock_now(nodes->clock);
    for (size_t i = 0; i < nodes->count && !failed; i++) {
        const struct row *row = &nodes->rows[i];
        const char *state = !row->key[0] ? "new" : now - row->seen_ms < SILENT_MS ? "online" : "silent";
        failed |= json_array_append_new(
            list, json_pack("{s:o, s:s, s:s, s:o, s:o, s:I, s:b, s:I, s:I, s:I, s:s, s:s, s:b, s:o}", "id",
                            json_id(row->id), "name", row->name, "state", state, "seen_at",
                            json_instant(row->seen_ms), "registered_at", json_instant(row->registered_ms),
                            "skew_ms", (json_int_t)row->skew_ms, "skewed",
                            row->skew_ms > NODE_SKEW_MS || row->skew_ms < -NODE_SKEW_MS, "buffered_bytes",
                            (json_int_t)row->buffered, "dropped", (json_int_t)row->dropped, "results",
                            (json_int_t)row->results, "version", row->version, "address", row->address,
                            "token_open", row->token[0] && row->token_expires > now, "token_expires_at",
                            json_instant(row->token[0] ? row->token_expires : 0)));
    }
    (void)pthread_mutex_unlock(&nodes->lock);
    if (failed) {
        json_decref(list);
        return err_nomem(err);
    }
    *out = list;
    return ERR_OK;
}
