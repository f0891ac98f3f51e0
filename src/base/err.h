/* err.h - what went wrong, as data: a message id, typed arguments, a position.
 *
 * Filled once, where the failure is first seen; callers may add what they were doing.  It never holds a
 * sentence (err_text() makes one at the edge, in the reader's language) and never a secret.
 * Threads: values only.  Layer: base. */
#pragma once
#include "base/arena.h"
#include "base/str.h"

enum err_code {
    ERR_OK = 0,
    ERR_INVALID,      /* not in the grammar, fails a check of its content */
    ERR_NOT_FOUND,    /* absent, or out of the caller's scope */
    ERR_CONFLICT,     /* breaks a uniqueness or a state rule */
    ERR_STALE,        /* somebody else changed it meanwhile */
    ERR_PRECONDITION, /* a version is required and was not given */
    ERR_NO_LOGIN,     /* nobody is logged in */
    ERR_FORBIDDEN,    /* somebody is, without the right */
    ERR_LIMIT,        /* longer, deeper or more than allowed */
    ERR_TOO_LARGE,    /* a request body over its limit */
    ERR_BUSY,         /* pool and queue full: try again later */
    ERR_TIMEOUT,      /* the deadline of the request passed */
    ERR_CANCELLED,    /* somebody asked to stop */
    ERR_NOMEM,        /* no memory, or an arena at its ceiling */
    ERR_IO,           /* file or disk */
    ERR_DISK_FULL,    /* ENOSPC or EDQUOT: writes are refused, reading goes on */
    ERR_NET,          /* a peer or the network */
    ERR_STORE,        /* the database is away or failed */
    ERR_UNSUPPORTED,  /* valid, but this program does not do it; names the element */
    ERR_CORRUPT,      /* stored data is not what was written */
    ERR_INTERNAL,     /* a bug of ours that could be contained */
    ERR__COUNT
};

#define ERR_ARGS_MAX 4
#define ERR_TEXT_MAX 96 /* bytes of a text argument; longer is cut at a character */
#define ERR_DOING_MAX 6

struct err_arg {
    const char *name; /* static storage; NULL ends the list */
    bool is_text;
    int64_t number;
    char text[ERR_TEXT_MAX + 1];
};

struct err_at {
    int line, column;  /* from 1; column counts code points; 0 = none */
    char pointer[128]; /* JSON pointer of the field, or "" */
};

struct err {
    enum err_code code;
    const char *id; /* a key of words/, e.g. "feel.expected"; static storage */
    struct err_arg args[ERR_ARGS_MAX];
    struct err_at at;
    const char *doing[ERR_DOING_MAX]; /* innermost first; static storage */
};

/* The arguments of err_set(): ARG_TEXT("what", cstring), ARG_STR("what", struct str), ARG_INT("n", 3). */
enum err_arg_kind { ERR_ARG_END, ERR_ARG_TEXT, ERR_ARG_STR, ERR_ARG_INT, ERR_ARG_ERRNO };
#define ARG_END ERR_ARG_END
#define ARG_TEXT(name, cstring) ERR_ARG_TEXT, (const char *)(name), (const char *)(cstring)
#define ARG_STR(name, s) ERR_ARG_STR, (const char *)(name), (s)
#define ARG_INT(name, n) ERR_ARG_INT, (const char *)(name), (int64_t)(n)
#define ARG_ERRNO(errnum) ERR_ARG_ERRNO, (int)(errnum) /* argument "reason": strerror in English */

/* Fills *err and returns `code`, so that a failure leaves in one line:
 *     return err_set(err, ERR_INVALID, "feel.expected", ARG_TEXT("what", ")"), ARG_END);
 * `err` may be NULL.  The position is cleared. */
enum err_code err_set(struct err *err, enum err_code code, const char *id, ...);

/* Adds the position to a filled error.  `pointer` may be NULL.  Returns the code. */
enum err_code err_at(struct err *err, int line, int column);
enum err_code err_pointer(struct err *err, struct str pointer);

/* Adds what the caller was doing ("rule.save"); returns the code.  Past ERR_DOING_MAX it is dropped. */
enum err_code err_in(struct err *err, const char *doing);

/* Shorthand for the commonest. */
enum err_code err_nomem(struct err *err);

/* What the five above return is never ERR_OK, which compiler and analyser learn here: after
 * `if (rc) return rc;` the outputs of a helper that failed are out of the question.  An error that nobody
 * filled is a bug of ours; it stays an error. */
static inline enum err_code err_failed(enum err_code code)
{
    return code == ERR_OK ? ERR_INTERNAL : code;
}
#define err_set(...) err_failed((err_set)(__VA_ARGS__))
#define err_at(...) err_failed((err_at)(__VA_ARGS__))
#define err_pointer(...) err_failed((err_pointer)(__VA_ARGS__))
#define err_in(...) err_failed((err_in)(__VA_ARGS__))
#define err_nomem(...) err_failed((err_nomem)(__VA_ARGS__))

/* A stable lower-case name of the code for logs and problem+json ("invalid", "not_found"). */
const char *err_name(enum err_code code);

/* HTTP status of a code, and exit status of a subcommand (contracts: 1 no, 2 usage, 3 surroundings). */
int err_http_status(enum err_code code);
int err_exit_status(enum err_code code);

/* A bounded list of findings for checks that can find many things. */
#define FINDINGS_MAX 100
struct findings {
    struct err *items; /* FINDINGS_MAX of them, from the arena */
    int count;         /* <= FINDINGS_MAX */
    int more;          /* how many further ones were dropped */
};
MUST_CHECK enum err_code findings_init(struct findings *findings, struct arena *arena, struct err *err);
void findings_add(struct findings *findings, const struct err *one);
