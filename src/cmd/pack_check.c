/* pack_check.c - see pack_check.h */
#include "cmd/pack_check.h"
#include "cmd/app.h"
#include "learn/overview.h"
#include "learn/report.h"
#include "observe/routes.h"
#include "platform/audit/routes.h"
#include "platform/decision/decision.h"
#include "platform/jobs/routes.h"
#include "platform/notify/routes.h"
#include "platform/pack/schema.h"
#include "subject/subjects.h"
#include "warn/centre.h"

#include <stdio.h>

extern const unsigned char PAGE_SCHEMA[];
extern const unsigned PAGE_SCHEMA_SIZE;

struct shown {
    const struct packs *packs;
    const struct pack *pack;
    const struct entity *entity;
    struct findings *findings;
    const struct pack_file *file; /* what is looked at */
};

static void fault(const struct shown *s, const char *pointer, const char *id, const char *what)
{
    pack_finding(s->findings, s->pack, s->file, json_pointer_offset(s->file->text, str_from(pointer)),
                 ERR_INVALID, id, str_from(what));
}

/* ---- permissions ---- */

/* What no route asks for by itself, but a room does. */
static const char *const FURTHER[] = { "core.secret.read", "core.alarm.signal", "core.alarm.close",
                                       "core.alarm.ack",   "core.user.reset",   "core.user.grant" };
static const struct route *const TABLES[] = { ALARM_ROUTES, IDENTITY_ROUTES, JOBS_ROUTES,    NOTIFY_ROUTES,
                                              AUDIT_ROUTES, DECISION_ROUTES, OBSERVE_ROUTES, SUBJECT_ROUTES,
                                              CORE_ROUTES,  OVERVIEW_ROUTES, LEARN_ROUTES };
static const char *const ACTIONS[] = {
    "read", "create", "update", "delete", "import", "export", "sensitive"
};

static bool of_route(const char *permission)
{
    for (size_t i = 0; i < sizeof FURTHER / sizeof *FURTHER; i++)
        if (!strcmp(FURTHER[i], permission))
            return true;
    for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; i++)
        for (const struct route *route = TABLES[i]; route->method; route++)
            if (!strcmp(route->permission, permission))
                return true;
    return false;
}

static bool of_type(const struct shown *s, const char *permission)
{
    char full[2 * PACK_NAME_MAX + 2];
    const char *action = strrchr(permission, '.');
    if (!action || (size_t)(action - permission) >= sizeof full)
        return false;
    (void)snprintf(full, sizeof full, "%.*s", (int)(action - permission), permission);
    if (!entity_type_find(s->entity, full))
        return false;
    for (size_t i = 0; i < sizeof ACTIONS / sizeof *ACTIONS; i++)
        if (!strcmp(ACTIONS[i], action + 1))
            return true;
    return false;
}

static void check_permission(const struct shown *s, const char *pointer, const json_t *value)
{
    const char *permission = json_string_value(value);
    if (permission && !of_type(s, permission) && !of_route(permission))
        fault(s, pointer, "pack.no_permission", permission);
}

/* The line "-- permission NAME" in the head of a query. */
static void check_query(const struct shown *s)
{
    const struct str mark = STR("-- permission ");
    const ptrdiff_t at = str_find(s->file->text, mark);
    char name[120];
    if (at < 0)
        return;
    struct str rest = str_slice(s->file->text, (size_t)at + mark.len, s->file->text.len), line;
    if (!str_cut(&rest, '\n', &line))
        line = rest;
    (void)snprintf(name, sizeof name, "%.*s", STR_ARG(str_trim(line)));
    if (!of_type(s, name) && !of_route(name))
        pack_finding(s->findings, s->pack, s->file, at, ERR_INVALID, "pack.no_permission", str_from(name));
}

/* ---- the menu ---- */

/* The file of "NAME" in the own pack, or of "PACK.NAME". */
static bool file_there(const struct shown *s, enum pack_folder folder, const char *named)
{
    struct str rest = str_from(named), name;
    const struct pack *pack = s->pack;
    if (str_find(rest, STR(".")) >= 0 && str_cut(&rest, '.', &name))
        pack = packs_find(s->packs, name);
    return pack && pack_file_find(pack, folder, rest);
}

static void check_menu(const struct shown *s, const json_t *items, const char *pointer, int depth)
{
    for (size_t i = 0; i < json_array_size(items) && depth < 4; i++) {
        const json_t *item = json_array_get(items, i);
        const char *type = json_string_value(json_object_get(item, "type"));
        const char *page = json_string_value(json_object_get(item, "page"));
        char at[200], below[220];
        (void)snprintf(at, sizeof at, "%s/%zu", pointer, i);
        if (type && !entity_type_find(s->entity, type))
            fault(s, at, "type.no_type", type);
        if (page && !file_there(s, PACK_PAGES, page))
            fault(s, at, "pack.no_page", page);
        (void)snprintf(below, sizeof below, "%s/permission", at);
        check_permission(s, below, json_object_get(item, "permission"));
        (void)snprintf(below, sizeof below, "%s/items", at);
        check_menu(s, json_object_get(item, "items"), below, depth + 1);
    }
}

/* ---- pages ---- */

static void on_fault(void *arg, const char *pointer, const char *id, const char *what)
{
    fault(arg, pointer, id, what);
}

static void check_fields(const struct shown *s, const struct entity_type *type, const json_t *names,
                         const char *pointer)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        char at[260];
        const char *name = json_string_value(json_array_get(names, i));
        (void)snprintf(at, sizeof at, "%s/%zu", pointer, i);
        if (name && type_field(type, str_from(name)) < 0)
            fault(s, at, "pack.no_field", name);
    }
}

static void check_widget(const struct shown *s, const json_t *widget, size_t place)
{
    char at[220];
    const char *query = json_string_value(json_object_get(widget, "query"));
    const char *full = json_string_value(json_object_get(widget, "type"));
    const struct entity_type *type = full ? entity_type_find(s->entity, full) : NULL;
    (void)snprintf(at, sizeof at, "/widgets/%zu/query", place);
    if (query && !file_there(s, PACK_QUERIES, query))
        fault(s, at, "pack.no_query", query);
    (void)snprintf(at, sizeof at, "/widgets/%zu/type", place);
    if (full && !type)
        fault(s, at, "type.no_type", full);
    if (!type)
        return;
    static const char *const lists[] = { "columns", "fields" };
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(at, sizeof at, "/widgets/%zu/%s", place, lists[i]);
        check_fields(s, type, json_object_get(widget, lists[i]), at);
    }
}

static enum err_code check_page(struct shown *s, const json_t *schema, struct err *err)
{
    const json_t *widgets = json_object_get(s->file->json, "widgets");
    const enum err_code rc = schema_check(schema, s->file->json, on_fault, s, err);
    check_permission(s, "/permission", json_object_get(s->file->json, "permission"));
    for (size_t i = 0; i < json_array_size(widgets); i++)
        check_widget(s, json_array_get(widgets, i), i);
    return rc;
}

enum err_code pack_check_shown(const struct packs *packs, const struct entity *entity,
                               struct findings *findings, struct err *err)
{
    const struct pack *pack = packs_at(packs, packs_count(packs) - 1);
    const struct pack_file manifest = { .path = STR("pack.json"), .text = pack->text };
    struct shown s = { packs, pack, entity, findings, &manifest };
    check_menu(&s, json_object_get(pack->json, "menu"), "/menu", 0);
    json_t *schema = json_loadb((const char *)PAGE_SCHEMA, PAGE_SCHEMA_SIZE, 0, NULL);
    enum err_code rc = schema ? ERR_OK : err_nomem(err);
    for (int i = 0; !rc && i < pack->files_count; i++) {
        s.file = &pack->files[i];
        if (s.file->folder == PACK_PAGES && s.file->json)
            rc = check_page(&s, schema, err);
        else if (s.file->folder == PACK_QUERIES)
            check_query(&s);
    }
    json_decref(schema);
    return rc;
}
