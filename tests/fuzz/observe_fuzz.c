/* observe_fuzz.c - what comes from outside into observe: a check's JSON, a node's result, a URL, a block's
 * bits. */
#include "observe/collect/loop.h"
#include "observe/routes.h"
#include "observe/series/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    if (size < 2)
        return 0;
    const struct str rest = { (const char *)data + 1, size - 1 };
    switch (data[0] % 3) {
    case 0: {
        json_t *json = json_loadb(rest.ptr, rest.len, JSON_DECODE_ANY, NULL);
        struct collect_result result, again;
        if (collect_validate(json, &err) == ERR_OK && !json_is_object(json))
            __builtin_trap();
        if (result_from_json(json, &result, &err) == ERR_OK) {
            json_t *back = result_to_json(&result);
            if (!back || result_from_json(back, &again, &err) || again.present != result.present)
                __builtin_trap();
            json_decref(back);
        }
        json_decref(json);
        break;
    }
    case 1: {
        struct arena *arena = arena_new(1 << 16);
        struct url url;
        if (arena && url_parse(arena, rest, &url, &err) == ERR_OK &&
            (url.path.ptr[0] != '/' || !url.host.len || !url.port))
            __builtin_trap();
        arena_free(arena);
        break;
    }
    default: {
        struct chunk_reader reader;
        struct series_sample sample;
        chunk_read(&reader, data + 1, size - 1, 100000);
        while (chunk_next(&reader, &sample))
            ;
        break;
    }
    }
    return 0;
}
