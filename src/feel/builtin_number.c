/* builtin_number.c - rounding and the other functions of numbers. */
#include "feel/builtin.h"

#define SCALE_MIN (-6111)
#define SCALE_MAX 6176

static void round_to(const struct feel_value *args, size_t count, enum decimal_rounding how,
                     struct feel_value *out)
{
    int64_t scale = 0;
    struct decimal result;
    if (count > 1 && (!whole(&args[1], &scale) || scale < SCALE_MIN || scale > SCALE_MAX))
        return;
    if (decimal_round(args->number, (int)scale, how, &result))
        *out = feel_number(result);
}

#define ROUNDING(name, how)                                                                                  \
    BUILTIN(name)                                                                                            \
    {                                                                                                        \
        (void)ev;                                                                                            \
        round_to(args, count, how, out);                                                                     \
    }

ROUNDING(fn_decimal, DECIMAL_HALF_EVEN)
ROUNDING(fn_floor, DECIMAL_FLOOR)
ROUNDING(fn_ceiling, DECIMAL_CEILING)
ROUNDING(fn_round_up, DECIMAL_UP)
ROUNDING(fn_round_down, DECIMAL_DOWN)
ROUNDING(fn_round_half_up, DECIMAL_HALF_UP)
ROUNDING(fn_round_half_down, DECIMAL_HALF_DOWN)

BUILTIN(fn_abs)
{
    (void)count;
    const struct feel_value *v = args->kind == FEEL_LIST && args->list.count == 1 ? args->list.items : args;
    if (v->kind == FEEL_NUMBER)
        *out = feel_number(decimal_abs(v->number));
    else if (v->kind == FEEL_DAYS_DURATION && (v->days.seconds < 0 || v->days.nanos < 0))
        value_negate(ev, v, out);
    else if (v->kind == FEEL_MONTHS_DURATION && v->months < 0)
        value_negate(ev, v, out);
    else if (v->kind == FEEL_DAYS_DURATION || v->kind == FEEL_MONTHS_DURATION)
        *out = *v;
}

static void number_or_null(bool ok, struct decimal number, struct feel_value *out)
{
    if (ok)
        *out = feel_number(number);
}

BUILTIN(fn_modulo)
{
    struct decimal result = { 0, 0 };
    (void)ev;
    (void)count;
    const bool ok = decimal_modulo(args[0].number, args[1].number, &result);
    number_or_null(ok, result, out);
}

#define FUNCTION(name, call)                                                                                 \
    BUILTIN(name)                                                                                            \
    {                                                                                                        \
        struct decimal result = { 0, 0 };                                                                    \
        (void)ev;                                                                                            \
        (void)count;                                                                                         \
        const bool ok = call(args->number, &result);                                                         \
        number_or_null(ok, result, out);                                                                     \
    }

FUNCTION(fn_sqrt, decimal_sqrt)
FUNCTION(fn_log, decimal_log)
FUNCTION(fn_exp, decimal_exp)

static void parity(const struct feel_value *v, bool odd, struct feel_value *out)
{
    struct decimal rest;
    if (!decimal_is_integer(v->number))
        *out = feel_boolean(false);
    else if (decimal_modulo(v->number, decimal_i64(2), &rest))
        *out = feel_boolean((decimal_sign(rest) != 0) == odd);
}

BUILTIN(fn_odd)
{
    (void)ev;
    (void)count;
    parity(args, true, out);
}

BUILTIN(fn_even)
{
    (void)ev;
    (void)count;
    parity(args, false, out);
}
