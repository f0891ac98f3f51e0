/* cidr.h - lists of addresses and networks: "127.0.0.1, 10.0.0.0/8, ::1".
 *
 * An IPv4 address within IPv6 (::ffff:10.0.0.1) is the IPv4 address.  Threads: values only.  Layer: net. */
#pragma once
#include "base/err.h"

struct sockaddr;

#define CIDR_MAX 64
struct cidr {
    unsigned char bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
    int bits;
};
struct cidr_list {
    int count;
    struct cidr items[CIDR_MAX];
};

/* `text` may be empty: then the list holds nothing.  ERR_INVALID names the part; ERR_LIMIT. */
MUST_CHECK enum err_code cidr_list_parse(struct str text, struct cidr_list *out, struct err *err);
bool cidr_list_has(const struct cidr_list *list, struct str address);
/* The address as text ("10.0.0.1", "2001:db8::1") into 46 bytes; "" when it is neither. */
void address_text(const struct sockaddr *address, char out[46]);
