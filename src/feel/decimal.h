/* decimal.h - numbers of FEEL: IEEE 754 decimal128, 34 digits, round half even.
 *
 * Sixteen bytes with two forms.  Small: an int64 coefficient and a scale of 0..18 (value = coefficient /
 * 10^scale), which covers nearly every number of a decision and needs no library call.  Big: the BID
 * encoding that Intel's library works on.  The small form is told by the NaN pattern in `hi`, which a big
 * one never has: there is no NaN and no infinity here, an operation that would give one answers false.
 * Invariant: a value that fits the small form may still be big; comparing and printing do not care.
 * Threads: values only.  Layer: feel. */
#pragma once
#include "base/str.h"

struct decimal {
    uint64_t lo, hi;
};

#define DECIMAL_SMALL_TAG UINT64_C(0x7c00000000000000)
#define DECIMAL_SCALE_MAX 18
#define DECIMAL_TEXT_MAX 6200 /* plain notation of the largest exponents, NUL included */

static inline bool decimal_is_small(struct decimal d)
{
    return (d.hi & DECIMAL_SMALL_TAG) == DECIMAL_SMALL_TAG;
}

static inline int decimal_small_scale(struct decimal d)
{
    return (int)(d.hi & 0xff);
}

static inline int64_t decimal_small_coefficient(struct decimal d)
{
    return (int64_t)d.lo;
}

static inline struct decimal decimal_small(int64_t coefficient, int scale)
{
    return (struct decimal) { (uint64_t)coefficient, DECIMAL_SMALL_TAG | (uint64_t)scale };
}

static inline struct decimal decimal_i64(int64_t number)
{
    return decimal_small(number, 0);
}

/* Digits with optional sign, point and exponent, nothing else; false leaves *out untouched.  More than 34
 * digits are rounded half even; a value past the range is refused. */
bool decimal_parse(struct str text, struct decimal *out);
/* The shortest decimal text that reads back as the same double; false for NaN and infinities. */
bool decimal_from_double(double number, struct decimal *out);
double decimal_to_double(struct decimal d);
/* True when it is a whole number within int64. */
bool decimal_to_i64(struct decimal d, int64_t *out);
/* Plain notation without trailing zeros ("-0.5", "120"); returns the length.  Beyond 10^40 or below 10^-40
 * the notation is scientific ("1E+400"). */
size_t decimal_text(struct decimal d, char *out, size_t size);

bool decimal_add(struct decimal a, struct decimal b, struct decimal *out);
bool decimal_sub(struct decimal a, struct decimal b, struct decimal *out);
bool decimal_mul(struct decimal a, struct decimal b, struct decimal *out);
/* Division by zero answers false. */
bool decimal_div(struct decimal a, struct decimal b, struct decimal *out);
/* a - b * floor(a / b): the sign of the divisor, as FEEL wants it. */
bool decimal_modulo(struct decimal a, struct decimal b, struct decimal *out);
bool decimal_pow(struct decimal a, struct decimal b, struct decimal *out);
bool decimal_sqrt(struct decimal a, struct decimal *out);
bool decimal_exp(struct decimal a, struct decimal *out);
bool decimal_log(struct decimal a, struct decimal *out);
struct decimal decimal_neg(struct decimal a);
struct decimal decimal_abs(struct decimal a);

/* <0, 0, >0 */
int decimal_cmp(struct decimal a, struct decimal b);
int decimal_sign(struct decimal a);
bool decimal_is_integer(struct decimal a);
/* Equal numbers have equal hashes, whatever their form and trailing zeros. */
uint64_t decimal_hash(struct decimal a);

enum decimal_rounding {
    DECIMAL_HALF_EVEN,
    DECIMAL_FLOOR,
    DECIMAL_CEILING,
    DECIMAL_UP,   /* away from zero */
    DECIMAL_DOWN, /* towards zero */
    DECIMAL_HALF_UP,
    DECIMAL_HALF_DOWN,
};
/* Rounds to `scale` digits behind the point (negative: before it); false when it does not fit. */
bool decimal_round(struct decimal a, int scale, enum decimal_rounding how, struct decimal *out);
