/* subjects.c - see subjects.h.  One map from id to a heap entry that holds the three texts behind it. */
#include "subject/subjects.h"
#include "base/log.h"
#include "subject/subjects_sql.h"

#include <pthread.h>
#include <stdio.h>

struct entry {
    int64_t id, org;
    char *code, *name; /* behind type, in the same block */
    char type[];
};

/* Paths of organisations as last read: a few hundred, asked for with every alarm of a list. */
#define ORGS_MAX 4096
#define ORG_FRESH_MS 60000
struct org_entry {
    int64_t id, read_ms;
    char path[248];
};

struct subjects {
    struct store *store;
    struct entity *entity;
    const struct clock *clock;
    const struct entity_type *relation_type; /* NULL when no pack has it */
    struct graph *graph;
    pthread_rwlock_t lock; /* of the map */
    struct entry **slots;
    size_t size, count;
    enum err_code failed; /* while loading */
    pthread_mutex_t org_lock;
    struct org_entry *orgs; /* ORGS_MAX slots by id; a clash replaces */
    struct bus *bus;
    int64_t handle;
    subjects_states_fn states;
    void *states_ctx;
};

/* ---- the map ---- */

static struct entry **slot_of(struct entry **slots, size_t size, int64_t id)
{
    size_t at = (size_t)((uint64_t)id * 0x9e3779b97f4a7c15u >> 20) & (size - 1);
    while (slots[at] && slots[at]->id != id)
        at = (at + 1) & (size - 1);
    return &slots[at];
}

static bool grow(struct subjects *subjects)
{
    if (subjects->count * 2 < subjects->size)
        return true;
    const size_t size = subjects->size ? subjects->size * 2 : 1024;
    struct entry **slots = mem_alloc(size, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < subjects->size; i++)
        if (subjects->slots[i])
            *slot_of(slots, size, subjects->slots[i]->id) = subjects->slots[i];
    mem_free(subjects->slots);
    subjects->slots = slots;
    subjects->size = size;
    return true;
}

static struct entry *entry_new(const struct subject_info *info)
{
    const size_t type = strlen(info->type) + 1, code = strlen(info->code) + 1, name = strlen(info->name) + 1;
    struct entry *entry = mem_alloc(1, sizeof *entry + type + code + name);
    if (!entry)
        return NULL;
    entry->id = info->id;
    entry->org = info->org;
    entry->code = entry->type + type;
    entry->name = entry->code + code;
    memcpy(entry->type, info->type, type);
    memcpy(entry->code, info->code, code);
    memcpy(entry->name, info->name, name);
    return entry;
}

static enum err_code put(struct subjects *subjects, const struct subject_info *info, struct err *err)
{
    struct entry *entry = entry_new(info);
    enum err_code rc = entry ? ERR_OK : err_nomem(err);
    (void)pthread_rwlock_wrlock(&subjects->lock);
    if (!rc && subjects->count >= SUBJECTS_MAX)
        rc = err_set(err, ERR_LIMIT, "subject.subjects_max", ARG_INT("max", SUBJECTS_MAX), ARG_END);
    else if (!rc && !grow(subjects))
        rc = err_nomem(err);
    if (!rc) {
        struct entry **slot = slot_of(subjects->slots, subjects->size, info->id);
        subjects->count += !*slot;
        mem_free(*slot);
        *slot = entry;
        entry = NULL;
    }
    (void)pthread_rwlock_unlock(&subjects->lock);
    mem_free(entry);
    return rc;
}

static void take_out(struct subjects *subjects, int64_t id)
{
    (void)pthread_rwlock_wrlock(&subjects->lock);
    struct entry **slot = subjects->size ? slot_of(subjects->slots, subjects->size, id) : NULL;
    if (slot && *slot) {
        mem_free(*slot);
        *slot = NULL;
        subjects->count--;
        for (size_t at = ((size_t)(slot - subjects->slots) + 1) & (subjects->size - 1); subjects->slots[at];
             at = (at + 1) & (subjects->size - 1)) {
            struct entry *moved = subjects->slots[at];
            subjects->slots[at] = NULL;
            *slot_of(subjects->slots, subjects->size, moved->id) = moved;
        }
    }
    (void)pthread_rwlock_unlock(&subjects->lock);
}

bool subjects_get(struct subjects *subjects, int64_t id, struct subject_info *out)
{
    (void)pthread_rwlock_rdlock(&subjects->lock);
    const struct entry *entry = subjects->size ? *slot_of(subjects->slots, subjects->size, id) : NULL;
    if (entry) {
        out->id = id;
        out->org = entry->org;
        (void)snprintf(out->type, sizeof out->type, "%s", entry->type);
        (void)snprintf(out->code, sizeof out->code, "%s", entry->code);
        (void)snprintf(out->name, sizeof out->name, "%s", entry->name);
    }
    (void)pthread_rwlock_unlock(&subjects->lock);
    return entry != NULL;
}

void subjects_name(struct subjects *subjects, int64_t id, char *out, size_t size)
{
    struct subject_info info;
    (void)snprintf(out, size, "%s", id && subjects_get(subjects, id, &info) ? info.name : "");
}

void subjects_states_set(struct subjects *subjects, subjects_states_fn fn, void *ctx)
{
    subjects->states = fn;
    subjects->states_ctx = ctx;
}

bool subjects_states_known(const struct subjects *subjects)
{
    return subjects->states != NULL;
}

enum err_code subjects_states(struct subjects *subjects, struct arena *arena, struct subject_state *items,
                              int count, struct err *err)
{
    return subjects->states ? subjects->states(subjects->states_ctx, arena, items, count, err) : ERR_OK;
}

size_t subjects_count(struct subjects *subjects)
{
    (void)pthread_rwlock_rdlock(&subjects->lock);
    const size_t count = subjects->count;
    (void)pthread_rwlock_unlock(&subjects->lock);
    return count;
}

struct graph *subjects_graph(struct subjects *subjects)
{
    return subjects->graph;
}

int64_t subjects_now(struct subjects *subjects)
{
    return clock_now(subjects->clock);
}

static bool is_same(void *arg, int64_t subject)
{
    return *(const int64_t *)arg == subject;
}

bool subjects_stands_on(struct subjects *subjects, int64_t subject, int64_t base, int64_t at_ms)
{
    return graph_parent_down(subjects->graph, subject, at_ms, is_same, &base) == base;
}

struct path_read {
    int64_t org;
    char path[248];
};

static enum err_code path_fn(struct tx *tx, void *arg, struct err *err)
{
    struct path_read *read = arg;
    return org_path(tx, read->org, read->path, sizeof read->path, err);
}

struct str subjects_org_path(struct subjects *subjects, int64_t org, struct arena *arena)
{
    struct path_read read = { .org = org };
    struct org_entry *entry = &subjects->orgs[(size_t)((uint64_t)org * 0x9e3779b97f4a7c15u >> 40) % ORGS_MAX];
    const int64_t now = clock_mono(&CLOCK_SYSTEM);
    if (!org)
        return STR("");
    (void)pthread_mutex_lock(&subjects->org_lock);
    const bool fresh = entry->id == org && now - entry->read_ms < ORG_FRESH_MS;
    if (entry->id == org)
        memcpy(read.path, entry->path, sizeof read.path);
    (void)pthread_mutex_unlock(&subjects->org_lock);
    struct err err = { 0 };
    if (!fresh && !store_read(subjects->store, path_fn, &read, &err)) { /* away: the old one serves on */
        (void)pthread_mutex_lock(&subjects->org_lock);
        entry->id = org;
        entry->read_ms = now;
        memcpy(entry->path, read.path, sizeof entry->path);
        (void)pthread_mutex_unlock(&subjects->org_lock);
    }
    const struct str path = arena_str(arena, str_from(read.path));
    return path.ptr ? path : STR("");
}

struct seeing {
    struct entity_call call;
    const int64_t *ids;
    int count;
    bool *out;
};

static enum err_code seen_fn(struct tx *tx, void *arg, struct err *err)
{
    const struct seeing *seeing = arg;
    return subject_seen(&seeing->call, tx, seeing->ids, seeing->count, seeing->out, err);
}

enum err_code subjects_seen(struct subjects *subjects, const struct principal *who, struct arena *arena,
                            const int64_t *ids, int count, bool *out, struct err *err)
{
    struct seeing seeing = { .call = { .entity = subjects->entity, .who = who, .arena = arena },
                             .ids = ids,
                             .count = count,
                             .out = out };
    return store_read(subjects->store, seen_fn, &seeing, err);
}

/* ---- loading ---- */

static void load_one(void *arg, const struct subject_info *info)
{
    struct subjects *subjects = arg;
    struct err err = { 0 };
    if (!subjects->failed)
        subjects->failed = put(subjects, info, &err);
}

static enum err_code put_relation(void *arg, int64_t id, const json_t *record, struct err *err)
{
    struct subjects *subjects = arg;
    struct relation relation = { .id = id, .from = record_id(record, "from"), .to = record_id(record, "to") };
    if (!relation_from_name(record_str(record, "kind"), &relation.kind))
        return ERR_OK; /* a kind of a newer pack: it is shown in lists, not walked */
    relation.valid_from_ms = record_instant(record, "valid_from"); /* INT64_MIN when open */
    relation.valid_to_ms = record_instant(record, "valid_to");
    if (relation.valid_to_ms == INT64_MIN)
        relation.valid_to_ms = INT64_MAX;
    return graph_put(subjects->graph, &relation, err);
}

static enum err_code load_fn(struct tx *tx, void *arg, struct err *err)
{
    struct subjects *subjects = arg;
    enum err_code rc = subject_rows(tx, load_one, subjects, err);
    if (!rc && subjects->failed)
        rc = err_set(err, subjects->failed, "subject.subjects_max", ARG_INT("max", SUBJECTS_MAX), ARG_END);
    if (rc || !subjects->relation_type)
        return rc;
    const struct entity_call call = { .entity = subjects->entity, .arena = tx_arena(tx) };
    return entity_each(&call, tx, subjects->relation_type, STR(""), put_relation, subjects, err);
}

enum err_code subjects_open(struct store *store, struct entity *entity, const struct clock *clock,
                            struct subjects **out, struct err *err)
{
    struct subjects *subjects = mem_alloc(1, sizeof *subjects);
    if (!subjects)
        return err_nomem(err);
    subjects->store = store;
    subjects->entity = entity;
    subjects->clock = clock;
    subjects->graph = graph_new();
    subjects->relation_type = entity ? entity_type_find(entity, "core.relation") : NULL;
    (void)pthread_rwlock_init(&subjects->lock, NULL);
    (void)pthread_mutex_init(&subjects->org_lock, NULL);
    subjects->orgs = mem_alloc(ORGS_MAX, sizeof *subjects->orgs);
    const enum err_code rc =
        subjects->graph && subjects->orgs ? store_read(store, load_fn, subjects, err) : err_nomem(err);
    if (rc) {
        subjects_close(subjects);
        return err_in(err, "subjects.open");
    }
    *out = subjects;
    return ERR_OK;
}

void subjects_close(struct subjects *subjects)
{
    if (!subjects)
        return;
    if (subjects->bus)
        bus_unsubscribe(subjects->bus, subjects->handle);
    for (size_t i = 0; i < subjects->size; i++)
        mem_free(subjects->slots[i]);
    mem_free(subjects->slots);
    mem_free(subjects->orgs);
    graph_free(subjects->graph);
    (void)pthread_mutex_destroy(&subjects->org_lock);
    (void)pthread_rwlock_destroy(&subjects->lock);
    mem_free(subjects);
}

/* ---- increments ---- */

struct news {
    struct subjects *subjects;
    int64_t id;
    struct subject_info info;
    bool relation;
};

static enum err_code read_news(struct tx *tx, void *arg, struct err *err)
{
    struct news *news = arg;
    if (!news->relation)
        return subject_row(tx, news->id, &news->info, err);
    json_t *record = NULL;
    const struct entity_call call = { .entity = news->subjects->entity, .arena = tx_arena(tx) };
    enum err_code rc = entity_get(&call, tx, news->subjects->relation_type, news->id, &record, err);
    if (!rc)
        rc = put_relation(news->subjects, news->id, record, err);
    json_decref(record);
    return rc;
}

static void on_news(void *arg, const struct bus_event *event)
{
    struct subjects *subjects = arg;
    json_t *json = json_loadb(event->json.ptr, event->json.len, 0, NULL);
    const char *full = json_string_value(json_object_get(json, "type"));
    const struct entity_type *type = full ? entity_type_find(subjects->entity, full) : NULL;
    struct news news = { .subjects = subjects,
                         .id = record_id(json, "id"),
                         .relation = type && type == subjects->relation_type };
    json_decref(json);
    if (!type || (!news.relation && type->kind != TYPE_SUBJECT))
        return;
    struct err err = { 0 };
    const enum err_code rc = store_read(subjects->store, read_news, &news, &err);
    if (rc == ERR_NOT_FOUND && news.relation)
        graph_remove(subjects->graph, news.id);
    else if (rc == ERR_NOT_FOUND)
        take_out(subjects, news.id);
    else if (rc || (!news.relation && put(subjects, &news.info, &err)))
        log_err(&err, "subject.news", "subject %lld is shown as it was", (long long)news.id);
}

enum err_code subjects_follow(struct subjects *subjects, struct bus *bus, struct err *err)
{
    const enum err_code rc = bus_subscribe(bus, "record.*", on_news, subjects, &subjects->handle, err);
    if (!rc)
        subjects->bus = bus;
    return rc;
}
