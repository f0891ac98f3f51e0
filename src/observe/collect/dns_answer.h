/* dns_answer.h - what the answer of a name server says (RFC 1035).  Pure.  Layer: observe. */
#pragma once
#include "base/str.h"

struct dns_answer {
    int rcode, count; /* count: records of the answer section */
    bool has_type;    /* one is of the type that was asked for */
    bool has_text;    /* one reads as the text that was looked for, letters of either case */
};

/* False when the bytes are no DNS message; reading of records stops at the first that is none. */
bool dns_answer_read(const unsigned char *bytes, int len, int type, struct str wanted,
                     struct dns_answer *out);
