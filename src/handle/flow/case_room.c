/* case_room.c - the room itself: versions kept in memory, events written, clocks derived. */
#include "handle/flow/case_room.h"
#include "crypto/digest.h"

#include <assert.h>

#define MODEL_BYTES_MAX ((size_t)64 << 20)
#define VERIFY_BATCH 200

static enum err_code model_make(const struct case_room *room, struct str flow, struct str xml, int64_t id,
                                struct flow_version **out, struct err *err);
static void model_free(struct flow_version *version);
static void checksum_of(struct str text, char out[DIGEST_HEX_SIZE]);

enum err_code case_room_new(const struct case_config *config, struct case_room **out_room, struct err *err)
{
    struct case_room *room = mem_alloc(1, sizeof(*room));
    if (!room)
        return err_nomem(err);
    room->ids = config->ids;
    room->clock = config->clock;
    room->host = config->host;
    (void)pthread_mutex_init(&room->lock, NULL);
    *out_room = room;
    return ERR_OK;
}

void case_room_free(struct case_room *room)
{
    if (!room)
        return;
    for (int i = 0; i < room->flows_count; i++)
        model_free(room->flows[i]);
    for (int i = 0; i < room->matrices_count; i++) {
        sla_matrix_free(room->matrices[i]->matrix);
        mem_free(room->matrices[i]);
    }
    (void)pthread_mutex_destroy(&room->lock);
    mem_free(room);
}

/* Two threads may read the same version at once; the second one's copy is thrown away. */
enum err_code room_flow(struct case_room *room, struct tx *tx, int64_t version,
                        const struct flow_version **out_version, struct err *err)
{
    struct flow_version *made = NULL;
    struct str flow, xml;
    const struct flow_version *kept = NULL;
    enum err_code rc;
    (void)pthread_mutex_lock(&room->lock);
    for (int i = 0; !kept && i < room->flows_count; i++)
        if (room->flows[i]->id == version)
            kept = room->flows[i];
    (void)pthread_mutex_unlock(&room->lock);
    if (kept) {
        *out_version = kept;
        return ERR_OK;
    }
    rc = flow_version_get(tx, version, &flow, &xml, err);
    if (!rc)
        rc = model_make(room, flow, xml, version, &made, err);
    if (rc)
        return rc;
    (void)pthread_mutex_lock(&room->lock);
    for (int i = 0; !kept && i < room->flows_count; i++)
        if (room->flows[i]->id == version)
            kept = room->flows[i];
    if (!kept && room->flows_count < VERSIONS_MAX) {
        room->flows[room->flows_count++] = made;
        kept = made;
        made = NULL;
    }
    (void)pthread_mutex_unlock(&room->lock);
    model_free(made);
    if (!kept)
        return err_set(err, ERR_LIMIT, "flow.too_many_versions", ARG_INT("max", VERSIONS_MAX), ARG_END);
    *out_version = kept;
    return ERR_OK;
}

enum err_code room_model(struct case_room *room, struct tx *tx, int64_t version,
                         const struct flow_model **out_model, struct err *err)
{
    const struct flow_version *kept;
    const enum err_code rc = room_flow(room, tx, version, &kept, err);
    if (!rc)
        *out_model = kept->model;
    return rc;
}

enum err_code room_matrix(struct case_room *room, struct tx *tx, int64_t version,
                          const struct sla_matrix **out_matrix, struct err *err)
{
    struct sla_version *made;
    const struct sla_matrix *matrix = NULL;
    struct str snapshot;
    json_t *json;
    enum err_code rc;
    (void)pthread_mutex_lock(&room->lock);
    for (int i = 0; !matrix && i < room->matrices_count; i++)
        if (room->matrices[i]->id == version)
            matrix = room->matrices[i]->matrix;
    (void)pthread_mutex_unlock(&room->lock);
    if (matrix) {
        *out_matrix = matrix;
        return ERR_OK;
    }
    rc = sla_version_get(tx, version, &snapshot, err);
    if (rc)
        return rc;
    json = json_loadb(snapshot.ptr, snapshot.len, 0, NULL);
    if (!json)
        return err_set(err, ERR_CORRUPT, "flow.version_lost", ARG_END);
    made = mem_alloc(1, sizeof(*made));
    rc = made ? sla_matrix_new(json, &made->matrix, err) : err_nomem(err);
    json_decref(json);
    if (rc) {
        mem_free(made);
        return rc;
    }
    made->id = version;
    (void)pthread_mutex_lock(&room->lock);
    for (int i = 0; !matrix && i < room->matrices_count; i++)
        if (room->matrices[i]->id == version)
            matrix = room->matrices[i]->matrix;
    if (!matrix && room->matrices_count < VERSIONS_MAX) {
        room->matrices[room->matrices_count++] = made;
        matrix = made->matrix;
        made = NULL;
    }
    (void)pthread_mutex_unlock(&room->lock);
    if (made) {
        sla_matrix_free(made->matrix);
        mem_free(made);
    }
    if (!matrix)
        return err_set(err, ERR_LIMIT, "flow.too_many_versions", ARG_INT("max", VERSIONS_MAX), ARG_END);
    *out_matrix = matrix;
    return ERR_OK;
}

enum err_code room_flow_pin(struct case_room *room, struct tx *tx, struct str type, int64_t *out_version,
                            struct err *err)
{
    char checksum[DIGEST_HEX_SIZE];
    struct str flow, xml, reopen;
    const struct flow_model *model;
    int64_t id;
    enum err_code rc = room->host->flow(room->host->ctx, type, tx_arena(tx), &flow, &xml, &reopen, err);
    if (rc)
        return rc;
    checksum_of(xml, checksum);
    rc = flow_version_put(tx, flow, str_from(checksum), xml, ids_next(room->ids), clock_now(room->clock), &id,
                          err);
    if (!rc)
        rc = room_model(room, tx, id, &model, err);
    if (!rc)
        *out_version = id;
    return rc;
}

enum err_code room_matrix_pin(struct case_room *room, struct tx *tx, struct str type, int64_t *out_version,
                              struct err *err)
{
    char checksum[DIGEST_HEX_SIZE];
    json_t *snapshot = NULL;
    char *text;
    enum err_code rc = room->host->matrix(room->host->ctx, tx, type, &snapshot, err);
    if (rc)
        return rc;
    text = json_dumps(snapshot, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(snapshot);
    if (!text)
        return err_nomem(err);
    checksum_of(str_from(text), checksum);
    rc = sla_version_put(tx, str_from(checksum), str_from(text), ids_next(room->ids), clock_now(room->clock),
                         out_version, err);
    free(text);
    return rc;
}

enum err_code room_replay(struct case_room *room, struct tx *tx, const struct case_row *row,
                          const struct event_row *events, int count, int64_t now_ms,
                          const struct sla_calendars *calendars, struct sla_pieces *pieces,
                          struct sla_result *out, struct err *err)
{
    struct sla_lookup lookup = { .calendars = calendars };
    struct sla_event *list = arena_alloc(tx_arena(tx), count ? (size_t)count : 1, sizeof(*list));
    enum err_code rc;
    if (!list)
        return err_nomem(err);
    rc = room_matrix(room, tx, row->sla_version, &lookup.matrix, err);
    if (rc)
        return rc;
    for (int i = 0; i < count; i++)
        list[i] =
            (struct sla_event) { events[i].id,         events[i].at_ms,   events[i].kind,  events[i].clocks,
                                 events[i].workaround, events[i].service, events[i].level, events[i].voids };
    return sla_replay(list, count, now_ms, sla_matrix_terms, &lookup, tx_arena(tx), pieces, out, err);
}

enum err_code room_derive(struct case_room *room, struct tx *tx, struct case_row *row,
                          const struct flow_model *model, struct sla_result *out, struct err *err)
{
    const struct sla_calendars *calendars = room->host->calendars_get(room->host->ctx);
    const int64_t now = clock_now(room->clock);
    struct event_row *events = NULL;
    struct task_row *tasks = NULL;
    struct sla_result result;
    int count = 0, tasks_count = 0;
    enum err_code rc = event_list(tx, row->id, &events, &count, err);
    if (!rc)
        rc = room_replay(room, tx, row, events, count, now, calendars, NULL, &result, err);
    if (!rc)
        rc = clock_store(tx, row->id, &result, err); /* names of calendars are the matrix's, not theirs */
    room->host->calendars_put(room->host->ctx, calendars);
    for (int c = 0; !rc && c < SLA_CLOCK__COUNT; c++) { /* what is told no longer holds may be told again */
        const struct sla_clock_state *clock = &result.clocks[c];
        if (clock->state == SLA_STATE_RUNNING && (!clock->due_ms || now <= clock->due_ms))
            row->breached &= ~(int64_t)(1u << c);
        if (clock->state == SLA_STATE_RUNNING && (!clock->warn_ms || now < clock->warn_ms))
            row->warned &= ~(int64_t)(1u << c);
    }
    if (!rc)
        rc = due_store(tx, row->id, sla_next_due(&result, (unsigned)row->warned, (unsigned)row->breached),
                       err);
    if (!rc)
        rc = task_list(tx, row->id, &tasks, &tasks_count, err);
    for (int i = 0; !rc && i < tasks_count; i++) {
        const int node = flow_node_find(model, tasks[i].node);
        enum sla_clock clock;
        if (tasks[i].state != TASK_OPEN || node < 0 || !str_starts(model->nodes[node].limit, STR("clock:")) ||
            !sla_clock_from(str_slice(model->nodes[node].limit, 6, model->nodes[node].limit.len), &clock))
            continue;
        if (tasks[i].due_ms == result.clocks[clock].due_ms)
            continue;
        tasks[i].due_ms = result.clocks[clock].due_ms;
        rc = task_update(tx, &tasks[i], err);
    }
    if (!rc)
        rc = case_row_update(tx, row, err);
    if (!rc && out)
        *out = result;
    return rc;
}

enum err_code room_event(struct case_room *room, struct tx *tx, const struct case_step *step,
                         struct event_row *event, struct err *err)
{
    if (!event->id)
        event->id = ids_next(room->ids);
    if (!event->made_ms)
        event->made_ms = clock_now(room->clock);
    if (!event->at_ms)
        event->at_ms = event->made_ms;
    event->by_id = step->by->id;
    event->by_name = step->by->name;
    return event_insert(tx, event, err);
}

enum err_code case_derive(struct case_room *room, struct tx *tx, int64_t id, struct err *err)
{
    struct case_row row;
    const struct flow_model *model;
    enum err_code rc = case_row_load(tx, id, &row, err);
    if (!rc)
        rc = room_model(room, tx, row.flow_version, &model, err);
    return rc ? rc : room_derive(room, tx, &row, model, NULL, err);
}

enum err_code case_derive_all(struct case_room *room, struct tx *tx, int64_t after_id, int max,
                              int64_t *out_last, struct err *err)
{
    int64_t ids[VERIFY_BATCH];
    int count = 0;
    enum err_code rc = case_open_ids(tx, after_id, max < VERIFY_BATCH ? max : VERIFY_BATCH, ids, &count, err);
    for (int i = 0; !rc && i < count; i++)
        rc = case_derive(room, tx, ids[i], err);
    if (!rc)
        *out_last = count ? ids[count - 1] : 0;
    return rc;
}

/* One difference: what is stored, what a replay gives. */
static void differs(struct findings *findings, struct case_verify *sum, int64_t id, const char *what,
                    struct str stored, struct str derived)
{
    struct err one;
    (void)err_set(&one, ERR_CORRUPT, "sla.differs", ARG_INT("case", id), ARG_TEXT("clock", what),
                  ARG_STR("stored", stored), ARG_STR("derived", derived), ARG_END);
    findings_add(findings, &one);
    sum->differences++;
}

/* The stored state is as of the last step or tick; time may have moved a running clock past its due instant
 * since, which is no difference. */
static bool same_clock(struct str stored, struct str derived)
{
    struct str a, b;
    if (str_eq(stored, derived))
        return true;
    if (!stored.len || !derived.len || !str_cut(&stored, ' ', &a) || !str_cut(&derived, ' ', &b))
        return false;
    return str_eq(stored, derived) && (str_eq(a, STR("running")) || str_eq(a, STR("paused"))) &&
           str_eq(b, STR("breached"));
}

enum err_code case_verify(struct case_room *room, struct tx *tx, struct findings *findings,
                          struct case_verify *out, struct err *err)
{
    const struct sla_calendars *calendars = room->host->calendars_get(room->host->ctx);
    struct case_verify sum = { 0 };
    int64_t ids[VERIFY_BATCH], after = 0;
    int count = 1;
    enum err_code rc = ERR_OK;
    while (!rc && count) {
        rc = case_open_ids(tx, after, VERIFY_BATCH, ids, &count, err);
        for (int i = 0; !rc && i < count; i++) {
            const struct arena_mark mark = arena_mark(tx_arena(tx));
            struct case_row row;
            struct event_row *events = NULL;
            struct sla_result result;
            struct str stored[SLA_CLOCK__COUNT];
            int events_count = 0;
            int64_t due = 0, want;
            rc = case_row_load(tx, ids[i], &row, err);
            if (!rc)
                rc = event_list(tx, ids[i], &events, &events_count, err);
            if (!rc)
                rc = room_replay(room, tx, &row, events, events_count, clock_now(room->clock), calendars,
                                 NULL, &result, err);
            if (!rc)
                rc = clock_texts(tx, ids[i], stored, err);
            if (!rc)
                rc = due_load(tx, ids[i], &due, err);
            for (int c = 0; !rc && c < SLA_CLOCK__COUNT; c++) {
                const struct str derived = clock_text_of(tx_arena(tx), &result.clocks[c]);
                sum.clocks += derived.len > 0;
                if (!same_clock(stored[c], derived))
                    differs(findings, &sum, ids[i], sla_clock_name((enum sla_clock)c), stored[c], derived);
            }
            if (!rc) {
                want = sla_next_due(&result, (unsigned)row.warned, (unsigned)row.breached);
                if (want != due)
                    differs(findings, &sum, ids[i], "next_due",
                            arena_printf(tx_arena(tx), "%lld", (long long)due),
                            arena_printf(tx_arena(tx), "%lld", (long long)want));
            }
            sum.cases++;
            after = ids[i];
            arena_release(tx_arena(tx), mark);
        }
    }
    room->host->calendars_put(room->host->ctx, calendars);
    if (!rc)
        *out = sum;
    return rc;
}

static enum err_code model_make(const struct case_room *room, struct str flow, struct str xml, int64_t id,
                                struct flow_version **out, struct err *err)
{
    const struct flow_name *names = NULL;
    int names_count = 0;
    struct flow_version *version = mem_alloc(1, sizeof(*version));
    struct arena *arena = arena_new(MODEL_BYTES_MAX);
    struct findings findings;
    struct str copy;
    enum err_code rc = ERR_NOMEM;
    if (!version || !arena)
        goto fail_memory;
    copy = arena_str(arena, xml);
    version->flow = arena_str(arena, flow);
    if (!copy.ptr || !version->flow.ptr)
        goto fail_memory;
    rc = findings_init(&findings, arena, err);
    if (!rc)
        rc = flow_model_read(arena, copy, &findings, &version->model, err);
    if (!rc)
        rc = room->host->names(room->host->ctx, version->flow, arena, &names, &names_count, err);
    if (!rc)
        rc = flow_expressions_new(arena, version->model, names, names_count, true, &findings,
                                  &version->expressions, err);
    if (rc)
        goto fail;
    version->id = id;
    version->arena = arena;
    *out = version;
    return ERR_OK;

fail_memory:
    rc = err_nomem(err);
fail:
    arena_free(arena);
    mem_free(version);
    return rc;
}

static void model_free(struct flow_version *version)
{
    if (!version)
        return;
    arena_free(version->arena);
    mem_free(version);
}

static void checksum_of(struct str text, char out[DIGEST_HEX_SIZE])
{
    unsigned char bytes[DIGEST_SIZE];
    digest(DIGEST_SHA256, text, bytes);
    hex_put(bytes, sizeof(bytes), out);
}
