/* cidr.c - see cidr.h */
#include "net/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

static bool read_address(struct str text, unsigned char out[16], bool *out_v4)
{
    char copy[64];
    if (!text.len || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    memset(out, 0, 16);
    *out_v4 = inet_pton(AF_INET, copy, out + 12) == 1;
    if (*out_v4) {
        out[10] = out[11] = 0xff;
        return true;
    }
    return inet_pton(AF_INET6, copy, out) == 1;
}

enum err_code cidr_list_parse(struct str text, struct cidr_list *out, struct err *err)
{
    struct cidr_list list = { 0 };
    struct str rest = text, part;
    while (str_cut(&rest, ',', &part)) {
        part = str_trim(part);
        if (!part.len)
            continue;
        if (list.count == CIDR_MAX)
            return err_set(err, ERR_LIMIT, "net.addresses_max", ARG_INT("max", CIDR_MAX), ARG_END);
        struct cidr *item = &list.items[list.count++];
        struct str address, tail = part;
        bool v4 = false;
        int64_t bits = -1;
        (void)str_cut(&tail, '/', &address);
        const bool has_bits = tail.ptr != NULL;
        if (!read_address(address, item->bytes, &v4) || (has_bits && !str_i64(tail, &bits)) ||
            (has_bits && (bits < 0 || bits > (v4 ? 32 : 128))))
            return err_set(err, ERR_INVALID, "net.address", ARG_STR("text", part), ARG_END);
        item->bits = has_bits ? (int)bits + (v4 ? 96 : 0) : 128;
    }
    *out = list;
    return ERR_OK;
}

bool cidr_list_has(const struct cidr_list *list, struct str address)
{
    unsigned char bytes[16];
    bool v4;
    if (!list->count || !read_address(address, bytes, &v4))
        return false;
    for (int i = 0; i < list->count; i++) {
        const int whole = list->items[i].bits / 8, rest = list->items[i].bits % 8;
        if (memcmp(bytes, list->items[i].bytes, (size_t)whole) != 0)
            continue;
        const unsigned mask = rest ? 0xffu << (8 - rest) & 0xffu : 0;
        if (!rest || (bytes[whole] & mask) == (list->items[i].bytes[whole] & mask))
            return true;
    }
    return false;
}

void address_text(const struct sockaddr *address, char out[46])
{
    out[0] = 0;
    if (address && address->sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, out, 46);
    } else if (address && address->sa_family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(v6))
            (void)inet_ntop(AF_INET, v6->s6_addr + 12, out, 46);
        else
            (void)inet_ntop(AF_INET6, v6, out, 46);
    }
}
