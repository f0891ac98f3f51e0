/* xlsx.c - a decision table as a sheet: one row of headings, one row a rule.
 *
 * Writing is libxlsxwriter's; reading takes the sheet's XML out of the zip (libzip) and walks it with the
 * hardened reader of base/xml.  The model keeps everything but the rules of the table: only the <rule>
 * elements are replaced, in a tree of libxml2 made from a text that base/xml has accepted before. */
#include "platform/decision/internal.h"

#include "base/xml.h"

#include <assert.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <unistd.h>
#include <xlsxwriter.h>
#include <zip.h>

#define SHEET_BYTES_MAX ((size_t)64 << 20) /* of one part, unpacked */
#define RULES_MAX 100000
#define COLUMNS_MAX 200

static enum err_code find_table(struct arena *arena, struct str text, struct str decision,
                                const struct dmn_table **out, const struct dmn_element **out_element,
                                struct err *err)
{
    const struct dmn_file *file;
    const enum err_code rc = dmn_read(arena, text, &file, err);
    if (rc)
        return rc;
    for (int i = 0; i < file->element_count; i++) {
        const struct dmn_element *element = &file->elements[i];
        if (!str_eq(element->name, decision) || !element->expr)
            continue;
        const struct dmn_expr *expr = element->kind == DMN_BKM ? element->expr->items[0] : element->expr;
        if (expr && expr->kind == DMN_EXPR_TABLE) {
            *out = expr->table;
            *out_element = element;
            return ERR_OK;
        }
    }
    return err_set(err, ERR_NOT_FOUND, "decision.no_table", ARG_STR("name", decision), ARG_END);
}

/* -- writing ------------------------------------------------------------------------------------------- */

static const char *cell_text(struct arena *arena, struct str text)
{
    const struct str copy = arena_str(arena, text);
    return copy.ptr ? copy.ptr : "";
}

static void write_headings(lxw_worksheet *sheet, lxw_format *bold, struct arena *arena,
                           const struct dmn_table *table)
{
    lxw_col_t column = 0;
    for (int i = 0; i < table->input_count; i++, column++)
        (void)worksheet_write_string(sheet, 0, column, cell_text(arena, str_trim(table->inputs[i].expr.text)),
                                     bold);
    for (int i = 0; i < table->output_count; i++, column++) {
        const struct dmn_output *output = &table->outputs[i];
        const struct str name = output->name.len > 0    ? output->name
                                : output->label.len > 0 ? output->label
                                                        : STR("=");
        (void)worksheet_write_string(sheet, 0, column, cell_text(arena, name), bold);
    }
    for (int i = 0; i < table->annotation_count; i++, column++)
        (void)worksheet_write_string(sheet, 0, column, cell_text(arena, table->annotations[i]), bold);
    (void)worksheet_freeze_panes(sheet, 1, 0);
    (void)worksheet_set_column(sheet, 0, column > 0 ? (lxw_col_t)(column - 1) : 0, 24, NULL);
}

enum err_code decision_table_to_xlsx(struct str text, struct str decision, const char *path, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)512 << 20);
    const struct dmn_table *table;
    const struct dmn_element *element;
    if (!arena)
        return err_nomem(err);
    const enum err_code rc = find_table(arena, text, decision, &table, &element, err);
    if (rc)
        return rc;
    lxw_workbook_options options = { .constant_memory = LXW_TRUE };
    lxw_workbook *book = workbook_new_opt(path, &options);
    lxw_worksheet *sheet = book ? workbook_add_worksheet(book, NULL) : NULL;
    if (!sheet) {
        if (book)
            (void)workbook_close(book);
        return err_nomem(err);
    }
    lxw_format *bold = workbook_add_format(book);
    format_set_bold(bold);
    write_headings(sheet, bold, arena, table);
    for (int i = 0; i < table->rule_count; i++) {
        const struct dmn_rule *rule = &table->rules[i];
        const lxw_row_t row = (lxw_row_t)i + 1;
        lxw_col_t column = 0;
        for (int j = 0; j < table->input_count; j++, column++)
            (void)worksheet_write_string(sheet, row, column, cell_text(arena, str_trim(rule->inputs[j].text)),
                                         NULL);
        for (int j = 0; j < table->output_count; j++, column++)
            (void)worksheet_write_string(sheet, row, column,
                                         cell_text(arena, str_trim(rule->outputs[j].text)), NULL);
        for (int j = 0; j < table->annotation_count; j++, column++)
            (void)worksheet_write_string(sheet, row, column, cell_text(arena, rule->annotations[j]), NULL);
    }
    const lxw_error failed = workbook_close(book);
    if (failed)
        return err_set(err, ERR_IO, "file.write", ARG_TEXT("reason", lxw_strerror(failed)), ARG_END);
    return ERR_OK;
}

/* -- reading ------------------------------------------------------------------------------------------- */

struct sheet {
    struct arena *arena;
    struct err *err;
    struct str *strings; /* shared ones */
    int string_count;
    struct str *cells; /* rows x columns */
    int row_count, column_count;
};

static enum err_code bad_sheet(struct sheet *sheet, const char *id)
{
    return err_set(sheet->err, ERR_INVALID, id, ARG_END);
}

/* One part of the package as nodes; *out stays NULL when it is not there. */
static enum err_code read_part(struct sheet *sheet, zip_t *zip, const char *name, const struct xml_node **out)
{
    static const struct xml_limits limits = { SHEET_BYTES_MAX, 64, 8000000 };
    zip_stat_t stat;
    struct buf text;
    if (zip_stat(zip, name, 0, &stat) != 0)
        return ERR_OK;
    if (!(stat.valid & ZIP_STAT_SIZE) || stat.size > SHEET_BYTES_MAX)
        return err_set(sheet->err, ERR_LIMIT, "base.too_long", ARG_INT("max", (int64_t)SHEET_BYTES_MAX),
                       ARG_END);
    zip_file_t *file = zip_fopen(zip, name, 0);
    if (!file)
        return bad_sheet(sheet, "decision.not_xlsx");
    buf_init(&text, SHEET_BYTES_MAX);
    for (;;) {
        char *at = buf_room(&text, 65536);
        const zip_int64_t got = at ? zip_fread(file, at, 65536) : -1;
        if (got <= 0)
            break;
        text.len += (size_t)got;
    }
    (void)zip_fclose(file);
    enum err_code rc = buf_check(&text, sheet->err);
    if (rc == ERR_OK)
        rc = xml_read(sheet->arena, buf_get(&text), &limits, out, sheet->err);
    buf_done(&text);
    return rc;
}

/* All <t> below a node, joined: rich text comes in runs. */
static void add_texts(const struct xml_node *node, struct buf *out)
{
    for (const struct xml_node *child = node->first; child; child = child->next) {
        if (str_eq(child->name, STR("t")))
            buf_str(out, child->text);
        else if (!str_eq(child->name, STR("rPh")))
            add_texts(child, out); /* depth: the reader's */
    }
}

static enum err_code joined(struct sheet *sheet, const struct xml_node *node, struct str *out)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    add_texts(node, &text);
    enum err_code rc = buf_check(&text, sheet->err);
    if (rc == ERR_OK) {
        *out = arena_str(sheet->arena, buf_get(&text));
        rc = out->ptr ? ERR_OK : err_nomem(sheet->err);
    }
    buf_done(&text);
    return rc;
}

static enum err_code read_strings(struct sheet *sheet, const struct xml_node *root)
{
    int count = 0;
    for (const struct xml_node *child = root ? root->first : NULL; child; child = child->next)
        count++;
    sheet->strings = arena_alloc(sheet->arena, (size_t)count + 1, sizeof(*sheet->strings));
    if (!sheet->strings)
        return err_nomem(sheet->err);
    for (const struct xml_node *child = root ? root->first : NULL; child; child = child->next) {
        const enum err_code rc = joined(sheet, child, &sheet->strings[sheet->string_count++]);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

/* "BC12" -> column 54 (from 0). */
static int column_of(struct str reference)
{
    int column = 0;
    for (size_t i = 0; i < reference.len && reference.ptr[i] >= 'A' && reference.ptr[i] <= 'Z'; i++)
        column = column > COLUMNS_MAX ? column : column * 26 + (reference.ptr[i] - 'A' + 1);
    return column - 1;
}

static enum err_code read_cell(struct sheet *sheet, const struct xml_node *cell, struct str *out)
{
    const struct str type = xml_attr(cell, "t");
    const struct xml_node *value = xml_child(cell, "v"), *inner = xml_child(cell, "is");
    int64_t index;
    if (type.ptr && str_eq(type, STR("inlineStr")))
        return inner ? joined(sheet, inner, out) : ERR_OK;
    if (!value)
        return ERR_OK;
    if (type.ptr && str_eq(type, STR("s"))) {
        if (!str_i64(str_trim(value->text), &index) || index < 0 || index >= sheet->string_count)
            return bad_sheet(sheet, "decision.not_xlsx");
        *out = sheet->strings[index];
    } else if (type.ptr && str_eq(type, STR("b"))) {
        *out = str_eq(str_trim(value->text), STR("1")) ? STR("true") : STR("false");
    } else {
        *out = str_trim(value->text);
    }
    return ERR_OK;
}

static enum err_code read_cells(struct sheet *sheet, const struct xml_node *root, int columns)
{
    const struct xml_node *data = root ? xml_child(root, "sheetData") : NULL;
    int rows = 0;
    if (!data)
        return bad_sheet(sheet, "decision.not_xlsx");
    for (const struct xml_node *row = xml_child(data, "row"); row; row = xml_sibling(row, "row"))
        rows++;
    if (rows > RULES_MAX + 1)
        return err_set(sheet->err, ERR_LIMIT, "decision.rows", ARG_INT("max", RULES_MAX), ARG_END);
    sheet->column_count = columns;
    sheet->cells = arena_alloc(sheet->arena, (size_t)rows * (size_t)columns + 1, sizeof(*sheet->cells));
    if (!sheet->cells)
        return err_nomem(sheet->err);
    for (const struct xml_node *row = xml_child(data, "row"); row; row = xml_sibling(row, "row")) {
        struct str *cells = sheet->cells + (size_t)sheet->row_count * (size_t)columns;
        bool any = false;
        int next = 0;
        for (const struct xml_node *cell = xml_child(row, "c"); cell; cell = xml_sibling(cell, "c"), next++) {
            const struct str reference = xml_attr(cell, "r");
            const int column = reference.ptr ? column_of(reference) : next;
            if (column < 0 || column >= columns)
                continue;
            const enum err_code rc = read_cell(sheet, cell, &cells[column]);
            if (rc)
                return rc;
            any = any || str_trim(cells[column]).len > 0;
            next = column;
        }
        sheet->row_count += any; /* an empty row is no rule */
    }
    return ERR_OK;
}

static enum err_code read_sheet(struct sheet *sheet, int fd, int columns)
{
    zip_error_t error;
    const struct xml_node *strings = NULL, *data = NULL;
    const int copy = dup(fd);
    FILE *file = copy >= 0 ? fdopen(copy, "rb") : NULL;
    zip_error_init(&error);
    zip_source_t *source = file ? zip_source_filep_create(file, 0, -1, &error) : NULL;
    zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    if (!zip) {
        if (source)
            zip_source_free(source);
        else if (file)
            (void)fclose(file);
        zip_error_fini(&error);
        return bad_sheet(sheet, "decision.not_xlsx");
    }
    enum err_code rc = read_part(sheet, zip, "xl/sharedStrings.xml", &strings);
    if (rc == ERR_OK)
        rc = read_part(sheet, zip, "xl/worksheets/sheet1.xml", &data);
    if (rc == ERR_OK)
        rc = read_strings(sheet, strings);
    if (rc == ERR_OK)
        rc = read_cells(sheet, data, columns);
    zip_discard(zip);
    zip_error_fini(&error);
    return rc;
}

/* -- replacing the rules ------------------------------------------------------------------------------- */

static bool is_named(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && xmlStrEqual(node->name, (const xmlChar *)name);
}

/* The decisionTable of the element of that name. */
static xmlNode *table_node(xmlNode *root, struct str decision)
{
    for (xmlNode *element = root->children; element; element = element->next) {
        if (!is_named(element, "decision") && !is_named(element, "businessKnowledgeModel"))
            continue;
        xmlChar *name = xmlGetNoNsProp(element, (const xmlChar *)"name");
        const bool wanted = name && str_eq(str_from((const char *)name), decision);
        xmlFree(name);
        if (!wanted)
            continue;
        for (xmlNode *child = element->children; child; child = child->next) {
            if (is_named(child, "decisionTable"))
                return child;
            if (is_named(child, "encapsulatedLogic"))
                for (xmlNode *inner = child->children; inner; inner = inner->next)
                    if (is_named(inner, "decisionTable"))
                        return inner;
        }
    }
    return NULL;
}

static bool add_entry(struct arena *arena, xmlNode *rule, const char *name, struct str text, long long id)
{
    const struct str copy = arena_str(arena, text), key = arena_printf(arena, "_x%llx", id);
    xmlNode *entry = xmlNewChild(rule, rule->ns, (const xmlChar *)name, NULL);
    if (!copy.ptr || !key.ptr || !entry)
        return false;
    if (strcmp(name, "annotationEntry") != 0)
        (void)xmlNewProp(entry, (const xmlChar *)"id", (const xmlChar *)key.ptr);
    return xmlNewTextChild(entry, rule->ns, (const xmlChar *)"text", (const xmlChar *)copy.ptr) != NULL;
}

/* A rule of the same cells as before keeps its id, so that a difference shows only what changed. */
static struct str id_of_rule(const struct dmn_table *table, const struct str *cells, bool *taken,
                             struct arena *arena, long long number)
{
    for (int i = 0; i < table->rule_count; i++) {
        bool same = !taken[i] && table->rules[i].id.len > 0;
        for (int j = 0; j < table->input_count && same; j++)
            same = str_eq(str_trim(table->rules[i].inputs[j].text), str_trim(cells[j]));
        if (same) {
            taken[i] = true;
            return table->rules[i].id;
        }
        if (i - number > 200 || number - i > 200) /* looked for near its old place only */
            i = number - 200 > i ? (int)number - 200 : number + 200 < i ? table->rule_count : i;
    }
    return arena_printf(arena, "_r%llx", number);
}

static enum err_code replace_rules(struct sheet *sheet, xmlNode *table_at, const struct dmn_table *table)
{
    bool *taken = arena_alloc(sheet->arena, (size_t)table->rule_count + 1, sizeof(*taken));
    const long long base = (long long)(str_hash(STR("rules")) & 0xffff) << 32;
    if (!taken)
        return err_nomem(sheet->err);
    for (xmlNode *child = table_at->children, *next; child; child = next) {
        next = child->next;
        if (is_named(child, "rule")) {
            xmlUnlinkNode(child);
            xmlFreeNode(child);
        }
    }
    for (int row = 1; row < sheet->row_count; row++) { /* row 0 has the headings */
        const struct str *cells = sheet->cells + (size_t)row * (size_t)sheet->column_count;
        const struct str id = id_of_rule(table, cells, taken, sheet->arena, row - 1);
        xmlNode *rule = xmlNewChild(table_at, table_at->ns, (const xmlChar *)"rule", NULL);
        bool ok = rule && id.ptr && xmlNewProp(rule, (const xmlChar *)"id", (const xmlChar *)id.ptr);
        for (int i = 0; i < sheet->column_count && ok; i++) {
            const char *name = i < table->input_count                         ? "inputEntry"
                               : i < table->input_count + table->output_count ? "outputEntry"
                                                                              : "annotationEntry";
            ok = add_entry(sheet->arena, rule, name, cells[i], base + (long long)row * COLUMNS_MAX + i);
        }
        if (!ok)
            return err_nomem(sheet->err);
    }
    return ERR_OK;
}

enum err_code decision_table_from_xlsx(struct arena *arena, struct str text, struct str decision, int fd,
                                       struct str *out, struct err *err)
{
    AUTO(arena_free_auto) struct arena *work = arena_new((size_t)1 << 30);
    struct sheet sheet = { .arena = work, .err = err };
    const struct dmn_table *table = NULL;
    const struct dmn_element *element;
    if (!work)
        return err_nomem(err);
    enum err_code rc = find_table(work, text, decision, &table, &element, err);
    assert(rc || table);
    const int columns = rc || !table ? 0 : table->input_count + table->output_count + table->annotation_count;
    if (rc == ERR_OK && columns > COLUMNS_MAX)
        rc = err_set(err, ERR_LIMIT, "decision.columns", ARG_INT("max", COLUMNS_MAX), ARG_END);
    if (rc == ERR_OK)
        rc = read_sheet(&sheet, fd, columns);
    if (rc)
        return rc;
    /* dmn_read() accepted the text, so it has neither DTD nor entities. */
    xmlDoc *doc = xmlReadMemory(text.ptr, (int)text.len, NULL, NULL,
                                XML_PARSE_NONET | XML_PARSE_HUGE | XML_PARSE_NOERROR);
    xmlNode *at = doc ? table_node(xmlDocGetRootElement(doc), decision) : NULL;
    rc = at ? replace_rules(&sheet, at, table)
            : err_set(err, ERR_NOT_FOUND, "decision.no_table", ARG_STR("name", decision), ARG_END);
    if (rc == ERR_OK) {
        xmlChar *dump = NULL;
        int size = 0;
        xmlDocDumpFormatMemoryEnc(doc, &dump, &size, "UTF-8", 1);
        *out =
            dump ? arena_str(arena, (struct str) { (const char *)dump, (size_t)size }) : (struct str) { 0 };
        rc = out->ptr ? ERR_OK : err_nomem(err);
        xmlFree(dump);
    }
    xmlFreeDoc(doc);
    return rc;
}
