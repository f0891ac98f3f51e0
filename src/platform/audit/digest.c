/* digest.c - see digest.h */
#include "platform/audit/digest.h"

#include <inttypes.h>
#include <stdio.h>

static void add_text(struct digester *digester, struct str text)
{
    char length[24];
    const int len = snprintf(length, sizeof length, "%zu:", text.len);
    digester_add(digester, length, (size_t)len);
    if (text.len)
        digester_add(digester, text.ptr, text.len);
}

static void add_i64(struct digester *digester, int64_t number)
{
    char text[24];
    const int len = snprintf(text, sizeof text, "%" PRId64 ";", number);
    digester_add(digester, text, (size_t)len);
}

enum err_code audit_line_digest(struct str before, const struct audit_content *content,
                                char out[DIGEST_HEX_SIZE], struct err *err)
{
    struct digester *digester = digester_new(DIGEST_SM3);
    unsigned char bytes[DIGEST_SIZE];
    if (!digester)
        return err_nomem(err);
    add_text(digester, before);
    const int64_t numbers[] = { content->id,  content->at,      content->chain,
                                content->seq, content->user_id, content->object_id };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        add_i64(digester, numbers[i]);
    for (int i = 0; i < AUDIT_TEXTS; i++)
        add_text(digester, content->texts[i]);
    digester_end(digester, bytes);
    hex_put(bytes, sizeof bytes, out);
    return ERR_OK;
}

enum err_code audit_checkpoint_digest(const struct key_ring *keys, struct str before, int64_t seq, int64_t at,
                                      struct str heads, char out[DIGEST_HEX_SIZE], struct err *err)
{
    unsigned char bytes[DIGEST_SIZE];
    struct buf all;
    buf_init(&all, (size_t)1 << 20);
    buf_printf(&all, "%.*s;%" PRId64 ";%" PRId64 ";", STR_ARG(before), seq, at);
    buf_str(&all, heads);
    const enum err_code rc = buf_check(&all, err);
    if (!rc && keys)
        key_ring_blind(keys, STR("audit checkpoint"), buf_get(&all), bytes);
    else if (!rc)
        digest(DIGEST_SM3, buf_get(&all), bytes);
    if (!rc)
        hex_put(bytes, sizeof bytes, out);
    buf_done(&all);
    return rc;
}

void audit_start_seal(const struct key_ring *keys, int64_t chain, int64_t seq, struct str hash,
                      char out[DIGEST_HEX_SIZE])
{
    unsigned char bytes[DIGEST_SIZE];
    char text[128];
    out[0] = 0;
    if (!keys)
        return;
    const int len = snprintf(text, sizeof text, "%" PRId64 ";%" PRId64 ";%.*s", chain, seq, STR_ARG(hash));
    key_ring_blind(keys, STR("audit start"), (struct str) { text, (size_t)len }, bytes);
    hex_put(bytes, sizeof bytes, out);
}
