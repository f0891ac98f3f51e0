/* decimal.c - the 64-bit fast path by hand, the rest by Intel's decimal library.
 *
 * Every operation on two small numbers first tries 128-bit integers; what does not come out exact within
 * 34 digits goes to the library, whose rounding is half even.  Results are brought back to the small form
 * where they fit (`shrink`). */
#include "feel/decimal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The calling convention of libbidgcc000.a: by value, rounding and flags as parameters. */
#define DECIMAL_CALL_BY_REFERENCE 0
#define DECIMAL_GLOBAL_ROUNDING 0
#define DECIMAL_GLOBAL_EXCEPTION_FLAGS 0
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wundef"
#include <bid_conf.h>
#include <bid_functions.h>
#pragma GCC diagnostic pop

/* gcc 12 takes the typedef and the type it stands for as different in sign. */
#pragma GCC diagnostic ignored "-Wsign-conversion"
__extension__ typedef __int128 i128;
__extension__ typedef unsigned __int128 u128;

#define BIAS 6176
#define EXPONENT_MAX 6111
#define SIGN (1ULL << 63)
#define COEFFICIENT_HI 0x1ffffffffffffULL

static const int64_t POW10[19] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
};

/* value = (negative ? -1 : 1) * coefficient * 10^exponent */
struct parts {
    u128 coefficient;
    int exponent;
    bool negative;
};

static u128 pow10_u128(int n)
{
    u128 p = 1;
    for (; n > 18; n -= 18)
        p *= (u128)POW10[18];
    return p * (u128)POW10[n];
}

static struct parts split(struct decimal d)
{
    struct parts p;
    if (decimal_is_small(d)) {
        const int64_t c = decimal_small_coefficient(d);
        p.negative = c < 0;
        p.coefficient = c < 0 ? (u128)(-(i128)c) : (u128)c;
        p.exponent = -decimal_small_scale(d);
        return p;
    }
    p.negative = (d.hi & SIGN) != 0;
    if ((d.hi & 0x6000000000000000ULL) == 0x6000000000000000ULL) { /* non-canonical: zero */
        p.coefficient = 0;
        p.exponent = 0;
        return p;
    }
    p.exponent = (int)((d.hi >> 49) & 0x3fff) - BIAS;
    p.coefficient = (u128)(d.hi & COEFFICIENT_HI) << 64 | d.lo;
    return p;
}

static bool fits_small(u128 coefficient, bool negative)
{
    return coefficient <= (u128)INT64_MAX + (negative ? 1 : 0);
}

static struct decimal small_of(u128 coefficient, bool negative, int scale)
{
    const int64_t c = negative ? (int64_t)(-(i128)coefficient) : (int64_t)coefficient;
    return decimal_small(c, scale);
}

/* The small form when it fits, else BID; the coefficient has at most 34 digits, the exponent is in range. */
static struct decimal join(u128 coefficient, int exponent, bool negative)
{
    if (coefficient == 0)
        return decimal_small(0, 0);
    while (exponent < 0 && coefficient % 10 == 0 && (exponent < -DECIMAL_SCALE_MAX || coefficient >> 63)) {
        coefficient /= 10;
        exponent++;
    }
    while (exponent > 0 && exponent <= DECIMAL_SCALE_MAX && coefficient < ((u128)1 << 60)) {
        coefficient *= 10;
        exponent--;
    }
    if (exponent <= 0 && exponent >= -DECIMAL_SCALE_MAX && fits_small(coefficient, negative))
        return small_of(coefficient, negative, -exponent);
    return (struct decimal) { (uint64_t)coefficient, (uint64_t)(coefficient >> 64) |
                                                         (uint64_t)(exponent + BIAS) << 49 |
                                                         (negative ? SIGN : 0) };
}

static BID_UINT128 to_bid(struct decimal d)
{
    BID_UINT128 bid;
    if (decimal_is_small(d)) {
        const struct parts p = split(d);
        bid.w[0] = (uint64_t)p.coefficient;
        bid.w[1] = (uint64_t)(p.exponent + BIAS) << 49 | (p.negative ? SIGN : 0);
    } else {
        bid.w[0] = d.lo;
        bid.w[1] = d.hi;
    }
    return bid;
}

/* False for NaN and infinity. */
static bool from_bid(BID_UINT128 bid, struct decimal *out)
{
    if ((bid.w[1] & 0x7800000000000000ULL) == 0x7800000000000000ULL)
        return false;
    const struct parts p = split((struct decimal) { bid.w[0], bid.w[1] });
    *out = join(p.coefficient, p.exponent, p.negative);
    return true;
}

/* From a 128-bit sum or product; false when it needs rounding. */
static bool join_exact(i128 value, int scale, struct decimal *out)
{
    const bool negative = value < 0;
    const u128 coefficient = negative ? -(u128)value : (u128)value;
    if (scale <= DECIMAL_SCALE_MAX && fits_small(coefficient, negative)) {
        *out = small_of(coefficient, negative, scale);
        return true;
    }
    if (coefficient >= pow10_u128(34))
        return false;
    *out = join(coefficient, -scale, negative);
    return true;
}

/* ---------------------------------------------------------------- text */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Rounds digits beyond the library's buffer into a sticky last one. */
static bool parse_long(const char *digits, size_t count, bool sticky, long exponent, bool negative,
                       struct decimal *out)
{
    char text[80];
    size_t len = 0;
    if (negative)
        text[len++] = '-';
    const size_t keep = count < 40 ? count : 40;
    memcpy(text + len, digits, keep);
    len += keep;
    for (size_t i = keep; i < count && !sticky; i++)
        sticky = digits[i] != '0';
    exponent += (long)(count - keep);
    if (sticky) {
        text[len++] = '1';
        exponent--;
    }
    (void)snprintf(text + len, sizeof text - len, "E%ld", exponent);
    unsigned flags = 0;
    return from_bid(bid128_from_string(text, BID_ROUNDING_TO_NEAREST, &flags), out);
}

bool decimal_parse(struct str text, struct decimal *out)
{
    size_t at = 0;
    bool negative = false, any = false, point = false, sticky = false;
    char digits[64];
    size_t count = 0;
    long exponent = 0;

    if (at < text.len && (text.ptr[at] == '-' || text.ptr[at] == '+'))
        negative = text.ptr[at++] == '-';
    for (; at < text.len; at++) {
        const char c = text.ptr[at];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (!is_digit(c))
            break;
        any = true;
        if (point)
            exponent--;
        if (count == 0 && c == '0')
            continue;
        if (count < sizeof digits) {
            digits[count++] = c;
        } else {
            sticky = sticky || c != '0';
            exponent++;
        }
    }
    if (!any)
        return false;
    if (at < text.len && (text.ptr[at] == 'e' || text.ptr[at] == 'E')) {
        at++;
        bool minus = false;
        long e = 0;
        if (at < text.len && (text.ptr[at] == '-' || text.ptr[at] == '+'))
            minus = text.ptr[at++] == '-';
        if (at == text.len)
            return false;
        for (; at < text.len && is_digit(text.ptr[at]); at++)
            if (e < 1000000)
                e = e * 10 + (text.ptr[at] - '0');
        exponent += minus ? -e : e;
    }
    if (at != text.len)
        return false;
    if (count == 0) {
        *out = decimal_small(0, 0);
        return true;
    }
    if (count <= 18 && exponent <= 0 && exponent >= -DECIMAL_SCALE_MAX) {
        int64_t c = 0;
        for (size_t i = 0; i < count; i++)
            c = c * 10 + (digits[i] - '0');
        *out = decimal_small(negative ? -c : c, (int)-exponent);
        return true;
    }
    if (count <= 34 && exponent <= EXPONENT_MAX && exponent >= -BIAS) {
        u128 c = 0;
        for (size_t i = 0; i < count; i++)
            c = c * 10 + (u128)(digits[i] - '0');
        *out = join(c, (int)exponent, negative);
        return true;
    }
    return parse_long(digits, count, sticky, exponent, negative, out);
}

bool decimal_from_double(double number, struct decimal *out)
{
    if (!isfinite(number))
        return false;
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    return decimal_parse(str_from(text), out);
}

double decimal_to_double(struct decimal d)
{
    if (decimal_is_small(d) && decimal_small_scale(d) == 0)
        return (double)decimal_small_coefficient(d);
    char text[80];
    const struct parts p = split(d);
    u128 c = p.coefficient;
    char digits[40];
    size_t at = sizeof digits;
    digits[--at] = 0;
    do {
        digits[--at] = (char)('0' + (int)(c % 10));
        c /= 10;
    } while (c);
    (void)snprintf(text, sizeof text, "%s%se%d", p.negative ? "-" : "", digits + at, p.exponent);
    return strtod(text, NULL);
}

bool decimal_to_i64(struct decimal d, int64_t *out)
{
    struct parts p = split(d);
    while (p.exponent < 0 && p.coefficient && p.coefficient % 10 == 0) {
        p.coefficient /= 10;
        p.exponent++;
    }
    if (p.coefficient == 0) {
        *out = 0;
        return true;
    }
    if (p.exponent < 0 || p.exponent > 18)
        return false;
    for (; p.exponent > 0; p.exponent--) {
        if (p.coefficient > (u128)INT64_MAX)
            return false;
        p.coefficient *= 10;
    }
    if (!fits_small(p.coefficient, p.negative))
        return false;
    *out = p.negative ? (int64_t)(-(i128)p.coefficient) : (int64_t)p.coefficient;
    return true;
}

size_t decimal_text(struct decimal d, char *out, size_t size)
{
    struct parts p = split(d);
    char digits[40];
    size_t at = sizeof digits, len = 0;
    if (!p.coefficient)
        p.exponent = 0;
    while (p.coefficient && p.coefficient % 10 == 0) {
        p.coefficient /= 10;
        p.exponent++;
    }
    u128 c = p.coefficient;
    do {
        digits[--at] = (char)('0' + (int)(c % 10));
        c /= 10;
    } while (c);
    const size_t count = sizeof digits - at;
    char text[128];
    if (p.negative && p.coefficient)
        text[len++] = '-';
    const int point = (int)count + p.exponent; /* digits before the point */
    if (point > 40 || point < -40) {
        text[len++] = digits[at];
        if (count > 1) {
            text[len++] = '.';
            memcpy(text + len, digits + at + 1, count - 1);
            len += count - 1;
        }
        len += (size_t)snprintf(text + len, sizeof text - len, "E%+d", point - 1);
    } else if (point <= 0) {
        text[len++] = '0';
        text[len++] = '.';
        for (int i = point; i < 0; i++)
            text[len++] = '0';
        memcpy(text + len, digits + at, count);
        len += count;
    } else {
        for (int i = 0; i < point; i++)
            text[len++] = (size_t)i < count ? digits[at + (size_t)i] : '0';
        if ((size_t)point < count) {
            text[len++] = '.';
            memcpy(text + len, digits + at + point, count - (size_t)point);
            len += count - (size_t)point;
        }
    }
    if (size) {
        const size_t n = len < size - 1 ? len : size - 1;
        memcpy(out, text, n);
        out[n] = 0;
    }
    return len;
}

/* ---------------------------------------------------------------- arithmetic */

bool decimal_add(struct decimal a, struct decimal b, struct decimal *out)
{
    if (decimal_is_small(a) && decimal_is_small(b)) {
        const int sa = decimal_small_scale(a), sb = decimal_small_scale(b);
        const int64_t ca = decimal_small_coefficient(a), cb = decimal_small_coefficient(b);
        int64_t sum;
        if (sa == sb && !__builtin_add_overflow(ca, cb, &sum)) {
            *out = decimal_small(sum, sa);
            return true;
        }
        const int scale = sa > sb ? sa : sb;
        const i128 wide = (i128)ca * POW10[scale - sa] + (i128)cb * POW10[scale - sb];
        if (join_exact(wide, scale, out))
            return true;
    }
    unsigned flags = 0;
    return from_bid(bid128_add(to_bid(a), to_bid(b), BID_ROUNDING_TO_NEAREST, &flags), out);
}

bool decimal_sub(struct decimal a, struct decimal b, struct decimal *out)
{
    return decimal_add(a, decimal_neg(b), out);
}

bool decimal_mul(struct decimal a, struct decimal b, struct decimal *out)
{
    if (decimal_is_small(a) && decimal_is_small(b)) {
        const int scale = decimal_small_scale(a) + decimal_small_scale(b);
        const int64_t ca = decimal_small_coefficient(a), cb = decimal_small_coefficient(b);
        int64_t product;
        if (scale <= DECIMAL_SCALE_MAX && !__builtin_mul_overflow(ca, cb, &product)) {
            *out = decimal_small(product, scale);
            return true;
        }
        if (join_exact((i128)ca * cb, scale, out))
            return true;
    }
    unsigned flags = 0;
    return from_bid(bid128_mul(to_bid(a), to_bid(b), BID_ROUNDING_TO_NEAREST, &flags), out);
}

/* Quotients that end soon; the numerator is widened by 3 and 9 digits before giving up. */
static bool divide_small(struct decimal a, struct decimal b, struct decimal *out)
{
    static const int WIDER[] = { 0, 3, 9 };
    const int64_t ca = decimal_small_coefficient(a), cb = decimal_small_coefficient(b);
    const int sa = decimal_small_scale(a), sb = decimal_small_scale(b);
    const int least = sa > sb ? sa - sb : 0;
    for (size_t i = 0; i < sizeof WIDER / sizeof *WIDER; i++) {
        int scale = least + WIDER[i];
        const int shift = scale + sb - sa;
        if (scale > DECIMAL_SCALE_MAX || shift > 18)
            return false;
        int64_t narrow;
        i128 quotient;
        if (!__builtin_mul_overflow(ca, POW10[shift], &narrow) && !(narrow == INT64_MIN && cb == -1)) {
            if (narrow % cb)
                continue;
            quotient = narrow / cb;
        } else {
            const i128 wide = (i128)ca * POW10[shift];
            if (wide % cb)
                continue;
            quotient = wide / cb;
        }
        while (scale > 0 && quotient % 10 == 0) {
            quotient /= 10;
            scale--;
        }
        return join_exact(quotient, scale, out);
    }
    return false;
}

bool decimal_div(struct decimal a, struct decimal b, struct decimal *out)
{
    if (decimal_sign(b) == 0)
        return false;
    if (decimal_is_small(a) && decimal_is_small(b) && divide_small(a, b, out))
        return true;
    unsigned flags = 0;
    return from_bid(bid128_div(to_bid(a), to_bid(b), BID_ROUNDING_TO_NEAREST, &flags), out);
}

bool decimal_modulo(struct decimal a, struct decimal b, struct decimal *out)
{
    const int sign_b = decimal_sign(b);
    if (sign_b == 0)
        return false;
    if (decimal_is_small(a) && decimal_is_small(b)) {
        const int sa = decimal_small_scale(a), sb = decimal_small_scale(b);
        const int scale = sa > sb ? sa : sb;
        const i128 wa = (i128)decimal_small_coefficient(a) * POW10[scale - sa];
        const i128 wb = (i128)decimal_small_coefficient(b) * POW10[scale - sb];
        i128 rest = wa % wb;
        if (rest && (rest < 0) != (wb < 0))
            rest += wb;
        if (join_exact(rest, scale, out))
            return true;
    }
    unsigned flags = 0;
    struct decimal rest;
    if (!from_bid(bid128_fmod(to_bid(a), to_bid(b), &flags), &rest))
        return false;
    const int sign = decimal_sign(rest);
    if (sign && sign != sign_b)
        return decimal_add(rest, b, out);
    *out = rest;
    return true;
}

/* Whole exponents by squaring, so that what is exact stays exact. */
static bool power_whole(struct decimal base, int64_t n, struct decimal *out)
{
    struct decimal result = decimal_i64(1);
    while (n) {
        if (n & 1 && !decimal_mul(result, base, &result))
            return false;
        n >>= 1;
        if (n && !decimal_mul(base, base, &base))
            return false;
    }
    *out = result;
    return true;
}

bool decimal_pow(struct decimal a, struct decimal b, struct decimal *out)
{
    int64_t n;
    struct decimal power;
    if (decimal_to_i64(b, &n) && n >= -1024 && n <= 1024) {
        if (power_whole(a, n < 0 ? -n : n, &power) &&
            (n >= 0 || decimal_div(decimal_i64(1), power, &power))) {
            *out = power;
            return true;
        }
        if (n >= 0)
            return false;
    }
    unsigned flags = 0;
    return from_bid(bid128_pow(to_bid(a), to_bid(b), BID_ROUNDING_TO_NEAREST, &flags), out);
}

bool decimal_sqrt(struct decimal a, struct decimal *out)
{
    unsigned flags = 0;
    return decimal_sign(a) >= 0 && from_bid(bid128_sqrt(to_bid(a), BID_ROUNDING_TO_NEAREST, &flags), out);
}

bool decimal_exp(struct decimal a, struct decimal *out)
{
    unsigned flags = 0;
    return from_bid(bid128_exp(to_bid(a), BID_ROUNDING_TO_NEAREST, &flags), out);
}

bool decimal_log(struct decimal a, struct decimal *out)
{
    unsigned flags = 0;
    return decimal_sign(a) > 0 && from_bid(bid128_log(to_bid(a), BID_ROUNDING_TO_NEAREST, &flags), out);
}

struct decimal decimal_neg(struct decimal a)
{
    if (decimal_is_small(a)) {
        const int64_t c = decimal_small_coefficient(a);
        if (c != INT64_MIN)
            return decimal_small(-c, decimal_small_scale(a));
    }
    const struct parts p = split(a);
    return join(p.coefficient, p.exponent, !p.negative);
}

struct decimal decimal_abs(struct decimal a)
{
    return decimal_sign(a) < 0 ? decimal_neg(a) : a;
}

/* ---------------------------------------------------------------- order */

int decimal_sign(struct decimal a)
{
    if (decimal_is_small(a)) {
        const int64_t c = decimal_small_coefficient(a);
        return (c > 0) - (c < 0);
    }
    const struct parts p = split(a);
    return p.coefficient == 0 ? 0 : p.negative ? -1 : 1;
}

int decimal_cmp(struct decimal a, struct decimal b)
{
    if (decimal_is_small(a) && decimal_is_small(b)) {
        const int sa = decimal_small_scale(a), sb = decimal_small_scale(b);
        const int64_t ca = decimal_small_coefficient(a), cb = decimal_small_coefficient(b);
        if (sa == sb)
            return (ca > cb) - (ca < cb);
        const int scale = sa > sb ? sa : sb;
        const i128 wa = (i128)ca * POW10[scale - sa], wb = (i128)cb * POW10[scale - sb];
        return (wa > wb) - (wa < wb);
    }
    unsigned flags = 0;
    const BID_UINT128 x = to_bid(a), y = to_bid(b);
    if (bid128_quiet_less(x, y, &flags))
        return -1;
    return bid128_quiet_greater(x, y, &flags) ? 1 : 0;
}

bool decimal_is_integer(struct decimal a)
{
    struct parts p = split(a);
    for (; p.exponent < 0 && p.coefficient; p.exponent++) {
        if (p.coefficient % 10)
            return false;
        p.coefficient /= 10;
    }
    return true;
}

uint64_t decimal_hash(struct decimal a)
{
    struct parts p = split(a);
    if (!p.coefficient)
        return 0x9e3779b97f4a7c15ULL;
    while (p.coefficient % 10 == 0) {
        p.coefficient /= 10;
        p.exponent++;
    }
    uint64_t h = (uint64_t)p.coefficient ^ (uint64_t)(p.coefficient >> 64) * 0xbf58476d1ce4e5b9ULL;
    h ^= (uint64_t)(uint32_t)p.exponent * 0x94d049bb133111ebULL ^ (p.negative ? SIGN : 0);
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9ULL;
    return h ^ h >> 31;
}

/* ---------------------------------------------------------------- rounding */

bool decimal_round(struct decimal a, int scale, enum decimal_rounding how, struct decimal *out)
{
    struct parts p = split(a);
    const int cut = -scale - p.exponent; /* digits that go */
    if (cut <= 0 || p.coefficient == 0) {
        *out = a;
        return true;
    }
    u128 quotient = 0, rest = p.coefficient;
    int against_half = -1;
    if (cut <= 34) {
        const u128 unit = pow10_u128(cut);
        quotient = p.coefficient / unit;
        rest = p.coefficient % unit;
        against_half = rest > unit / 2 ? 1 : rest == unit / 2 ? 0 : -1;
    }
    bool up = false;
    if (rest) {
        switch (how) {
        case DECIMAL_HALF_EVEN:
            up = against_half > 0 || (against_half == 0 && (quotient & 1));
            break;
        case DECIMAL_FLOOR:
            up = p.negative;
            break;
        case DECIMAL_CEILING:
            up = !p.negative;
            break;
        case DECIMAL_UP:
            up = true;
            break;
        case DECIMAL_DOWN:
            break;
        case DECIMAL_HALF_UP:
            up = against_half >= 0;
            break;
        case DECIMAL_HALF_DOWN:
            up = against_half > 0;
            break;
        }
    }
    quotient += up;
    if (-scale > EXPONENT_MAX || -scale < -BIAS) {
        if (quotient)
            return false;
        *out = decimal_small(0, 0);
        return true;
    }
    *out = join(quotient, -scale, p.negative);
    return true;
}
