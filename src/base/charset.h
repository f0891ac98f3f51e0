/* charset.h - which encoding a text file has when nobody says: UTF-8, else GB18030, which holds GBK and
 * GB2312.
 *
 * Offices save tables from spreadsheets, which on Chinese machines write GBK and never say so.
 * Threads: one owner.  Layer: base. */
#pragma once
#include "base/buf.h"

enum charset { CHARSET_UTF8, CHARSET_GB18030, CHARSET__COUNT };

/* "UTF-8", "GB18030". */
const char *charset_name(enum charset charset);

/* Which of them the text is.  A text that is mostly UTF-8 with a broken place is broken UTF-8, also where
 * GB18030 could make characters of its bytes.
 * ERR_INVALID  charset.neither: at the line, with the byte in that line (both from 1) and its value.
 * ERR_INTERNAL charset.unknown: the machine cannot convert GB18030. */
MUST_CHECK enum err_code charset_find(struct str text, enum charset *out, struct err *err);

/* Gives the text as UTF-8, in pieces that end between characters; a byte order mark is left out.
 * What `put` returns other than ERR_OK ends it.  ERR_INVALID as above. */
typedef enum err_code (*charset_put_fn)(void *arg, struct str piece, struct err *err);
MUST_CHECK enum err_code charset_each(struct str text, enum charset charset, charset_put_fn put, void *arg,
                                      struct err *err);
