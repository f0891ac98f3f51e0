/* verify.c - reads all chains and says where the first of them is not what was written. */
#include "platform/audit/audit.h"
#include "platform/audit/audit_sql.h"
#include "platform/audit/digest.h"

#include <stdio.h>

#define CHAINS_MAX 65536

const char *audit_fault_name(enum audit_fault fault)
{
    static const char *const names[AUDIT_FAULT__COUNT] = { "good", "changed", "broken", "cut", "checkpoint" };
    return names[fault];
}

struct head {
    int64_t chain, seq, start_seq;
    struct str hash, start_hash, start_seal;
};

struct verify {
    const struct key_ring *keys;
    struct audit_verdict *verdict;
    struct head *heads;
    int heads_count;
};

static enum err_code bad(struct verify *verify, enum audit_fault fault, int64_t chain, int64_t seq,
                         int64_t id)
{
    verify->verdict->fault = fault;
    verify->verdict->chain = chain;
    verify->verdict->seq = seq;
    verify->verdict->id = id;
    return ERR_OK;
}

static enum err_code read_heads(struct tx *tx, struct verify *verify, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    struct arena *arena = tx_arena(tx);
    bool row = false;
    verify->heads = arena_alloc(arena, CHAINS_MAX, sizeof *verify->heads);
    if (!verify->heads)
        return err_nomem(err);
    if (tx_prepare(tx, SQL_HEADS, &stmt, err))
        return err->code;
    for (;;) {
        if (stmt_step(stmt, &row, err))
            return err->code;
        if (!row)
            return ERR_OK;
        if (verify->heads_count == CHAINS_MAX)
            return err_set(err, ERR_LIMIT, "audit.chains_max", ARG_INT("max", CHAINS_MAX), ARG_END);
        struct head *head = &verify->heads[verify->heads_count++];
        *head = (struct head) { stmt_i64(stmt, 0),
                                stmt_i64(stmt, 1),
                                stmt_i64(stmt, 3),
                                arena_str(arena, stmt_text(stmt, 2)),
                                arena_str(arena, stmt_text(stmt, 4)),
                                arena_str(arena, stmt_text(stmt, 5)) };
        if (!head->hash.ptr || !head->start_hash.ptr || !head->start_seal.ptr)
            return err_nomem(err);
    }
}

static struct audit_content content_of(struct stmt *stmt)
{
    return (struct audit_content) {
        .id = stmt_i64(stmt, 0),
        .at = stmt_i64(stmt, 1),
        .chain = stmt_i64(stmt, 2),
        .seq = stmt_i64(stmt, 3),
        .user_id = stmt_i64(stmt, 4),
        .object_id = stmt_i64(stmt, 10),
        .texts = { stmt_text(stmt, 5), stmt_text(stmt, 6), stmt_text(stmt, 7), stmt_text(stmt, 8),
                   stmt_text(stmt, 9), stmt_text(stmt, 11), stmt_text(stmt, 12), stmt_text(stmt, 13),
                   stmt_text(stmt, 14) },
    };
}

static enum err_code verify_chain(struct tx *tx, struct verify *verify, const struct head *head,
                                  struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    char before[DIGEST_HEX_SIZE], hash[DIGEST_HEX_SIZE], seal_text[DIGEST_HEX_SIZE];
    int64_t seq = head->start_seq, id = 0;
    bool row = false;
    audit_start_seal(verify->keys, head->chain, head->start_seq, head->start_hash, seal_text);
    if (verify->keys && head->start_seq && !str_eq(head->start_seal, str_from(seal_text)))
        return bad(verify, AUDIT_BROKEN, head->chain, head->start_seq, 0);
    (void)snprintf(before, sizeof before, "%.*s", STR_ARG(head->start_hash));
    if (tx_prepare(tx, SQL_CHAIN, &stmt, err))
        return err->code;
    stmt_bind_i64(stmt, 1, head->chain);
    stmt_bind_i64(stmt, 2, head->start_seq);
    stmt_stream(stmt);
    for (;;) {
        if (stmt_step(stmt, &row, err))
            return err->code;
        if (!row)
            break;
        const struct audit_content content = content_of(stmt);
        id = content.id;
        if (content.seq != seq + 1)
            return bad(verify, AUDIT_BROKEN, head->chain, content.seq, id);
        if (audit_line_digest(str_from(before), &content, hash, err))
            return err->code;
        if (!str_eq(stmt_text(stmt, 15), str_from(hash)))
            return bad(verify, AUDIT_CHANGED, head->chain, content.seq, id);
        memcpy(before, hash, sizeof before);
        seq = content.seq;
        verify->verdict->lines++;
    }
    if (seq != head->seq || !str_eq(head->hash, str_from(before)))
        return bad(verify, AUDIT_CUT, head->chain, seq, id);
    return ERR_OK;
}

/* Lines of a chain that has no head at all. */
static enum err_code verify_no_strangers(struct tx *tx, struct verify *verify, struct err *err)
{
    int64_t lines;
    if (tx_query_i64(tx, "SELECT COUNT(*) FROM audit WHERE chain NOT IN (SELECT chain FROM audit_head)",
                     &lines, err))
        return err->code;
    return lines ? bad(verify, AUDIT_CUT, -1, 0, 0) : ERR_OK;
}

/* "CHAIN SEQ HASH" of a checkpoint against the line itself, unless that line was dropped. */
static enum err_code verify_bound(struct tx *tx, struct verify *verify, struct str text, bool *out_good,
                                  struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    int64_t chain, seq;
    struct str part;
    bool row = false;
    *out_good = false;
    if (!str_cut(&text, ' ', &part) || !str_i64(part, &chain) || !str_cut(&text, ' ', &part) ||
        !str_i64(part, &seq))
        return ERR_OK;
    const struct head *head = NULL;
    for (int i = 0; i < verify->heads_count; i++)
        if (verify->heads[i].chain == chain)
            head = &verify->heads[i];
    if (!head || seq > head->seq)
        return ERR_OK; /* the chain was cut behind what the checkpoint saw */
    if (seq <= head->start_seq) {
        *out_good = seq < head->start_seq || str_eq(text, head->start_hash);
        return ERR_OK;
    }
    if (tx_prepare(tx, SQL_LINE_HASH, &stmt, err))
        return err->code;
    stmt_bind_i64(stmt, 1, chain);
    stmt_bind_i64(stmt, 2, seq);
    if (stmt_step(stmt, &row, err))
        return err->code;
    *out_good = row && str_eq(stmt_text(stmt, 0), text);
    return ERR_OK;
}

static enum err_code verify_heads(struct tx *tx, struct verify *verify, struct str heads, bool *out_good,
                                  struct err *err)
{
    struct str line;
    *out_good = true;
    while (*out_good && str_cut(&heads, '\n', &line))
        if (line.len && verify_bound(tx, verify, line, out_good, err))
            return err->code;
    return ERR_OK;
}

static enum err_code verify_checkpoints(struct tx *tx, struct verify *verify, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    char before[DIGEST_HEX_SIZE] = "", hash[DIGEST_HEX_SIZE];
    int64_t seq = 0;
    bool row = false, good = true;
    if (tx_prepare(tx, SQL_CHECKPOINTS, &stmt, err))
        return err->code;
    stmt_stream(stmt);
    for (;;) {
        if (stmt_step(stmt, &row, err))
            return err->code;
        if (!row)
            return ERR_OK;
        const int64_t this_seq = stmt_i64(stmt, 0);
        (void)snprintf(hash, sizeof hash, "%.*s", STR_ARG(stmt_text(stmt, 3)));
        if (verify->keys) { /* without the keys only the heads can be compared */
            char want[DIGEST_HEX_SIZE];
            if (audit_checkpoint_digest(verify->keys, str_from(before), this_seq, stmt_i64(stmt, 1),
                                        stmt_text(stmt, 2), want, err))
                return err->code;
            good = strcmp(want, hash) == 0;
        }
        if (good && verify_heads(tx, verify, stmt_text(stmt, 2), &good, err))
            return err->code;
        if (!good || this_seq != seq + 1)
            return bad(verify, AUDIT_CHECKPOINT, -1, this_seq, 0);
        memcpy(before, hash, sizeof before);
        seq = this_seq;
        verify->verdict->checkpoints++;
    }
}

static enum err_code verify_fn(struct tx *tx, void *arg, struct err *err)
{
    struct verify *verify = arg;
    *verify->verdict = (struct audit_verdict) { 0 };
    verify->heads_count = 0;
    enum err_code rc = read_heads(tx, verify, err);
    for (int i = 0; i < verify->heads_count && !rc && !verify->verdict->fault; i++) {
        rc = verify_chain(tx, verify, &verify->heads[i], err);
        verify->verdict->chains++;
    }
    if (!rc && !verify->verdict->fault)
        rc = verify_no_strangers(tx, verify, err);
    if (!rc && !verify->verdict->fault)
        rc = verify_checkpoints(tx, verify, err);
    return rc ? err_in(err, "audit.verify") : ERR_OK;
}

enum err_code audit_verify(struct store *store, const struct key_ring *keys, struct audit_verdict *out,
                           struct err *err)
{
    struct audit_verdict verdict = { 0 };
    struct verify verify = { .keys = keys, .verdict = &verdict };
    const enum err_code rc = store_read(store, verify_fn, &verify, err);
    if (!rc)
        *out = verdict;
    return rc;
}
