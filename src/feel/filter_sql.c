/* filter_sql.c - a walk over the folded program that writes SQL.
 *
 * FEEL knows three truth values, as SQL does, but compares null otherwise: `x = 5` is false for a null x, not
 * unknown, and so `not(x = 5)` is true.  Each comparison below says what it does for null, so that the SQL
 * has the same one of three values as the evaluator for every row; the property test holds us to it. */
#include "feel/filter_sql.h"
#include "feel/builtin.h"
#include "feel/parse_more.h"

struct writer {
    struct arena *arena;
    enum filter_dialect dialect;
    filter_columns columns;
    void *arg;
    struct buf sql;
    struct filter_bind *binds;
    size_t count;
    int first;
    struct str text;
    struct err *err;
};

/* One side of a comparison: SQL over columns, or a constant. */
struct side {
    struct str sql; /* ptr NULL: a constant */
    enum filter_type type;
    struct filter_column column; /* of a sealed one */
    const struct feel_value *value;
};

static enum err_code condition(struct writer *w, const struct node *node);

/* ---------------------------------------------------------------- refusing, binding */

static enum err_code refuse(struct writer *w, enum err_code code, const char *id, const struct node *node,
                            struct str what)
{
    int line, column;
    feel_position(w->text, node->at, &line, &column);
    (void)err_set(w->err, code, id, ARG_STR("what", what), ARG_END);
    (void)err_at(w->err, line, column);
    return code;
}

static struct str node_name(const struct node *node)
{
    static const char *const NAMES[] = {
        [NODE_ARITH] = "+ - * / **",
        [NODE_NEG] = "-",
        [NODE_IF] = "if",
        [NODE_FOR] = "for",
        [NODE_SOME] = "some",
        [NODE_EVERY] = "every",
        [NODE_LIST] = "[]",
        [NODE_CONTEXT] = "{}",
        [NODE_PATH] = ".",
        [NODE_FILTER] = "[]",
        [NODE_RANGE] = "..",
        [NODE_FUNCTION] = "function",
        [NODE_INSTANCE] = "instance of",
        [NODE_CALL] = "()",
        [NODE_TESTS] = "",
    };
    if (node->kind == NODE_BUILTIN)
        return str_from(node->builtin->name);
    return str_from(node->kind < sizeof NAMES / sizeof *NAMES && NAMES[node->kind] ? NAMES[node->kind] : "?");
}

static enum err_code unsupported(struct writer *w, const struct node *node)
{
    return refuse(w, ERR_UNSUPPORTED, "feel.filter_unsupported", node, node_name(node));
}

static enum err_code wrong_type(struct writer *w, const struct node *node, const char *what)
{
    return refuse(w, ERR_INVALID, "feel.filter_type", node, str_from(what));
}

/* Nothing but equality is known of what is sealed. */
static enum err_code sealed_only(struct writer *w, const struct node *node)
{
    return refuse(w, ERR_UNSUPPORTED, "feel.filter_sealed", node, (struct str) { 0 });
}

static enum err_code bind(struct writer *w, struct filter_bind value)
{
    if (w->count == FILTER_BINDS_MAX)
        return err_set(w->err, ERR_LIMIT, "feel.filter_binds", ARG_INT("max", FILTER_BINDS_MAX), ARG_END);
    buf_printf(&w->sql, "?%d", w->first + (int)w->count);
    w->binds[w->count++] = value;
    return ERR_OK;
}

static enum err_code bind_i64(struct writer *w, int64_t number)
{
    return bind(w, (struct filter_bind) { .kind = FILTER_BIND_I64, .i64 = number });
}

/* ---------------------------------------------------------------- sides */

static enum err_code column(struct writer *w, const struct node *node, struct side *out)
{
    struct filter_column found = { 0 };
    if (!w->columns(w->arg, node->slot, &found)) {
        const struct str rest = str_slice(w->text, node->at, w->text.len);
        size_t end = 0;
        while (end < rest.len &&
               (name_part((unsigned char)rest.ptr[end]) || (unsigned char)rest.ptr[end] >= 0x80))
            end++;
        return refuse(w, ERR_INVALID, "feel.filter_column", node, str_slice(rest, 0, end));
    }
    *out = (struct side) { .sql = found.sql, .type = found.type, .column = found };
    return ERR_OK;
}

static enum err_code part_of_date(struct writer *w, const struct node *node, struct side *out)
{
    static const struct {
        const char *name;
        int from, len;
    } PARTS[] = { { "year", 1, 4 }, { "month", 6, 2 }, { "day", 9, 2 } };
    struct side date;
    if (node->a->kind != NODE_INPUT)
        return unsupported(w, node);
    const enum err_code rc = column(w, node->a, &date);
    if (rc)
        return rc;
    if (date.type == FILTER_SEALED)
        return sealed_only(w, node);
    for (size_t i = 0; date.type == FILTER_DATE && i < sizeof PARTS / sizeof *PARTS; i++)
        if (str_eq(node->name, str_from(PARTS[i].name))) {
            out->sql = arena_printf(w->arena, "CAST(substr(%.*s, %d, %d) AS BIGINT)", STR_ARG(date.sql),
                                    PARTS[i].from, PARTS[i].len);
            out->type = FILTER_INTEGER;
            return out->sql.ptr ? ERR_OK : err_nomem(w->err);
        }
    return refuse(w, ERR_UNSUPPORTED, "feel.filter_unsupported", node, node->name);
}

static enum err_code side(struct writer *w, const struct node *node, struct side *out)
{
    struct side inner;
    *out = (struct side) { 0 };
    if (node->kind == NODE_CONST) {
        out->value = &node->value;
        return ERR_OK;
    }
    if (node->kind == NODE_INPUT)
        return column(w, node, out);
    if (node->kind == NODE_PATH)
        return part_of_date(w, node, out);
    if (node->kind != NODE_BUILTIN || node->builtin->fn != fn_string_length || node->count != 1 ||
        node->items[0]->kind != NODE_INPUT)
        return unsupported(w, node);
    const enum err_code rc = column(w, node->items[0], &inner);
    if (rc)
        return rc;
    if (inner.type == FILTER_SEALED)
        return sealed_only(w, node);
    if (inner.type != FILTER_TEXT)
        return wrong_type(w, node, node->builtin->name);
    out->sql = arena_printf(w->arena, "CAST(length(%.*s) AS BIGINT)", STR_ARG(inner.sql));
    out->type = FILTER_INTEGER;
    return out->sql.ptr ? ERR_OK : err_nomem(w->err);
}

/* ---------------------------------------------------------------- comparing with a constant */

static const char *const SIGNS[] = {
    [OP_EQ] = " = ", [OP_NE] = " <> ", [OP_LT] = " < ", [OP_LE] = " <= ", [OP_GT] = " > ", [OP_GE] = " >= "
};

/* Order of text is that of code points. */
static void order_sql(struct writer *w, const struct side *s, enum op op)
{
    buf_str(&w->sql, s->sql);
    if (w->dialect == FILTER_POSTGRES && (s->type == FILTER_TEXT || s->type == FILTER_DATE) && op > OP_NE)
        buf_text(&w->sql, " COLLATE \"C\"");
}

/* `x op ?` so that null is as in FEEL: = false, != true, an order unknown. */
static void open_compare(struct writer *w, const struct side *s, enum op op)
{
    buf_char(&w->sql, '(');
    order_sql(w, s, op);
    buf_text(&w->sql, SIGNS[op]);
}

static void close_compare(struct writer *w, const struct side *s, enum op op)
{
    if (op == OP_EQ || op == OP_NE) {
        buf_text(&w->sql, op == OP_EQ ? " AND " : " OR ");
        buf_str(&w->sql, s->sql);
        buf_text(&w->sql, op == OP_EQ ? " IS NOT NULL" : " IS NULL");
    }
    buf_char(&w->sql, ')');
}

/* A whole number against a decimal: the constant moves to the next whole number. */
static enum err_code compare_whole(struct writer *w, const struct side *s, enum op op,
                                   struct decimal constant)
{
    int64_t number;
    if (!decimal_to_i64(constant, &number)) {
        struct decimal floor;
        if (op == OP_EQ || op == OP_NE) {
            buf_text(&w->sql, op == OP_EQ ? "(1 = 0)" : "(1 = 1)");
            return ERR_OK;
        }
        const bool below = op == OP_LT || op == OP_LE; /* x < 1.5 and x <= 1.5 are x <= 1; x > 1.5 is x > 1 */
        op = below ? OP_LE : OP_GT;
        if (!decimal_round(constant, 0, DECIMAL_FLOOR, &floor) || !decimal_to_i64(floor, &number)) {
            const bool high = decimal_sign(constant) > 0;
            number = high ? INT64_MAX : INT64_MIN;
            if (!high)
                op = below ? OP_LT : OP_GE;
        }
    }
    open_compare(w, s, op);
    const enum err_code rc = bind_i64(w, number);
    close_compare(w, s, op);
    return rc;
}

static enum err_code compare_real(struct writer *w, const struct node *node, const struct side *s, enum op op,
                                  struct decimal constant)
{
    const double number = decimal_to_double(constant);
    struct decimal back;
    if (!decimal_from_double(number, &back) || decimal_cmp(back, constant) != 0)
        return refuse(w, ERR_UNSUPPORTED, "feel.filter_unsupported", node, STR("0.1234567890123456789"));
    open_compare(w, s, op);
    const enum err_code rc = bind(w, (struct filter_bind) { .kind = FILTER_BIND_F64, .f64 = number });
    close_compare(w, s, op);
    return rc;
}

static enum err_code compare_text(struct writer *w, const struct node *node, const struct side *s, enum op op,
                                  struct str text)
{
    if (memchr(text.len ? text.ptr : "x", '\0', text.len ? text.len : 1))
        return refuse(w, ERR_UNSUPPORTED, "feel.filter_unsupported", node, STR("\\u0000"));
    open_compare(w, s, op);
    const enum err_code rc = bind(w, (struct filter_bind) { .kind = FILTER_BIND_TEXT, .text = text });
    close_compare(w, s, op);
    return rc;
}

static enum err_code compare_date(struct writer *w, const struct node *node, const struct side *s, enum op op,
                                  struct feel_date date)
{
    if (date.year < 0 || date.year > 9999)
        return refuse(w, ERR_UNSUPPORTED, "feel.filter_unsupported", node, STR("year"));
    const struct str text = arena_printf(w->arena, "%04d-%02d-%02d", date.year, date.month, date.day);
    return text.ptr ? compare_text(w, node, s, op, text) : err_nomem(w->err);
}

static enum err_code compare_instant(struct writer *w, const struct node *node, const struct side *s,
                                     enum op op, const struct feel_moment *m)
{
    struct decimal ms, nanos;
    if (!moment_zoned(m))
        return wrong_type(w, node, "date and time");
    if (!decimal_mul(decimal_i64(moment_utc(m)), decimal_i64(1000), &ms))
        return wrong_type(w, node, "date and time");
    nanos = decimal_small(m->nanos, 6);
    if (!decimal_add(ms, nanos, &ms))
        return wrong_type(w, node, "date and time");
    return compare_whole(w, s, op, ms);
}

static enum err_code compare_null(struct writer *w, const struct node *node, const struct side *s, enum op op)
{
    if (op != OP_EQ && op != OP_NE)
        return refuse(w, ERR_UNSUPPORTED, "feel.filter_unsupported", node, STR("null"));
    buf_char(&w->sql, '(');
    buf_str(&w->sql, s->sql);
    buf_text(&w->sql, op == OP_EQ ? " IS NULL)" : " IS NOT NULL)");
    return ERR_OK;
}

static enum err_code compare_boolean(struct writer *w, const struct node *node, const struct side *s,
                                     enum op op, bool value)
{
    if (op != OP_EQ && op != OP_NE)
        return wrong_type(w, node, "<");
    open_compare(w, s, op);
    buf_char(&w->sql, value ? '1' : '0');
    close_compare(w, s, op);
    return ERR_OK;
}

static enum err_code compare_sealed(struct writer *w, const struct node *node, const struct side *s,
                                    enum op op, struct str text)
{
    if (op != OP_EQ && op != OP_NE)
        return sealed_only(w, node);
    const struct str digest = s->column.digest(s->column.arg, s->column.slot, text);
    return digest.ptr ? compare_text(w, node, s, op, digest) : err_nomem(w->err);
}

static enum err_code compare_constant(struct writer *w, const struct node *node, const struct side *s,
                                      enum op op, const struct feel_value *value)
{
    if (value->kind == FEEL_NULL)
        return compare_null(w, node, s, op);
    switch (s->type) {
    case FILTER_BOOLEAN:
        if (value->kind == FEEL_BOOLEAN)
            return compare_boolean(w, node, s, op, value->boolean);
        break;
    case FILTER_INTEGER:
        if (value->kind == FEEL_NUMBER)
            return compare_whole(w, s, op, value->number);
        break;
    case FILTER_REAL:
        if (value->kind == FEEL_NUMBER)
            return compare_real(w, node, s, op, value->number);
        break;
    case FILTER_TEXT:
        if (value->kind == FEEL_STRING)
            return compare_text(w, node, s, op, value->string);
        break;
    case FILTER_DATE:
        if (value->kind == FEEL_DATE)
            return compare_date(w, node, s, op, value->date);
        break;
    case FILTER_INSTANT:
        if (value->kind == FEEL_DATE_TIME)
            return compare_instant(w, node, s, op, value->moment);
        break;
    case FILTER_SEALED:
        if (value->kind == FEEL_STRING)
            return compare_sealed(w, node, s, op, value->string);
        break;
    }
    return wrong_type(w, node, op == OP_EQ ? "=" : op == OP_NE ? "!=" : "<");
}

static enum err_code compare_columns(struct writer *w, const struct node *node, const struct side *a,
                                     enum op op, const struct side *b)
{
    if (a->type == FILTER_SEALED || b->type == FILTER_SEALED)
        return sealed_only(w, node);
    if (a->type != b->type || (a->type == FILTER_BOOLEAN && op > OP_NE))
        return wrong_type(w, node, op == OP_EQ ? "=" : op == OP_NE ? "!=" : "<");
    buf_char(&w->sql, '(');
    order_sql(w, a, op);
    buf_text(&w->sql, op == OP_EQ   ? " IS NOT DISTINCT FROM "
                      : op == OP_NE ? " IS DISTINCT FROM "
                                    : SIGNS[op]);
    order_sql(w, b, op);
    buf_char(&w->sql, ')');
    return ERR_OK;
}

static enum op turned(enum op op)
{
    return op == OP_LT ? OP_GT : op == OP_LE ? OP_GE : op == OP_GT ? OP_LT : op == OP_GE ? OP_LE : op;
}

static enum err_code compare(struct writer *w, const struct node *node)
{
    struct side a, b;
    enum err_code rc = side(w, node->a, &a);
    if (!rc)
        rc = side(w, node->b, &b);
    if (rc)
        return rc;
    const enum op op = (enum op)node->op;
    if (a.value && b.value)
        return unsupported(w, node); /* constants only: would have been folded if it had a value */
    if (b.value)
        return compare_constant(w, node, &a, op, b.value);
    if (a.value)
        return compare_constant(w, node, &b, turned(op), a.value);
    return compare_columns(w, node, &a, op, &b);
}

/* ---------------------------------------------------------------- ranges and `in` */

static enum err_code in_range(struct writer *w, const struct node *node, const struct side *s,
                              const struct feel_range *range)
{
    enum err_code rc = ERR_OK;
    if ((range->low.kind == FEEL_NULL && !range->low_none) ||
        (range->high.kind == FEEL_NULL && !range->high_none))
        return refuse(w, ERR_UNSUPPORTED, "feel.filter_unsupported", node, STR("null"));
    buf_char(&w->sql, '(');
    if (!range->low_none)
        rc = compare_constant(w, node, s, range->low_closed ? OP_GE : OP_GT, &range->low);
    if (!range->low_none && !range->high_none)
        buf_text(&w->sql, " AND ");
    if (!rc && !range->high_none)
        rc = compare_constant(w, node, s, range->high_closed ? OP_LE : OP_LT, &range->high);
    buf_char(&w->sql, ')');
    return rc;
}

static enum err_code between(struct writer *w, const struct node *node)
{
    struct side s;
    const enum err_code rc = side(w, node->a, &s);
    if (rc)
        return rc;
    if (s.value || node->b->kind != NODE_CONST || node->c->kind != NODE_CONST)
        return refuse(w, ERR_UNSUPPORTED, "feel.filter_unsupported", node, STR("between"));
    const struct feel_range range = {
        .low = node->b->value, .high = node->c->value, .low_closed = true, .high_closed = true
    };
    return in_range(w, node, &s, &range);
}

/* A list contains, or does not: an unknown answer of an item counts as no. */
static enum err_code in_list(struct writer *w, const struct node *node, const struct side *s,
                             const struct feel_list *list)
{
    enum err_code rc = ERR_OK;
    if (!list->count) {
        buf_text(&w->sql, "(1 = 0)");
        return ERR_OK;
    }
    buf_char(&w->sql, '(');
    for (size_t i = 0; i < list->count && !rc; i++) {
        buf_text(&w->sql, i ? " OR " : "");
        if (list->items[i].kind == FEEL_RANGE) {
            buf_char(&w->sql, '(');
            rc = in_range(w, node, s, list->items[i].range);
            buf_text(&w->sql, " IS TRUE)");
        } else {
            rc = compare_constant(w, node, s, OP_EQ, &list->items[i]);
        }
    }
    buf_char(&w->sql, ')');
    return rc;
}

static enum err_code in_test(struct writer *w, const struct node *node, const struct side *s,
                             const struct node *test)
{
    if (test->kind == NODE_TEST_NOT_EQUAL && test->a->kind == NODE_CONST)
        return compare_constant(w, test, s, OP_NE, &test->a->value);
    if (test->kind != NODE_CONST)
        return unsupported(w, test);
    if (test->value.kind == FEEL_RANGE && test->flags & NODE_TEST_OP && !test->value.range->low_none &&
        !test->value.range->high_none) /* `= 5` */
        return compare_constant(w, test, s, OP_EQ, &test->value.range->low);
    if (test->value.kind == FEEL_RANGE)
        return in_range(w, node, s, test->value.range);
    if (test->value.kind == FEEL_LIST)
        return in_list(w, node, s, &test->value.list);
    return compare_constant(w, test, s, OP_EQ, &test->value);
}

static enum err_code in(struct writer *w, const struct node *node)
{
    struct side s;
    enum err_code rc = side(w, node->subject, &s);
    if (rc)
        return rc;
    if (s.value)
        return refuse(w, ERR_UNSUPPORTED, "feel.filter_unsupported", node, STR("in"));
    buf_char(&w->sql, '(');
    for (uint32_t i = 0; i < node->count && !rc; i++) {
        buf_text(&w->sql, i ? " OR " : "");
        rc = in_test(w, node, &s, node->items[i]);
    }
    buf_char(&w->sql, ')');
    return rc;
}

/* ---------------------------------------------------------------- functions */

static enum err_code text_test(struct writer *w, const struct node *node)
{
    struct side s;
    if (node->count != 2 || node->items[1]->kind != NODE_CONST || node->items[1]->value.kind != FEEL_STRING)
        return unsupported(w, node);
    enum err_code rc = side(w, node->items[0], &s);
    if (rc)
        return rc;
    if (s.sql.ptr && s.type == FILTER_SEALED)
        return sealed_only(w, node);
    if (s.value || s.type != FILTER_TEXT)
        return wrong_type(w, node, node->builtin->name);
    const struct str text = node->items[1]->value.string;
    const unsigned long long len = utf8_len(text);
    const bool postgres = w->dialect == FILTER_POSTGRES;
    if (!len) { /* true, and unknown for null */
        buf_printf(&w->sql, "(%.*s = %.*s)", STR_ARG(s.sql), STR_ARG(s.sql));
        return ERR_OK;
    }
    if (memchr(text.ptr, '\0', text.len))
        return refuse(w, ERR_UNSUPPORTED, "feel.filter_unsupported", node, STR("\\u0000"));
    const struct filter_bind value = { .kind = FILTER_BIND_TEXT, .text = text };
    if (node->builtin->fn == fn_contains) {
        buf_printf(&w->sql, "(%s(%.*s, ", postgres ? "strpos" : "instr", STR_ARG(s.sql));
        rc = bind(w, value);
        buf_text(&w->sql, ") > 0)");
        return rc;
    }
    if (node->builtin->fn == fn_starts_with)
        buf_printf(&w->sql, "(substr(%.*s, 1, %llu) = ", STR_ARG(s.sql), len);
    else
        buf_printf(&w->sql, postgres ? "(right(%.*s, %llu) = " : "(substr(%.*s, -%llu) = ", STR_ARG(s.sql),
                   len);
    rc = bind(w, value);
    buf_char(&w->sql, ')');
    return rc;
}

static enum err_code call(struct writer *w, const struct node *node)
{
    const builtin_fn fn = node->builtin->fn;
    if (fn == fn_not && node->count == 1) {
        buf_text(&w->sql, "(NOT ");
        const enum err_code rc = condition(w, node->items[0]);
        buf_char(&w->sql, ')');
        return rc;
    }
    if (fn == fn_contains || fn == fn_starts_with || fn == fn_ends_with)
        return text_test(w, node);
    return unsupported(w, node);
}

/* ---------------------------------------------------------------- conditions */

static enum err_code constant(struct writer *w, const struct node *node)
{
    if (node->value.kind == FEEL_BOOLEAN)
        buf_text(&w->sql, node->value.boolean ? "(1 = 1)" : "(1 = 0)");
    else if (node->value.kind == FEEL_NULL)
        buf_text(&w->sql, "(1 = NULL)");
    else
        return wrong_type(w, node, "and");
    return ERR_OK;
}

static enum err_code boolean_column(struct writer *w, const struct node *node)
{
    struct side s;
    const enum err_code rc = column(w, node, &s);
    if (rc)
        return rc;
    if (s.type != FILTER_BOOLEAN)
        return wrong_type(w, node, "and");
    buf_printf(&w->sql, "(%.*s = 1)", STR_ARG(s.sql));
    return ERR_OK;
}

static enum err_code two(struct writer *w, const struct node *node, const char *word)
{
    buf_char(&w->sql, '(');
    enum err_code rc = condition(w, node->a);
    if (rc)
        return rc;
    buf_text(&w->sql, word);
    rc = condition(w, node->b);
    buf_char(&w->sql, ')');
    return rc;
}

static enum err_code condition(struct writer *w, const struct node *node)
{
    switch ((enum node_kind)node->kind) {
    case NODE_CONST:
        return constant(w, node);
    case NODE_INPUT:
        return boolean_column(w, node);
    case NODE_COMPARE:
        return compare(w, node);
    case NODE_AND:
        return two(w, node, " AND ");
    case NODE_OR:
        return two(w, node, " OR ");
    case NODE_BETWEEN:
        return between(w, node);
    case NODE_IN:
        return in(w, node);
    case NODE_BUILTIN:
        return call(w, node);
    case NODE_LOCAL:
    case NODE_ITEM_NAME:
    case NODE_UNKNOWN:
    case NODE_NEG:
    case NODE_ARITH:
    case NODE_IF:
    case NODE_FOR:
    case NODE_SOME:
    case NODE_EVERY:
    case NODE_LIST:
    case NODE_CONTEXT:
    case NODE_PATH:
    case NODE_FILTER:
    case NODE_RANGE:
    case NODE_TEST_NOT_EQUAL:
    case NODE_CALL:
    case NODE_FUNCTION:
    case NODE_INSTANCE:
    case NODE_TESTS:
        break;
    }
    return unsupported(w, node);
}

enum err_code filter_sql(struct arena *arena, const struct feel_scope *scope, struct str text,
                         enum filter_dialect dialect, filter_columns columns, void *arg, int first_bind,
                         struct filter_sql *out, struct err *err)
{
    const struct feel_program *program;
    struct err local = { 0 };
    enum err_code rc = feel_prepare(arena, scope, text, FEEL_EXPRESSION, 0, &program, err);
    if (rc)
        return rc;
    struct writer w = { .arena = arena,
                        .dialect = dialect,
                        .columns = columns,
                        .arg = arg,
                        .binds = arena_alloc(arena, FILTER_BINDS_MAX, sizeof *w.binds),
                        .first = first_bind,
                        .text = feel_program_text(program),
                        .err = err ? err : &local };
    if (!w.binds)
        return err_nomem(err);
    buf_init(&w.sql, FILTER_SQL_MAX);
    rc = condition(&w, program->root);
    if (!rc)
        rc = buf_check(&w.sql, err);
    struct str sql = { 0 };
    if (!rc && !(sql = arena_str(arena, buf_get(&w.sql))).ptr)
        rc = err_nomem(err);
    buf_done(&w.sql);
    if (!rc)
        *out = (struct filter_sql) { sql, w.binds, w.count };
    return rc;
}
