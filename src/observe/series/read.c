/* read.c - reading a series: the sources of each day (blocks by number, then the heads) are merged, the
 * first of each instant counts, the rest goes through the aggregate.  Memory is one day at a time. */
#include "observe/series/store.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

struct source {
    int64_t day;
    int order; /* of arrival */
    const struct block *block;
    struct block_entry entry;
    unsigned char *bytes; /* else a copy of a chunk of the head */
    size_t len;
    uint32_t count;
    struct series_sample *late; /* else a copy of late samples */
    size_t late_count;
};

struct sources {
    struct source *items;
    size_t count, room;
};

struct day_sample {
    struct series_sample sample;
    int order;
};

struct reading {
    int64_t from_ms, to_ms, step_ms;
    enum series_aggregate aggregate;
    size_t points_max;
    struct series_point *points; /* grown with mem_realloc, copied to the arena at the end */
    size_t count, room;
    double sum, first, last, least, most;
};

int series_aggregate_from(struct str name)
{
    static const char *const names[SERIES_AGGREGATE__COUNT] = { "raw", "avg",   "min",   "max",
                                                                "sum", "count", "first", "last" };
    for (int i = 0; i < SERIES_AGGREGATE__COUNT; i++)
        if (str_eq(name, str_from(names[i])))
            return i;
    return -1;
}

static struct source *source_new(struct sources *list)
{
    if (list->count == list->room) {
        const size_t room = list->room ? list->room * 2 : 16;
        struct source *grown = mem_realloc(list->items, room * sizeof *grown);
        if (!grown)
            return NULL;
        list->items = grown;
        list->room = room;
    }
    list->items[list->count] = (struct source) { 0 };
    return &list->items[list->count++];
}

static void sources_done(struct sources *list)
{
    for (size_t i = 0; i < list->count; i++) {
        mem_free(list->items[i].bytes);
        mem_free(list->items[i].late);
    }
    mem_free(list->items);
}

/* Copies what a head has of [from, to). */
static enum err_code gather_head(struct sources *list, const struct head *head, int64_t id, int64_t from_ms,
                                 int64_t to_ms, int order, struct err *err)
{
    const struct head_series *series = head_get(head, id);
    for (size_t i = 0; series && i < series->chunk_count; i++) {
        const struct chunk *chunk = &series->chunks[i];
        if (chunk->first_at >= to_ms || chunk->state.at < from_ms)
            continue;
        struct source *source = source_new(list);
        if (source)
            source->bytes = mem_alloc(chunk_len(chunk) ? chunk_len(chunk) : 1, 1);
        if (!source || !source->bytes)
            return err_nomem(err);
        memcpy(source->bytes, chunk->bytes, chunk_len(chunk));
        source->len = chunk_len(chunk);
        source->count = chunk->count;
        source->day = day_of(chunk->first_at);
        source->order = order;
    }
    for (size_t i = 0, next; series && i < series->late_count; i = next) {
        const int64_t day = day_of(series->late[i].at_ms);
        for (next = i + 1; next < series->late_count && day_of(series->late[next].at_ms) == day;)
            next++;
        if (series->late[i].at_ms >= to_ms || series->late[next - 1].at_ms < from_ms)
            continue;
        struct source *source = source_new(list);
        if (source)
            source->late = mem_alloc(next - i, sizeof *source->late);
        if (!source || !source->late)
            return err_nomem(err);
        memcpy(source->late, series->late + i, (next - i) * sizeof *source->late);
        source->late_count = next - i;
        source->day = day;
        source->order = order + 1;
    }
    return ERR_OK;
}

static int by_day_then_order(const void *a, const void *b)
{
    const struct source *x = a, *y = b;
    if (x->day != y->day)
        return x->day < y->day ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* All sources of [from, to), by day and order; blocks_lock is held for reading and stays so. */
static enum err_code gather(struct series_store *store, int64_t id, int64_t from_ms, int64_t to_ms,
                            struct sources *list, struct err *err)
{
    enum err_code rc = ERR_OK;
    (void)pthread_mutex_lock(&store->lock);
    if (!series_name(store, id))
        rc = err_set(err, ERR_NOT_FOUND, "series.not_found", ARG_END);
    if (!rc)
        rc = series_heal(store, err);
    const int heads = (int)store->block_count;
    if (!rc)
        rc = gather_head(list, store->flushing, id, from_ms, to_ms, heads, err);
    if (!rc)
        rc = gather_head(list, store->head, id, from_ms, to_ms, heads + 2, err);
    (void)pthread_mutex_unlock(&store->lock);
    for (size_t i = 0; !rc && i < store->block_count; i++) {
        struct block *block = &store->blocks[i];
        struct block_entry entry;
        if (block->day * DAY_MS >= to_ms || (block->day + 1) * DAY_MS <= from_ms)
            continue;
        rc = block_find(block, id, &entry, err);
        if (rc == ERR_NOT_FOUND) {
            rc = ERR_OK;
            continue;
        }
        struct source *source = rc ? NULL : source_new(list);
        if (!rc && !source)
            rc = err_nomem(err);
        if (!rc)
            *source = (struct source) { .day = block->day, .order = (int)i, .block = block, .entry = entry };
    }
    if (!rc && list->count)
        qsort(list->items, list->count, sizeof *list->items, by_day_then_order);
    return rc;
}

/* ---- one day ---- */

struct day {
    struct day_sample *items;
    size_t count, room;
    bool sorted;
};

static enum err_code day_add(struct day *day, const struct series_sample *sample, int order, struct err *err)
{
    if (day->count == day->room) {
        const size_t room = day->room ? day->room * 2 : 1024;
        struct day_sample *grown = mem_realloc(day->items, room * sizeof *grown);
        if (!grown)
            return err_nomem(err);
        day->items = grown;
        day->room = room;
    }
    day->sorted &= day->count == 0 || day->items[day->count - 1].sample.at_ms < sample->at_ms;
    day->items[day->count++] = (struct day_sample) { *sample, order };
    return ERR_OK;
}

static enum err_code day_take(struct day *day, const struct source *source, struct err *err)
{
    struct chunk_reader reader;
    struct series_sample sample;
    enum err_code rc = ERR_OK;
    if (source->late) {
        for (size_t i = 0; !rc && i < source->late_count; i++)
            rc = day_add(day, &source->late[i], source->order, err);
        return rc;
    }
    if (source->block)
        rc = block_read(source->block, &source->entry, &reader, err);
    else
        chunk_read(&reader, source->bytes, source->len, source->count);
    while (!rc && chunk_next(&reader, &sample))
        rc = day_add(day, &sample, source->order, err);
    if (!rc && reader.damaged)
        rc =
            err_set(err, ERR_CORRUPT, "series.corrupt", ARG_TEXT("path", "chunk"), ARG_INT("at", 0), ARG_END);
    return rc;
}

static int by_instant(const void *a, const void *b)
{
    const struct day_sample *x = a, *y = b;
    if (x->sample.at_ms != y->sample.at_ms)
        return x->sample.at_ms < y->sample.at_ms ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* ---- aggregates ---- */

static void point_close(struct reading *reading)
{
    if (!reading->count || reading->aggregate == SERIES_RAW)
        return;
    struct series_point *point = &reading->points[reading->count - 1];
    const double values[SERIES_AGGREGATE__COUNT] = {
        [SERIES_AVG] = reading->sum / point->good,
        [SERIES_MIN] = reading->least,
        [SERIES_MAX] = reading->most,
        [SERIES_SUM] = reading->sum,
        [SERIES_COUNT] = point->good,
        [SERIES_FIRST] = reading->first,
        [SERIES_LAST] = reading->last,
    };
    point->value = point->good || reading->aggregate == SERIES_COUNT ? values[reading->aggregate] : NAN;
}

static enum err_code point_new(struct reading *reading, int64_t at_ms, struct err *err)
{
    point_close(reading);
    if (reading->count == reading->points_max)
        return err_set(err, ERR_LIMIT, "series.limit", ARG_INT("max", reading->points_max), ARG_END);
    if (reading->count == reading->room) {
        const size_t room = reading->room ? reading->room * 2 : 256;
        struct series_point *grown = mem_realloc(reading->points, room * sizeof *grown);
        if (!grown)
            return err_nomem(err);
        reading->points = grown;
        reading->room = room;
    }
    reading->points[reading->count++] = (struct series_point) { .at_ms = at_ms, .value = NAN };
    reading->sum = 0;
    return ERR_OK;
}

static enum err_code feed(struct reading *reading, const struct series_sample *sample, struct err *err)
{
    const double value = sample->kind == SERIES_I64 ? (double)sample->i64 : sample->f64;
    int64_t at = sample->at_ms;
    if (reading->aggregate != SERIES_RAW)
        at -= (at % reading->step_ms + reading->step_ms) % reading->step_ms;
    struct series_point *point = reading->count ? &reading->points[reading->count - 1] : NULL;
    if (!point || point->at_ms != at) {
        const enum err_code rc = point_new(reading, at, err);
        if (rc)
            return rc;
        point = &reading->points[reading->count - 1];
    }
    point->failed += sample->status == SERIES_FAILED;
    point->no_data += sample->status == SERIES_NO_DATA;
    if (reading->aggregate == SERIES_RAW && sample->status != SERIES_NO_DATA)
        point->value = value; /* the status is beside it */
    if (sample->status != SERIES_GOOD)
        return ERR_OK;
    if (point->good++ == 0) {
        reading->first = reading->least = reading->most = value;
    }
    reading->least = value < reading->least ? value : reading->least;
    reading->most = value > reading->most ? value : reading->most;
    reading->sum += value;
    reading->last = value;
    return ERR_OK;
}

static enum err_code read_day(struct reading *reading, struct day *day, struct err *err)
{
    enum err_code rc = ERR_OK;
    if (!day->sorted)
        qsort(day->items, day->count, sizeof *day->items, by_instant);
    for (size_t i = 0; !rc && i < day->count; i++) {
        const struct series_sample *sample = &day->items[i].sample;
        if (i > 0 && sample->at_ms == day->items[i - 1].sample.at_ms)
            continue;
        if (sample->at_ms >= reading->from_ms && sample->at_ms < reading->to_ms)
            rc = feed(reading, sample, err);
    }
    return rc;
}

enum err_code series_read(struct series_store *store, int64_t id, int64_t from_ms, int64_t to_ms,
                          int64_t step_ms, enum series_aggregate aggregate, size_t points_max,
                          struct arena *arena, struct series_point **out_points, size_t *out_count,
                          struct err *err)
{
    struct sources list = { 0 };
    struct day day = { .sorted = true };
    struct reading reading = { .from_ms = from_ms,
                               .to_ms = to_ms,
                               .step_ms = step_ms,
                               .aggregate = aggregate,
                               .points_max = points_max };
    if (from_ms > to_ms || (aggregate != SERIES_RAW && step_ms <= 0) || aggregate >= SERIES_AGGREGATE__COUNT)
        return err_set(err, ERR_INVALID, "series.range", ARG_END);
    (void)pthread_rwlock_rdlock(&store->blocks_lock);
    enum err_code rc = gather(store, id, from_ms, to_ms, &list, err);
    for (size_t i = 0; !rc && i < list.count; i++) {
        rc = day_take(&day, &list.items[i], err);
        if (!rc && (i + 1 == list.count || list.items[i + 1].day != list.items[i].day)) {
            rc = read_day(&reading, &day, err);
            day.count = 0;
            day.sorted = true;
        }
    }
    (void)pthread_rwlock_unlock(&store->blocks_lock);
    if (!rc) {
        point_close(&reading);
        struct series_point *points = arena_alloc(arena, reading.count ? reading.count : 1, sizeof *points);
        if (points) {
            if (reading.count)
                memcpy(points, reading.points, reading.count * sizeof *points);
            *out_points = points;
            *out_count = reading.count;
        } else {
            rc = err_nomem(err);
        }
    }
    sources_done(&list);
    mem_free(day.items);
    mem_free(reading.points);
    return rc ? err_in(err, "series.read") : ERR_OK;
}

enum err_code series_last(struct series_store *store, int64_t id, struct series_sample *out, struct err *err)
{
    enum err_code rc = ERR_OK;
    bool found = false;
    struct series_sample best = { 0 };
    (void)pthread_rwlock_rdlock(&store->blocks_lock);
    (void)pthread_mutex_lock(&store->lock);
    const struct name *name = series_name(store, id);
    if (!name)
        rc = err_set(err, ERR_NOT_FOUND, "series.not_found", ARG_END);
    else if (name->has_last)
        best = name->last;
    found = name && name->has_last;
    (void)pthread_mutex_unlock(&store->lock);
    int64_t best_day = INT64_MIN;
    for (size_t i = store->block_count; !rc && !found && i > 0; i--) {
        struct block *block = &store->blocks[i - 1];
        struct block_entry entry;
        struct chunk_reader reader;
        struct series_sample sample;
        if (block->day < best_day)
            break;
        rc = block_find(block, id, &entry, err);
        if (rc == ERR_NOT_FOUND || (!rc && best_day != INT64_MIN && entry.last_at <= best.at_ms)) {
            rc = ERR_OK;
            continue;
        }
        if (!rc)
            rc = block_read(block, &entry, &reader, err);
        while (!rc && chunk_next(&reader, &sample))
            best = sample;
        best_day = block->day;
    }
    (void)pthread_rwlock_unlock(&store->blocks_lock);
    if (rc)
        return rc;
    if (!found && best_day == INT64_MIN)
        return err_set(err, ERR_NOT_FOUND, "series.not_found", ARG_END);
    best.id = id;
    *out = best;
    return ERR_OK;
}
