/* csv_fuzz.c - arbitrary bytes as CSV: read or refused; what was read and written again reads the same. */
#include "base/csv.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t read_all(struct str text, struct arena *arena, struct buf *out)
{
    static struct csv_record record;
    struct csv csv;
    struct err err;
    bool end = false;
    size_t records = 0;
    csv_init(&csv, text);
    while (!csv_next(&csv, arena, &record, &end, &err) && !end) {
        records++;
        for (int i = 0; i < record.count; i++)
            csv_put(out, record.fields[i], i == 0, false);
        csv_end(out);
    }
    return end ? records : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(8 << 20);
    struct buf first, second;
    buf_init(&first, 8 << 20);
    buf_init(&second, 8 << 20);
    if (arena) {
        const size_t records = read_all((struct str) { (const char *)data, size }, arena, &first);
        /* a record of one empty field is an empty line, which is passed over */
        if (records && !first.failed && read_all(buf_get(&first), arena, &second) == records)
            assert(first.len == second.len && !memcmp(first.ptr, second.ptr, first.len));
    }
    buf_done(&first);
    buf_done(&second);
    arena_free(arena);
    return 0;
}
