/* builtin.h - the built-in functions by group, and what they share.
 *
 * A function gets as many arguments as its signature allows, each of the kind that its letter in
 * `struct builtin.kinds` names (builtin.c); *out is null beforehand, and stays so when it does not apply.
 * Layer: feel, inside. */
#pragma once
#include "feel/eval.h"
#include "feel/temporal.h"

#define BUILTIN(name)                                                                                        \
    void name(struct feel_eval *ev, const struct feel_value *args, size_t count, struct feel_value *out)

/* builtin_conversion.c */
BUILTIN(fn_date);
BUILTIN(fn_date_and_time);
BUILTIN(fn_time);
BUILTIN(fn_number);
BUILTIN(fn_string);
BUILTIN(fn_duration);
BUILTIN(fn_years_and_months_duration);
BUILTIN(fn_not);
BUILTIN(fn_is);
BUILTIN(fn_now);
BUILTIN(fn_today);
BUILTIN(fn_day_of_week);
BUILTIN(fn_day_of_year);
BUILTIN(fn_week_of_year);
BUILTIN(fn_month_of_year);

/* builtin_string.c */
BUILTIN(fn_substring);
BUILTIN(fn_string_length);
BUILTIN(fn_upper_case);
BUILTIN(fn_lower_case);
BUILTIN(fn_substring_before);
BUILTIN(fn_substring_after);
BUILTIN(fn_contains);
BUILTIN(fn_starts_with);
BUILTIN(fn_ends_with);
BUILTIN(fn_string_join);

/* builtin_regex.c */
BUILTIN(fn_matches);
BUILTIN(fn_replace);
BUILTIN(fn_split);

/* builtin_number.c */
BUILTIN(fn_decimal);
BUILTIN(fn_floor);
BUILTIN(fn_ceiling);
BUILTIN(fn_round_up);
BUILTIN(fn_round_down);
BUILTIN(fn_round_half_up);
BUILTIN(fn_round_half_down);
BUILTIN(fn_abs);
BUILTIN(fn_modulo);
BUILTIN(fn_sqrt);
BUILTIN(fn_log);
BUILTIN(fn_exp);
BUILTIN(fn_odd);
BUILTIN(fn_even);

/* builtin_list.c */
BUILTIN(fn_list_contains);
BUILTIN(fn_count);
BUILTIN(fn_sublist);
BUILTIN(fn_append);
BUILTIN(fn_concatenate);
BUILTIN(fn_insert_before);
BUILTIN(fn_remove);
BUILTIN(fn_reverse);
BUILTIN(fn_index_of);
BUILTIN(fn_union);
BUILTIN(fn_distinct_values);
BUILTIN(fn_flatten);
BUILTIN(fn_list_replace);
BUILTIN(fn_sort);

/* builtin_statistics.c */
BUILTIN(fn_min);
BUILTIN(fn_max);
BUILTIN(fn_sum);
BUILTIN(fn_mean);
BUILTIN(fn_all);
BUILTIN(fn_any);
BUILTIN(fn_product);
BUILTIN(fn_median);
BUILTIN(fn_stddev);
BUILTIN(fn_mode);

/* builtin_context.c */
BUILTIN(fn_get_value);
BUILTIN(fn_get_entries);
BUILTIN(fn_context);
BUILTIN(fn_context_put);
BUILTIN(fn_context_merge);

/* builtin_range.c */
BUILTIN(fn_range);
BUILTIN(fn_before);
BUILTIN(fn_after);
BUILTIN(fn_meets);
BUILTIN(fn_met_by);
BUILTIN(fn_overlaps);
BUILTIN(fn_overlaps_before);
BUILTIN(fn_overlaps_after);
BUILTIN(fn_finishes);
BUILTIN(fn_finished_by);
BUILTIN(fn_includes);
BUILTIN(fn_during);
BUILTIN(fn_starts);
BUILTIN(fn_started_by);
BUILTIN(fn_coincides);

/* A text of the arena from a buffer; stops the evaluation when it is too long. */
void text_value(struct feel_eval *ev, struct buf *buf, struct feel_value *out);
/* The whole part of a number within int64, as positions are given. */
bool whole(const struct feel_value *number, int64_t *out);
/* Merge sort: `less` decides; false when the evaluation stopped.  Equal items keep their order. */
typedef bool (*less_fn)(struct feel_eval *ev, void *arg, const struct feel_value *a,
                        const struct feel_value *b);
bool sort_values(struct feel_eval *ev, struct feel_value *items, size_t count, less_fn less, void *arg);
