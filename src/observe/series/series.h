/* series.h - time series: numbered streams of (instant, value, status), durable, compressed, dropped by day.
 *
 * New samples stand in the head (memory, compressed) and in a log; the head goes into block files of one
 * UTC day each when it grows old or large, and the log is cut.  A manifest names what counts, so opening is
 * exact: blocks of the manifest, then the log from where it says.
 *
 * Invariants: 1. of repeated (series, instant) the first that was appended wins, also across blocks and
 * restarts.  2. a batch is applied in the order of the log, whole or not at all.  3. the sender's cursor
 * lies in the log record of its samples, so each counts once.
 * Threads: any, but for open/close.  Layer: observe (uses base). */
#pragma once
#include "base/clock.h"
#include "base/disk.h"
#include "base/wal.h"

#define SERIES_LABELS_MAX 16     /* labels of one series */
#define SERIES_LABELS_BYTES 1024 /* of their canonical text */
#define SERIES_LATE_MS (INT64_C(7) * 86400000)
#define SERIES_AHEAD_MS INT64_C(600000) /* samples further in the future are refused */
#define SERIES_BATCH_MAX 100000

struct series_store;

struct series_config {
    struct disk *disk;         /* borrowed */
    const char *dir;           /* copied */
    const struct clock *clock; /* borrowed */
    size_t head_bytes_max;     /* flush past it; 0 = 64 MiB */
    int64_t head_age_ms;       /* flush when the head is older; 0 = 2 h */
    int retention_days;        /* blocks older are unlinked by series_maintain(); 0 = 400 */
    size_t series_max;         /* 0 = 4,000,000; more is ERR_LIMIT */
};

MUST_CHECK enum err_code series_open(const struct series_config *config, struct series_store **out_store,
                                     struct err *err);
void series_close(struct series_store *store);

struct series_label {
    struct str name, value;
};

/* The id of the series with these labels (any order), made when new; durable on return.
 * ERR_INVALID (empty or repeated name), ERR_LIMIT, ERR_IO, ERR_DISK_FULL, ERR_NOMEM. */
MUST_CHECK enum err_code series_id(struct series_store *store, const struct series_label *labels,
                                   size_t count, int64_t *out_id, struct err *err);
/* The same for many at once with one sync: labels[i] has counts[i] labels. */
struct series_labels {
    const struct series_label *labels;
    size_t count;
};
MUST_CHECK enum err_code series_ids(struct series_store *store, const struct series_labels *sets,
                                    size_t count, int64_t *out_ids, struct err *err);
/* Looks only; ERR_NOT_FOUND. */
MUST_CHECK enum err_code series_find(struct series_store *store, const struct series_label *labels,
                                     size_t count, int64_t *out_id, struct err *err);
/* Ids of all series that carry all these labels, at most `max`; returns how many there are. */
size_t series_select(struct series_store *store, const struct series_label *labels, size_t count,
                     int64_t *out_ids, size_t max);
/* The labels as "name=value" lines in order of name (a copy in the arena); ERR_NOT_FOUND. */
MUST_CHECK enum err_code series_labels_get(struct series_store *store, int64_t id, struct arena *arena,
                                           struct str *out_text, struct err *err);

enum series_status { SERIES_GOOD, SERIES_FAILED, SERIES_NO_DATA, SERIES_STATUS__COUNT };
enum series_kind { SERIES_I64, SERIES_F64 };

struct series_sample {
    int64_t id, at_ms;
    uint8_t kind;   /* enum series_kind */
    uint8_t status; /* enum series_status */
    uint32_t step;  /* series_batch.steps: which of the sequence numbers it belongs to, from 0 */
    union {
        int64_t i64;
        double f64;
    };
};

/* Who sent a batch: the first sample has `sequence`, the next sequence + 1 ...  node 0 = nobody keeps count.
 */
struct series_sender {
    int64_t node, epoch;
    uint64_t sequence;
};

struct series_batch {
    struct series_sender sender;
    const struct series_sample *samples;
    size_t count;
    size_t steps; /* sequence numbers the batch takes; 0 = each sample has its own */
};

struct series_result {
    size_t stored;    /* new in the head; one that a block has already is dropped when read */
    size_t repeated;  /* the sender's sequence was known already */
    size_t duplicate; /* (series, instant) stood in the head */
    size_t refused;   /* older than SERIES_LATE_MS, too far ahead, or of no known series */
    size_t gap;       /* sequence numbers that the sender skipped */
};

/* Durable on return and atomic with the sender's cursor.  ERR_LIMIT, ERR_BUSY, ERR_DISK_FULL, ERR_IO,
 * ERR_NOMEM: nothing of the batch is there.  ERR_CONFLICT: the node has begun a later epoch.  `out_result`
 * may be NULL. */
MUST_CHECK enum err_code series_append(struct series_store *store, const struct series_batch *batch,
                                       struct series_result *out_result, struct err *err);
/* The highest sequence acknowledged to the node in that epoch; false = none. */
bool series_acknowledged(struct series_store *store, int64_t node, int64_t epoch, uint64_t *out_sequence);

enum series_aggregate {
    SERIES_RAW, /* every sample; step is ignored */
    SERIES_AVG,
    SERIES_MIN,
    SERIES_MAX,
    SERIES_SUM,
    SERIES_COUNT,
    SERIES_FIRST,
    SERIES_LAST,
    SERIES_AGGREGATE__COUNT
};
/* "avg" and so on to the aggregate; -1 when unknown. */
int series_aggregate_from(struct str name);

struct series_point {
    int64_t at_ms; /* of the sample, or the beginning of the step (a multiple of step since 1970) */
    double value;  /* of good samples; NAN where there is none */
    uint32_t good, failed, no_data;
};

/* Points of [from, to) in order of time; steps without samples are left out.  `*out_points` lies in the
 * arena.  ERR_LIMIT past `points_max`, ERR_INVALID, ERR_NOT_FOUND (no such series), ERR_CORRUPT, ERR_IO. */
MUST_CHECK enum err_code series_read(struct series_store *store, int64_t id, int64_t from_ms, int64_t to_ms,
                                     int64_t step_ms, enum series_aggregate aggregate, size_t points_max,
                                     struct arena *arena, struct series_point **out_points, size_t *out_count,
                                     struct err *err);
/* The newest sample of a series in memory or on disk; ERR_NOT_FOUND when there is none. */
MUST_CHECK enum err_code series_last(struct series_store *store, int64_t id, struct series_sample *out,
                                     struct err *err);

/* Puts the head into block files and cuts the log.  Appending goes on meanwhile. */
MUST_CHECK enum err_code series_flush(struct series_store *store, struct err *err);
/* For a timer, say each minute: flushes when due, merges the blocks of finished days, drops old days. */
MUST_CHECK enum err_code series_maintain(struct series_store *store, struct err *err);
/* Unlinks every block of days before that instant's UTC day; what is in the head stays. */
MUST_CHECK enum err_code series_drop_before(struct series_store *store, int64_t before_ms, struct err *err);
/* A consistent copy (hard links) into an empty folder on the same file system, from which series_open()
 * works; counts what is in it. */
MUST_CHECK enum err_code series_backup(struct series_store *store, const char *dir, struct err *err);

struct series_stats {
    size_t series, blocks, head_bytes;
    uint64_t samples_appended, samples_duplicate, samples_refused, block_bytes, log_bytes;
};
void series_stats_get(struct series_store *store, struct series_stats *out);
