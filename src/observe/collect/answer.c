/* answer.c - see answer.h */
#include "observe/collect/answer.h"

#include <string.h>

void answer_init(struct answer *answer, size_t body_max)
{
    *answer = (struct answer) { 0 };
    buf_init(&answer->head, ANSWER_HEAD_MAX);
    buf_init(&answer->body, body_max);
}

void answer_done(struct answer *answer)
{
    buf_done(&answer->head);
    buf_done(&answer->body);
}

void answer_begin(struct answer *answer, bool to_head, bool wants_body)
{
    buf_clear(&answer->head);
    buf_clear(&answer->body);
    answer->to_head = to_head;
    answer->wants_body = wants_body;
    answer->head_done = false;
    answer->status = 0;
    answer->body_bytes = 0;
    answer->why = NULL;
}

/* ---- the head ---- */

struct str answer_next_header(struct str *rest, struct str name)
{
    struct str line;
    while (str_cut(rest, '\n', &line)) {
        const ptrdiff_t colon = str_find(line, STR(":"));
        if (colon > 0 && str_eq_nocase(str_slice(line, 0, (size_t)colon), name))
            return str_trim(str_slice(line, (size_t)colon + 1, line.len));
    }
    return (struct str) { 0 };
}

struct str answer_header(const struct answer *answer, struct str name)
{
    struct str rest = buf_get(&answer->head);
    return answer_next_header(&rest, name);
}

static bool has_word(struct str list, struct str word)
{
    struct str part;
    while (str_cut(&list, ',', &part))
        if (str_eq_nocase(str_trim(part), word))
            return true;
    return false;
}

static enum answer_step bad(struct answer *answer, const char *why)
{
    answer->why = why;
    return ANSWER_BAD;
}

static enum answer_step read_status(struct answer *answer)
{
    const struct str head = buf_get(&answer->head);
    if (head.len < 12 || !str_starts(head, STR("HTTP/1.")) || head.ptr[8] != ' ')
        return bad(answer, "the answer is not HTTP/1");
    int status = 0;
    for (int i = 9; i < 12; i++) {
        if (head.ptr[i] < '0' || head.ptr[i] > '9')
            return bad(answer, "no status in the answer");
        status = status * 10 + head.ptr[i] - '0';
    }
    answer->status = status;
    return ANSWER_MORE;
}

/* How the body ends: RFC 9112, 6.3. */
static enum answer_step read_framing(struct answer *answer)
{
    const struct str encoding = answer_header(answer, STR("transfer-encoding"));
    const struct str size = answer_header(answer, STR("content-length"));
    int64_t length;
    answer->left = 0;
    answer->chunk = CHUNK_SIZE;
    answer->chunk_digit = false;
    if (answer->to_head || answer->status == 204 || answer->status == 304) {
        answer->framing = NO_BODY;
    } else if (encoding.ptr && has_word(encoding, STR("chunked"))) {
        answer->framing = CHUNKED;
    } else if (size.ptr) {
        if (!str_i64(size, &length) || length < 0)
            return bad(answer, "bad Content-Length");
        answer->framing = length ? BY_LENGTH : NO_BODY;
        answer->left = (uint64_t)length;
    } else {
        answer->framing = TO_CLOSE;
    }
    return ANSWER_MORE;
}

/* Where the head ends in the buffer (behind the empty line), or 0. */
static size_t head_end(struct str text, size_t from)
{
    for (size_t i = from > 3 ? from - 3 : 0; i < text.len; i++) {
        const char *line = memchr(text.ptr + i, '\n', text.len - i);
        if (!line)
            return 0;
        i = (size_t)(line - text.ptr);
        if (i + 1 < text.len && text.ptr[i + 1] == '\n')
            return i + 2;
        if (i + 2 < text.len && text.ptr[i + 1] == '\r' && text.ptr[i + 2] == '\n')
            return i + 3;
    }
    return 0;
}

/* ---- the body ---- */

static void keep_body(struct answer *answer, const char *bytes, size_t len)
{
    answer->body_bytes += len;
    if (!answer->wants_body)
        return;
    const size_t room = answer->body.max - answer->body.len;
    buf_add(&answer->body, bytes, len < room ? len : room);
}

static enum answer_step take_chunk_size(struct answer *answer, char c)
{
    const int digit = c >= '0' && c <= '9'                     ? c - '0'
                      : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                               : -1;
    if (digit >= 0) {
        if (answer->left >> 56)
            return bad(answer, "bad chunk");
        answer->left = answer->left << 4 | (unsigned)digit;
        answer->chunk_digit = true;
    } else if (!answer->chunk_digit) {
        return bad(answer, "bad chunk");
    } else {
        answer->chunk = c != '\n' ? CHUNK_EXTENSION : answer->left ? CHUNK_DATA : CHUNK_TRAILER;
    }
    return ANSWER_MORE;
}

static enum answer_step take_chunks(struct answer *answer, const char *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        if (answer->chunk == CHUNK_DATA) {
            const size_t take = len - at < answer->left ? len - at : (size_t)answer->left;
            keep_body(answer, bytes + at, take);
            at += take;
            answer->left -= take;
            if (answer->left == 0)
                answer->chunk = CHUNK_DATA_END;
            continue;
        }
        const char c = bytes[at++];
        switch (answer->chunk) {
        case CHUNK_SIZE:
            if (take_chunk_size(answer, c) == ANSWER_BAD)
                return ANSWER_BAD;
            break;
        case CHUNK_EXTENSION:
            if (c == '\n')
                answer->chunk = answer->left ? CHUNK_DATA : CHUNK_TRAILER;
            break;
        case CHUNK_DATA:
            break;
        case CHUNK_DATA_END:
            if (c != '\n' && c != '\r')
                return bad(answer, "bad chunk");
            if (c == '\n') {
                answer->chunk = CHUNK_SIZE;
                answer->chunk_digit = false;
            }
            break;
        case CHUNK_TRAILER:
            if (c == '\n')
                return ANSWER_WHOLE;
            if (c != '\r')
                answer->chunk = CHUNK_TRAILER_LINE;
            break;
        case CHUNK_TRAILER_LINE:
            if (c == '\n')
                answer->chunk = CHUNK_TRAILER;
            break;
        }
    }
    return ANSWER_MORE;
}

static enum answer_step take_body(struct answer *answer, const char *bytes, size_t len)
{
    switch (answer->framing) {
    case NO_BODY:
        return ANSWER_WHOLE;
    case CHUNKED:
        return take_chunks(answer, bytes, len);
    case BY_LENGTH:
        if (len > answer->left)
            len = (size_t)answer->left;
        keep_body(answer, bytes, len);
        answer->left -= len;
        return answer->left == 0 ? ANSWER_WHOLE : ANSWER_MORE;
    case TO_CLOSE:
        keep_body(answer, bytes, len);
        return ANSWER_MORE;
    }
    return ANSWER_MORE;
}

/* ---- both ---- */

enum answer_step answer_take(struct answer *answer, const char *bytes, size_t len)
{
    if (answer->head_done)
        return take_body(answer, bytes, len);
    struct buf *head = &answer->head;
    size_t before = head->len;
    buf_add(head, bytes, len);
    if (head->failed)
        return bad(answer, "the head of the answer is too long");
    for (;;) {
        const size_t end = head_end(buf_get(head), before), rest = head->len - end;
        if (!end)
            return ANSWER_MORE;
        head->len = end; /* what is behind it stays where it is until it was taken */
        if (read_status(answer) == ANSWER_BAD || read_framing(answer) == ANSWER_BAD)
            return ANSWER_BAD;
        if (answer->status < 100 || answer->status >= 200 || answer->status == 101) {
            answer->head_done = true;
            return take_body(answer, head->ptr + end, rest);
        }
        memmove(head->ptr, head->ptr + end, rest); /* the real one follows */
        head->len = rest;
        answer->status = 0;
        before = 0;
    }
}

bool answer_closed(const struct answer *answer)
{
    return answer->head_done && answer->framing == TO_CLOSE;
}
