/* answer_fuzz.c - what servers answer to checks: HTTP in whatever pieces it comes, and DNS.
 *
 * An HTTP answer reads the same whether it comes at once or byte by byte. */
#include "observe/collect/answer.h"
#include "observe/collect/dns_answer.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum answer_step read_http(struct answer *answer, bool to_head, const char *bytes, size_t size,
                                  size_t piece)
{
    enum answer_step step = ANSWER_MORE;
    answer_init(answer, 1000);
    answer_begin(answer, to_head, true);
    for (size_t at = 0; at < size && step == ANSWER_MORE; at += piece)
        step = answer_take(answer, bytes + at, size - at < piece ? size - at : piece);
    return step == ANSWER_MORE && answer_closed(answer) ? ANSWER_WHOLE : step;
}

static void fuzz_http(bool to_head, const char *bytes, size_t size)
{
    struct answer once, pieces;
    const enum answer_step step = read_http(&once, to_head, bytes, size, size + 1);
    const enum answer_step again = read_http(&pieces, to_head, bytes, size, 1);
    assert(step == again && once.status == pieces.status && once.head_done == pieces.head_done);
    assert((step == ANSWER_BAD) == (once.why != NULL));
    if (step == ANSWER_WHOLE) {
        assert(once.status >= 0 && once.status <= 999 && once.body_bytes == pieces.body_bytes);
        assert(str_eq(buf_get(&once.head), buf_get(&pieces.head)));
        assert(str_eq(buf_get(&once.body), buf_get(&pieces.body)) && once.body.len <= 1000);
    }
    answer_done(&once);
    answer_done(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_answer answer;
    if (size < 1)
        return 0;
    if (data[0] & 1)
        fuzz_http(data[0] & 2, (const char *)data + 1, size - 1);
    else if (dns_answer_read(data + 1, (int)(size - 1), data[0] >> 1, STR("example.org"), &answer))
        assert(answer.rcode >= 0 && answer.rcode <= 15 && answer.count >= 0);
    return 0;
}
