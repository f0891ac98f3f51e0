/* head.c - see head.h */
#include "observe/series/head.h"

struct head *head_new(uint64_t from)
{
    struct head *head = mem_alloc(1, sizeof *head);
    if (head)
        head->from = from;
    return head;
}

void head_free(struct head *head)
{
    if (!head)
        return;
    for (size_t i = 0; i < head->room; i++) {
        struct head_series *series = head->by_id[i];
        if (!series)
            continue;
        for (size_t k = 0; k < series->chunk_count; k++)
            chunk_done(&series->chunks[k]);
        mem_free(series->chunks);
        mem_free(series->late);
        mem_free(series);
    }
    mem_free(head->by_id);
    mem_free(head);
}

static enum err_code place_of(struct head *head, int64_t id, struct head_series **out, struct err *err)
{
    if ((size_t)id >= head->room) {
        size_t room = head->room ? head->room : 1024;
        while (room <= (size_t)id)
            room *= 2;
        struct head_series **grown = mem_realloc(head->by_id, room * sizeof *grown);
        if (!grown)
            return err_nomem(err);
        memset(grown + head->room, 0, (room - head->room) * sizeof *grown);
        head->by_id = grown;
        head->room = room;
    }
    if (!head->by_id[id]) {
        head->by_id[id] = mem_alloc(1, sizeof **head->by_id);
        if (!head->by_id[id])
            return err_nomem(err);
        head->bytes += sizeof **head->by_id;
    }
    *out = head->by_id[id];
    return ERR_OK;
}

/* Is the instant in one of the chunks? */
static bool chunks_have(const struct head_series *series, int64_t at_ms)
{
    for (size_t i = 0; i < series->chunk_count; i++) {
        const struct chunk *chunk = &series->chunks[i];
        if (at_ms < chunk->first_at || at_ms > chunk->state.at)
            continue;
        struct chunk_reader reader;
        struct series_sample sample;
        chunk_read(&reader, chunk->bytes, chunk_len(chunk), chunk->count);
        while (chunk_next(&reader, &sample) && sample.at_ms <= at_ms)
            if (sample.at_ms == at_ms)
                return true;
    }
    return false;
}

static enum err_code add_late(struct head *head, struct head_series *series,
                              const struct series_sample *sample, bool *out_new, struct err *err)
{
    size_t low = 0, high = series->late_count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (series->late[middle].at_ms < sample->at_ms)
            low = middle + 1;
        else
            high = middle;
    }
    if ((low < series->late_count && series->late[low].at_ms == sample->at_ms) ||
        chunks_have(series, sample->at_ms)) {
        *out_new = false;
        return ERR_OK;
    }
    if (series->late_count == series->late_room) {
        const size_t room = series->late_room ? series->late_room * 2 : 8;
        struct series_sample *grown = mem_realloc(series->late, room * sizeof *grown);
        if (!grown)
            return err_nomem(err);
        head->bytes += (room - series->late_room) * sizeof *grown;
        series->late = grown;
        series->late_room = room;
    }
    memmove(series->late + low + 1, series->late + low, (series->late_count - low) * sizeof *series->late);
    series->late[low] = *sample;
    series->late_count++;
    *out_new = true;
    return ERR_OK;
}

enum err_code head_add(struct head *head, const struct series_sample *sample, bool *out_new, struct err *err)
{
    struct head_series *series = NULL;
    enum err_code rc = place_of(head, sample->id, &series, err);
    if (rc)
        return rc;
    struct chunk *open = series->chunk_count ? &series->chunks[series->chunk_count - 1] : NULL;
    if (open && sample->at_ms <= open->state.at) {
        rc = add_late(head, series, sample, out_new, err);
    } else {
        if (!open || day_of(open->first_at) != day_of(sample->at_ms)) {
            struct chunk *grown = mem_realloc(series->chunks, (series->chunk_count + 1) * sizeof *grown);
            if (!grown)
                return err_nomem(err);
            series->chunks = grown;
            open = &grown[series->chunk_count];
            *open = (struct chunk) { 0 };
            rc = chunk_add(open, sample, err);
            if (rc)
                return rc; /* the place is not counted: it is empty */
            series->chunk_count++;
            head->bytes += open->size + sizeof *open;
        } else {
            const size_t before = open->size;
            rc = chunk_add(open, sample, err);
            head->bytes += open->size - before;
        }
        *out_new = true;
    }
    if (!rc && *out_new)
        head->samples++;
    return rc;
}
