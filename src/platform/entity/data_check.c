/* data_check.c - the data files of packs against their types, without a store: what a load would refuse.
 *
 * First all natural keys of all files are collected, then every row is looked at: its columns, its cells,
 * what it lacks, a key that stands twice in a file, and references whose type brings data but not that key.
 */
#include "platform/entity/importing.h"

#define FILE_FAULTS_MAX 20 /* of one file; it is told that there are more */

/* Natural keys of a type, as hashes: a set with open addressing. */
struct keys {
    uint64_t *slots;
    size_t size, count;
};

struct data_check {
    struct entity *entity;
    struct arena *arena;
    struct findings *findings;
    struct keys keys;
    bool *brings; /* by number_in_types: some file has rows of it */
    const struct pack *pack;
    const struct pack_file *file;
    int faults;
};

static uint64_t hash_of(const struct entity_type *type, struct str key, uint64_t salt)
{
    const uint64_t hash = str_hash(key) * UINT64_C(0x9e3779b97f4a7c15);
    const uint64_t mixed = (hash ^ (uint64_t)type->number_in_types * UINT64_C(0xc2b2ae3d27d4eb4f)) + salt;
    return mixed ? mixed : 1;
}

/* True when it was there already. */
static bool put_key(struct keys *keys, uint64_t hash)
{
    size_t at = hash & (keys->size - 1);
    for (; keys->slots[at]; at = (at + 1) & (keys->size - 1))
        if (keys->slots[at] == hash)
            return true;
    if (keys->count * 2 < keys->size) {
        keys->slots[at] = hash;
        keys->count++;
    }
    return false;
}

static bool has_key(const struct keys *keys, uint64_t hash)
{
    for (size_t at = hash & (keys->size - 1); keys->slots[at]; at = (at + 1) & (keys->size - 1))
        if (keys->slots[at] == hash)
            return true;
    return false;
}

static void fault(struct data_check *d, int line, int column, struct err *why)
{
    struct err one = { 0 };
    char where[ERR_TEXT_MAX + 1];
    if (d->faults++ >= FILE_FAULTS_MAX) {
        d->findings->more++;
        return;
    }
    why->at.line = why->at.column = 0;
    const struct str said = err_text(d->arena, why, d->entity->config.words, LANG_EN);
    (void)snprintf(where, sizeof where, "%.*s/%.*s:%d:%d", STR_ARG(d->pack->name), STR_ARG(d->file->path),
                   line, column);
    (void)err_set(&one, ERR_INVALID, "pack.data", ARG_TEXT("file", where), ARG_STR("what", said), ARG_END);
    findings_add(d->findings, &one);
}

static void fault_id(struct data_check *d, const struct csv_record *row, int column, const char *id,
                     struct str value)
{
    struct err why;
    (void)err_set(&why, ERR_INVALID, id, ARG_STR("value", value), ARG_END);
    fault(d, column < row->count ? row->lines[column] : row->line,
          column < row->count ? row->columns[column] : 1, &why);
}

/* ---- one row ---- */

/* The natural key as references write it; empty when a part is missing. */
static struct str row_key(const struct importing *m, const struct csv_record *row, struct buf *text)
{
    buf_clear(text);
    for (int n = 0; n < m->type->key.count; n++) {
        struct str part = { 0 };
        for (int i = 0; i < row->count && i < m->columns; i++)
            if (m->fields[i] == m->type->key.fields[n])
                part = str_trim(row->fields[i]);
        if (!part.len)
            return (struct str) { 0 };
        if (n)
            buf_char(text, '|');
        buf_str(text, part);
    }
    return m->type->key.count ? buf_get(text) : (struct str) { 0 };
}

/* An id that looks like one stands for the reference, as the store's are not known. */
static json_t *reference(struct data_check *d, const struct csv_record *row, int column,
                         const struct shape *shape, struct str key, int place)
{
    char id[24];
    const struct entity_type *type = shape->ref_type;
    if (type && d->brings[type->number_in_types] && !has_key(&d->keys, hash_of(type, key, 0)))
        fault_id(d, row, column, "entity.no_reference", key);
    (void)snprintf(id, sizeof id, "%d", place + 1);
    return json_string(id);
}

static json_t *references(struct data_check *d, const struct csv_record *row, int column,
                          const struct shape *items, struct str cell)
{
    json_t *list = json_array();
    struct str part;
    for (int place = 0; cell.len && str_cut(&cell, ';', &part); place++)
        if (str_trim(part).len)
            json_array_append_new(list, reference(d, row, column, items, str_trim(part), place));
    return list;
}

static enum err_code read_cell(struct data_check *d, const struct importing *m, const struct csv_record *row,
                               int column, json_t **out, struct err *err)
{
    const struct entity_field *field = &m->type->fields[m->fields[column]];
    const struct shape *items = field->shape.items;
    const struct str cell = str_trim(row->fields[column]);
    struct err why = { 0 };
    if (cell.len && field->kind == VALUE_REF && field->shape.ref.len) {
        *out = reference(d, row, column, &field->shape, cell, 0);
        return ERR_OK;
    }
    if (cell.len && items && items->ref.len && field->shape.type == SHAPE_ARRAY) {
        *out = references(d, row, column, items, cell);
        return ERR_OK;
    }
    const enum err_code rc = cell_json(field, cell, out, &why);
    if (rc && rc != ERR_INVALID) {
        *err = why;
        return rc;
    }
    if (rc) {
        fault(d, row->lines[column], row->columns[column], &why);
        *out = json_null();
    }
    return ERR_OK;
}

static enum err_code check_row(struct data_check *d, struct importing *m, const struct csv_record *row,
                               struct err *err)
{
    struct value values[TYPE_FIELDS_MAX];
    struct findings found = { 0 };
    const int before = d->faults;
    json_t *record = json_object();
    enum err_code rc = record ? findings_init(&found, d->arena, err) : err_nomem(err);
    if (row->count > m->columns)
        fault_id(d, row, m->columns, "entity.too_many_cells", (struct str) { 0 });
    for (int i = 0; !rc && i < row->count && i < m->columns; i++) {
        json_t *value = NULL;
        if (m->fields[i] < 0)
            continue;
        rc = read_cell(d, m, row, i, &value, err);
        if (!rc)
            json_object_set_new(record, m->type->fields[m->fields[i]].name.ptr, value);
    }
    if (!rc && d->faults == before) {
        struct err why = { 0 };
        rc = fields_read(m->type, record, FIELDS_CREATE | FIELDS_ENGINE, d->arena, &found, values, &why);
        for (int i = 0; rc == ERR_INVALID && i < found.count; i++) {
            const int column = import_column(m, found.items[i].at.pointer);
            fault(d, column < row->count ? row->lines[column] : row->line,
                  column < row->count ? row->columns[column] : 1, &found.items[i]);
        }
        rc = rc == ERR_INVALID ? ERR_OK : rc;
    }
    json_decref(record);
    return rc;
}

/* ---- files ---- */

typedef enum err_code (*row_fn)(struct data_check *d, struct importing *m, const struct csv_record *row,
                                struct err *err);

static enum err_code collect_row(struct data_check *d, struct importing *m, const struct csv_record *row,
                                 struct err *err)
{
    struct buf text;
    (void)err;
    buf_init(&text, 4000);
    const struct str key = row_key(m, row, &text);
    d->brings[m->type->number_in_types] = true;
    if (key.len)
        (void)put_key(&d->keys, hash_of(m->type, key, 0));
    buf_done(&text);
    return ERR_OK;
}

static enum err_code look_row(struct data_check *d, struct importing *m, const struct csv_record *row,
                              struct err *err)
{
    struct buf text;
    buf_init(&text, 4000);
    const struct str key = row_key(m, row, &text);
    const uint64_t file = str_hash(d->file->path) ^ str_hash(d->pack->name);
    if (key.len && put_key(&d->keys, hash_of(m->type, key, file | 1)))
        fault_id(d, row, import_column(m, ""), "entity.key_twice", key);
    buf_done(&text);
    return check_row(d, m, row, err);
}

static enum err_code each_row(struct data_check *d, const struct entity_type *type, row_fn fn, bool tell,
                              struct err *err)
{
    struct csv csv;
    bool end = false;
    struct err why = { 0 };
    struct findings found = { 0 };
    struct importing *m = mem_alloc(1, sizeof *m);
    struct csv_record *row = mem_alloc(1, sizeof *row);
    enum err_code rc = m && row ? findings_init(&found, d->arena, err) : err_nomem(err);
    if (!rc) {
        *m = (struct importing) { .call = { .entity = d->entity, .arena = d->arena, .findings = &found },
                                  .type = type };
        csv_init(&csv, d->file->text);
        rc = csv_next(&csv, d->arena, row, &end, &why);
        if (!rc && end)
            rc = err_set(&why, ERR_INVALID, "entity.no_header", ARG_END);
        if (!rc)
            import_header(m, row);
    }
    for (int i = 0; tell && i < found.count; i++)
        fault(d, found.items[i].at.line, found.items[i].at.column, &found.items[i]);
    while (!rc && !end && !found.count) {
        const struct arena_mark mark = arena_mark(d->arena);
        rc = csv_next(&csv, d->arena, row, &end, &why);
        if (!rc && !end)
            rc = fn(d, m, row, &why);
        arena_release(d->arena, mark);
    }
    mem_free(m);
    mem_free(row);
    if (rc == ERR_INVALID) { /* of the CSV itself: what follows cannot be read */
        if (tell)
            fault(d, why.at.line, why.at.column, &why);
        return ERR_OK;
    }
    if (rc && err)
        *err = why;
    return rc;
}

static enum err_code each_file(struct data_check *d, row_fn fn, bool tell, struct err *err)
{
    const struct packs *packs = d->entity->config.packs;
    enum err_code rc = ERR_OK;
    for (int p = 0; !rc && p < packs_count(packs); p++) {
        d->pack = packs_at(packs, p);
        for (int i = 0; !rc && i < d->pack->files_count; i++) {
            d->file = &d->pack->files[i];
            if ((d->file->folder != PACK_DATA && d->file->folder != PACK_DEMO) ||
                !str_eq(d->file->ending, STR("csv")))
                continue;
            const struct entity_type *type = data_file_type(d->entity, d->pack, d->file);
            d->faults = 0;
            if (type)
                rc = each_row(d, type, fn, tell, err);
            else if (tell)
                pack_finding(d->findings, d->pack, d->file, -1, ERR_INVALID, "type.no_type", d->file->name);
        }
    }
    return rc;
}

static size_t lines_of(const struct entity *entity)
{
    size_t lines = 0;
    for (int p = 0; p < packs_count(entity->config.packs); p++) {
        const struct pack *pack = packs_at(entity->config.packs, p);
        for (int i = 0; i < pack->files_count; i++)
            for (size_t at = 0; at < pack->files[i].text.len; at++)
                lines += pack->files[i].text.ptr[at] == '\n';
    }
    return lines;
}

enum err_code entity_check_data(struct entity *entity, struct findings *findings, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)256 << 20);
    struct data_check d = { .entity = entity, .arena = arena, .findings = findings };
    if (!arena)
        return err_nomem(err);
    for (d.keys.size = 1024; d.keys.size < lines_of(entity) * 5;)
        d.keys.size *= 2;
    d.keys.slots = arena_alloc(arena, d.keys.size, sizeof *d.keys.slots);
    d.brings = arena_alloc(arena, (size_t)types_count(entity->types) + 1, sizeof *d.brings);
    if (!d.keys.slots || !d.brings)
        return err_nomem(err);
    const enum err_code rc = each_file(&d, collect_row, false, err);
    return rc ? rc : each_file(&d, look_row, true, err);
}
