/* states.c - see states.h: {"places":[{"node":0,"since":ms,"result":{...}}]} */
#include "observe/states.h"
#include "base/buf.h"
#include "base/disk.h"
#include "observe/routes.h"

#include <stdlib.h>

static bool add_place(void *arg, int64_t node, int64_t since_ms, const struct collect_result *last)
{
    json_t *result = result_to_json(last);
    return result && json_array_append_new(arg, json_pack("{s:I,s:I,s:o}", "node", (json_int_t)node, "since",
                                                          (json_int_t)since_ms, "result", result)) == 0;
}

enum err_code states_save(struct disk *disk, const char *path, struct checks *checks, struct err *err)
{
    json_t *places = json_array(), *all = places ? json_pack("{s:o}", "places", places) : NULL;
    char *text = all && checks_places(checks, add_place, places) ? json_dumps(all, JSON_COMPACT) : NULL;
    const size_t len = text ? strlen(text) : 0;
    json_decref(all);
    enum err_code rc = text ? ERR_OK : err_nomem(err);
    if (!rc && len > STATES_BYTES_MAX)
        rc = err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", (int64_t)STATES_BYTES_MAX), ARG_END);
    if (!rc)
        rc = disk_replace(disk, path, text, len, err);
    free(text);
    return rc ? err_in(err, "states.save") : ERR_OK;
}

static enum err_code restore(const json_t *place, struct checks *checks, struct err *err)
{
    struct collect_result result;
    const json_t *since = json_object_get(place, "since"), *node = json_object_get(place, "node");
    if (!json_is_integer(node) || !json_is_integer(since) ||
        result_from_json(json_object_get(place, "result"), &result, err))
        return err_set(err, ERR_CORRUPT, "series.corrupt", ARG_TEXT("path", "checks.json"), ARG_END);
    checks_restore(checks, json_integer_value(node), json_integer_value(since), &result);
    return ERR_OK;
}

enum err_code states_load(const char *path, struct checks *checks, struct err *err)
{
    struct buf text;
    buf_init(&text, STATES_BYTES_MAX);
    enum err_code rc = buf_read_file(&text, path, err);
    if (rc) {
        buf_done(&text);
        return rc == ERR_NOT_FOUND ? ERR_OK : rc;
    }
    json_t *all = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *places = json_object_get(all, "places");
    buf_done(&text);
    if (!json_is_array(places))
        rc = err_set(err, ERR_CORRUPT, "series.corrupt", ARG_TEXT("path", "checks.json"), ARG_END);
    for (size_t i = 0; !rc && i < json_array_size(places); i++)
        rc = restore(json_array_get(places, i), checks, err);
    json_decref(all);
    return rc ? err_in(err, "states.load") : ERR_OK;
}
