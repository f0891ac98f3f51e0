/* checks.c - see checks.h */
#include "observe/probe/checks.h"
#include "base/cond.h"
#include "base/json.h"
#include "base/log.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#define CHECKS_MAX 200000
#define TAKE_MAX 5000 /* results of one call */

struct place { /* one node at one check */
    int64_t node;
    bool seen;
    struct collect_result last; /* the newest by instant */
    int64_t since_ms;           /* it has been up, or down, since */
    int64_t series[COLLECT_METRIC__COUNT];
};

struct entry {
    struct entry *next; /* in its bucket */
    struct check_info info;
    char *name;
    json_t *spec;
    int64_t version; /* of the record */
    int64_t nodes[CHECK_NODES_MAX];
    struct place *places;
    size_t place_count;
};

struct checks {
    pthread_mutex_t lock;
    pthread_cond_t changed_cond;
    struct checks_config config;
    struct entry **table;
    size_t table_size;
    int count;
    int64_t version;
    bool waking, turned;
};

/* ---- records -> specifications ---- */

static bool given(const json_t *record, const char *field)
{
    const json_t *value = json_object_get(record, field);
    return value && !json_is_null(value) && !(json_is_string(value) && json_string_length(value) == 0) &&
           !(json_is_object(value) && json_object_size(value) == 0) &&
           !(json_is_array(value) && json_array_size(value) == 0);
}

/* Copies a field under another name when the record has it. */
static int copy(json_t *to, const char *name, const json_t *record, const char *field)
{
    return given(record, field) ? json_object_set(to, name, json_object_get(record, field)) : 0;
}

struct field_map {
    const char *spec, *record;
};

static int copy_all(json_t *to, const json_t *record, const struct field_map *map)
{
    int failed = 0;
    for (; map->spec; map++)
        failed |= copy(to, map->spec, record, map->record);
    return failed;
}

/* Where collect's pointer stands in the record. */
static enum err_code map_pointer(struct err *err)
{
    static const struct field_map map[] = {
        { "/expect/status", "/expect_status" },
        { "/expect/body_regex", "/expect_regex" },
        { "/expect/body_not", "/expect_body_not" },
        { "/expect/body", "/expect_body" },
        { "/expect/headers", "/expect_headers" },
        { "/name", "/query_name" },
        { "/type", "/query_type" },
        { "/rcode", "/query_rcode" },
        { "/server", "/host" },
        { NULL, NULL },
    };
    for (const struct field_map *at = map; at->spec; at++)
        if (strcmp(err->at.pointer, at->spec) == 0)
            return err_pointer(err, str_from(at->record));
    return err->code;
}

enum err_code check_spec(const json_t *record, json_t **out_spec, struct err *err)
{
    static const struct field_map common[] = { { "kind", "kind" },           { "interval_s", "interval_s" },
                                               { "timeout_s", "timeout_s" }, { "family", "family" },
                                               { "verify", "verify" },       { NULL, NULL } };
    static const struct field_map http[] = {
        { "url", "url" },   { "method", "method" },       { "headers", "headers" },
        { "body", "body" }, { "redirects", "redirects" }, { NULL, NULL }
    };
    static const struct field_map expect[] = {
        { "status", "expect_status" },    { "body", "expect_body" },       { "body_not", "expect_body_not" },
        { "body_regex", "expect_regex" }, { "headers", "expect_headers" }, { NULL, NULL }
    };
    static const struct field_map own[COLLECT_KIND__COUNT][8] = {
        [COLLECT_TCP] = { { "host", "host" },
                          { "port", "port" },
                          { "tls", "tls" },
                          { "send", "send" },
                          { "expect", "expect" },
                          { NULL, NULL } },
        [COLLECT_ICMP] = { { "host", "host" },
                           { "packets", "packets" },
                           { "gap_ms", "gap_ms" },
                           { "loss_max", "loss_max" },
                           { NULL, NULL } },
        [COLLECT_DNS] = { { "server", "host" },
                          { "port", "port" },
                          { "name", "query_name" },
                          { "type", "query_type" },
                          { "answer", "query_answer" },
                          { "rcode", "query_rcode" },
                          { NULL, NULL } },
    };
    const char *kind = json_string_value(json_object_get(record, "kind"));
    json_t *spec = json_object();
    int failed = !spec || copy_all(spec, record, common), which = COLLECT_KIND__COUNT;
    for (int i = 0; kind && i < COLLECT_KIND__COUNT; i++)
        if (strcmp(kind, COLLECT_KIND_NAMES[i]) == 0)
            which = i;
    if (!failed && which == COLLECT_HTTP && given(record, "steps")) {
        failed |= copy(spec, "steps", record, "steps");
    } else if (!failed && which == COLLECT_HTTP) {
        json_t *wanted = json_object();
        failed |= copy_all(spec, record, http) || !wanted || copy_all(wanted, record, expect);
        failed |= json_object_set_new(spec, "expect", wanted);
    } else if (!failed && which < COLLECT_KIND__COUNT) {
        failed |= copy_all(spec, record, own[which]);
    }
    enum err_code rc = failed ? err_nomem(err) : collect_validate(spec, err);
    if (rc == ERR_INVALID)
        rc = map_pointer(err);
    if (rc) {
        json_decref(spec);
        return rc;
    }
    *out_spec = spec;
    return ERR_OK;
}

/* ---- the set ---- */

enum err_code checks_new(const struct checks_config *config, struct checks **out, struct err *err)
{
    struct checks *checks = mem_alloc(1, sizeof *checks);
    if (!checks)
        return err_nomem(err);
    checks->config = *config;
    checks->table_size = 16384;
    checks->table = mem_alloc(checks->table_size, sizeof(struct entry *));
    checks->version = clock_now(config->clock); /* greater than that of the process before */
    (void)pthread_mutex_init(&checks->lock, NULL);
    cond_init(&checks->changed_cond);
    if (!checks->table) {
        checks_free(checks);
        return err_nomem(err);
    }
    *out = checks;
    return ERR_OK;
}

static void entry_free(struct entry *entry)
{
    if (!entry)
        return;
    json_decref(entry->spec);
    mem_free(entry->name);
    mem_free(entry->places);
    mem_free(entry);
}

void checks_free(struct checks *checks)
{
    if (!checks)
        return;
    for (size_t i = 0; checks->table && i < checks->table_size; i++)
        for (struct entry *entry = checks->table[i], *next; entry; entry = next) {
            next = entry->next;
            entry_free(entry);
        }
    mem_free(checks->table);
    (void)pthread_mutex_destroy(&checks->lock);
    (void)pthread_cond_destroy(&checks->changed_cond);
    mem_free(checks);
}

void checks_collect_set(struct checks *checks, struct collect *collect)
{
    (void)pthread_mutex_lock(&checks->lock);
    checks->config.collect = collect;
    (void)pthread_mutex_unlock(&checks->lock);
}

static struct entry **entry_link(struct checks *checks, int64_t id)
{
    const uint64_t hash = (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15);
    struct entry **link = &checks->table[(hash >> 20) & (checks->table_size - 1)];
    while (*link && (*link)->info.id != id)
        link = &(*link)->next;
    return link;
}

static enum err_code read_nodes(const json_t *record, struct entry *entry, struct err *err)
{
    const json_t *list = json_object_get(record, "nodes");
    const size_t count = json_is_array(list) ? json_array_size(list) : 0;
    for (size_t i = 0; i < count && i < CHECK_NODES_MAX; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        int64_t node = CHECK_LOCAL;
        if (!text || (strcmp(text, "local") != 0 && (!str_i64(str_from(text), &node) || node <= 0))) {
            (void)err_set(err, ERR_INVALID, "probe.node", ARG_TEXT("node", text ? text : ""), ARG_END);
            return err_pointer(err, STR("/nodes"));
        }
        entry->nodes[entry->info.nodes++] = node == CHECK_LOCAL_ROW ? CHECK_LOCAL : node;
    }
    if (count == 0)
        entry->nodes[entry->info.nodes++] = CHECK_LOCAL;
    return ERR_OK;
}

static bool runs_at(const struct entry *entry, int64_t node)
{
    for (int i = 0; i < entry->info.nodes; i++)
        if (entry->nodes[i] == node)
            return true;
    return false;
}

static enum err_code entry_read(int64_t id, const json_t *record, struct entry **out, struct err *err)
{
    struct entry *entry = mem_alloc(1, sizeof *entry);
    if (!entry)
        return err_nomem(err);
    enum err_code rc = check_spec(record, &entry->spec, err);
    if (!rc)
        rc = read_nodes(record, entry, err);
    if (!rc) {
        const char *name = json_string_value(json_object_get(record, "name"));
        const json_t *interval = json_object_get(record, "interval_s");
        const char *kind = json_string_value(json_object_get(record, "kind"));
        entry->name = mem_copy(name ? name : "", name ? strlen(name) : 0);
        entry->version = json_integer_value(json_object_get(record, "version"));
        for (int i = 0; i < COLLECT_KIND__COUNT; i++)
            if (kind && strcmp(kind, COLLECT_KIND_NAMES[i]) == 0)
                entry->info.kind = (enum collect_kind)i;
        entry->info.id = id;
        entry->info.subject = json_get_id(record, "subject");
        entry->info.service = json_get_id(record, "service");
        entry->info.org = json_get_id(record, "org");
        entry->info.interval_ms =
            json_is_number(interval) ? (int64_t)(json_number_value(interval) * 1000) : 60000;
        entry->info.name = str_from(entry->name);
        if (!entry->name)
            rc = err_nomem(err);
    }
    if (rc) {
        entry_free(entry);
        return rc;
    }
    *out = entry;
    return ERR_OK;
}

enum err_code check_validate(const json_t *record, struct err *err)
{
    struct entry *entry;
    const enum err_code rc = entry_read(0, record, &entry, err);
    if (!rc)
        entry_free(entry);
    return rc;
}

static void publish(struct checks *checks)
{
    checks->version++;
    (void)pthread_cond_broadcast(&checks->changed_cond);
}

enum err_code checks_set(struct checks *checks, int64_t id, const json_t *record, struct err *err)
{
    struct entry *entry = NULL;
    if (json_is_false(json_object_get(record, "enabled"))) {
        checks_remove(checks, id);
        return ERR_OK;
    }
    enum err_code rc = entry_read(id, record, &entry, err);
    if (rc)
        return err_in(err, "checks.set");
    (void)pthread_mutex_lock(&checks->lock);
    struct entry **link = entry_link(checks, id), *old = *link;
    if (!old && checks->count == CHECKS_MAX) {
        (void)pthread_mutex_unlock(&checks->lock);
        entry_free(entry);
        return err_set(err, ERR_LIMIT, "series.limit", ARG_INT("max", CHECKS_MAX), ARG_END);
    }
    if (old) { /* what is known of the nodes that stay is kept */
        entry->places = old->places;
        entry->place_count = old->place_count;
        old->places = NULL;
        for (size_t i = 0; i < entry->place_count;)
            if (runs_at(entry, entry->places[i].node))
                i++;
            else
                entry->places[i] = entry->places[--entry->place_count];
        entry->next = old->next;
    } else {
        checks->count++;
    }
    *link = entry;
    struct collect *collect = checks->config.collect;
    if (collect && runs_at(entry, CHECK_LOCAL))
        rc = collect_set(collect, id, (int32_t)entry->version, entry->spec, err);
    else if (collect && old && runs_at(old, CHECK_LOCAL))
        rc = collect_remove(collect, id, err);
    publish(checks);
    if (checks->config.changed)
        checks->config.changed(checks->config.ctx, id, &entry->info, false);
    (void)pthread_mutex_unlock(&checks->lock);
    entry_free(old);
    return rc;
}

void checks_remove(struct checks *checks, int64_t id)
{
    (void)pthread_mutex_lock(&checks->lock);
    struct entry **link = entry_link(checks, id), *entry = *link;
    if (entry) {
        struct err err;
        *link = entry->next;
        checks->count--;
        if (checks->config.collect && runs_at(entry, CHECK_LOCAL) &&
            collect_remove(checks->config.collect, id, &err))
            log_err(&err, "checks.remove", "check %lld goes on until the next start", (long long)id);
        publish(checks);
        if (checks->config.changed)
            checks->config.changed(checks->config.ctx, id, &entry->info, true);
    }
    (void)pthread_mutex_unlock(&checks->lock);
    entry_free(entry);
}

/* ---- results ---- */

static struct place *place_of(struct entry *entry, int64_t node)
{
    for (size_t i = 0; i < entry->place_count; i++)
        if (entry->places[i].node == node)
            return &entry->places[i];
    struct place *grown = mem_realloc(entry->places, (entry->place_count + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    entry->places = grown;
    struct place *place = &grown[entry->place_count++];
    memset(place, 0, sizeof *place);
    place->node = node;
    return place;
}

/* Our own fault says nothing about the target. */
static bool no_data(const struct collect_result *result)
{
    return result->cause == CAUSE_LOCAL || result->cause == CAUSE_OVERRUN ||
           result->cause == CAUSE_PERMISSION;
}

struct intake {
    struct series_sample *samples;
    size_t count;
    /* of those whose series has no id yet: which sample, and the texts of its labels */
    struct series_labels *sets;
    struct series_label *labels;
    char (*texts)[2][24];
    size_t *which;
    size_t fresh;
};

/* The samples of results; ids that are known are filled in.  Results of a check that is gone, or that the
 * node does not run, have none. */
static void collect_samples(struct checks *checks, int64_t node, const struct collect_result *results,
                            size_t count, struct intake *intake)
{
    (void)pthread_mutex_lock(&checks->lock);
    for (size_t i = 0; i < count; i++) {
        const struct collect_result *result = &results[i];
        struct entry *entry = *entry_link(checks, result->check_id);
        const struct place *place = entry && runs_at(entry, node) ? place_of(entry, node) : NULL;
        for (int metric = 0; place && metric < COLLECT_METRIC__COUNT; metric++) {
            if (!(result->present >> metric & 1))
                continue;
            struct series_sample *sample = &intake->samples[intake->count];
            *sample = (struct series_sample) { .id = place->series[metric],
                                               .at_ms = result->at_ms,
                                               .kind = SERIES_I64,
                                               .step = (uint32_t)i,
                                               .i64 = result->values[metric] };
            if (metric == COLLECT_UP && no_data(result))
                sample->status = SERIES_NO_DATA;
            if (!sample->id) {
                const size_t at = intake->fresh++;
                struct series_label *labels = &intake->labels[at * 3];
                (void)snprintf(intake->texts[at][0], 24, "%lld", (long long)result->check_id);
                (void)snprintf(intake->texts[at][1], 24, "%lld", (long long)node);
                labels[0] = (struct series_label) { STR("check"), str_from(intake->texts[at][0]) };
                labels[1] = (struct series_label) { STR("metric"), str_from(COLLECT_METRIC_NAMES[metric]) };
                labels[2] = (struct series_label) { STR("node"),
                                                    node ? str_from(intake->texts[at][1]) : STR("local") };
                intake->sets[at] = (struct series_labels) { labels, 3 };
                intake->which[at] = intake->count;
            }
            intake->count++;
        }
    }
    (void)pthread_mutex_unlock(&checks->lock);
}

static int metric_of(struct str name)
{
    for (int i = 0; i < COLLECT_METRIC__COUNT; i++)
        if (str_eq(name, str_from(COLLECT_METRIC_NAMES[i])))
            return i;
    return -1;
}

static enum err_code name_samples(struct checks *checks, int64_t node, const struct collect_result *results,
                                  struct intake *intake, struct err *err)
{
    if (!intake->fresh)
        return ERR_OK;
    int64_t *ids = mem_alloc(intake->fresh, sizeof *ids);
    if (!ids)
        return err_nomem(err);
    const enum err_code rc = series_ids(checks->config.series, intake->sets, intake->fresh, ids, err);
    (void)pthread_mutex_lock(&checks->lock);
    for (size_t i = 0; !rc && i < intake->fresh; i++) {
        struct series_sample *sample = &intake->samples[intake->which[i]];
        struct entry *entry = *entry_link(checks, results[sample->step].check_id);
        struct place *place = entry && runs_at(entry, node) ? place_of(entry, node) : NULL;
        sample->id = ids[i];
        if (place)
            place->series[metric_of(intake->labels[i * 3 + 1].value)] = ids[i];
    }
    (void)pthread_mutex_unlock(&checks->lock);
    mem_free(ids);
    return rc;
}

static enum err_code store_results(struct checks *checks, const struct series_sender *sender,
                                   const struct collect_result *results, size_t count, struct err *err)
{
    const size_t room = count * COLLECT_METRIC__COUNT;
    struct intake intake = {
        .samples = mem_alloc(room, sizeof *intake.samples),
        .sets = mem_alloc(room, sizeof *intake.sets),
        .labels = mem_alloc(room * 3, sizeof *intake.labels),
        .texts = mem_alloc(room, sizeof *intake.texts),
        .which = mem_alloc(room, sizeof *intake.which),
    };
    enum err_code rc = intake.samples && intake.sets && intake.labels && intake.texts && intake.which
                           ? ERR_OK
                           : err_nomem(err);
    if (!rc) {
        collect_samples(checks, sender->node, results, count, &intake);
        rc = name_samples(checks, sender->node, results, &intake, err);
    }
    if (!rc) {
        const struct series_batch batch = { *sender, intake.samples, intake.count, count };
        rc = series_append(checks->config.series, &batch, NULL, err);
    }
    mem_free(intake.samples);
    mem_free(intake.sets);
    mem_free(intake.labels);
    mem_free(intake.texts);
    mem_free(intake.which);
    return rc;
}

struct turns {
    struct check_turn items[CHECK_TURNS_MAX];
    int count;
    bool more;
};

static void note_turn(struct turns *turns, const struct entry *entry, int64_t node,
                      const struct collect_result *result)
{
    if (turns->count == CHECK_TURNS_MAX) {
        turns->more = true;
        return;
    }
    const bool up = result->cause == CAUSE_NONE;
    turns->items[turns->count++] =
        (struct check_turn) { .id = result->check_id,
                              .node = node,
                              .org = entry->info.org,
                              .subject = entry->info.subject,
                              .at_ms = result->at_ms,
                              .state = up                ? CHECK_UP
                                       : no_data(result) ? CHECK_NO_DATA
                                                         : CHECK_DOWN,
                              .cause = up ? "" : COLLECT_CAUSE_NAMES[result->cause] };
}

static void update_states(struct checks *checks, int64_t node, const struct collect_result *results,
                          size_t count, struct turns *turns)
{
    (void)pthread_mutex_lock(&checks->lock);
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = *entry_link(checks, results[i].check_id);
        struct place *place = entry && runs_at(entry, node) ? place_of(entry, node) : NULL;
        if (!place || (place->seen && results[i].at_ms <= place->last.at_ms))
            continue;
        if (!place->seen || (place->last.cause == CAUSE_NONE) != (results[i].cause == CAUSE_NONE))
            place->since_ms = results[i].at_ms;
        if (!place->seen || place->last.cause != results[i].cause) {
            checks->turned = true;
            note_turn(turns, entry, node, &results[i]);
        }
        place->seen = true;
        place->last = results[i];
    }
    (void)pthread_mutex_unlock(&checks->lock);
}

bool checks_places(struct checks *checks,
                   bool (*each)(void *arg, int64_t node, int64_t since_ms, const struct collect_result *last),
                   void *arg)
{
    bool more = true;
    (void)pthread_mutex_lock(&checks->lock);
    for (size_t i = 0; more && i < checks->table_size; i++)
        for (const struct entry *entry = checks->table[i]; entry && more; entry = entry->next)
            for (size_t p = 0; more && p < entry->place_count; p++)
                if (entry->places[p].seen)
                    more =
                        each(arg, entry->places[p].node, entry->places[p].since_ms, &entry->places[p].last);
    (void)pthread_mutex_unlock(&checks->lock);
    return more;
}

void checks_restore(struct checks *checks, int64_t node, int64_t since_ms, const struct collect_result *last)
{
    (void)pthread_mutex_lock(&checks->lock);
    struct entry *entry = *entry_link(checks, last->check_id);
    struct place *place = entry && runs_at(entry, node) ? place_of(entry, node) : NULL;
    if (place && !place->seen) {
        place->seen = true;
        place->since_ms = since_ms;
        place->last = *last;
    } else if (place && (place->last.cause == CAUSE_NONE) == (last->cause == CAUSE_NONE)) {
        place->since_ms = since_ms;
    }
    (void)pthread_mutex_unlock(&checks->lock);
}

bool checks_turned(struct checks *checks)
{
    (void)pthread_mutex_lock(&checks->lock);
    const bool turned = checks->turned;
    checks->turned = false;
    (void)pthread_mutex_unlock(&checks->lock);
    return turned;
}

static void tell_turns(const struct checks *checks, const struct turns *turns)
{
    const struct check_turn many = { .cause = "" };
    if (!checks->config.turned)
        return;
    for (int i = 0; i < turns->count; i++)
        checks->config.turned(checks->config.turned_ctx, &turns->items[i]);
    if (turns->more)
        checks->config.turned(checks->config.turned_ctx, &many);
}

enum err_code checks_take(struct checks *checks, const struct series_sender *sender,
                          const struct collect_result *results, size_t count, uint64_t *out_acknowledged,
                          uint64_t *out_missing, struct err *err)
{
    if (count > TAKE_MAX)
        return err_set(err, ERR_LIMIT, "series.limit", ARG_INT("max", TAKE_MAX), ARG_END);
    uint64_t before = 0;
    const bool known = sender->node != CHECK_LOCAL &&
                       series_acknowledged(checks->config.series, sender->node, sender->epoch, &before);
    enum err_code rc = count ? store_results(checks, sender, results, count, err) : ERR_OK;
    /* what came before must not be told twice; what could not be stored is told all the same */
    size_t from = 0;
    if (known && before >= sender->sequence)
        from = before - sender->sequence + 1 < count ? (size_t)(before - sender->sequence + 1) : count;
    if (rc != ERR_CONFLICT && from < count) {
        struct turns turns = { .count = 0 };
        update_states(checks, sender->node, results + from, count - from, &turns);
        tell_turns(checks, &turns);
        if (checks->config.feed)
            checks->config.feed(checks->config.ctx, sender->node, results + from, count - from);
    }
    if (rc)
        return err_in(err, "checks.take");
    uint64_t acknowledged = sender->sequence + count - 1;
    if (known && before > acknowledged)
        acknowledged = before;
    *out_acknowledged = count ? acknowledged : before;
    *out_missing = known && count && sender->sequence > before + 1 ? sender->sequence - before - 1 : 0;
    return ERR_OK;
}

void checks_sink(void *ctx, const struct collect_result *results, size_t count)
{
    static const struct series_sender nobody = { CHECK_LOCAL, 0, 1 };
    struct checks *checks = ctx;
    while (count) {
        const size_t part = count < TAKE_MAX ? count : TAKE_MAX;
        uint64_t acknowledged, missing;
        struct err err = { 0 };
        if (checks_take(checks, &nobody, results, part, &acknowledged, &missing, &err))
            log_err(&err, "checks.store", "%zu results are not kept", part);
        results += part;
        count -= part;
    }
}

/* ---- what nodes and people ask ---- */

void checks_wake(struct checks *checks)
{
    (void)pthread_mutex_lock(&checks->lock);
    checks->waking = true;
    (void)pthread_cond_broadcast(&checks->changed_cond);
    (void)pthread_mutex_unlock(&checks->lock);
}

enum err_code checks_of_node(struct checks *checks, int64_t node, int64_t known, int wait_ms, json_t **out,
                             struct err *err)
{
    const int64_t until_ms = clock_mono(&CLOCK_SYSTEM) + wait_ms;
    (void)pthread_mutex_lock(&checks->lock);
    while (checks->version == known && !checks->waking &&
           cond_wait_until(&checks->changed_cond, &checks->lock, until_ms))
        ;
    *out = NULL;
    int failed = 0;
    if (checks->version != known) {
        json_t *list = json_array();
        for (size_t i = 0; list && i < checks->table_size; i++)
            for (const struct entry *entry = checks->table[i]; entry; entry = entry->next)
                if (runs_at(entry, node))
                    failed |= json_array_append_new(
                        list, json_pack("{s:o, s:I, s:O}", "id", json_id(entry->info.id), "version",
                                        (json_int_t)entry->version, "spec", entry->spec));
        *out = list ? json_pack("{s:I, s:o}", "version", (json_int_t)checks->version, "checks", list) : NULL;
        failed |= !*out;
    }
    (void)pthread_mutex_unlock(&checks->lock);
    if (failed) {
        json_decref(*out);
        return err_nomem(err);
    }
    return ERR_OK;
}

static json_t *place_json(const struct place *place)
{
    json_t *values = json_object(), *series = json_object();
    int failed = !values || !series;
    for (int i = 0; !failed && i < COLLECT_METRIC__COUNT; i++) {
        if (place->seen && place->last.present >> i & 1)
            failed |=
                json_object_set_new(values, COLLECT_METRIC_NAMES[i], json_integer(place->last.values[i]));
        if (place->series[i])
            failed |= json_object_set_new(series, COLLECT_METRIC_NAMES[i], json_id(place->series[i]));
    }
    json_t *node = place->node ? json_id(place->node) : json_string("local");
    if (failed || !node) {
        json_decref(values);
        json_decref(series);
        json_decref(node);
        return NULL;
    }
    if (!place->seen)
        return json_pack("{s:o, s:n, s:n, s:o, s:o}", "node", node, "at", "up", "values", values, "series",
                         series);
    return json_pack("{s:o, s:o, s:o, s:b, s:s, s:s, s:s, s:i, s:o, s:o}", "node", node, "at",
                     json_instant(place->last.at_ms), "since", json_instant(place->since_ms), "up",
                     place->last.cause == CAUSE_NONE, "cause", COLLECT_CAUSE_NAMES[place->last.cause],
                     "detail", place->last.detail, "certificate", place->last.subject, "step",
                     place->last.step, "values", values, "series", series);
}

enum err_code checks_state(struct checks *checks, int64_t id, json_t **out, struct err *err)
{
    (void)pthread_mutex_lock(&checks->lock);
    const struct entry *entry = *entry_link(checks, id);
    json_t *nodes = entry ? json_array() : NULL;
    int failed = entry && !nodes;
    for (int i = 0; entry && !failed && i < entry->info.nodes; i++) {
        struct place none = { .node = entry->nodes[i] };
        const struct place *place = &none;
        for (size_t k = 0; k < entry->place_count; k++)
            if (entry->places[k].node == entry->nodes[i])
                place = &entry->places[k];
        failed |= json_array_append_new(nodes, place_json(place));
    }
    json_t *answer = entry && !failed ? json_pack("{s:o, s:o}", "id", json_id(id), "nodes", nodes) : NULL;
    (void)pthread_mutex_unlock(&checks->lock);
    if (!entry)
        return err_set(err, ERR_NOT_FOUND, "probe.no_check", ARG_END);
    if (!answer)
        return err_nomem(err);
    *out = answer;
    return ERR_OK;
}

static json_t *overview_json(const struct entry *entry)
{
    int up = 0, seen = 0;
    const struct place *worst = NULL;
    for (size_t i = 0; i < entry->place_count; i++) {
        const struct place *place = &entry->places[i];
        if (!place->seen)
            continue;
        seen++;
        up += place->last.cause == CAUSE_NONE;
        if (!worst || (worst->last.cause == CAUSE_NONE && place->last.cause != CAUSE_NONE))
            worst = place;
    }
    if (!worst)
        return json_pack("{s:o, s:n, s:i, s:i}", "id", json_id(entry->info.id), "up", "nodes",
                         entry->info.nodes, "nodes_up", 0);
    return json_pack(
        "{s:o, s:b, s:o, s:o, s:s, s:i, s:i, s:I}", "id", json_id(entry->info.id), "up", up == seen, "at",
        json_instant(worst->last.at_ms), "since", json_instant(worst->since_ms), "cause",
        COLLECT_CAUSE_NAMES[worst->last.cause], "nodes", entry->info.nodes, "nodes_up", up, "total_us",
        (json_int_t)(worst->last.present >> COLLECT_TOTAL & 1 ? worst->last.values[COLLECT_TOTAL] : -1));
}

enum err_code checks_overview(struct checks *checks, json_t **out, struct err *err)
{
    json_t *list = json_array();
    int failed = !list;
    (void)pthread_mutex_lock(&checks->lock);
    for (size_t i = 0; !failed && i < checks->table_size; i++)
        for (const struct entry *entry = checks->table[i]; entry && !failed; entry = entry->next)
            failed |= json_array_append_new(list, overview_json(entry));
    (void)pthread_mutex_unlock(&checks->lock);
    if (failed) {
        json_decref(list);
        return err_nomem(err);
    }
    *out = list;
    return ERR_OK;
}

bool checks_has(struct checks *checks, int64_t id)
{
    (void)pthread_mutex_lock(&checks->lock);
    const bool has = *entry_link(checks, id) != NULL;
    (void)pthread_mutex_unlock(&checks->lock);
    return has;
}

int checks_count(struct checks *checks)
{
    (void)pthread_mutex_lock(&checks->lock);
    const int count = checks->count;
    (void)pthread_mutex_unlock(&checks->lock);
    return count;
}

bool checks_node_used(struct checks *checks, int64_t node)
{
    bool used = false;
    (void)pthread_mutex_lock(&checks->lock);
    for (size_t i = 0; i < checks->table_size && !used; i++)
        for (const struct entry *entry = checks->table[i]; entry && !used; entry = entry->next)
            used = runs_at(entry, node);
    (void)pthread_mutex_unlock(&checks->lock);
    return used;
}
