/* conf.h - DIR/bihuan.conf: what one process must know before it has a database.
 *
 * Lines `key = value`; `#` begins a comment at the start of a line; a key that nobody knows, or one given
 * twice, is an error with its line, so that a slip of the pen never becomes a silent default.  Options of
 * the command line win over it.  What an office may change while running is in settings.h.
 * Threads: values only.  Layer: platform/settings. */
#pragma once
#include "base/err.h"

struct conf {
    const char *host; /* "127.0.0.1" */
    int64_t port;     /* 8080 */
    const char *database;
    const char *packs;    /* a further folder of packs */
    const char *web;      /* folder of the built pages */
    const char *key_file; /* NULL: DIR/keys/master.key */
    const char *tls_cert, *tls_key;
    const char *proxies;      /* addresses whose X-Forwarded-* are believed */
    const char *metrics_from; /* addresses that may read /metrics */
    const char *metrics_token;
    const char *check_ca;   /* PEM with further certificates that checks trust; NULL: the system's only */
    const char *public_url; /* how people reach it, for links in messages; NULL: the address */
    const char *zone;       /* whose days count: numbers, duties, reports; NULL: Asia/Shanghai */
    const char *log_level;  /* debug, info, warn, error */
    int64_t workers, queue, connections, connections_each, io_threads;
    int64_t body_kb, upload_mb, deadline_s;
    int64_t readers, writers; /* connections to the database */
};

/* Calls `each` for every key that differs; `live`: the running process can take the new value. */
void conf_compare(const struct conf *one, const struct conf *other,
                  void (*each)(void *arg, const char *name, bool live), void *arg);
/* Copies the live keys of `from` over those of `to`; texts stay where they are. */
void conf_take_live(struct conf *to, const struct conf *from);

/* A conf of defaults. */
extern const struct conf CONF_DEFAULTS;

/* Reads `text` over the defaults; texts live in the arena.
 * ERR_INVALID with line: no `=`, unknown key, key twice, not a number, out of range, unknown zone.  Every
 * fault goes to `findings` when that is not NULL, the first is in err. */
MUST_CHECK enum err_code conf_read(struct arena *arena, struct str text, struct conf *out,
                                   struct findings *findings, struct err *err);
/* The file of a data directory; a file that is not there gives the defaults. */
MUST_CHECK enum err_code conf_load(struct arena *arena, const char *data_dir, struct conf *out,
                                   struct findings *findings, struct err *err);
