/* holidays.c - the table.  Sources: notices of the General Office of the State Council for 2024 (25 Oct
 * 2023), 2025 (12 Nov 2024) and 2026 (4 Nov 2025); for 2027 the days named by the law on public holidays
 * as amended in November 2024, until the notice is entered. */
#include "base/holidays.h"

#include <stddef.h>

/* Days since 1970-01-01 as a constant expression; March is month 0 of the computing year. */
#define MY(y, m) ((m) > 2 ? (y) : (y)-1)
#define MM(m) ((m) > 2 ? (m)-3 : (m) + 9)
#define D(y, m, d)                                                                                           \
    (365 * MY(y, m) + MY(y, m) / 4 - MY(y, m) / 100 + MY(y, m) / 400 + (153 * MM(m) + 2) / 5 + (d)-1 - 719468)
#define OFF(y, m1, d1, m2, d2, name)                                                                         \
    {                                                                                                        \
        D(y, m1, d1), D(y, m2, d2), "holiday." name, false                                                   \
    }
#define WORK(y, m, d, name)                                                                                  \
    {                                                                                                        \
        D(y, m, d), D(y, m, d), "holiday." name, true                                                        \
    }

/* clang-format off */
static const struct holiday TABLE[] = {
    OFF(2024, 1, 1, 1, 1, "new_year"),
    WORK(2024, 2, 4, "spring"), OFF(2024, 2, 10, 2, 17, "spring"), WORK(2024, 2, 18, "spring"),
    OFF(2024, 4, 4, 4, 6, "qingming"), WORK(2024, 4, 7, "qingming"),
    WORK(2024, 4, 28, "labour"), OFF(2024, 5, 1, 5, 5, "labour"), WORK(2024, 5, 11, "labour"),
    OFF(2024, 6, 10, 6, 10, "dragon_boat"),
    WORK(2024, 9, 14, "mid_autumn"), OFF(2024, 9, 15, 9, 17, "mid_autumn"),
    WORK(2024, 9, 29, "national"), OFF(2024, 10, 1, 10, 7, "national"), WORK(2024, 10, 12, "national"),

    OFF(2025, 1, 1, 1, 1, "new_year"),
    WORK(2025, 1, 26, "spring"), OFF(2025, 1, 28, 2, 4, "spring"), WORK(2025, 2, 8, "spring"),
    OFF(2025, 4, 4, 4, 6, "qingming"),
    WORK(2025, 4, 27, "labour"), OFF(2025, 5, 1, 5, 5, "labour"),
    OFF(2025, 5, 31, 6, 2, "dragon_boat"),
    WORK(2025, 9, 28, "national"), OFF(2025, 10, 1, 10, 8, "national"), WORK(2025, 10, 11, "national"),

    OFF(2026, 1, 1, 1, 3, "new_year"), WORK(2026, 1, 4, "new_year"),
    WORK(2026, 2, 14, "spring"), OFF(2026, 2, 15, 2, 23, "spring"), WORK(2026, 2, 28, "spring"),
    OFF(2026, 4, 4, 4, 6, "qingming"),
    OFF(2026, 5, 1, 5, 5, "labour"), WORK(2026, 5, 9, "labour"),
    OFF(2026, 6, 19, 6, 21, "dragon_boat"),
    WORK(2026, 9, 20, "national"), OFF(2026, 9, 25, 9, 27, "mid_autumn"),
    OFF(2026, 10, 1, 10, 7, "national"), WORK(2026, 10, 10, "national"),

    /* provisional: by law only, no moved days */
    OFF(2027, 1, 1, 1, 1, "new_year"),
    OFF(2027, 2, 5, 2, 8, "spring"),
    OFF(2027, 4, 5, 4, 5, "qingming"),
    OFF(2027, 5, 1, 5, 2, "labour"),
    OFF(2027, 6, 9, 6, 9, "dragon_boat"),
    OFF(2027, 9, 15, 9, 15, "mid_autumn"),
    OFF(2027, 10, 1, 10, 3, "national"),
};
/* clang-format on */

const struct holiday *holidays_cn(int *out_count)
{
    *out_count = (int)(sizeof(TABLE) / sizeof(TABLE[0]));
    return TABLE;
}

bool holidays_cn_published(int year)
{
    return year >= 2024 && year <= 2026;
}
