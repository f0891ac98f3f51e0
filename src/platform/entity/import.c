/* import.c - see table.h; also the data files of packs. */
#include "base/charset.h"
#include "base/csv.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "platform/bus/broadcast.h"
#include "platform/entity/importing.h"
#include "platform/entity/table.h"

/* ---- faults, with line and column ---- */

static void fault_at(struct importing *m, int column, struct err *one)
{
    const struct csv_record *row = m->row;
    one->code = ERR_INVALID;
    one->at.line = column < row->count ? row->lines[column] : row->line;
    one->at.column = column < row->count ? row->columns[column] : 1;
    if (column < m->columns && m->fields[column] >= 0)
        (void)snprintf(one->at.pointer, sizeof one->at.pointer, "/%.*s",
                       STR_ARG(m->type->fields[m->fields[column]].name));
    findings_add(m->call.findings, one);
}

static void fault(struct importing *m, int column, const char *id, struct str value)
{
    struct err one;
    (void)err_set(&one, ERR_INVALID, id, ARG_STR("value", value), ARG_END);
    fault_at(m, column, &one);
}

int import_column(const struct importing *m, const char *pointer)
{
    struct str name = str_from(pointer), first = { 0 };
    if (name.len && name.ptr[0] == '/')
        name = str_slice(name, 1, name.len);
    if (name.len)
        (void)str_cut(&name, '/', &first);
    for (int i = 0; i < m->columns; i++)
        if (m->fields[i] >= 0 && str_eq(m->type->fields[m->fields[i]].name, first))
            return i;
    return 0;
}

/* ---- the header ---- */

static int field_named(const struct entity_type *type, struct str name)
{
    const int field = type_field(type, name);
    for (int i = COLUMN_OWN; field < 0 && i < type->fields_count; i++)
        for (int lang = 0; lang < LANG__COUNT; lang++)
            if (str_eq_nocase(type->fields[i].title[lang], name))
                return i;
    return field;
}

static bool is_key(const struct entity_type *type, int field)
{
    for (int i = 0; i < type->key.count; i++)
        if (type->key.fields[i] == field)
            return true;
    return false;
}

void import_header(struct importing *m, const struct csv_record *header)
{
    m->row = header;
    m->columns = header->count;
    for (int i = 0; i < header->count; i++) {
        const struct str name = str_trim(header->fields[i]);
        const int field = field_named(m->type, name);
        m->fields[i] = field;
        if (field < 0)
            fault(m, i, "entity.unknown_column", name);
        for (int n = 0; n < i; n++)
            if (field >= 0 && m->fields[n] == field)
                fault(m, i, "entity.column_twice", name);
        /* what the engine sets is in an export and is passed over, but for the key that finds the record */
        if (field >= 0 && !is_key(m->type, field) &&
            (m->type->fields[field].standard ||
             (m->type->fields[field].read_only && !call_is_engine(&m->call))))
            m->fields[i] = -1;
    }
}

/* ---- a row ---- */

static enum err_code reference_json(struct importing *m, const struct shape *shape, struct str key,
                                    int column, json_t **out, struct err *err)
{
    int64_t id = 0;
    char text[24];
    const bool limited = reference_limited(&m->call, shape), memo = m->call.bulk && !limited;
    const size_t slot = str_hash(key) % BULK_KNOWN;
    bool found = memo && m->bulk.keys[slot].shape == shape && str_eq(str_from(m->bulk.keys[slot].key), key);
    enum err_code rc = ERR_OK;
    if (found)
        id = m->bulk.keys[slot].id;
    else
        rc = reference_find(m->tx, shape, key, &id, &found, err);
    if (!rc && found && limited)
        rc = reference_reached(&m->call, m->tx, shape, id, &found, err);
    if (rc)
        return rc;
    if (found && memo && key.len < sizeof m->bulk.keys[slot].key) {
        m->bulk.keys[slot].shape = shape;
        m->bulk.keys[slot].id = id;
        (void)snprintf(m->bulk.keys[slot].key, sizeof m->bulk.keys[slot].key, "%.*s", STR_ARG(key));
    }
    if (!found) {
        fault(m, column, "entity.no_reference", key);
        *out = json_null();
        return ERR_OK;
    }
    (void)snprintf(text, sizeof text, "%lld", (long long)id);
    *out = json_string(text);
    return *out ? ERR_OK : err_nomem(err);
}

static enum err_code references_json(struct importing *m, const struct shape *items, struct str cell,
                                     int column, json_t **out, struct err *err)
{
    json_t *list = json_array();
    struct str part;
    enum err_code rc = list ? ERR_OK : err_nomem(err);
    while (!rc && cell.len && str_cut(&cell, ';', &part)) {
        json_t *one = NULL;
        part = str_trim(part);
        if (part.len)
            rc = reference_json(m, items, part, column, &one, err);
        if (!rc && one)
            json_array_append_new(list, one);
    }
    if (rc)
        json_decref(list);
    else
        *out = list;
    return rc;
}

static enum err_code cell_value(struct importing *m, int column, struct str cell, json_t **out,
                                struct err *err)
{
    const struct entity_field *field = &m->type->fields[m->fields[column]];
    const struct shape *items = field->shape.items;
    struct err one = { 0 };
    cell = str_trim(cell);
    if (cell.len && field->kind == VALUE_REF && field->shape.ref.len)
        return reference_json(m, &field->shape, cell, column, out, err);
    if (cell.len && items && items->ref.len && field->shape.type == SHAPE_ARRAY)
        return references_json(m, items, cell, column, out, err);
    const enum err_code rc = cell_json(field, cell, out, &one);
    if (rc != ERR_INVALID) {
        if (rc && err)
            *err = one;
        return rc;
    }
    fault_at(m, column, &one);
    *out = json_null();
    return ERR_OK;
}

/* The row as a record; *key is its natural key as references write it, empty when a part is missing. */
static enum err_code row_record(struct importing *m, json_t **out, struct str *key, struct err *err)
{
    json_t *record = json_object();
    struct buf text;
    bool whole = m->type->key.count > 0;
    enum err_code rc = record ? ERR_OK : err_nomem(err);
    for (int i = 0; !rc && i < m->row->count && i < m->columns; i++) {
        json_t *value = NULL;
        if (m->fields[i] < 0)
            continue;
        rc = cell_value(m, i, m->row->fields[i], &value, err);
        if (!rc)
            json_object_set_new(record, m->type->fields[m->fields[i]].name.ptr, value);
    }
    buf_init(&text, 4000);
    for (int n = 0; n < m->type->key.count; n++) {
        struct str part = { 0 };
        for (int i = 0; i < m->row->count && i < m->columns; i++)
            if (m->fields[i] == m->type->key.fields[n])
                part = str_trim(m->row->fields[i]);
        whole = whole && part.len;
        if (n)
            buf_char(&text, '|');
        buf_str(&text, part);
    }
    *key = whole ? arena_str(m->call.arena, buf_get(&text)) : (struct str) { 0 };
    if (!rc && whole && !key->ptr)
        rc = err_nomem(err);
    buf_done(&text);
    if (rc)
        json_decref(record);
    else
        *out = record;
    return rc;
}

/* What the engine sets cannot be said by others, though it may find the record. */
static void drop_read_only(const struct importing *m, json_t *record)
{
    for (int i = 0; i < m->columns && !call_is_engine(&m->call); i++)
        if (m->fields[i] >= 0 && m->type->fields[m->fields[i]].read_only)
            json_object_del(record, m->type->fields[m->fields[i]].name.ptr);
}

struct row_work {
    struct importing *m;
    json_t *record;
    struct str key;
};

static enum err_code row_fn(struct tx *tx, void *arg, struct err *err)
{
    struct row_work *work = arg;
    struct importing *m = work->m;
    struct table_import *import = m->import;
    const struct shape shape = { .ref_type = m->type };
    int64_t id = 0, version = 0;
    bool found = false, changed = false, edited = false;
    enum err_code rc = work->key.len ? reference_find(tx, &shape, work->key, &id, &found, err) : ERR_OK;
    if (!rc)
        drop_read_only(m, work->record);
    if (!rc && !found) {
        rc = entity_create(&m->call, tx, m->type, work->record, &id, err);
        if (!rc && import->pack.len)
            rc = pack_record_put(tx, id, import->pack, 1, err);
        import->created += !rc;
        return rc;
    }
    if (!rc && import->keep_edited)
        rc = pack_record_edited(tx, m->type, id, &edited, err);
    if (!rc && !edited && m->type->kind != TYPE_FACT)
        rc = record_change(&m->call, tx, m->type, id, 0, work->record, &version, &changed, err);
    if (!rc && changed && import->pack.len)
        rc = pack_record_put(tx, id, import->pack, version, err);
    import->updated += !rc && changed;
    import->unchanged += !rc && !changed;
    return rc;
}

/* The row's doing, not that of the store. */
bool import_refuses(enum err_code rc)
{
    return rc == ERR_INVALID || rc == ERR_CONFLICT || rc == ERR_FORBIDDEN || rc == ERR_LIMIT ||
           rc == ERR_NOT_FOUND;
}

/* A savepoint a row would make the search index write itself out after each.  So the rows run without, and
 * when one is refused the whole import, which then changes nothing anyway, runs again with them (m->careful).
 */
enum err_code import_row(struct importing *m, const struct csv_record *row, struct err *err)
{
    struct row_work work = { .m = m };
    struct findings *all = m->call.findings, own;
    struct err one = { 0 };
    const int before = all->count + all->more;
    m->row = row;
    if (row->count > m->columns)
        fault(m, m->columns, "entity.too_many_cells", (struct str) { 0 });
    enum err_code rc = row_record(m, &work.record, &work.key, err);
    if (rc || all->count + all->more > before) { /* told already; the rest of the row says nothing more */
        json_decref(work.record);
        return rc;
    }
    rc = findings_init(&own, m->call.arena, err);
    if (rc) {
        json_decref(work.record);
        return rc;
    }
    m->call.findings = &own;
    rc = m->careful ? tx_nested(m->tx, row_fn, &work, &one) : row_fn(m->tx, &work, &one);
    m->call.findings = all;
    json_decref(work.record);
    m->faulty = rc && !m->careful;
    if (m->faulty) {
        if (err)
            *err = one;
        return rc;
    }
    if (import_refuses(rc)) {
        for (int i = 0; i < own.count; i++)
            fault_at(m, import_column(m, own.items[i].at.pointer), &own.items[i]);
        if (!own.count)
            fault_at(m, import_column(m, one.at.pointer), &one);
        return ERR_OK;
    }
    if (rc && err)
        *err = one;
    return rc;
}

/* ---- all of it ---- */

static enum err_code import_rows(struct importing *m, struct csv_record *row, struct err *err)
{
    struct csv csv;
    bool end = false;
    csv_init(&csv, m->import->text);
    enum err_code rc = csv_next(&csv, m->call.arena, row, &end, err);
    if (!rc && end)
        rc = err_set(err, ERR_INVALID, "entity.no_header", ARG_END);
    if (!rc)
        import_header(m, row);
    while (!rc && !end && m->call.findings->count < FINDINGS_MAX) {
        const struct arena_mark mark = arena_mark(m->call.arena);
        rc = csv_next(&csv, m->call.arena, row, &end, err);
        if (!rc && !end && ++m->import->rows > TABLE_ROWS_MAX)
            rc = err_set(err, ERR_LIMIT, "entity.too_many_rows", ARG_INT("max", TABLE_ROWS_MAX), ARG_END);
        if (!rc && !end)
            rc = import_row(m, row, err);
        arena_release(m->call.arena, mark);
    }
    if (rc == ERR_INVALID && !m->faulty) { /* a fault of the CSV itself: what follows cannot be read */
        findings_add(m->call.findings, err);
        rc = ERR_OK;
    }
    return rc;
}

enum err_code import_tell(struct importing *m, int64_t rows, struct err *err)
{
    const struct entity_config *config = &m->call.entity->config;
    char json[160];
    if (!m->call.quiet || !config->bus)
        return ERR_OK;
    const int len = snprintf(json, sizeof json, "{\"type\":\"%.*s\",\"rows\":%lld}", STR_ARG(m->type->full),
                             (long long)rows);
    const struct bus_event event = { .topic = STR("record.imported"), .json = { json, (size_t)len } };
    return config->broadcast ? broadcast_add(config->broadcast, m->tx, &event, err)
                             : bus_publish_after(config->bus, m->tx, &event, err);
}

static enum err_code import_fn(struct tx *tx, void *arg, struct err *err)
{
    struct importing *m = arg;
    struct table_import *import = m->import;
    struct csv_record *row = mem_alloc(1, sizeof *row);
    m->tx = tx;
    m->call.findings->count = m->call.findings->more = 0; /* it may run twice */
    m->faulty = false;
    memset(&m->bulk, 0, sizeof m->bulk);
    m->call.bulk = m->careful ? NULL : &m->bulk;
    import->rows = import->created = import->updated = import->unchanged = 0;
    enum err_code rc = row ? import_rows(m, row, err) : err_nomem(err);
    mem_free(row);
    if (!rc && m->call.bulk)
        rc = tx_settle(tx, err);
    if (!rc && m->call.findings->count) {
        if (err)
            *err = m->call.findings->items[0];
        rc = ERR_INVALID;
    }
    if (!rc)
        rc = import_tell(m, import->rows, err);
    if (!rc && import->dry_run)
        rc = err_set(err, ERR_CANCELLED, "entity.dry_run", ARG_END);
    return rc;
}

static int64_t count_lines(struct str text)
{
    int64_t lines = 0;
    for (size_t i = 0; i < text.len; i++)
        lines += text.ptr[i] == '\n';
    return lines;
}

static enum err_code add_piece(void *arg, struct str piece, struct err *err)
{
    buf_str(arg, piece);
    return buf_check(arg, err);
}

/* What a spreadsheet saved, as UTF-8: import->text itself, or turned into `room`. */
static enum err_code read_text(const struct entity_call *call, struct table_import *import, struct buf *room,
                               struct err *err)
{
    enum charset charset = CHARSET_UTF8;
    enum err_code rc = charset_find(import->text, &charset, err);
    if (rc == ERR_INVALID)
        findings_add(call->findings, err);
    import->charset = charset_name(charset);
    if (rc || charset == CHARSET_UTF8)
        return rc;
    rc = charset_each(import->text, charset, add_piece, room, err);
    import->text = buf_get(room);
    return rc;
}

static enum err_code import_text(const struct entity_call *call, const struct entity_type *type,
                                 struct table_import *import, struct err *err)
{
    struct importing *m = mem_alloc(1, sizeof *m);
    if (!m)
        return err_nomem(err);
    *m = (struct importing) { .call = *call, .type = type, .import = import };
    m->call.quiet = count_lines(import->text) > TABLE_EVENTS_MAX;
    enum err_code rc = store_write(call->entity->config.store, import_fn, m, err);
    /* again, to tell every fault there is; that of a posted row came with no finding */
    if (import_refuses(rc) && (m->faulty || !m->call.findings->count)) {
        m->careful = true;
        m->call.bulk = NULL;
        rc = store_write(call->entity->config.store, import_fn, m, err);
    }
    if (rc == ERR_CANCELLED && import->dry_run)
        rc = ERR_OK;
    mem_free(m);
    return rc;
}

enum err_code entity_import(const struct entity_call *call, const struct entity_type *type,
                            struct table_import *import, struct err *err)
{
    const struct str given = import->text;
    struct buf room;
    buf_init(&room, 2 * TABLE_BYTES_MAX); /* two bytes become three */
    enum err_code rc = call_may(call, type, "import", err);
    if (!rc)
        rc = read_text(call, import, &room, err);
    if (!rc)
        rc = import_text(call, type, import, err);
    import->text = given;
    buf_done(&room);
    return rc;
}

/* ---- data of packs ---- */

/* "10-core.dictionary" -> the type; NULL when there is none. */
const struct entity_type *data_file_type(const struct entity *entity, const struct pack *pack,
                                         const struct pack_file *file)
{
    struct str name = file->name;
    char full[2 * PACK_NAME_MAX + 2];
    size_t digits = 0;
    while (digits < name.len && name.ptr[digits] >= '0' && name.ptr[digits] <= '9')
        digits++;
    if (digits && digits < name.len && name.ptr[digits] == '-')
        name = str_slice(name, digits + 1, name.len);
    if (str_find(name, STR(".")) >= 0)
        (void)snprintf(full, sizeof full, "%.*s", STR_ARG(name));
    else
        (void)snprintf(full, sizeof full, "%.*s.%.*s", STR_ARG(pack->name), STR_ARG(name));
    return entity_type_find(entity, full);
}

static void checksum(struct str text, char out[DIGEST_HEX_SIZE])
{
    unsigned char bytes[DIGEST_SIZE];
    digest(DIGEST_SHA256, text, bytes);
    hex_put(bytes, DIGEST_SIZE, out);
}

static enum err_code load_file(struct entity *entity, const struct pack *pack, const struct pack_file *file,
                               struct findings *findings, struct err *err)
{
    char sum[DIGEST_HEX_SIZE];
    bool same = false, known = false;
    const struct entity_type *type = data_file_type(entity, pack, file);
    if (!type) {
        pack_finding(findings, pack, file, -1, ERR_INVALID, "type.no_type", file->name);
        return ERR_OK;
    }
    checksum(file->text, sum);
    enum err_code rc = pack_data_seen(entity, pack->name, file->path, str_from(sum), &known, &same, err);
    if (rc || same || (known && !type->key.count)) /* without a key its rows cannot be found again */
        return rc;
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)256 << 20);
    struct findings own = { 0 };
    struct entity_call call = { .entity = entity, .lang = LANG_EN, .arena = arena, .findings = &own };
    struct table_import import = { .text = file->text, .keep_edited = true, .pack = pack->name };
    rc = arena ? findings_init(&own, arena, err) : err_nomem(err);
    if (!rc)
        rc = entity_import(&call, type, &import, err);
    if (rc == ERR_INVALID) {
        for (int i = 0; i < own.count; i++) {
            char text[ERR_TEXT_MAX + 1];
            const struct str said = err_text(arena, &own.items[i], entity->config.words, LANG_EN);
            (void)snprintf(text, sizeof text, "%.*s", STR_ARG(said));
            pack_finding(findings, pack, file, -1, ERR_INVALID, "pack.data", str_from(text));
        }
        return ERR_OK;
    }
    if (!rc)
        rc = pack_data_put(entity, pack->name, file->path, str_from(sum), import.rows, err);
    if (!rc)
        log_line(LOG_INFO, "pack.data", "%.*s/%.*s: %lld rows, %lld new, %lld changed", STR_ARG(pack->name),
                 STR_ARG(file->path), (long long)import.rows, (long long)import.created,
                 (long long)import.updated);
    return rc;
}

enum err_code entity_load_data(struct entity *entity, bool demo, struct findings *findings, struct err *err)
{
    const int before = findings->count + findings->more;
    const int64_t deadline = store_deadline_get();
    enum err_code rc = ERR_OK;
    for (int folder = PACK_DATA; !rc && folder <= (demo ? PACK_DEMO : PACK_DATA); folder++)
        for (int p = 0; !rc && p < packs_count(entity->config.packs); p++) {
            const struct pack *pack = packs_at(entity->config.packs, p);
            for (int i = 0; !rc && i < pack->files_count; i++)
                if (pack->files[i].folder == (enum pack_folder)folder &&
                    str_eq(pack->files[i].ending, STR("csv"))) {
                    store_deadline_set(clock_mono(&CLOCK_SYSTEM) + 300000);
                    rc = load_file(entity, pack, &pack->files[i], findings, err);
                }
        }
    store_deadline_set(deadline);
    if (!rc && findings->count + findings->more > before)
        rc = err_set(err, ERR_INVALID, "entity.data_bad", ARG_INT("n", findings->count + findings->more),
                     ARG_END);
    return rc;
}
