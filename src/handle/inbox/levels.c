/* levels.c - GET core/levels/PACK/TYPE?service=ID: what a case of that type may be graded as; see inbox.h.
 * The limits are those that a case opened now would get, so the form can say what each choice means. */
#include "handle/handle.h"
#include "handle/inbox/inbox.h"
#include "handle/sla/office.h"
#include "net/http.h"

#include <stdio.h>

#define LEVELS_MAX 64

struct asking {
    struct handle *handle;
    const struct request *req;
    const struct entity_type *type; /* of the case */
    int64_t service_id;
    struct str service, general; /* its id as text, its general table */
    struct str levels[LEVELS_MAX];
    struct str meanings[LEVELS_MAX]; /* in the arena */
    bool own[LEVELS_MAX];
    int count;
    json_t *out;
};

static const struct entity_type *named(const struct asking *asking, const char *key)
{
    const char *name = json_string_value(json_object_get(asking->type->clocks, key));
    return name ? entity_type_find(handle_config(asking->handle)->entity, name) : NULL;
}

static struct str word(const struct asking *asking, const char *prefix, struct str name)
{
    const struct str key = arena_printf(asking->req->arena, "%s.%.*s", prefix, STR_ARG(name));
    const struct words *words = handle_config(asking->handle)->words;
    const struct str found = key.ptr && words ? words_get(words, asking->req->lang, key) : name;
    return found.len ? found : name;
}

/* What a row says of its level: the service's own words win over those of the general table. */
static enum err_code each_meaning(void *arg, int64_t id, const json_t *record, struct err *err)
{
    struct asking *asking = arg;
    const bool own = record_id(record, "service") == asking->service_id;
    const struct str level = record_str(record, "level");
    struct str meaning = asking->req->lang == LANG_EN ? record_str(record, "meaning_en") : (struct str) { 0 };
    (void)id;
    if (!own && !(asking->general.len && str_eq(record_str(record, "general_table"), asking->general)))
        return ERR_OK;
    if (!meaning.len)
        meaning = record_str(record, "meaning");
    for (int i = 0; i < asking->count; i++) {
        if (!str_eq(asking->levels[i], level) || (asking->own[i] && !own))
            continue;
        if (own && !asking->own[i]) {
            asking->own[i] = true;
            asking->meanings[i] = (struct str) { 0 };
        }
        if (meaning.len && !asking->meanings[i].len) {
            asking->meanings[i] = arena_str(asking->req->arena, meaning);
            if (!asking->meanings[i].ptr)
                return err_nomem(err);
        }
    }
    return ERR_OK;
}

static json_t *text_of(struct str text)
{
    return text.len ? json_stringn(text.ptr, text.len) : json_null();
}

static json_t *clocks_of(const struct asking *asking, const struct sla_term terms[SLA_CLOCK__COUNT])
{
    json_t *clocks = json_array();
    for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
        const struct str name = str_from(sla_clock_name((enum sla_clock)c));
        if (terms[c].source == SLA_NOT_AGREED)
            continue;
        (void)json_array_append_new(clocks,
                                    json_pack("{s:o,s:o,s:o,s:o,s:I}", "clock", text_of(name), "label",
                                              text_of(word(asking, "sla.clock", name)), "calendar",
                                              text_of(terms[c].calendar_name), "calendar_label",
                                              text_of(word(asking, "sla.calendar", terms[c].calendar_name)),
                                              "minutes", (json_int_t)(terms[c].limit_ms / 60000)));
    }
    return clocks;
}

static enum err_code put_levels(struct asking *asking, const struct sla_matrix *matrix, struct err *err)
{
    struct office *office = handle_office(asking->handle);
    const struct sla_calendars *calendars = office_get(office);
    struct sla_lookup lookup = { matrix, calendars };
    const int64_t now = clock_now(handle_config(asking->handle)->clock);
    enum err_code rc = ERR_OK;
    for (int i = 0; i < asking->count && !rc; i++) {
        struct sla_term terms[SLA_CLOCK__COUNT];
        rc = sla_matrix_terms(&lookup, asking->service, asking->levels[i], now, terms, err);
        if (!rc)
            (void)json_array_append_new(asking->out,
                                        json_pack("{s:o,s:o,s:s,s:o}", "level", text_of(asking->levels[i]),
                                                  "meaning", text_of(asking->meanings[i]), "source",
                                                  asking->own[i] ? "own" : "general", "clocks",
                                                  clocks_of(asking, terms)));
    }
    office_put(office, calendars);
    return rc;
}

static enum err_code levels_fn(struct tx *tx, void *arg, struct err *err)
{
    struct asking *asking = arg;
    const struct handle_config *config = handle_config(asking->handle);
    const struct entity_type *services = named(asking, "services"), *matrix_type = named(asking, "matrix");
    const struct entity_call eyes = { .entity = config->entity,
                                      .who = asking->req->who,
                                      .lang = asking->req->lang,
                                      .arena = asking->req->arena };
    /* entity_each() gives back what a record took: what stays lies in the request's arena */
    AUTO(arena_free_auto) struct arena *scratch = arena_new((size_t)16 << 20);
    const struct entity_call plain = { .entity = config->entity,
                                       .lang = asking->req->lang,
                                       .arena = scratch };
    struct sla_matrix *matrix = NULL;
    json_t *service = NULL, *snapshot = NULL;
    if (!scratch)
        return err_nomem(err);
    enum err_code rc = services && matrix_type
                           ? entity_get(&eyes, tx, services, asking->service_id, &service, err)
                           : err_set(err, ERR_NOT_FOUND, "subject.none", ARG_END);
    if (rc)
        return rc;
    json_array_clear(asking->out);
    asking->general = arena_str(asking->req->arena, record_str(service, "general_table"));
    json_decref(service);
    rc = office_matrix(handle_office(asking->handle), tx, asking->type, &snapshot, err);
    if (!rc)
        rc = sla_matrix_new(snapshot, &matrix, err);
    json_decref(snapshot);
    if (rc)
        return rc;
    asking->count = sla_matrix_levels(matrix, asking->service, asking->levels, LEVELS_MAX);
    rc = entity_each(&plain, tx, matrix_type, STR(""), each_meaning, asking, err);
    if (!rc)
        rc = put_levels(asking, matrix, err);
    sla_matrix_free(matrix);
    return rc;
}

enum err_code levels_get(struct request *req, struct reply *reply, struct err *err)
{
    struct asking asking = { .handle = req->ctx, .req = req, .service = request_query(req, "service") };
    const struct str full = arena_printf(req->arena, "%.*s.%.*s", STR_ARG(request_path(req, "pack")),
                                         STR_ARG(request_path(req, "type")));
    if (!full.ptr)
        return err_nomem(err);
    asking.type = entity_type_find(handle_config(req->ctx)->entity, full.ptr);
    if (!asking.type || asking.type->kind != TYPE_CASE)
        return err_set(err, ERR_NOT_FOUND, "entity.no_type", ARG_STR("type", full), ARG_END);
    if (!str_i64(asking.service, &asking.service_id)) {
        (void)err_set(err, ERR_INVALID, "task.bad_service", ARG_STR("service", asking.service), ARG_END);
        return err_pointer(err, STR("/?service"));
    }
    asking.out = json_array();
    if (!asking.out)
        return err_nomem(err);
    const enum err_code rc = store_read(handle_config(req->ctx)->store, levels_fn, &asking, err);
    if (!rc)
        return reply_json(reply, json_pack("{s:o}", "items", asking.out), err);
    json_decref(asking.out);
    return rc;
}
