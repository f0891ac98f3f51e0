/* core.c - the routes that belong to no room: words and menu, gathered from all packs. */
#include "cmd/app.h"
#include "platform/identity/principal.h"
#include "platform/pack/pack.h"

#include <inttypes.h>
#include <string.h>

static void put_word(void *arg, struct str key, struct str text)
{
    (void)json_object_setn_new(arg, key.ptr, key.len, json_stringn(text.ptr, text.len));
}

/* GET /api/v1/core/words?lang=zh-CN|en: every word of the server and of the packs, by key. */
static enum err_code words_get_all(struct request *req, struct reply *reply, struct err *err)
{
    const struct app *app = req->ctx;
    const struct str wanted = request_query(req, "lang");
    const enum lang lang = wanted.len ? lang_from(wanted) : req->lang;
    json_t *all = json_object();
    words_each(app->words, lang, put_word, all);
    const size_t size = json_dumpb(all, NULL, 0, JSON_COMPACT | JSON_SORT_KEYS);
    char *text = size ? arena_alloc(req->arena, 1, size) : NULL;
    if (text)
        (void)json_dumpb(all, text, size, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(all);
    if (!text)
        return err_nomem(err);
    const struct str body = { text, size };
    const struct str tag = arena_printf(req->arena, "\"%016" PRIx64 "\"", str_hash(body));
    reply_header(reply, "ETag", tag);
    reply_header(reply, "Cache-Control", STR("no-cache"));
    if (str_eq(request_header(req, "If-None-Match"), tag)) {
        reply_empty(reply);
        reply->status = 304;
        return ERR_OK;
    }
    reply_json_text(reply, body);
    return ERR_OK;
}

struct picking {
    const struct packs *packs;
    const struct principal *who;
    struct arena *arena;
};

/* The page that an entry leads to ("hotline.today"), or NULL. */
static const json_t *page_of(const struct packs *packs, const json_t *item)
{
    const char *name = json_string_value(json_object_get(item, "page"));
    const char *dot = name ? strchr(name, '.') : NULL;
    const struct pack *pack = dot ? packs_find(packs, (struct str) { name, (size_t)(dot - name) }) : NULL;
    const struct pack_file *file = pack ? pack_file_find(pack, PACK_PAGES, str_from(dot + 1)) : NULL;
    return file ? file->json : NULL;
}

/* An entry is shown when its permission is held: its own, or that of its page, or that to read its type. */
static bool shows(const struct picking *p, const json_t *item)
{
    const char *permission = json_string_value(json_object_get(item, "permission"));
    const char *type = json_string_value(json_object_get(item, "type"));
    if (!permission)
        permission = json_string_value(json_object_get(page_of(p->packs, item), "permission"));
    if (permission && *permission && !principal_may(p->who, str_from(permission)))
        return false;
    if (permission || !type)
        return true;
    const struct str read = arena_printf(p->arena, "%s.read", type);
    return read.ptr && principal_may(p->who, read);
}

/* A copy of the entries that this user may see; a page's own title is used unless the entry has one; groups
 * that become empty are left out. */
static json_t *pick(const struct picking *p, const json_t *items, int depth)
{
    json_t *out = json_array(), *item;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)items, i, item)
    {
        if (!json_is_object(item) || !shows(p, item))
            continue;
        const json_t *below = json_object_get(item, "items");
        json_t *copy = json_copy(item), *title = json_object_get(page_of(p->packs, item), "title");
        if (title && !json_object_get(item, "title"))
            (void)json_object_set(copy, "title", title);
        if (below && depth < 4) {
            json_t *picked = pick(p, below, depth + 1);
            const bool empty = json_array_size(picked) == 0;
            (void)json_object_set_new(copy, "items", picked);
            if (empty) {
                json_decref(copy);
                continue;
            }
        }
        (void)json_array_append_new(out, copy);
    }
    return out;
}

/* Groups of the same `id` (or title) of several packs become one. */
static json_t *group_for(json_t *menu, const json_t *group)
{
    json_t *one;
    size_t i;
    const json_t *id = json_object_get(group, "id");
    json_array_foreach(menu, i,
                       one) if ((id && json_equal((json_t *)(uintptr_t)id, json_object_get(one, "id"))) ||
                                (!id && json_equal(json_object_get(group, "title"),
                                                   json_object_get(one, "title")))) return one;
    return NULL;
}

/* Behind those of a lower or equal `order` (100 when a group has none). */
static void insert_group(json_t *menu, json_t *group)
{
    const json_t *own = json_object_get(group, "order");
    const json_int_t order = own ? json_integer_value(own) : 100;
    size_t at = json_array_size(menu);
    for (; at; at--) {
        const json_t *other = json_object_get(json_array_get(menu, at - 1), "order");
        if ((other ? json_integer_value(other) : 100) <= order)
            break;
    }
    (void)json_array_insert_new(menu, at, group);
}

/* GET /api/v1/core/menu */
static enum err_code menu_get(struct request *req, struct reply *reply, struct err *err)
{
    const struct app *app = req->ctx;
    const struct picking picking = { .packs = app->packs, .who = req->who, .arena = req->arena };
    json_t *menu = json_array();
    for (int i = 0; app->packs && i < packs_count(app->packs); i++) {
        const json_t *own = json_object_get(packs_at(app->packs, i)->json, "menu");
        json_t *picked = own ? pick(&picking, own, 0) : json_array(), *group;
        size_t k;
        json_array_foreach(picked, k, group)
        {
            json_t *there = group_for(menu, group);
            if (there && json_object_get(there, "items") && json_object_get(group, "items"))
                (void)json_array_extend(json_object_get(there, "items"), json_object_get(group, "items"));
            else
                insert_group(menu, json_incref(group));
        }
        json_decref(picked);
    }
    return reply_json(reply, json_pack("{s:o}", "items", menu), err);
}

const struct route CORE_ROUTES[] = {
    { "GET", "/api/v1/core/words", "", words_get_all, 0 },
    { "GET", "/api/v1/core/menu", "*", menu_get, ROUTE_EARLY },
    { 0 },
};
