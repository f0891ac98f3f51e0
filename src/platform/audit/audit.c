/* audit.c - writing lines, batches of reads, checkpoints; see audit.h */
#include "platform/audit/audit.h"
#include "platform/audit/audit_sql.h"
#include "platform/audit/digest.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#define SLOTS_MAX 64
#define READS_BYTES_MAX ((size_t)16 << 20)

struct read_node {
    struct audit_line line; /* its texts lie in the arena of the batch */
    struct read_node *next;
};

/* Where the chain of a writer stands since the tx that has that serial; only the thread that has the writer's
 * connection looks here. */
struct head {
    int64_t tx_serial, chain, seq, stored_seq;
    bool waits; /* to be written back */
    char hash[DIGEST_HEX_SIZE], stored_hash[DIGEST_HEX_SIZE];
};

struct audit {
    struct store *store;
    struct ids *ids;
    const struct key_ring *keys;
    int node;
    struct head heads[SLOTS_MAX]; /* by writer slot */
    pthread_mutex_t lock;         /* of the batch of reads */
    struct arena *arena;
    struct read_node *first, **last;
    int waiting;
};

struct audit *audit_new(struct store *store, struct ids *ids, int node, const struct key_ring *keys)
{
    struct audit *audit = mem_alloc(1, sizeof *audit);
    if (!audit)
        return NULL;
    *audit = (struct audit) { .store = store, .ids = ids, .keys = keys, .node = node };
    audit->arena = arena_new(READS_BYTES_MAX);
    audit->last = &audit->first;
    (void)pthread_mutex_init(&audit->lock, NULL);
    if (audit->arena)
        return audit;
    audit_free(audit);
    return NULL;
}

void audit_free(struct audit *audit)
{
    if (!audit)
        return;
    struct err err;
    if (audit->first && audit_flush(audit, &err))
        (void)err; /* the store is gone: there is nobody to tell but the log of its owner */
    arena_free(audit->arena);
    (void)pthread_mutex_destroy(&audit->lock);
    mem_free(audit);
}

static enum err_code head_put(struct tx *tx, void *arg, struct err *err)
{
    struct head *head = arg;
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    head->waits = false;
    if (tx_prepare(tx, SQL_HEAD_PUT, &stmt, err))
        return err->code;
    stmt_bind_i64(stmt, 1, head->chain);
    stmt_bind_i64(stmt, 2, head->seq);
    stmt_bind_text(stmt, 3, str_from(head->hash));
    stmt_bind_i64(stmt, 4, head->stored_seq);
    stmt_bind_text(stmt, 5, str_from(head->stored_hash));
    const enum err_code rc = stmt_post_found(stmt, err); /* bound texts are borrowed until then */
    head->stored_seq = head->seq;
    memcpy(head->stored_hash, head->hash, sizeof head->hash);
    return rc;
}

/* The head of the chain: seq 0 and "" when there is no line yet.  It is written back once at the end of the
 * tx: a row written for each line would leave a version of itself for each.  It is read anew only when it may
 * have changed: on PostgreSQL a row that all writers read and write makes them fail each other. */
static enum err_code head_get(struct audit *audit, struct tx *tx, struct head **out, struct err *err)
{
    struct head *head = &audit->heads[tx_writer_slot(tx)];
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    *out = head;
    if (head->tx_serial && tx_still_holds(tx, head->tx_serial)) {
        head->tx_serial = tx_serial(tx);
        return ERR_OK;
    }
    const int64_t chain = (int64_t)audit->node * SLOTS_MAX + tx_writer_slot(tx);
    *head = (struct head) { .chain = chain };
    if (tx_prepare(tx, SQL_HEAD_GET, &stmt, err))
        return err->code;
    stmt_bind_i64(stmt, 1, chain);
    if (stmt_step(stmt, &row, err))
        return err->code;
    head->seq = row ? stmt_i64(stmt, 0) : 0;
    (void)snprintf(head->hash, sizeof head->hash, "%.*s", row ? (int)stmt_text(stmt, 1).len : 0,
                   row ? stmt_text(stmt, 1).ptr : "");
    head->stored_seq = head->seq;
    memcpy(head->stored_hash, head->hash, sizeof head->hash);
    head->tx_serial = tx_serial(tx);
    return ERR_OK;
}

static enum err_code line_add(struct tx *tx, const struct audit_content *content, const char *hash,
                              struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    char table[STORE_NAME_SIZE], sql[1024];
    if (tx_period(tx, "audit", content->at, table, err))
        return err->code;
    (void)snprintf(sql, sizeof sql, SQL_LINE_ADD, table);
    if (tx_prepare(tx, sql, &stmt, err))
        return err->code;
    const struct str *texts = content->texts;
    stmt_bind_i64(stmt, 1, content->id);
    stmt_bind_i64(stmt, 2, content->at);
    stmt_bind_i64(stmt, 3, content->chain);
    stmt_bind_i64(stmt, 4, content->seq);
    stmt_bind_i64(stmt, 5, content->user_id);
    for (int i = 0; i < 5; i++) /* user_name remote request_id action object_type */
        stmt_bind_text(stmt, 6 + i, texts[i]);
    stmt_bind_i64(stmt, 11, content->object_id);
    for (int i = 5; i < AUDIT_TEXTS; i++) /* object_name before after detail */
        stmt_bind_text(stmt, 7 + i, texts[i]);
    stmt_bind_text(stmt, 16, str_from(hash));
    return stmt_post(stmt, err);
}

/* What is too long keeps its length and digest, so that it can still be compared. */
static struct str bounded(struct arena *arena, struct str data)
{
    unsigned char bytes[DIGEST_SIZE];
    char hex[DIGEST_HEX_SIZE];
    if (data.len <= AUDIT_DATA_MAX)
        return data.ptr ? data : STR("");
    digest(DIGEST_SM3, data, bytes);
    hex_put(bytes, sizeof bytes, hex);
    return arena_printf(arena, "{\"bytes\":%zu,\"sm3\":\"%s\"}", data.len, hex);
}

static enum err_code write_line(struct audit *audit, struct tx *tx, const struct audit_line *line, int64_t at,
                                struct err *err)
{
    struct arena *arena = tx_arena(tx);
    struct audit_content content = {
        .id = ids_next(audit->ids),
        .at = at,
        .user_id = line->user_id,
        .object_id = line->object_id,
        .texts = { line->user_name, line->remote, line->request_id, str_from(line->action), line->object_type,
                   line->object_name, bounded(arena, line->before), bounded(arena, line->after),
                   bounded(arena, line->detail) },
    };
    for (int i = 6; i < AUDIT_TEXTS; i++)
        if (!content.texts[i].ptr)
            return err_nomem(err);
    struct head *head = NULL;
    char hash[DIGEST_HEX_SIZE];
    if (head_get(audit, tx, &head, err))
        return err->code;
    content.chain = head->chain;
    content.seq = head->seq + 1;
    if (audit_line_digest(str_from(head->hash), &content, hash, err) || line_add(tx, &content, hash, err))
        return err->code;
    head->seq = content.seq;
    memcpy(head->hash, hash, sizeof hash);
    if (head->waits)
        return ERR_OK;
    head->waits = true;
    return tx_before_commit(tx, head_put, head, err);
}

enum err_code audit_write(struct audit *audit, struct tx *tx, const struct audit_line *line, struct err *err)
{
    const enum err_code rc = write_line(audit, tx, line, tx_now_ms(tx), err);
    return rc ? err_in(err, "audit.write") : ERR_OK;
}

/* ---- reads, in batches ---- */

static bool copy_text(struct arena *arena, struct str *text)
{
    *text = arena_str(arena, *text);
    return text->ptr != NULL;
}

enum err_code audit_read(struct audit *audit, const struct audit_line *line, struct err *err)
{
    enum err_code rc = ERR_OK;
    (void)pthread_mutex_lock(&audit->lock);
    struct read_node *node = NULL;
    if (audit->waiting >= AUDIT_READS_MAX)
        rc = err_set(err, ERR_BUSY, "audit.busy", ARG_END);
    else if (!(node = arena_alloc(audit->arena, 1, sizeof *node)))
        rc = err_nomem(err);
    if (node) {
        struct audit_line *copy = &node->line;
        *copy = *line;
        struct str *texts[] = { &copy->object_type, &copy->object_name, &copy->before, &copy->after,
                                &copy->detail,      &copy->user_name,   &copy->remote, &copy->request_id };
        for (size_t i = 0; i < sizeof texts / sizeof *texts && !rc; i++)
            if (!copy_text(audit->arena, texts[i]))
                rc = err_nomem(err);
    }
    if (!rc) {
        *audit->last = node;
        audit->last = &node->next;
        audit->waiting++;
    }
    (void)pthread_mutex_unlock(&audit->lock);
    return rc;
}

struct flush {
    struct audit *audit;
    struct read_node *first;
};

static enum err_code flush_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct flush *flush = arg;
    for (const struct read_node *node = flush->first; node; node = node->next)
        if (write_line(flush->audit, tx, &node->line, tx_now_ms(tx), err))
            return err_in(err, "audit.flush");
    return ERR_OK;
}

enum err_code audit_flush(struct audit *audit, struct err *err)
{
    struct arena *fresh = arena_new(READS_BYTES_MAX);
    if (!fresh)
        return err_nomem(err);
    (void)pthread_mutex_lock(&audit->lock);
    struct arena *arena = audit->arena;
    struct flush flush = { audit, audit->first };
    struct read_node **last = audit->last;
    const int count = audit->waiting;
    audit->arena = fresh;
    audit->first = NULL;
    audit->last = &audit->first;
    audit->waiting = 0;
    (void)pthread_mutex_unlock(&audit->lock);
    const enum err_code rc = count ? store_write(audit->store, flush_fn, &flush, err) : ERR_OK;
    if (!rc) {
        arena_free(arena);
        return ERR_OK;
    }
    /* The store is away: what came meanwhile is put behind what waits, in the older arena. */
    (void)pthread_mutex_lock(&audit->lock);
    struct read_node *newer = audit->first;
    struct arena *newer_arena = audit->arena;
    audit->arena = arena;
    audit->first = count ? flush.first : NULL;
    audit->last = count ? last : &audit->first;
    audit->waiting = count;
    (void)pthread_mutex_unlock(&audit->lock);
    struct err lost;
    for (; newer; newer = newer->next)
        if (audit_read(audit, &newer->line, &lost))
            break; /* full: the reads were answered already, the store has been away too long */
    arena_free(newer_arena);
    return rc;
}

/* ---- checkpoints ---- */

static enum err_code heads_text(struct tx *tx, struct buf *out, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    if (tx_prepare(tx, SQL_HEADS, &stmt, err))
        return err->code;
    while (!stmt_step(stmt, &row, err) && row)
        buf_printf(out, "%" PRId64 " %" PRId64 " %.*s\n", stmt_i64(stmt, 0), stmt_i64(stmt, 1),
                   STR_ARG(stmt_text(stmt, 2)));
    return row ? err->code : buf_check(out, err);
}

static enum err_code checkpoint_add(struct tx *tx, int64_t seq, int64_t at, struct str heads,
                                    const char *hash, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    if (tx_prepare(tx, SQL_CHECKPOINT_ADD, &stmt, err))
        return err->code;
    stmt_bind_i64(stmt, 1, seq);
    stmt_bind_i64(stmt, 2, at);
    stmt_bind_text(stmt, 3, heads);
    stmt_bind_text(stmt, 4, str_from(hash));
    return stmt_run(stmt, NULL, err);
}

static enum err_code checkpoint_in(struct tx *tx, const struct audit *audit, struct buf *heads,
                                   struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    char hash[DIGEST_HEX_SIZE];
    if (heads_text(tx, heads, err) || tx_prepare(tx, SQL_CHECKPOINT_LAST, &stmt, err) ||
        stmt_step(stmt, &row, err))
        return err->code;
    if (heads->len == 0 || (row && str_eq(stmt_text(stmt, 2), buf_get(heads))))
        return ERR_OK; /* nothing happened since */
    const int64_t seq = row ? stmt_i64(stmt, 0) + 1 : 1, at = tx_now_ms(tx);
    const struct str before = row ? stmt_text(stmt, 1) : STR("");
    if (audit_checkpoint_digest(audit->keys, before, seq, at, buf_get(heads), hash, err))
        return err->code;
    return checkpoint_add(tx, seq, at, buf_get(heads), hash, err);
}

static enum err_code checkpoint_fn(struct tx *tx, void *arg, struct err *err)
{
    struct buf heads;
    buf_init(&heads, (size_t)512 << 10);
    const enum err_code rc = checkpoint_in(tx, arg, &heads, err);
    buf_done(&heads);
    return rc;
}

enum err_code audit_checkpoint(struct audit *audit, struct err *err)
{
    const enum err_code rc = store_write(audit->store, checkpoint_fn, audit, err);
    /* two nodes at once: the other's checkpoint binds the same heads */
    return rc == ERR_CONFLICT ? ERR_OK : rc;
}

/* ---- dropping months ---- */

struct drop {
    const struct audit *audit;
    int64_t before_ms;
};

static enum err_code start_set(struct tx *tx, const struct audit *audit, int64_t chain, int64_t seq,
                               struct str hash, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    char seal_text[DIGEST_HEX_SIZE];
    audit_start_seal(audit->keys, chain, seq, hash, seal_text);
    if (tx_prepare(tx, SQL_HEAD_START, &stmt, err))
        return err->code;
    stmt_bind_i64(stmt, 1, chain);
    stmt_bind_i64(stmt, 2, seq);
    stmt_bind_text(stmt, 3, hash);
    stmt_bind_text(stmt, 4, str_from(seal_text));
    return stmt_run(stmt, NULL, err);
}

static enum err_code drop_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct drop *drop = arg;
    int64_t chains[SLOTS_MAX * 16];
    int count = 0;
    bool row = false;
    AUTO(stmt_free_auto) struct stmt *heads = NULL, *last = NULL;
    if (tx_prepare(tx, SQL_HEADS, &heads, err))
        return err->code;
    while (!stmt_step(heads, &row, err) && row && count < (int)(sizeof chains / sizeof *chains))
        chains[count++] = stmt_i64(heads, 0);
    if (row && count < (int)(sizeof chains / sizeof *chains))
        return err->code;
    if (tx_prepare(tx, SQL_CHAIN_LAST_BEFORE, &last, err))
        return err->code;
    for (int i = 0; i < count; i++) {
        stmt_reset(last);
        stmt_bind_i64(last, 1, chains[i]);
        stmt_bind_i64(last, 2, drop->before_ms);
        if (stmt_step(last, &row, err))
            return err->code;
        if (row && start_set(tx, drop->audit, chains[i], stmt_i64(last, 0), stmt_text(last, 1), err))
            return err->code;
    }
    return ERR_OK;
}

/* The first instant of the UTC month that holds `ms`. */
static int64_t month_start(int64_t ms)
{
    int64_t year;
    int month, day;
    civil_from_days(ms / 86400000 - (ms % 86400000 < 0), &year, &month, &day);
    return days_from_civil(year, month, 1) * 86400000;
}

enum err_code audit_drop(struct audit *audit, int64_t before_ms, int *out_dropped, struct err *err)
{
    struct drop drop = { audit, month_start(before_ms) };
    enum err_code rc = audit_checkpoint(audit, err);
    if (!rc)
        rc = store_write(audit->store, drop_fn, &drop, err);
    return rc ? rc : store_period_drop(audit->store, "audit", drop.before_ms, out_dropped, err);
}
