/* answer.h - the answer of an HTTP/1 server, read from bytes as they come (RFC 9112).
 *
 * Pure: no socket, no clock.  Answers of status 1xx (but 101) are passed over, the real one follows.
 * Threads: one at a time.  Layer: observe. */
#pragma once
#include "base/buf.h"
#include "base/str.h"

#define ANSWER_HEAD_MAX 65536

enum answer_step { ANSWER_MORE, ANSWER_WHOLE, ANSWER_BAD };
enum answer_framing { TO_CLOSE, BY_LENGTH, CHUNKED, NO_BODY };
enum answer_chunk {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_DATA,
    CHUNK_DATA_END,
    CHUNK_TRAILER,
    CHUNK_TRAILER_LINE
};

struct answer {
    struct buf head, body; /* body: its first body_max bytes, when somebody wants them */
    bool to_head, wants_body, head_done;
    int status; /* 0: not known yet */
    uint64_t body_bytes;
    const char *why; /* of ANSWER_BAD */
    /* internal */
    enum answer_framing framing;
    enum answer_chunk chunk;
    bool chunk_digit;
    uint64_t left;
};

void answer_init(struct answer *answer, size_t body_max);
void answer_done(struct answer *answer);
/* The next answer; `to_head`: to a HEAD request, so without a body. */
void answer_begin(struct answer *answer, bool to_head, bool wants_body);

/* Takes bytes; those behind the end of the answer are dropped. */
enum answer_step answer_take(struct answer *answer, const char *bytes, size_t len);
/* The connection was closed: is the answer whole? */
bool answer_closed(const struct answer *answer);

/* The value of the first header of that name, in the head; ptr NULL: none. */
struct str answer_header(const struct answer *answer, struct str name);
/* The same for each header of the name in turn: start with *rest = buf_get(&answer->head). */
struct str answer_next_header(struct str *rest, struct str name);
