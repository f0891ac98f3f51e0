/* charset.c - see charset.h */
#include "base/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdio.h>

#define MARK "\xef\xbb\xbf"
#define PIECE 65536

static const char *const NAMES[CHARSET__COUNT] = { "UTF-8", "GB18030" };

const char *charset_name(enum charset charset)
{
    return NAMES[charset];
}

/* ---- where it breaks ---- */

static enum err_code neither(struct str text, size_t at, struct err *err)
{
    int line = 1;
    size_t start = 0;
    char value[8];
    for (size_t i = 0; i < at; i++)
        if (text.ptr[i] == '\n') {
            line++;
            start = i + 1;
        }
    (void)snprintf(value, sizeof value, "0x%02x", (unsigned char)text.ptr[at]);
    (void)err_set(err, ERR_INVALID, "charset.neither", ARG_TEXT("value", value),
                  ARG_INT("byte", (int64_t)(at - start) + 1), ARG_END);
    (void)err_at(err, line, (int)(at - start) + 1);
    return ERR_INVALID;
}

/* How a text reads as UTF-8. */
struct reading {
    size_t first;        /* the first byte that does not fit; the length when all do */
    size_t broken, wide; /* bytes that do not fit; characters of three and four bytes */
};

static struct reading read_utf8(struct str text)
{
    struct reading reading = { .first = text.len };
    for (size_t at = 0; at < text.len;) {
        const size_t from = at;
        if ((unsigned char)text.ptr[at] < 0x80) {
            at++;
        } else if (utf8_next(text, &at) < 0) {
            if (!reading.broken++)
                reading.first = from;
            at = from + 1;
        } else if (at - from > 2) {
            reading.wide++;
        }
    }
    return reading;
}

/* ---- GB18030 ---- */

struct turning {
    iconv_t way;
    char *in, *out;
    size_t left, room;
    char piece[PIECE];
};

/* *out_at: the first byte that is no GB18030. */
static enum err_code turn(struct str text, charset_put_fn put, void *arg, size_t *out_at, struct err *err)
{
    struct turning *t = mem_alloc(1, sizeof *t);
    if (!t)
        return err_nomem(err);
    t->way = iconv_open("UTF-8", "GB18030");
    if (t->way == (iconv_t)-1) {
        mem_free(t);
        return err_set(err, ERR_INTERNAL, "charset.unknown", ARG_TEXT("name", "GB18030"), ARG_END);
    }
    t->in = (char *)(uintptr_t)text.ptr;
    t->left = text.len;
    enum err_code rc = ERR_OK;
    *out_at = text.len;
    while (!rc && t->left) {
        t->out = t->piece;
        t->room = sizeof t->piece;
        const size_t done = iconv(t->way, &t->in, &t->left, &t->out, &t->room);
        const bool stuck = done == (size_t)-1 && errno != E2BIG;
        if (put && t->out > t->piece)
            rc = put(arg, (struct str) { t->piece, (size_t)(t->out - t->piece) }, err);
        if (!rc && stuck) {
            *out_at = text.len - t->left;
            break;
        }
    }
    (void)iconv_close(t->way);
    mem_free(t);
    return rc;
}

/* ---- both ---- */

enum err_code charset_find(struct str text, enum charset *out, struct err *err)
{
    const struct reading utf8 = read_utf8(text);
    size_t at = 0;
    if (!utf8.broken) {
        *out = CHARSET_UTF8;
        return ERR_OK;
    }
    /* Chinese in GBK is next to never a character of three bytes in UTF-8, let alone that most are. */
    if (str_starts(text, STR(MARK)) || utf8.wide > 2 * utf8.broken)
        return neither(text, utf8.first, err);
    const enum err_code rc = turn(text, NULL, NULL, &at, err);
    if (rc)
        return rc;
    if (at < text.len) /* it is more likely meant to be what it is for longer */
        return neither(text, at > utf8.first ? at : utf8.first, err);
    *out = CHARSET_GB18030;
    return ERR_OK;
}

enum err_code charset_each(struct str text, enum charset charset, charset_put_fn put, void *arg,
                           struct err *err)
{
    size_t at = 0;
    if (charset == CHARSET_UTF8) {
        if (str_starts(text, STR(MARK)))
            text = str_slice(text, sizeof MARK - 1, text.len);
        return text.len ? put(arg, text, err) : ERR_OK;
    }
    const enum err_code rc = turn(text, put, arg, &at, err);
    return rc || at == text.len ? rc : neither(text, at, err);
}
