/* dns_answer.c - see dns_answer.h */
#include "observe/collect/dns_answer.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <stdio.h>

/* One record of the answer as text; "" for those that have none. */
static void record_text(ns_msg *msg, const ns_rr *rr, char *out, size_t size)
{
    const unsigned char *data = ns_rr_rdata(*rr);
    const size_t len = ns_rr_rdlen(*rr);
    char name[NS_MAXDNAME] = "";
    out[0] = 0;
    switch ((int)ns_rr_type(*rr)) {
    case ns_t_a:
        if (len == 4)
            (void)inet_ntop(AF_INET, data, out, (socklen_t)size);
        break;
    case ns_t_aaaa:
        if (len == 16)
            (void)inet_ntop(AF_INET6, data, out, (socklen_t)size);
        break;
    case ns_t_txt:
        for (size_t at = 0, to = 0; at < len;) {
            const size_t part = data[at++];
            for (size_t i = 0; i < part && at + i < len && to + 1 < size; i++)
                out[to++] = (char)data[at + i];
            at += part;
            out[to < size ? to : size - 1] = 0;
        }
        break;
    default: {
        const int skip = ns_rr_type(*rr) == ns_t_mx ? 2 : ns_rr_type(*rr) == ns_t_srv ? 6 : 0;
        if (len > (size_t)skip &&
            ns_name_uncompress(ns_msg_base(*msg), ns_msg_end(*msg), data + skip, name, sizeof name) >= 0)
            (void)snprintf(out, size, "%s", name);
        break;
    }
    }
}

bool dns_answer_read(const unsigned char *bytes, int len, int type, struct str wanted, struct dns_answer *out)
{
    ns_msg msg;
    *out = (struct dns_answer) { 0 };
    if (ns_initparse(bytes, len, &msg) < 0)
        return false;
    out->rcode = (int)ns_msg_getflag(msg, ns_f_rcode);
    out->count = ns_msg_count(msg, ns_s_an);
    for (int i = 0; i < out->count; i++) {
        ns_rr rr;
        char text[NS_MAXDNAME];
        if (ns_parserr(&msg, ns_s_an, i, &rr) < 0)
            break;
        out->has_type |= (int)ns_rr_type(rr) == type;
        record_text(&msg, &rr, text, sizeof text);
        out->has_text |= wanted.len && str_eq_nocase(str_from(text), wanted);
    }
    return true;
}
