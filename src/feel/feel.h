/* feel.h - the expression language FEEL of DMN 1.5: text -> typed tree -> program -> value.
 *
 *     struct feel_scope *scope = feel_scope_new(arena);
 *     feel_scope_add(scope, STR("Monthly Income"), feel_type_basic(FEEL_T_NUMBER), &slot, err);
 *     feel_prepare(arena, scope, STR("Monthly Income * 12"), FEEL_EXPRESSION, 0, &program, err);
 *     feel_eval_init(&ev, eval_arena);
 *     feel_evaluate(program, &ev, inputs, &value, err);          // inputs[slot] of each name
 *
 * Names contain spaces, so they are resolved while parsing, against the names of the scope; each gets a slot
 * and at evaluation inputs[slot] is its value.  Fields of contexts (`Applicant.Monthly Income`) are resolved
 * by the static type of what stands before the point; where that is unknown, a run of words is one name.
 *
 * Invariants: values never change once made and hold pointers into the arena they were made in; a program
 * never changes after feel_compile().  An error of evaluation is the value null and a warning; only limits
 * and memory stop an evaluation.
 * Threads: a program may be shared by any number of threads, each with its own struct feel_eval.
 * Pure code: no I/O, no globals; the instant of now() is given by the caller.  Layer: feel. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "feel/decimal.h"

#include <jansson.h>

/* ---------------------------------------------------------------- values */

enum feel_kind {
    FEEL_NULL,
    FEEL_BOOLEAN,
    FEEL_NUMBER,
    FEEL_STRING,
    FEEL_DATE,
    FEEL_TIME,
    FEEL_DATE_TIME,
    FEEL_DAYS_DURATION,   /* days and time duration */
    FEEL_MONTHS_DURATION, /* years and months duration */
    FEEL_LIST,
    FEEL_CONTEXT,
    FEEL_RANGE,
    FEEL_FUNCTION,
    FEEL__COUNT
};

struct feel_date {
    int32_t year; /* -999999999 .. 999999999 */
    uint8_t month, day;
};

enum feel_zone_kind { FEEL_ZONE_NONE, FEEL_ZONE_OFFSET, FEEL_ZONE_NAMED };

/* A time, or a date and time: `date` is unused in a time. */
struct feel_moment {
    struct feel_date date;
    int32_t second; /* of the day, 0 .. 86399 */
    int32_t nanos;
    enum feel_zone_kind zone_kind;
    int32_t
        offset; /* seconds east; of a named zone: the one in force then (in a time: without summer time) */
    struct str zone; /* IANA name of a named zone */
};

struct feel_days {
    int64_t seconds;
    int32_t nanos; /* same sign as seconds or zero */
};

struct feel_list {
    const struct feel_value *items;
    size_t count;
};

struct feel_context {
    const struct feel_entry *entries; /* in order of insertion, keys are unique */
    size_t count;
};

struct feel_range;
struct feel_function;

struct feel_value {
    enum feel_kind kind;
    union {
        bool boolean;
        struct decimal number;
        struct str string; /* valid UTF-8 */
        struct feel_date date;
        const struct feel_moment *moment; /* FEEL_TIME, FEEL_DATE_TIME */
        struct feel_days days;
        int64_t months;
        struct feel_list list;
        struct feel_context context;
        const struct feel_range *range;
        const struct feel_function *function;
    };
};

struct feel_entry {
    struct str key;
    struct feel_value value;
};

struct feel_range {
    struct feel_value low, high; /* FEEL_NULL where that end is open-ended or undefined */
    bool low_closed, high_closed;
    bool low_none, high_none; /* the end is absent, as in (< 5) */
};

static inline struct feel_value feel_null(void)
{
    return (struct feel_value) { .kind = FEEL_NULL };
}
static inline struct feel_value feel_boolean(bool b)
{
    return (struct feel_value) { .kind = FEEL_BOOLEAN, .boolean = b };
}
static inline struct feel_value feel_number(struct decimal d)
{
    return (struct feel_value) { .kind = FEEL_NUMBER, .number = d };
}
static inline struct feel_value feel_i64(int64_t n)
{
    return feel_number(decimal_i64(n));
}
/* Borrows the text, which must be valid UTF-8 and outlive the value. */
static inline struct feel_value feel_string(struct str text)
{
    return (struct feel_value) { .kind = FEEL_STRING, .string = text };
}
/* Borrow the array. */
static inline struct feel_value feel_list(const struct feel_value *items, size_t count)
{
    return (struct feel_value) { .kind = FEEL_LIST, .list = { items, count } };
}
static inline struct feel_value feel_context(const struct feel_entry *entries, size_t count)
{
    return (struct feel_value) { .kind = FEEL_CONTEXT, .context = { entries, count } };
}
static inline bool feel_is_true(const struct feel_value *v)
{
    return v->kind == FEEL_BOOLEAN && v->boolean;
}

/* The entry of that key, or NULL. */
const struct feel_value *feel_context_get(const struct feel_value *context, struct str key);

/* Temporal values from texts as in `@"..."`; false (and *out untouched) when the text is none.
 * feel_temporal_parse tries all of date, time, date and time and both durations. */
bool feel_date_parse(struct str text, struct feel_value *out);
bool feel_time_parse(struct arena *arena, struct str text, struct feel_value *out);
bool feel_date_time_parse(struct arena *arena, struct str text, struct feel_value *out);
bool feel_duration_parse(struct str text, struct feel_value *out);
bool feel_temporal_parse(struct arena *arena, struct str text, struct feel_value *out);
/* From UTC milliseconds, shown in a zone ("Asia/Shanghai"; empty = UTC). */
MUST_CHECK enum err_code feel_from_instant(struct arena *arena, int64_t utc_ms, struct str zone,
                                           struct feel_value *out, struct err *err);
/* UTC milliseconds of a date and time with a zone or offset (without one: as if UTC); false out of range. */
bool feel_to_instant(const struct feel_value *date_time, int64_t *out_utc_ms);

/* A copy that lives wholly in `arena` (functions are shared, not copied). */
MUST_CHECK enum err_code feel_copy(struct arena *arena, const struct feel_value *value,
                                   struct feel_value *out, struct err *err);

/* What string() gives, and what a list or context shows: appended to the buffer. */
void feel_print(struct buf *buf, const struct feel_value *value);
/* As JSON text with all digits of numbers; temporal values, ranges and functions as strings. */
void feel_print_json(struct buf *buf, const struct feel_value *value);

/* JSON document -> value.  Numbers become decimals; texts stay texts.  ERR_INVALID past depth 200. */
MUST_CHECK enum err_code feel_from_json(struct arena *arena, const json_t *json, struct feel_value *out,
                                        struct err *err);
/* Like feel_from_json, reading texts as the temporal types that `type` names where it does. */
struct feel_type;
MUST_CHECK enum err_code feel_from_json_typed(struct arena *arena, const json_t *json,
                                              const struct feel_type *type, struct feel_value *out,
                                              struct err *err);
/* Value -> JSON document (new reference).  A number that is no int64 becomes a JSON real. */
MUST_CHECK enum err_code feel_to_json(const struct feel_value *value, json_t **out, struct err *err);

/* ---------------------------------------------------------------- comparing */

enum feel_truth { FEEL_FALSE = 0, FEEL_TRUE = 1, FEEL_UNKNOWN = -1 };

/* The operator `=`: FEEL_UNKNOWN when the kinds differ and neither is null. */
enum feel_truth feel_equal(const struct feel_value *a, const struct feel_value *b);
/* Order of two values of one ordered kind; false when they have no order. */
bool feel_compare(const struct feel_value *a, const struct feel_value *b, int *out_order);
/* `value in range`; FEEL_UNKNOWN when not comparable. */
enum feel_truth feel_in_range(const struct feel_value *value, const struct feel_range *range);
/* The test `value in tests`: a list contains, a range includes, else equal. */
enum feel_truth feel_in(const struct feel_value *value, const struct feel_value *tests);
/* Values that are feel_equal have equal hashes. */
uint64_t feel_hash(const struct feel_value *value);

/* ---------------------------------------------------------------- types */

enum feel_type_kind {
    FEEL_T_ANY,
    FEEL_T_NULL,
    FEEL_T_BOOLEAN,
    FEEL_T_NUMBER,
    FEEL_T_STRING,
    FEEL_T_DATE,
    FEEL_T_TIME,
    FEEL_T_DATE_TIME,
    FEEL_T_DAYS_DURATION,
    FEEL_T_MONTHS_DURATION,
    FEEL_T_LIST,     /* element */
    FEEL_T_CONTEXT,  /* fields; without any: every context */
    FEEL_T_RANGE,    /* element */
    FEEL_T_FUNCTION, /* fields are the parameters (names may be empty), element is the result; element NULL:
                        every function */
    FEEL_T__COUNT
};

struct feel_program;

struct feel_type_field {
    struct str name;
    const struct feel_type *type;
};

/* Plain data; NULL stands for Any everywhere. */
struct feel_type {
    enum feel_type_kind kind;
    struct str name; /* of an item definition, else empty */
    const struct feel_type *element;
    const struct feel_type_field *fields;
    size_t count;
    /* Unary tests over `?` (slot 0 and only input) that a value must pass; NULL when there are none. */
    const struct feel_program *allowed;
    /* A further type that the value must be an instance of (restrictions on top of each other); or NULL. */
    const struct feel_type *also;
};

/* A static type without parts. */
const struct feel_type *feel_type_basic(enum feel_type_kind kind);
/* "number", "string", "boolean", "date", "time", "date and time" ("dateTime"), "days and time duration"
 * ("dayTimeDuration"), "years and months duration" ("yearMonthDuration"), "Any", "context", "list"; NULL when
 * it is none of these. */
const struct feel_type *feel_type_named(struct str name);
/* New types in the arena; NULL when it is full.  Arrays are borrowed. */
const struct feel_type *feel_type_list(struct arena *arena, const struct feel_type *element) MUST_CHECK;
const struct feel_type *feel_type_range(struct arena *arena, const struct feel_type *element) MUST_CHECK;
const struct feel_type *feel_type_context(struct arena *arena, const struct feel_type_field *fields,
                                          size_t count) MUST_CHECK;
const struct feel_type *feel_type_function(struct arena *arena, const struct feel_type_field *params,
                                           size_t count, const struct feel_type *result) MUST_CHECK;
/* `sub` conforms to `type` (DMN 1.5, 10.3.2.9.2). */
bool feel_type_conforms(const struct feel_type *sub, const struct feel_type *type);
/* The type of a value, as exact as its parts tell; a list is that of its first item.  NULL: the arena is
 * full. */
const struct feel_type *feel_type_of(struct arena *arena, const struct feel_value *value) MUST_CHECK;
/* The text of a type, as in `list<number>`. */
void feel_type_print(struct buf *buf, const struct feel_type *type);

struct feel_eval;
struct node;

/* `value instance of type`: null is an instance of Null and Any only. */
bool feel_instance_of(struct feel_eval *ev, const struct feel_value *value, const struct feel_type *type);
/* True when the value may stand where `type` is declared: as instance of, and null everywhere. */
bool feel_conforms(struct feel_eval *ev, const struct feel_value *value, const struct feel_type *type);
/* The implicit conversions of DMN (10.3.2.9.4): singleton list -> item, item -> singleton list, date -> date
 * and time (UTC midnight); what then does not conform becomes null with a warning.  Returns whether it
 * conformed. */
bool feel_coerce(struct feel_eval *ev, const struct feel_value *value, const struct feel_type *type,
                 struct feel_value *out);

/* ---------------------------------------------------------------- scope and parsing */

struct feel_scope;

/* Names an expression may use, beside the built-in functions; lives in the arena.  NULL when that is full. */
struct feel_scope *feel_scope_new(struct arena *arena) MUST_CHECK;
/* Adds a name; its slot is the number of names before it.  `type` may be NULL.  "?" is the value under test.
 * A name that is there already gets a new slot that hides the old one. */
MUST_CHECK enum err_code feel_scope_add(struct feel_scope *scope, struct str name,
                                        const struct feel_type *type, size_t *out_slot, struct err *err);
/* Makes an item definition known to `instance of` and to parameter types, under its (possibly dotted) name.
 */
MUST_CHECK enum err_code feel_scope_type(struct feel_scope *scope, struct str name,
                                         const struct feel_type *type, struct err *err);
size_t feel_scope_count(const struct feel_scope *scope);

#define FEEL_TEXT_MAX ((size_t)1 << 20)

enum feel_mode {
    FEEL_EXPRESSION,  /* one expression */
    FEEL_UNARY_TESTS, /* a cell: "-", "< 5, [7..9]", "not(1, 2)", anything with `?`; the scope has "?" */
};

/* Flags of parsing. */
#define FEEL_NAMES_OPEN 1 /* an unknown name is null with a warning when evaluated, not an error */

struct feel_tree;

/* Text -> typed tree; both live in the arena, the text is copied.
 * ERR_INVALID with line and column (feel.expected {what} {found}, feel.unknown_name {name}, ...), ERR_LIMIT
 * (longer than FEEL_TEXT_MAX, deeper than 256), ERR_NOMEM. */
MUST_CHECK enum err_code feel_parse(struct arena *arena, const struct feel_scope *scope, struct str text,
                                    enum feel_mode mode, unsigned flags, const struct feel_tree **out,
                                    struct err *err);
/* Typed tree -> program: constants folded, calls bound. */
MUST_CHECK enum err_code feel_compile(struct arena *arena, const struct feel_tree *tree,
                                      const struct feel_program **out, struct err *err);
/* Both at once. */
MUST_CHECK enum err_code feel_prepare(struct arena *arena, const struct feel_scope *scope, struct str text,
                                      enum feel_mode mode, unsigned flags, const struct feel_program **out,
                                      struct err *err);

/* The static type of the result; NULL when it is not known. */
const struct feel_type *feel_program_type(const struct feel_program *program);
/* True (and the value) when the program is a constant. */
bool feel_program_constant(const struct feel_program *program, struct feel_value *out);
/* Whether the program reads that input. */
bool feel_program_uses(const struct feel_program *program, size_t slot);
struct str feel_program_text(const struct feel_program *program);

/* What unary tests say, for those who index them: a disjunction of simple tests. */
struct feel_test {
    enum { FEEL_TEST_EQUAL, FEEL_TEST_RANGE } kind;
    struct feel_value value;        /* EQUAL: constant, not a list or range */
    const struct feel_range *range; /* RANGE: constant ends */
};
struct feel_tests {
    bool any;     /* "-" */
    bool negated; /* not( ... ) */
    const struct feel_test *items;
    size_t count;
};
/* True when the unary tests consist of constants and constant ranges only; then they hold for a value exactly
 * when (negated XOR one of the items holds).  *out lives in the arena; false also when that is full. */
bool feel_program_tests(const struct feel_program *program, struct arena *arena, struct feel_tests *out);

/* Unary tests that doubles can answer: comparisons of `?` with arithmetic over inputs, and of texts with
 * constants. */
struct feel_quick;
/* NULL when the tests are of no such form, or the arena is full: the program itself always answers. */
const struct feel_quick *feel_quick_new(const struct feel_program *program, struct arena *arena);

/* A number as a double that is off by at most `error`; an error of NaN: it is no number, or out of range. */
struct feel_double {
    double value, error;
};
struct feel_double feel_double_of(const struct feel_value *value);

struct feel_quick_inputs {
    const struct feel_value *question; /* the value under test */
    struct feel_double number;         /* the same */
    const struct feel_double *numbers; /* feel_double_of() each slot */
};

enum feel_quick_answer { FEEL_QUICK_NOT, FEEL_QUICK_TRUE, FEEL_QUICK_UNSURE };
/* TRUE: the tests hold; NOT: they are false or unknown; UNSURE: ask the program. */
enum feel_quick_answer feel_quick_test(const struct feel_quick *quick, const struct feel_quick_inputs *in);

/* ---------------------------------------------------------------- evaluating */

struct feel_limits {
    int64_t steps;   /* iterations, calls, items and characters looked at */
    int depth;       /* nesting of calls and of what they contain */
    size_t list_max; /* items of one list */
    size_t text_max; /* bytes of one string */
};
extern const struct feel_limits FEEL_LIMITS; /* 20,000,000; 4,000; 1,000,000; 8 MiB */

#define FEEL_WARNINGS_MAX 32

struct feel_warning {
    const char *id;   /* key of words/ */
    struct str what;  /* argument "what": a function, an operator, a name */
    int line, column; /* in the program's text; 0 when not known */
};

/* One evaluation, or several after each other; memory of results is the arena's. */
struct feel_eval {
    struct arena *arena;
    struct feel_limits limits;
    struct feel_warning warnings[FEEL_WARNINGS_MAX];
    int warnings_count, warnings_more;
    int64_t now_ms;  /* for now() and today(); the caller sets it */
    struct str zone; /* zone of now() and today(), "" = UTC */
    void *host;      /* the caller's own, for its native functions */
    /* Internal. */
    int64_t steps;
    int depth;
    enum err_code stopped;
    const char *stopped_id;
    const struct feel_program *program;
    const struct node *node; /* the call under way, for the position of warnings */
};

void feel_eval_init(struct feel_eval *ev, struct arena *arena);
/* A warning from outside (a decision's name, a conversion). */
void feel_warn(struct feel_eval *ev, const char *id, struct str what);
/* The warning as an error for err_text(). */
void feel_warning_err(const struct feel_warning *warning, struct err *err);

/* inputs[slot] for every name of the scope.
 * ERR_OK     *out is set, perhaps null with warnings.
 * ERR_LIMIT  a limit was reached, ERR_NOMEM the arena is full; *out is null. */
MUST_CHECK enum err_code feel_evaluate(const struct feel_program *program, struct feel_eval *ev,
                                       const struct feel_value *inputs, struct feel_value *out,
                                       struct err *err);
/* columns[slot][row] -> out[row] for all rows; a column may be NULL (null in every row).  The step limit
 * counts for each row anew. */
MUST_CHECK enum err_code feel_evaluate_many(const struct feel_program *program, struct feel_eval *ev,
                                            const struct feel_value *const *columns, size_t rows,
                                            struct feel_value *out, struct err *err);
/* Unary tests against one value: FEEL_TRUE, FEEL_FALSE, FEEL_UNKNOWN (null). */
MUST_CHECK enum err_code feel_test(const struct feel_program *tests, struct feel_eval *ev,
                                   const struct feel_value *inputs, enum feel_truth *out, struct err *err);

/* ---------------------------------------------------------------- functions */

/* args[count] has one value per parameter, coerced to its type; absent ones are null.
 * An error code stops the whole evaluation; a mere failure sets *out to null (and warns). */
typedef enum err_code (*feel_native)(void *arg, struct feel_eval *ev, const struct feel_value *args,
                                     size_t count, struct feel_value *out);

/* A function in C (a business knowledge model, a decision service).  `params` is borrowed. */
MUST_CHECK enum err_code feel_function_native(struct arena *arena, struct str name,
                                              const struct feel_type_field *params, size_t count,
                                              const struct feel_type *result, feel_native fn, void *arg,
                                              struct feel_value *out, struct err *err);
/* A function whose body is a program: its inputs are the parameters and behind them `captured`. */
MUST_CHECK enum err_code feel_function_program(struct arena *arena, struct str name,
                                               const struct feel_type_field *params, size_t count,
                                               const struct feel_type *result,
                                               const struct feel_program *body,
                                               const struct feel_value *captured, size_t captured_count,
                                               struct feel_value *out, struct err *err);
/* The built-in of that name; false when there is none. */
bool feel_function_builtin(struct arena *arena, struct str name, struct feel_value *out);

size_t feel_function_params(const struct feel_value *function, const struct feel_type_field **out);
const struct feel_type *feel_function_result(const struct feel_value *function);
/* A function literal just made, which captured the input `slot`, finds itself there: it is recursive. */
void feel_function_own(const struct feel_value *function, size_t slot);

/* Calls a function value; a wrong number of arguments or a value that is no function gives null and a
 * warning. Result codes as feel_evaluate. */
MUST_CHECK enum err_code feel_call(struct feel_eval *ev, const struct feel_value *function,
                                   const struct feel_value *args, size_t count, struct feel_value *out,
                                   struct err *err);
MUST_CHECK enum err_code feel_call_named(struct feel_eval *ev, const struct feel_value *function,
                                         const struct feel_entry *args, size_t count, struct feel_value *out,
                                         struct err *err);

/* ---------------------------------------------------------------- for editors */

struct feel_builtin_info {
    const char *name;
    const char *signatures; /* "from: string | year: number, month: number, day: number"; '?' ends the name of
                               an optional parameter, "..." stands for any number of values */
    const char *result;     /* type */
    const char *group;      /* conversion boolean string list number temporal range context */
};
/* The built-in functions by index from 0, sorted by name; false past the last. */
bool feel_builtin(size_t index, struct feel_builtin_info *out);
