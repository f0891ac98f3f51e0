/* conf.c - see conf.h; one row a key. */
#include "platform/settings/conf.h"
#include "base/buf.h"
#include "base/zone.h"

#include <stdio.h>

const struct conf CONF_DEFAULTS = {
    .host = "127.0.0.1",
    .port = 8080,
    .log_level = "info",
    .body_kb = 1024,
    .upload_mb = 100,
    .deadline_s = 15,
};

struct key {
    const char *name;
    size_t offset;
    bool is_number, live; /* live: taken anew by SIGHUP */
    int64_t least, most;
};

/* clang-format off */
#define TEXT(name, field, live) { name, offsetof(struct conf, field), false, live, 0, 0 }
#define NUMBER(name, field, live, least, most) { name, offsetof(struct conf, field), true, live, least, most }
/* clang-format on */
#define LIVE true
#define FIXED false
static const struct key KEYS[] = {
    TEXT("host", host, FIXED),
    NUMBER("port", port, FIXED, 0, 65535),
    TEXT("database", database, FIXED),
    TEXT("packs", packs, FIXED),
    TEXT("web", web, FIXED),
    TEXT("key-file", key_file, FIXED),
    TEXT("tls-cert", tls_cert, LIVE),
    TEXT("tls-key", tls_key, LIVE),
    TEXT("proxies", proxies, LIVE),
    TEXT("metrics-from", metrics_from, LIVE),
    TEXT("metrics-token", metrics_token, LIVE),
    TEXT("check-ca", check_ca, FIXED),
    TEXT("public-url", public_url, LIVE),
    TEXT("zone", zone, FIXED),
    TEXT("log-level", log_level, LIVE),
    NUMBER("workers", workers, FIXED, 1, 512),
    NUMBER("queue", queue, FIXED, 1, 100000),
    NUMBER("connections", connections, FIXED, 16, 200000),
    NUMBER("connections-each", connections_each, FIXED, 0, 200000),
    NUMBER("io-threads", io_threads, FIXED, 1, 64),
    NUMBER("body-kb", body_kb, LIVE, 16, 65536),
    NUMBER("upload-mb", upload_mb, LIVE, 1, 10240),
    NUMBER("deadline-s", deadline_s, LIVE, 1, 600),
    NUMBER("readers", readers, FIXED, 1, 64),
    NUMBER("writers", writers, FIXED, 1, 64),
};
enum { KEYS_COUNT = sizeof KEYS / sizeof *KEYS };

static int find_key(struct str name)
{
    for (int i = 0; i < KEYS_COUNT; i++)
        if (str_eq(name, str_from(KEYS[i].name)))
            return i;
    return -1;
}

static bool is_same(const struct key *key, const struct conf *one, const struct conf *other)
{
    const void *a = (const char *)one + key->offset, *b = (const char *)other + key->offset;
    if (key->is_number)
        return *(const int64_t *)a == *(const int64_t *)b;
    const char *text = *(const char *const *)a, *text_b = *(const char *const *)b;
    return text && text_b ? strcmp(text, text_b) == 0 : text == text_b;
}

void conf_compare(const struct conf *one, const struct conf *other,
                  void (*each)(void *arg, const char *name, bool live), void *arg)
{
    for (int i = 0; i < KEYS_COUNT; i++)
        if (!is_same(&KEYS[i], one, other))
            each(arg, KEYS[i].name, KEYS[i].live);
}

void conf_take_live(struct conf *to, const struct conf *from)
{
    for (int i = 0; i < KEYS_COUNT; i++)
        if (KEYS[i].live)
            memcpy((char *)to + KEYS[i].offset, (const char *)from + KEYS[i].offset,
                   KEYS[i].is_number ? sizeof(int64_t) : sizeof(const char *));
}

static enum err_code take_line(struct arena *arena, struct str line, struct conf *conf, bool *given,
                               struct err *err)
{
    struct str name, value = line;
    (void)str_cut(&value, '=', &name);
    if (!value.ptr)
        return err_set(err, ERR_INVALID, "conf.no_equals", ARG_STR("line", line), ARG_END);
    name = str_trim(name);
    value = str_trim(value);
    const int at = find_key(name);
    if (at < 0)
        return err_set(err, ERR_INVALID, "conf.unknown", ARG_STR("name", name), ARG_END);
    if (given[at])
        return err_set(err, ERR_INVALID, "conf.twice", ARG_STR("name", name), ARG_END);
    given[at] = true;
    const struct key *key = &KEYS[at];
    char *place = (char *)conf + key->offset;
    if (!key->is_number) {
        const struct str copy = arena_str(arena, value);
        if (!copy.ptr)
            return err_nomem(err);
        *(const char **)(void *)place = copy.ptr;
        return ERR_OK;
    }
    int64_t number;
    if (!str_i64(value, &number) || number < key->least || number > key->most)
        return err_set(err, ERR_INVALID, "conf.number", ARG_STR("name", name), ARG_INT("least", key->least),
                       ARG_INT("most", key->most), ARG_END);
    *(int64_t *)(void *)place = number;
    return ERR_OK;
}

static enum err_code check_whole(const struct conf *conf, struct err *err)
{
    static const char *const levels[] = { "debug", "info", "warn", "error" };
    if (!conf->tls_cert != !conf->tls_key)
        return err_set(err, ERR_INVALID, "conf.tls_pair", ARG_END);
    struct zone *zone = NULL;
    const enum err_code rc = zone_new(str_from(conf->zone), &zone, err);
    zone_free(zone);
    if (rc)
        return rc;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(conf->log_level, levels[i]) == 0)
            return ERR_OK;
    return err_set(err, ERR_INVALID, "conf.log_level", ARG_TEXT("text", conf->log_level), ARG_END);
}

enum err_code conf_read(struct arena *arena, struct str text, struct conf *out, struct findings *findings,
                        struct err *err)
{
    struct conf conf = CONF_DEFAULTS;
    bool given[KEYS_COUNT] = { 0 };
    enum err_code first = ERR_OK;
    struct str rest = text, line;
    struct err one;
    for (int number = 1; str_cut(&rest, '\n', &line); number++) {
        line = str_trim(line);
        if (!line.len || line.ptr[0] == '#' || !take_line(arena, line, &conf, given, &one))
            continue;
        (void)err_at(&one, number, 1);
        if (findings)
            findings_add(findings, &one);
        if (!first) {
            first = one.code;
            *err = one;
        }
    }
    if (!first && check_whole(&conf, &one)) {
        if (findings)
            findings_add(findings, &one);
        first = one.code;
        *err = one;
    }
    if (!first)
        *out = conf;
    return first;
}

enum err_code conf_load(struct arena *arena, const char *data_dir, struct conf *out,
                        struct findings *findings, struct err *err)
{
    char path[2048];
    struct buf text;
    (void)snprintf(path, sizeof path, "%.2000s/bihuan.conf", data_dir);
    buf_init(&text, (size_t)1 << 20);
    enum err_code rc = buf_read_file(&text, path, err);
    if (rc == ERR_NOT_FOUND) {
        *out = CONF_DEFAULTS;
        rc = ERR_OK;
    } else if (!rc) {
        rc = conf_read(arena, buf_get(&text), out, findings, err);
        if (rc)
            (void)err_in(err, "bihuan.conf");
    }
    buf_done(&text);
    return rc;
}
